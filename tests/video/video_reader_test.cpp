#include "ams/video/video_reader.hpp"

#include <array>
#include <limits>
#include <stop_token>

#include "ams/video/image_file.hpp"
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

/// A picture that says which corner is which.
Picture corners(int width, int height) {
  Picture picture = flat_picture(width, height, 40, 128, 128);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.planes[0][static_cast<std::size_t>(y * width + x)] =
          static_cast<std::uint8_t>(40 + 150 * x / width + (y < height / 2 ? 0 : 45));
    }
  }
  return picture;
}

/// What a display matrix asks for, by its definition: pixel (x, y) goes to (a x + c y, b x + d y),
/// and all of them are moved so that they begin at (0, 0).
Frame shown_by(const Frame& frame, int a, int b, int c, int d) {
  const auto column = [&](int x, int y) { return a * x + c * y; };
  const auto row = [&](int x, int y) { return b * x + d * y; };
  const int w = frame.width - 1, h = frame.height - 1;
  Frame out;
  out.width = 1 + std::abs(column(w, h) - column(0, 0));
  out.height = 1 + std::abs(row(w, h) - row(0, 0));
  const int left = std::min({column(0, 0), column(w, h)}), top = std::min({row(0, 0), row(w, h)});
  out.rgb.resize(frame.rgb.size());
  for (int y = 0; y < frame.height; ++y) {
    for (int x = 0; x < frame.width; ++x) {
      const auto from = (static_cast<std::size_t>(y) * frame.width + x) * 3;
      const auto to =
          (static_cast<std::size_t>(row(x, y) - top) * out.width + (column(x, y) - left)) * 3;
      std::copy_n(&frame.rgb[from], 3, &out.rgb[to]);
    }
  }
  return out;
}

/// Writes `text` to a file of this name.
std::string text_file(const std::filesystem::path& path, const std::string& text) {
  write_bytes(path, text);
  return path.string();
}

std::string refusal(const std::string& source, VideoReaderOptions options = {}) {
  std::string message;
  const std::string code = error_of(
      [&] {
        VideoReader reader(source, options);
        while (reader.next()) {
        }
      },
      &message);
  return code + " " + message;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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

TEST_CASE("all eight orientations of a display matrix are applied") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1, 25};
  video.height = 32;
  write_bare(scratch / "plain.mp4", video, {corners(64, 32)});
  const Frame plain = *VideoReader((scratch / "plain.mp4").string()).next();
  const std::array<std::array<int, 4>, 8> matrices{{{1, 0, 0, 1},
                                                    {-1, 0, 0, 1},
                                                    {1, 0, 0, -1},
                                                    {-1, 0, 0, -1},
                                                    {0, 1, 1, 0},
                                                    {0, -1, -1, 0},
                                                    {0, 1, -1, 0},
                                                    {0, -1, 1, 0}}};
  for (const auto& m : matrices) {
    const int a = m[0], b = m[1], c = m[2], d = m[3];
    CAPTURE(a);
    CAPTURE(b);
    CAPTURE(c);
    CAPTURE(d);
    video.display_matrix = {a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30};
    write_bare(scratch / "turned.mp4", video, {corners(64, 32)});
    const Frame expected = shown_by(plain, a, b, c, d);
    VideoReader reader((scratch / "turned.mp4").string());
    CHECK(reader.width() == expected.width);
    CHECK(reader.height() == expected.height);
    const Frame frame = *reader.next();
    CHECK(frame.width == expected.width);
    CHECK(frame.height == expected.height);
    CHECK(frame.rgb == expected.rgb);

    VideoReaderOptions small;  // the size asked for is that of the picture as it is shown
    small.width = expected.width / 2;
    small.height = expected.height / 2;
    const Frame half = *VideoReader((scratch / "turned.mp4").string(), small).next();
    CHECK(half.width == small.width);
    CHECK(half.height == small.height);
    CHECK(psnr(half, scale_frame(expected, small.width, small.height)) > 40);
  }
}

