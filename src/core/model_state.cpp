#include "ams/core/model_state.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "ams/core/error.hpp"

namespace ams {

ModelState::ModelState(std::shared_ptr<const Manifest> manifest, std::vector<float> values,
                       std::uint32_t version_number)
    : manifest_(std::move(manifest)), values_(std::move(values)) {
  if (!manifest_) {
    throw Error(ErrorCode::invalid_argument, "a model state needs a manifest, not a null pointer");
  }
  if (values_.size() != manifest_->dimension()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} values given for a manifest of {} coordinates", values_.size(),
                            manifest_->dimension()));
  }
  const auto bad = std::find_if_not(values_.begin(), values_.end(),
                                    [](float value) { return std::isfinite(value); });
  if (bad != values_.end()) {
    const auto i = static_cast<std::size_t>(bad - values_.begin());
    const TensorSpec& tensor = manifest_->tensors()[manifest_->tensor_of(i)];
    throw Error(ErrorCode::invalid_argument,
                fmt::format("value {} of tensor '{}' is {}; every value must be finite",
                            i - tensor.offset, tensor.name, *bad));
  }
  version_ = {version_number, parameter_digest(values_)};
}

}  // namespace ams
