#pragma once

#include <c10/util/Exception.h>

#include <filesystem>
#include <string>
#include <type_traits>

#include "ams/core/error.hpp"

namespace ams {

/// Runs `f`; whatever libtorch throws becomes Error(code) that begins with `what`.
template <class F>
std::invoke_result_t<F&> translate_errors(ErrorCode code, const std::string& what, F&& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw Error(code, what + ": " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    throw Error(code, what + ": " + error.what());
  }
}

/// Throws Error(io_error) unless `path` is a file.
inline void require_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw Error(ErrorCode::io_error, "there is no file '" + path + "'");
  }
}

}  // namespace ams
