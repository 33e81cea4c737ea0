#include "ams/net/certificate.hpp"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "ams/core/error.hpp"
#include "fixtures.hpp"

namespace {

using namespace ams;

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};

ErrorCode code_of(const std::filesystem::path& certificate, const std::filesystem::path& key,
                  const std::vector<std::string>& hosts, int days) {
  try {
    write_self_signed_certificate(certificate, key, hosts, days);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("no Error was thrown");
  return ErrorCode::unavailable;
}

TEST_CASE("a certificate that belongs to its key, names its hosts and is signed by itself") {
  const fixtures::TemporaryDirectory directory;
  const auto crt = directory / "a.crt";
  const auto key_file = directory / "a.key";
  write_self_signed_certificate(crt, key_file, {"ams.example", "*.ams.example", "10.1.2.3", "::1"},
                                30);

  struct stat status {};
  REQUIRE(::stat(key_file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  const std::unique_ptr<std::FILE, FreeX509> crt_stream(std::fopen(crt.c_str(), "r"));
  const std::unique_ptr<X509, FreeX509> certificate(
      PEM_read_X509(crt_stream.get(), nullptr, nullptr, nullptr));
  REQUIRE(certificate);
  const std::unique_ptr<std::FILE, FreeX509> key_stream(std::fopen(key_file.c_str(), "r"));
  const std::unique_ptr<EVP_PKEY, FreeX509> key(
      PEM_read_PrivateKey(key_stream.get(), nullptr, nullptr, nullptr));
  REQUIRE(key);
  X509* x509 = certificate.get();
  CHECK(X509_check_private_key(x509, key.get()) == 1);
  CHECK(X509_verify(x509, key.get()) == 1);
  CHECK(X509_check_host(x509, "ams.example", 0, 0, nullptr) == 1);
  CHECK(X509_check_host(x509, "one.ams.example", 0, 0, nullptr) == 1);
  CHECK(X509_check_host(x509, "other.example", 0, 0, nullptr) == 0);
  CHECK(X509_check_ip_asc(x509, "10.1.2.3", 0) == 1);
  CHECK(X509_check_ip_asc(x509, "::1", 0) == 1);
  CHECK(X509_check_ip_asc(x509, "10.1.2.4", 0) == 0);
  int days = 0;
  int seconds = 0;
  REQUIRE(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x509), X509_get0_notAfter(x509)) ==
          1);
  CHECK(days == 30);
}

TEST_CASE("no file is overwritten, and no half of a pair is left") {
  const fixtures::TemporaryDirectory directory;
  std::ofstream(directory / "there.crt") << "precious";
  CHECK(code_of(directory / "there.crt", directory / "a.key", {"a"}, 1) == ErrorCode::io_error);
  CHECK(!std::filesystem::exists(directory / "a.key"));
  CHECK(std::filesystem::file_size(directory / "there.crt") == 8);
  std::ofstream(directory / "there.key") << "precious";
  CHECK(code_of(directory / "b.crt", directory / "there.key", {"a"}, 1) == ErrorCode::io_error);
  CHECK(!std::filesystem::exists(directory / "b.crt"));
  CHECK(code_of(directory / "none" / "a.crt", directory / "none" / "a.key", {"a"}, 1) ==
        ErrorCode::io_error);
}

TEST_CASE("wrong arguments") {
  const fixtures::TemporaryDirectory directory;
  const auto code = [&](const std::vector<std::string>& hosts, int days) {
    return code_of(directory / "a.crt", directory / "a.key", hosts, days);
  };
  CHECK(code({}, 1) == ErrorCode::invalid_argument);
  CHECK(code({"a"}, 0) == ErrorCode::invalid_argument);
  CHECK(code({"a"}, 36501) == ErrorCode::invalid_argument);
  CHECK(code({""}, 1) == ErrorCode::invalid_argument);
  CHECK(code({"a,IP:1.2.3.4"}, 1) == ErrorCode::invalid_argument);
  CHECK(code({"a b"}, 1) == ErrorCode::invalid_argument);
  CHECK(!std::filesystem::exists(directory / "a.key"));
}

}  // namespace
