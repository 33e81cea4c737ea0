#pragma once

// Drawing on a frame: just what annotated videos need. Private to ams::video.

#include <string_view>

#include "ams/core/frame.hpp"
#include "ams/segmentation/palette.hpp"

namespace ams {

/// Coordinates are pixels from the top left; whatever lies outside the frame is cut off.
class Canvas {
 public:
  Canvas(int width, int height, Colour background);

  void fill(int x, int y, int width, int height, Colour colour);
  /// A line with round ends, smooth edges; a dot when both ends are one point.
  void stroke(double x0, double y0, double x1, double y1, double radius, Colour colour,
              double opacity = 1);
  void put(int x, int y, const Frame& image);
  /// Paints the four corners outside a radius over.
  void round_corners(int x, int y, int width, int height, double radius, Colour outside);

  /// `x`: left edge; `base`: base line; `size`: height of capitals. Returns where the text ends.
  double text(double x, double base, double size, std::string_view words, Colour colour,
              bool bold = false);
  /// `x`: right edge.
  void text_right(double x, double base, double size, std::string_view words, Colour colour,
                  bool bold = false);
  static double text_width(double size, std::string_view words);

  const Frame& frame() const { return frame_; }

 private:
  void blend(int x, int y, Colour colour, double opacity);

  Frame frame_;
};

}  // namespace ams
