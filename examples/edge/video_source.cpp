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

VideoSource::VideoSource(std::string address, VideoReaderOptions options, std::stop_token stop)
    : address_(std::move(address)),
      options_(std::move(options)),
      linked_(std::move(stop), [this] { stop_.request_stop(); }) {
  options_.stop = stop_.get_token();
  reader_.emplace(open());
  name_ = reader_->name();
  width_ = reader_->width();
  height_ = reader_->height();
  fps_ = reader_->fps();
  live_ = reader_->live();
  if (reader_->still_picture()) {
    log::warning("still_picture",
                 {{"video", name_},
                  {"message",
                   "this is a video of one frame; give a folder or pattern of pictures with --fps, "
                   "or the address of a camera's stream"}});
  }
  if (live_) thread_ = std::jthread([this] { read_live(); });
}

VideoSource::~VideoSource() {
  stop_.request_stop();
}

VideoReader VideoSource::open() const {
  return VideoReader(address_, options_);
}

std::optional<VideoSource::DueFrame> VideoSource::next() {
  if (live_) {
    std::unique_lock lock(mutex_);
    const auto has_news = [this] { return newest_.has_value() || live_ended_; };
    if (!changed_.wait(lock, stop_.get_token(), has_news) || stop_.stop_requested()) {
      return std::nullopt;
    }
    if (!newest_ && live_failure_) std::rethrow_exception(live_failure_);
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
    std::exception_ptr failure;
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
        fps_ = reader_->fps();
        keep_newest(std::move(*frame));
      }
    } catch (const std::exception& error) {
      reason = error.what();
      failure = std::current_exception();
    }
    if (stop_.stop_requested()) return;
    if (reader_ && !reader_->reopenable()) return end_live(failure);
    if (reader_) ++times_lost_;
    reader_.reset();
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

void VideoSource::end_live(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    live_ended_ = true;
    live_failure_ = std::move(failure);
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
