#pragma once

// What the `where` of a RecordSink says. Private to ams::runtime.

#include <cstdint>
#include <string>

namespace ams::detail {

struct RecordPlace {
  enum class Kind : std::uint8_t { standard_output, file, local_socket, tcp_socket, shared_memory };
  Kind kind = Kind::file;
  std::string name;  ///< path, host or name
  std::string port;  ///< of tcp_socket

  bool is_socket() const noexcept { return kind == Kind::local_socket || kind == Kind::tcp_socket; }
};

/// Throws Error(invalid_argument).
RecordPlace parse_record_place(const std::string& where);

}  // namespace ams::detail
