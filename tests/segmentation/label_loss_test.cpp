#include "ams/segmentation/label_loss.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/phi_score.hpp"
#include "ams/core/random.hpp"
#include "segmentation/label_maps.hpp"

using namespace ams;
using test::label_map;

namespace {

// Softmax cross-entropy written out: probabilities of a one-hot prediction, each raised to the
// floor.
std::optional<double> slow_cross_entropy(const LabelMap& prediction, const LabelMap& truth,
                                         const std::vector<std::uint8_t>& ids, double floor) {
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < truth.ids.size(); ++i) {
    const auto t = std::find(ids.begin(), ids.end(), truth.ids[i]);
    const auto p = std::find(ids.begin(), ids.end(), prediction.ids[i]);
    if (t == ids.end() || p == ids.end()) continue;
    std::vector<double> probability(ids.size(), 0.0);
    probability[static_cast<std::size_t>(p - ids.begin())] = 1.0;
    for (double& x : probability) x = std::max(x, floor);
    sum -= std::log(probability[static_cast<std::size_t>(t - ids.begin())]);
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

}  // namespace

TEST_CASE("disagreement counts pixels on which both maps name a selected class") {
  const ClassSubset classes({0, 1, 2});
  const LabelMap truth = label_map(4, 2, {0, 0, 1, 2, 255, 7, 1, 2});
  const LabelMap prediction = label_map(4, 2, {0, 1, 1, 0, 0, 0, 255, 7});
  // Counted: the first four; different: the second and the fourth.
  CHECK(label_disagreement(prediction, truth, classes).value() == 0.5);
  CHECK(label_disagreement(truth, truth, classes).value() == 0.0);
  CHECK_FALSE(label_disagreement(prediction, truth, ClassSubset({9})).has_value());
  CHECK_FALSE(label_disagreement(LabelMap{}, LabelMap{}, classes).has_value());
}

TEST_CASE("label maps of unequal or false size are refused") {
  const ClassSubset classes({0});
  const LabelMap a = label_map(2, 3, std::vector<std::uint8_t>(6));
  const LabelMap turned = label_map(3, 2, std::vector<std::uint8_t>(6));
  const LabelMap short_one = label_map(2, 3, std::vector<std::uint8_t>(5));
  const LabelMap negative = label_map(-2, -3, std::vector<std::uint8_t>(6));
  CHECK_THROWS_WITH_AS(label_disagreement(a, turned, classes), doctest::Contains("2 x 3"), Error);
  CHECK_THROWS_AS(label_disagreement(a, short_one, classes), Error);
  CHECK_THROWS_AS(label_disagreement(short_one, a, classes), Error);
  CHECK_THROWS_AS(label_disagreement(negative, negative, classes), Error);
}

TEST_CASE("hard-label cross-entropy follows the softmax written out") {
  Random random(1);
  const std::vector<std::uint8_t> ids = {0, 2, 8, 13};
  const std::vector<std::uint8_t> drawn = {0, 2, 8, 13, 5, 255};
  for (const double floor : {0.01, 1e-7, 0.5}) {
    const HardLabelCrossEntropy loss(ClassSubset(ids), floor);
    for (int round = 0; round < 50; ++round) {
      const int width = 1 + static_cast<int>(random.below(20));
      const int height = 1 + static_cast<int>(random.below(20));
      const LabelMap truth = test::random_label_map(width, height, drawn, 9, random);
      const LabelMap prediction = test::random_label_map(width, height, drawn, 9, random);
      const auto expected = slow_cross_entropy(prediction, truth, ids, floor);
      const auto actual = loss(prediction, truth);
      REQUIRE(actual.has_value() == expected.has_value());
      if (expected) CHECK(*actual == doctest::Approx(*expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("range and unit of the hard-label cross-entropy") {
  const HardLabelCrossEntropy loss(ClassSubset({0, 1}));
  CHECK(loss.wrong_pixel_loss() == doctest::Approx(4.605170185988092).epsilon(1e-15));
  const LabelMap zeros = label_map(2, 1, {0, 0});
  const LabelMap ones = label_map(2, 1, {1, 1});
  CHECK(loss(zeros, zeros).value() == 0);
  CHECK(loss(zeros, ones).value() == loss.wrong_pixel_loss());
  for (const double floor : {0.0, 1.0, -0.1, 2.0, std::nan("")}) {
    CHECK_THROWS_WITH_AS(HardLabelCrossEntropy(ClassSubset({0}), floor),
                         doctest::Contains("(0, 1)"), Error);
  }
}

TEST_CASE("phi-score of a stream of label maps") {
  const HardLabelCrossEntropy loss(ClassSubset({0, 1}));
  PhiScoreTracker<LabelMap, HardLabelCrossEntropy> phi(loss);
  phi.add(label_map(2, 2, {0, 0, 1, 1}));
  phi.add(label_map(2, 2, {0, 0, 1, 0}));  // a quarter
  phi.add(label_map(2, 2, {0, 0, 1, 0}));  // none
  CHECK(phi.mean().value() == doctest::Approx(loss.wrong_pixel_loss() / 8));
  CHECK_THROWS_AS(phi.add(label_map(1, 2, {0, 0})), Error);
  CHECK(phi.count() == 2);
}
