#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "common/log.hpp"

namespace ams {

/// One line in the log where a network's input changes the shape of the pictures by more than
/// people would expect of a stretch (16:9 to 2:1 is nothing): what it does, and the size of as many
/// pixels that keeps the shape. `flag` names the input, e.g. "--input"; `where` whom to give it.
inline void tell_of_changed_shape(int picture_width, int picture_height, const std::string& flag,
                                  int width, int height, const std::string& where = "") {
  constexpr double most_stretch = 1.3;
  const double shape = static_cast<double>(picture_width) / picture_height;
  const double stretch = shape * height / width;
  if (std::max(stretch, 1 / stretch) < most_stretch) return;
  const auto side = [](double pixels) {
    return std::to_string(std::clamp(16 * static_cast<int>(std::lround(pixels / 16)), 32, 4096));
  };
  const double pixels = static_cast<double>(width) * height;
  const auto size = [](int w, int h) { return std::to_string(w) + "x" + std::to_string(h); };
  log::warning("shape_changed",
               {{"message", "pictures of " + size(picture_width, picture_height) +
                                " are stretched to " + flag + " " + size(width, height) + "; " +
                                flag + " " + side(std::sqrt(pixels * shape)) + "x" +
                                side(std::sqrt(pixels / shape)) + where + " keeps their shape"}});
}

}  // namespace ams
