#include "ams/net/certificate.hpp"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "ams/core/error.hpp"
#include "fixtures.hpp"
#include "odd_certificates.hpp"

namespace {

using namespace ams;
using namespace fixtures;

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

/// What check_certificate() says; empty when it takes the files.
std::string refusal(const std::filesystem::path& certificate, const std::filesystem::path& key,
                    ErrorCode code = ErrorCode::malformed_data) {
  try {
    check_certificate(certificate, key);
    return "";
  } catch (const Error& error) {
    CHECK(std::string(to_string(error.code())) == to_string(code));
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string contents(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::filesystem::path write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

TEST_CASE("a pair that a server can use, and what the certificate says") {
  const TemporaryDirectory directory;
  const auto crt = directory / "a.crt", key = directory / "a.key";
  write_self_signed_certificate(crt, key, {"ams.example", "10.1.2.3", "::1"}, 30);
  const CertificateInfo info = check_certificate(crt, key);
  CHECK(info.hosts == std::vector<std::string>{"ams.example", "10.1.2.3", "::1"});
  CHECK(info.valid_until.ends_with(" UTC"));
  CHECK(info.valid_until_unix_seconds - static_cast<double>(std::time(nullptr)) > 29 * 86400);
  // Editors and systems differ: the text of the files is what counts.
  const auto both = write(directory / "both", contents(key) + contents(crt));
  CHECK(refusal(both, both).empty());
  CHECK(refusal(write(directory / "bom.crt", "\xef\xbb\xbf" + contents(crt)), key).empty());
  std::string windows;
  for (const char c : contents(key)) windows += c == '\n' ? "\r\n" : std::string{c};
  CHECK(refusal(crt, write(directory / "windows.key", windows)).empty());
}

TEST_CASE("a key that is not the certificate's is named with it") {
  const TemporaryDirectory directory;
  const auto ec = ec_key(), rsa = rsa_key(), other = ec_key();
  const auto crt = write_certificates(directory / "ec.crt", {make_certificate(ec.get(), {}).get()});
  CHECK(refusal(crt, write_key(directory / "ec.key", ec.get())).empty());
  for (const auto& [key, kind] : {std::pair{rsa.get(), "RSA"}, {other.get(), "EC"}}) {
    const std::string message = refusal(crt, write_key(directory / "wrong.key", key));
    CHECK(contains(message, "wrong.key' (" + std::string(kind) + ") is not the private key of"));
    CHECK(contains(message, "ec.crt' (EC, CN=localhost)"));
  }
}

TEST_CASE("a chain may be in any order") {
  const TemporaryDirectory directory;
  const auto root_key = ec_key(), middle_key = rsa_key(), key = ec_key();
  const auto root = make_certificate(root_key.get(), {.name = "root", .is_authority = true});
  const auto middle = make_certificate(middle_key.get(), {.name = "middle",
                                                          .is_authority = true,
                                                          .issuer = root.get(),
                                                          .issuer_key = root_key.get()});
  const auto own = make_certificate(key.get(), {.hosts = "DNS:own.example",
                                                .issuer = middle.get(),
                                                .issuer_key = middle_key.get()});
  const auto key_file = write_key(directory / "a.key", key.get());
  const auto file = directory / "chain.crt";
  for (const auto& order : {std::array{own.get(), middle.get(), root.get()},
                            {root.get(), middle.get(), own.get()},
                            {middle.get(), own.get(), root.get()}}) {
    write_certificates(file, {order[0], order[1], order[2]});
    CHECK(check_certificate(file, key_file).hosts == std::vector<std::string>{"own.example"});
  }
  // A server says what its devices need to trust it by the root alone, whatever the order was.
  write_certificates(file, {root.get(), middle.get(), own.get()});
  WebSocketServerOptions options = server_options();
  options.certificate_file = file;
  options.private_key_file = key_file;
  RecordingServer server(options);
  WebSocketClientOptions trusting = client_options(server->port());
  trusting.ca_file = write_certificates(directory / "root.crt", {root.get()});
  trusting.insecure_accept_any_host_name = true;
  RecordingClient client(trusting);
  CHECK(client.connect());
  // Without the server's own one there is nothing to show.
  write_certificates(file, {root.get(), middle.get()});
  CHECK(contains(refusal(file, key_file), "is not the private key of"));
}

TEST_CASE("a certificate that is not valid now is refused, with its date") {
  const TemporaryDirectory directory;
  const auto key = ec_key();
  const auto key_file = write_key(directory / "a.key", key.get());
  const auto file = directory / "a.crt";
  write_certificates(file, {make_certificate(key.get(), {.begin_days = -9, .end_days = -1}).get()});
  CHECK(contains(refusal(file, key_file), "a.crt' expired on 20"));
  write_certificates(file, {make_certificate(key.get(), {.begin_days = 1}).get()});
  CHECK(contains(refusal(file, key_file), "a.crt' is not valid before 20"));
  CHECK(contains(refusal(file, key_file), "clock"));
}

TEST_CASE("a key with a pass phrase is refused and nobody is asked for it") {
  const TemporaryDirectory directory;
  const auto key = rsa_key();
  const auto crt = write_certificates(directory / "a.crt", {make_certificate(key.get(), {}).get()});
  const auto file = write_key(directory / "a.key", key.get(), "secret");
  CHECK(contains(refusal(crt, file), "a.key' is protected by a pass phrase"));
  CHECK(contains(refusal(crt, file), "openssl pkey -in FILE"));
  {
    const OpensslPtr<BIO> bio(BIO_new_file(file.c_str(), "w"));
    PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), EVP_aes_128_cbc(), nullptr, 0,
                                         nullptr, const_cast<char*>("secret"));
  }
  CHECK(contains(refusal(crt, file), "is protected by a pass phrase"));
  {
    const auto stream = open_to_write(file);
    i2d_PKCS8PrivateKey_fp(stream.get(), key.get(), EVP_aes_256_cbc(), nullptr, 0, nullptr,
                           const_cast<char*>("secret"));
  }
  CHECK(contains(refusal(crt, file), "holds no private key in PEM"));
}

TEST_CASE("files that hold something else are named for what they are") {
  const TemporaryDirectory directory;
  const auto key = ec_key();
  const auto certificate = make_certificate(key.get(), {});
  const auto crt = write_certificates(directory / "a.crt", {certificate.get()});
  const auto key_file = write_key(directory / "a.key", key.get());
  CHECK(contains(refusal(key_file, crt), "a.key' holds a private key and no certificate"));
  CHECK(contains(refusal(crt, crt), "a.crt' holds a certificate and no private key"));
  {
    const auto stream = open_to_write(directory / "der.crt");
    i2d_X509_fp(stream.get(), certificate.get());
  }
  CHECK(contains(refusal(directory / "der.crt", key_file), "openssl x509 -inform DER"));
  CHECK(contains(refusal(crt, directory / "der.crt"), "is a certificate in DER"));
  {
    const auto stream = open_to_write(directory / "der.key");
    i2d_PrivateKey_fp(stream.get(), key.get());
  }
  CHECK(contains(refusal(crt, directory / "der.key"), "openssl pkey -inform DER"));
  CHECK(contains(refusal(directory / "der.key", key_file), "is a private key in DER"));
  {
    const OpensslPtr<PKCS12> p12(PKCS12_create("secret", "a", key.get(), certificate.get(), nullptr,
                                               0, 0, 0, 0, 0));
    const auto stream = open_to_write(directory / "a.p12");
    i2d_PKCS12_fp(stream.get(), p12.get());
  }
  CHECK(contains(refusal(directory / "a.p12", key_file), "openssl pkcs12 -nodes"));
  CHECK(contains(refusal(crt, directory / "a.p12"), "openssl pkcs12 -nodes"));
  CHECK(contains(refusal(write(directory / "empty", ""), key_file), "empty' is empty"));
  CHECK(contains(refusal(crt, directory / "empty"), "empty' is empty"));
  CHECK(contains(refusal(write(directory / "text", "hello\n"), key_file), "no certificate in PEM"));
  CHECK(contains(refusal(crt, directory / "text"), "no private key in PEM"));
  std::string wide = "\xff\xfe";
  for (const char c : contents(crt)) wide += {c, '\0'};
  CHECK(contains(refusal(write(directory / "wide", wide), key_file), "UTF-16"));
  const std::string whole = contents(crt);
  CHECK(contains(refusal(write(directory / "half", whole.substr(0, whole.size() / 2)), key_file),
                 "damaged certificate"));
  std::string broken = contents(key_file);
  broken.at(broken.size() / 2) = '*';
  CHECK(contains(refusal(crt, write(directory / "broken", broken)), "damaged private key"));
}

TEST_CASE("files that cannot be read") {
  const TemporaryDirectory directory;
  const auto crt = Credentials::get().certificate, key = Credentials::get().key;
  const auto code = ErrorCode::io_error;
  CHECK(contains(refusal(directory / "none", key, code), "No such file"));
  CHECK(contains(refusal(crt, directory / "none", code), "No such file"));
  std::filesystem::create_directory(directory / "folder");
  CHECK(contains(refusal(directory / "folder", key, code), "it is a folder"));
  CHECK(contains(refusal(crt, directory / "folder", code), "it is a folder"));
  if (::geteuid() == 0) return;  // who may read everything
  const auto closed = write(directory / "closed", contents(key));
  std::filesystem::permissions(closed, std::filesystem::perms::none);
  CHECK(contains(refusal(crt, closed, code), "Permission denied"));
}

}  // namespace
