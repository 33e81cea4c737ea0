#include <ams/video/clip.hpp>
#include <cstdio>

int main() {
  const ams::ClipInfo info = ams::parse_clip_info(
      R"({"fps": 25, "label_stride": 5, "classes": ["road", "sky"], "eval_classes": [0, 1]})");
  std::printf("a label every %.1f s\n", info.label_period_seconds());
  return info.label_period_seconds() == 0.2 ? 0 : 1;
}