TEST_CASE("a display matrix between two orientations is the nearest one") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1, 25};
  video.height = 32;
  write_bare(scratch / "plain.mp4", video, {corners(64, 32)});
  const Frame plain = *VideoReader((scratch / "plain.mp4").string()).next();
  constexpr int most = std::numeric_limits<std::int32_t>::max();
  struct Case {
    std::array<std::int32_t, 4> matrix;
    std::array<int, 4> nearest;
  };
  for (const Case& turn :
       {Case{{64000, 11000, -11000, 64000}, {1, 0, 0, 1}},   // 10 degrees
        Case{{11000, 64000, -64000, 11000}, {0, 1, -1, 0}},  // 80 degrees
        Case{{-131072, 0, 0, 65536}, {-1, 0, 0, 1}},         // mirrored, and twice as wide
        Case{{0, 0, 0, 0}, {1, 0, 0, 1}},                    // nonsense
        Case{{0, most, most, 0}, {0, 1, 1, 0}}}) {
    const auto &m = turn.matrix, &n = turn.nearest;
    CAPTURE(m[0]);
    CAPTURE(m[1]);
    video.display_matrix = {m[0], m[1], 0, m[2], m[3], 0, 0, 0, 1 << 30};
    write_bare(scratch / "turned.mp4", video, {corners(64, 32)});
    const Frame frame = *VideoReader((scratch / "turned.mp4").string()).next();
    CHECK(frame.rgb == shown_by(plain, n[0], n[1], n[2], n[3]).rgb);
  }
}

TEST_CASE("the EXIF orientation of a JPEG is applied") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mjpeg";
  video.codec = AV_CODEC_ID_MJPEG;
  video.format = AV_PIX_FMT_YUVJ420P;
  video.tick = {1, 25};
  video.height = 32;
  write_bare(scratch / "plain.jpg", video, {corners(64, 32)});
  const auto plain_bytes = read_bytes(scratch / "plain.jpg");
  const Frame plain = *VideoReader((scratch / "plain.jpg").string()).next();
  for (const auto& [value, matrix] :
       {std::pair{'\1', std::array{1, 0, 0, 1}}, std::pair{'\2', std::array{-1, 0, 0, 1}},
        std::pair{'\6', std::array{0, 1, -1, 0}}, std::pair{'\7', std::array{0, -1, -1, 0}}}) {
    // After the two bytes that begin a JPEG: one TIFF entry, Orientation, a short.
    std::string exif(
        "\xff\xe1\0\x22"
        "Exif\0\0"
        "II*\0\x8\0\0\0"
        "\1\0"
        "\x12\1\3\0\1\0\0\0?\0\0\0"
        "\0\0\0\0",
        36);
    exif[exif.find('?')] = value;
    std::string bytes(reinterpret_cast<const char*>(plain_bytes.data()), plain_bytes.size());
    bytes.insert(2, exif);
    VideoReader reader(text_file(scratch / "exif.jpg", bytes));
    const Frame expected = shown_by(plain, matrix[0], matrix[1], matrix[2], matrix[3]);
    CHECK(reader.width() == expected.width);
    CHECK(reader.height() == expected.height);
    CHECK(reader.next()->rgb == expected.rgb);
  }
}

TEST_CASE("pictures that are coded out of order come in order") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1, 25};
  video.gop = 12;
  video.b_frames = 2;
  std::vector<Picture> pictures;
  for (int i = 0; i < 20; ++i)
    pictures.push_back(flat_picture(64, 64, static_cast<std::uint8_t>(40 + 8 * i), 128, 128, i));
  write_bare(scratch / "b.mp4", video, pictures);
  VideoReader reader((scratch / "b.mp4").string());
  const auto frames = read_all(reader);
  REQUIRE(frames.size() == 20);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frames[i].capture_seconds == doctest::Approx(static_cast<double>(i) / 25));
    CHECK(std::abs(frames[i].rgb[0] - 255.0 * (24 + 8 * static_cast<double>(i)) / 219) < 6);
  }
}

TEST_CASE("frames are counted as they play, whatever the container claims") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mp4";
  video.codec = AV_CODEC_ID_MPEG4;
  video.tick = {1, 25};
  video.gop = 5;
  video.muxer_flags = "faststart";
  std::vector<Picture> pictures;
  for (int i = 0; i < 20; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));

  SUBCASE("a file that was cut") {
    for (Picture& picture : pictures) {  // each of one size, with something to code
      Random random(static_cast<std::uint64_t>(picture.pts));
      for (auto& sample : picture.planes[0]) sample = static_cast<std::uint8_t>(random.below(256));
    }
    write_bare(scratch / "v.mp4", video, pictures);
    auto bytes = read_bytes(scratch / "v.mp4");
    bytes.resize(bytes.size() / 2);
    write_bytes(scratch / "v.mp4", bytes);
  }
  SUBCASE("an edit list that leaves out the beginning") {
    for (Picture& picture : pictures) picture.pts -= 7;
    write_bare(scratch / "v.mp4", video, pictures);
  }
  VideoReader reader((scratch / "v.mp4").string());
  const auto claimed = reader.frame_count();
  const auto frames = read_all(reader);
  CHECK(frames.size() < 20);
  CHECK(frames.size() > 5);
  REQUIRE(claimed.has_value());
  CHECK(std::abs(*claimed - std::ssize(frames)) <= 1);  // the last one may be whole or not
  CHECK(reader.frame_count() == std::ssize(frames));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frames[i].capture_seconds == doctest::Approx(static_cast<double>(i) / 25));
  }
}

