// ams-server: teaches any number of devices. Everything that decides is in ams::ServerSession; this
// program connects it to the network, a teacher and a trainer.

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <thread>

#include "ams/edge/client_options.hpp"
#include "ams/net/certificate.hpp"
#include "ams/net/server.hpp"
#include "ams/net/token.hpp"
#include "ams/policy/recommended_multipliers.hpp"
#include "ams/segmentation/label_loss.hpp"
#include "ams/server/scheduler.hpp"
#include "ams/server/session.hpp"
#include "ams/server/turn_queue.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_file_teacher.hpp"
#include "ams/video/sample_decoder.hpp"
#include "common/clock.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/options.hpp"
#include "common/percentiles.hpp"
#include "common/signals.hpp"

namespace {

using namespace ams;
using Session = ServerSession<LabelledFramePtr>;

struct Flags {
  WebSocketServerOptions network;
  std::string generate_certificate, port_file, token, token_file, clip, report;
  std::vector<std::string> certificate_hosts{"localhost", "127.0.0.1", "::1"};
  options::StudentFlags student;
  options::TeacherFlags teacher;
  // What is cheaper costs accuracy where scenes change (docs/results.md, "The whole model"); the
  // library's defaults are the paper's.
  std::string strategy = "full", profile = "compact";
  GivenMultipliers multipliers;  // of the learning rate
  std::optional<double> relative_step, relative_step_weight;
  RolePatterns roles;
  double gamma = 0.05;
  double downlink_kbps = 0;
  double downlink_link_kbps = 0;
  SessionOptions session;
  SegmentationTrainerOptions trainer;
  int threads = 0;
  std::size_t max_devices = 64;
  std::size_t max_buffer_mib = 1024;
  std::optional<double> horizon_seconds;
  std::optional<std::size_t> max_buffer_samples;
  std::uint64_t damage_update = 0;
} flags;

/// For a flag's help.
std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

/// One device: its session lives on while the device is away.
struct Device {
  Session session;
  std::optional<ConnectionId> connection;
  LinkCounters past_links;  ///< of connections that have ended
  std::vector<double> phase_seconds;
  double last_seen_seconds = 0;
};

/// Sessions live on the network's io thread; labelling and training have a thread each, and post
/// back.
class Program {
 public:
  Program(StudentSpec spec, std::unique_ptr<Teacher> teacher)
      : spec_(std::move(spec)),
        student_(load_student_values(spec_)),
        initial_(student_.manifest, student_.values),
        teacher_(std::move(teacher)),
        trainer_(make_segmentation_trainer(spec_, flags.trainer)),
        phi_(ClassSubset(phi_classes(spec_))),
        server_(flags.network, callbacks()) {
    // A strategy that does not fit the student says so now, not when the first device comes.
    if (flags.session.strategy) flags.session.strategy->required_gradients(*student_.manifest);
  }

  ~Program() { stop(); }

  void start() {
    server_.start();
    tick();
    if (!flags.port_file.empty())
      write_file_atomically(flags.port_file, std::to_string(server_.port()) + "\n");
    log::info("listening", {{"address", flags.network.address},
                            {"port", server_.port()},
                            {"student", flags.student.name()},
                            {"parameters", student_.manifest->dimension()},
                            {"torch", torch_version()}});
  }

  /// Ends every connection in order, once the phase and the frame that are being worked on are done;
  /// what came of the phase still goes out.
  void stop() {
    if (stopped_.exchange(true)) return;
    training_.stop();
    labelling_.stop();
    training_.join();
    labelling_.join();
    server_.stop();
  }

