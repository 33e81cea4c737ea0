#pragma once

#include <pybind11/pybind11.h>

#include <filesystem>

/// What the files of _video share, and their functions: one a file.
namespace ams::python {

void bind_reader(pybind11::module_& m);
void bind_samples(pybind11::module_& m);
void bind_label_track(pybind11::module_& m);
void bind_clip(pybind11::module_& m);
void bind_writer(pybind11::module_& m);

using NoGil = pybind11::call_guard<pybind11::gil_scoped_release>;
using Path = std::filesystem::path;

}  // namespace ams::python
