#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/video/scaling.hpp"

namespace ams {

struct VideoReaderOptions {
  /// Size of the frames that come out, pixels; 0 x 0 keeps the video's own. Both or neither.
  /// The picture is stretched to fill it; pixels that are not square are not corrected.
  int width = 0;
  int height = 0;
  Scaling scaling = Scaling::area;

  /// Frames a second, up to 1000, of what has no times of its own: a folder or pattern of pictures,
  /// which need it, and raw streams (H.264, MJPEG, ...). 0: the source's own.
  double fps = 0;

  /// Whether an address or a pipe is live; nothing: as VideoReader tells it. Not for files.
  std::optional<bool> live = {};

  /// How long opening a network stream or a pipe, or waiting for its next frame, may take.
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

/// Reads the frames of a video in presentation order.
///
/// Sources:
/// - A file's path. A file can only lead to itself: playlists in it are not followed. Text, sound
///   with or without a cover, and raw pixels are no videos.
/// - A folder of pictures, a pattern ("f%03d.png") or a name with * or ? ("f*.png"), with
///   options.fps. Natural order (f2 before f10); a number that is missing is not waited for. All
///   pictures must have one size.
/// - A camera as "camera:0" or "/dev/video0" (Video4Linux).
/// - An address: rtsp(s)://, http(s)://, rtmp(s)://, rtp://, udp://, tcp://, srt://. RTSP runs over
///   TCP.
/// - A pipe: a FIFO's path, or "-" for standard input.
/// A picture alone is a video of one frame.
///
/// Live or recorded: files are recordings. Cameras, RTSP and MJPEG over HTTP are live. Another
/// address or pipe is a recording where it tells its duration (MP4, a complete HLS playlist) or its
/// size (a file over HTTP), and live where it tells neither. options.live overrules this.
///
/// capture_seconds: the first frame is at 0 and times ascend strictly. They come from the stream's
/// presentation timestamps, so variable frame rates are kept. A missing timestamp is the previous
/// frame's plus one frame interval; a timestamp that falls back by at least a second (a camera that
/// restarted) moves the origin, so that time goes on. Frames of a live stream that carries no times
/// (MJPEG, raw H.264, pictures) have the times at which they come. Frames of live HLS and DASH come
/// many at once; they are held until they are due.
///
/// Colours: the stream's own matrix (BT.601, BT.709, BT.2020 constants) and range are honoured. A
/// stream that names none is read as BT.709 from 720 rows up and BT.601 below, limited range.
/// Transparency is ignored; the fields of interlaced video stay woven.
///
/// Orientation: a display matrix (phones) or a JPEG's EXIF that turns by quarters, mirrors, or both
/// is applied. Of another angle the nearest of these eight is taken.
///
/// Holds one decoder and two pictures, whatever the length of the video. One thread at a time, but
/// for cancel().
class VideoReader {
 public:
  /// Decodes the first frame of a recording. Errors: io_error (not found, no permission, network
  /// failure or timeout), malformed_data (not a video; what it is instead, where that can be told),
  /// limit_exceeded (too large a picture), unavailable (no decoder for it), unauthorized (HTTP,
  /// RTSP), invalid_argument (options; pictures without fps).
  explicit VideoReader(const std::string& source, const VideoReaderOptions& options = {});
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;

  /// The next frame, or nothing at the end or after cancel(). Packets that the decoder refuses are
  /// skipped and counted; 256 of them without a frame in between, or a whole video without one
  /// frame, is Error(malformed_data), as is a picture of another size in a folder of them. Also
  /// io_error as above, limit_exceeded when the picture grows over the limits.
  std::optional<Frame> next();

  /// Makes a waiting next(), and all later ones, return nothing. From any thread, any time.
  void cancel() noexcept;

  /// The source as errors name it: user and password of an address are masked.
  const std::string& name() const noexcept;

  /// Of the frames that next() returns: the first frame's; of a live source what its header says.
  int width() const noexcept;
  int height() const noexcept;  ///< likewise

  /// The frame rate that the container names, or its mean; 25 where it names none. Of a live stream
  /// without times of its own: the mean so far.
  double fps() const noexcept;

  /// As the container claims; absent for live sources and some files. After the end: the frames
  /// that have come; a cut or damaged file has fewer than it claims.
  std::optional<std::int64_t> frame_count() const noexcept;

  /// As the container claims; absent for live sources and some files.
  std::optional<double> duration_seconds() const noexcept;

  /// True for cameras and streams without an end: frames come at their own pace, and an end of the
  /// stream is a line that was lost.
  bool live() const noexcept;

  /// False for standard input: what has ended there does not come back.
  bool reopenable() const noexcept;

  /// True for a picture in one file: a video of one frame, unless more pictures follow in the file.
  bool still_picture() const noexcept;

  /// Packets skipped so far because they could not be decoded.
  std::int64_t refused_packets() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
