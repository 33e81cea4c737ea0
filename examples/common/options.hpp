#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>

#include "ams/torch/network_teacher.hpp"
#include "ams/torch/student_spec.hpp"

/// Flags that several programs share, so that they have one spelling and one help text.
namespace ams::options {

/// "256x128" -> {256, 128}. Throws CLI::ValidationError.
std::pair<int, int> parse_size(const std::string& text);

/// --student --weights --classes --input --selected-classes
class StudentFlags {
 public:
  void add_to(CLI::App& app);

  /// After parsing. `default_classes` are selected when --selected-classes was not given.
  StudentSpec spec(const std::vector<int>& default_classes = {}) const;

  /// As reports name the student: the network, or the file name of a TorchScript module.
  std::string name() const;

 private:
  StudentSpec spec_;
  std::string input_ = "256x128";
};

/// What --teacher takes besides "clip:<folder>": "fddwnet:<weights>", "<network>:<weights>", a
/// TorchScript ".pt" or an AOTInductor ".pt2". `input` is "WxH".
NetworkTeacherSpec parse_network_teacher(const std::string& text, const std::string& input,
                                         int num_classes);

/// The token of --token or --token-file, without a trailing newline. Throws Error(io_error).
std::string read_token(const std::string& token, const std::string& token_file);

/// Flags of every program: --config --log-level --log-format --version. Applies logging on parse.
void add_common(CLI::App& app);

/// Parses, runs `body`, and turns every failure into one line on stderr and a non-zero exit status.
int run(CLI::App& app, int argc, char** argv, int (*body)());

}  // namespace ams::options
