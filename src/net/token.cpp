#include "ams/net/token.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <array>
#include <utility>

#include "ams/net/wire.hpp"

namespace ams {
namespace {

using Fingerprint = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Fingerprints have one length, so comparing them does not tell the length of a secret either.
Fingerprint fingerprint(std::string_view secret) {
  Fingerprint result{};
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), result.data());
  return result;
}

bool equal(const Fingerprint& a, const Fingerprint& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return equal(fingerprint(a), fingerprint(b));
}

std::function<std::optional<Fault>(const Hello&)> accept_tokens(std::vector<std::string> tokens) {
  if (tokens.empty()) {
    throw Error(ErrorCode::invalid_argument, "no tokens (at least one needed)");
  }
  std::vector<Fingerprint> accepted;
  for (const std::string& token : tokens) {
    if (token.empty() || token.size() > max_token_bytes) {
      throw Error(ErrorCode::invalid_argument, "a token of " + std::to_string(token.size()) +
                                                   " bytes (1 to " +
                                                   std::to_string(max_token_bytes) + " allowed)");
    }
    accepted.push_back(fingerprint(token));
  }
  return [accepted = std::move(accepted)](const Hello& hello) -> std::optional<Fault> {
    const Fingerprint given = fingerprint(hello.token);
    bool known = false;
    for (const Fingerprint& token : accepted) {
      known |= equal(given, token);
    }
    if (known) {
      return std::nullopt;
    }
    return Fault{ErrorCode::unauthorized, hello.token.empty()
                                              ? "the server wants a token"
                                              : "the server does not know this token"};
  };
}

}  // namespace ams
