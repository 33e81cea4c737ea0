#include "ams/video/sample_encoder.hpp"

#include "support.hpp"

using namespace ams;
using namespace ams::test;

#ifdef AMS_WITH_X264

#include "ams/video/sample_decoder.hpp"

namespace {

std::vector<FramePtr> buffer(int count, int width, int height, int step = 7, double texture = 12) {
  std::vector<FramePtr> frames;
  for (int i = 0; i < count; ++i)
    frames.push_back(std::make_shared<Frame>(scene(width, height, step * i, texture)));
  return frames;
}

/// Pictures in an Annex B bitstream: slices whose first macroblock is number 0.
int pictures_in(const std::vector<std::byte>& bytes) {
  int pictures = 0;
  for (std::size_t i = 0; i + 4 < bytes.size(); ++i) {
    if (bytes[i] != std::byte{0} || bytes[i + 1] != std::byte{0} || bytes[i + 2] != std::byte{1})
      continue;
    const int type = std::to_integer<int>(bytes[i + 3]) & 31;
    const bool first = (bytes[i + 4] & std::byte{0x80}) != std::byte{0};
    if ((type == 1 || type == 5) && first) ++pictures;
  }
  return pictures;
}

/// TMPDIR for the length of a scope.
class TemporaryDirectoryIs {
 public:
  explicit TemporaryDirectoryIs(const std::string& path) {
    if (const char* old = std::getenv("TMPDIR")) old_ = old;
    setenv("TMPDIR", path.c_str(), 1);
  }
  ~TemporaryDirectoryIs() {
    if (old_)
      setenv("TMPDIR", old_->c_str(), 1);
    else
      unsetenv("TMPDIR");
  }

 private:
  std::optional<std::string> old_;
};

}  // namespace

TEST_CASE("one access unit a frame, in order, near the original") {
  for (const int count : {1, 2, 3, 10, 33}) {
    CAPTURE(count);
    const auto frames = buffer(count, 160, 96);
    SampleEncoderOptions options;
    options.target_bps = 20'000.0 * count;
    const auto bytes = encode_samples(frames, 10, options);
    CHECK(pictures_in(bytes) == count);
    const auto decoded = decode_samples(bytes, static_cast<std::size_t>(count));
    REQUIRE(decoded.size() == frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      CHECK(psnr(decoded[i], *frames[i]) > 33);
      // Frame i is nearer to its own original than to its neighbour's: nothing was swapped or
      // repeated.
      if (i > 0) CHECK(psnr(decoded[i], *frames[i]) > psnr(decoded[i], *frames[i - 1]) + 6);
    }
  }
}

TEST_CASE("the size hits the target") {
  for (const int count : {1, 2, 3, 5, 10, 20}) {
    for (const double target_bps : {8'000.0, 16'000.0}) {
      CAPTURE(count);
      CAPTURE(target_bps);
      SampleEncoderOptions options;
      options.target_bps = target_bps;
      options.min_qp = 0;
      const auto bytes = encode_samples(buffer(count, 192, 128, 5, 40), 10, options);
      const double achieved_bps = static_cast<double>(bytes.size()) * 8 / 10;
      CHECK(achieved_bps == doctest::Approx(target_bps).epsilon(0.1));
    }
  }
}

TEST_CASE("the quality ceiling keeps a small buffer below its target") {
  const auto frames = buffer(1, 192, 128);
  SampleEncoderOptions options;
  options.target_bps = 1e6;
  options.min_qp = 18;
  const auto fine = encode_samples(frames, 10, options);
  CHECK(static_cast<double>(fine.size()) * 8 / 10 < 0.2 * options.target_bps);
  CHECK(psnr(decode_samples(fine, 1)[0], *frames[0]) > 38);
  options.min_qp = 30;
  const auto coarse = encode_samples(frames, 10, options);
  CHECK(coarse.size() < fine.size() / 2);
}

TEST_CASE("a target below what the coarsest quantiser needs gives the smallest stream") {
  const auto frames = buffer(4, 192, 128, 5, 60);
  SampleEncoderOptions options;
  std::size_t last = 0;
  for (const double target_bps : {1.0, 300.0, 600.0, 1'000.0, 2'000.0, 4'000.0, 8'000.0}) {
    CAPTURE(target_bps);
    options.target_bps = target_bps;
    const auto bytes = encode_samples(frames, 10, options);
    CHECK(pictures_in(bytes) == 4);
    CHECK(decode_samples(bytes, 4).size() == 4);
    CHECK(bytes.size() * 1.1 >= last);  // a larger target never makes a much smaller stream
    last = bytes.size();
  }
}

TEST_CASE("the same frames give the same bytes") {
  const auto frames = buffer(5, 160, 96);
  SampleEncoderOptions options;
  options.target_bps = 30'000;
  CHECK(encode_samples(frames, 10, options) == encode_samples(frames, 10, options));
}

