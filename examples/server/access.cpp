#include "server/access.hpp"

#include <ctime>

#include "ams/core/error.hpp"
#include "ams/net/certificate.hpp"
#include "common/log.hpp"
#include "common/options.hpp"

namespace ams {
namespace {

/// What the files hold.
struct Secrets {
  std::vector<std::string> shared_tokens;
  DeviceCredentials devices;

  bool empty() const { return shared_tokens.empty() && devices.empty(); }
};

Secrets read_secrets(const ServerFlags& flags) {
  Secrets secrets;
  const std::string token = options::read_token(flags.token, flags.token_file);
  if (!token.empty()) secrets.shared_tokens.push_back(token);
  if (flags.data_dir != "none") {
    secrets.devices = DeviceCredentials::read(devices_file(flags.data_dir));
  }
  return secrets;
}

}  // namespace

std::filesystem::path devices_file(const std::string& data_dir) {
  return std::filesystem::path(data_dir) / "devices";
}

Access::Access(const ServerFlags& flags) : flags_(flags) {
  Secrets secrets = read_secrets(flags);
  if (secrets.empty()) {
    flags.require_safe_without_token();
    log::warning("no_token", {{"message",
                               "every device that reaches this server is let in; see `ams-server "
                               "devices` and --token-file"}});
  } else {
    authorization_.emplace(secrets.shared_tokens, secrets.devices);
  }
  devices_ = std::move(secrets.devices);
  read_certificate();
}

std::function<std::optional<Fault>(const Hello&)> Access::authorize() const {
  if (!authorization_) return nullptr;
  return *authorization_;
}

void Access::reserve_places(ServerHostOptions& options) const {
  if (!authorization_) return;
  options.has_reserved_place = [known = *authorization_](const std::string& id) {
    return known.knows(id);
  };
  options.reserved_places = [known = *authorization_] { return known.known_devices(); };
}

void Access::reload(WebSocketServerTransport& network, ServerHost& host) {
  try {
    Secrets renewed = read_secrets(flags_);
    if (!authorization_ && !renewed.empty()) {
      throw Error(ErrorCode::unavailable,
                  "there are tokens now, and this server began without: restart it");
    }
    network.reload_certificate();
    if (authorization_) authorization_->replace(renewed.shared_tokens, renewed.devices);
    for (const std::string& id : renewed.devices.changed_since(devices_)) {
      host.disconnect(id, "its token was changed or revoked");
    }
    devices_ = std::move(renewed.devices);
    read_certificate();
    log::info("reloaded", {{"certificate_valid_until", certificate_valid_until_}});
  } catch (const std::exception& error) {
    log::warning("not_reloaded", {{"message", error.what()}});
  }
}

void Access::read_certificate() {
  constexpr double soon_seconds = 14 * 86400;
  const CertificateInfo certificate =
      check_certificate(flags_.network.certificate_file, flags_.network.private_key_file);
  certificate_valid_until_ = certificate.valid_until;
  const double left_seconds = certificate.valid_until_unix_seconds - double(std::time(nullptr));
  if (left_seconds > soon_seconds) return;
  log::warning("certificate_expires_soon", {{"valid_until", certificate.valid_until}});
}

}  // namespace ams
