#include "executorch_module.hpp"

#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <executorch/extension/threadpool/threadpool_guard.h>

#include <optional>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {
namespace {

namespace et = executorch::extension;
namespace etr = executorch::runtime;
using executorch::aten::ScalarType;

/// While it lives, this thread opens and runs programs on one thread or on all. A program that was
/// opened on one stays there.
class Threads {
 public:
  explicit Threads(bool all_cores) {
    if (!all_cores) one_.emplace();
  }

 private:
  std::optional<et::threadpool::NoThreadPoolGuard> one_;
};

[[noreturn]] void refuse(const std::string& name, const char* what, etr::Error error) {
  throw Error(ErrorCode::malformed_data,
              fmt::format("{}: network.pte: ExecuTorch {}: {}", name, what, etr::to_string(error)));
}

std::string text_of(const etr::Result<etr::TensorInfo>& tensor) {
  if (!tensor.ok()) return "no tensor";
  return fmt::format("[{}]{}", fmt::join(tensor->sizes(), ", "),
                     tensor->scalar_type() == ScalarType::Byte ? " of uint8" : " of another type");
}

/// The one input or output is uint8 of this shape.
void require(const std::string& name, const char* what, std::size_t count,
             const etr::Result<etr::TensorInfo>& tensor, const std::vector<int>& shape) {
  const std::string wanted = fmt::format("[{}] of uint8", fmt::join(shape, ", "));
  const std::string found = count == 1 ? text_of(tensor) : fmt::format("{} of them", count);
  if (found == wanted) return;
  throw Error(ErrorCode::malformed_data, fmt::format("{}: the {} of network.pte must be {}; it is "
                                                     "{}",
                                                     name, what, wanted, found));
}

/// Each program for itself: with a common workspace, predicting would wait for loading, and a cache
/// of packed weights would not see that they have changed.
etr::Error load(et::Module& module) {
  etr::BackendOptions<2> xnnpack;
  etr::LoadBackendOptionsMap backends;
  etr::Error failure = xnnpack.set_option("workspace_sharing_mode", 0);
  if (failure == etr::Error::Ok) failure = xnnpack.set_option("weight_cache_enabled", false);
  if (failure == etr::Error::Ok) failure = backends.set_options("XnnpackBackend", xnnpack.view());
  if (failure != etr::Error::Ok) return failure;
  failure = module.load(backends, etr::Program::Verification::InternalConsistency);
  return failure == etr::Error::Ok ? module.load_forward() : failure;
}

}  // namespace

struct ExecutorchModule::Open {
  std::vector<std::byte> bytes;  // ExecuTorch reads them as long as the program is open
  et::Module module;
  int width, height;
  bool all_cores;
};

ExecutorchModule::ExecutorchModule(std::vector<std::byte> bytes, const std::string& name, int width,
                                   int height, bool all_cores) {
  auto loader = std::make_unique<et::BufferDataLoader>(bytes.data(), bytes.size());
  open_.reset(new Open{std::move(bytes), et::Module(std::move(loader)), width, height, all_cores});
  const Threads threads(all_cores);
  if (const etr::Error failure = load(open_->module); failure != etr::Error::Ok) {
    refuse(name, "cannot open it", failure);
  }
  const auto found = open_->module.method_meta("forward");
  if (!found.ok()) refuse(name, "cannot describe it", found.error());
  require(name, "input", found->num_inputs(), found->input_tensor_meta(0), {1, height, width, 3});
  require(name, "output", found->num_outputs(), found->output_tensor_meta(0), {1, height, width});
}

ExecutorchModule::~ExecutorchModule() = default;

std::vector<std::uint8_t> ExecutorchModule::run(std::span<std::uint8_t> rgb) {
  const Threads threads(open_->all_cores);
  const auto input =
      et::from_blob(rgb.data(), {1, open_->height, open_->width, 3}, ScalarType::Byte);
  const auto result = open_->module.forward(etr::EValue(input));
  if (!result.ok()) {
    throw Error(ErrorCode::unavailable, fmt::format("the frame cannot be predicted: ExecuTorch: {}",
                                                    etr::to_string(result.error())));
  }
  const auto labels = result->at(0).toTensor();
  const auto* const ids = labels.const_data_ptr<std::uint8_t>();
  return {ids, ids + labels.numel()};
}

}  // namespace ams
