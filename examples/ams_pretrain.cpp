// ams-pretrain: makes a student checkpoint offline, from rendered streets or from labelled clips.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/segmentation/label_resize.hpp"
#include "ams/segmentation/miou.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/pretrain.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/video_reader.hpp"
#include "common/files.hpp"
#include "common/options.hpp"
#include "common/signals.hpp"
#include "demo/street/street.hpp"

namespace {

using namespace ams;

options::StudentFlags student;
std::vector<std::string> clips;
int streets = 0;
std::uint64_t first_street_seed = 1000;
int frames_per_street = 16;
int held_out_streets = 4;
PretrainOptions training;
std::string output;
int threads = 0;
bool quiet = false;

/// Random frames of fair-weather drives, rendered once; each street is another town.
std::vector<LabelledFramePtr> render_streets(std::uint64_t first_seed, int count, int frames_each,
                                             Signals& signals) {
  std::vector<LabelledFramePtr> frames(static_cast<std::size_t>(count) *
                                       static_cast<std::size_t>(frames_each));
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int i = next++; i < count && !signals.token().stop_requested(); i = next++) {
      StreetOptions street;
      street.seed = first_seed + static_cast<std::uint64_t>(i);
      street.seconds = 600;
      street.segments = fair_weather_schedule(street.seed, street.seconds);
      const Street drive(street);
      Random random(street.seed);
      for (int j = 0; j < frames_each; ++j) {
        frames[static_cast<std::size_t>(i * frames_each + j)] =
            std::make_shared<const LabelledFrame>(drive.render(random.below(drive.frame_count())));
      }
      if (!quiet) std::fprintf(stderr, "\rrendering street %d of %d ", i + 1, count);
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 1; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
    workers.emplace_back(work);
  work();
  workers.clear();
  signals.throw_if_stopped();
  if (!quiet) std::fputc('\n', stderr);
  return frames;
}

/// Throws Error(invalid_argument) unless class ids mean the same in all clips, and the student has
/// an output for each.
void check_classes(const std::vector<Clip>& opened, const StudentSpec& spec) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::invalid_argument, message);
  };
  for (std::size_t c = 0; c < opened.size(); ++c) {
    const auto& names = opened[c].info().classes;
    if (names.size() > static_cast<std::size_t>(spec.num_classes)) {
      refuse(clips[c] + " has " + std::to_string(names.size()) + " classes and the student " +
             std::to_string(spec.num_classes) + " outputs; see --classes");
    }
    const auto& first = opened.front().info().classes;
    for (std::size_t id = 0; id < std::min(names.size(), first.size()); ++id) {
      if (names[id] == first[id]) continue;
      refuse("class " + std::to_string(id) + " is '" + first[id] + "' in " + clips.front() +
             " and '" + names[id] + "' in " + clips[c] + "; ids must mean the same in all clips");
    }
  }
}

/// Every labelled frame of a recorded clip; what nobody labelled has training's own ignore_id.
std::vector<LabelledFramePtr> read_clip(const Clip& clip, Signals& signals) {
  VideoReader video(clip.video_path());
  LabelTrackReader labels(clip.labels_path());
  std::vector<LabelledFramePtr> frames;
  for (std::size_t i = 0; auto frame = video.next(); ++i) {
    signals.throw_if_stopped();
    const auto stride = static_cast<std::size_t>(clip.info().label_stride);
    if (i % stride != 0 || i / stride >= labels.size()) continue;
    LabelMap map = labels.at(i / stride);
    clip.require_allowed_ids(map, i / stride);
    std::replace(map.ids.begin(), map.ids.end(), clip.info().ignore_id,
                 LabelMap::default_ignore_id);
    frames.push_back(
        std::make_shared<const LabelledFrame>(LabelledFrame{std::move(*frame), std::move(map)}));
  }
  return frames;
}

double evaluate(const StudentSpec& spec, const std::vector<LabelledFramePtr>& frames) {
  const auto predictor = make_predictor(spec);
  std::vector<std::uint8_t> classes(spec.selected_classes.begin(), spec.selected_classes.end());
  ConfusionMatrix confusion(classes.empty()
                                ? ClassSubset::first(static_cast<std::size_t>(spec.num_classes))
                                : ClassSubset(std::move(classes)));
  for (const auto& sample : frames) {
    const Handle frame(FramePtr(sample, &sample->frame));
    const Handle predicted = predictor->predict(frame);
    const auto& prediction = predicted.as<LabelMap>();
    confusion.add(prediction, resize_nearest(sample->labels, prediction.width, prediction.height));
  }
  return 100 * confusion.mean_iou().value_or(0);
}

