#include "common/program.hpp"

#include <sys/resource.h>

#include <cmath>
#include <cstdlib>
#include <istream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string_view>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/version.hpp"
#include "ams/session/text_file.hpp"
#include "common/log.hpp"
#include "common/signals.hpp"

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
std::string sections_name;
std::map<std::string, Section>* sections = nullptr;  // null: there are none

/// A file that people write with whatever editor they have.
class ConfigFile final : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& file) const override {
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    // Not all of it need be UTF-8: names of files are in it.
    std::istringstream text(std::string(without_byte_order_mark(bytes, "--config")));
    std::vector<CLI::ConfigItem> found = CLI::ConfigTOML::from_config(text);
    std::erase_if(found, [](const CLI::ConfigItem& item) { return takes(item); });
    return found;
  }

 private:
  static bool takes(const CLI::ConfigItem& item) {
    if (sections == nullptr || item.parents.empty() || item.parents[0] != sections_name) {
      return false;
    }
    // CLI11 has such items for the ends of a section.
    const bool is_end = item.name == "++" || item.name == "--";
    if (item.parents.size() == 1) return is_end;
    const std::vector<std::string> id(item.parents.begin() + 1, item.parents.end());
    Section& section = (*sections)[CLI::detail::join(id, ".")];
    if (!is_end) section.emplace_back(item.name, CLI::detail::join(item.inputs, ","));
    return true;
  }
};

}  // namespace

void take_sections(const std::string& name, std::map<std::string, Section>& taken) {
  sections_name = name;
  sections = &taken;
}

void add_common(CLI::App& app) {
  app.set_config("--config", "",
                 "file that holds any of these flags, one `name = value` a line (TOML or INI)");
  app.config_formatter(std::make_shared<ConfigFile>());
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--log-level", log_level, "debug, info, warning or error")->capture_default_str();
  app.add_option("--log-format", log_format, "text (for people) or json (one object a line)")
      ->capture_default_str();
  app.set_version_flag("--version", version_string);
  app.get_formatter()->column_width(38);
}

namespace {

/// CLI11 takes NaN for any number, and -1 for a large count.
void refuse_odd_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type.starts_with("FLOAT")) {
      option->check(CLI::Validator(
          [](const std::string& text) {
            const bool odd = !std::isfinite(std::strtod(text.c_str(), nullptr));
            return odd ? "'" + text + "' is not a finite number" : std::string();
          },
          ""));
    } else if (type.starts_with("UINT")) {
      option->check(CLI::Validator(
          [](const std::string& text) {
            return text.starts_with('-') ? "'" + text + "' is below 0" : std::string();
          },
          ""));
    }
  }
  for (CLI::App* group : app.get_subcommands([](const CLI::App*) { return true; })) {
    refuse_odd_numbers(*group);
  }
}

/// CLI11's own message does not say what is wrong with the name.
int refuse_config(CLI::App& app, const CLI::ConfigError& error) {
  constexpr std::string_view beginning = "INI was not able to parse ";
  const std::string_view text = error.what();
  if (!text.starts_with(beginning)) return app.exit(error);
  return app.exit(CLI::ConfigError("the file of --config names '" +
                                       std::string(text.substr(beginning.size())) +
                                       "', which is no flag of this program",
                                   error.get_exit_code()));
}

}  // namespace

void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int run(CLI::App& app, int argc, char** argv, int (*body)()) {
  try {
    refuse_odd_numbers(app);
    app.parse(argc, argv);
    log::logger().configure(parse_log_level(log_level), parse_log_format(log_format));
    return body();
  } catch (const CLI::ConfigError& error) {
    return refuse_config(app, error);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const Stopped& stopped) {
    log::warning("stopped", {{"signal", stopped.signal}});
    return 128 + stopped.signal;
  } catch (const Error& error) {
    log::error(to_string(error.code()), {{"message", error.what()}});
  } catch (const std::exception& error) {
    log::error("failed", {{"message", error.what()}});
  }
  return 1;
}

}  // namespace ams::options
