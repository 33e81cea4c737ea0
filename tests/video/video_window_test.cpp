#include "ams/video/video_window.hpp"

#include <cstdlib>

#include "support.hpp"

using namespace ams;
using namespace ams::test;

// Before the other one: SDL keeps the driver that it has found.
TEST_CASE("no window without a display, and none of a wrong size") {
  ::unsetenv("DISPLAY");
  ::unsetenv("WAYLAND_DISPLAY");
  std::string message;
  for (const char* driver : {"", "none of this name"}) {
    CAPTURE(driver);
    ::setenv("SDL_VIDEODRIVER", driver, 1);
    CHECK(error_of([] { VideoWindow window("A window", 64, 32); }, &message) == "unavailable");
    CHECK(message.find("display") != std::string::npos);
  }
  CHECK(error_of([] { VideoWindow window("A window", 8, 32); }) == "invalid_argument");
}

TEST_CASE("a window shows pictures of its size") {
  ::setenv("SDL_VIDEODRIVER", "dummy", 1);
  std::string message;
  const std::string error = error_of([] { VideoWindow window("A window", 64, 32); }, &message);
  if (error == "unavailable" && message.find("SDL") != std::string::npos) {
    MESSAGE("skipped: ", message);
    return;
  }
  REQUIRE(error == "none");
  VideoWindow window("A window", 64, 32);
  for (int i = 0; i < 3; ++i) CHECK(window.show(scene(64, 32, i)));
  CHECK(error_of([&] { window.show(scene(32, 64, 0)); }) == "invalid_argument");
  CHECK(window.show(scene(64, 32, 3)));
}
