// A student on the device and on the server: one frame through the predictor, and one training step
// of batch 8, with the memory that it takes, for what each strategy trains. Beside each: libtorch's
// own way (the module's layers one by one; all gradients), and the floor: a matrix product of as
// many multiplications, on one core.

#include <torch/torch.h>

#include <string>
#include <utility>
#include <vector>

#include "ams/core/selection.hpp"
#include "ams/torch/image.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/student.hpp"
#include "harness.hpp"
#include "training.hpp"

namespace {

using namespace ams::benchmark;

struct Case {
  const char* network;
  double multiplications_per_pixel;  // of the input, forward
};
constexpr Case cases[] = {{"edanet", edanet_multiplications_per_pixel},
                          {"deeplabv3_mobilenetv2", 9931}};

/// The layers as they are written, batch norm for itself: what a user without libams runs.
double plain_forward_seconds(const ams::Student& student, const ams::Frame& frame) {
  const torch::NoGradGuard no_gradients;
  for (auto& item : student.network->parameters()) {
    item.tensor.set_requires_grad(item.tensor.dim() == 1);
  }
  const auto& spec = student.spec;
  return median_seconds([&] {
    const auto input =
        ams::normalized_batch({ams::scaled_rgb(frame, spec.input_width, spec.input_height)}, {})
            .contiguous();
    keep(student.forward(input).argmax(1).data_ptr());
  });
}

double step_seconds(ams::Trainer& trainer, const ams::StudentValues& start,
                    const std::vector<bool>& required, const std::vector<ams::Handle>& batch,
                    int runs = 3) {
  constexpr std::size_t iterations = 4;
  const std::size_t n = start.manifest->dimension();
  const auto phase = median_seconds(
      [&] {
        trainer.train({start.manifest,
                       start.values,
                       ams::AdamState(n),
                       {},
                       {},
                       ams::CoordinateSet::all(n),
                       required,
                       std::vector(iterations, batch)});
      },
      runs, 0);
  return phase / iterations;
}

}  // namespace

int main() {
  ams::tune_allocator_for_training();
  for (const int threads : {1, 2}) {
    ams::set_compute_threads(threads);
    const double rate = multiplications_per_second();
    print_header(("Student, " + std::to_string(threads) + " thread(s)").c_str());
    for (const Case& c : cases) {
      for (const auto& [width, height] : {std::pair{256, 128}, {512, 256}}) {
        ams::StudentSpec spec;
        spec.network = c.network;
        spec.input_width = width;
        spec.input_height = height;
        const std::string size = " " + std::to_string(width) + " x " + std::to_string(height);
        const double forward = c.multiplications_per_pixel * width * height / rate;
        const auto frame = noise(width, height, 1);

        const auto predictor = ams::make_predictor(spec);
        const auto picture = ams::Handle::make(frame->frame);
        const double ours = median_seconds(
            [&] { keep(predictor->predict(picture).as<ams::LabelMap>().ids.data()); });
        print_row({spec.network + size + " frame", ours, "layers one by one, contiguous",
                   plain_forward_seconds(ams::open_student(spec), frame->frame), forward, ""});
        if (width > 256) continue;

        std::vector<ams::Handle> batch;
        for (std::uint64_t i = 0; i < 8; ++i) batch.emplace_back(noise(width, height, i));
        const auto trainer = ams::make_segmentation_trainer(spec);
        const auto start = ams::load_student_values(spec);
        const std::vector<bool> all(start.manifest->tensors().size(), true);
        const double full = step_seconds(*trainer, start, all, batch);
        const double floor = 3 * 8 * forward;
        const auto memory = [&](const std::vector<bool>& required) {
          const double bytes =
              peak_bytes([&] { step_seconds(*trainer, start, required, batch, 1); });
          return bytes > 0 ? "+" + std::to_string(static_cast<int>(bytes / (1 << 20))) + " MiB"
                           : "";
        };
        print_row({spec.network + size + " step of 8, all gradients", full, "the same", full, floor,
                   memory(all)});
        for (const char* name :
             {"normalization", "normalization_and_head", "normalization+last_layers", "last_layers",
              "first_and_last_layers", "gradient_guided"}) {
          const auto required =
              ams::make_selection_strategy(name, 0.05)->required_gradients(*start.manifest);
          print_row({std::string("  ") + name, step_seconds(*trainer, start, required, batch),
                     "all gradients", full, 0, memory(required)});
        }
        ams::SegmentationTrainerOptions narrow;
        narrow.bfloat16 = true;
        print_row({"  all gradients, bfloat16",
                   step_seconds(*ams::make_segmentation_trainer(spec, narrow), start, all, batch),
                   "float32", full, 0, ""});
      }
    }
  }
}
