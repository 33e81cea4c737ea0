#pragma once

#include <pybind11/pybind11.h>

/// The functions of the files of _edge: one a file.
namespace ams::python {

void bind_device(pybind11::module_& m);
void bind_video_source(pybind11::module_& m);
void bind_prediction_output(pybind11::module_& m);

using NoGil = pybind11::call_guard<pybind11::gil_scoped_release>;

}  // namespace ams::python
