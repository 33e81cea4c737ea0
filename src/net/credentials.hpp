#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <string>
#include <vector>

#include "openssl_pointers.hpp"

namespace ams::detail {

/// The certificates of a PEM file, at least one. Throws Error: io_error when the file cannot be
/// read, malformed_data when it has none, which says what it is instead and how to convert it.
std::vector<CertificatePtr> read_certificates(const std::filesystem::path& file);

/// A certificate with its chain, the server's own first, and its private key.
struct Credentials {
  std::vector<CertificatePtr> chain;
  KeyPtr key;
};

/// Reads and checks what a server shows. The certificates may be in any order; the one of the key
/// is the server's own. Never asks for a pass phrase. Throws as read_certificates(), and
/// malformed_data for a key and certificates that do not belong together, or are not valid now.
Credentials read_credentials(const std::filesystem::path& certificate_file,
                             const std::filesystem::path& private_key_file);

/// Throws Error(malformed_data), for files that OpenSSL does not take (a key that is too short).
void use_credentials(SSL_CTX* context, const Credentials& credentials,
                     const std::filesystem::path& certificate_file);

/// The DNS names and IP addresses that a certificate is made out to.
std::vector<std::string> hosts_of(const X509* certificate);

/// "2027-03-01 12:00:00 UTC".
std::string to_text(const ASN1_TIME* time);

}  // namespace ams::detail
