#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "ams/core/error.hpp"

namespace ams::test {

/// Checks that f() throws Error with this code, and that its message mentions every one of `words`.
template <class F, class... Words>
void expect_error(ErrorCode code, F&& f, const Words&... words) {
  try {
    f();
  } catch (const Error& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(std::string(to_string(error.code())) == to_string(code));
    for (const std::string_view word : std::initializer_list<std::string_view>{words...}) {
      CAPTURE(word);
      CHECK(message.find(word) != std::string::npos);
    }
    return;
  }
  FAIL_CHECK("nothing was thrown; expected " << to_string(code));
}

}  // namespace ams::test
