#include "common/options.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/session/text_file.hpp"
#include "common/log.hpp"

namespace ams::options {

void StudentFlags::add_to(CLI::App& app) {
  takes_bundles_ = true;
  auto* group = add_network_to(app, "The small network: the same flags on server and device",
                               "the clip's, else all");
  group->add_flag("--train-batch-norm", spec_.train_batch_norm_statistics,
                  "train and send batch-norm statistics too");
}

void StudentFlags::add_for_pretraining_to(CLI::App& app) {
  add_network_to(app, "The small network", "all with --clips, else those of the streets");
}

CLI::App* StudentFlags::add_network_to(CLI::App& app, const std::string& what,
                                       const std::string& default_classes) {
  auto* group = app.add_option_group("Student", what);
  group_ = group;
  const std::string bundles = takes_bundles_ ? "a student bundle (x.bundle), which needs none of "
                                               "the flags below; "
                                             : "";
  group
      ->add_option("--student", spec_.network,
                   bundles +
                       "edanet, deeplabv3_mobilenetv2, or a TorchScript module (model.pt) "
                       "with trainable parameters")
      ->capture_default_str();
  group->add_option("--weights", spec_.weights,
                    "safetensors file with the pre-trained values; without it edanet and "
                    "deeplabv3_mobilenetv2 start untrained");
  group->add_option("--classes", spec_.num_classes, "outputs of the network")
      ->capture_default_str();
  group->add_option("--input", input_, "input size of the student, WIDTHxHEIGHT in pixels")
      ->capture_default_str()
      ->check(size_between(32, 4096));
  group
      ->add_option("--selected-classes", spec_.selected_classes,
                   "class ids to predict, comma-separated (default: " + default_classes + ")")
      ->delimiter(',');
  return group;
}

const StudentBundle* StudentFlags::bundle() const {
  if (!is_bundle_path(spec_.network)) return nullptr;
  if (!takes_bundles_) {
    throw Error(ErrorCode::invalid_argument,
                "--student '" + spec_.network +
                    "' is a bundle, whose values are trained: name the network that it was made "
                    "from");
  }
  if (!bundle_) {
    bundle_ = std::make_shared<const StudentBundle>(open_student_bundle(spec_.network));
  }
  return bundle_.get();
}

StudentSpec StudentFlags::bundled_spec(const StudentBundle& bundle) const {
  const auto refuse = [&](const char* flag, const std::string& has) {
    throw Error(ErrorCode::invalid_argument, std::string(flag) + " does not go with " +
                                                 bundle.name + ", which has " + has +
                                                 ": leave it out");
  };
  const auto is_given = [&](const char* flag) { return group_->get_option(flag)->count() > 0; };
  const auto size = std::pair(bundle.input_width, bundle.input_height);
  std::vector<int> selected = spec_.selected_classes;
  std::sort(selected.begin(), selected.end());
  if (is_given("--weights")) refuse("--weights", "values of its own");
  if (is_given("--classes") && spec_.num_classes != bundle.num_classes) {
    refuse("--classes", std::to_string(bundle.num_classes));
  }
  if (is_given("--input") && parse_size(input_) != size) {
    refuse("--input", std::to_string(size.first) + "x" + std::to_string(size.second));
  }
  if (is_given("--selected-classes") && selected != bundle.selected_classes) {
    refuse("--selected-classes", "classes of its own");
  }
  if (is_given("--train-batch-norm") && !bundle.train_batch_norm_statistics) {
    refuse("--train-batch-norm", "frozen statistics");
  }
  StudentSpec spec = spec_;
  spec.num_classes = bundle.num_classes;
  std::tie(spec.input_width, spec.input_height) = size;
  spec.selected_classes = bundle.selected_classes;
  spec.normalization = {bundle.mean, bundle.standard_deviation};
  spec.train_batch_norm_statistics = bundle.train_batch_norm_statistics;
  return spec;
}

std::pair<int, int> StudentFlags::input_size() const {
  if (const StudentBundle* const opened = bundle()) {
    return {opened->input_width, opened->input_height};
  }
  return parse_size(input_);
}

StudentSpec StudentFlags::spec(const std::vector<int>& default_classes) const {
  if (const StudentBundle* const opened = bundle()) return bundled_spec(*opened);
  StudentSpec spec = spec_;
  std::tie(spec.input_width, spec.input_height) = parse_size(input_);
  if (spec.selected_classes.empty()) spec.selected_classes = default_classes;
  std::sort(spec.selected_classes.begin(), spec.selected_classes.end());
  return spec;
}

bool StudentFlags::has_values() const {
  return !spec_.weights.empty() || spec_.network.ends_with(".pt") || is_bundle_path(spec_.network);
}

std::string StudentFlags::name() const {
  return std::filesystem::path(spec_.network).filename().string();
}

CLI::App* TeacherFlags::add_to(CLI::App& app, const std::string& what) {
  auto* group = app.add_option_group("Teacher", "The large network that labels frames");
  group->add_option("--teacher", text_, what);
  group
      ->add_option("--teacher-input", input_,
                   "input size of a network teacher, WIDTHxHEIGHT in pixels")
      ->capture_default_str()
      ->check(size_between(32, 4096));
  group->add_option("--teacher-classes", classes_, "outputs of a network teacher")
      ->capture_default_str()
      ->check(CLI::Range(1, 254));
  group->add_option("--device", device_, "where networks compute: cpu, cuda, cuda:1, ...")
      ->capture_default_str();
  return group;
}

std::string TeacherFlags::clip_folder() const {
  return text_.starts_with("clip:") ? text_.substr(5) : "";
}

std::string TeacherFlags::python_factory() const {
  return text_.starts_with("python:") ? text_.substr(7) : "";
}

NetworkTeacherSpec TeacherFlags::network() const {
  NetworkTeacherSpec spec;
  const auto colon = text_.find(':');
  if (colon != std::string::npos) {
    spec.network = text_.substr(0, colon);
    spec.weights = text_.substr(colon + 1);
  } else if (text_.ends_with(".pt") || text_.ends_with(".pt2")) {
    spec.network = text_;
  } else {
    throw Error(ErrorCode::invalid_argument,
                "teacher '" + text_ +
                    "' is not clip:<folder>, fddwnet:<weights.safetensors>, a .pt or a .pt2 file");
  }
  spec.num_classes = classes_;
  spec.device = device_;
  std::tie(spec.input_width, spec.input_height) = parse_size(input_);
  return spec;
}

std::string read_token(const std::string& token, const std::string& token_file) {
  if (token_file.empty()) return token;
  if (!token.empty()) {
    throw Error(ErrorCode::invalid_argument, "give --token or --token-file, not both");
  }
  std::error_code unknown;
  const auto permissions = std::filesystem::status(token_file, unknown).permissions();
  if (!unknown && std::filesystem::is_regular_file(token_file, unknown) &&
      (permissions & std::filesystem::perms::others_read) != std::filesystem::perms::none) {
    log::warning(
        "token_readable_by_others",
        {{"file", token_file},
         {"message", "every user of this machine can read the token: chmod 600 " + token_file}});
  }
  std::ifstream file(token_file);
  std::string line;
  std::getline(file, line);
  const bool is_read = !file.fail();
  const std::string name = "token file '" + token_file + "'";
  line = std::string(without_byte_order_mark(line, name));
  // Editors leave these behind, and nobody sees them.
  line.erase(line.find_last_not_of(" \t\r") + 1);
  if (!is_read || line.empty()) {
    throw Error(ErrorCode::io_error, name + " cannot be read or its first line is empty");
  }
  if (line.size() > max_token_bytes || !is_printable(line)) {
    throw Error(ErrorCode::invalid_argument,
                name + ": its first line is no token: 1 to " + std::to_string(max_token_bytes) +
                    " bytes of UTF-8 without control characters are allowed");
  }
  return line;
}

}  // namespace ams::options
