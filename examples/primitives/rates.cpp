#include <ams/core/phi_score.hpp>
#include <ams/core/sampling_rate.hpp>
#include <ams/segmentation/label_loss.hpp>
#include <cstdio>

int main() {
  ams::HardLabelCrossEntropy loss(ams::ClassSubset::first(2));
  ams::PhiScoreTracker<ams::LabelMap, ams::HardLabelCrossEntropy> phi(loss);
  ams::SamplingRateController controller;  // equation (1), every 10 s
  for (int second = 0; second <= 60; ++second) {
    phi.add(ams::LabelMap{2, 1, {0, static_cast<std::uint8_t>(second > 30 && second % 2)}});
    if (!controller.due(second)) continue;
    if (auto mean = phi.take_mean())
      std::printf("%d s: %.2f fps\n", second, controller.decide(second, *mean));
  }
}
