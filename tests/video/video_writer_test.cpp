#include "ams/video/video_writer.hpp"

#include "ams/video/video_reader.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

TEST_CASE("frames come back in order, near the original, at their times") {
  const Scratch scratch;
  for (const double fps : {1.0, 5.0, 25.0, 30000.0 / 1001, 12.5}) {
    CAPTURE(fps);
    VideoWriterOptions options;
    options.fps = fps;
    options.crf = 16;
    VideoWriter writer(scratch / "v.mp4", 96, 64, options);
    for (int i = 0; i < 40; ++i) writer.add(scene(96, 64, 4 * i));
    CHECK(writer.frames() == 40);
    CHECK_FALSE(std::filesystem::exists(scratch / "v.mp4"));
    writer.finish();
    CHECK(scratch.entries() == 1);

    VideoReader reader((scratch / "v.mp4").string());
    CHECK(reader.fps() == doctest::Approx(fps).epsilon(1e-4));
    CHECK(reader.frame_count() == 40);
    REQUIRE(reader.duration_seconds().has_value());
    CHECK(*reader.duration_seconds() == doctest::Approx(40 / fps).epsilon(0.01));
    int count = 0;
    while (const auto frame = reader.next()) {
      CHECK(frame->capture_seconds == doctest::Approx(count / fps).epsilon(1e-3));
      const double own = psnr(*frame, scene(96, 64, 4 * count));
      CHECK(own > 35);
      CHECK(own > psnr(*frame, scene(96, 64, 4 * (count + 1))) + 6);
      ++count;
    }
    CHECK(count == 40);
    std::filesystem::remove(scratch / "v.mp4");
  }
}

TEST_CASE("a single frame is a video") {
  const Scratch scratch;
  VideoWriter writer(scratch / "v.mp4", 32, 32);
  writer.add(scene(32, 32, 0));
  writer.finish();
  VideoReader reader((scratch / "v.mp4").string());
  CHECK(reader.next().has_value());
  CHECK_FALSE(reader.next().has_value());
}

TEST_CASE("the index stands before the pictures, for the web") {
  const Scratch scratch;
  VideoWriter writer(scratch / "v.mp4", 32, 32);
  for (int i = 0; i < 3; ++i) writer.add(scene(32, 32, i));
  writer.finish();
  const auto bytes = read_bytes(scratch / "v.mp4");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  REQUIRE(text.find("moov") != std::string::npos);
  CHECK(text.find("moov") < text.find("mdat"));
}

TEST_CASE("coarser quality makes a smaller file") {
  const Scratch scratch;
  const auto size_at = [&](double crf) {
    VideoWriterOptions options;
    options.crf = crf;
    VideoWriter writer(scratch / "v.mp4", 96, 64, options);
    for (int i = 0; i < 10; ++i) writer.add(scene(96, 64, i, 40));
    writer.finish();
    return std::filesystem::file_size(scratch / "v.mp4");
  };
  CHECK(size_at(35) * 2 < size_at(18));
}

TEST_CASE("an unfinished video leaves nothing") {
  const Scratch scratch;
  {
    VideoWriter writer(scratch / "v.mp4", 32, 32);
    writer.add(scene(32, 32, 0));
    VideoWriter moved(std::move(writer));
    moved.add(scene(32, 32, 1));
    CHECK(moved.frames() == 2);
  }
  CHECK(scratch.entries() == 0);
}

TEST_CASE("what the writer refuses") {
  const Scratch scratch;
  const auto open = [&](int width, int height, const VideoWriterOptions& options = {}) {
    return error_of([&] { VideoWriter writer(scratch / "v.mp4", width, height, options); });
  };
  CHECK(open(33, 32) == "invalid_argument");
  CHECK(open(32, 8) == "invalid_argument");
  CHECK(open(32, 9000) == "invalid_argument");
  CHECK(open(32, 32, {.fps = 0}) == "invalid_argument");
  CHECK(open(32, 32, {.fps = std::nan("")}) == "invalid_argument");
  CHECK(open(32, 32, {.crf = 52}) == "invalid_argument");
  CHECK(open(32, 32, {.preset = "warp"}) == "invalid_argument");
  CHECK(open(32, 32, {.keyframe_interval = 0}) == "invalid_argument");
  CHECK(error_of([&] { VideoWriter writer(scratch / "none" / "v.mp4", 32, 32); }) == "io_error");
  CHECK(scratch.entries() == 0);

  VideoWriter writer(scratch / "v.mp4", 32, 32);
  CHECK(error_of([&] { writer.finish(); }) == "invalid_argument");
  CHECK(error_of([&] { writer.add(scene(34, 32, 0)); }) == "invalid_argument");
  Frame cut = scene(32, 32, 0);
  cut.rgb.pop_back();
  CHECK(error_of([&] { writer.add(cut); }) == "invalid_argument");
  CHECK(writer.frames() == 0);
  writer.add(scene(32, 32, 0));
  writer.finish();
  CHECK(error_of([&] { writer.finish(); }) == "invalid_argument");
  CHECK(error_of([&] { writer.add(scene(32, 32, 0)); }) == "invalid_argument");
}
