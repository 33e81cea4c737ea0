#include "ams/policy/budget/scene_change.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "ams/core/error.hpp"

using namespace ams;

namespace {

const std::vector<double> usual{1.0, 1.0, 1.0, 1.0};
const std::vector<double> no_losses;

/// One that has seen phi-scores of 0.2 and losses of 1.
SceneChange settled() {
  SceneChange scene(0.4);
  for (int i = 0; i < 50; ++i) scene.on_phi(0.2);
  scene.begin_phase();
  (void)scene.end_phase(usual);
  return scene;
}

bool is_new(SceneChange& scene, const std::vector<double>& losses) {
  scene.begin_phase();
  return scene.end_phase(losses);
}

}  // namespace

TEST_CASE("the first phase meets something new, the like of it later does not") {
  SceneChange scene(0.4);
  CHECK(is_new(scene, usual));
  for (int i = 0; i < 10; ++i) CHECK_FALSE(is_new(scene, usual));
}

TEST_CASE("samples that differ much more than usual are new to one phase") {
  SceneChange scene = settled();
  scene.on_phi(0.49);  // under two and a half times the usual
  CHECK_FALSE(is_new(scene, usual));
  scene.on_phi(0.7);
  CHECK(is_new(scene, usual));
  CHECK_FALSE(is_new(scene, usual));
  scene.on_phi(0.8);
  CHECK(is_new(scene, no_losses));
  CHECK_FALSE(is_new(scene, no_losses));
}

TEST_CASE("what comes while a phase runs is new to the next one") {
  SceneChange scene = settled();
  scene.begin_phase();
  scene.on_phi(0.7);
  CHECK_FALSE(scene.end_phase(usual));
  CHECK(is_new(scene, usual));
}

TEST_CASE("a phase that begins with a much larger loss than usual has met something new") {
  SceneChange scene = settled();
  CHECK_FALSE(is_new(scene, {1.2, 1.2, 1.2, 1.2}));
  CHECK(is_new(scene, {1.6, 0.1, 0.1, 0.1}));
  scene = settled();
  CHECK_FALSE(is_new(scene, {0.1, 9, 9, 9}));  // only its beginning tells
}

TEST_CASE("what is usual follows the video") {
  SceneChange scene = settled();
  const std::vector<double> twice(8, 2.0);
  CHECK(is_new(scene, twice));
  for (int i = 0; i < 20; ++i) (void)is_new(scene, twice);
  CHECK_FALSE(is_new(scene, twice));
  for (int i = 0; i < 100; ++i) scene.on_phi(0.6);
  (void)is_new(scene, twice);
  scene.on_phi(0.7);
  CHECK_FALSE(is_new(scene, twice));
}

TEST_CASE("flickering labels of a still scene are none") {
  SceneChange scene(0.4);
  for (int i = 0; i < 50; ++i) scene.on_phi(0.001);
  (void)is_new(scene, usual);
  scene.on_phi(0.19);
  CHECK_FALSE(is_new(scene, usual));
  scene.on_phi(0.21);
  CHECK(is_new(scene, usual));
}

TEST_CASE("what the device did not get is new again") {
  SceneChange scene = settled();
  scene.on_phi(0.7);
  scene.begin_phase();
  scene.take_back_phase();  // it failed
  CHECK(is_new(scene, usual));
  scene.take_back_phase();  // its update was withheld
  CHECK(is_new(scene, usual));
  CHECK_FALSE(is_new(scene, usual));

  CHECK(is_new(scene, {5, 5, 5, 5}));  // by its loss
  scene.take_back_phase();
  CHECK(is_new(scene, no_losses));
  CHECK_FALSE(is_new(scene, no_losses));

  scene.take_back_phase();  // of a phase that met nothing
  CHECK_FALSE(is_new(scene, no_losses));
}

TEST_CASE("a copy brings back what was") {
  SceneChange scene = settled();
  const SceneChange before = scene;
  CHECK(is_new(scene, {1.6, 1.6, 1.6, 1.6}));
  scene = before;
  CHECK(is_new(scene, {1.6, 1.6, 1.6, 1.6}));
}

TEST_CASE("a target out of range is refused") {
  for (const double target :
       {-0.1, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(SceneChange{target}, Error);
  }
}
