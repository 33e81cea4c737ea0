#pragma once

#include <c10/util/Exception.h>

#include <filesystem>
#include <string>
#include <type_traits>

#include "ams/core/error.hpp"

namespace ams {

/// What torch says, on one line, without the source text and the traces that it adds.
inline std::string telling_text(std::string text) {
  constexpr std::size_t most = 600;
  if (text.find("Traceback of TorchScript") != std::string::npos) {
    const auto error = text.rfind("Error: ");
    if (error != std::string::npos) text = text.substr(text.rfind('\n', error) + 1);
  } else {
    text = text.substr(0, text.find("\n  File \""));
  }
  text = text.substr(0, text.find("This is an internal miniz error"));
  std::string line;
  for (const char c : text) {
    const bool space = c == '\n' || c == ' ';
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  while (line.ends_with(' ') || line.ends_with(':')) line.pop_back();
  return line.size() > most ? line.substr(0, most) + "..." : line;
}

/// Runs `f`; whatever libtorch throws becomes Error(code) that begins with `what`.
template <class F>
std::invoke_result_t<F&> translate_errors(ErrorCode code, const std::string& what, F&& f) {
  try {
    return f();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw Error(code, what + ": " + telling_text(error.what_without_backtrace()));
  } catch (const std::exception& error) {
    throw Error(code, what + ": " + telling_text(error.what()));
  }
}

/// Throws Error(io_error) unless `path` is a file.
inline void require_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::io_error, "'" + path + "' is a folder and not a file");
  }
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw Error(ErrorCode::io_error, "there is no file '" + path + "'");
  }
}

}  // namespace ams
