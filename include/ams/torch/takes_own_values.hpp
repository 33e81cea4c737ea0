#pragma once

#include <torch/torch.h>

#include <vector>

namespace ams {

/// A module or Network that runs pictures of several devices together when the devices differ in
/// some of its parameters alone: those of frozen batch norms and of the head. All else, the
/// convolutions, is computed once for all pictures. A module that is one becomes a Network that is
/// one (wrap_module).
class TakesOwnValues {
 public:
  virtual ~TakesOwnValues() = default;

  /// The parameters in which devices may differ.
  virtual std::vector<torch::Tensor> own_parameters() const = 0;

  /// forward() of input [N, ...] in evaluation mode. values: one for each of own_parameters(), of
  /// shape [N, its shape]: picture n is computed with values[i][n]. Gradients flow to `values`, and
  /// none to own_parameters().
  virtual torch::Tensor forward_each(const torch::Tensor& input,
                                     const std::vector<torch::Tensor>& values) = 0;
};

}  // namespace ams