  /// After stop().
  nlohmann::json report() const {
    nlohmann::json sessions = nlohmann::json::array();
    for (const auto& [id, device] : devices_) {
      const SessionCounters& c = device.session.counters();
      sessions.push_back(
          {{"device_id", id},
           {"model_version", device.session.held().version().number},
           {"digest", hex(device.session.held().version().digest)},
           {"updates", c.updates},
           {"update_bytes_mean", c.updates ? double(c.update_bytes) / double(c.updates) : 0},
           {"bits_per_coordinate",
            c.update_coordinates ? 8.0 * double(c.update_bytes) / double(c.update_coordinates) : 0},
           {"samples", c.samples},
           {"snapshots", c.snapshots},
           {"resumed_in_step", c.resumed_in_step},
           {"resumed_with_updates", c.resumed_with_updates},
           {"resumed_with_snapshot", c.resumed_with_snapshot},
           {"refusals", c.refusals},
           {"phases_failed", c.phases_failed},
           {"phases_withheld", c.phases_withheld},
           {"phase_seconds", percentiles(device.phase_seconds)},
           {"uplink_bytes", device.past_links.uplink_bytes},
           {"downlink_bytes", device.past_links.downlink_bytes}});
    }
    const LinkCounters total = server_.total_counters();
    return {{"sessions", sessions},
            {"uplink_bytes", total.uplink_bytes},
            {"downlink_bytes", total.downlink_bytes},
            {"parameters", student_.manifest->dimension()},
            {"training", training_report()}};
  }

 private:
  /// What is in force. With a budget the session chooses strategy and rates, and those here are
  /// times them.
  static nlohmann::json training_report() {
    const SessionOptions& session = flags.session;
    const LearningRateMultipliers& multipliers = session.adam.multipliers;
    nlohmann::json report = {{"learning_rate", session.adam.learning_rate},
                             {"learning_rates_by_size", session.learning_rates_by_size},
                             {"learning_rate_weight", multipliers.weight},
                             {"learning_rate_normalization", multipliers.normalization},
                             {"learning_rate_head", multipliers.head},
                             {"iterations", session.iterations},
                             {"batch_size", session.batch_size},
                             {"update_interval_seconds", session.update_interval_seconds},
                             {"horizon_seconds", session.horizon_seconds},
                             {"max_buffer_samples", session.max_buffer_samples},
                             {"profile", session.downlink_budget ? "compact" : flags.profile}};
    if (session.downlink_budget) {
      report["downlink_budget_bps"] = session.downlink_budget->budget_bps;
    } else {
      report["strategy"] = flags.strategy;
      report["gamma"] = flags.gamma;
      if (session.encode.profile == UpdateProfile::compact) {
        report["relative_step"] = session.encode.compact.relative_step;
        report["relative_step_weight"] = session.encode.compact.weight_step_multiplier;
      }
    }
    return report;
  }

  static std::vector<std::uint8_t> phi_classes(const StudentSpec& spec) {
    std::vector<std::uint8_t> ids(spec.selected_classes.begin(), spec.selected_classes.end());
    for (int id = 0; ids.empty() || (spec.selected_classes.empty() && id < spec.num_classes);
         ++id) {
      ids.push_back(static_cast<std::uint8_t>(id));
    }
    return ids;
  }

  WebSocketServerCallbacks callbacks() {
    WebSocketServerCallbacks callbacks;
    const std::string token = options::read_token(flags.token, flags.token_file);
    auto check_token = token.empty() ? nullptr : accept_tokens({token});
    callbacks.authorize = [this, check_token](const Hello& hello) -> std::optional<Fault> {
      if (check_token) {
        if (auto fault = check_token(hello)) return fault;
      }
      // Before room is made: a device that is refused takes no other's place.
      if (hello.manifest_digest != student_.manifest->digest() ||
          (hello.student_fingerprint != 0 && hello.student_fingerprint != student_.fingerprint)) {
        return Fault{ErrorCode::manifest_mismatch,
                     "the device runs another student than this server trains; start both with the "
                     "same --student, --weights, --classes, --input, --train-batch-norm and "
                     "--selected-classes (default: those of --clip)"};
      }
      if (!devices_.contains(hello.device_id) && devices_.size() >= flags.max_devices &&
          !forget_longest_absent()) {
        return Fault{ErrorCode::limit_exceeded,
                     "the server has as many devices as it takes (--max-devices)"};
      }
      return std::nullopt;
    };
    callbacks.on_connected = [](ConnectionId id, const std::string& peer) {
      log::debug("connected", {{"connection", id}, {"peer", peer}});
    };
    callbacks.on_message = [this](ConnectionId id, DeviceMessage message) {
      on_message(id, std::move(message));
    };
    callbacks.on_disconnected = [this](ConnectionId id, const std::string& reason) {
      on_disconnected(id, reason);
    };
    callbacks.on_refused = [](const std::string& peer, const std::string& reason) {
      log::warning("refused", {{"peer", peer}, {"reason", reason}});
    };
    callbacks.metrics = [this] { return metrics(); };
    return callbacks;
  }

