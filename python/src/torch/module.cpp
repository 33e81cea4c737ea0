// The layer ams::torch for Python: ams.torch, which imports torch before this module.

#include <pybind11/pybind11.h>
#include <torch/csrc/Exceptions.h>
#include <torch/torch.h>

#include <exception>

#include "ams/torch/runtime.hpp"
#include "torch/common.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

void add_errors() {
  register_errors();
  // What libtorch itself refuses: the exception that torch raises for it.
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const c10::Error&) {
      torch::translate_exception_to_python(thrown);
    }
  });
}

void add_runtime(py::module_& m) {
  m.def("set_compute_threads", &set_compute_threads, "threads"_a,
        "Threads that one network operation may use, 1 or more, as torch.set_num_threads().");
  m.def("compute_threads", &compute_threads);
  m.def("torch_version", &torch_version, "Version of torch that this module was built with.");
}

}  // namespace
}  // namespace ams::python

PYBIND11_MODULE(_torch, m) {
  using namespace ams::python;
  py::module_::import("ams._core");  // registers the types that this module takes and gives
  add_errors();
  bind_spec(m);
  bind_network(m);
  bind_parameter_vector(m);
  bind_tensor_adam(m);
  bind_trainer(m);
  bind_pretrain(m);
  bind_inference(m);
  add_runtime(m);
}
