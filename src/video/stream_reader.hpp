#pragma once

// Files, cameras, pipes and network streams by libav. Private to ams::video.

#include <chrono>
#include <optional>
#include <string>

#include "ams/video/video_reader.hpp"
#include "frame_source.hpp"
#include "orientation.hpp"
#include "pipe_input.hpp"
#include "pixel_conversion.hpp"
#include "source_address.hpp"
#include "timeline.hpp"

namespace ams {

class StreamReader final : public FrameSource {
 public:
  /// Valid options. A recording's first frame is decoded here. options.stop ends opening with
  /// Error(io_error), and reading with nothing.
  StreamReader(SourceAddress address, const VideoReaderOptions& options);

  std::optional<Frame> next() override;
  const std::string& name() const noexcept override { return address_.name; }
  int width() const noexcept override { return width_; }
  int height() const noexcept override { return height_; }
  double fps() const noexcept override;
  std::optional<std::int64_t> frame_count() const noexcept override;
  std::optional<double> duration_seconds() const noexcept override;
  bool live() const noexcept override { return live_; }
  bool reopenable() const noexcept override { return address_.reopenable; }
  bool still_picture() const noexcept override;
  std::int64_t refused_packets() const noexcept override { return refused_; }

  /// The size of the newest picture as it is shown, before it is scaled.
  int shown_width() const noexcept { return shown_width_; }
  int shown_height() const noexcept { return shown_height_; }

 private:
  using Clock = std::chrono::steady_clock;
  using Kind = SourceAddress::Kind;

  void open_input();
  void choose_stream();
  void open_decoder();
  bool is_live(double duration_at_open) const;
  bool format_is(const char* name) const;
  bool comes_in_segments() const;
  std::optional<Frame> decode();
  bool pull_packet();
  Frame finish(const AVFrame& picture);
  void wait_until_due(double capture_seconds);

  [[noreturn]] void fail(int code, const std::string& doing);
  [[noreturn]] void refuse(const std::string& otherwise);
  std::optional<std::string> first_bytes();
  void require_size(int w, int h) const;
  void start_waiting();
  bool stopped() const { return options_.stop.stop_requested(); }
  bool out_of_time() const;
  static int interrupted(void* self);
  static int open_only_the_file(AVFormatContext* context, AVIOContext** io, const char* url,
                                int flags, AVDictionary** io_options);

  const SourceAddress address_;
  const VideoReaderOptions options_;
  int (*usual_open_)(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) = nullptr;
  Clock::time_point deadline_{};

  std::optional<libav::PipeInput> pipe_;
  libav::InputPtr input_;
  const AVStream* stream_ = nullptr;
  const AVCodec* codec_ = nullptr;
  libav::CodecPtr decoder_;
  libav::PacketPtr packet_ = libav::make_packet();
  libav::FramePtr picture_ = libav::make_frame();
  libav::ToRgb to_rgb_;
  Orientation of_stream_, of_picture_;
  bool live_ = false;
  std::optional<Timeline> timeline_;
  std::optional<ArrivalClock> arrivals_;  // of a live stream without times of its own
  std::optional<Clock::time_point> play_start_;
  std::optional<Frame> first_;
  double fps_;
  int width_ = 0, height_ = 0;
  int shown_width_ = 0, shown_height_ = 0;
  bool draining_ = false;
  bool ended_ = false;
  std::int64_t frames_ = 0;
  std::int64_t refused_ = 0;
  int refused_in_a_row_ = 0;
};

}  // namespace ams
