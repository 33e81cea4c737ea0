#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "ams/net/device_credentials.hpp"

namespace ams {

struct ServerFlags;

/// Who may connect: the shared token of the flags, and the devices in --data-dir.
struct Access {
  std::vector<std::string> shared_tokens;
  DeviceCredentials devices;

  bool is_open() const { return shared_tokens.empty() && devices.empty(); }
};

/// As the files are now. Throws Error(io_error), Error(malformed_data).
Access read_access(const ServerFlags& flags);

/// `ams-server devices add | list | revoke`.
class DevicesCommand {
 public:
  void add_to(CLI::App& app);
  bool is_given() const { return devices_ != nullptr && devices_->parsed(); }

  /// Does it, in --data-dir. Gives the exit status.
  int run(const std::string& data_dir) const;

 private:
  CLI::App *devices_ = nullptr, *add_ = nullptr, *list_ = nullptr, *revoke_ = nullptr;
  std::string id_;
};

/// --generate-certificate: makes a pair in the folder, unless one is there. Gives the exit status.
int write_certificate(const std::filesystem::path& folder, const std::vector<std::string>& hosts);

}  // namespace ams
