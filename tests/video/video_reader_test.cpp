#include "ams/video/video_reader.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stop_token>
#include <thread>

#include "ams/video/sample_encoder.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

std::vector<Frame> read_all(VideoReader& reader) {
  std::vector<Frame> frames;
  while (auto frame = reader.next()) frames.push_back(std::move(*frame));
  return frames;
}

/// ITU-R BT.601 and BT.709, from their luma coefficients.
std::array<double, 3> rgb_of(double y, double u, double v, double kr, double kb, bool full_range) {
  const double luma = full_range ? y / 255 : (y - 16) / 219;
  const double scale = full_range ? 255 : 224;
  const double pb = (u - 128) / scale;
  const double pr = (v - 128) / scale;
  const double r = luma + 2 * (1 - kr) * pr;
  const double b = luma + 2 * (1 - kb) * pb;
  const double g = (luma - kr * r - kb * b) / (1 - kr - kb);
  return {255 * r, 255 * g, 255 * b};
}

std::uint16_t port_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

/// A TCP socket on the loopback; it accepts connections and never answers.
int silent_listener() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(listener, 4) == 0);
  return listener;
}

}  // namespace

TEST_CASE("timestamps of a variable frame rate are kept, from 0") {
  const Scratch scratch;
  const std::vector<std::int64_t> pts{500, 540, 700, 1700, 1733, 9000};
  std::vector<Picture> pictures;
  for (std::int64_t p : pts) pictures.push_back(flat_picture(64, 64, 100, 128, 128, p));
  for (const char* container : {"matroska", "nut"}) {
    CAPTURE(container);
    BareVideo video;
    video.container = container;
    write_bare(scratch / "vfr", video, pictures);
    VideoReader reader((scratch / "vfr").string());
    const auto frames = read_all(reader);
    REQUIRE(frames.size() == pts.size());
    for (std::size_t i = 0; i < pts.size(); ++i) {
      CHECK(frames[i].capture_seconds ==
            doctest::Approx(static_cast<double>(pts[i] - 500) / 1000).epsilon(1e-9));
    }
    CHECK_FALSE(reader.next().has_value());
    CHECK(reader.refused_packets() == 0);
    CHECK_FALSE(reader.live());
  }
}

TEST_CASE("frames of AVI, which has no timestamps, are one interval apart") {
  const Scratch scratch;
  std::vector<Picture> pictures;
  for (int i = 0; i < 6; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));
  BareVideo video;
  video.container = "avi";
  video.tick = {1, 25};
  write_bare(scratch / "v.avi", video, pictures);
  VideoReader reader((scratch / "v.avi").string());
  CHECK(reader.fps() == doctest::Approx(25));
  const auto frames = read_all(reader);
  REQUIRE(frames.size() == pictures.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frames[i].capture_seconds == doctest::Approx(static_cast<double>(i) / 25));
  }
}

TEST_CASE("colours follow the stream's matrix and range") {
  const Scratch scratch;
  struct Case {
    AVColorSpace matrix;
    AVColorRange range;
    int height;
    double kr, kb;
    bool full;
  };
  const std::array cases{
      Case{AVCOL_SPC_SMPTE170M, AVCOL_RANGE_MPEG, 64, 0.299, 0.114, false},
      Case{AVCOL_SPC_BT709, AVCOL_RANGE_MPEG, 64, 0.2126, 0.0722, false},
      Case{AVCOL_SPC_SMPTE170M, AVCOL_RANGE_JPEG, 64, 0.299, 0.114, true},
      Case{AVCOL_SPC_BT709, AVCOL_RANGE_JPEG, 64, 0.2126, 0.0722, true},
      Case{AVCOL_SPC_BT2020_NCL, AVCOL_RANGE_MPEG, 64, 0.2627, 0.0593, false},
      Case{AVCOL_SPC_UNSPECIFIED, AVCOL_RANGE_UNSPECIFIED, 64, 0.299, 0.114, false},
      Case{AVCOL_SPC_UNSPECIFIED, AVCOL_RANGE_UNSPECIFIED, 720, 0.2126, 0.0722, false},
  };
  const std::array<std::array<std::uint8_t, 3>, 5> colours{
      {{128, 128, 128}, {100, 100, 170}, {90, 160, 110}, {150, 110, 150}, {60, 120, 140}}};
  for (const Case& c : cases) {
    for (const auto& yuv : colours) {
      CAPTURE(static_cast<int>(c.matrix));
      CAPTURE(static_cast<int>(c.range));
      CAPTURE(c.height);
      CAPTURE(static_cast<int>(yuv[0]));
      BareVideo video;
      video.height = c.height;
      video.matrix = c.matrix;
      video.range = c.range;
      write_bare(scratch / "c.mkv", video, {flat_picture(64, c.height, yuv[0], yuv[1], yuv[2])});
      VideoReader reader((scratch / "c.mkv").string());
      const auto frame = reader.next();
      REQUIRE(frame.has_value());
      const auto expected = rgb_of(yuv[0], yuv[1], yuv[2], c.kr, c.kb, c.full);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        const double middle =
            frame->rgb[(static_cast<std::size_t>(c.height) / 2 * 64 + 32) * 3 + channel];
        CHECK(std::abs(middle - expected[channel]) <= 2);
      }
    }
  }
}

