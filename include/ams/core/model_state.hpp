#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

namespace detail {
struct CompactState;
}

/// Names what a device holds: the number of updates since version 0, and the digest of the values
/// and of what the codec has learned (docs/format.md).
struct ModelVersion {
  std::uint32_t number = 0;
  Digest digest = 0;
  friend bool operator==(const ModelVersion&, const ModelVersion&) = default;
};

/// The parameter vector at one version: what a device holds, and what its server knows it holds;
/// with it, what profile `compact` has learned from the updates so far. A plain value: copy it to
/// keep a version. Only the codec (update_codec.hpp) moves it to another version, so its digest
/// always belongs to its content. Reading is thread-safe; updating is not.
class ModelState {
 public:
  ModelState() = default;

  /// Throws Error(invalid_argument) when values.size() != manifest->dimension() or a value is not
  /// finite.
  ModelState(std::shared_ptr<const Manifest> manifest, std::vector<float> values,
             std::uint32_t version_number = 0);

  const Manifest& manifest() const { return *manifest_; }
  const std::shared_ptr<const Manifest>& manifest_ptr() const noexcept { return manifest_; }
  std::span<const float> values() const noexcept { return values_; }
  ModelVersion version() const noexcept { return version_; }

 private:
  friend struct ModelStateAccess;  // of the codec (codec/model_state_access.hpp)

  std::shared_ptr<const Manifest> manifest_;
  std::vector<float> values_;
  std::shared_ptr<const detail::CompactState> compact_;  // null until an update of that profile
  ModelVersion version_;
};

inline ModelState::ModelState(std::shared_ptr<const Manifest> manifest, std::vector<float> values,
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
