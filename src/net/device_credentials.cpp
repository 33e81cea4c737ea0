#include "ams/net/device_credentials.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/net/token.hpp"
#include "ams/session/text.hpp"

namespace ams {
namespace {

constexpr std::size_t token_random_bytes = 32;
constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view revoked_word = "revoked ";

/// Base64 for URLs (RFC 4648), without padding.
std::string base64url(const unsigned char* bytes, std::size_t size) {
  std::string text((size + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes,
                                     static_cast<int>(size));
  text.resize(static_cast<std::size_t>(length));
  text.erase(text.find_last_not_of('=') + 1);
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

/// A blank that an editor has left would make another device of it.
bool is_entry(const std::string& id) {
  return is_device_id(id) && id.front() != ' ' && id.back() != ' ';
}

/// In hexadecimal at the beginning of the line, with a space behind it.
std::optional<std::array<unsigned char, SHA256_DIGEST_LENGTH>> leading_fingerprint(
    const std::string& line) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> fingerprint{};
  const std::size_t digits = 2 * fingerprint.size();
  if (line.size() <= digits || line[digits] != ' ') return std::nullopt;
  for (std::size_t i = 0; i < digits; ++i) {
    const auto digit = hex_digits.find(line[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    fingerprint[i / 2] = static_cast<unsigned char>(fingerprint[i / 2] * 16 + digit);
  }
  return fingerprint;
}

[[noreturn]] void fail(const std::filesystem::path& file, const char* what, int code) {
  throw Error(ErrorCode::io_error,
              std::string(what) + " " + file.string() + ": " + std::strerror(code));
}

}  // namespace

DeviceCredentials DeviceCredentials::read(const std::filesystem::path& file) {
  DeviceCredentials credentials;
  std::error_code error;
  if (!std::filesystem::exists(file, error) && !error) return credentials;
  std::ifstream lines(file);
  if (!lines) fail(file, "cannot read", errno);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) continue;
    std::optional<Fingerprint> fingerprint;
    std::string id;
    if (line.starts_with(revoked_word)) {
      id = line.substr(revoked_word.size());
    } else if (fingerprint = leading_fingerprint(line); fingerprint) {
      id = line.substr(2 * fingerprint->size() + 1);
    }
    if (!is_entry(id)) {
      throw Error(ErrorCode::malformed_data,
                  file.string() + ", line " + std::to_string(number) +
                      ": wanted are a fingerprint of 64 hexadecimal digits or the word revoked, a "
                      "space and a device id");
    }
    credentials.entries_[id] = fingerprint;
  }
  if (lines.bad()) fail(file, "cannot read", errno);
  return credentials;
}

void DeviceCredentials::write(const std::filesystem::path& file) const {
  std::string text;
  for (const auto& [id, fingerprint] : entries_) {
    if (fingerprint) {
      for (const unsigned char byte : *fingerprint) {
        text += hex_digits[byte >> 4];
        text += hex_digits[byte & 15];
      }
      text += " ";
    } else {
      text += revoked_word;
    }
    text += id + "\n";
  }
  const std::filesystem::path partial = file.string() + ".partial";
  // O_EXCL: root must not follow a link that the owner of the folder has put there.
  ::unlink(partial.c_str());
  const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) fail(partial, "cannot write", errno);
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  struct stat owner {};
  const bool is_owned = ::geteuid() != 0 || (::stat(folder.c_str(), &owner) == 0 &&
                                             ::fchown(descriptor, owner.st_uid, owner.st_gid) == 0);
  const auto size = static_cast<ssize_t>(text.size());
  const bool is_written = is_owned && ::write(descriptor, text.data(), text.size()) == size &&
                          ::fsync(descriptor) == 0;
  const int code = errno;
  ::close(descriptor);
  std::error_code error(code, std::generic_category());
  if (is_written) std::filesystem::rename(partial, file, error);
  if (is_written && !error) return;
  ::unlink(partial.c_str());
  fail(file, "cannot write", error.value());
}

std::string DeviceCredentials::add(const std::string& device_id) {
  if (!is_entry(device_id)) {
    throw Error(ErrorCode::invalid_argument,
                "a device id is 1 to " + std::to_string(max_device_id_bytes) +
                    " bytes of UTF-8 without control characters, and begins and ends without a "
                    "blank");
  }
  std::array<unsigned char, token_random_bytes> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw Error(ErrorCode::unavailable, "this machine has no random numbers for a token");
  }
  std::string token = base64url(random.data(), random.size());
  Fingerprint fingerprint{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), fingerprint.data());
  entries_[device_id] = fingerprint;
  return token;
}