TEST_CASE("frames come in the size asked for") {
  const Scratch scratch;
  // Left half dark, right half light.
  Picture picture = flat_picture(64, 32, 40, 128, 128);
  for (std::size_t i = 0; i < picture.planes[0].size(); ++i) {
    if (i % 64 >= 32) picture.planes[0][i] = 200;
  }
  BareVideo video;
  video.height = 32;
  write_bare(scratch / "s.mkv", video, {picture});
  for (const Scaling scaling : {Scaling::area, Scaling::bicubic}) {
    VideoReaderOptions options;
    options.width = 20;
    options.height = 10;
    options.scaling = scaling;
    VideoReader reader((scratch / "s.mkv").string(), options);
    CHECK(reader.width() == 20);
    CHECK(reader.height() == 10);
    const auto frame = reader.next();
    REQUIRE(frame.has_value());
    CHECK(frame->width == 20);
    CHECK(frame->height == 10);
    REQUIRE(frame->rgb.size() == 600);
    CHECK(std::abs(frame->rgb[(5 * 20 + 4) * 3] - 255.0 * (40 - 16) / 219) <= 2);
    CHECK(std::abs(frame->rgb[(5 * 20 + 15) * 3] - 255.0 * (200 - 16) / 219) <= 2);
  }
}

TEST_CASE("quarter turns of the container are applied") {
  const Scratch scratch;
  // Bright top left quadrant: after a turn it must lie in another corner.
  Picture picture = flat_picture(64, 32, 30, 128, 128);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 32; ++x) picture.planes[0][static_cast<std::size_t>(y * 64 + x)] = 220;
  }
  struct Case {
    double degrees;
    int width, height;
    bool right, bottom;  // where the bright corner goes
  };
  for (const Case& c : {Case{0, 64, 32, false, false}, Case{90, 32, 64, true, false},
                        Case{180, 64, 32, true, true}, Case{270, 32, 64, false, true}}) {
    CAPTURE(c.degrees);
    BareVideo video;
    video.container = "mp4";
    video.codec = AV_CODEC_ID_MPEG4;
    video.tick = {1, 25};
    video.height = 32;
    video.rotation_degrees = c.degrees;
    write_bare(scratch / "r.mp4", video, {picture});
    VideoReader reader((scratch / "r.mp4").string());
    CHECK(reader.width() == c.width);
    CHECK(reader.height() == c.height);
    const auto frame = reader.next();
    REQUIRE(frame.has_value());
    REQUIRE(frame->width == c.width);
    REQUIRE(frame->height == c.height);
    const auto brightness = [&](bool right, bool bottom) {
      const int x = right ? c.width * 3 / 4 : c.width / 4;
      const int y = bottom ? c.height * 3 / 4 : c.height / 4;
      return static_cast<int>(frame->rgb[static_cast<std::size_t>(y * c.width + x) * 3]);
    };
    for (const bool right : {false, true}) {
      for (const bool bottom : {false, true}) {
        CHECK((brightness(right, bottom) > 128) == (right == c.right && bottom == c.bottom));
      }
    }
  }
}

