#pragma once

#include <memory>
#include <span>

#include "ams/core/manifest.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

/// A student as a device runs it: frame in, labels out. One instance is one copy of the network; the
/// double-buffered holder keeps two.
class Predictor {
 public:
  virtual ~Predictor() = default;

  virtual const std::shared_ptr<const Manifest>& manifest() const = 0;

  /// Takes over all values: manifest()->dimension() of them, else Error(invalid_argument).
  virtual void load(std::span<const float> values) = 0;

  /// Class ids at the student's input resolution. Not thread-safe.
  virtual LabelMap predict(const Frame& frame) = 0;
};

}  // namespace ams