bool DeviceCredentials::revoke(const std::string& device_id) {
  if (!knows(device_id)) return false;
  entries_[device_id].reset();
  return true;
}

bool DeviceCredentials::knows(const std::string& device_id) const {
  const auto found = entries_.find(device_id);
  return found != entries_.end() && found->second;
}

bool DeviceCredentials::is_revoked(const std::string& device_id) const {
  const auto found = entries_.find(device_id);
  return found != entries_.end() && !found->second;
}

std::vector<std::string> DeviceCredentials::changed_since(const DeviceCredentials& older) const {
  std::vector<std::string> ids;
  for (const auto& [id, fingerprint] : entries_) {
    const auto before = older.entries_.find(id);
    if (before == older.entries_.end() || before->second != fingerprint) ids.push_back(id);
  }
  for (const auto& [id, fingerprint] : older.entries_) {
    if (!entries_.contains(id)) ids.push_back(id);
  }
  return ids;
}

std::vector<std::string> DeviceCredentials::ids(bool are_revoked) const {
  std::vector<std::string> found;
  for (const auto& [id, fingerprint] : entries_) {
    if (!fingerprint == are_revoked) found.push_back(id);
  }
  return found;
}

bool DeviceCredentials::accepts(const std::string& device_id, std::string_view token) const {
  Fingerprint given{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), given.data());
  const auto found = entries_.find(device_id);
  return found != entries_.end() && found->second &&
         CRYPTO_memcmp(given.data(), found->second->data(), given.size()) == 0;
}

struct Authorization::State {
  mutable std::mutex mutex;
  std::function<std::optional<Fault>(const Hello&)> shared;  ///< null: there is no shared token
  DeviceCredentials devices;
};

Authorization::Authorization(std::vector<std::string> shared_tokens, DeviceCredentials devices)
    : state_(std::make_shared<State>()) {
  replace(std::move(shared_tokens), std::move(devices));
}

void Authorization::replace(std::vector<std::string> shared_tokens, DeviceCredentials devices) {
  std::function<std::optional<Fault>(const Hello&)> shared;
  if (!shared_tokens.empty()) shared = accept_tokens(std::move(shared_tokens));
  const std::lock_guard lock(state_->mutex);
  state_->shared = std::move(shared);
  state_->devices = std::move(devices);
}

std::optional<Fault> Authorization::operator()(const Hello& hello) const {
  const std::lock_guard lock(state_->mutex);
  const std::string operator_id(DeviceCredentials::operator_id);
  const DeviceCredentials& devices = state_->devices;
  if (hello.device_id.empty()) {
    if (devices.accepts(operator_id, hello.token)) return std::nullopt;
  } else if (hello.device_id == operator_id && !devices.empty()) {
    return Fault{ErrorCode::unauthorized, "operator is no name for a device on this server"};
  } else if (devices.knows(hello.device_id)) {
    if (devices.accepts(hello.device_id, hello.token)) return std::nullopt;
    return Fault{ErrorCode::unauthorized, "this is not the token of the device"};
  } else if (devices.is_revoked(hello.device_id)) {
    return Fault{ErrorCode::unauthorized,
                 "the token of this device was revoked; `ams-server devices add` gives it another"};
  }
  if (state_->shared) return state_->shared(hello);
  return Fault{ErrorCode::unauthorized, "the server does not know this device"};
}

bool Authorization::knows(const std::string& device_id) const {
  const std::lock_guard lock(state_->mutex);
  return device_id != DeviceCredentials::operator_id && state_->devices.knows(device_id);
}

std::size_t Authorization::known_devices() const {
  const std::lock_guard lock(state_->mutex);
  const bool has_operator = state_->devices.knows(std::string(DeviceCredentials::operator_id));
  return state_->devices.devices().size() - (has_operator ? 1 : 0);
}

}  // namespace ams