#ifdef AMS_WITH_X264
TEST_CASE("a stream without timestamps runs at its frame rate") {
  const Scratch scratch;
  std::vector<FramePtr> frames;
  for (int i = 0; i < 6; ++i) frames.push_back(std::make_shared<Frame>(scene(64, 48, i)));
  write_bytes(scratch / "raw.h264", encode_samples(frames, 1));
  VideoReader reader((scratch / "raw.h264").string());
  const auto read = read_all(reader);
  REQUIRE(read.size() == 6);
  const double interval = 1 / reader.fps();
  for (std::size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i].capture_seconds ==
          doctest::Approx(static_cast<double>(i) * interval).epsilon(0.01));
  }
}
#endif

TEST_CASE("count, duration and frame rate of an MP4 file") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1001, 30000};
  std::vector<Picture> pictures;
  for (int i = 0; i < 45; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));
  write_bare(scratch / "n.mp4", video, pictures);
  VideoReader reader((scratch / "n.mp4").string());
  CHECK(reader.frame_count() == 45);
  CHECK(reader.fps() == doctest::Approx(30000.0 / 1001).epsilon(0.03));
  REQUIRE(reader.duration_seconds().has_value());
  CHECK(*reader.duration_seconds() == doctest::Approx(45 * 1001.0 / 30000).epsilon(0.03));
}

TEST_CASE("what cannot be opened is refused with its name") {
  const Scratch scratch;
  const auto open = [](const std::string& source, VideoReaderOptions options = {}) {
    std::string message;
    const auto code = error_of(
        [&] {
          VideoReader reader(source, options);
          while (reader.next()) {
          }
        },
        &message);
    if (code != "none" && code != "invalid_argument")
      CHECK(message.find(source) != std::string::npos);
    return code;
  };
  CHECK(open((scratch / "none.mp4").string()) == "io_error");
  CHECK(open("camera:987") == "io_error");
  CHECK(open("camera:") == "invalid_argument");
  CHECK(open("camera:../x") == "invalid_argument");

  write_bytes(scratch / "empty.mp4", std::string());
  CHECK(open((scratch / "empty.mp4").string()) == "malformed_data");
  write_bytes(scratch / "text.mp4", std::string(3000, 'x'));
  CHECK(open((scratch / "text.mp4").string()) == "malformed_data");

  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1, 25};
  write_bare(scratch / "whole.mp4", video, {flat_picture(64, 64, 100, 128, 128)});
  auto bytes = read_bytes(scratch / "whole.mp4");
  bytes.resize(bytes.size() / 2);
  write_bytes(scratch / "half.mp4", bytes);
  CHECK(open((scratch / "half.mp4").string()) == "malformed_data");

  VideoReaderOptions small;
  small.max_width = 32;
  CHECK(open((scratch / "whole.mp4").string(), small) == "limit_exceeded");
  for (const auto& spoil : std::vector<std::function<void(VideoReaderOptions&)>>{
           [](auto& o) { o.width = 64; }, [](auto& o) { o.width = o.height = -1; },
           [](auto& o) { o.width = o.height = 100'000; }, [](auto& o) { o.timeout_seconds = 0; },
           [](auto& o) { o.timeout_seconds = std::nan(""); }, [](auto& o) { o.threads = 0; },
           [](auto& o) { o.max_height = 0; }, [](auto& o) { o.camera_fps = -1; }}) {
    VideoReaderOptions options;
    spoil(options);
    CHECK(open((scratch / "whole.mp4").string(), options) == "invalid_argument");
  }
}

TEST_CASE("a playlist does not lead to other files") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mpegts";
  video.codec = AV_CODEC_ID_MPEG2VIDEO;
  video.tick = {1, 25};
  std::vector<Picture> pictures;
  for (int i = 0; i < 25; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));
  write_bare(scratch / "part.ts", video, pictures);
  VideoReader direct((scratch / "part.ts").string());
  CHECK(direct.next().has_value());
  write_bytes(
      scratch / "list.m3u8",
      std::string("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npart.ts\n#EXT-X-ENDLIST\n"));
  CHECK(error_of([&] {
          VideoReader reader((scratch / "list.m3u8").string());
          while (reader.next()) {
          }
        }) != "none");
}

TEST_CASE("a network source that stays silent ends in an error") {
  const int listener = silent_listener();
  const std::string address = "127.0.0.1:" + std::to_string(port_of(listener));
  VideoReaderOptions options;
  options.timeout_seconds = 0.2;
  for (const std::string scheme : {"http", "rtsp"}) {
    CAPTURE(scheme);
    CHECK(error_of([&] { VideoReader reader(scheme + "://" + address + "/v.mp4", options); }) ==
          "io_error");
  }
  close(listener);
  // Nobody listens there any more.
  CHECK(error_of([&] { VideoReader reader("http://" + address + "/v.mp4", options); }) ==
        "io_error");
}

