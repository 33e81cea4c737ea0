#include "common/program.hpp"

#include "ams/core/error.hpp"
#include "ams/core/version.hpp"
#include "common/log.hpp"

namespace ams::options {

std::pair<int, int> parse_size(const std::string& text, int smallest, int largest) {
  const auto cross = text.find('x');
  const auto allowed = [&](int value) { return value >= smallest && value <= largest; };
  try {
    if (cross != std::string::npos) {
      std::size_t used_width = 0, used_height = 0;
      const std::string height_text = text.substr(cross + 1);
      const int width = std::stoi(text.substr(0, cross), &used_width);
      const int height = std::stoi(height_text, &used_height);
      if (used_width == cross && used_height == height_text.size() && allowed(width) &&
          allowed(height)) {
        return {width, height};
      }
    }
  } catch (const std::exception&) {  // falls through to the one message below
  }
  throw CLI::ValidationError("'" + text + "' is not a size: give WIDTHxHEIGHT, " +
                             std::to_string(smallest) + " to " + std::to_string(largest) +
                             " each, e.g. 256x128");
}

CLI::Validator size_between(int smallest, int largest) {
  return CLI::Validator(
      [=](const std::string& text) {
        try {
          parse_size(text, smallest, largest);
        } catch (const CLI::ValidationError& error) {
          return std::string(error.what());
        }
        return std::string();
      },
      "WIDTHxHEIGHT");
}

namespace {
std::string log_level = "info";
std::string log_format = "text";
}  // namespace

void add_common(CLI::App& app) {
  app.set_config("--config", "",
                 "file that holds any of these flags, one `name = value` a line (TOML or INI)");
  app.allow_config_extras(CLI::config_extras_mode::error);
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