TEST_CASE("a wrong number of frames in the header is corrected at the end") {
  const Scratch scratch;
  BareVideo video;
  video.container = "avi";
  video.tick = {1, 25};
  std::vector<Picture> pictures;
  for (int i = 0; i < 6; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));
  write_bare(scratch / "v.avi", video, pictures);
  const auto whole = read_bytes(scratch / "v.avi");
  std::string bytes(reinterpret_cast<const char*>(whole.data()), whole.size());
  bytes[bytes.find("strh") + 8 + 32] = 99;  // dwLength
  VideoReader reader(text_file(scratch / "v.avi", bytes));
  CHECK(reader.frame_count() == 99);
  CHECK(read_all(reader).size() == 6);
  CHECK(reader.frame_count() == 6);
}

TEST_CASE("pictures that change their size keep coming") {
  const Scratch scratch;
  BareVideo video;
  video.container = "mpegts";
  video.codec = AV_CODEC_ID_MPEG2VIDEO;
  video.tick = {1, 25};
  std::string both;
  for (const int side : {64, 96}) {
    video.width = video.height = side;
    std::vector<Picture> pictures;
    for (int i = 0; i < 5; ++i) pictures.push_back(flat_picture(side, side, 100, 128, 128, i));
    write_bare(scratch / "part.ts", video, pictures);
    const auto part = read_bytes(scratch / "part.ts");
    both.append(reinterpret_cast<const char*>(part.data()), part.size());
  }
  const std::string path = text_file(scratch / "both.ts", both);
  VideoReader own(path);
  int small = 0, large = 0;
  while (auto frame = own.next()) ++(frame->width == 64 ? small : large);
  CHECK(small >= 4);  // libav's decoder may forget the one that it holds back
  CHECK(large == 5);
  VideoReaderOptions options;
  options.width = options.height = 32;
  VideoReader scaled(path, options);
  while (auto frame = scaled.next()) CHECK(frame->rgb.size() == 32 * 32 * 3);
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
           [](auto& o) { o.max_height = 0; }, [](auto& o) { o.camera_fps = -1; },
           [](auto& o) { o.fps = -1; }, [](auto& o) { o.fps = 1001; },
           [](auto& o) { o.fps = std::nan(""); }, [](auto& o) { o.live = true; }}) {
    VideoReaderOptions options;
    spoil(options);
    CHECK(open((scratch / "whole.mp4").string(), options) == "invalid_argument");
  }
}

