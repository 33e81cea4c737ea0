#pragma once

// Certificates and keys that write_self_signed_certificate() does not make.

#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>

namespace fixtures {

struct OpensslDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(PKCS12* file) const { PKCS12_free(file); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
template <class T>
using OpensslPtr = std::unique_ptr<T, OpensslDeleter>;

inline OpensslPtr<EVP_PKEY> ec_key() {
  return OpensslPtr<EVP_PKEY>(EVP_EC_gen("P-256"));
}
inline OpensslPtr<EVP_PKEY> rsa_key() {
  return OpensslPtr<EVP_PKEY>(EVP_RSA_gen(2048));
}

/// What a certificate says, and who signs it: itself, if nobody does.
struct CertificateText {
  std::string name = "localhost";
  std::string hosts = "DNS:localhost,IP:127.0.0.1";
  bool is_authority = false;
  long begin_days = -1, end_days = 9;
  const X509* issuer = nullptr;
  EVP_PKEY* issuer_key = nullptr;
};

inline OpensslPtr<X509> make_certificate(EVP_PKEY* key, const CertificateText& text) {
  OpensslPtr<X509> made(X509_new());
  X509* x509 = made.get();
  X509_set_version(x509, X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  X509_time_adj_ex(X509_getm_notBefore(x509), static_cast<int>(text.begin_days), 0, nullptr);
  X509_time_adj_ex(X509_getm_notAfter(x509), static_cast<int>(text.end_days), 0, nullptr);
  X509_set_pubkey(x509, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(text.name.c_str()), -1, -1, 0);
  const X509* issuer = text.issuer != nullptr ? text.issuer : x509;
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  const auto extend = [&](int id, const std::string& value) {
    const OpensslPtr<X509_EXTENSION> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str()));
    if (!extension) throw std::runtime_error("X509V3_EXT_conf_nid");
    X509_add_ext(x509, extension.get(), -1);
  };
  extend(NID_basic_constraints, text.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!text.is_authority) extend(NID_subject_alt_name, text.hosts);
  if (X509_sign(x509, text.issuer_key != nullptr ? text.issuer_key : key, EVP_sha256()) == 0) {
    throw std::runtime_error("X509_sign");
  }
  return made;
}

inline OpensslPtr<std::FILE> open_to_write(const std::filesystem::path& file) {
  OpensslPtr<std::FILE> stream(std::fopen(file.c_str(), "w"));
  if (!stream) throw std::runtime_error("fopen");
  return stream;
}

inline std::filesystem::path write_certificates(const std::filesystem::path& file,
                                                std::initializer_list<X509*> certificates) {
  const auto stream = open_to_write(file);
  for (X509* each : certificates) PEM_write_X509(stream.get(), each);
  return file;
}

/// With a pass phrase, the key is encrypted.
inline std::filesystem::path write_key(const std::filesystem::path& file, EVP_PKEY* key,
                                       const char* pass_phrase = nullptr) {
  const auto stream = open_to_write(file);
  PEM_write_PrivateKey(stream.get(), key, pass_phrase != nullptr ? EVP_aes_256_cbc() : nullptr,
                       nullptr, 0, nullptr, const_cast<char*>(pass_phrase));
  return file;
}

}  // namespace fixtures
