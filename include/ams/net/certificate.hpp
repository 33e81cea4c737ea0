#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ams/core/error.hpp"

namespace ams {

/// Writes a new P-256 key and a certificate signed by itself, both PEM, for tests and for servers
/// whose devices are given the certificate (WebSocketClientOptions::ca_file). The key file gets
/// mode 0600. `hosts`: the DNS names and IP addresses that it is made out to, at least one; `days`:
/// 1 to 36500. An existing file is never overwritten. Throws Error(invalid_argument) or
/// Error(io_error).
void write_self_signed_certificate(const std::filesystem::path& certificate_file,
                                   const std::filesystem::path& private_key_file,
                                   const std::vector<std::string>& hosts, int days);

/// What a server's certificate says.
struct CertificateInfo {
  std::vector<std::string> hosts;  ///< the DNS names and IP addresses that it is made out to
  std::string valid_until;         ///< "2027-03-01 12:00:00 UTC"
  double valid_until_unix_seconds = 0;
};

/// Whether a WebSocketServer could use these PEM files now: the certificate, with the chain to its
/// authority in any order, and its private key, which may stand in one file. Never asks for a pass
/// phrase. Throws Error: io_error for a file that cannot be read; malformed_data, which says what
/// to do, for one that holds something else (DER, PKCS #12, the other of the two, a key with a pass
/// phrase), a key that is not the certificate's, and a certificate that is not valid now.
CertificateInfo check_certificate(const std::filesystem::path& certificate_file,
                                  const std::filesystem::path& private_key_file);

}  // namespace ams
