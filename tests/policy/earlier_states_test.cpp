#include "ams/policy/earlier_states.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace ams;

TEST_CASE("the un-customised student comes first, and the newest scenes stay") {
  const std::vector<float> initial{1, 2};
  EarlierStates states(initial, 2);
  REQUIRE(states.starts().size() == 1);
  CHECK(*states.starts()[0].parameters == initial);
  for (float k = 0; k < 5; ++k) states.remember(std::vector<float>{k, k});
  const std::vector<OtherStart> starts = states.starts();
  REQUIRE(starts.size() == 3);
  CHECK(*starts[0].parameters == initial);
  CHECK(*starts[1].parameters == std::vector<float>{3, 3});
  CHECK(*starts[2].parameters == std::vector<float>{4, 4});
}

TEST_CASE("none are kept where none are wanted") {
  EarlierStates states(std::vector<float>{1}, 0);
  states.remember(std::vector<float>{2});
  CHECK(states.starts().size() == 1);
}

TEST_CASE("another start must be better by its margin, and the best of those is taken") {
  const auto start = [](double held, const std::vector<double>& scores,
                        const std::vector<double>& margins) {
    StartTrial trial;
    for (const double margin : margins) trial.others.push_back({nullptr, margin});
    return choose_start(trial, held, scores).start;
  };
  CHECK(start(0.5, {0.52, 0.4}, {0.03, 0.03}) == 0);
  CHECK(start(0.5, {0.54, 0.6, 0.55}, {0.03, 0.03, 0.03}) == 2);
  CHECK(start(0.5, {0.54, 0.6}, {0.03, 0.2}) == 1);
  CHECK(start(0.5, {}, {}) == 0);
  CHECK(start(0.5, {0.5}, {0}) == 0);
}

TEST_CASE("the un-customised student is taken back when it leads on the mean of several trials") {
  EarlierStates states(std::vector<float>{1}, 0);
  const double wide = states.starts()[0].margin;
  CHECK(wide > 0);
  states.on_scores({0.6, {0.5}, 0});  // what is held is better by 0.1
  for (int k = 0; k < 2; ++k) {
    states.on_scores({0.6, {0.61}, 0});
    CHECK(states.starts()[0].margin == wide);
  }
  for (int k = 0; k < 12; ++k) states.on_scores({0.6, {0.61}, 0});
  CHECK(states.starts()[0].margin == 0);
  states.on_scores({0.6, {0.61}, 1});  // done
  CHECK(states.starts()[0].margin == wide);
}
