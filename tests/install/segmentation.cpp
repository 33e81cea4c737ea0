#include <ams/segmentation/miou.hpp>
#include <cstdio>

int main() {
  ams::ConfusionMatrix confusion(ams::ClassSubset::first(2));
  confusion.add({2, 1, {0, 1}}, {2, 1, {0, 0}});
  std::printf("mIoU %.2f\n", confusion.mean_iou().value());
  return confusion.pixels() == 2 ? 0 : 1;
}
