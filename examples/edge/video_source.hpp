#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "ams/video/video_reader.hpp"

namespace ams {

/// The frames of a video, each when it is due. A file plays at its own pace. A live source (camera,
/// RTSP) is read on a thread of its own, of which only the newest frame is kept: a device slower
/// than its camera skips frames and never falls behind. A live source that is lost is opened again,
/// with growing delays, and its timeline goes on by the time that it was away.
class VideoSource {
 public:
  /// Opens the video, so that a wrong address is an error at once. Throws as VideoReader does.
  VideoSource(std::string address, std::stop_token stop);
  ~VideoSource();
  VideoSource(const VideoSource&) = delete;
  VideoSource& operator=(const VideoSource&) = delete;

  struct DueFrame {
    Frame frame;
    std::size_t index = 0;   ///< of all frames of the video, skipped ones included
    double due_seconds = 0;  ///< on now_seconds(); of a live source, when it came
  };

  /// Waits until the next frame is due. Nothing at the end of a file and after a stop. Throws as
  /// VideoReader::next() does, for files.
  std::optional<DueFrame> next();

  /// User and password are masked.
  const std::string& name() const noexcept { return name_; }
  double fps() const noexcept { return fps_; }

 private:
  VideoReader open() const;
  void read_live();
  void keep_newest(Frame frame);
  void pause(double seconds);

  const std::string address_;
  std::stop_source stop_;
  std::optional<VideoReader> reader_;  // of a live source: of its thread alone
  std::string name_;
  double fps_ = 0;
  bool live_ = false;

  // Files.
  std::optional<double> start_seconds_;
  std::size_t frames_ = 0;

  // Live sources.
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<DueFrame> newest_;
  std::size_t frames_come_ = 0;

  std::stop_callback<std::function<void()>> linked_;
  std::jthread thread_;  // the last one, so that it ends before what it uses
};

}  // namespace ams