  std::string metrics() const {
    std::string text;
    const auto add = [&](const char* name, const char* type, const char* help, auto&& value) {
      text += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
      for (const auto& [id, device] : devices_) {
        std::string label;
        for (const char c : id) {
          if (c == '"' || c == '\\') label += '\\';
          label += c;
        }
        text += std::string(name) + "{device=\"" + label + "\"} " +
                std::to_string(double(value(device.session))) + "\n";
      }
    };
    add("ams_updates_total", "counter", "Updates sent to a device.",
        [](const Session& session) { return session.counters().updates; });
    add("ams_update_bytes_total", "counter", "Their bytes, before framing.",
        [](const Session& session) { return session.counters().update_bytes; });
    add("ams_phase_seconds_total", "counter", "Time spent training.",
        [](const Session& session) { return session.counters().phase_seconds; });
    add("ams_sampling_rate_fps", "gauge", "Sampling rate that the device was told.",
        [](const Session& session) { return session.sampling_rate_fps(); });
    return text;
  }

  /// Makes room for a new device: ends the session of the one that has been away longest. False
  /// when none is away, or its frames are being labelled or trained on.
  bool forget_longest_absent() {
    auto oldest = devices_.end();
    for (auto it = devices_.begin(); it != devices_.end(); ++it) {
      const Device& device = it->second;
      if (device.connection || device.session.phase_running() ||
          device.session.pending_batches() > 0)
        continue;
      if (oldest == devices_.end() || device.last_seen_seconds < oldest->second.last_seen_seconds)
        oldest = it;
    }
    if (oldest == devices_.end()) return false;
    log::info("forgotten", {{"device", oldest->first},
                            {"away_seconds", now_seconds() - oldest->second.last_seen_seconds}});
    turns_.remove(oldest->first);
    to_label_.remove(oldest->first);
    std::erase_if(closing_, [&](const auto& item) { return item.second == oldest->first; });
    devices_.erase(oldest);
    return true;
  }

  Device& device_of(const Hello& hello) {
    if (const auto found = devices_.find(hello.device_id); found != devices_.end())
      return found->second;
    SessionOptions session = flags.session;
    session.session_id = ++sessions_begun_;
    auto phi = [this](const LabelledFramePtr& previous, const LabelledFramePtr& current) {
      return phi_(current->labels, previous->labels);
    };
    auto size_of = [](const LabelledFramePtr& sample) {
      return sample->frame.rgb.size() + sample->labels.ids.size();
    };
    return devices_
        .try_emplace(hello.device_id,
                     Device{Session(initial_, std::move(session), phi, size_of), {}, {}, {}, {}})
        .first->second;
  }

  void on_message(ConnectionId connection, DeviceMessage message) {
    if (const auto* hello = std::get_if<Hello>(&message)) {
      Device& device = device_of(*hello);
      if (device.connection) {
        perform(hello->device_id, device.session.on_disconnect(now_seconds()));
        by_connection_.erase(*device.connection);
        closing_[*device.connection] = hello->device_id;  // its bytes count until it is closed
        server_.close(*device.connection, "the device has connected again");
      }
      device.connection = connection;
      by_connection_[connection] = hello->device_id;
      log::info("hello", {{"device", hello->device_id},
                          {"held_version", hello->held.number},
                          {"server_version", device.session.held().version().number}});
    }
    const auto id = by_connection_.find(connection);
    if (id == by_connection_.end())
      return;  // a device that has connected again: its old link says no more
    const std::string device_id = id->second;
    if (const auto* refusal = std::get_if<Refusal>(&message)) {
      log::warning("update_refused", {{"device", device_id},
                                      {"code", to_string(refusal->code)},
                                      {"message", refusal->message},
                                      {"held_version", refusal->held.number}});
    }
    perform(device_id,
            devices_.at(device_id).session.on_message(std::move(message), now_seconds()));
  }

