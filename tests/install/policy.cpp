#include <ams/policy/learning_rates.hpp>
#include <cstdio>

int main() {
  const auto multipliers = ams::recommended_multipliers("full", 1);
  std::printf("the whole model learns %g times as fast\n", multipliers.weight);
  return multipliers.weight == 1 ? 0 : 1;
}
