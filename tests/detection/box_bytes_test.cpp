#include "ams/detection/box_bytes.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "detection/random_boxes.hpp"

using namespace ams;

namespace {

ErrorCode code_of(const std::vector<std::byte>& bytes) {
  try {
    unpack_boxes(bytes, 3);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::unavailable;  // none
}

}  // namespace

TEST_CASE("boxes come back as they were") {
  Random random(2);
  CHECK(unpack_boxes(pack_boxes({}), 1) == BoxSet{});
  for (int run = 0; run < 50; ++run) {
    const BoxSet set = random_boxes(random, 20, 3, 50);
    CHECK(unpack_boxes(pack_boxes(set), 3) == set);
  }
}

TEST_CASE("damaged bytes are refused, or are another valid set") {
  Random random(4);
  const BoxSet set{{{0.1F, 0.2F, 0.3F, 0.4F, 2, 0.5F}, {0, 0, 1, 1}}};
  const std::vector<std::byte> bytes = pack_boxes(set);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + std::ptrdiff_t(size));
    CHECK(code_of(part) == (size % 22 == 0 ? ErrorCode::unavailable : ErrorCode::malformed_data));
  }
  for (int run = 0; run < 2000; ++run) {
    std::vector<std::byte> damaged = bytes;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n)
      damaged[random.below(damaged.size())] ^= static_cast<std::byte>(1 + random.below(255));
    try {
      check_boxes(unpack_boxes(damaged, 3), 3, "what was read");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::malformed_data);
    }
  }
  BoxSet many;
  many.boxes.resize(BoxSet::max_boxes + 1, Box{0, 0, 1, 1});
  CHECK(code_of(pack_boxes(many)) == ErrorCode::malformed_data);
  CHECK(code_of(pack_boxes(BoxSet{{{0, 0, 1, 1, 3}}})) == ErrorCode::malformed_data);
  CHECK(code_of(pack_boxes(BoxSet{{{0, 0, 1, 1, 0, std::numeric_limits<float>::quiet_NaN()}}})) ==
        ErrorCode::malformed_data);
}
