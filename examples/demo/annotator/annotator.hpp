#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ams/segmentation/label_map.hpp"
#include "ams/segmentation/palette.hpp"

namespace ams {

/// One picture of an annotated video.
struct AnnotationPanel {
  std::string title;
  std::string subtitle = {};        ///< smaller, behind the title
  Colour accent = {200, 206, 216};  ///< of its mIoU and of its line in the chart
  bool scored = false;              ///< has an mIoU, and a line in the chart
};

/// What a panel shows at one time.
struct AnnotationContent {
  const LabelMap* labels = nullptr;  ///< painted over the frame; none: the frame alone
  std::optional<double> miou = {};   ///< 0 to 1; for scored panels
  std::string note = {};             ///< small, top right; for panels that are not scored
};

struct AnnotatorOptions {
  std::string heading;               ///< top left
  std::vector<std::string> classes;  ///< names by class id
  std::vector<std::uint8_t>
      shown_classes;      ///< painted and explained below; the rest stays dimmed video
  int panel_width = 640;  ///< pixels, 160 to 1920; less where the panel would be higher than 16:9
  double opacity = 0.62;  ///< of the class colours over the video, 0 to 1
  double duration_seconds = 0;  ///< length of the chart's time axis; 0: no chart
  std::string chart_title = "mIoU %";
  bool legend = true;
};

/// Puts label maps side by side, over the video they belong to: a grid of titled panels, two in a
/// row, a legend of the classes, and a chart of the mIoU so far. For people to look at. One thread
/// at a time.
class Annotator {
 public:
  /// 1 to 8 panels; the video's size gives their shape. Error(invalid_argument).
  Annotator(std::vector<AnnotationPanel> panels, int video_width, int video_height,
            const AnnotatorOptions& options);
  ~Annotator();
  Annotator(Annotator&&) noexcept;
  Annotator& operator=(Annotator&&) noexcept;

  int width() const noexcept;   ///< of the composed pictures, pixels, even
  int height() const noexcept;  ///< likewise

  /// The picture for a frame and one content per panel. Adds the mIoUs to the chart, so frames come
  /// in order of their time. Label maps may have any size. Error(invalid_argument).
  Frame compose(const Frame& frame, std::span<const AnnotationContent> contents);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
