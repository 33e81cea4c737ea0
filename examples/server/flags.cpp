#include "server/flags.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/selection.hpp"
#include "ams/policy/budget/budget_policy.hpp"
#include "ams/policy/fixed.hpp"
#include "ams/policy/paper.hpp"
#include "ams/session/client_options.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_file_teacher.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

/// For a flag's help.
std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

bool is_loopback(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return ::inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/// Where a program keeps what it must not lose: systemd's folder for the service, or the user's.
std::string default_data_dir() {
  const auto folder = [](const char* variable, const char* below) -> std::string {
    const char* value = std::getenv(variable);
    return value && *value ? std::string(value) + below : std::string();
  };
  for (std::string found : {folder("STATE_DIRECTORY", ""), folder("XDG_STATE_HOME", "/ams-server"),
                            folder("HOME", "/.local/state/ams-server")}) {
    if (!found.empty()) return found;
  }
  return "none";
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

/// The student's classes must be ones that the teacher gives, and the other way round.
void require_labels_for(const StudentSpec& spec, int teacher_classes) {
  const std::string outputs =
      "the teacher has " + std::to_string(teacher_classes) + " outputs (--teacher-classes)";
  for (const int id : spec.selected_classes) {
    if (id >= teacher_classes) {
      refuse("class " + std::to_string(id) + " is selected, but " + outputs +
             "; see --selected-classes and --clip");
    }
  }
  if (spec.selected_classes.empty() && teacher_classes > spec.num_classes) {
    refuse(outputs + " and the student " + std::to_string(spec.num_classes) +
           " (--classes): give a student with as many, or name the classes that both know with "
           "--selected-classes");
  }
}

/// What a device must be told besides --student and --weights.
std::string student_flags(const StudentSpec& spec) {
  std::string flags = "--input " + std::to_string(spec.input_width) + "x" +
                      std::to_string(spec.input_height) + " --classes " +
                      std::to_string(spec.num_classes);
  for (const int id : spec.selected_classes) {
    flags +=
        (id == spec.selected_classes.front() ? " --selected-classes " : ",") + std::to_string(id);
  }
  return flags + (spec.train_batch_norm_statistics ? " --train-batch-norm" : "");
}

}  // namespace

void ServerFlags::add_to(CLI::App& app) {
  add_network_to(app);
  student.add_to(app);
  app.add_option("--task", task_name,
                 "segmentation, or python:<module>:<function that makes an ams.ModuleTask>: this "
                 "program then becomes `python -m ams.server`, which has flags of its own")
      ->capture_default_str();
  add_teacher_to(
      app,
      "clip:<folder> (its label file), fddwnet:<weights.safetensors>, model.pt (TorchScript), "
      "model.pt2 (AOTInductor), or python:<module>:<function that makes a teacher>, in a process "
      "of "
      "its own");
  app.add_option("--clip", clip, "select the classes of this clip folder");
  add_data_to(app);
  options::take_sections("device", device_sections);
  devices.add_to(app);
  add_training_to(app);
  app.add_flag("--check", check_only, "check the flags and the files that they name, and end");
  app.add_option("--report", report, "write a JSON report here at the end");
  app.add_option("--trace", trace,
                 "JSON lines: how long every sample and update took in each stage");
  app.add_option("--test-damage-update", damage_update,
                 "for tests: flip one bit of the update of this number (from 1) on its way out");
}

void ServerFlags::add_network_to(CLI::App& app) {
  auto* group = app.add_option_group("Network");
  group->add_option("--address", network.address, "address to listen on")->capture_default_str();
  group->add_option("--port", network.port, "TCP port; 0 takes a free one")->capture_default_str();
  group->add_option("--port-file", port_file, "write the port here once devices can connect");
  group->add_option("--certificate", network.certificate_file, "PEM file of the TLS certificate");
  group->add_option("--private-key", network.private_key_file, "PEM file of the certificate's key");
  group->add_option(
      "--generate-certificate", generate_certificate,
      "write a self-signed certificate.pem and private_key.pem to this folder, and end");
  group
      ->add_option("--certificate-hosts", certificate_hosts,
                   "names and addresses of --generate-certificate")
      ->delimiter(',')
      ->capture_default_str();
  group->add_option("--token", token, "secret that devices must show (visible in process lists)");
  group->add_option("--token-file", token_file,
                    "file whose first line is that secret; SIGHUP reads it and the certificate "
                    "again");
  group->add_flag("--open", open, "let devices in without a token, also beyond loopback");
  group
      ->add_option("--max-devices", max_devices,
                   "sessions to keep; a new device takes the place of one that is away")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  group
      ->add_option("--max-buffer-mib", max_buffer_mib,
                   "memory for the samples of one device; the oldest make room")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
}

void ServerFlags::add_data_to(CLI::App& app) {
  data_dir = default_data_dir();
  app.add_option("--data-dir", data_dir,
                 "keep the sessions in this folder, to go on after a restart; one server a folder; "
                 "none: keep nothing")
      ->capture_default_str();
}

void ServerFlags::add_teacher_to(CLI::App& app, const std::string& what) {
  CLI::App* const group = teacher.add_to(app, what);
  group->add_option("--python", python, "the interpreter of a python: teacher; it needs libams")
      ->envname("AMS_PYTHON")
      ->capture_default_str();
  group
      ->add_option("--teacher-timeout-seconds", teacher_timeout_seconds,
                   "a python: teacher that needs longer for a batch is ended and started again")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

void ServerFlags::add_training_to(CLI::App& app) {
  auto* training = app.add_option_group(
      "Training", "Small updates every two seconds; --paper is Algorithms 1 and 2 as published");
  auto* as_published = training->add_flag(
      "--paper", paper,
      "the paper's algorithm and settings: gradient-guided 5% in its own format at a learning rate "
      "of 1e-3, 20 steps every 10 s on the last 240 s");
  training_ = training;
  training->add_option(
      "--strategy", strategy,
      "which parameters to train and send (default: normalization_and_head, or full where the "
      "student has no normalisation layers): " +
          joined(selection_strategy_names()) +
          ". full takes 40 to 70 times the bytes of normalization_and_head, and half as much time "
          "again");
  training->add_option("--gamma", gamma, "fraction of the parameters that an update carries")
      ->capture_default_str()
      ->check(CLI::Range(1e-9, 1.0));
  training
      ->add_option("--learning-rate", adam.learning_rate,
                   "Adam's alpha for the whole model; a strategy multiplies it, see "
                   "--learning-rate-weight")
      ->capture_default_str();
  training->add_flag("--learning-rates-by-size,!--no-learning-rates-by-size",
                     learning_rates_by_size,
                     "smaller rates for weights with small values, so that one learning rate suits "
                     "most students (default); the paper has none");
  const auto add_multiplier = [&](const char* name, std::optional<double>& value,
                                  const std::string& what) {
    training->add_option(name, value, "factor of --learning-rate for " + what)
        ->check(CLI::Range(1e-6, 1e6));
  };
  add_multiplier(
      "--learning-rate-weight", multipliers.weight,
      "weights (default: min(16, 1 / gamma) for a fraction alone and for last layers, min(4, 1 / "
      "sqrt(gamma)) for a gradient-guided fraction beside groups, else 1). With --downlink-kbps "
      "the three factors are 1 by default and multiply the rates that the budget chooses");
  add_multiplier("--learning-rate-normalization", multipliers.normalization,
                 "scales and shifts of normalisation layers (default: 5 where the strategy names "
                 "them, else as weights)");
  add_multiplier("--learning-rate-head", multipliers.head,
                 "the last layer with parameters (default: 4 where the strategy names it, else as "
                 "weights)");
  training
      ->add_option(
          "--normalization-tensors", roles.normalization,
          "names (* and ? allowed) of the normalisation layers' tensors (default: by type)")
      ->delimiter(',');
  training
      ->add_option("--head-tensors", roles.head,
                   "names of the head's tensors (default: the last layer's)")
      ->delimiter(',');
  training
      ->add_option("--profile", profile,
                   "how updates are written: " + joined(update_profile_names()))
      ->capture_default_str();
  const auto add_step = [&](const char* name, std::optional<double>& value,
                            const std::string& what) {
    training->add_option(name, value, "profile compact: " + what)
        ->check(CLI::Range(0x1p-20, 0x1p20));
  };
  add_step("--relative-step", relative_step,
           "step, in root mean squares of the changes (default: 2)");
  add_step("--relative-step-weight", relative_step_weight,
           "factor of the step for weights (default: 1)");
  auto* budget =
      training->add_option("--downlink-kbps", downlink_kbps,
                           "limit of the downlink, over a minute; libams then chooses strategy, "
                           "gamma, profile and step");
  budget->check(CLI::PositiveNumber);
  training
      ->add_option("--downlink-link-kbps", downlink_link_kbps,
                   "speed of the link: no update takes longer than one T_update "
                   "(default: four times --downlink-kbps)")
      ->check(CLI::PositiveNumber)
      ->needs(budget);
  for (const char* chosen :
       {"--strategy", "--gamma", "--profile", "--relative-step", "--relative-step-weight"}) {
    budget->excludes(training->get_option(chosen));
  }
  training
      ->add_option("--iterations", pace.iterations,
                   "K, steps a training phase; fewer where the trainer is too slow for T_update")
      ->capture_default_str();
  training->add_option("--batch-size", pace.batch_size, "frames a step")->capture_default_str();
  training->add_option("--horizon-seconds", pace.horizon_seconds, "T_horizon")
      ->capture_default_str();
  training
      ->add_option("--buffer-samples", pace.buffer_samples,
                   "train on the newest so many samples of T_horizon (default: 60, or what "
                   "--sampling-max-fps gives in a minute or a T_update where that is more)")
      ->check(CLI::Range(4, 4096));
  training->add_option("--update-interval-seconds", pace.update_interval_seconds, "T_update")
      ->capture_default_str();
  training->add_flag("--adapt-update-interval", pace.adapt_training_rate,
                     "longer T_update for slow scenes (appendix D)");
  training->add_flag("!--fixed-sampling-rate", pace.adapt_sampling_rate,
                     "always sample at --sampling-max-fps instead of by equation (1)");
  training->add_option("--sampling-min-fps", pace.sampling.min_fps, "r_min")->capture_default_str();
  training->add_option("--sampling-max-fps", pace.sampling.max_fps, "r_max")->capture_default_str();
  training->add_option("--phi-target", pace.sampling.phi_target, "target of the phi-score")
      ->capture_default_str();
  training
      ->add_option(
          "--class-balance", trainer.class_balance,
          "weigh a pixel by its class's frequency to the power of minus this; 0: all alike")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  training->add_flag("--bfloat16", trainer.bfloat16,
                     "compute in bfloat16 (faster on CPUs that have it)");
  training->add_option("--threads", threads, "compute threads (default: one a core)")
      ->check(CLI::Range(1, 1024));
  training->add_option("--seed", session.seed, "seed of the run")->capture_default_str();
  for (const char* chosen :
       {"--strategy", "--profile", "--relative-step", "--relative-step-weight",
        "--learning-rates-by-size", "--learning-rate-weight", "--learning-rate-normalization",
        "--learning-rate-head", "--class-balance", "--downlink-kbps"}) {
    as_published->excludes(training->get_option(chosen));
  }
}

void ServerFlags::check() {
  read_device_sections();  // they begin from what the flags say
  if (paper) {
    const auto is_given = [&](const char* name) {
      return training_->get_option(name)->count() > 0;
    };
    const PaceOptions given = std::exchange(pace, paper_pace());
    pace.batch_size = given.batch_size;
    pace.sampling = given.sampling;
    pace.adapt_sampling_rate = given.adapt_sampling_rate;
    pace.adapt_training_rate = given.adapt_training_rate;
    if (is_given("--horizon-seconds")) pace.horizon_seconds = given.horizon_seconds;
    if (is_given("--buffer-samples")) pace.buffer_samples = given.buffer_samples;
    if (is_given("--iterations")) pace.iterations = given.iterations;
    if (is_given("--update-interval-seconds")) {
      pace.update_interval_seconds = given.update_interval_seconds;
    }
    if (!is_given("--learning-rate")) adam.learning_rate = AdamOptions{}.learning_rate;
    strategy = "gradient_guided";
    profile = "reference";
    learning_rates_by_size = false;
    multipliers = {1, 1, 1};
    trainer.class_balance = 0;
  }
  if (downlink_kbps > 0) {  // the policy has its own, and the flags are times these
    adam.multipliers = {multipliers.weight.value_or(1), multipliers.normalization.value_or(1),
                        multipliers.head.value_or(1)};
  }
  encode.profile = update_profile(profile);
  if (encode.profile == UpdateProfile::compact) {
    encode.compact.relative_step = relative_step.value_or(2);
    encode.compact.weight_step_multiplier = relative_step_weight.value_or(1);
  } else if (relative_step || relative_step_weight) {
    refuse(
        "--relative-step and --relative-step-weight are for --profile compact: the other one "
        "has no steps");
  }
  if (pace.sampling.max_fps > max_device_sampling_rate_fps) {
    refuse("--sampling-max-fps must be at most " +
           std::to_string(int(max_device_sampling_rate_fps)) + ": devices do not sample faster");
  }
  pace.sampling.min_fps = std::min(pace.sampling.min_fps, pace.sampling.max_fps);
  pace.sampling.initial_fps = pace.sampling.max_fps;
  if (pace.adapt_training_rate && !pace.adapt_sampling_rate) {
    refuse(
        "--adapt-update-interval follows the sampling rate (appendix D), so it does nothing with "
        "--fixed-sampling-rate: give one of them");
  }
  make_policy()();  // throws on values out of range
  session.limits.max_buffer_bytes = max_buffer_mib << 20;
  validate(session);
  if (task_name.starts_with("python:")) {
    refuse("a task of Python is given on the command line: --task " + task_name);
  }
  if (task_name != "segmentation") {
    refuse("--task is '" + task_name +
           "'; allowed are segmentation and python:<module>:<function>");
  }
  if (teacher.text().empty())
    refuse(
        "--teacher is required: clip:<folder>, fddwnet:<weights.safetensors>, model.pt, model.pt2 "
        "or python:<module>:<function>");
  if (is_network_teacher()) teacher.network();  // throws on what is no teacher
  if (network.certificate_file.empty() || network.private_key_file.empty()) {
    refuse(
        "--certificate and --private-key are required; `ams-server --generate-certificate "
        "tls` makes both");
  }
  network.close_timeout_seconds = 2.5;  // a device that has gone must not hold up the end
  trainer.device = teacher.device();
  // Strangers that are still to say who they are, and health checks, have connections too.
  network.max_connections = max_devices + 64;
  // No device says more than a batch of samples at once.
  network.max_message_bytes = session.limits.max_bitstream_bytes + (64U << 10);
}

void ServerFlags::require_safe_without_token() const {
  if (open || is_loopback(network.address)) return;
  refuse("without a token every device that reaches " + network.address +
         " is let in: give each device a token (`ams-server devices add`), give --token-file, "
         "listen on --address 127.0.0.1, or say --open");
}

StudentSpec ServerFlags::student_spec() const {
  std::vector<int> default_classes;
  const std::string folder = clip.empty() ? teacher.clip_folder() : clip;
  if (!folder.empty()) {
    const Clip opened = Clip::open(folder);
    default_classes.assign(opened.info().eval_classes.begin(), opened.info().eval_classes.end());
  }
  StudentSpec spec = student.spec(default_classes);
  spec.roles = roles;
  if (is_network_teacher()) require_labels_for(spec, teacher.network().num_classes);
  return spec;
}

std::function<std::unique_ptr<UpdatePolicy>()> ServerFlags::make_policy() const {
  if (downlink_kbps > 0) {
    const BudgetOptions options{
        .pace = pace,
        .budget = {.budget_bps = 1000 * downlink_kbps, .link_bps = 1000 * downlink_link_kbps},
        .adam = adam,
        .learning_rates_by_size = learning_rates_by_size};
    return [options] { return std::make_unique<BudgetPolicy>(options); };
  }
  if (paper) {
    const PaperOptions options{.pace = pace, .gamma = gamma, .adam = adam};
    return [options] { return std::make_unique<PaperPolicy>(options); };
  }
  const FixedOptions options{.pace = pace,
                             .strategy = named_strategy(),
                             .encode = encode,
                             .adam = adam,
                             .multipliers = multipliers,
                             .learning_rates_by_size = learning_rates_by_size};
  return [options] { return std::make_unique<FixedPolicy>(options); };
}

StrategyPtr ServerFlags::named_strategy() const {
  return strategy.empty() ? nullptr : make_selection_strategy(strategy, gamma);
}

std::string ServerFlags::wrong_student_text() const {
  return "the device runs another student than this server trains; give it the same --student and "
         "--weights, and " +
         student_flags(student_spec());
}

ServerHostOptions ServerFlags::host_options() const {
  ServerHostOptions options{.session = session, .max_devices = max_devices};
  options.full_text = "the server has as many devices as it takes (--max-devices)";
  return options;
}

bool ServerFlags::is_network_teacher() const {
  return teacher.clip_folder().empty() && !teacher.text().starts_with("python:");
}

std::shared_ptr<Teacher> ServerFlags::make_teacher(std::shared_ptr<const Task> task) const {
  const std::string folder = teacher.clip_folder();
  if (!folder.empty()) return std::make_shared<LabelFileTeacher>(Clip::open(folder));
  if (is_network_teacher()) return make_network_teacher(teacher.network());
  return std::make_shared<ProcessTeacher>(
      std::move(task),
      ProcessTeacherOptions{
          .command = {python, "-m", "ams.teachers.child", teacher.python_factory()},
          .answer_timeout_seconds = teacher_timeout_seconds},
      &log::logger());
}

std::shared_ptr<SqliteStore> ServerFlags::make_store(std::shared_ptr<const Manifest> manifest,
                                                     Digest student_fingerprint) const {
  if (data_dir == "none") return nullptr;
  SqliteStoreOptions options{.student_fingerprint = student_fingerprint};
  options.on_damaged = [](const std::string& file) {
    log::warning("sessions_damaged",
                 {{"message", "the sessions in --data-dir cannot be read and begin anew"},
                  {"set_aside", file}});
  };
  options.on_full = [this](const std::string& problem) {
    log::warning("disk_full", {{"folder", data_dir},
                               {"message", problem},
                               {"next", "sessions are kept once there is room"}});
  };
  return std::make_shared<SqliteStore>(data_dir, std::move(manifest), std::move(options));
}

nlohmann::json ServerFlags::training_report(const Manifest& manifest) const {
  const bool has_budget = downlink_kbps > 0;
  const StrategyPtr named = named_strategy();
  const StrategyPtr chosen = named ? named : recommended_strategy(manifest);
  const LearningRateMultipliers rates =
      has_budget ? adam.multipliers : recommended_multipliers(*chosen, multipliers);
  nlohmann::json told = {{"paper", paper},
                         {"class_balance", trainer.class_balance},
                         {"learning_rate", adam.learning_rate},
                         {"learning_rates_by_size", learning_rates_by_size},
                         {"learning_rate_weight", rates.weight},
                         {"learning_rate_normalization", rates.normalization},
                         {"learning_rate_head", rates.head},
                         {"iterations", pace.iterations},
                         {"batch_size", pace.batch_size},
                         {"update_interval_seconds", pace.update_interval_seconds},
                         {"horizon_seconds", pace.horizon_seconds},
                         {"buffer_samples", make_policy()()->buffer_samples()},
                         {"profile", has_budget ? "compact" : profile}};
  if (has_budget) {
    told["downlink_budget_bps"] = 1000 * downlink_kbps;
    return told;
  }
  told["strategy"] = chosen->name();
  told["gamma"] = gamma;
  if (encode.profile == UpdateProfile::compact) {
    told["relative_step"] = encode.compact.relative_step;
    told["relative_step_weight"] = encode.compact.weight_step_multiplier;
  }
  return told;
}

}  // namespace ams