  void on_disconnected(ConnectionId connection, const std::string& reason) {
    if (const auto old = closing_.find(connection); old != closing_.end()) {
      remember_link(devices_.at(old->second), connection);
      closing_.erase(old);
      return;
    }
    const auto id = by_connection_.find(connection);
    if (id == by_connection_.end()) return;
    const std::string device_id = id->second;
    by_connection_.erase(id);
    Device& device = devices_.at(device_id);
    remember_link(device, connection);
    device.connection.reset();
    device.last_seen_seconds = now_seconds();
    log::info("disconnected", {{"device", device_id}, {"reason", reason}});
    perform(device_id, device.session.on_disconnect(now_seconds()));
  }

  void remember_link(Device& device, ConnectionId connection) {
    const LinkCounters link = server_.counters(connection);
    device.past_links.uplink_bytes += link.uplink_bytes;
    device.past_links.downlink_bytes += link.downlink_bytes;
  }

  void perform(const std::string& id, ServerActions actions) {
    Device& device = devices_.at(id);
    for (ServerAction& action : actions) {
      if (auto* send = std::get_if<SendToDevice>(&action)) {
        if (auto* update = std::get_if<Update>(&send->message)) {
          if (++updates_sent_ == flags.damage_update)
            update->bytes.at(update->bytes.size() / 2) ^= std::byte{1};
          log::info("update_sent", {{"device", id},
                                    {"version", device.session.held().version().number},
                                    {"bytes", update->bytes.size()}});
        } else if (const auto* control = std::get_if<Control>(&send->message)) {
          log::info("rates", {{"device", id},
                              {"sampling_rate_fps", control->sampling_rate_fps},
                              {"update_interval_seconds", control->update_interval_seconds}});
        } else if (const auto* fault = std::get_if<Fault>(&send->message)) {
          log::warning(
              "fault_sent",
              {{"device", id}, {"code", to_string(fault->code)}, {"message", fault->message}});
        }
        if (device.connection) server_.send(*device.connection, send->message);
      } else if (auto* batch = std::get_if<LabelBatch>(&action)) {
        to_label_.push(id, std::move(*batch));
      } else if (std::holds_alternative<TrainingDue>(action)) {
        turns_.request(id);
      } else if (auto* disconnect = std::get_if<DisconnectDevice>(&action)) {
        if (device.connection) server_.close(*device.connection, disconnect->reason);
      }
    }
    grant_turns();
  }

  /// On the labelling thread.
  void label(const std::string& id, const LabelBatch& batch) {
    std::vector<TimedSample<LabelledFramePtr>> samples;
    std::string failure;
    try {
      std::vector<Frame> frames = decode_samples(batch.bitstream, batch.capture_seconds.size());
      for (std::size_t i = 0; i < frames.size(); ++i) {
        if (stopped_) return;
        frames[i].capture_seconds = batch.capture_seconds[i];
        LabelMap labels = teacher_->label(frames[i]);
        samples.push_back({batch.capture_seconds[i], training_sample(spec_, frames[i], labels)});
      }
    } catch (const std::exception& error) {
      failure = error.what();
    }
    server_.post([this, id, batch_id = batch.batch_id, samples = std::move(samples),
                  failure]() mutable {
      Device& device = devices_.at(id);
      to_label_.finish(id);
      Session& session = device.session;
      if (!failure.empty()) {
        log::warning("labelling_failed",
                     {{"device", id}, {"batch", batch_id}, {"message", failure}});
        perform(id, session.on_label_failed(batch_id, now_seconds()));
      } else {
        log::debug("labelled", {{"device", id}, {"batch", batch_id}, {"samples", samples.size()}});
        perform(id, session.on_labelled(batch_id, std::move(samples), now_seconds()));
      }
    });
  }

