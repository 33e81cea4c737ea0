#include "credentials.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/session/text_file.hpp"

namespace ams::detail {
namespace {

using Path = std::filesystem::path;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using Pkcs12Ptr = std::unique_ptr<PKCS12, Freer<PKCS12_free>>;

constexpr std::size_t max_file_bytes = std::size_t{4} << 20;

[[noreturn]] void malformed(const Path& file, const std::string& problem) {
  throw Error(ErrorCode::malformed_data, "'" + file.string() + "' " + problem);
}

/// Why OpenSSL refused, in its words.
std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

std::string read_text(const Path& file) {
  const auto fail = [&](const std::string& reason) {
    throw Error(ErrorCode::io_error, "cannot read '" + file.string() + "': " + reason);
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) fail("it is a folder");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail(std::strerror(errno));
  std::string text(max_file_bytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) fail(std::strerror(errno));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.empty()) malformed(file, "is empty");
  if (text.size() > max_file_bytes) malformed(file, "is no PEM file: it has over 4 MiB");
  return std::string(without_byte_order_mark(text, file.string()));
}

BioPtr reader_of(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool has_block(std::string_view text, std::string_view kind) {
  for (auto begin = text.find("-----BEGIN "); begin != std::string_view::npos;
       begin = text.find("-----BEGIN ", begin + 1)) {
    const auto line = text.substr(begin, text.find('\n', begin) - begin);
    if (line.find(kind) != std::string_view::npos) return true;
  }
  return false;
}

/// Whether DER of one of these kinds is what a file holds.
template <class Read, class Free>
bool is_der(const std::string& text, Read read, Free free) {
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  auto* object = read(nullptr, &data, static_cast<long>(text.size()));
  ERR_clear_error();
  if (object == nullptr) return false;
  free(object);
  return true;
}

/// A file without what was looked for in it: says what it is, and what to do.
[[noreturn]] void refuse_content(const Path& file, const std::string& text, bool wants_key) {
  const std::string wanted = wants_key ? "private key" : "certificate";
  const auto needs = [&](const std::string& is, const std::string& command) {
    malformed(file, "is " + is + "; PEM is needed: openssl " + command + " -in FILE -out NEW.pem");
  };
  const auto mixed_up = [&](const std::string& is) {
    malformed(file, is + " and no " + wanted + ": were the two files mixed up?");
  };
  if (is_der(text, d2i_PKCS12, PKCS12_free)) needs("a PKCS #12 file", "pkcs12 -nodes");
  if (is_der(text, d2i_X509, X509_free)) {
    wants_key ? mixed_up("is a certificate in DER") : needs("in DER", "x509 -inform DER");
  }
  if (is_der(text, d2i_AutoPrivateKey, EVP_PKEY_free)) {
    wants_key ? needs("in DER", "pkey -inform DER") : mixed_up("is a private key in DER");
  }
  const bool has_key = has_block(text, "PRIVATE KEY");
  const bool has_certificate = has_block(text, "CERTIFICATE-----");
  if (has_block(text, "CERTIFICATE REQUEST") && !has_certificate) {
    malformed(file, "holds a request for a certificate and no " + wanted +
                        ": its authority answers the request with a certificate");
  }
  if (wants_key && has_certificate) mixed_up("holds a certificate");
  if (!wants_key && has_key) mixed_up("holds a private key");
  malformed(file, "holds no " + wanted + " in PEM (-----BEGIN ...)");
}

std::vector<CertificatePtr> parse_certificates(const Path& file, const std::string& text) {
  const BioPtr bio = reader_of(text);
  std::vector<CertificatePtr> certificates;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE) {
    malformed(file, "holds a damaged certificate: " + openssl_reason());
  }
  ERR_clear_error();
  if (certificates.empty()) refuse_content(file, text, false);
  return certificates;
}

/// For OpenSSL: notes that a pass phrase is wanted, and has none. Without it OpenSSL would ask at
/// the terminal.
int note_pass_phrase(char*, int, int, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

KeyPtr read_key(const Path& file) {
  const std::string text = read_text(file);
  const BioPtr bio = reader_of(text);
  bool was_asked = false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &note_pass_phrase, &was_asked));
  if (was_asked) {
    ERR_clear_error();
    malformed(file,
              "is protected by a pass phrase, which nobody is there to type: store the key without "
              "one, in a file that only the server may read (umask 077; openssl pkey -in FILE -out "
              "NEW.pem)");
  }
  if (key) return key;
  if (has_block(text, "PRIVATE KEY")) {
    malformed(file, "holds a damaged private key: " + openssl_reason());
  }
  ERR_clear_error();
  refuse_content(file, text, true);
}

