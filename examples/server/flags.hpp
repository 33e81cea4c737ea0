#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/encode_options.hpp"
#include "ams/core/manifest.hpp"
#include "ams/net/server.hpp"
#include "ams/policy/learning_rates.hpp"
#include "ams/policy/pace.hpp"
#include "ams/runtime/process_teacher.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/teacher.hpp"
#include "ams/session/session_options.hpp"
#include "ams/session/task.hpp"
#include "ams/session/update_policy.hpp"
#include "ams/store/sqlite_store.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/torch/student_spec.hpp"
#include "common/options.hpp"
#include "server/commands.hpp"

namespace ams {

/// What ams-server is told.
struct ServerFlags {
  WebSocketServerOptions network;
  std::string generate_certificate, port_file, token, token_file, clip, report, trace;
  std::string data_dir;  ///< "none": sessions are not kept
  DevicesCommand devices;
  bool open = false;
  bool check_only = false;
  std::vector<std::string> certificate_hosts{"localhost", "127.0.0.1", "::1"};
  options::StudentFlags student;
  std::string task_name = "segmentation";
  options::TeacherFlags teacher;
  std::string python = "python3";  ///< runs a teacher of Python
  double teacher_timeout_seconds = ProcessTeacherOptions().answer_timeout_seconds;
  std::string strategy, profile = "compact";  ///< no strategy: the recommended one
  bool paper = false;
  GivenMultipliers multipliers;  ///< of the learning rate
  std::optional<double> relative_step, relative_step_weight;
  RolePatterns roles;
  double gamma = 0.05;
  double downlink_kbps = 0;
  double downlink_link_kbps = 0;
  PaceOptions pace;
  AdamOptions adam = {.learning_rate = recommended_learning_rate};
  bool learning_rates_by_size = true;
  EncodeOptions encode;
  SessionOptions session;
  SegmentationTrainerOptions trainer;
  int threads = 0;
  std::size_t max_devices = 64;
  std::size_t max_buffer_mib = 1024;
  std::uint64_t damage_update = 0;
  std::map<std::string, options::Section> device_sections;  ///< [device.<id>] of --config
  bool pinned = false;                                      ///< of a device: it keeps its model

  void add_to(CLI::App& app);

  /// After parsing: works out what follows from the flags. Throws Error(invalid_argument) for flags
  /// that do not go together.
  void check();

  /// Throws Error(invalid_argument) unless only this machine can reach the server, or --open was
  /// given.
  void require_safe_without_token() const;

  /// The student, with the classes that the flags or the clip name.
  StudentSpec student_spec() const;

  /// After check(): the policy that the flags name, for each session.
  std::function<std::unique_ptr<UpdatePolicy>()> make_policy() const;

  /// Likewise: the flags of each device that has a section.
  const std::map<std::string, std::shared_ptr<const ServerFlags>>& of_devices() const {
    return own_;
  }

  /// Of a device that has a section: what it says of student and teacher; empty: nothing.
  const std::string& own_student() const { return own_student_; }
  bool has_own_teacher() const { return has_own_teacher_; }

  ServerHostOptions host_options() const;

  /// What a device that has another student is told.
  std::string wrong_student_text() const;

  /// task: of the student that it is for.
  std::shared_ptr<Teacher> make_teacher(std::shared_ptr<const Task> task) const;

  /// Where sessions are kept; null: nowhere.
  std::shared_ptr<SqliteStore> make_store(std::shared_ptr<const Manifest> manifest,
                                          Digest student_fingerprint) const;

  /// What is in force, for the report. With a budget the policy chooses strategy and rates, and
  /// those here are times them.
  nlohmann::json training_report(const Manifest& manifest) const;

 private:
  bool is_network_teacher() const;
  StrategyPtr named_strategy() const;                              // null: the recommended one
  CLI::App* training_ = nullptr;                                   // the group of these flags
  std::map<std::string, std::shared_ptr<const ServerFlags>> own_;  // of device_sections
  std::shared_ptr<CLI::App> section_;                              // of a device
  std::string own_student_;
  bool has_own_teacher_ = false;
  void read_device_sections();
  void set_of_device(const options::Section& section);
  void add_teacher_to(CLI::App& app, const std::string& what);
  void add_network_to(CLI::App& app);
  void add_data_to(CLI::App& app);
  void add_training_to(CLI::App& app);
};

}  // namespace ams
