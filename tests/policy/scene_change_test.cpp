#include "ams/policy/scene_change.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "ams/core/error.hpp"

using namespace ams;

namespace {

/// One that has seen phi-scores of 0.2.
SceneChange settled() {
  SceneChange scene(0.4);
  for (int i = 0; i < 50; ++i) scene.on_phi(0.2);
  scene.begin_phase();
  return scene;
}

bool is_new(SceneChange& scene) {
  scene.begin_phase();
  return scene.in_phase();
}

}  // namespace

TEST_CASE("samples that differ much more than usual are new to one phase") {
  SceneChange scene = settled();
  scene.on_phi(0.49);  // under two and a half times the usual
  CHECK_FALSE(is_new(scene));
  scene.on_phi(0.7);
  CHECK(is_new(scene));
  CHECK(scene.in_phase());
  CHECK_FALSE(is_new(scene));
}

TEST_CASE("what comes while a phase runs is new to the next one") {
  SceneChange scene = settled();
  scene.begin_phase();
  scene.on_phi(0.7);
  CHECK_FALSE(scene.in_phase());
  CHECK(is_new(scene));
}

TEST_CASE("what is usual follows the video") {
  SceneChange scene = settled();
  for (int i = 0; i < 100; ++i) scene.on_phi(0.6);
  (void)is_new(scene);
  scene.on_phi(0.7);
  CHECK_FALSE(is_new(scene));
}

TEST_CASE("flickering labels of a still scene are none") {
  SceneChange scene(0.4);
  for (int i = 0; i < 50; ++i) scene.on_phi(0.001);
  (void)is_new(scene);
  scene.on_phi(0.19);
  CHECK_FALSE(is_new(scene));
  scene.on_phi(0.21);
  CHECK(is_new(scene));
}

TEST_CASE("what the device did not get is new again") {
  SceneChange scene = settled();
  scene.on_phi(0.7);
  scene.begin_phase();
  scene.take_back_phase();  // it failed
  CHECK(is_new(scene));
  scene.take_back_phase();  // its update was withheld
  CHECK(is_new(scene));
  CHECK_FALSE(is_new(scene));
  scene.take_back_phase();  // of a phase that met nothing
  CHECK_FALSE(is_new(scene));
}

TEST_CASE("a target out of range is refused") {
  for (const double target :
       {-0.1, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_AS(SceneChange{target}, Error);
  }
}
