#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

/// What ams-server does instead of serving.
namespace ams {

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