  /// Both in turns, so that a device that sends more than it was told holds up no other.
  void grant_turns() {
    while (auto next = to_label_.next()) {
      boost::asio::post(labelling_, [this, id = std::move(next->first),
                                     batch = std::move(next->second)] { label(id, batch); });
    }
    while (const auto id = turns_.grant()) {
      Session& session = devices_.at(*id).session;
      if (!session.training_due()) {
        turns_.finish(*id);
        continue;
      }
      auto job =
          std::make_shared<TrainingJob<LabelledFramePtr>>(session.begin_phase(now_seconds()));
      boost::asio::post(training_, [this, id = *id, job] { train(id, std::move(*job)); });
    }
  }

  /// On the training thread.
  void train(const std::string& id, TrainingJob<LabelledFramePtr> job) {
    std::optional<TrainingResult> result;
    std::optional<Error> failure;
    try {
      result = trainer_->train(std::move(job));
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = Error(ErrorCode::unavailable, error.what());
    }
    server_.post([this, id, result = std::move(result), failure]() mutable {
      Device& device = devices_.at(id);
      turns_.finish(id);
      if (failure) {
        log::warning("phase_failed", {{"device", id}, {"message", failure->what()}});
        perform(id, device.session.on_phase_failed(*failure, now_seconds()));
      } else {
        device.phase_seconds.push_back(result->seconds);
        if (device.phase_seconds.size() > 10000)
          device.phase_seconds.erase(device.phase_seconds.begin());
        log::info("phase", {{"device", id},
                            {"seconds", result->seconds},
                            {"first_loss", result->losses.empty() ? 0 : result->losses.front()},
                            {"last_loss", result->losses.empty() ? 0 : result->losses.back()}});
        perform(id, device.session.on_phase_done(std::move(*result), now_seconds()));
      }
    });
  }

  /// Wakes sessions that asked for it.
  void tick() {
    server_.post_after(0.05, [this] {
      const double now = now_seconds();
      for (auto& [id, device] : devices_) {
        const auto wake = device.session.next_wake_seconds();
        if (wake && *wake <= now) perform(id, device.session.on_time(now));
      }
      tick();
    });
  }

