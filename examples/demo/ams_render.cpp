// ams-render: films a rendered street drive into a clip folder, with the exact class of every
// pixel.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/video/clip.hpp"
#include "common/files.hpp"
#include "common/program.hpp"
#include "common/signals.hpp"
#include "demo/street/street.hpp"

namespace {

using namespace ams;
namespace fs = std::filesystem;

struct Settings {
  fs::path out;
  std::uint64_t seed = 1;
  double seconds = 150;
  double fps = 15;
  std::string size = "512x256";
  std::string schedule = "demo";
  int label_stride = 1;
  unsigned threads = 0;
  double crf = 20;
  bool replace = false;
  bool quiet = false;
} settings;

/// Renders frames on several threads and hands them out in order. At most `window` frames wait.
class Renderer {
 public:
  Renderer(const Street& street, unsigned threads)
      : street_(street), slots_(std::size_t{4} * threads) {
    for (unsigned k = 0; k < threads; ++k) workers_.emplace_back([this] { work(); });
  }
  ~Renderer() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  /// The next frame in order. Rethrows what a worker threw.
  LabelledFrame next() {
    std::unique_lock lock(mutex_);
    std::optional<LabelledFrame>& slot = slots_[taken_ % slots_.size()];
    changed_.wait(lock, [&] { return slot.has_value() || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    LabelledFrame frame = std::move(*slot);
    slot.reset();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return frame;
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stop_ || started_ < taken_ + slots_.size(); });
      if (stop_ || started_ == street_.frame_count()) return;
      const std::size_t index = started_++;
      lock.unlock();
      std::optional<LabelledFrame> frame;
      std::exception_ptr failure;
      try {
        frame = street_.render(index);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      slots_[index % slots_.size()] = std::move(frame);
      if (failure) failure_ = failure;
      changed_.notify_all();
    }
  }

  const Street& street_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<LabelledFrame>> slots_;
  std::size_t started_ = 0, taken_ = 0;
  bool stop_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

void show_progress(std::size_t done, std::size_t total, double elapsed_seconds) {
  constexpr int width = 32;
  const int filled = static_cast<int>(done * width / total);
  const double rate = static_cast<double>(done) / std::max(elapsed_seconds, 1e-3);
  std::fprintf(stderr, "\r[%s%s] %zu of %zu frames, %.0f frames/s ",
               std::string(filled, '=').c_str(), std::string(width - filled, ' ').c_str(), done,
               total, rate);
}

int render() {
  StreetOptions street_options;
  street_options.seed = settings.seed;
  street_options.seconds = settings.seconds;
  street_options.fps = settings.fps;
  std::tie(street_options.width, street_options.height) = options::parse_size(settings.size);
  if (street_options.width % 2 != 0 || street_options.height % 2 != 0) {
    throw Error(ErrorCode::invalid_argument,
                "--size '" + settings.size + "': both must be even, e.g. 512x256");
  }
  street_options.segments = parse_schedule(settings.schedule, settings.seed, settings.seconds);
  const Street street(street_options);

  ClipInfo info;
  info.name = settings.out.filename().string();
  info.fps = street_options.fps;
  info.label_stride = settings.label_stride;
  for (const std::string_view name : street_class_names()) info.classes.emplace_back(name);
  info.eval_classes.assign(street_eval_classes().begin(), street_eval_classes().end());
  info.kind = "rendered street drive";
  info.labels_by = "the renderer; exact";
  info.source =
      "ams-render --seed " + std::to_string(settings.seed) + " --schedule " + settings.schedule;
  info.licence = "MIT";
  for (const StreetSegment& segment : street.options().segments) {
    info.scenes.push_back({segment.start_seconds, std::string(to_string(segment.district)) + ", " +
                                                      std::string(to_string(segment.weather))});
  }

  fs::path target = fs::absolute(settings.out);
  if (!target.has_filename()) target = target.parent_path();
  if (target.has_parent_path()) create_folder(target.parent_path());
  Signals signals(Signals::Hangup::stops);
  signals.begin();
  ClipWriterOptions writing;
  writing.crf = settings.crf;
  writing.replace = settings.replace;
  ClipWriter writer(target, info, writing);

  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  Renderer renderer(street, settings.threads > 0 ? settings.threads : cores);
  const auto start = std::chrono::steady_clock::now();
  double shown_seconds = 0;
  for (std::size_t done = 1; done <= street.frame_count(); ++done) {
    signals.throw_if_stopped();
    const LabelledFrame frame = renderer.next();
    if (writer.wants_labels()) {
      writer.add(frame.frame, frame.labels);
    } else {
      writer.add(frame.frame);
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (!settings.quiet &&
        (elapsed.count() > shown_seconds + 0.25 || done == street.frame_count())) {
      show_progress(done, street.frame_count(), elapsed.count());
      shown_seconds = elapsed.count();
    }
  }
  writer.finish();
  if (!settings.quiet) std::fputc('\n', stderr);
  std::printf("%s: %zu frames of %dx%d at %g frames/s, labels for one of %d\n",
              settings.out.string().c_str(), street.frame_count(), street_options.width,
              street_options.height, street_options.fps, settings.label_stride);
  for (const StreetSegment& segment : street.options().segments) {
    std::printf("  from %5.1f s: %s, %s\n", segment.start_seconds,
                std::string(to_string(segment.district)).c_str(),
                std::string(to_string(segment.weather)).c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_signals();
  CLI::App app(
      "Renders a drive along a street into a clip folder (video.mp4, labels.mkv, clip.json), with "
      "the exact\n"
      "class of every pixel. The same options give the same pictures and labels on every "
      "machine.\n\n"
      "  ams-render --out clips/street                        the demo: daylight, dusk, rain, "
      "night\n"
      "  ams-render --out clips/fair --schedule fair --seed 7 daylight only, in another town\n"
      "  ams-render --out clips/mine --seconds 60 --schedule "
      "0:residential/clear,20:downtown/rain\n\n"
      "Districts: residential, downtown, industrial, boulevard.\n"
      "Weathers: clear, overcast, dusk, rain, night.");
  app.add_option("--out", settings.out, "clip folder to write")->required();
  app.add_option("--seed", settings.seed, "another seed is another town")->capture_default_str();
  app.add_option("--seconds", settings.seconds, "length of the drive")->capture_default_str();
  app.add_option("--fps", settings.fps, "frames a second")->capture_default_str();
  app.add_option("--size", settings.size, "width x height of video and labels")
      ->capture_default_str()
      ->check(options::size_between(16, 4096));
  app.add_option("--schedule", settings.schedule,
                 "demo, fair, or <start second>:<district>/<weather>, comma-separated")
      ->capture_default_str();
  app.add_option("--label-stride", settings.label_stride, "label one of so many frames")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  app.add_option("--crf", settings.crf, "quality of the H.264 video: 0 best, 51 worst")
      ->capture_default_str();
  app.add_option("--threads", settings.threads, "rendering threads (default: one a core)")
      ->check(CLI::Range(1, 256));
  app.add_flag("--replace", settings.replace, "replace an older clip folder of this name");
  app.add_flag("--quiet", settings.quiet, "no progress on stderr");
  options::add_common(app);
  return options::run(app, argc, argv, render);
}
