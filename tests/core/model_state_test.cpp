#include "ams/core/model_state.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ams/core/error.hpp"

using namespace ams;

namespace {

std::shared_ptr<const Manifest> two_tensors() {
  return std::make_shared<const Manifest>(std::vector<TensorSpec>{
      {.name = "conv.weight", .shape = {2, 3}},
      {.name = "bn.running_var", .shape = {2}, .kind = TensorKind::statistic}});
}

}  // namespace

TEST_CASE("a state has its values, its number and their digest") {
  const auto manifest = two_tensors();
  const std::vector<float> values = {1, -2, 3, 0, -0.0F, 1e-40F, 5, 6};
  const ModelState state(manifest, values, 7);
  CHECK(state.manifest_ptr() == manifest);
  CHECK(&state.manifest() == manifest.get());
  CHECK(state.version().number == 7);

  Digest sum = 0;
  for (std::size_t i = values.size(); i-- > 0;) {
    CHECK(std::signbit(state.values()[i]) == std::signbit(values[i]));
    CHECK(state.values()[i] == values[i]);
    sum += coordinate_digest(static_cast<std::uint32_t>(i), values[i]);
  }
  CHECK(state.version().digest == sum);
  CHECK(ModelState(manifest, values).version() == ModelVersion{0, sum});
}

TEST_CASE("a copy is a state of its own") {
  const ModelState state(two_tensors(), std::vector<float>(8, 1.5F), 3);
  const ModelState copy = state;
  CHECK(copy.version() == state.version());
  CHECK(copy.values().data() != state.values().data());
  CHECK(copy.manifest_ptr() == state.manifest_ptr());
}

TEST_CASE("the empty state has no manifest and no values") {
  const ModelState state;
  CHECK(state.manifest_ptr() == nullptr);
  CHECK(state.values().empty());
  CHECK(state.version() == ModelVersion{});
}

TEST_CASE("what cannot be a state is refused by name") {
  const auto message_of = [](auto&&... arguments) -> std::string {
    try {
      ModelState state(std::forward<decltype(arguments)>(arguments)...);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::invalid_argument);
      return error.what();
    }
    return "accepted";
  };
  CHECK(message_of(std::shared_ptr<const Manifest>(), std::vector<float>()).find("manifest") !=
        std::string::npos);
  CHECK(message_of(two_tensors(), std::vector<float>(7)).find("7 values") != std::string::npos);
  CHECK(message_of(two_tensors(), std::vector<float>(9)).find("9 values") != std::string::npos);
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values(8, 0.0F);
    values[7] = bad;
    const std::string message = message_of(two_tensors(), values);
    CHECK(message.find("value 1 of tensor 'bn.running_var'") != std::string::npos);
  }
}
