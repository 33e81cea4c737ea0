#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "ams/video/video_reader.hpp"

namespace ams {

/// The frames of a video, each when it is due. A recording plays at its own pace. A live source is
/// read on a thread of its own, of which only the newest frame is kept: a device slower than its
/// camera skips frames and never falls behind. A live source that is lost is opened again, with
/// growing delays, and its timeline goes on by the time that it was away. Standard input cannot be
/// opened again: its end is the end of the video.
class VideoSource {
 public:
  /// Opens the video, so that a wrong address is an error at once. Throws as VideoReader does.
  VideoSource(std::string address, VideoReaderOptions options, std::stop_token stop);
  ~VideoSource();
  VideoSource(const VideoSource&) = delete;
  VideoSource& operator=(const VideoSource&) = delete;

  struct DueFrame {
    Frame frame;
    std::size_t index = 0;   ///< of all frames of the video, skipped ones included
    double due_seconds = 0;  ///< on now_seconds(); of a live source, when it came
  };

  /// Waits until the next frame is due. Nothing at the end of a recording and after a stop. Throws
  /// as VideoReader::next() does, but for live sources that can be opened again.
  std::optional<DueFrame> next();

  /// User and password are masked.
  const std::string& name() const noexcept { return name_; }
  int width() const noexcept { return width_; }  ///< of the first frame, pixels
  int height() const noexcept { return height_; }
  double fps() const noexcept { return fps_; }
  bool live() const noexcept { return live_; }
  std::size_t times_lost() const noexcept { return times_lost_; }  ///< of a live source

 private:
  VideoReader open() const;
  void read_live();
  void end_live(std::exception_ptr failure);
  void keep_newest(Frame frame);
  void pause(double seconds);

  const std::string address_;
  VideoReaderOptions options_;
  std::stop_source stop_;
  std::optional<VideoReader> reader_;  // of a live source: of its thread alone
  std::string name_;
  int width_ = 0, height_ = 0;
  std::atomic<double> fps_ = 0;
  bool live_ = false;

  // Recordings.
  std::optional<double> start_seconds_;
  std::size_t frames_ = 0;

  // Live sources.
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<DueFrame> newest_;
  bool live_ended_ = false;
  std::exception_ptr live_failure_;
  std::atomic<std::size_t> times_lost_ = 0;
  std::size_t frames_come_ = 0;

  std::stop_callback<std::function<void()>> linked_;
  std::jthread thread_;  // the last one, so that it ends before what it uses
};

}  // namespace ams