TEST_CASE("what is no video is refused as what it is") {
  const Scratch scratch;
  std::string list;
  for (int i = 0; i < 60; ++i) list += "/data/clips/drive_" + std::to_string(i) + ".mp4\n";
  for (const char* type : {"txt", "nfo", "ans", "asc", "diz", "vt", "csv", "json", "srt", "ass",
                           "md", "mp4", "mkv", "jpg", "png", "bin", "xbin", "raw"}) {
    CAPTURE(type);
    const std::string path = text_file(scratch / (std::string("list.") + type), list);
    const std::string said = refusal(path);
    CHECK(said.starts_with("malformed_data " + path));
    if (type != std::string("raw")) CHECK(contains(said, "not a video: it is text"));
  }
  const auto of = [&](const std::string& name, const std::string& text) {
    return refusal(text_file(scratch / name, text));
  };
  CHECK(contains(of("a.txt", "x\n"), "it is text"));
  CHECK(contains(of("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n"), "it is text"));
  CHECK(contains(of("a.html", "\n<!DOCTYPE HTML><html></html>"), "it is an HTML page"));
  CHECK(contains(of("page.mp4", "<html><body>Sign in</body></html>"), "it is an HTML page"));
  CHECK(contains(of("a.mp4", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7\n"),
                 "it is a git-lfs pointer; get the file itself with 'git lfs pull'"));
  CHECK(contains(of("empty.mp4", ""), "it is empty"));
  CHECK(contains(of("empty.txt", ""), "it is empty"));
  CHECK(contains(of("a.zip", "PK\x3\x4 and more"), "it is a ZIP archive"));
  CHECK(contains(of("a.ts.gz", "\x1f\x8b and more"), "it is packed by gzip"));
  CHECK(contains(of("a.m3u", "#EXTM3U\nx.mp4\n"), "it is a playlist"));
  Random random(3);
  std::string noise;
  for (int i = 0; i < 5000; ++i) noise += static_cast<char>(random.below(256));
  CHECK(of("noise.mp4", noise).starts_with("malformed_data"));
  CHECK(of("noise.txt", noise).starts_with("malformed_data"));
  CHECK(of("pixels.yuv", noise).starts_with("malformed_data"));
}

TEST_CASE("sound is no video, with a cover or without") {
  const Scratch scratch;
  std::string sound;  // of MPEG-1 layer III, 128 kbps, 44.1 kHz: silence
  for (int i = 0; i < 20; ++i) sound += std::string("\xff\xfb\x90\x00", 4) + std::string(413, '\0');
  CHECK(contains(refusal(text_file(scratch / "sound.mp3", sound)), "holds sound, but no video"));

  write_png(scratch / "cover.png", scene(64, 64, 0));
  const auto png = read_bytes(scratch / "cover.png");
  const std::string apic = std::string("\0image/png\0\3\0", 13) +
                           std::string(reinterpret_cast<const char*>(png.data()), png.size());
  const auto size = [](std::size_t n, int bits) {
    std::string bytes;
    for (int shift = 3 * bits; shift >= 0; shift -= bits) {
      bytes += static_cast<char>((n >> shift) & ((std::size_t{1} << bits) - 1));
    }
    return bytes;
  };
  const std::string frame = "APIC" + size(apic.size(), 8) + std::string(2, '\0') + apic;
  const std::string tag = std::string("ID3\3\0\0", 6) + size(frame.size(), 7) + frame;
  CHECK(contains(refusal(text_file(scratch / "cover.mp3", tag + sound)),
                 "holds sound and a picture of its cover, but no video"));
}

TEST_CASE("pictures in files are a video") {
  const Scratch scratch;
  const auto folder = scratch / "drive";
  std::filesystem::create_directory(folder);
  // Natural order: 2 before 10. What is no picture is left alone.
  for (const int i : {1, 2, 3, 9, 10, 11}) {
    const auto grey = static_cast<std::uint8_t>(20 * i);
    write_png(folder / ("f" + std::to_string(i) + ".png"), solid(48, 32, grey, grey, grey));
  }
  text_file(folder / "notes.txt", "hello");
  text_file(folder / "._f1.png", "of another system");
  std::filesystem::create_directory(folder / "more.png");
  VideoReaderOptions options;
  options.fps = 4;
  for (const std::string source : {"drive", "drive/", "drive/f%d.png", "drive/f*.png"}) {
    CAPTURE(source);
    const std::string path = (scratch / source).string();
    VideoReader reader(path, options);
    CHECK(reader.name() == path);
    CHECK(reader.fps() == 4);
    CHECK(reader.width() == 48);
    CHECK(reader.height() == 32);
    CHECK(reader.frame_count() == 6);
    CHECK(reader.duration_seconds() == 1.5);
    CHECK_FALSE(reader.live());
    CHECK_FALSE(reader.still_picture());
    const auto frames = read_all(reader);
    REQUIRE(frames.size() == 6);
    const std::array numbers{1, 2, 3, 9, 10, 11};
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(frames[i].capture_seconds == doctest::Approx(static_cast<double>(i) / 4));
      CHECK(frames[i].rgb[0] == 20 * numbers[i]);
    }
    CHECK_FALSE(reader.next().has_value());
    const std::string said = refusal(path);
    CHECK(said.starts_with("invalid_argument " + path));
    CHECK(contains(said, "fps"));
  }
  options.width = options.height = 16;
  CHECK(VideoReader(folder.string(), options).next()->rgb.size() == 16 * 16 * 3);
  CHECK(VideoReader(folder.string(), options).width() == 16);

  CHECK(refusal((folder / "f%03d.png").string(), options).starts_with("io_error"));
  CHECK(refusal((folder / "g*.png").string(), options).starts_with("io_error"));
  CHECK(refusal((folder / "f%d_%d.png").string(), options).starts_with("io_error"));
  CHECK(refusal((scratch / "none" / "f%d.png").string(), options).starts_with("io_error"));

  VideoReader cancelled(folder.string(), options);
  CHECK(cancelled.next().has_value());
  cancelled.cancel();
  CHECK_FALSE(cancelled.next().has_value());
}

