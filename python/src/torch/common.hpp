#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "ams/segmentation/label_map.hpp"
#include "ams/torch/student_spec.hpp"
#include "errors.hpp"

/// What the files of _torch share, and their functions: one a file.
namespace ams::python {

void bind_spec(py::module_& m);
void bind_network(py::module_& m);
void bind_parameter_vector(py::module_& m);
void bind_tensor_adam(py::module_& m);
void bind_trainer(py::module_& m);
void bind_pretrain(py::module_& m);
void bind_inference(py::module_& m);

using Triple = std::array<double, 3>;

/// Between two steps of long work without the GIL: Ctrl-C ends it.
inline void check_signals() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

/// Decimal numbers that floats stand for, as people write them.
inline Triple to_triple(const std::array<float, 3>& values) {
  Triple decimals;
  for (std::size_t c = 0; c < 3; ++c) decimals[c] = std::round(values[c] * 1e6) / 1e6;
  return decimals;
}

inline Normalization to_normalization(const Triple& mean, const Triple& standard_deviation) {
  Normalization normalization;
  for (std::size_t c = 0; c < 3; ++c) {
    normalization.mean[c] = static_cast<float>(mean[c]);
    normalization.standard_deviation[c] = static_cast<float>(standard_deviation[c]);
  }
  return normalization;
}

/// `where` names the sample in the error.
inline std::shared_ptr<LabelledFrame> to_labelled_frame(const py::handle& sample,
                                                        const std::string& where) {
  if (!py::isinstance<LabelledFrame>(sample)) {
    throw_invalid(where + " is a " +
                  to_text(py::type::handle_of(sample).attr("__name__")) +
                  "; allowed are LabelledFrame objects");
  }
  return sample.cast<std::shared_ptr<LabelledFrame>>();
}

}  // namespace ams::python
