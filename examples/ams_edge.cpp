// ams-edge: a device. Plays a video at its own rate, segments every frame with its student, and lets a server
// adapt that student. Everything that decides is in ams::EdgeClient; this program connects it to a camera or
// file, the network, and the running model.

#include <unistd.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "ams/core/label_resize.hpp"
#include "ams/core/miou.hpp"
#include "ams/core/model_holder.hpp"
#include "ams/edge/client.hpp"
#include "ams/edge/predictor.hpp"
#include "ams/net/client.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/sample_encoder.hpp"
#include "ams/video/video_reader.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/options.hpp"
#include "common/percentiles.hpp"
#include "common/signals.hpp"

namespace {

using namespace ams;

struct Flags {
  std::string server = "127.0.0.1:8443", token, token_file, ca_file;
  bool insecure_accept_any_host_name = false;
  ClientOptions client;
  options::StudentFlags student;
  std::string clip, video, state, report, record, timeline, uplink_size = "1024x512";
  double uplink_kbps = 200;
  bool compare = false;
  double max_lag_seconds = 1;
  double stop_after_seconds = 0;
  int threads = 1;
  std::string status = "auto";
} flags;

constexpr std::size_t max_state_bytes = std::size_t{1} << 30;

double now_seconds() {
  static const auto start = std::chrono::steady_clock::now();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Scores predictions against a clip's labels, beside those of the student as it was before any update, and
/// records both. Works on a thread of its own: it is our instrument, not part of the device.
class Scorer {
 public:
  Scorer(const Clip& clip, const StudentSpec& spec, const ModelState& initial)
      : clip_(clip), labels_(clip.labels_path()), adapted_(classes(clip)), baseline_(classes(clip)) {
    if (flags.compare) {
      baseline_predictor_ = make_predictor(spec);
      baseline_predictor_->load(initial.values());
    }
    if (!flags.record.empty()) {
      std::filesystem::create_directories(flags.record);
      const double fps = 1 / clip.info().label_period_seconds();
      adapted_track_.emplace(std::filesystem::path(flags.record) / "adapted.mkv", spec.input_width,
                             spec.input_height, fps);
      if (flags.compare) {
        baseline_track_.emplace(std::filesystem::path(flags.record) / "baseline.mkv", spec.input_width,
                                spec.input_height, fps);
      }
    }
  }

  /// Label frame that belongs to this video frame, if there is one.
  std::optional<std::size_t> label_of(std::size_t frame_index) const {
    const auto stride = static_cast<std::size_t>(clip_.info().label_stride);
    if (frame_index % stride != 0 || frame_index / stride >= labels_.size()) return std::nullopt;
    return frame_index / stride;
  }

  /// `prediction` is nothing where the device dropped the frame: its latest labels stand in for it.
  void add(FramePtr frame, std::optional<LabelMap> prediction, std::size_t label_index) {
    while (waiting_ > 64) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ++waiting_;
    boost::asio::post(worker_, [this, frame = std::move(frame), prediction = std::move(prediction),
                                label_index]() mutable {
      try {
        score(*frame, std::move(prediction), label_index);
      } catch (const std::exception& error) {
        log::error("scoring_failed", {{"message", error.what()}});
      }
      --waiting_;
    });
  }

  void finish() {
    worker_.join();
    if (adapted_track_ && adapted_track_->size() > 0) adapted_track_->finish();
    if (baseline_track_ && baseline_track_->size() > 0) baseline_track_->finish();
  }

  struct Live {
    std::optional<double> adapted, baseline;
  };
  Live live() const {
    const std::lock_guard lock(mutex_);
    return live_;
  }
  MiouSummary adapted() const { return adapted_.summary(); }    // after finish()
  MiouSummary baseline() const { return baseline_.summary(); }  // after finish()

 private:
  static ClassSubset classes(const Clip& clip) {
    return ClassSubset(clip.info().eval_classes, clip.info().ignore_id);
  }

  void score(const Frame& frame, std::optional<LabelMap> prediction, std::size_t label_index) {
    if (!prediction) {
      if (!latest_) return;
      prediction = latest_;
    }
    const LabelMap truth = resize_nearest(labels_.at(label_index), prediction->width, prediction->height);
    Live live;
    live.adapted = adapted_.add(*prediction, truth, frame.capture_seconds);
    if (adapted_track_) adapted_track_->add(*prediction);
    if (baseline_predictor_) {
      const LabelMap before = baseline_predictor_->predict(frame);
      live.baseline = baseline_.add(before, truth, frame.capture_seconds);
      if (baseline_track_) baseline_track_->add(before);
    }
    latest_ = std::move(prediction);
    const std::lock_guard lock(mutex_);
    live_ = live;
  }

  Clip clip_;
  LabelTrackReader labels_;
  SlidingMiou adapted_, baseline_;
  std::unique_ptr<Predictor> baseline_predictor_;
  std::optional<LabelTrackWriter> adapted_track_, baseline_track_;
  std::optional<LabelMap> latest_;
  mutable std::mutex mutex_;
  Live live_;
  std::atomic<int> waiting_{0};
  boost::asio::thread_pool worker_{1};
};

class Program {
 public:
  Program(StudentSpec spec, std::optional<Clip> clip)
      : spec_(std::move(spec)),
        clip_(std::move(clip)),
        student_(load_student_values(spec_)),
        initial_(student_.manifest, student_.values),
        holder_(make_predictor(spec_), make_predictor(spec_)),
        client_(starting_state(), client_options()),
        link_(link_options(), link_callbacks()) {
    for (int copy = 0; copy < 2; ++copy) load_into_holder(client_.held());
    swap_seconds_.clear();
    if (clip_) scorer_.emplace(*clip_, spec_, initial_);
  }

  /// Plays the video to its end or until a signal; 0 when all went well.
  int run() {
    VideoReaderOptions reader_options;
    VideoReader video(clip_ ? clip_->video_path().string() : flags.video, reader_options);
    link_.start();
    drive([](auto& client, double now) { return client.on_start(now); });
    tick();
    const bool interrupted = play(video);
    leave(interrupted ? "stopped by a signal" : "end of the video");
    if (scorer_) scorer_->finish();
    print_status(true);
    write_reports();
    return 0;
  }

 private:
  ModelState starting_state() const {
    if (!flags.state.empty()) {
      if (const auto bytes = read_file(flags.state, max_state_bytes)) {
        try {
          ModelState saved = decode_snapshot(*bytes, student_.manifest);
          log::info("resuming", {{"state", flags.state}, {"version", saved.version().number}});
          return saved;
        } catch (const Error& error) {
          log::warning("state_unusable", {{"state", flags.state},
                                          {"message", error.what()},
                                          {"instead", "the pre-trained student"}});
        }
      }
    }
    return initial_;
  }

  ClientOptions client_options() const {
    ClientOptions options = flags.client;
    options.token = options::read_token(flags.token, flags.token_file);
    options.student_fingerprint = student_.fingerprint;
    return options;
  }

  static WebSocketClientOptions link_options() {
    WebSocketClientOptions options;
    const auto colon = flags.server.rfind(':');
    int port = 0;
    try {
      if (colon != std::string::npos) port = std::stoi(flags.server.substr(colon + 1));
    } catch (const std::exception&) {  // reported below
    }
    if (colon == 0 || port < 1 || port > 65535) {
      throw Error(ErrorCode::invalid_argument, "--server '" + flags.server + "' is not HOST:PORT, e.g. 127.0.0.1:8443");
    }
    options.host = flags.server.substr(0, colon);
    if (options.host.starts_with('[') && options.host.ends_with(']')) {
      options.host = options.host.substr(1, options.host.size() - 2);
    }
    options.port = static_cast<std::uint16_t>(port);
    options.ca_file = flags.ca_file;
    options.insecure_accept_any_host_name = flags.insecure_accept_any_host_name;
    return options;
  }

  WebSocketClientCallbacks link_callbacks() {
    WebSocketClientCallbacks callbacks;
    callbacks.on_connected = [this] { drive([](auto& client, double now) { return client.on_connected(now); }); };
    callbacks.on_message = [this](ServerMessage message) {
      drive([&](auto& client, double now) { return client.on_message(message, now); });
      if (const auto* fault = std::get_if<Fault>(&message)) {
        log::error("server_fault", {{"code", to_string(fault->code)}, {"message", fault->message}});
      }
    };
    callbacks.on_disconnected = [this](const std::string& reason) {
      if (!leaving_) log::warning("disconnected", {{"reason", reason}});
      drive([&](auto& client, double now) { return client.on_disconnected(reason, now); });
      disconnected_ = true;
    };
    return callbacks;
  }

  using Event = std::function<EdgeActions<FramePtr>(EdgeClient<FramePtr>&, double now_seconds)>;

  /// One event into the client, its actions out; from any thread. None of the actions blocks.
  void drive(const Event& event) {
    const std::lock_guard lock(client_mutex_);
    for (auto& action : event(client_, now_seconds())) {
      if (std::holds_alternative<ConnectToServer>(action)) {
        disconnected_ = false;
        link_.connect();
      } else if (auto* send = std::get_if<SendToServer>(&action)) {
        if (const auto* refusal = std::get_if<Refusal>(&send->message)) {
          log::warning("update_refused", {{"code", to_string(refusal->code)},
                                          {"message", refusal->message},
                                          {"held_version", refusal->held.number}});
        }
        link_.send(send->message);
      } else if (auto* buffer = std::get_if<EncodeBuffer<FramePtr>>(&action)) {
        boost::asio::post(encoder_, [this, buffer = std::move(*buffer)] { encode(buffer); });
      } else if (std::holds_alternative<Publish>(action)) {
        boost::asio::post(publisher_, [this, state = std::make_shared<ModelState>(client_.held())] {
          load_into_holder(*state);
          log::info("model", {{"version", state->version().number}, {"digest", hex(state->version().digest)}});
          model_version_ = state->version().number;
          drive([&](auto& client, double now) { return client.on_published(state->version(), now); });
        });
      } else if (std::holds_alternative<Persist>(action)) {
        if (flags.state.empty()) continue;
        boost::asio::post(publisher_, [state = std::make_shared<ModelState>(client_.held())] {
          try {
            write_file_atomically(flags.state, encode_snapshot(*state));
          } catch (const Error& error) {
            log::warning("state_not_saved", {{"message", error.what()}});
          }
        });
      } else if (auto* disconnect = std::get_if<DisconnectServer>(&action)) {
        link_.close(disconnect->reason);
      }
    }
  }

  /// On the publisher thread (and before it starts).
  void load_into_holder(const ModelState& state) {
    const double start = now_seconds();
    holder_.update([&](std::unique_ptr<Predictor>& inactive, const std::unique_ptr<Predictor>&) {
      inactive->load(state.values());
    });
    const std::lock_guard lock(measurements_mutex_);
    swap_seconds_.push_back(now_seconds() - start);
  }

  /// On the encoder thread.
  void encode(const EncodeBuffer<FramePtr>& buffer) {
    try {
      SampleEncoderOptions encoder;
      encoder.target_bps = flags.uplink_kbps * 1000;
      const auto [width, height] = options::parse_size(flags.uplink_size);
      const Frame& frame = *buffer.frames.front();
      if (frame.width > width || frame.height > height) {  // never enlarged: that would only cost bits
        encoder.width = std::min(width, frame.width) & ~1;
        encoder.height = std::min(height, frame.height) & ~1;
      }
      auto bitstream = encode_samples(buffer.frames, buffer.period_seconds, encoder);
      drive([&](auto& client, double now) {
        return client.on_encoded(buffer.batch_id, std::move(bitstream), now);
      });
    } catch (const std::exception& error) {
      log::warning("encoding_failed", {{"message", error.what()}});
      drive([&](auto& client, double now) { return client.on_encode_failed(buffer.batch_id, now); });
    }
  }

  void tick() {
    link_.post_after(0.05, [this] {
      {
        std::optional<double> wake;
        {
          const std::lock_guard lock(client_mutex_);
          wake = client_.next_wake_seconds();
        }
        if (wake && *wake <= now_seconds()) {
          drive([](auto& client, double now) { return client.on_time(now); });
        }
      }
      tick();
    });
  }

  /// The device's own loop: every frame at its time, none waits for the network or for an update. True when a
  /// signal ended it.
  bool play(VideoReader& video) {
    const double start = now_seconds();
    const double frame_period = 1 / video.fps();
    for (std::size_t index = 0; auto next = video.next(); ++index) {
      const double due = video.live() ? now_seconds() : start + next->capture_seconds;
      if (flags.stop_after_seconds > 0 && next->capture_seconds >= flags.stop_after_seconds) return false;
      while (now_seconds() < due) {
        const double wait = due - now_seconds();
        if (wait > 0 && wait_for_stop_signal(std::min(wait, 0.2)) != 0) return true;
      }
      if (wait_for_stop_signal(0) != 0) return true;
      const auto frame = std::make_shared<const Frame>(std::move(*next));
      ++frames_;
      video_seconds_ = frame->capture_seconds;
      const double lag = now_seconds() - due;
      if (lag > frame_period) ++frames_late_;

      std::optional<LabelMap> prediction;
      if (lag > flags.max_lag_seconds) {
        ++frames_dropped_;  // too late to be of use to anybody: the next one may be in time
      } else {
        const auto model = holder_.read();
        prediction = (*model)->predict(*frame);
        latency_seconds_.push_back(now_seconds() - due);
        if (latency_seconds_.size() > 1'000'000) {  // a camera runs for weeks: the report keeps the latest
          latency_seconds_.erase(latency_seconds_.begin(), latency_seconds_.begin() + 500'000);
        }
      }
      drive([&](auto& client, double now) { return client.on_frame(frame->capture_seconds, frame, now); });
      if (scorer_) {
        if (const auto label = scorer_->label_of(index)) scorer_->add(frame, std::move(prediction), *label);
      }
      print_status(false);
    }
    return false;
  }

  /// Says goodbye; whatever the server has sent before its own Bye is still applied.
  void leave(const std::string& reason) {
    leaving_ = true;
    drive([&](auto& client, double now) { return client.on_stop(reason, now); });
    for (int i = 0; i < 100 && !disconnected_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    link_.stop();
    encoder_.join();
    publisher_.join();
  }

  // ---- what people see ----

  struct LinkSample {
    double video_seconds = 0;
    LinkCounters counters;
  };

  void print_status(bool last) {
    const double t = video_seconds_;
    if (!last && t < next_status_seconds_) return;
    next_status_seconds_ = std::floor(t) + 1;
    const LinkCounters now = link_.counters();
    recent_links_.push_back({t, now});
    while (recent_links_.size() > 2 && recent_links_.front().video_seconds < t - 10) recent_links_.pop_front();
    const double span = std::max(1e-9, t - recent_links_.front().video_seconds);
    const double down_kbps =
        double(now.downlink_bytes - recent_links_.front().counters.downlink_bytes) * 8 / 1000 / span;
    const double up_kbps = double(now.uplink_bytes - recent_links_.front().counters.uplink_bytes) * 8 / 1000 / span;
    const Scorer::Live live = scorer_ ? scorer_->live() : Scorer::Live{};
    double sampling = 0;
    bool streaming = false;
    {
      const std::lock_guard lock(client_mutex_);
      sampling = client_.sampling_rate_fps();
      streaming = client_.streaming();
    }
    std::vector<double> recent(latency_seconds_.end() - std::min<std::ptrdiff_t>(100, std::ssize(latency_seconds_)),
                               latency_seconds_.end());
    const double latency_ms = percentile(recent, 0.5) * 1000;

    const auto cell = [](std::optional<double> value) { return value ? std::to_string(100 * *value) : std::string(); };
    if (!flags.timeline.empty()) {
      if (timeline_.empty()) {
        timeline_ = "video_seconds,miou,miou_no_customization,downlink_kbps,uplink_kbps,sampling_rate_fps,"
                    "model_version,frame_latency_ms,frames,frames_dropped,downlink_bytes,uplink_bytes\n";
      }
      timeline_ += std::to_string(t) + "," + cell(live.adapted) + "," + cell(live.baseline) + "," +
                   std::to_string(down_kbps) + "," + std::to_string(up_kbps) + "," + std::to_string(sampling) + "," +
                   std::to_string(model_version_) + "," + std::to_string(latency_ms) + "," + std::to_string(frames_) +
                   "," + std::to_string(frames_dropped_) + "," + std::to_string(now.downlink_bytes) + "," +
                   std::to_string(now.uplink_bytes) + "\n";
    }
    if (flags.status == "none") return;
    const bool terminal = flags.status == "auto" && ::isatty(STDOUT_FILENO) != 0;
    if (!terminal && !last && t < next_line_seconds_) return;
    next_line_seconds_ = std::floor(t) + 5;
    const auto percent = [](std::optional<double> value) {
      char text[16] = "   -";
      if (value) std::snprintf(text, sizeof text, "%4.1f", 100 * *value);
      return std::string(text);
    };
    std::printf("%s%5.0f s  mIoU %s (un-customised %s)  down %6.1f  up %6.1f Kbps  sampling %.2f/s  model v%-3u  "
                "%5.1f ms/frame%s%s",
                terminal ? "\r" : "", t, percent(live.adapted).c_str(), percent(live.baseline).c_str(), down_kbps,
                up_kbps, sampling, model_version_.load(), latency_ms, streaming || last ? "      " : "  offline",
                terminal && !last ? "" : "\n");
    std::fflush(stdout);
  }

  void write_reports() {
    if (!flags.timeline.empty()) write_file_atomically(flags.timeline, timeline_);
    if (flags.report.empty()) return;
    const ModelState& held = client_.held();
    const LinkCounters link = link_.counters();
    const ClientCounters& c = client_.counters();
    const double seconds = std::max(video_seconds_, 1e-9);
    const auto percent = [](std::optional<double> value) { return value ? nlohmann::json(100 * *value) : nlohmann::json(); };
    nlohmann::ordered_json report;
    report["clip"] = clip_ ? clip_->info().name : flags.video;
    report["student"] = flags.student.name();
    report["seconds"] = seconds;
    if (clip_) {
      nlohmann::json names = nlohmann::json::array();
      for (auto id : clip_->info().eval_classes) names.push_back(clip_->info().classes.at(id));
      report["classes"] = names;
      report["miou"] = percent(scorer_->adapted().sliding);
      report["miou_no_customization"] = percent(scorer_->baseline().sliding);
      report["miou_per_frame"] = percent(scorer_->adapted().per_frame);
      report["miou_whole_video"] = percent(scorer_->adapted().whole_video);
      report["miou_whole_video_no_customization"] = percent(scorer_->baseline().whole_video);
    }
    report["downlink_bps"] = double(link.downlink_bytes) * 8 / seconds;
    report["uplink_bps"] = double(link.uplink_bytes) * 8 / seconds;
    report["downlink_bytes"] = link.downlink_bytes;
    report["uplink_bytes"] = link.uplink_bytes;
    report["updates"] = c.updates;
    report["update_bytes_mean"] = c.updates ? double(c.update_bytes) / double(c.updates) : 0;
    report["snapshots"] = c.snapshots;
    report["refusals"] = c.refusals;
    report["connections"] = c.connections;
    report["frames"] = frames_;
    report["frames_dropped"] = frames_dropped_;
    report["frames_late"] = frames_late_;
    report["frames_sampled"] = c.frames_sampled;
    report["frame_latency_ms"] = percentiles(latency_seconds_, 1000);
    report["swap_ms"] = percentiles(swap_seconds_, 1000);
    report["digest"] = hex(parameter_digest(held.values()));
    report["model_version"] = held.version().number;
    write_file_atomically(flags.report, report.dump(2) + "\n");
  }

  StudentSpec spec_;
  std::optional<Clip> clip_;
  StudentValues student_;
  ModelState initial_;
  DoubleBufferedHolder<std::unique_ptr<Predictor>> holder_;
  std::optional<Scorer> scorer_;

  std::mutex client_mutex_;
  EdgeClient<FramePtr> client_;
  std::atomic<bool> disconnected_{true};
  std::atomic<bool> leaving_{false};
  std::atomic<std::uint32_t> model_version_{0};

  std::mutex measurements_mutex_;
  std::vector<double> swap_seconds_;

  std::size_t frames_ = 0, frames_dropped_ = 0, frames_late_ = 0;
  double video_seconds_ = 0;
  std::vector<double> latency_seconds_;
  double next_status_seconds_ = 0, next_line_seconds_ = 0;
  std::deque<LinkSample> recent_links_;
  std::string timeline_;

  boost::asio::thread_pool encoder_{1};
  boost::asio::thread_pool publisher_{1};
  WebSocketClient link_;
};

int play() {
  if (flags.clip.empty() == flags.video.empty()) {
    throw Error(ErrorCode::invalid_argument, "give one of --clip and --video; see --help");
  }
  if (flags.status != "auto" && flags.status != "line" && flags.status != "none") {
    throw Error(ErrorCode::invalid_argument, "--status '" + flags.status + "' is not one of auto, line, none");
  }
  options::parse_size(flags.uplink_size);
  set_compute_threads(std::max(1, flags.threads));
  std::optional<Clip> clip;
  std::vector<int> default_classes;
  if (!flags.clip.empty()) {
    clip = Clip::open(flags.clip);
    default_classes.assign(clip->info().eval_classes.begin(), clip->info().eval_classes.end());
  }
  Program program(flags.student.spec(default_classes), std::move(clip));
  return program.run();
}

}  // namespace

int main(int argc, char** argv) {
  block_stop_signals();
  CLI::App app(
      "A device: segments every frame of a video with its student at the video's own rate, sends samples to an\n"
      "ams-server, and takes over the updates that come back without missing a frame.\n\n"
      "  ams-edge --server 127.0.0.1:8443 --ca tls/certificate.pem --token-file token \\\n"
      "           --student edanet --weights edanet.safetensors --video camera:0 --state device.state");
  auto* source = app.add_option_group("Video");
  source->add_option("--video", flags.video, "file, camera:0, rtsp:// or http:// address");
  source->add_option("--clip", flags.clip, "clip folder instead: its labels score the student");
  source->add_option("--stop-after-seconds", flags.stop_after_seconds, "end here, on the video's timeline");
  source->add_option("--max-lag-seconds", flags.max_lag_seconds,
                     "a frame that is later than this is dropped, and counted")
      ->capture_default_str();
  auto* network = app.add_option_group("Network");
  network->add_option("--server", flags.server, "HOST:PORT of ams-server")->capture_default_str();
  network->add_option("--ca", flags.ca_file, "PEM file with the certificate to trust (default: the system's)");
  network->add_flag("--insecure-accept-any-host-name", flags.insecure_accept_any_host_name,
                    "accept a trusted certificate of another host");
  network->add_option("--token", flags.token, "secret that the server wants (visible in process lists)");
  network->add_option("--token-file", flags.token_file, "file whose first line is that secret");
  network->add_option("--device-id", flags.client.device_id, "names this device's session")->capture_default_str();
  network->add_option("--uplink-kbps", flags.uplink_kbps, "target of the sampled frames' bitrate")
      ->capture_default_str();
  network->add_option("--uplink-size", flags.uplink_size, "largest size of sampled frames")->capture_default_str();
  network->add_option("--first-batch-seconds", flags.client.first_batch_seconds,
                      "the first samples leave so soon; later ones every T_update")
      ->capture_default_str();
  flags.student.add_to(app);
  app.add_option("--state", flags.state, "keep the adapted student here, to resume after a restart");
  app.add_option("--threads", flags.threads, "compute threads of the student")->capture_default_str();
  app.add_option("--seed", flags.client.seed, "of the jitter between reconnections")->capture_default_str();
  auto* measure = app.add_option_group("Measuring");
  measure->add_flag("--compare", flags.compare, "score the un-customised student too (--clip)");
  measure->add_option("--record", flags.record, "folder for the predictions on labelled frames, as label tracks");
  measure->add_option("--timeline", flags.timeline, "CSV file with one row a second of video");
  measure->add_option("--report", flags.report, "JSON report at the end");
  measure->add_option("--status", flags.status, "auto (one line, rewritten), line (a line every 5 s), none")
      ->capture_default_str();
  options::add_common(app);
  return options::run(app, argc, argv, play);
}
