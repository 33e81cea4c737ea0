#include "ams/video/sample_decoder.hpp"

#include <set>

#include "ams/video/sample_encoder.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

std::vector<std::byte> encoded(int count, int width = 96, int height = 64, int first = 0) {
  std::vector<FramePtr> frames;
  for (int i = 0; i < count; ++i)
    frames.push_back(std::make_shared<Frame>(scene(width, height, first + 9 * i, 30)));
  SampleEncoderOptions options;
  options.target_bps = 12'000.0 * count;
  return encode_samples(frames, 1, options);
}

/// Every outcome but frames of the right number and size, or an Error, is a failure.
std::string outcome(const std::vector<std::byte>& bytes, std::size_t count,
                    const SampleDecoderLimits& limits = {}) {
  try {
    const auto frames = decode_samples(bytes, count, limits);
    CHECK(frames.size() == count);
    for (const Frame& frame : frames) {
      CHECK(frame.width == frames[0].width);
      CHECK(frame.height == frames[0].height);
      CHECK(frame.width <= limits.max_width);
      CHECK(frame.height <= limits.max_height);
      CHECK(frame.rgb.size() == static_cast<std::size_t>(frame.width) * frame.height * 3);
    }
    return "frames";
  } catch (const Error& error) {
    return to_string(error.code());
  }
}

struct Unit {
  std::size_t begin, end;  // start code included
  int type;
};

std::vector<Unit> units_of(const std::vector<std::byte>& bytes) {
  std::vector<Unit> units;
  for (std::size_t i = 0; i + 3 < bytes.size(); ++i) {
    if (bytes[i] == std::byte{0} && bytes[i + 1] == std::byte{0} && bytes[i + 2] == std::byte{1}) {
      if (!units.empty()) units.back().end = i;
      units.push_back({i, bytes.size(), std::to_integer<int>(bytes[i + 3]) & 31});
    }
  }
  return units;
}

}  // namespace

TEST_CASE("another number of frames than announced is refused") {
  const auto bytes = encoded(4);
  CHECK(outcome(bytes, 4) == "frames");
  CHECK(outcome(bytes, 3) == "malformed_data");
  CHECK(outcome(bytes, 5) == "malformed_data");
  CHECK(outcome(bytes, 0) == "invalid_argument");
}

TEST_CASE("each limit is held and named") {
  const auto bytes = encoded(4);
  SampleDecoderLimits limits;
  limits.max_frames = 3;
  CHECK(outcome(bytes, 4, limits) == "limit_exceeded");
  limits = {};
  limits.max_bytes = bytes.size() - 1;
  CHECK(outcome(bytes, 4, limits) == "limit_exceeded");
  limits.max_bytes = bytes.size();
  CHECK(outcome(bytes, 4, limits) == "frames");
  limits = {};
  limits.max_width = 95;
  CHECK(outcome(bytes, 4, limits) == "limit_exceeded");
  limits = {};
  limits.max_height = 63;
  CHECK(outcome(bytes, 4, limits) == "limit_exceeded");
  limits = {};
  limits.max_rgb_bytes = 4 * 96 * 64 * 3 - 1;
  CHECK(outcome(bytes, 4, limits) == "limit_exceeded");
  limits.max_rgb_bytes = 4 * 96 * 64 * 3;
  CHECK(outcome(bytes, 4, limits) == "frames");
}

TEST_CASE("a picture that is larger than its share is refused before it is decoded") {
  const auto bytes = encoded(2, 1024, 512);
  SampleDecoderLimits limits;
  CHECK(outcome(bytes, 2, limits) == "frames");
  limits.max_width = limits.max_height = 128;
  CHECK(outcome(bytes, 2, limits) == "limit_exceeded");
  limits.max_height = limits.max_width = 1024;
  limits.max_rgb_bytes = 1 << 20;
  CHECK(outcome(bytes, 2, limits) == "limit_exceeded");
  // What a device may send by default is taken, and not much more.
  CHECK(85UL * 1024 * 512 * 3 <= SampleDecoderLimits{}.max_rgb_bytes);
}

TEST_CASE("every truncation is refused, or loses nothing but the end of the last picture") {
  const auto bytes = encoded(3);
  const auto units = units_of(bytes);
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 40) {
    const std::vector<std::byte> cut(bytes.begin(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(size));
    CAPTURE(size);
    const std::string result = outcome(cut, 3);
    if (size < units.back().begin)
      CHECK(result == "malformed_data");
    else
      CHECK((result == "malformed_data" || result == "frames"));
  }
}

