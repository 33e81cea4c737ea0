#include "ams/video/frame_times.hpp"

#include "ams/video/video_reader.hpp"
#include "ams/video/video_writer.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

std::vector<double> times_of(const std::filesystem::path& path) {
  VideoReader reader(path.string());
  std::vector<double> times;
  while (const auto frame = reader.next()) times.push_back(frame->capture_seconds);
  return times;
}

void check_equal(const std::vector<double>& times, const std::vector<double>& expected) {
  REQUIRE(times.size() == expected.size());
  for (std::size_t i = 0; i < times.size(); ++i) {
    CHECK(times[i] == doctest::Approx(expected[i]).epsilon(1e-9));
  }
}

std::vector<double> evenly(int frames, double fps, double start = 0) {
  std::vector<double> times;
  for (int i = 0; i < frames; ++i) times.push_back(start + i / fps);
  return times;
}

}  // namespace

TEST_CASE("times are those at which the frames play") {
  const Scratch scratch;
  struct Kind {
    const char* container;
    AVCodecID codec;
  };
  std::vector<Picture> pictures;
  std::int64_t at = 300;
  for (int i = 0; i < 30; ++i) {
    pictures.push_back(flat_picture(64, 64, static_cast<std::uint8_t>(8 * i), 99, 99, at));
    at += i < 12 ? 40 : 160;
  }
  for (const Kind kind : {Kind{"matroska", AV_CODEC_ID_FFV1}, Kind{"matroska", AV_CODEC_ID_MPEG4},
                          Kind{"mp4", AV_CODEC_ID_MPEG4}, Kind{"mpegts", AV_CODEC_ID_MPEG2VIDEO},
                          Kind{"m4v", AV_CODEC_ID_MPEG4}}) {
    CAPTURE(kind.container);
    BareVideo video;
    video.container = kind.container;
    video.codec = kind.codec;
    if (kind.codec == AV_CODEC_ID_MPEG2VIDEO) video.tick = {1, 25};
    auto pictures_here = pictures;
    if (kind.codec == AV_CODEC_ID_MPEG2VIDEO) {
      for (std::size_t i = 0; i < pictures_here.size(); ++i) {
        pictures_here[i].pts = static_cast<std::int64_t>(i);
      }
    }
    write_bare(scratch / "v", video, pictures_here);
    check_equal(read_frame_times(scratch / "v"), times_of(scratch / "v"));
  }
}

#ifdef AMS_WITH_X264
TEST_CASE("frames that are coded in another order are in the order in which they play") {
  const Scratch scratch;
  VideoWriterOptions options;
  options.fps = 12.5;
  VideoWriter writer(scratch / "v.mp4", 64, 32, options);
  for (int i = 0; i < 40; ++i) writer.add(scene(64, 32, i));
  writer.finish();
  check_equal(read_frame_times(scratch / "v.mp4"), evenly(40, 12.5));
  check_equal(read_frame_times(scratch / "v.mp4", 0.5), evenly(7, 12.5));
}
#endif

TEST_CASE("what is no video is refused, and a cut one has the frames before the cut") {
  const Scratch scratch;
  CHECK(error_of([&] { read_frame_times(scratch / "none"); }) == "io_error");
  write_bytes(scratch / "text", std::string(5000, 'x'));
  CHECK(error_of([&] { read_frame_times(scratch / "text"); }) == "malformed_data");

  std::vector<Picture> pictures;
  for (int i = 0; i < 20; ++i) pictures.push_back(flat_picture(64, 64, 9, 9, 9, 40 * i));
  write_bare(scratch / "v", {}, pictures);
  auto bytes = read_bytes(scratch / "v");
  bytes.resize(bytes.size() * 2 / 3);
  write_bytes(scratch / "v", bytes);
  const std::size_t left = read_frame_times(scratch / "v").size();
  CHECK(left > 5);
  CHECK(left < 20);
}

TEST_CASE("a frame is off when it may be taken for one beside it") {
  CHECK_FALSE(first_uneven_frame(evenly(1000, 29.97), 29.97));
  CHECK_FALSE(first_uneven_frame(evenly(1, 30), 5));
  CHECK(first_uneven_frame(evenly(1000, 29.97), 30) == 400);
  CHECK(first_uneven_frame(evenly(10, 10), 20) == 1);
  CHECK(first_uneven_frame(std::vector{0.0, 0.1, 0.2, 0.36, 0.4}, 10.0) == 3);
  CHECK_FALSE(first_uneven_frame(std::vector{0.0, 0.13, 0.17, 0.33, 0.4}, 10.0));
  CHECK(first_uneven_frame(std::vector{0.0, 0.0}, 10.0) == 1);
}

TEST_CASE("a constant rate suits most of a video's frames") {
  CHECK(constant_rate_for(evenly(30, 30)) == 30);
  CHECK(constant_rate_for(evenly(30, 29.97)) == 30);
  CHECK(constant_rate_for(evenly(30, 43)) == doctest::Approx(43));
  CHECK(constant_rate_for(evenly(3, 0.5)) == doctest::Approx(0.5));
  CHECK(constant_rate_for(evenly(1, 30)) == 25);
  CHECK(constant_rate_for(std::vector{0.0, 0.0, 0.0}) == 1000);
  std::vector<double> slower = evenly(15, 30);
  while (slower.size() < 30) slower.push_back(slower.back() + 1 / 6.0);
  CHECK(constant_rate_for(slower) == 30);
  std::vector<double> jittered = evenly(300, 30);
  for (std::size_t i = 1; i < 300; ++i) jittered[i] += i % 3 == 0 ? 0.002 : -0.001;
  CHECK(constant_rate_for(jittered) == 30);
  std::vector<double> bursts = evenly(300, 15);  // some frames come twice at once
  for (std::size_t i = 20; i < 300; i += 20) bursts[i] = bursts[i - 1] + 0.001;
  CHECK(constant_rate_for(bursts) == 15);
}
