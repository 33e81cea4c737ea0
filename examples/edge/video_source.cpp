#include "edge/video_source.hpp"

#include <chrono>
#include <utility>

#include "ams/session/backoff.hpp"
#include "common/clock.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

constexpr double reopen_min_seconds = 0.5;
constexpr double reopen_max_seconds = 30;

}  // namespace

VideoSource::VideoSource(std::string address, std::stop_token stop)
    : address_(std::move(address)), linked_(std::move(stop), [this] { stop_.request_stop(); }) {
  reader_.emplace(open());
  name_ = reader_->name();
  fps_ = reader_->fps();
  live_ = reader_->live();
  if (live_) thread_ = std::jthread([this] { read_live(); });
}

VideoSource::~VideoSource() {
  stop_.request_stop();
}

VideoReader VideoSource::open() const {
  VideoReaderOptions options;
  options.stop = stop_.get_token();
  return VideoReader(address_, options);
}

std::optional<VideoSource::DueFrame> VideoSource::next() {
  if (live_) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop_.get_token(), [this] { return newest_.has_value(); }) ||
        stop_.stop_requested()) {
      return std::nullopt;
    }
    return std::exchange(newest_, std::nullopt);
  }
  if (!start_seconds_) start_seconds_ = now_seconds();
  auto frame = reader_->next();
  if (!frame) return std::nullopt;
  const double due = *start_seconds_ + frame->capture_seconds;
  pause(due - now_seconds());
  if (stop_.stop_requested()) return std::nullopt;
  return DueFrame{std::move(*frame), frames_++, due};
}

void VideoSource::read_live() {
  Backoff backoff(reopen_min_seconds, reopen_max_seconds, 0);
  double newest_capture_seconds = 0, newest_arrival_seconds = now_seconds();
  double offset_seconds = 0;
  while (!stop_.stop_requested()) {
    std::string reason = "the stream has ended";
    try {
      bool is_new = false;
      if (!reader_) {
        reader_.emplace(open());
        is_new = true;
      }
      while (auto frame = reader_->next()) {
        const double now = now_seconds();
        if (is_new) {
          log::info("video_back", {{"video", name_}});
          offset_seconds = newest_capture_seconds + (now - newest_arrival_seconds);
          is_new = false;
        }
        backoff.reset();
        frame->capture_seconds += offset_seconds;
        newest_capture_seconds = frame->capture_seconds;
        newest_arrival_seconds = now;
        keep_newest(std::move(*frame));
      }
    } catch (const std::exception& error) {
      reason = error.what();
    }
    reader_.reset();
    if (stop_.stop_requested()) return;
    const double delay = backoff.next_seconds();
    log::warning("video_lost",
                 {{"video", name_}, {"reason", reason}, {"next_attempt_seconds", delay}});
    pause(delay);
  }
}

void VideoSource::keep_newest(Frame frame) {
  {
    const std::lock_guard lock(mutex_);
    newest_ = DueFrame{std::move(frame), frames_come_++, now_seconds()};
  }
  changed_.notify_one();
}

/// Returns early on a stop.
void VideoSource::pause(double seconds) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never;
  never.wait_for(lock, stop_.get_token(), std::chrono::duration<double>(seconds),
                 [] { return false; });
}

}  // namespace ams
