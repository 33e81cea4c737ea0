#pragma once

#include <memory>
#include <span>

#include "ams/core/handle.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// A student as a device runs it: frame in, prediction out. One instance is one copy of the
/// network; the double-buffered holder keeps two.
class Predictor {
 public:
  virtual ~Predictor() = default;

  /// Layout of the parameter vector that load() takes.
  virtual const std::shared_ptr<const Manifest>& manifest() const = 0;

  /// Takes over all values: manifest()->dimension() of them, else Error(invalid_argument).
  virtual void load(std::span<const float> values) = 0;

  /// What the student says of a frame, as the task takes it. One thread at a time. May throw Error.
  virtual Handle predict(const Handle& frame) = 0;
};

}  // namespace ams
