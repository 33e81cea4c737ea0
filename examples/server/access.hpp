#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ams/net/device_credentials.hpp"
#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/server_host.hpp"
#include "server/flags.hpp"

namespace ams {

/// Where --data-dir keeps the devices that have tokens of their own.
std::filesystem::path devices_file(const std::string& data_dir);

/// Who may connect, and the certificate that they are shown, as the files of the flags have it.
/// Warns of a server without tokens and of a certificate that soon expires. Not thread-safe.
class Access {
 public:
  /// Throws Error: io_error, malformed_data, and ServerFlags::require_safe_without_token()'s.
  /// `flags` outlives it.
  explicit Access(const ServerFlags& flags);

  /// For WebSocketServerTransport; null: every device is let in.
  std::function<std::optional<Fault>(const Hello&)> authorize() const;

  /// Devices that have tokens of their own always have a place.
  void reserve_places(ServerHostOptions& options) const;

  const std::string& certificate_valid_until() const { return certificate_valid_until_; }

  /// New connections get what the files now hold. Devices whose own token was changed or revoked
  /// are disconnected. If something is wrong with the files, all stays as it was, and the log says
  /// what. A server that began without tokens takes none.
  void reload(WebSocketServerTransport& network, ServerHost& host);

 private:
  void read_certificate();

  const ServerFlags& flags_;
  DeviceCredentials devices_;
  std::optional<Authorization> authorization_;  // nothing: every device is let in
  std::string certificate_valid_until_;
};

}  // namespace ams
