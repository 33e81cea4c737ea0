#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ams/session/training_job.hpp"
#include "ams/torch/parameter_vector.hpp"
#include "ams/torch/takes_own_values.hpp"

namespace ams {

/// Where a network's own parameters (TakesOwnValues) lie in its parameter vector.
class OwnColumns {
 public:
  /// Null when one of them is not in the vector, because it is frozen.
  static std::shared_ptr<const OwnColumns> of(const TakesOwnValues& network,
                                              const ParameterVector& vector);

  std::size_t size() const noexcept { return size_; }  ///< of all own parameters together

  /// Why the job cannot be trained with others; empty when it can.
  std::string obstacle(const TrainingJob& job) const;

  /// Whether two parameter vectors are equal outside these columns.
  bool equal_elsewhere(const std::vector<float>& a, const std::vector<float>& b) const;

  /// The columns of a parameter vector, and back.
  std::vector<float> gather(const std::vector<float>& all) const;
  void scatter(const float* own, std::vector<float>& all) const;

  /// Of a job without obstacle, as one of a parameter vector that has these columns alone.
  CoordinateSet coordinates(const CoordinateSet& all) const;
  std::vector<LearningRateRange> ranges(const std::vector<LearningRateRange>& all) const;
  std::vector<float> required(const std::vector<bool>& tensors) const;  ///< 1 or 0 for each column

  /// values [N, size()] as TakesOwnValues::forward_each() takes them.
  std::vector<torch::Tensor> split(const torch::Tensor& values) const;

  /// What adam_step() does in `steps` iterations to the moments outside these columns, whose
  /// gradients are zero.
  void decay_elsewhere(AdamState& state, const AdamOptions& options, std::int64_t steps) const;

 private:
  OwnColumns() = default;

  struct Column {
    std::size_t tensor;  // of the manifest
    std::size_t begin;   // in the parameter vector
    std::size_t place;   // in a row
    std::size_t size;
  };

  template <class F>
  void for_each_elsewhere(F&& f) const;

  std::shared_ptr<const Manifest> manifest_;
  std::vector<Column> columns_;            // ascending
  std::vector<std::size_t> of_parameter_;  // columns_ in the order of own_parameters()
  std::vector<bool> is_own_;               // one for each tensor of the manifest
  std::size_t size_ = 0;
};

}  // namespace ams