TEST_CASE("a missing, doubled or misplaced picture is refused") {
  const auto bytes = encoded(3);
  const auto units = units_of(bytes);
  const auto joined = [&](const std::vector<std::size_t>& order) {
    std::vector<std::byte> out;
    for (std::size_t i : order) {
      out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(units[i].begin),
                 bytes.begin() + static_cast<std::ptrdiff_t>(units[i].end));
    }
    return out;
  };
  REQUIRE(units.size() == 5);  // two parameter sets, three slices
  CHECK(outcome(joined({0, 1, 2, 3, 4}), 3) == "frames");
  CHECK(outcome(joined({0, 1, 2, 3}), 3) == "malformed_data");
  CHECK(outcome(joined({0, 1, 3, 4}), 2) == "malformed_data");  // begins without a key picture
  CHECK(outcome(joined({2, 3, 4}), 3) == "malformed_data");     // no parameter sets
  CHECK(outcome(joined({0, 1}), 1) == "malformed_data");        // no pictures
}

TEST_CASE("pictures of two sizes in one buffer are refused") {
  auto bytes = encoded(1, 96, 64);
  const auto other = encoded(1, 64, 64);
  bytes.insert(bytes.end(), other.begin(), other.end());
  CHECK(outcome(bytes, 2) == "malformed_data");
}

TEST_CASE("unit types that samples do not use are refused before decoding") {
  const auto bytes = encoded(1);
  for (int type = 0; type < 32; ++type) {
    auto with_extra = bytes;
    for (const int b : {0, 0, 1, type | 0x60, 0x80, 0x80})
      with_extra.push_back(static_cast<std::byte>(b));
    CAPTURE(type);
    const std::string result = outcome(with_extra, 1);
    const bool allowed = std::set<int>{6, 7, 8, 9, 10, 11, 12}.contains(type);
    if (!allowed) CHECK(result == "malformed_data");
  }
}

TEST_CASE("a picture of very many slices is refused before decoding") {
  const auto bytes = encoded(1);
  const auto units = units_of(bytes);
  auto many = bytes;
  for (int i = 0; i < 40; ++i) {
    const std::size_t begin = many.size();
    many.insert(many.end(), bytes.begin() + static_cast<std::ptrdiff_t>(units.back().begin),
                bytes.begin() + static_cast<std::ptrdiff_t>(units.back().begin) + 20);
    many[begin + 4] = std::byte{0x40};  // first macroblock: not number 0, so a further slice
  }
  std::string message;
  CHECK(error_of([&] { decode_samples(many, 1); }, &message) == "malformed_data");
  CHECK(message.find("slices") != std::string::npos);
}

TEST_CASE("a size beyond the limits in the parameter sets allocates nothing") {
  // A sequence parameter set of 16368 x 16368 pixels, by hand: baseline profile, level 5.2.
  std::vector<int> bits;
  const auto fixed = [&](unsigned value, int count) {
    for (int i = count - 1; i >= 0; --i) bits.push_back((value >> i) & 1);
  };
  const auto golomb = [&](unsigned value) {
    int length = 0;
    for (unsigned v = value + 1; v > 1; v >>= 1) ++length;
    fixed(0, length);
    fixed(value + 1, length + 1);
  };
  fixed(66, 8), fixed(0xC0, 8), fixed(52, 8);
  golomb(0), golomb(0), golomb(2), golomb(1), fixed(0, 1);
  golomb(1022), golomb(1022), fixed(1, 1), fixed(1, 1), fixed(0, 1), fixed(0, 1), fixed(1, 1);
  while (bits.size() % 8 != 0) bits.push_back(0);
  std::vector<std::byte> bytes{std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0x67}};
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    int value = 0;
    for (std::size_t k = 0; k < 8; ++k) value = value * 2 + bits[i + k];
    bytes.push_back(static_cast<std::byte>(value));
  }
  const auto small = encoded(1);
  const auto units = units_of(small);
  bytes.insert(bytes.end(), small.begin() + static_cast<std::ptrdiff_t>(units[1].begin),
               small.end());
  CHECK(outcome(bytes, 1) != "frames");
}

TEST_CASE("flipped bits give frames or an error, and never a crash") {
  const auto whole = encoded(4);
  Random random(11);
  int decoded = 0;
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    auto bytes = whole;
    for (std::uint64_t flips = 1 + random.below(round % 3 == 0 ? 40 : 3); flips > 0; --flips) {
      bytes[random.below(bytes.size())] ^= static_cast<std::byte>(1U << random.below(8));
    }
    (outcome(bytes, 4) == "frames" ? decoded : refused) += 1;
  }
  CHECK(refused > 100);
  CHECK(decoded > 0);  // H.264 has no checksums: some damage is a valid stream
}

TEST_CASE("random bytes are refused") {
  Random random(3);
  for (int round = 0; round < 400; ++round) {
    std::vector<std::byte> bytes(random.below(600));
    for (auto& b : bytes) b = static_cast<std::byte>(random.below(256));
    CHECK(outcome(bytes, 1 + random.below(3)) == "malformed_data");
    // The same behind a proper beginning.
    std::vector<std::byte> framed{std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0x65},
                                  std::byte{0x88}};
    framed.insert(framed.end(), bytes.begin(), bytes.end());
    CHECK(outcome(framed, 1) == "malformed_data");
  }
}
