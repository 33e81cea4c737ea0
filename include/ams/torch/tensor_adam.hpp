#pragma once

#include <torch/torch.h>

#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_set.hpp"

namespace ams {

/// Algorithm 2 (section 3.1.2) on flat torch tensors, on CPU or an accelerator: the moments of all
/// coordinates follow the gradient, the phase's coordinates move. On CPU it is core's adam_step()
/// on the tensors' memory; elsewhere the same arithmetic as torch operations, equal within
/// rounding. Core's GradientGuidedAdam chooses coordinates, this one is told them. Not thread-safe.
class TensorAdam {
 public:
  enum class Arithmetic {
    automatic,  ///< core's on CPU, torch's elsewhere
    torch,      ///< torch's everywhere
  };

  /// Takes over `state`, whose dimension is that of the tensors to come. `ranges`: where the
  /// learning rate is another one, as learning_rate_ranges() gives them. Throws
  /// Error(invalid_argument).
  TensorAdam(AdamState state, const AdamOptions& options, torch::Device device,
             Arithmetic arithmetic = Arithmetic::automatic,
             std::vector<LearningRateRange> ranges = {});

  /// Hyper-parameters of the steps to come. Throws Error(invalid_argument), with nothing changed.
  void set_options(const AdamOptions& options);
  const AdamOptions& options() const noexcept { return options_; }

  /// Sets I_n for the steps to come (lines 1 and 2). All coordinates until the first call.
  void begin_phase(CoordinateSet coordinates);

  /// One iteration (lines 9 to 13) in place. Both are contiguous float32 [dimension] on the device.
  /// Throws Error(invalid_argument), with nothing changed, on other tensors and on gradients that
  /// adam_step() refuses.
  void step(const torch::Tensor& parameters, const torch::Tensor& gradients);

  /// u of the latest step (line 12), [dimension], on the device.
  torch::Tensor update() const;

  std::int64_t step_count() const noexcept { return host_.step_count; }  ///< i, over all phases

  /// A copy on the host, to save or to go on with elsewhere.
  AdamState state() const;

 private:
  AdamState host_;  // in core's arithmetic; else only its step count
  AdamOptions options_;
  std::vector<LearningRateRange> ranges_;
  CoordinateSet coordinates_;
  bool on_host_;
  std::int64_t dimension_;
  torch::Device device_;
  torch::Tensor first_moment_;   // in torch's arithmetic
  torch::Tensor second_moment_;  // in torch's arithmetic
  torch::Tensor mask_;           // b_n as float; undefined: all
  torch::Tensor multipliers_;    // of the learning rate; undefined: 1
};

}  // namespace ams
