#pragma once

#include <memory>
#include <string>

#include "ams/core/error.hpp"
#include "ams/core/frame.hpp"

namespace ams {

/// A window on the desktop that shows pictures. Of one thread, which makes and destroys it too.
class VideoWindow {
 public:
  /// The pictures' size in pixels, 16 to 8192. Errors: invalid_argument; unavailable: there is no
  /// display, or this libavdevice was built without SDL.
  VideoWindow(const std::string& title, int width, int height);
  ~VideoWindow();
  VideoWindow(VideoWindow&&) noexcept;
  VideoWindow& operator=(VideoWindow&&) noexcept;

  /// False once the user has closed the window: nothing is shown any more. Error(invalid_argument)
  /// for a picture of another size.
  bool show(const Frame& frame);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
