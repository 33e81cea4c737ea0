#include "ams/segmentation/miou.hpp"

#include <cstdio>

#include "ams/core/random.hpp"
#include "harness.hpp"

// One frame's confusion matrix and the sliding window's update, at the size at which the paper
// scores (512 x 256, 8 classes). Plain alternative: a nested count table, one pixel at a time.
namespace {

using namespace ams;

LabelMap runs(int width, int height, std::uint64_t max_run, Random& random) {
  LabelMap map{width, height, {}};
  while (map.ids.size() < static_cast<std::size_t>(width) * static_cast<std::size_t>(height)) {
    const auto id = static_cast<std::uint8_t>(random.below(9));  // one of nine is not selected
    const std::uint64_t run = 1 + random.below(max_run);
    map.ids.insert(map.ids.end(), run, id);
  }
  map.ids.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  return map;
}

}  // namespace

int main() {
  constexpr int width = 512;
  constexpr int height = 256;
  const ClassSubset classes = ClassSubset::first(8);
  benchmark::print_header("mIoU, 512 x 256 pixels, 8 classes");
  const double floor = 2.0 * width * height / benchmark::memory_bytes_per_second();

  for (const std::uint64_t max_run : {200, 20, 1}) {
    Random random(1);
    const LabelMap truth = runs(width, height, max_run, random);
    LabelMap prediction = truth;
    for (auto& id : prediction.ids) {
      if (random.below(max_run) == 0) id = static_cast<std::uint8_t>(random.below(8));
    }
    ConfusionMatrix confusion(classes);
    std::vector<std::vector<std::uint64_t>> table(8, std::vector<std::uint64_t>(9));
    benchmark::Row row;
    row.what = "ConfusionMatrix::add, runs of up to " + std::to_string(max_run);
    row.seconds = benchmark::median_seconds([&] { confusion.add(prediction, truth); });
    row.alternative = "table[truth][prediction], per pixel";
    row.alternative_seconds = benchmark::median_seconds([&] {
      for (std::size_t i = 0; i < truth.ids.size(); ++i) {
        if (truth.ids[i] < 8) ++table[truth.ids[i]][prediction.ids[i]];
      }
      benchmark::keep(table.data());
    });
    row.floor_seconds = floor;
    row.note = "floor: read both maps";
    benchmark::print_row(row);
  }

  // The window of 10 s at 30 fps: incremental, against summing its 300 matrices anew for each
  // frame.
  Random random(2);
  const LabelMap truth =
      runs(8, 1, 4, random);  // few pixels, so that the window's work is what counts
  SlidingMiou miou(classes);
  double now = 0;
  for (int i = 0; i < 300; ++i) miou.add(truth, truth, now += 1.0 / 30);
  ConfusionMatrix one(classes);
  one.add(truth, truth);
  const std::vector<ConfusionMatrix> window(300, one);
  benchmark::Row row;
  row.what = "SlidingMiou::add without pixels, 300 frames";
  row.seconds = benchmark::median_seconds([&] { miou.add(truth, truth, now += 1.0 / 30); });
  row.alternative = "sum 300 matrices";
  row.alternative_seconds = benchmark::median_seconds([&] {
    ConfusionMatrix sum(classes);
    for (const ConfusionMatrix& c : window) sum += c;
    const auto value = sum.mean_iou();
    benchmark::keep(&value);
  });
  benchmark::print_row(row);
}