int pretrain_student() {
  tune_allocator_for_training();
  set_compute_threads(
      threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  std::vector<int> street_classes(street_eval_classes().begin(), street_eval_classes().end());
  StudentSpec spec = student.spec(clips.empty() ? street_classes : std::vector<int>{});
  if (clips.empty() && streets == 0) {
    throw Error(ErrorCode::invalid_argument,
                "nothing to learn from: give --streets N or --clips FOLDER...");
  }

  // What can be found out now is, and not after the rendering or the training.
  require_writable(output);
  validate(training);
  load_student_values(spec);
  std::vector<Clip> opened;
  for (const auto& folder : clips) opened.push_back(Clip::open(folder));
  check_classes(opened, spec);
  Signals signals(Signals::Hangup::stops);
  signals.begin();

  std::vector<LabelledFramePtr> samples =
      render_streets(first_street_seed, streets, frames_per_street, signals);
  for (const Clip& clip : opened) {
    const auto more = read_clip(clip, signals);
    training.clip_names.push_back(clip.info().name);
    samples.insert(samples.end(), more.begin(), more.end());
  }
  training.progress = [&signals](int step, double loss) {
    signals.throw_if_stopped();
    if (!quiet && (step % 20 == 0 || step == training.steps)) {
      std::fprintf(stderr, "\rstep %d of %d, loss %.4f ", step, training.steps, loss);
    }
    return true;
  };
  const LabelledDataset dataset{samples.size(), [&](std::size_t i) { return samples[i]; }};
  const PretrainResult result = pretrain(spec, dataset, training, output);
  if (!quiet) std::fputc('\n', stderr);
  std::printf("%d steps in %.0f s, loss %.4f, written to %s\n", result.steps, result.seconds,
              result.loss, output.c_str());

  spec.weights = output;
  if (streets > 0 && held_out_streets > 0) {
    // Other seeds than the training's: what the student makes of a town that it has never seen.
    const auto held_out = render_streets(first_street_seed + static_cast<std::uint64_t>(streets),
                                         held_out_streets, frames_per_street, signals);
    std::printf("mIoU on %zu frames of %d held-out streets in fair weather: %.1f %%\n",
                held_out.size(), held_out_streets, evaluate(spec, held_out));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_signals();
  CLI::App app(
      "Makes a student checkpoint offline: trains the whole network, batch norm included, on\n"
      "rendered streets in fair weather and on labelled clips, and writes it as fp16 safetensors.\n"
      "\n"
      "  ams-pretrain --streets 128 --steps 3000 --out street_edanet.safetensors\n"
      "  ams-pretrain --clips clips/a clips/b --weights start.safetensors --out out.safetensors");
  student.add_for_pretraining_to(app);
  app.add_option("--clips", clips, "clip folders to learn from");
  app.add_option("--streets", streets, "number of rendered streets to learn from")
      ->check(CLI::Range(0, 100000));
  app.add_option("--first-street-seed", first_street_seed, "seed of the first street")
      ->capture_default_str();
  app.add_option("--frames-per-street", frames_per_street, "random frames of each street")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  app.add_option("--held-out-streets", held_out_streets,
                 "further streets, to measure mIoU on at the end")
      ->capture_default_str();
  app.add_option("--steps", training.steps, "training steps")->capture_default_str();
  app.add_option("--batch-size", training.batch_size, "frames a step")->capture_default_str();
  app.add_option("--learning-rate", training.learning_rate, "Adam's alpha at its highest")
      ->capture_default_str();
  app.add_option("--color-jitter", training.color_jitter, "strength of colour augmentation, 0 to 1")
      ->capture_default_str();
  app.add_flag("--bfloat16", training.bfloat16,
               "compute in bfloat16 (faster on CPUs that have it)");
  app.add_option("--seed", training.seed, "one seed governs the run")->capture_default_str();
  app.add_option("--threads", threads, "compute threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--out", output, "safetensors file to write")->required();
  app.add_flag("--quiet", quiet, "no progress on stderr");
  options::add_common(app);
  return options::run(app, argc, argv, pretrain_student);
}
