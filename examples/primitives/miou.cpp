#include <ams/segmentation/miou.hpp>
#include <cstdio>

int main() {
  ams::SlidingMiou miou(ams::ClassSubset({0, 1, 2}));  // the video's classes; window of 10 s
  for (int frame = 0; frame < 100; ++frame) {
    const ams::LabelMap teacher{2, 2, {0, 1, 2, 255}};  // 255: nobody knows
    const ams::LabelMap student{2, 2, {0, 1, frame < 50 ? std::uint8_t{1} : std::uint8_t{2}, 0}};
    miou.add(student, teacher, frame / 10.0);
  }
  const ams::MiouSummary summary = miou.summary();
  std::printf("sliding %.3f, per frame %.3f, whole video %.3f\n", *summary.sliding,
              *summary.per_frame, *summary.whole_video);
}
