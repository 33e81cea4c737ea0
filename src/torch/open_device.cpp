#include "ams/torch/open_device.hpp"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include "ams/core/error.hpp"

namespace ams {

c10::Device open_device(const std::string& name) {
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

}  // namespace ams
