// What one device has of its own: the sections [device.<id>] of --config.

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/session/text.hpp"
#include "server/flags.hpp"

namespace ams {
namespace {

/// Not in a group: neither of the student nor of the teacher.
bool is_direct(const CLI::App& app, const CLI::Option* option) {
  const std::vector<const CLI::Option*> direct = app.get_options();
  return std::find(direct.begin(), direct.end(), option) != direct.end();
}

std::vector<const CLI::Option*> all_options(const CLI::App& app) {
  std::vector<const CLI::Option*> all = app.get_options();
  for (const CLI::App* group : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::vector<const CLI::Option*> more = group->get_options();
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace

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

/// Over what the flags say. Another student takes nothing from that of the flags.
void ServerFlags::set_of_device(const options::Section& section) {
  section_ = std::make_shared<CLI::App>();
  CLI::App& app = *section_;
  app.set_help_flag();
  const auto names = [&](const char* name) {
    return std::any_of(section.begin(), section.end(),
                       [&](const auto& item) { return item.first == name; });
  };
  if (names("student")) {
    student = {};
    roles = {};
    clip.clear();
  }
  student.add_to(app);
  add_teacher_to(app, "");
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
  std::set<std::string> of_student;
  for (const auto& [name, value] : section) {
    const CLI::Option* const option = app.get_option_no_throw("--" + name);
    if (option == nullptr) {
      std::string allowed;
      for (const CLI::Option* other : all_options(app)) {
        allowed += (allowed.empty() ? "" : ", ") + other->get_name().substr(2);
      }
      throw Error(
          ErrorCode::invalid_argument,
          "'" + name + "' is nothing that a device can have of its own; allowed are " + allowed);
    }
    arguments.insert(arguments.begin(), "--" + name + "=" + value);
    if (!is_direct(app, option)) of_student.insert(name + "=" + value);
  }
  app.parse(std::move(arguments));

  const auto is_given = [&](const char* name) { return app.get_option(name)->count() > 0; };
  const bool chooses = is_given("--strategy") || is_given("--profile");
  if (chooses && is_given("--downlink-kbps")) {
    throw Error(
        ErrorCode::invalid_argument,
        "with downlink-kbps the policy chooses strategy and profile: give one or the other");
  }
  const bool is_trained_otherwise =
      std::any_of(section.begin(), section.end(), [&](const auto& item) {
        return item.first != "pinned" && item.first != "max-buffer-mib" &&
               is_direct(app, app.get_option("--" + item.first));
      });
  if (paper && is_trained_otherwise) {
    throw Error(ErrorCode::invalid_argument,
                "with --paper all devices are trained alike; allowed are pinned, max-buffer-mib, "
                "student, teacher and what belongs to these");
  }
  if (chooses) downlink_kbps = 0;
  has_own_teacher_ = names("teacher") || names("teacher-input") || names("teacher-classes") ||
                     names("device") || names("python") || names("teacher-timeout-seconds");
  for (const std::string& item : of_student) own_student_ += item + "\n";
}

}  // namespace ams
