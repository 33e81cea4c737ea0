#include "server/commands.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>

#include "ams/core/error.hpp"
#include "ams/net/certificate.hpp"
#include "ams/net/device_credentials.hpp"
#include "common/files.hpp"
#include "server/access.hpp"

namespace ams {
namespace {

/// A folder that is there stays as it is.
void create_private_folder(const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) return create_folder(path);
  create_folder(path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

/// Two commands at once wait for each other. A folder that is not there needs no lock.
class FolderLock {
 public:
  explicit FolderLock(const std::string& folder)
      : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_ >= 0) ::flock(descriptor_, LOCK_EX);
  }
  ~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace

void DevicesCommand::add_to(CLI::App& app) {
  devices_ = app.add_subcommand(
      "devices",
      "give each device a token of its own, kept in --data-dir; a running server reads them at "
      "SIGHUP");
  devices_->require_subcommand(1);
  add_ = devices_->add_subcommand(
      "add",
      "print a new token for a device, once; the old one ends. `operator` is no device: its token "
      "reads /metrics");
  list_ = devices_->add_subcommand(
      "list", "print the devices, one a line, then those that are revoked");
  revoke_ = devices_->add_subcommand(
      "revoke", "take a device's token away: no token lets it in until it is added again");
  for (CLI::App* command : {add_, revoke_}) {
    command->add_option("device-id", id_, "as ams-edge --device-id")->required();
  }
  for (CLI::App* command : {devices_, add_, list_, revoke_}) command->fallthrough();
}

int DevicesCommand::run(const std::string& data_dir) const {
  if (data_dir == "none") {
    throw Error(ErrorCode::invalid_argument, "devices are kept in --data-dir, which is none");
  }
  if (!list_->parsed()) create_private_folder(data_dir);
  if (list_->parsed() && !std::filesystem::is_directory(data_dir)) {
    throw Error(ErrorCode::invalid_argument,
                "--data-dir '" + data_dir + "' is no folder; name the server's");
  }
  const FolderLock lock(data_dir);
  DeviceCredentials devices = DeviceCredentials::read(devices_file(data_dir));
  if (list_->parsed()) {
    for (const std::string& id : devices.devices()) std::printf("%s\n", id.c_str());
    for (const std::string& id : devices.revoked()) std::printf("%s\trevoked\n", id.c_str());
    return 0;
  }
  std::string token;
  if (add_->parsed()) {
    token = devices.add(id_);
  } else if (!devices.revoke(id_) && !devices.is_revoked(id_)) {
    throw Error(ErrorCode::invalid_argument,
                "there is no device " + id_ + "; `ams-server devices list` names them");
  }
  devices.write(devices_file(data_dir));
  if (!token.empty()) std::printf("%s\n", token.c_str());
  std::fprintf(stderr, "a running server reads this at SIGHUP\n");
  return 0;
}

int write_certificate(const std::filesystem::path& folder, const std::vector<std::string>& hosts) {
  const auto certificate = folder / "certificate.pem", key = folder / "private_key.pem";
  create_folder(folder);
  if (std::filesystem::exists(certificate) && std::filesystem::exists(key)) {
    std::printf("%s and %s are there already and stay as they are; delete them to make new ones\n",
                certificate.c_str(), key.c_str());
    return 0;
  }
  write_self_signed_certificate(certificate, key, hosts, 3650);
  std::printf("wrote %s and %s\n", certificate.c_str(), key.c_str());
  return 0;
}

}  // namespace ams
