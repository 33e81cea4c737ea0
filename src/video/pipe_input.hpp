#pragma once

// A pipe as libav's input. Private to ams::video.

#include <memory>
#include <string>

#include "libav.hpp"

namespace ams::libav {

/// Reads a FIFO or another pipe. libav's own protocol for files waits in the operating system,
/// where it hears of no stop; this one asks `interrupted` meanwhile.
class PipeInput {
 public:
  /// Waits for no writer. Throws Error(io_error).
  PipeInput(const std::string& path, AVIOInterruptCB interrupted);
  ~PipeInput();
  PipeInput(const PipeInput&) = delete;
  PipeInput& operator=(const PipeInput&) = delete;

  /// For AVFormatContext::pb, with AVFMT_FLAG_CUSTOM_IO. Must outlive its use there.
  AVIOContext* context() const noexcept { return context_; }

 private:
  static int read(void* self, std::uint8_t* to, int size);

  int file_;
  bool fifo_;
  AVIOInterruptCB interrupted_;
  AVIOContext* context_ = nullptr;
};

}  // namespace ams::libav
