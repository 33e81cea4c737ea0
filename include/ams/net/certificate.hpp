#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ams {

/// Writes a new P-256 key and a certificate signed by itself, both PEM, for tests and for servers
/// whose devices are given the certificate (WebSocketClientOptions::ca_file). The key file gets
/// mode 0600. `hosts`: the DNS names and IP addresses that it is made out to, at least one; `days`:
/// 1 to 36500. An existing file is never overwritten. Throws Error(invalid_argument) or
/// Error(io_error).
void write_self_signed_certificate(const std::filesystem::path& certificate_file,
                                   const std::filesystem::path& private_key_file,
                                   const std::vector<std::string>& hosts, int days);

}  // namespace ams
