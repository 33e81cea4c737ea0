#include "pipe_input.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace ams::libav {
namespace {

constexpr int buffer_bytes = 1 << 16;
constexpr int patience_ms = 50;  // between two looks at `interrupted`

}  // namespace

PipeInput::PipeInput(const std::string& path, AVIOInterruptCB interrupted)
    : file_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)), interrupted_(interrupted) {
  struct stat status {};
  if (file_ < 0 || ::fstat(file_, &status) != 0) {
    const int code = errno;
    if (file_ >= 0) ::close(file_);
    throw Error(ErrorCode::io_error,
                path + ": cannot open: " + std::generic_category().message(code));
  }
  fifo_ = S_ISFIFO(status.st_mode);
  auto* buffer = static_cast<unsigned char*>(av_malloc(buffer_bytes));
  if (buffer != nullptr) {
    context_ =
        avio_alloc_context(buffer, buffer_bytes, 0, this, &PipeInput::read, nullptr, nullptr);
  }
  if (context_ == nullptr) {
    av_free(buffer);
    ::close(file_);
    throw std::bad_alloc();
  }
  context_->seekable = 0;
}

PipeInput::~PipeInput() {
  av_freep(&context_->buffer);  // libav may have replaced it
  avio_context_free(&context_);
  ::close(file_);
}

int PipeInput::read(void* self, std::uint8_t* to, int size) {
  const auto& pipe = *static_cast<PipeInput*>(self);
  while (pipe.interrupted_.callback(pipe.interrupted_.opaque) == 0) {
    pollfd waiting{pipe.file_, POLLIN, 0};
    if (::poll(&waiting, 1, patience_ms) <= 0) continue;
    const auto bytes = ::read(pipe.file_, to, static_cast<std::size_t>(size));
    if (bytes > 0) return static_cast<int>(bytes);
    if (bytes < 0 && errno != EAGAIN && errno != EINTR) return AVERROR(errno);
    // A FIFO that no writer has opened yet reads as empty too, but is not hung up.
    if (bytes == 0 && (!pipe.fifo_ || (waiting.revents & POLLHUP) != 0)) return AVERROR_EOF;
  }
  return AVERROR_EXIT;
}

}  // namespace ams::libav
