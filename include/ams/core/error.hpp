#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace ams {

/// What went wrong, for programs. The message of the exception says it for people.
enum class ErrorCode {
  invalid_argument,       ///< A caller's argument is outside what the docstring allows.
  malformed_data,         ///< Bytes from a file or the network are not what their format says.
  unsupported_version,    ///< The format or protocol version is not one this build reads.
  manifest_mismatch,      ///< The data belongs to a model with other tensors.
  base_version_mismatch,  ///< The update does not follow the version that is held.
  digest_mismatch,        ///< The content does not have the digest that it names.
  limit_exceeded,         ///< A size or count is over its limit.
  io_error,               ///< The operating system refused to read or write.
  unavailable,            ///< This build or machine lacks what was asked for.
  unauthorized,           ///< The token is missing or wrong.
  protocol_violation,     ///< A message came that the protocol does not allow at this point.
};

/// The name of a code, e.g. "malformed_data". The same words are used on the wire and in logs.
constexpr const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::malformed_data:
      return "malformed_data";
    case ErrorCode::unsupported_version:
      return "unsupported_version";
    case ErrorCode::manifest_mismatch:
      return "manifest_mismatch";
    case ErrorCode::base_version_mismatch:
      return "base_version_mismatch";
    case ErrorCode::digest_mismatch:
      return "digest_mismatch";
    case ErrorCode::limit_exceeded:
      return "limit_exceeded";
    case ErrorCode::io_error:
      return "io_error";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::unauthorized:
      return "unauthorized";
    case ErrorCode::protocol_violation:
      return "protocol_violation";
  }
  return "unknown";
}

/// The one exception type of libams. what() names what was wrong and what is allowed.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

namespace detail {

/// Throws Error(invalid_argument).
[[noreturn]] inline void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

}  // namespace detail

}  // namespace ams
