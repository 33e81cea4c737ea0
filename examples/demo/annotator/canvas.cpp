#include "canvas.hpp"

#include <algorithm>
#include <cmath>

#include "lettering.hpp"

namespace ams {
namespace {

constexpr double letter_gap = 1.9;  // between letters, in units of the lettering grid

/// One box for a character of several bytes (UTF-8).
bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

double unit_of(double size) {
  return size / 6;
}

}  // namespace

Canvas::Canvas(int width, int height, Colour background) {
  frame_.width = width;
  frame_.height = height;
  frame_.rgb.resize(static_cast<std::size_t>(width) * height * 3);
  fill(0, 0, width, height, background);
}

void Canvas::blend(int x, int y, Colour colour, double opacity) {
  std::uint8_t* pixel = &frame_.rgb[(static_cast<std::size_t>(y) * frame_.width + x) * 3];
  const auto mix = [&](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>(from + (to - from) * opacity + 0.5);
  };
  pixel[0] = mix(pixel[0], colour.r);
  pixel[1] = mix(pixel[1], colour.g);
  pixel[2] = mix(pixel[2], colour.b);
}

void Canvas::fill(int x, int y, int width, int height, Colour colour) {
  for (int row = std::max(0, y); row < std::min(frame_.height, y + height); ++row) {
    for (int column = std::max(0, x); column < std::min(frame_.width, x + width); ++column) {
      blend(column, row, colour, 1);
    }
  }
}

void Canvas::stroke(double x0, double y0, double x1, double y1, double radius, Colour colour,
                    double opacity) {
  const int left = std::max(0, static_cast<int>(std::floor(std::min(x0, x1) - radius - 1)));
  const int right =
      std::min(frame_.width - 1, static_cast<int>(std::ceil(std::max(x0, x1) + radius + 1)));
  const int top = std::max(0, static_cast<int>(std::floor(std::min(y0, y1) - radius - 1)));
  const int bottom =
      std::min(frame_.height - 1, static_cast<int>(std::ceil(std::max(y0, y1) + radius + 1)));
  const double dx = x1 - x0;
  const double dy = y1 - y0;
  const double length2 = dx * dx + dy * dy;
  for (int y = top; y <= bottom; ++y) {
    for (int x = left; x <= right; ++x) {
      const double px = x + 0.5 - x0;
      const double py = y + 0.5 - y0;
      const double along = length2 > 0 ? std::clamp((px * dx + py * dy) / length2, 0.0, 1.0) : 0;
      const double distance = std::hypot(px - along * dx, py - along * dy);
      const double coverage = std::clamp(radius - distance + 0.5, 0.0, 1.0);
      if (coverage > 0) blend(x, y, colour, coverage * opacity);
    }
  }
}

void Canvas::put(int x, int y, const Frame& image) {
  const int first = std::max(0, -x);
  const int last = std::min(image.width, frame_.width - x);
  if (first >= last) return;
  for (int row = std::max(0, -y); row < std::min(image.height, frame_.height - y); ++row) {
    const std::uint8_t* from =
        &image.rgb[(static_cast<std::size_t>(row) * image.width + first) * 3];
    std::copy(from, from + static_cast<std::size_t>(last - first) * 3,
              &frame_.rgb[(static_cast<std::size_t>(y + row) * frame_.width + x + first) * 3]);
  }
}

void Canvas::round_corners(int x, int y, int width, int height, double radius, Colour outside) {
  const int reach = static_cast<int>(std::ceil(radius));
  for (int row = 0; row < height; ++row) {
    if (row == reach && height > 2 * reach) row = height - reach;
    for (int column = 0; column < width; ++column) {
      if (column == reach && width > 2 * reach) column = width - reach;
      const double nearest_x = std::clamp(column + 0.5, radius, width - radius);
      const double nearest_y = std::clamp(row + 0.5, radius, height - radius);
      const double beyond = std::hypot(column + 0.5 - nearest_x, row + 0.5 - nearest_y) - radius;
      const int px = x + column;
      const int py = y + row;
      if (px < 0 || py < 0 || px >= frame_.width || py >= frame_.height) continue;
      blend(px, py, outside, std::clamp(beyond + 0.5, 0.0, 1.0));
    }
  }
}

double Canvas::text_width(double size, std::string_view words) {
  double units = 0;
  for (char c : words) {
    if (!continues_character(c)) units += lettering::width(c) + letter_gap;
  }
  return words.empty() ? 0 : (units - letter_gap) * unit_of(size);
}

double Canvas::text(double x, double base, double size, std::string_view words, Colour colour,
                    bool bold) {
  const double unit = unit_of(size);
  const double radius = unit * (bold ? 0.62 : 0.46);
  for (char c : words) {
    if (continues_character(c)) continue;
    const std::string_view points = lettering::strokes(c);
    for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
      if (points[i] == ' ') ++i;
      if (i + 3 >= points.size() || points[i + 2] == ' ') continue;  // the last point of its group
      const auto at_x = [&](std::size_t k) { return x + (points[k] - '0') * unit; };
      const auto at_y = [&](std::size_t k) { return base + (points[k] - '0' - 6) * unit; };
      stroke(at_x(i), at_y(i + 1), at_x(i + 2), at_y(i + 3), radius, colour);
    }
    x += (lettering::width(c) + letter_gap) * unit;
  }
  return x;
}

void Canvas::text_right(double x, double base, double size, std::string_view words, Colour colour,
                        bool bold) {
  text(x - text_width(size, words), base, size, words, colour, bold);
}

}  // namespace ams