std::string kind_of(const EVP_PKEY* key) {
  const char* name = EVP_PKEY_get0_type_name(key);
  return name == nullptr ? "unknown" : name;
}

std::string subject_of(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(std::max(0L, size))};
}

/// The server's own first, then each one's issuer, as far as they are there; then the others.
std::vector<CertificatePtr> ordered(std::vector<CertificatePtr> certificates, const EVP_PKEY* key,
                                    const Path& certificate_file, const Path& key_file) {
  const auto own = std::find_if(certificates.begin(), certificates.end(), [&](const auto& each) {
    return X509_check_private_key(each.get(), key) == 1;
  });
  ERR_clear_error();
  if (own == certificates.end()) {
    const EVP_PKEY* theirs = X509_get0_pubkey(certificates.front().get());
    malformed(key_file, "(" + kind_of(key) + ") is not the private key of the certificate '" +
                            certificate_file.string() + "' (" +
                            (theirs != nullptr ? kind_of(theirs) : "unknown") + ", " +
                            subject_of(certificates.front().get()) +
                            "): give the key that the certificate was made for");
  }
  std::rotate(certificates.begin(), own, own + 1);
  for (auto last = certificates.begin(); last + 1 < certificates.end(); ++last) {
    const auto issuer = std::find_if(last + 1, certificates.end(), [&](const auto& each) {
      return X509_check_issued(each.get(), last->get()) == X509_V_OK;
    });
    if (issuer == certificates.end()) break;
    std::rotate(last + 1, issuer, issuer + 1);
  }
  return certificates;
}

void require_valid_now(const Path& file, const X509* certificate) {
  const ASN1_TIME* begin = X509_get0_notBefore(certificate);
  const ASN1_TIME* end = X509_get0_notAfter(certificate);
  if (X509_cmp_current_time(begin) > 0) {
    malformed(file,
              "is not valid before " + to_text(begin) + ": or is this machine's clock wrong?");
  }
  if (X509_cmp_current_time(end) < 0) {
    malformed(file, "expired on " + to_text(end) +
                        ", so that no device would connect: renew it (or is this machine's clock "
                        "wrong?)");
  }
}

}  // namespace

std::vector<CertificatePtr> read_certificates(const Path& file) {
  return parse_certificates(file, read_text(file));
}

Credentials read_credentials(const Path& certificate_file, const Path& private_key_file) {
  std::vector<CertificatePtr> certificates = read_certificates(certificate_file);
  KeyPtr key = read_key(private_key_file);
  certificates = ordered(std::move(certificates), key.get(), certificate_file, private_key_file);
  require_valid_now(certificate_file, certificates.front().get());
  return {std::move(certificates), std::move(key)};
}

void use_credentials(SSL_CTX* context, const Credentials& credentials,
                     const Path& certificate_file) {
  ERR_clear_error();
  bool ok = SSL_CTX_use_certificate(context, credentials.chain.front().get()) == 1;
  for (auto each = credentials.chain.begin() + 1; ok && each != credentials.chain.end(); ++each) {
    ok = SSL_CTX_add1_chain_cert(context, each->get()) == 1;
  }
  ok = ok && SSL_CTX_use_PrivateKey(context, credentials.key.get()) == 1 &&
       SSL_CTX_check_private_key(context) == 1;
  if (!ok) malformed(certificate_file, "cannot be used for TLS: " + openssl_reason());
}

std::vector<std::string> hosts_of(const X509* certificate) {
  std::vector<std::string> hosts;
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      hosts.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const int size = ASN1_STRING_length(name->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> text{};
      const int family = size == 4 ? AF_INET : AF_INET6;
      if ((size == 4 || size == 16) &&
          ::inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text.data(), text.size())) {
        hosts.emplace_back(text.data());
      }
    }
  }
  return hosts;
}

std::string to_text(const ASN1_TIME* time) {
  std::tm utc{};
  std::array<char, 64> text{};
  if (ASN1_TIME_to_tm(time, &utc) != 1 ||
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc) == 0) {
    return "an unreadable date";
  }
  return text.data();
}

}  // namespace ams::detail
