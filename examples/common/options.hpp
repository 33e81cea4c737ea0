#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>

#include "ams/bundle/student_bundle.hpp"
#include "ams/torch/network_teacher.hpp"
#include "ams/torch/student_spec.hpp"
#include "common/program.hpp"

/// Flags that several programs share, so that they have one spelling and one help text.
namespace ams::options {

/// --student --weights --classes --input --selected-classes --train-batch-norm
class StudentFlags {
 public:
  void add_to(CLI::App& app);
  /// Without what belongs to a session.
  void add_for_pretraining_to(CLI::App& app);

  /// After parsing. `default_classes` are selected when --selected-classes was not given. Of a
  /// bundle: as it says, and flags that say otherwise are refused; its network is no path yet.
  StudentSpec spec(const std::vector<int>& default_classes = {}) const;

  /// The bundle that --student names, opened at the first call; null for another student.
  const StudentBundle* bundle() const;

  /// Width and height in pixels, after parsing.
  std::pair<int, int> input_size() const;

  /// Whether the student starts from trained values: a weights file, or those in a bundle or a
  /// TorchScript module.
  bool has_values() const;

  /// As reports name the student: the network, or the file name of a TorchScript module.
  std::string name() const;

 private:
  CLI::App* add_network_to(CLI::App& app, const std::string& what,
                           const std::string& default_classes);

  StudentSpec bundled_spec(const StudentBundle& bundle) const;

  StudentSpec spec_;
  std::string input_ = "256x128";
  const CLI::App* group_ = nullptr;  // of these flags
  bool takes_bundles_ = false;
  mutable std::shared_ptr<const StudentBundle> bundle_;
};

/// --teacher --teacher-input --teacher-classes --device
class TeacherFlags {
 public:
  /// `what` is the help of --teacher. Gives the group of its flags.
  CLI::App* add_to(CLI::App& app, const std::string& what);

  /// The text of --teacher.
  const std::string& text() const noexcept { return text_; }
  const std::string& device() const noexcept { return device_; }

  /// The folder of "clip:<folder>"; empty for another teacher.
  std::string clip_folder() const;

  /// "module:factory" of "python:module:factory"; empty for another teacher.
  std::string python_factory() const;

  /// "fddwnet:<weights>", "<network>:<weights>", a TorchScript ".pt" or an AOTInductor ".pt2".
  /// Throws Error(invalid_argument) for anything else.
  NetworkTeacherSpec network() const;

 private:
  std::string text_, input_ = "1024x512", device_ = "cpu";
  int classes_ = 19;
};

/// The token of --token, or the first line of --token-file without a byte-order mark and without
/// what is blank at its end. Throws Error: io_error, malformed_data for UTF-16, invalid_argument
/// for what is no token. Warns of a file that every user of the machine can read.
std::string read_token(const std::string& token, const std::string& token_file);

}  // namespace ams::options
