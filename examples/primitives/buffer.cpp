#include <ams/core/replay_buffer.hpp>
#include <cstdio>
#include <memory>

int main() {
  ams::HorizonReplayBuffer<std::shared_ptr<const int>> buffer({.horizon_seconds = 240});
  for (int second = 0; second < 600; ++second)
    buffer.add(second, std::make_shared<const int>(second));
  ams::Random random(1);
  const auto mini_batches = buffer.draw(599, 20, 8, random);  // K = 20 mini-batches of 8 samples
  std::printf("first sample drawn: second %d of 360 to 599\n", *mini_batches[0][0]);
}
