#include <ams/detection/average_precision.hpp>
#include <cstdio>

int main() {
  ams::AveragePrecision precision(1);
  precision.add({{{0, 0, 0.5F, 1}}}, {{{0, 0, 1, 1}}});
  std::printf("AP50 %.2f\n", precision.summary().ap50.value());
  return precision.pictures() == 1 ? 0 : 1;
}
