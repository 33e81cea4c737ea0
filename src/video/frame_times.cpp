#include "ams/video/frame_times.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "libav.hpp"

namespace ams {
namespace {

constexpr double fallback_fps = 25;

struct Stamp {
  std::int64_t shown, decoded;  // AV_NOPTS_VALUE where the file does not say
};

/// Of the packets whose pictures are shown, in the file's order.
std::vector<Stamp> read_stamps(AVFormatContext& input, const AVStream& stream, double max_ticks) {
  std::vector<Stamp> stamps;
  std::optional<std::int64_t> first;
  const libav::PacketPtr packet = libav::make_packet();
  // A file that is damaged further on has the frames before: VideoReader says what is wrong.
  while (av_read_frame(&input, packet.get()) >= 0) {
    const bool is_shown = packet->stream_index == stream.index && packet->size > 0 &&
                          (packet->flags & AV_PKT_FLAG_DISCARD) == 0;
    const Stamp stamp{packet->pts, packet->dts};
    av_packet_unref(packet.get());
    if (!is_shown) continue;
    stamps.push_back(stamp);
    if (stamp.decoded == AV_NOPTS_VALUE) continue;
    if (!first) first = stamp.decoded;
    if (static_cast<double>(stamp.decoded - *first) > max_ticks) break;
  }
  return stamps;
}

}  // namespace

std::vector<double> read_frame_times(const std::filesystem::path& path, double max_seconds) {
  const std::string name = path.string();
  const libav::InputPtr input = libav::open_file(path);
  libav::check(avformat_find_stream_info(input.get(), nullptr),
               name + ": cannot find out what is in it");
  const int index = av_find_best_stream(input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (index < 0) throw Error(ErrorCode::malformed_data, name + ": holds no video stream");
  for (unsigned i = 0; i < input->nb_streams; ++i) {
    if (static_cast<int>(i) != index) input->streams[i]->discard = AVDISCARD_ALL;
  }
  const AVStream& stream = *input->streams[index];
  const double tick = av_q2d(stream.time_base);
  const std::vector<Stamp> stamps = read_stamps(*input, stream, (max_seconds + 1) / tick);
  if (stamps.empty()) {
    throw Error(ErrorCode::malformed_data, name + ": its video stream holds no frame");
  }
  const double mean_fps = av_q2d(stream.avg_frame_rate);
  const double interval = 1 / (std::isfinite(mean_fps) && mean_fps > 0 ? mean_fps : fallback_fps);

  const auto all_have = [&](std::int64_t Stamp::*kind) {
    return std::none_of(stamps.begin(), stamps.end(),
                        [&](const Stamp& stamp) { return stamp.*kind == AV_NOPTS_VALUE; });
  };
  std::vector<double> times;
  times.reserve(stamps.size());
  if (all_have(&Stamp::shown) || all_have(&Stamp::decoded)) {
    const auto kind = all_have(&Stamp::shown) ? &Stamp::shown : &Stamp::decoded;
    const bool in_order = all_have(&Stamp::decoded);
    // Streams put together in one file may each begin anew, as VideoReader has it.
    for (std::size_t begin = 0, end = 0; begin < stamps.size(); begin = end) {
      do {
        ++end;
      } while (end < stamps.size() &&
               !(in_order &&
                 static_cast<double>(stamps[end].decoded - stamps[end - 1].decoded) * tick <= -1));
      std::vector<std::int64_t> part;
      for (std::size_t i = begin; i < end; ++i) part.push_back(stamps[i].*kind);
      std::sort(part.begin(), part.end());
      const double start = times.empty() ? 0 : times.back() + interval;
      for (const std::int64_t at : part) {
        times.push_back(start + static_cast<double>(at - part.front()) * tick);
      }
    }
  } else {
    for (std::size_t i = 0; i < stamps.size(); ++i) {
      times.push_back(static_cast<double>(i) * interval);
    }
  }
  times.erase(std::upper_bound(times.begin() + 1, times.end(), max_seconds), times.end());
  return times;
}

std::optional<std::size_t> first_uneven_frame(std::span<const double> times, double fps) {
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (!(std::abs(times[i] * fps - static_cast<double>(i)) < 0.4)) return i;
  }
  return std::nullopt;
}

double constant_rate_for(std::span<const double> times) {
  if (times.size() < 2) return fallback_fps;
  std::vector<double> intervals;
  for (std::size_t i = 1; i < times.size(); ++i) intervals.push_back(times[i] - times[i - 1]);
  const auto tenth = intervals.begin() + static_cast<std::ptrdiff_t>(intervals.size() / 10);
  std::nth_element(intervals.begin(), tenth, intervals.end());
  const double rate = std::clamp(1 / std::max(*tenth, 1e-3), 0.01, 1000.0);
  const auto usual = {5.0, 10.0, 12.0, 15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0, 120.0};
  const auto distance = [&](double other) { return std::abs(other / rate - 1); };
  const double nearest = *std::min_element(
      usual.begin(), usual.end(), [&](double a, double b) { return distance(a) < distance(b); });
  return distance(nearest) < 0.1 ? nearest : rate;
}

}  // namespace ams
