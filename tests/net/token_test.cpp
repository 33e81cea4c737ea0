#include "ams/net/token.hpp"

#include <doctest/doctest.h>

#include "ams/core/error.hpp"

namespace {

using namespace ams;

TEST_CASE("equal_in_constant_time agrees with ==") {
  const std::string secrets[] = {"", "a", "b", "aa", std::string("a\0", 2), std::string(2000, 'x')};
  for (const auto& a : secrets) {
    for (const auto& b : secrets) {
      CHECK(equal_in_constant_time(a, b) == (a == b));
    }
  }
}

TEST_CASE("accept_tokens lets in those who know one") {
  const auto authorize = accept_tokens({"red", "green"});
  Hello hello;
  for (const char* token : {"red", "green"}) {
    hello.token = token;
    CHECK(!authorize(hello));
  }
  for (const char* token : {"", "blue", "re", "redd", "redgreen"}) {
    hello.token = token;
    const auto fault = authorize(hello);
    REQUIRE(fault);
    CHECK(fault->code == ErrorCode::unauthorized);
    CHECK(fault->message.find("red") == std::string::npos);
  }
}

TEST_CASE("wrong arguments") {
  CHECK_THROWS_AS(accept_tokens({}), Error);
  CHECK_THROWS_AS(accept_tokens({"good", ""}), Error);
  CHECK_THROWS_AS(accept_tokens({std::string(max_token_bytes + 1, 'x')}), Error);
}

}  // namespace
