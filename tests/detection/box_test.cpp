#include "ams/detection/box.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "detection/random_boxes.hpp"

using namespace ams;

namespace {

std::string refusal(const BoxSet& set, std::size_t classes = 2) {
  try {
    check_boxes(set, classes, "the label");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    return error.what();
  }
  return "";
}

std::string refusal(const Box& box) {
  return refusal(BoxSet{{Box{0, 0, 1, 1}, box}});
}

}  // namespace

TEST_CASE("boxes are checked, and the first that is wrong is named") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(refusal(BoxSet{}) == "");
  CHECK(refusal(Box{0, 0, 1, 1, 1, 0}) == "");
  for (const Box& box :
       {Box{0.5F, 0, 0.5F, 1}, Box{0.6F, 0, 0.5F, 1}, Box{0, 0.5F, 1, 0.5F}, Box{-0.1F, 0, 1, 1},
        Box{0, 0, 1.1F, 1}, Box{0, -1, 1, 1}, Box{0, 0, 1, 2}, Box{nan, 0, 1, 1}, Box{0, nan, 1, 1},
        Box{0, 0, nan, 1}, Box{0, 0, 1, nan}, Box{-infinity, 0, 1, 1}, Box{0, 0, infinity, 1}}) {
    CHECK(refusal(box).find("box 1 of the label is (") == 0);
  }
  CHECK(refusal(Box{0, 0, 1, 1, 2}) == "box 1 of the label has class 2; allowed are 0 to 1");
  for (const float score : {nan, -0.1F, 1.1F, infinity})
    CHECK(refusal(Box{0, 0, 1, 1, 0, score}).find("box 1 of the label has score") == 0);
  BoxSet many;
  many.boxes.resize(BoxSet::max_boxes, Box{0, 0, 1, 1});
  CHECK(refusal(many) == "");
  many.boxes.push_back({0, 0, 1, 1});
  CHECK(refusal(many).find("has 1001 boxes") != std::string::npos);
}

TEST_CASE("intersection over union") {
  const Box left{0, 0, 0.5F, 1}, right{0.5F, 0, 1, 1}, all{0, 0, 1, 1};
  CHECK(box_iou(left, left) == 1);
  CHECK(box_iou(left, right) == 0);  // they touch
  CHECK(box_iou(left, all) == 0.5);
  CHECK(box_iou(Box{0, 0, 0.5F, 0.5F}, Box{0.5F, 0.5F, 1, 1}) == 0);
  CHECK(box_iou(Box{0, 0, 0.75F, 1}, Box{0.25F, 0, 1, 1}) == doctest::Approx(0.5));
}

TEST_CASE("random boxes against a count of cells") {
  Random random(3);
  constexpr int cells = 12;
  for (int run = 0; run < 300; ++run) {
    const Box a = random_box(random, 1, cells), b = random_box(random, 1, cells);
    int both = 0, either = 0;
    for (int y = 0; y < cells; ++y) {
      for (int x = 0; x < cells; ++x) {
        const float u = (static_cast<float>(x) + 0.5F) / cells;
        const float v = (static_cast<float>(y) + 0.5F) / cells;
        const auto is_in = [u, v](const Box& box) {
          return u > box.left && u < box.right && v > box.top && v < box.bottom;
        };
        both += is_in(a) && is_in(b);
        either += is_in(a) || is_in(b);
      }
    }
    CHECK(box_iou(a, b) == doctest::Approx(static_cast<double>(both) / either));
    CHECK(box_iou(a, b) == box_iou(b, a));
  }
}
