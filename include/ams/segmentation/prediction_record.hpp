#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

namespace detail {

inline double unix_now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace detail

/// What a device knows about one prediction besides its label map.
struct PredictionInfo {
  std::uint64_t frame = 0;     ///< number of the frame, from 0; those that were dropped count
  double capture_seconds = 0;  ///< on the video's timeline
  double unix_seconds = detail::unix_now_seconds();  ///< when the prediction was there; UTC
  /// From when the frame was due until the prediction was there; 0: not measured.
  double latency_seconds = 0;
  std::uint32_t model_version = 0;  ///< of the model that made it
};

/// How predictions are written for other programs. Records follow each other without a gap.
enum class PredictionFormat : std::uint8_t {
  /// One JSON object a line, in ASCII, ended by "\n" (here on several):
  ///
  ///     {"frame":17,"seconds":0.567,"unix_seconds":1760000000.123,"latency_seconds":0.0124,
  ///      "model_version":3,"width":256,"height":128,"classes":{"0":0.4125,"8":0.5875}}
  ///
  /// `seconds` is capture_seconds. `classes` has every class id that the label map has, ascending,
  /// with its share of the pixels (0 to 1, six digits).
  jsonl,

  /// The label map behind a header of 64 bytes. Integers and IEEE 754 doubles are little-endian.
  ///
  ///     offset  bytes
  ///     0       4      "AMSL"
  ///     4       2      version of this layout, 1
  ///     6       2      bytes before the label map, 64; skip what is not known
  ///     8       8      frame
  ///     16      8      capture_seconds, double
  ///     24      8      unix_seconds, double
  ///     32      8      latency_seconds, double
  ///     40      4      model_version
  ///     44      4      width, pixels
  ///     48      4      height, pixels
  ///     52      4      bytes of the label map, width * height
  ///     56      8      0
  ///     64      ...    class ids, one byte a pixel, rows from the top
  labels,
};

/// "jsonl" or "labels". Throws Error(invalid_argument).
inline PredictionFormat parse_prediction_format(std::string_view name) {
  if (name == "jsonl") return PredictionFormat::jsonl;
  if (name == "labels") return PredictionFormat::labels;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("prediction format '{}' is not one of jsonl, labels", name));
}

constexpr std::size_t prediction_header_bytes = 64;

/// Size of a record of PredictionFormat::labels.
constexpr std::size_t prediction_record_bytes(int width, int height) noexcept {
  return prediction_header_bytes +
         static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
}

namespace detail {

inline std::string prediction_line(const PredictionInfo& info, const LabelMap& labels) {
  std::array<std::size_t, 256> pixels{};
  for (const std::uint8_t id : labels.ids) ++pixels[id];
  std::string line = fmt::format(
      "{{\"frame\":{},\"seconds\":{:.6f},\"unix_seconds\":{:.6f},\"latency_seconds\":{:.6f},"
      "\"model_version\":{},\"width\":{},\"height\":{},\"classes\":{{",
      info.frame, info.capture_seconds, info.unix_seconds, info.latency_seconds, info.model_version,
      labels.width, labels.height);
  const char* separator = "";
  for (std::size_t id = 0; id < pixels.size(); ++id) {
    if (pixels[id] == 0) continue;
    const double share = static_cast<double>(pixels[id]) / static_cast<double>(labels.ids.size());
    line += fmt::format("{}\"{}\":{:.6f}", separator, id, share);
    separator = ",";
  }
  return line + "}}\n";
}

inline void append_le(std::vector<std::byte>& bytes, double value) {
  append_le(bytes, std::bit_cast<std::uint64_t>(value));
}

}  // namespace detail

/// One record, whole. Times must be finite. Throws Error(invalid_argument) unless the label map has
/// 1 x 1 pixels or more and width * height ids.
inline std::vector<std::byte> write_prediction(PredictionFormat format, const PredictionInfo& info,
                                               const LabelMap& labels) {
  if (labels.width < 1 || labels.height < 1 ||
      labels.ids.size() !=
          static_cast<std::size_t>(labels.width) * static_cast<std::size_t>(labels.height)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("a label map of {} x {} with {} ids; width * height are needed",
                            labels.width, labels.height, labels.ids.size()));
  }
  std::vector<std::byte> record;
  const auto append = [&record](const void* from, std::size_t count) {
    const auto* const begin = static_cast<const std::byte*>(from);
    record.insert(record.end(), begin, begin + count);
  };
  if (format == PredictionFormat::jsonl) {
    const std::string line = detail::prediction_line(info, labels);
    append(line.data(), line.size());
    return record;
  }
  record.reserve(prediction_record_bytes(labels.width, labels.height));
  append("AMSL", 4);
  detail::append_le(record, std::uint16_t{1});
  detail::append_le(record, static_cast<std::uint16_t>(prediction_header_bytes));
  detail::append_le(record, info.frame);
  detail::append_le(record, info.capture_seconds);
  detail::append_le(record, info.unix_seconds);
  detail::append_le(record, info.latency_seconds);
  detail::append_le(record, info.model_version);
  detail::append_le(record, static_cast<std::uint32_t>(labels.width));
  detail::append_le(record, static_cast<std::uint32_t>(labels.height));
  detail::append_le(record, static_cast<std::uint32_t>(labels.ids.size()));
  detail::append_le(record, std::uint64_t{0});
  append(labels.ids.data(), labels.ids.size());
  return record;
}

}  // namespace ams
