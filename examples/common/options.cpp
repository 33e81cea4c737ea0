#include "common/options.hpp"

#include <filesystem>
#include <fstream>
#include <iostream>

#include "ams/core/error.hpp"
#include "ams/core/version.hpp"
#include "common/log.hpp"

namespace ams::options {

std::pair<int, int> parse_size(const std::string& text) {
  const auto cross = text.find('x');
  try {
    if (cross != std::string::npos) {
      std::size_t used_width = 0, used_height = 0;
      const std::string height_text = text.substr(cross + 1);
      const int width = std::stoi(text.substr(0, cross), &used_width);
      const int height = std::stoi(height_text, &used_height);
      if (used_width == cross && used_height == height_text.size() && width >= 16 && width <= 8192 &&
          height >= 16 && height <= 8192) {
        return {width, height};
      }
    }
  } catch (const std::exception&) {  // falls through to the one message below
  }
  throw CLI::ValidationError("'" + text + "' is not a size: give WIDTHxHEIGHT, 16 to 8192 each, e.g. 256x128");
}

void StudentFlags::add_to(CLI::App& app) {
  auto* group = app.add_option_group("Student", "The small network. Server and device take the same flags");
  group->add_option("--student", spec_.network,
                    "edanet, deeplabv3_mobilenetv2, or a TorchScript module (model.pt) with trainable parameters")
      ->capture_default_str();
  group->add_option("--weights", spec_.weights, "safetensors file with the pre-trained values");
  group->add_option("--classes", spec_.num_classes, "outputs of the network")->capture_default_str();
  group->add_option("--input", input_, "input size of the student, WIDTHxHEIGHT in pixels")
      ->capture_default_str()
      ->check([](const std::string& text) {
        try {
          parse_size(text);
        } catch (const CLI::ValidationError& error) {
          return std::string(error.what());
        }
        return std::string();
      });
  group->add_option("--selected-classes", spec_.selected_classes,
                    "class ids that the video is about, comma-separated (default: the clip's, else all)")
      ->delimiter(',');
  group->add_flag("--train-batch-norm", spec_.train_batch_norm_statistics,
                  "train batch-norm statistics too; they then travel in every update");
}

StudentSpec StudentFlags::spec(const std::vector<int>& default_classes) const {
  StudentSpec spec = spec_;
  std::tie(spec.input_width, spec.input_height) = parse_size(input_);
  if (spec.selected_classes.empty()) spec.selected_classes = default_classes;
  std::sort(spec.selected_classes.begin(), spec.selected_classes.end());
  return spec;
}

std::string StudentFlags::name() const { return std::filesystem::path(spec_.network).filename().string(); }

NetworkTeacherSpec parse_network_teacher(const std::string& text, const std::string& input, int num_classes) {
  NetworkTeacherSpec spec;
  const auto colon = text.find(':');
  if (colon != std::string::npos) {
    spec.network = text.substr(0, colon);
    spec.weights = text.substr(colon + 1);
  } else if (text.ends_with(".pt") || text.ends_with(".pt2")) {
    spec.network = text;
  } else {
    throw Error(ErrorCode::invalid_argument,
                "teacher '" + text +
                    "' is not clip:<folder>, fddwnet:<weights.safetensors>, a .pt or a .pt2 file");
  }
  spec.num_classes = num_classes;
  std::tie(spec.input_width, spec.input_height) = parse_size(input);
  return spec;
}

std::string read_token(const std::string& token, const std::string& token_file) {
  if (token_file.empty()) return token;
  std::ifstream file(token_file);
  std::string line;
  if (!file || !std::getline(file, line) || line.empty()) {
    throw Error(ErrorCode::io_error, "token file '" + token_file + "' cannot be read or its first line is empty");
  }
  return line;
}

namespace {
std::string log_level = "info";
std::string log_format = "text";
}  // namespace

void add_common(CLI::App& app) {
  app.set_config("--config", "", "file that holds any of these flags, one `name = value` a line (TOML or INI)");
  app.add_option("--log-level", log_level, "debug, info, warning or error")->capture_default_str();
  app.add_option("--log-format", log_format, "text (for people) or json (one object a line)")
      ->capture_default_str();
  app.set_version_flag("--version", version_string);
  app.get_formatter()->column_width(38);
}

int run(CLI::App& app, int argc, char** argv, int (*body)()) {
  try {
    app.parse(argc, argv);
    log::configure(log_level, log_format);
    return body();
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const Error& error) {
    log::error(to_string(error.code()), {{"message", error.what()}});
  } catch (const std::exception& error) {
    log::error("failed", {{"message", error.what()}});
  }
  return 1;
}

}  // namespace ams::options
