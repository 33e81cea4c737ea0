#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/zstd_frame.hpp"
#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"
#include "ams/core/handle.hpp"
#include "ams/segmentation/class_subset.hpp"
#include "ams/segmentation/label_loss.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/segmentation/label_resize.hpp"
#include "ams/segmentation/miou.hpp"
#include "ams/segmentation/palette.hpp"
#include "ams/session/task.hpp"

namespace ams {

/// SlidingMiou as a TaskScore. Results: "miou", "miou_per_frame" and "miou_whole_video"
/// (MiouSummary).
class MiouScore final : public TaskScore {
 public:
  /// Throws Error(invalid_argument).
  explicit MiouScore(ClassSubset classes, SlidingMiouOptions options = {})
      : miou_(std::move(classes), options) {}

  /// Handles of LabelMap; the label is brought to the prediction's size.
  std::optional<double> add(const Handle& prediction, const Handle& label,
                            double capture_seconds) override {
    const LabelMap& predicted = prediction.as<LabelMap>();
    return miou_.add(predicted,
                     resize_nearest(label.as<LabelMap>(), predicted.width, predicted.height),
                     capture_seconds);
  }

  std::vector<std::pair<std::string, std::optional<double>>> summary() const override {
    const MiouSummary summary = miou_.summary();
    return {{"miou", summary.sliding},
            {"miou_per_frame", summary.per_frame},
            {"miou_whole_video", summary.whole_video}};
  }

 private:
  SlidingMiou miou_;
};

/// Semantic segmentation as a Task: frames are of type Frame, labels and predictions LabelMap,
/// samples LabelledFrame. Its loss on labels is HardLabelCrossEntropy, its score SlidingMiou.
class SegmentationTask : public Task {
 public:
  /// classes: those that the video is about. names: of all class ids, for colours; may be empty.
  explicit SegmentationTask(ClassSubset classes, std::vector<std::string> names = {})
      : classes_(classes), names_(std::move(names)), loss_(std::move(classes)) {}

  std::string name() const override { return "segmentation"; }

  /// As they are; may differ in size. make_segmentation_task() (torch) scales both to a student's
  /// input.
  Handle sample(const Handle& frame, const Handle& label) const override {
    return Handle::make(LabelledFrame{frame.as<Frame>(), label.as<LabelMap>()});
  }

  /// Width and height, 4 bytes each, little-endian, and the ids as a Zstandard frame.
  std::vector<std::byte> pack_label(const Handle& label) const override {
    const auto& map = label.as<LabelMap>();
    std::vector<std::byte> bytes;
    detail::append_le(bytes, static_cast<std::uint32_t>(map.width));
    detail::append_le(bytes, static_cast<std::uint32_t>(map.height));
    detail::append_zstd_frame(bytes, std::as_bytes(std::span(map.ids)), 3);
    return bytes;
  }

  Handle unpack_label(std::span<const std::byte> bytes) const override {
    constexpr std::uint32_t max_side = 16384;
    constexpr std::size_t max_ids = std::size_t{1} << 26;
    constexpr const char* name = "ids of a label map";
    constexpr std::size_t header_bytes = 8;
    const auto require = [](bool ok) {
      if (!ok) throw Error(ErrorCode::malformed_data, "these bytes are no label map");
    };
    require(bytes.size() > header_bytes);
    const auto width = detail::load_le<std::uint32_t>(bytes.data());
    const auto height = detail::load_le<std::uint32_t>(bytes.data() + 4);
    require(width >= 1 && width <= max_side && height >= 1 && height <= max_side);
    const std::size_t size = std::size_t{width} * height;
    const auto frame = bytes.subspan(header_bytes);
    require(size <= max_ids && detail::zstd_content_size(frame, name) == size);
    const std::vector<std::byte> ids = detail::zstd_decompress(frame, size, name);
    const auto* first = reinterpret_cast<const std::uint8_t*>(ids.data());
    return Handle::make(LabelMap{static_cast<int>(width), static_cast<int>(height),
                                 std::vector<std::uint8_t>(first, first + size)});
  }

  std::optional<double> phi(const Handle& previous, const Handle& current) const override {
    return loss_(current.as<LabelledFrame>().labels, previous.as<LabelledFrame>().labels);
  }

  std::optional<double> difference(const Handle& previous, const Handle& current) const override {
    const auto &a = previous.as<LabelMap>(), &b = current.as<LabelMap>();
    if (a.width != b.width || a.height != b.height) return std::nullopt;
    return label_disagreement(b, a, classes_);
  }

  std::pair<Handle, Handle> frame_and_label(const Handle& sample) const override {
    const auto whole = sample.share<LabelledFrame>();
    return {std::shared_ptr<const Frame>(whole, &whole->frame),
            std::shared_ptr<const LabelMap>(whole, &whole->labels)};
  }

  std::size_t size_bytes(const Handle& sample) const override {
    const auto& labelled = sample.as<LabelledFrame>();
    return labelled.frame.rgb.size() + labelled.labels.ids.size();
  }

  std::unique_ptr<TaskScore> score() const override {
    return std::make_unique<MiouScore>(classes_);
  }

  /// Half the picture, half the colours of the labels (class_colour()). What is of no class of the
  /// subset stays as it is. Throws Error(invalid_argument) when bytes do not fit the sizes.
  Frame draw(const Handle& frame, const Handle& label) const override {
    Frame drawn = frame.as<Frame>();
    const LabelMap labels = resize_nearest(label.as<LabelMap>(), drawn.width, drawn.height);
    if (drawn.rgb.size() != 3 * labels.ids.size()) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a frame of {} x {} has {} bytes; {} are needed", drawn.width,
                              drawn.height, drawn.rgb.size(), 3 * labels.ids.size()));
    }
    for (std::size_t i = 0; i < labels.ids.size(); ++i) {
      const std::uint8_t id = labels.ids[i];
      if (!classes_.contains(id)) continue;
      const Colour colour = class_colour(id < names_.size() ? names_[id] : std::string(), id);
      std::uint8_t* const pixel = &drawn.rgb[3 * i];
      pixel[0] = static_cast<std::uint8_t>((pixel[0] + colour.r) / 2);
      pixel[1] = static_cast<std::uint8_t>((pixel[1] + colour.g) / 2);
      pixel[2] = static_cast<std::uint8_t>((pixel[2] + colour.b) / 2);
    }
    return drawn;
  }

  const ClassSubset& classes() const noexcept { return classes_; }

 private:
  ClassSubset classes_;
  std::vector<std::string> names_;
  HardLabelCrossEntropy loss_;
};

}  // namespace ams