  StudentSpec spec_;
  StudentValues student_;
  ModelState initial_;
  std::unique_ptr<Teacher> teacher_;
  std::unique_ptr<Trainer<LabelledFramePtr>> trainer_;
  HardLabelCrossEntropy phi_;
  std::map<std::string, Device> devices_;
  std::map<ConnectionId, std::string> by_connection_;
  /// Replaced by a newer connection of the same device.
  std::map<ConnectionId, std::string> closing_;
  TurnScheduler<std::string> turns_;             // on the trainer
  TurnQueue<std::string, LabelBatch> to_label_;  // by the teacher
  boost::asio::thread_pool labelling_{1};
  boost::asio::thread_pool training_{1};
  std::uint64_t updates_sent_ = 0;
  std::uint64_t sessions_begun_ = 0;
  std::atomic<bool> stopped_ = false;
  WebSocketServer server_;
};

std::unique_ptr<Teacher> make_teacher() {
  const std::string clip = flags.teacher.clip_folder();
  if (!clip.empty()) return std::make_unique<LabelFileTeacher>(Clip::open(clip));
  return make_network_teacher(flags.teacher.network());
}

/// How many samples a phase is to choose from: a minute's, or a T_update's where that is longer, at
/// the highest sampling rate. A scene that is over is then soon forgotten, and a slow one, which is
/// sampled less often, is remembered for up to T_horizon (docs/trials.md).
std::size_t default_buffer_samples(const SessionOptions& session) {
  constexpr double seconds = 60;
  constexpr double fewest = 60;
  const double samples =
      session.sampling.max_fps * std::max(seconds, session.update_interval_seconds);
  return static_cast<std::size_t>(std::ceil(std::max(fewest, samples)));
}

/// Everything about training is wrong here or nowhere, and not when the first device connects.
void check_training_flags() {
  const GivenMultipliers& given = flags.multipliers;
  if (flags.downlink_kbps > 0) {  // the session has its own, and the flags are times these
    flags.session.adam.multipliers = {given.weight.value_or(1), given.normalization.value_or(1),
                                      given.head.value_or(1)};
    flags.session.downlink_budget = DownlinkBudgetOptions{
        .budget_bps = 1000 * flags.downlink_kbps, .link_bps = 1000 * flags.downlink_link_kbps};
  } else {
    flags.session.adam.multipliers = recommended_multipliers(flags.strategy, flags.gamma, given);
    flags.session.strategy = make_selection_strategy(flags.strategy, flags.gamma);
  }
  EncodeOptions& encode = flags.session.encode;
  encode.profile = update_profile(flags.profile);
  if (encode.profile == UpdateProfile::compact) {
    encode.compact.relative_step = flags.relative_step.value_or(1);
    encode.compact.weight_step_multiplier = flags.relative_step_weight.value_or(1);
  } else if (flags.relative_step || flags.relative_step_weight) {
    throw Error(
        ErrorCode::invalid_argument,
        "--relative-step and --relative-step-weight are for --profile compact: the other one "
        "has no steps");
  }
  if (flags.session.sampling.max_fps > max_device_sampling_rate_fps) {
    throw Error(ErrorCode::invalid_argument, "--sampling-max-fps must be at most " +
                                                 std::to_string(int(max_device_sampling_rate_fps)) +
                                                 ": devices do not sample faster");
  }
  flags.session.sampling.min_fps =
      std::min(flags.session.sampling.min_fps, flags.session.sampling.max_fps);
  flags.session.sampling.initial_fps = flags.session.sampling.max_fps;
  if (flags.session.adapt_training_rate && !flags.session.adapt_sampling_rate) {
    throw Error(
        ErrorCode::invalid_argument,
        "--adapt-update-interval follows the sampling rate (appendix D), so it does nothing with "
        "--fixed-sampling-rate: give one of them");
  }
  flags.session.horizon_seconds = flags.horizon_seconds.value_or(flags.session.horizon_seconds);
  validate(flags.session);
  if (flags.max_buffer_samples) {
    flags.session.max_buffer_samples = *flags.max_buffer_samples;
  } else if (!flags.horizon_seconds) {  // who says how long means all of it
    flags.session.max_buffer_samples = default_buffer_samples(flags.session);
  }
}

int serve() {
  if (!flags.generate_certificate.empty()) {
    const std::filesystem::path folder = flags.generate_certificate;
    const auto certificate = folder / "certificate.pem", key = folder / "private_key.pem";
    create_folder(folder);
    if (std::filesystem::exists(certificate) && std::filesystem::exists(key)) {
      std::printf(
          "%s and %s are there already and stay as they are; delete them to make new ones\n",
          certificate.c_str(), key.c_str());
      return 0;
    }
    write_self_signed_certificate(certificate, key, flags.certificate_hosts, 3650);
    std::printf("wrote %s and %s\n", certificate.c_str(), key.c_str());
    return 0;
  }
  check_training_flags();
  if (flags.teacher.text().empty())
    throw Error(ErrorCode::invalid_argument, "--teacher is required; see --help");
  if (flags.network.certificate_file.empty() || flags.network.private_key_file.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "--certificate and --private-key are required; `ams-server --generate-certificate "
                "tls` makes both");
  }
  if (!flags.report.empty()) require_writable(flags.report);
  tune_allocator_for_training();
  set_compute_threads(flags.threads > 0
                          ? flags.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  std::vector<int> default_classes;
  const std::string clip = flags.clip.empty() ? flags.teacher.clip_folder() : flags.clip;
  if (!clip.empty()) {
    const Clip opened = Clip::open(clip);
    default_classes.assign(opened.info().eval_classes.begin(), opened.info().eval_classes.end());
  }
  flags.trainer.device = flags.teacher.device();
  // Strangers that are still to say who they are, and health checks, have connections too.
  flags.network.max_connections = flags.max_devices + 64;
  flags.session.max_buffer_bytes = flags.max_buffer_mib << 20;
  // No device says more than a batch of samples at once.
  flags.network.max_message_bytes = flags.session.max_bitstream_bytes + (64U << 10);
  if (flags.token.empty() && flags.token_file.empty()) {
    log::warning(
        "no_token",
        {{"message", "every device that reaches this server is let in; see --token-file"}});
  }
  if (!flags.student.has_values()) {
    log::warning("no_weights", {{"message", "the student starts untrained; see --weights"}});
  }
  StudentSpec spec = flags.student.spec(default_classes);
  spec.roles = flags.roles;
  Program program(std::move(spec), make_teacher());
  program.start();
  int signal = 0;
  while (signal == 0) signal = wait_for_stop_signal(3600);
  log::info("stopping", {{"signal", signal}});
  program.stop();
  if (!flags.report.empty())
    write_file_atomically(
        flags.report,
        program.report().dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  block_stop_signals();
  flags.session.adam.learning_rate = 2e-3;
  CLI::App app(
      "Teaches devices: labels their sampled frames with a teacher, trains a copy of each one's "
      "student on its last\n"
      "minutes of video, and streams back how it has changed.\n\n"
      "  ams-server --generate-certificate tls\n"
      "  ams-server --certificate tls/certificate.pem --private-key tls/private_key.pem "
      "--token-file token \\\n"
      "             --student edanet --weights edanet.safetensors --teacher "
      "fddwnet:fddwnet.safetensors");
  auto* network = app.add_option_group("Network");
  network->add_option("--address", flags.network.address, "address to listen on")
      ->capture_default_str();
  network->add_option("--port", flags.network.port, "TCP port; 0 takes a free one")
      ->capture_default_str();
  network->add_option("--port-file", flags.port_file,
                      "write the port here once devices can connect");
  network->add_option("--certificate", flags.network.certificate_file,
                      "PEM file of the TLS certificate");
  network->add_option("--private-key", flags.network.private_key_file, "PEM file of its key");
  network->add_option(
      "--generate-certificate", flags.generate_certificate,
      "write a self-signed certificate.pem and private_key.pem to this folder, and end");
  network
      ->add_option("--certificate-hosts", flags.certificate_hosts,
                   "names and addresses it is made out to")
      ->delimiter(',')
      ->capture_default_str();
  network->add_option("--token", flags.token,
                      "secret that devices must show (visible in process lists)");
  network->add_option("--token-file", flags.token_file, "file whose first line is that secret");
  network
      ->add_option("--max-devices", flags.max_devices,
                   "devices that have a session; a new one takes the place of one that is away")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  network
      ->add_option("--max-buffer-mib", flags.max_buffer_mib,
                   "memory that the samples of one device may take; the oldest make room")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  flags.student.add_to(app);
  flags.teacher.add_to(
      app,
      "clip:<folder> (its label file), fddwnet:<weights.safetensors>, model.pt (TorchScript) or "
      "model.pt2 (AOTInductor)");
  app.add_option("--clip", flags.clip, "clip folder whose classes are the selected ones");
  auto* training = app.add_option_group(
      "Training", "Algorithms 1 and 2; T_horizon, T_update and K as in the paper");
  training
      ->add_option(
          "--strategy", flags.strategy,
          "what an update trains: " + joined(selection_strategy_names()) +
              ". normalization_and_head takes a 40th to a 70th of full's bytes and two thirds "
              "of its time, and is as accurate while a scene lasts")
      ->capture_default_str();
  training->add_option("--gamma", flags.gamma, "fraction of the parameters that an update carries")
      ->capture_default_str()
      ->check(CLI::Range(1e-9, 1.0));
  training
      ->add_option("--learning-rate", flags.session.adam.learning_rate,
                   "Adam's alpha, for the whole model; what a strategy trains learns faster, see "
                   "--learning-rate-weight")
      ->capture_default_str();
  training->add_flag("--learning-rates-by-size,!--no-learning-rates-by-size",
                     flags.session.learning_rates_by_size,
                     "weights whose values are small learn less fast, so that one learning rate "
                     "suits most students; given by default, --no-... is as in the paper");
  const auto add_multiplier = [&](const char* name, std::optional<double>& value,
                                  const std::string& what) {
    training->add_option(name, value, "times as much for " + what)->check(CLI::Range(1e-6, 1e6));
  };
  add_multiplier(
      "--learning-rate-weight", flags.multipliers.weight,
      "weights (default: min(16, 1 / gamma) with strategies that train a fraction alone or last "
      "layers, min(4, 1 / sqrt(gamma)) with a gradient-guided one beside groups, else 1). With "
      "--downlink-kbps the session has its own rates for what it trains, and these three "
      "flags, 1 unless given, multiply those");
  add_multiplier("--learning-rate-normalization", flags.multipliers.normalization,
                 "scales and shifts of normalisation layers (default: 5 with strategies that name "
                 "them, else as weights)");
  add_multiplier("--learning-rate-head", flags.multipliers.head,
                 "the last layer with parameters (default: 4 with strategies that name it, else as "
                 "weights)");
  training
      ->add_option(
          "--normalization-tensors", flags.roles.normalization,
          "names (* and ? allowed) of the normalisation layers' tensors (default: by type)")
      ->delimiter(',');
  training
      ->add_option("--head-tensors", flags.roles.head,
                   "names of the head's tensors (default: the last layer's)")
      ->delimiter(',');
  training
      ->add_option("--profile", flags.profile,
                   "how updates are written: " + joined(update_profile_names()))
      ->capture_default_str();
  const auto add_step = [&](const char* name, std::optional<double>& value,
                            const std::string& what) {
    training->add_option(name, value, "profile compact: " + what)
        ->check(CLI::Range(0x1p-20, 0x1p20));
  };
  add_step("--relative-step", flags.relative_step,
           "its step, times the root mean square of what moved (default: 1)");
  add_step("--relative-step-weight", flags.relative_step_weight,
           "times as much for weights (default: 1)");
  auto* budget =
      training->add_option("--downlink-kbps", flags.downlink_kbps,
                           "what the downlink may carry on the mean of a minute; strategy, gamma, "
                           "profile and step are then chosen to make the best of it");
  budget->check(CLI::PositiveNumber);
  training
      ->add_option("--downlink-link-kbps", flags.downlink_link_kbps,
                   "what the link takes: no update is larger than what it carries in one T_update "
                   "(default: four times --downlink-kbps)")
      ->check(CLI::PositiveNumber)
      ->needs(budget);
  for (const char* chosen :
       {"--strategy", "--gamma", "--profile", "--relative-step", "--relative-step-weight"}) {
    budget->excludes(training->get_option(chosen));
  }
  training->add_option("--iterations", flags.session.iterations, "K, steps a training phase")
      ->capture_default_str();
  training->add_option("--batch-size", flags.session.batch_size, "frames a step")
      ->capture_default_str();
  training->add_option("--horizon-seconds", flags.horizon_seconds,
                       "T_horizon (default: 240, of which no more than --max-buffer-samples)");
  training
      ->add_option(
          "--max-buffer-samples", flags.max_buffer_samples,
          "train on no more than the newest so many samples of T_horizon (default: 60, or "
          "what --sampling-max-fps gives in a minute or a T_update where that is more; with "
          "--horizon-seconds 4096, at one a second more than an hour)")
      ->check(CLI::Range(4, 1 << 20));
  training
      ->add_option("--update-interval-seconds", flags.session.update_interval_seconds, "T_update")
      ->capture_default_str();
  training->add_flag("--adapt-update-interval", flags.session.adapt_training_rate,
                     "longer T_update for slow scenes (appendix D)");
  training->add_flag("!--fixed-sampling-rate", flags.session.adapt_sampling_rate,
                     "always sample at --sampling-max-fps instead of by equation (1)");
  training->add_option("--sampling-min-fps", flags.session.sampling.min_fps, "r_min")
      ->capture_default_str();
  training->add_option("--sampling-max-fps", flags.session.sampling.max_fps, "r_max")
      ->capture_default_str();
  training->add_option("--phi-target", flags.session.sampling.phi_target, "target of the phi-score")
      ->capture_default_str();
  training->add_flag("--bfloat16", flags.trainer.bfloat16,
                     "compute in bfloat16 (faster on CPUs that have it)");
  training->add_option("--threads", flags.threads, "compute threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  training->add_option("--seed", flags.session.seed, "one seed governs the run")
      ->capture_default_str();
  app.add_option("--report", flags.report, "write a JSON report here at the end");
  app.add_option("--test-damage-update", flags.damage_update,
                 "for tests: flip one bit of the update of this number (from 1) on its way out");
  options::add_common(app);
  return options::run(app, argc, argv, serve);
}
