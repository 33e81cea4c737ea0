#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <cstddef>
#include <functional>

/// What the sources of _core share.
namespace ams::python {

void bind_messages(pybind11::module_& m);
void bind_session(pybind11::module_& m);
void bind_synthetic(pybind11::module_& m);

using SizeOf =
    pybind11::typing::Optional<pybind11::typing::Callable<std::size_t(pybind11::object)>>;

/// The callable that tells the bytes of a sample; none for None.
std::function<std::size_t(const pybind11::object&)> to_size_function(const SizeOf& size_of);

}  // namespace ams::python
