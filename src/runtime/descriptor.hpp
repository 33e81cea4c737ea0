#pragma once

// A file descriptor that is closed once. Private to ams::runtime.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "ams/core/error.hpp"

namespace ams::detail {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }

  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

  /// Not inherited by programs that this one starts, and never waits.
  void set_close_on_exec_and_non_blocking() const {
    ::fcntl(number_, F_SETFD, FD_CLOEXEC);
    ::fcntl(number_, F_SETFL, ::fcntl(number_, F_GETFL) | O_NONBLOCK);
  }

 private:
  int number_ = -1;
};

/// Throws Error(io_error), "cannot open '<where>': <what the system says>".
[[noreturn]] inline void fail_to_open(const std::string& where, int reason = errno) {
  throw Error(ErrorCode::io_error,
              "cannot open '" + where + "': " + std::system_category().message(reason));
}

}  // namespace ams::detail
