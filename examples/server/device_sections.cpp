// What one device has of its own: the sections [device.<id>] of --config.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/session/text.hpp"
#include "server/flags.hpp"

namespace ams {

void ServerFlags::read_device_sections() {
  for (const auto& [id, section] : device_sections) {
    const auto refuse = [name = "[device." + id + "]"](const std::string& why) {
      throw Error(ErrorCode::invalid_argument, name + " of --config: " + why);
    };
    if (!is_device_id(id)) refuse("this is not the id of a device");
    auto own = std::make_shared<ServerFlags>(*this);
    own->device_sections.clear();
    try {
      own->set_of_device(section);
      own->check();
    } catch (const CLI::Error& error) {
      refuse(error.what());
    } catch (const Error& error) {
      refuse(error.what());
    }
    own_[id] = std::move(own);
  }
}

/// Over what the flags say.
void ServerFlags::set_of_device(const options::Section& section) {
  CLI::App app;
  app.set_help_flag();
  app.add_option("--downlink-kbps", downlink_kbps)->check(CLI::PositiveNumber);
  app.add_option("--strategy", strategy);
  app.add_option("--profile", profile);
  app.add_option("--learning-rate", adam.learning_rate);
  app.add_option("--iterations", pace.iterations)->check(CLI::PositiveNumber);
  app.add_option("--update-interval-seconds", pace.update_interval_seconds);
  app.add_option("--sampling-min-fps", pace.sampling.min_fps);
  app.add_option("--sampling-max-fps", pace.sampling.max_fps);
  app.add_option("--horizon-seconds", pace.horizon_seconds);
  app.add_option("--buffer-samples", pace.buffer_samples)->check(CLI::Range(4, 4096));
  app.add_option("--max-buffer-mib", max_buffer_mib)->check(CLI::Range(1, 1 << 20));
  app.add_flag("--pinned", pinned);

  std::vector<std::string> arguments;  // the last one first, as CLI11 wants them
  for (const auto& [name, value] : section) {
    if (app.get_option_no_throw("--" + name) == nullptr) {
      std::string allowed;
      for (const CLI::Option* option : app.get_options()) {
        allowed += (allowed.empty() ? "" : ", ") + option->get_name().substr(2);
      }
      throw Error(
          ErrorCode::invalid_argument,
          "'" + name + "' is nothing that a device can have of its own; allowed are " + allowed);
    }
    arguments.insert(arguments.begin(), "--" + name + "=" + value);
  }
  app.parse(std::move(arguments));

  const auto is_given = [&](const char* name) { return app.get_option(name)->count() > 0; };
  const bool chooses = is_given("--strategy") || is_given("--profile");
  if (chooses && is_given("--downlink-kbps")) {
    throw Error(
        ErrorCode::invalid_argument,
        "with downlink-kbps the policy chooses strategy and profile: give one or the other");
  }
  const bool is_trained_otherwise = std::any_of(
      section.begin(), section.end(),
      [](const auto& item) { return item.first != "pinned" && item.first != "max-buffer-mib"; });
  if (paper && is_trained_otherwise) {
    throw Error(ErrorCode::invalid_argument,
                "with --paper all devices are trained alike; allowed are pinned, max-buffer-mib");
  }
  if (chooses) downlink_kbps = 0;
}

std::function<std::optional<DeviceSetup>(const std::string&)> ServerFlags::of_device() const {
  if (own_.empty()) return nullptr;
  return [own = own_](const std::string& id) -> std::optional<DeviceSetup> {
    const auto found = own.find(id);
    if (found == own.end()) return std::nullopt;
    const ServerFlags& flags = *found->second;
    return DeviceSetup{flags.make_policy()(), flags.session, flags.pinned};
  };
}

}  // namespace ams
