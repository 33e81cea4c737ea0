#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "ams/core/frame.hpp"
#include "ams/video/scaling.hpp"

namespace ams {

struct VideoReaderOptions {
  /// Size of the frames that come out, pixels; 0 x 0 keeps the video's own. Both or neither.
  /// The picture is stretched to fill it; pixels that are not square are not corrected.
  int width = 0;
  int height = 0;
  Scaling scaling = Scaling::area;

  /// How long opening a network stream, or waiting for its next frame, may take.
  double timeout_seconds = 10;

  /// What to ask of a camera; 0 leaves the camera's own choice. Ignored for files and network
  /// streams.
  int camera_width = 0;
  int camera_height = 0;
  double camera_fps = 0;

  /// Videos with larger pictures are refused before any picture is allocated.
  int max_width = 8192;
  int max_height = 8192;

  /// Decoder threads, 1 to 64. More than one delays the first frames by as many.
  int threads = 1;

  /// As cancel(), and it also ends an opening that takes its time: Error(io_error).
  std::stop_token stop = {};
};

/// Reads the frames of a video file, a camera or a network stream in presentation order.
///
/// Sources: a file's path; a camera as "camera:0" or "/dev/video0" (Video4Linux); a URL that starts
/// with rtsp://, rtsps://, http:// or https://. RTSP runs over TCP. A file can only lead to itself:
/// playlists in it that name other files or addresses are not followed.
///
/// capture_seconds comes from the container's presentation timestamps, so variable frame rates are
/// kept; the first frame is at 0 and times ascend strictly. A missing timestamp is the previous
/// frame's plus one frame interval; a timestamp that falls back by at least a second (a camera that
/// restarted) moves the origin, so that time goes on.
///
/// Colours: the stream's own matrix (BT.601, BT.709, BT.2020 constants) and range are honoured. A
/// stream that names none is read as BT.709 from 720 rows up and BT.601 below, limited range. A
/// rotation by quarter turns in the container (phones) is applied.
///
/// Holds one decoder and one picture, whatever the length of the video. One thread at a time, but
/// for cancel().
class VideoReader {
 public:
  /// Errors: io_error (not found, no permission, network failure or timeout), malformed_data (not a
  /// video), limit_exceeded (too large a picture), unavailable (no decoder for it), unauthorized
  /// (HTTP, RTSP), invalid_argument (options).
  explicit VideoReader(const std::string& source, const VideoReaderOptions& options = {});
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;

  /// The next frame, or nothing at the end or after cancel(). Packets that the decoder refuses are
  /// skipped and counted; 256 of them without a frame in between, or a whole video without one
  /// frame, is Error(malformed_data). Also io_error as above, limit_exceeded when the picture grows
  /// over the limits.
  std::optional<Frame> next();

  /// Makes a waiting next(), and all later ones, return nothing. From any thread, any time.
  void cancel() noexcept;

  /// The source as errors name it: user and password of an address are masked.
  const std::string& name() const noexcept;

  int width() const noexcept;   ///< of the frames that next() returns, as far as the header tells
  int height() const noexcept;  ///< likewise

  /// The frame rate that the container names, or its mean; 25 where it names none.
  double fps() const noexcept;

  /// As the container claims; absent for cameras, network streams and some files.
  std::optional<std::int64_t> frame_count() const noexcept;
  std::optional<double> duration_seconds() const noexcept;

  /// True for cameras and RTSP: frames come at their own pace.
  bool live() const noexcept;

  /// Packets skipped so far because they could not be decoded.
  std::int64_t refused_packets() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
