#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "ams/core/replay_buffer.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using SizeOf = py::typing::Optional<py::typing::Callable<std::size_t(py::object)>>;

/// The callable that tells the bytes of a sample; none for None.
std::function<std::size_t(const py::object&)> to_size_function(const SizeOf& size_of) {
  if (size_of.is_none()) return {};
  if (!PyCallable_Check(size_of.ptr()))
    throw_invalid("size_of is " + repr_text(size_of) + "; allowed is a callable or None");
  return [size_of](const py::object& sample) {
    std::size_t bytes = 0;
    read_argument(bytes, "the result of size_of", size_of(sample));
    return bytes;
  };
}

/// The buffer with the random numbers of its draws.
struct PythonReplayBuffer {
  HorizonReplayBuffer<py::object> buffer;
  Random random;
};

}  // namespace

void bind_replay_buffer(py::module_& m) {
  py::class_<PythonReplayBuffer>(m, "HorizonReplayBuffer", R"(
The training buffer B of Algorithm 1: samples (any objects) with time stamps, of which mini-batches
are drawn uniformly with replacement over the last horizon_seconds. Thread-safe. len() is the number
of samples.)")
      .def(
          py::init([](double horizon_seconds, std::size_t max_samples, const py::object& max_bytes,
                      const SizeOf& size_of, std::uint64_t seed) {
            ReplayBufferOptions options{horizon_seconds, max_samples};
            if (!max_bytes.is_none()) {
              if (size_of.is_none())
                throw_invalid("max_bytes needs size_of, which tells the bytes of a sample");
              read_argument(options.max_bytes, "max_bytes", max_bytes);
            }
            return std::unique_ptr<PythonReplayBuffer>(new PythonReplayBuffer{
                HorizonReplayBuffer<py::object>(options, to_size_function(size_of)), Random(seed)});
          }),
          py::kw_only(), "horizon_seconds"_a = 240.0, "max_samples"_a = 4096,
          "max_bytes"_a = py::none(), "size_of"_a = py::none(), "seed"_a = 0, R"(
horizon_seconds: T_horizon, > 0. max_samples: >= 1. max_bytes: >= 1, None for no limit. size_of:
sample -> bytes. Whatever bound comes first drops the oldest samples.)")
      .def(
          "add",
          [](PythonReplayBuffer& self, double time_seconds, py::object sample) {
            return self.buffer.add(time_seconds, std::move(sample));
          },
          "time_seconds"_a, "sample"_a, R"(
Keeps a sample; False when it would be forgotten at once. Times need not come in order. Raises
InvalidArgumentError when the time is not finite, LimitExceededError when the sample alone is over
max_bytes, and what size_of raises.)")
      .def(
          "draw",
          [](PythonReplayBuffer& self, double now_seconds, std::size_t batch_count,
             std::size_t batch_size) {
            return self.buffer.draw(now_seconds, batch_count, batch_size, self.random);
          },
          "now_seconds"_a, "batch_count"_a, "batch_size"_a, R"(
`batch_count` lists of `batch_size` samples of [now_seconds - horizon_seconds, now_seconds]; empty
when there are none.)")
      .def(
          "count_in_horizon",
          [](const PythonReplayBuffer& self, double now_seconds) {
            return self.buffer.count_in_horizon(now_seconds);
          },
          "now_seconds"_a, "Number of samples that draw() chooses from.")
      .def(
          "entries",
          [](const PythonReplayBuffer& self) {
            py::list entries;
            for (const auto& entry : self.buffer.snapshot())
              entries.append(py::make_tuple(entry.time_seconds, entry.sample));
            return entries;
          },
          "(time_seconds, sample) of all that is held, oldest first.")
      .def(
          "clear", [](PythonReplayBuffer& self) { self.buffer.clear(); }, "Forgets all samples.")
      .def_property_readonly(
          "size_bytes", [](const PythonReplayBuffer& self) { return self.buffer.size_bytes(); },
          "Bytes of the samples, as size_of tells them.")
      .def("__len__", [](const PythonReplayBuffer& self) { return self.buffer.size(); });
}

}  // namespace ams::python
