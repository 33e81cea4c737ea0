#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ams/session/messages.hpp"

namespace ams {

/// The devices that a server knows, each with a token of its own: only fingerprints (SHA-256) are
/// kept, so the file betrays no token. A plain value; not thread-safe.
class DeviceCredentials {
 public:
  /// Who reads /metrics: an entry that is no device.
  static constexpr std::string_view operator_id = "operator";

  /// From a file with a line for each device, `<fingerprint in hex> <device id>` or `revoked
  /// <device id>`; a file that is not there has none. Throws Error(io_error) when it cannot be
  /// read, and Error(malformed_data) that names the line.
  static DeviceCredentials read(const std::filesystem::path& file);

  /// The whole file or nothing, readable by its owner alone. Written by root, it belongs to the
  /// owner of its folder: a service that is not root reads it. Throws Error(io_error).
  void write(const std::filesystem::path& file) const;

  /// Makes a token for a device, in place of the one that it had: 43 letters, digits, - and _.
  /// Throws Error(invalid_argument) when that is no device id (is_device_id(), text.hpp).
  std::string add(const std::string& device_id);

  /// Takes the device's token away. It is remembered as revoked until add() gives it another. False
  /// when it has none.
  bool revoke(const std::string& device_id);

  /// Neither devices nor revoked ones.
  bool empty() const noexcept { return entries_.empty(); }

  /// Whether the device has a token; whether it had one that was revoked.
  bool knows(const std::string& device_id) const;
  bool is_revoked(const std::string& device_id) const;

  /// Those that have tokens and those that are revoked, each in order.
  std::vector<std::string> devices() const { return ids(false); }
  std::vector<std::string> revoked() const { return ids(true); }

  /// Devices whose token is not the one that they had in `older`: exchanged, new, or revoked.
  std::vector<std::string> changed_since(const DeviceCredentials& older) const;

  /// Whether this is the device's token. Takes a time that tells nothing about the token.
  bool accepts(const std::string& device_id, std::string_view token) const;

 private:
  using Fingerprint = std::array<unsigned char, 32>;
  std::vector<std::string> ids(bool are_revoked) const;
  std::map<std::string, std::optional<Fingerprint>> entries_;  // nothing: revoked
};

/// An authorize callback (server.hpp) whose tokens and devices may be exchanged while a server
/// runs. A known device needs its own token. A revoked one is refused with Fault(unauthorized).
/// Others need one of the shared tokens; without any they are refused likewise. A Hello without
/// device id asks for the operator: its own token or a shared one. Copies share what they know, so
/// that a server may be given one. Thread-safe.
class Authorization {
 public:
  /// Both throw Error(invalid_argument) on an empty token or one of more than 1024 bytes.
  explicit Authorization(std::vector<std::string> shared_tokens, DeviceCredentials devices = {});
  void replace(std::vector<std::string> shared_tokens, DeviceCredentials devices = {});

  std::optional<Fault> operator()(const Hello& hello) const;

  /// Whether a device has a token of its own, and how many have.
  bool knows(const std::string& device_id) const;
  std::size_t known_devices() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ams
