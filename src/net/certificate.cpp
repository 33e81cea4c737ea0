#include "ams/net/certificate.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <system_error>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "credentials.hpp"
#include "openssl_pointers.hpp"

namespace ams {

using namespace detail;

namespace {

using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using AddressPtr = std::unique_ptr<ASN1_OCTET_STRING, Freer<ASN1_OCTET_STRING_free>>;

void check(bool ok, const char* what) {
  if (!ok) {
    char text[256] = "no reason given";
    if (const unsigned long code = ERR_get_error(); code != 0) {
      ERR_error_string_n(code, text, sizeof text);
    }
    throw Error(ErrorCode::unavailable, std::string("OpenSSL: ") + what + ": " + text);
  }
}

bool is_ip_address(const std::string& host) {
  const AddressPtr address(a2i_IPADDRESS(host.c_str()));
  ERR_clear_error();
  return address != nullptr;
}

// The characters of names and addresses only: the list below is in OpenSSL's own little language,
// where ',' and ':' would begin another entry.
bool is_dns_name(const std::string& host) {
  constexpr const char* allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*";
  return !host.empty() && host.size() <= 253 &&
         host.find_first_not_of(allowed) == std::string::npos;
}

std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string list;
  for (const std::string& host : hosts) {
    const bool is_ip = is_ip_address(host);
    if (!is_ip && !is_dns_name(host)) {
      throw Error(ErrorCode::invalid_argument,
                  "this is neither a DNS name nor an IP address: " + host);
    }
    list.append(list.empty() ? "" : ",").append(is_ip ? "IP:" : "DNS:").append(host);
  }
  return list;
}

void add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  check(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1,
        "cannot add an extension to the certificate");
}

CertificatePtr make_certificate(EVP_PKEY* key, const std::vector<std::string>& hosts,
                                const std::string& names, int days) {
  CertificatePtr certificate(X509_new());
  check(certificate != nullptr, "cannot make a certificate");
  X509* x509 = certificate.get();

  unsigned char serial[16];
  check(RAND_bytes(serial, sizeof serial) == 1, "no random numbers");
  serial[0] = (serial[0] & 0x3f) | 0x40;  // positive and of full length
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(serial, sizeof serial, nullptr));
  check(
      number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr,
      "cannot set the serial number");

  check(X509_set_version(x509, X509_VERSION_3) == 1, "cannot set the version");
  // A device's clock may run a little behind the server's.
  check(X509_gmtime_adj(X509_getm_notBefore(x509), -3600) != nullptr &&
            X509_time_adj_ex(X509_getm_notAfter(x509), days, 0, nullptr) != nullptr,
        "cannot set the dates");
  check(X509_set_pubkey(x509, key) == 1, "cannot set the key");

  X509_NAME* name = X509_get_subject_name(x509);
  const std::string common_name = hosts.front().substr(0, 64);  // X.509 has no room for more
  check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(common_name.data()),
                                   static_cast<int>(common_name.size()), -1, 0) == 1,
        "cannot set the name");
  // A file with an old and a new certificate needs names that differ: OpenSSL finds one by its name.
  std::string number_text;
  for (const unsigned char byte : serial) number_text += fmt::format("{:02x}", byte);
  check(X509_NAME_add_entry_by_txt(
            name, "serialNumber", MBSTRING_ASC,
            reinterpret_cast<const unsigned char*>(number_text.data()),
            static_cast<int>(number_text.size()), -1, 0) == 1 &&
            X509_set_issuer_name(x509, name) == 1,
        "cannot set the name's number");

  add_extension(x509, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x509, NID_key_usage, "critical,digitalSignature");
  add_extension(x509, NID_ext_key_usage, "serverAuth");
  add_extension(x509, NID_subject_alt_name, names);
  add_extension(x509, NID_subject_key_identifier, "hash");
  check(X509_sign(x509, key, EVP_sha256()) > 0, "cannot sign the certificate");
  return certificate;
}

template <typename Write>
std::string to_pem(Write write) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  check(bio != nullptr && write(bio.get()) == 1, "cannot write PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// O_EXCL: never over an existing file, never through somebody's link; the mode holds from the first
// byte.
void write_new_file(const std::filesystem::path& file, const std::string& content, mode_t mode) {
  const auto fail = [&file](int error) {
    throw Error(ErrorCode::io_error,
                "cannot write " + file.string() + ": " + std::generic_category().message(error));
  };
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0) {
    fail(errno);
  }
  std::size_t written = 0;
  int error = 0;
  while (written < content.size() && error == 0) {
    const ssize_t n = ::write(descriptor, content.data() + written, content.size() - written);
    if (n >= 0) {
      written += static_cast<std::size_t>(n);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (::close(descriptor) != 0 && error == 0) {
    error = errno;
  }
  if (error != 0) {
    ::unlink(file.c_str());
    fail(error);
  }
}

}  // namespace

void write_self_signed_certificate(const std::filesystem::path& certificate_file,
                                   const std::filesystem::path& private_key_file,
                                   const std::vector<std::string>& hosts, int days) {
  if (hosts.empty()) {
    throw Error(ErrorCode::invalid_argument, "a certificate needs at least one host");
  }
  if (days < 1 || days > 36500) {
    throw Error(ErrorCode::invalid_argument,
                "days is " + std::to_string(days) + " (1 to 36500 allowed)");
  }
  const std::string names = alternative_names(hosts);
  const KeyPtr key(EVP_EC_gen("P-256"));
  check(key != nullptr, "cannot make a key");
  const CertificatePtr certificate = make_certificate(key.get(), hosts, names, days);
  const std::string key_pem = to_pem([&key](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  const std::string certificate_pem =
      to_pem([&certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });

  write_new_file(private_key_file, key_pem, 0600);
  try {
    write_new_file(certificate_file, certificate_pem, 0644);
  } catch (...) {
    ::unlink(private_key_file.c_str());
    throw;
  }
}

CertificateInfo check_certificate(const std::filesystem::path& certificate_file,
                                  const std::filesystem::path& private_key_file) {
  const Credentials credentials = read_credentials(certificate_file, private_key_file);
  const X509* own = credentials.chain.front().get();
  const ASN1_TIME* end = X509_get0_notAfter(own);
  std::tm utc{};
  ASN1_TIME_to_tm(end, &utc);
  return {hosts_of(own), to_text(end), static_cast<double>(::timegm(&utc))};
}

}  // namespace ams
