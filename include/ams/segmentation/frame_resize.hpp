#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams {

namespace detail::frame_resize {

/// How one output value is made of a row or column of input values: the weighted sum of `count` of
/// them from `first` on, in fixed point.
struct Window {
  int first = 0, count = 0;
};

/// The windows of all output places along one axis; those of place i begin at weights[i * stride].
struct Axis {
  std::vector<Window> windows;
  std::vector<std::int16_t> weights;
  int stride = 0;
  int precision = 0;  ///< a weight of 1 is 1 << precision
};

/// Triangles as wide as an output pixel, and at least two input pixels. The weights have as many
/// bits as 16-bit products allow.
inline Axis make_axis(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double support = std::max(scale, 1.0);
  const double inverse = scale >= 1 ? 1 / scale : 1.0;
  const int stride = static_cast<int>(support) + (support > static_cast<int>(support) ? 1 : 0);
  Axis axis;
  axis.stride = 2 * stride + 1;
  std::vector<double> weights(static_cast<std::size_t>(to) * static_cast<std::size_t>(axis.stride));
  double most = 0;
  for (int i = 0; i < to; ++i) {
    const double center = scale * (i + 0.5);
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), from);
    const int count = std::clamp(end - first, 0, axis.stride);
    double* const own = weights.data() + static_cast<std::ptrdiff_t>(i) * axis.stride;
    double sum = 0;
    for (int j = 0; j < count; ++j) {
      const double distance = (j + first - center + 0.5) * inverse;
      own[j] = std::max(0.0, 1 - (distance < 0 ? -distance : distance));
      sum += own[j];
    }
    for (int j = 0; j < count; ++j) {
      own[j] /= sum;
      most = std::max(most, own[j]);
    }
    axis.windows.push_back({first, count});
  }
  while (axis.precision < 22 &&
         static_cast<int>(0.5 + most * (1 << (axis.precision + 1))) < (1 << 15)) {
    ++axis.precision;
  }
  axis.weights.reserve(weights.size());
  for (const double weight : weights) {
    axis.weights.push_back(static_cast<std::int16_t>(0.5 + weight * (1 << axis.precision)));
  }
  return axis;
}

inline std::uint8_t rounded(std::int32_t sum, int precision) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision, 0, 255));
}

}  // namespace detail::frame_resize

/// The frame at another size as students see it: the average over the area of an output pixel when
/// smaller, bilinear when larger. The same bytes on every machine, and those of torch's
/// interpolate(mode="bilinear", antialias=True) on uint8. Keeps capture_seconds. Throws
/// Error(invalid_argument) unless both sizes are at least 1 x 1 and rgb has width * height * 3
/// bytes. Thread-safe.
inline Frame resize_area(const Frame& frame, int width, int height) {
  if (frame.width < 1 || frame.height < 1 || width < 1 || height < 1 ||
      frame.rgb.size() != std::size_t{3} * static_cast<std::size_t>(frame.width) *
                              static_cast<std::size_t>(frame.height)) {
    throw Error(ErrorCode::invalid_argument,
                "a frame of " + std::to_string(frame.width) + " x " + std::to_string(frame.height) +
                    " has " + std::to_string(frame.rgb.size()) + " bytes, or it is to be " +
                    std::to_string(width) + " x " + std::to_string(height) +
                    ": sizes must be at least 1 x 1 with 3 bytes a pixel");
  }
  using detail::frame_resize::Axis;
  using detail::frame_resize::rounded;
  using detail::frame_resize::Window;
  // Rows first, then columns, each rounded to 8 bits.
  Frame wide{width, frame.height, {}, frame.capture_seconds};
  if (frame.width == width) {
    wide.rgb = frame.rgb;
  } else {
    const Axis axis = detail::frame_resize::make_axis(frame.width, width);
    wide.rgb.resize(std::size_t{3} * static_cast<std::size_t>(width) *
                    static_cast<std::size_t>(frame.height));
    std::uint8_t* out = wide.rgb.data();
    for (int y = 0; y < frame.height; ++y) {
      const std::uint8_t* const row =
          frame.rgb.data() + std::ptrdiff_t{3} * frame.width * static_cast<std::ptrdiff_t>(y);
      const std::int16_t* weights = axis.weights.data();
      for (const Window& window : axis.windows) {
        const std::uint8_t* in = row + std::ptrdiff_t{3} * window.first;
        std::int32_t red = 1 << (axis.precision - 1), green = red, blue = red;
        for (int j = 0; j < window.count; ++j, in += 3) {
          red += in[0] * weights[j];
          green += in[1] * weights[j];
          blue += in[2] * weights[j];
        }
        out[0] = rounded(red, axis.precision);
        out[1] = rounded(green, axis.precision);
        out[2] = rounded(blue, axis.precision);
        out += 3;
        weights += axis.stride;
      }
    }
  }
  if (frame.height == height) return wide;
  const Axis axis = detail::frame_resize::make_axis(frame.height, height);
  Frame result{width, height, {}, frame.capture_seconds};
  const std::ptrdiff_t row_bytes = std::ptrdiff_t{3} * width;
  result.rgb.resize(static_cast<std::size_t>(row_bytes) * static_cast<std::size_t>(height));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(row_bytes));
  std::uint8_t* out = result.rgb.data();
  const std::int16_t* weights = axis.weights.data();
  for (const Window& window : axis.windows) {
    std::fill(sums.begin(), sums.end(), 1 << (axis.precision - 1));
    const std::uint8_t* in = wide.rgb.data() + row_bytes * window.first;
    for (int j = 0; j < window.count; ++j, in += row_bytes) {
      const std::int32_t weight = weights[j];
      for (std::ptrdiff_t i = 0; i < row_bytes; ++i) {
        sums[static_cast<std::size_t>(i)] += in[i] * weight;
      }
    }
    for (const std::int32_t sum : sums) *out++ = rounded(sum, axis.precision);
    weights += axis.stride;
  }
  return result;
}

}  // namespace ams
