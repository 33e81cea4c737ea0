#include "record_lane.hpp"

#include <sys/socket.h>

#include <array>

namespace ams::detail {

bool RecordLane::hear(bool is_hung_up) {
  std::array<char, 4096> ignored;
  const ssize_t count = ::recv(target_.get(), ignored.data(), ignored.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  hears_ = count > 0;
  return hears_ || !is_hung_up;
}

RecordLane::Progress RecordLane::write() {
  Progress progress;
  while (!records_.empty()) {
    const auto rest = records_.front().span().subspan(sent_bytes_);
    ssize_t count = 0;
    if (kind_ == Kind::socket) {
      count = ::send(target_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
      const std::size_t most = kind_ == Kind::pipe ? pipe_room_bytes : rest.size();
      count = ::write(target_.get(), rest.data(), std::min(rest.size(), most));
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) progress.error = errno;
      return progress;
    }
    sent_bytes_ += static_cast<std::size_t>(count);
    if (sent_bytes_ == records_.front().size()) {
      records_.pop_front();
      sent_bytes_ = 0;
      ++progress.written;
    }
    if (kind_ == Kind::pipe) return progress;  // poll() says whether it takes more
  }
  return progress;
}

void RecordLane::drop_first() {
  if (kind_ == Kind::file && sent_bytes_ > 0) {
    const off_t end = ::lseek(target_.get(), 0, SEEK_CUR) - static_cast<off_t>(sent_bytes_);
    if (::ftruncate(target_.get(), end) == 0) ::lseek(target_.get(), end, SEEK_SET);
  }
  sent_bytes_ = 0;
  if (!records_.empty()) records_.pop_front();
}

}  // namespace ams::detail