TEST_CASE("a source that stays silent can be stopped while it is opened") {
  const int listener = silent_listener();
  const std::string address = "127.0.0.1:" + std::to_string(port_of(listener));
  VideoReaderOptions options;
  options.timeout_seconds = 3600;
  for (const std::string scheme : {"http", "rtsp"}) {
    CAPTURE(scheme);
    std::stop_source stop;
    options.stop = stop.get_token();
    const std::jthread other([&stop] { stop.request_stop(); });
    try {
      VideoReader reader(scheme + "://" + address + "/v.mp4", options);
      FAIL("opened");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::io_error);
      CHECK(std::string(error.what()).find("stopped") != std::string::npos);
    }
  }
  close(listener);
}

TEST_CASE("errors and names do not tell user and password") {
  const int listener = silent_listener();
  const std::string address = "127.0.0.1:" + std::to_string(port_of(listener));
  close(listener);  // nobody listens there any more
  for (const std::string user :
       {"admin:secret", "admin", "admin:se@cret", "admin:/secret", "se%63ret:"}) {
    for (const std::string scheme : {"rtsp", "http", "https"}) {
      const std::string source = scheme + "://" + user + "@" + address + "/v.mp4";
      CAPTURE(source);
      try {
        VideoReader reader(source);
        FAIL("opened");
      } catch (const Error& error) {
        const std::string message = error.what();
        CHECK(message.find(scheme + "://***@" + address + "/v.mp4") == 0);
        CHECK(message.find("cret") == std::string::npos);
        CHECK(message.find("admin") == std::string::npos);
      }
    }
  }
  const Scratch scratch;
  BareVideo video;
  write_bare(scratch / "a@b.mkv", video, {flat_picture(64, 64, 100, 128, 128, 0)});
  const std::string file = (scratch / "a@b.mkv").string();
  CHECK(VideoReader(file).name() == file);
}

TEST_CASE("damaged files end or throw, and never crash") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1, 25};
  std::vector<Picture> pictures;
  for (int i = 0; i < 10; ++i)
    pictures.push_back(flat_picture(64, 64, static_cast<std::uint8_t>(60 + 9 * i), 128, 128, i));
  write_bare(scratch / "v.mp4", video, pictures);
  const auto whole = read_bytes(scratch / "v.mp4");
  Random random(5);
  int readable = 0;
  for (int round = 0; round < 150; ++round) {
    auto bytes = whole;
    for (std::uint64_t flips = 1 + random.below(12); flips > 0; --flips) {
      bytes[random.below(bytes.size())] ^= static_cast<std::byte>(1U << random.below(8));
    }
    write_bytes(scratch / "damaged.mp4", bytes);
    try {
      VideoReader reader((scratch / "damaged.mp4").string());
      double last = -1;
      int frames = 0;
      while (auto frame = reader.next()) {
        CHECK(frame->capture_seconds > last);
        last = frame->capture_seconds;
        if (++frames == 1000) break;
      }
      ++readable;
    } catch (const Error&) {
    }
  }
  CHECK(readable > 0);  // else the damage never reached the reader proper
}

TEST_CASE("cancel ends the video") {
  const Scratch scratch;
  BareVideo video;
  std::vector<Picture> pictures;
  for (int i = 0; i < 5; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, 40 * i));
  write_bare(scratch / "v.mkv", video, pictures);
  VideoReader reader((scratch / "v.mkv").string());
  CHECK(reader.next().has_value());
  reader.cancel();
  CHECK_FALSE(reader.next().has_value());
  CHECK_FALSE(reader.next().has_value());
}

TEST_CASE("a stop token ends the video") {
  const Scratch scratch;
  BareVideo video;
  std::vector<Picture> pictures;
  for (int i = 0; i < 5; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, 40 * i));
  write_bare(scratch / "v.mkv", video, pictures);
  std::stop_source stop;
  VideoReaderOptions options;
  options.stop = stop.get_token();
  VideoReader reader((scratch / "v.mkv").string(), options);
  CHECK(reader.next().has_value());
  stop.request_stop();
  CHECK_FALSE(reader.next().has_value());
  CHECK_FALSE(reader.next().has_value());
}
