#include <ams/core/frame.hpp>
#include <ams/segmentation/label_map.hpp>
#include <ams/torch/network_predictor.hpp>
#include <cstdio>

int main() {
  ams::StudentSpec spec{.network = "deeplabv3_mobilenetv2", .input_width = 64, .input_height = 32};
  const ams::StudentValues student = ams::load_student_values(spec);
  auto predictor = ams::make_predictor(spec);
  predictor->load(student.values);
  const auto frame = ams::Handle::make(
      ams::Frame{64, 32, std::vector<std::uint8_t>(64 * 32 * 3, 127), 0});
  const ams::Handle prediction = predictor->predict(frame);
  const auto& labels = prediction.as<ams::LabelMap>();
  std::printf("%zu parameters, %zu labels\n", student.values.size(), labels.ids.size());
  return student.values.size() == 2113043 && labels.ids.size() == 64 * 32 ? 0 : 1;
}
