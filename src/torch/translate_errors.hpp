#pragma once

#include <ATen/ATen.h>
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

/// Throws Error(unavailable) unless a tensor can be made there.
inline at::Device open_device(const std::string& name) {
  const std::string what =
      "the device '" + name + "' is not available (allowed are cpu, cuda, cuda:1, ...)";
  try {
    const at::Device device(name);
    if (device.is_cuda() && !at::hasCUDA()) {
      throw Error(ErrorCode::unavailable,
                  what + ": this libtorch was built without CUDA, or sees no GPU and driver");
    }
    at::zeros({1}, at::TensorOptions().device(device)).add_(1);
    return device;
  } catch (const c10::Error& error) {
    // Pages may follow the first line.
    const std::string reason = error.what_without_backtrace();
    throw Error(ErrorCode::unavailable, what + ": " + reason.substr(0, reason.find('\n')));
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