TEST_CASE("a pattern counts with leading zeros, and a percent sign may be meant") {
  const Scratch scratch;
  VideoReaderOptions options;
  options.fps = 10;
  for (const int i : {8, 9, 10, 1000}) {
    std::string number = std::to_string(i);
    number.insert(0, 3 - std::min<std::size_t>(number.size(), 3), '0');
    const auto grey = static_cast<std::uint8_t>(i % 251);
    write_png(scratch / ("50%_" + number + ".png"), solid(16, 16, grey, grey, grey));
  }
  VideoReader reader((scratch / "50%%_%03d.png").string(), options);
  std::vector<int> greys;
  for (const Frame& frame : read_all(reader)) greys.push_back(frame.rgb[0]);
  CHECK(greys == std::vector{8, 9, 10, 1000 % 251});

  write_png(scratch / "literal%03d.png", solid(16, 16, 77, 77, 77));  // a name like any other
  CHECK(VideoReader((scratch / "literal%03d.png").string()).next()->rgb[0] == 77);
}

TEST_CASE("a picture that does not fit the others is named") {
  const Scratch scratch;
  VideoReaderOptions options;
  options.fps = 10;
  for (const char* name : {"1.png", "2.png"}) write_png(scratch / name, solid(48, 32, 9, 9, 9));
  const auto third = (scratch / "3.png").string();
  const auto refused = [&] { return refusal(scratch.path().string(), options); };

  write_png(third, solid(32, 48, 9, 9, 9));
  CHECK(refused().starts_with("malformed_data " + third));
  CHECK(contains(refused(), "32 x 48"));
  CHECK(contains(refused(), "48 x 32"));
  options.width = options.height = 16;  // also where all are scaled
  CHECK(refused().starts_with("malformed_data " + third));

  text_file(third, "not a picture");
  CHECK(refused().starts_with("malformed_data " + third));
  text_file(third, "");
  CHECK(contains(refused(), third + ": not a video: it is empty"));

  BareVideo video;
  write_bare(scratch / "3.mkv", video, {flat_picture(64, 64, 100, 128, 128)});
  std::filesystem::rename(scratch / "3.mkv", third);
  CHECK(contains(refused(), third + ": a video"));
}

TEST_CASE("a folder without pictures says what it is") {
  const Scratch scratch;
  VideoReaderOptions options;
  options.fps = 10;
  CHECK(contains(refusal(scratch.path().string(), options), "a folder without pictures"));
  text_file(scratch / "clip.json", "{}");
  CHECK(contains(refusal(scratch.path().string(), options), "a clip folder"));
}

TEST_CASE("a picture alone is a video of one frame") {
  const Scratch scratch;
  write_png(scratch / "p.png", solid(48, 32, 7, 8, 9));
  VideoReader reader((scratch / "p.png").string());
  CHECK(reader.still_picture());
  CHECK(reader.width() == 48);
  const auto frames = read_all(reader);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].capture_seconds == 0);
  CHECK(frames[0].rgb[2] == 9);
}

TEST_CASE("fps is for what has no times of its own") {
  const Scratch scratch;
  std::vector<Picture> pictures;
  for (int i = 0; i < 6; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));
  BareVideo video;
  video.container = "mjpeg";
  video.codec = AV_CODEC_ID_MJPEG;
  video.format = AV_PIX_FMT_YUVJ420P;
  video.tick = {1, 25};
  write_bare(scratch / "v.mjpeg", video, pictures);
  VideoReaderOptions options;
  options.fps = 5;
  VideoReader reader((scratch / "v.mjpeg").string(), options);
  CHECK(reader.fps() == 5);
  const auto frames = read_all(reader);
  REQUIRE(frames.size() == 6);
  CHECK(frames[5].capture_seconds == doctest::Approx(1));

  write_bare(scratch / "v.mkv", BareVideo{}, {flat_picture(64, 64, 100, 128, 128)});
  const std::string said = refusal((scratch / "v.mkv").string(), options);
  CHECK(said.starts_with("invalid_argument"));
  CHECK(contains(said, "has times of its own"));
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
  const std::string said = refusal((scratch / "list.m3u8").string());
  CHECK(contains(said, "it is a playlist; give what it names"));
  for (const char* name : {"list.ffconcat", "list.txt"}) {
    text_file(scratch / name, "ffconcat version 1.0\nfile part.ts\n");
    CHECK(contains(refusal((scratch / name).string()), "it is a playlist; give what it names"));
  }
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
