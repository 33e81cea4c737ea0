#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ams/runtime/server_host.hpp"
#include "server/flags.hpp"

namespace ams {

/// The student of the flags, and those that devices have of their own ([device.<id>] of --config),
/// with their teachers. Devices whose sections say the same share one.
class Students {
 public:
  /// After flags.check(). Opens every file. Throws Error, naming the device whose section is wrong.
  explicit Students(const ServerFlags& flags);

  /// The student of devices that have none of their own.
  const StudentParts& own() const { return *own_; }

  /// For ServerParts.
  std::function<std::optional<DeviceSetup>(const std::string&)> of_device() const;

 private:
  using Shared = std::shared_ptr<const StudentParts>;

  const ServerFlags& flags_;
  std::shared_ptr<SqliteStore> store_;  // of own_; null: sessions are not kept
  Shared own_;
  std::map<std::string, Shared> of_devices_;  // by id
};

}  // namespace ams