TEST_CASE("pictures are coded in the size asked for, or the frames' own made even") {
  const auto frames = buffer(2, 161, 97);
  const auto own = decode_samples(encode_samples(frames, 1), 2);
  CHECK(own[0].width == 160);
  CHECK(own[0].height == 96);
  SampleEncoderOptions options;
  options.width = 64;
  options.height = 48;
  const auto small = decode_samples(encode_samples(frames, 1, options), 2);
  CHECK(small[1].width == 64);
  CHECK(small[1].height == 48);
}

TEST_CASE("colours survive") {
  struct Rgb {
    std::uint8_t r, g, b;
  };
  for (const Rgb c : {Rgb{250, 10, 10}, Rgb{10, 250, 10}, Rgb{10, 10, 250}, Rgb{128, 128, 128},
                      Rgb{255, 255, 255}, Rgb{0, 0, 0}, Rgb{200, 120, 40}}) {
    const std::vector<FramePtr> frames{std::make_shared<Frame>(solid(64, 64, c.r, c.g, c.b))};
    const auto decoded = decode_samples(encode_samples(frames, 1), 1);
    const std::uint8_t* pixel = &decoded[0].rgb[(32 * 64 + 32) * 3];
    CHECK(std::abs(pixel[0] - c.r) <= 4);
    CHECK(std::abs(pixel[1] - c.g) <= 4);
    CHECK(std::abs(pixel[2] - c.b) <= 4);
  }
}

TEST_CASE("nothing stays in the temporary directory") {
  const Scratch scratch;
  const auto frames = buffer(2, 64, 48);
  {
    const TemporaryDirectoryIs temporary(scratch.path().string());
    encode_samples(frames, 1);
    CHECK(scratch.entries() == 0);
  }
  const TemporaryDirectoryIs temporary((scratch / "missing").string());
  std::string message;
  CHECK(error_of([&] { encode_samples(frames, 1); }, &message) == "io_error");
  CHECK(message.find("TMPDIR") != std::string::npos);
  CHECK(scratch.entries() == 0);
}

TEST_CASE("arguments outside the documented range are refused") {
  const auto frames = buffer(2, 64, 48);
  CHECK(error_of([&] { encode_samples({}, 1); }) == "invalid_argument");
  CHECK(error_of([&] { encode_samples(frames, 0); }) == "invalid_argument");
  CHECK(error_of([&] { encode_samples(frames, std::nan("")); }) == "invalid_argument");
  auto with_null = frames;
  with_null.push_back(nullptr);
  CHECK(error_of([&] { encode_samples(with_null, 1); }) == "invalid_argument");
  auto mixed = frames;
  mixed.push_back(std::make_shared<Frame>(scene(32, 48, 0)));
  CHECK(error_of([&] { encode_samples(mixed, 1); }) == "invalid_argument");
  auto short_of_pixels = frames;
  Frame cut = scene(64, 48, 0);
  cut.rgb.pop_back();
  short_of_pixels.push_back(std::make_shared<Frame>(cut));
  CHECK(error_of([&] { encode_samples(short_of_pixels, 1); }) == "invalid_argument");
  CHECK(error_of([&] { encode_samples(buffer(1, 8, 8), 1); }) == "invalid_argument");

  for (const auto& spoil : std::vector<std::function<void(SampleEncoderOptions&)>>{
           [](auto& o) { o.target_bps = 0; }, [](auto& o) { o.target_bps = std::nan(""); },
           [](auto& o) { o.width = 64; }, [](auto& o) { o.width = 63, o.height = 48; },
           [](auto& o) { o.width = 8, o.height = 48; },
           [](auto& o) { o.width = 64, o.height = 8192; }, [](auto& o) { o.min_qp = 52; },
           [](auto& o) { o.min_qp = -1; }, [](auto& o) { o.tolerance = 0; },
           [](auto& o) { o.max_passes = 1; }, [](auto& o) { o.preset = "warp"; }}) {
    SampleEncoderOptions options;
    spoil(options);
    CHECK(error_of([&] { encode_samples(frames, 1, options); }) == "invalid_argument");
  }
  std::string message;
  SampleEncoderOptions options;
  options.preset = "warp";
  error_of([&] { encode_samples(frames, 1, options); }, &message);
  CHECK(message.find("medium") != std::string::npos);
}

#else

TEST_CASE("without x264 the encoder says what to do") {
  const std::vector<FramePtr> frames{std::make_shared<Frame>(solid(64, 48, 1, 2, 3))};
  std::string message;
  CHECK(error_of([&] { encode_samples(frames, 1); }, &message) == "unavailable");
  CHECK_FALSE(can_encode_samples());
  CHECK(message.find("AMS_WITH_X264") != std::string::npos);
}

#endif
