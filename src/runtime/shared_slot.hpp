#pragma once

// One record in shared memory; the layout stands in record_sink.hpp. Private to ams::runtime.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "descriptor.hpp"

namespace ams::detail {

class SharedSlot {
 public:
  /// `where` names it in errors. Throws Error(io_error).
  SharedSlot(const std::string& where, const std::string& name, std::size_t max_record_bytes);

  /// Tells the readers that no more records come, and removes the name.
  ~SharedSlot();
  SharedSlot(const SharedSlot&) = delete;
  SharedSlot& operator=(const SharedSlot&) = delete;

  /// False when the record is too large.
  bool write(std::span<const std::byte> record);

 private:
  struct Header {
    char magic[4];
    std::uint32_t layout;
    std::atomic<std::uint64_t> sequence;
    std::uint64_t record_bytes;
    std::uint32_t is_alive;
    std::uint8_t zeros[36];
  };
  static_assert(sizeof(Header) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

  std::string name_;
  Descriptor memory_;
  std::size_t bytes_ = 0;
  Header* header_ = nullptr;
};

}  // namespace ams::detail
