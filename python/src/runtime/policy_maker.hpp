#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <functional>
#include <memory>
#include <utility>

#include "forwarding_policy.hpp"
#include "objects.hpp"

namespace ams::python {

using MakePolicy = py::typing::Callable<PartOf<UpdatePolicy>()>;

/// For ServerParts: asks a Python function for a policy of each session.
inline std::function<std::unique_ptr<UpdatePolicy>()> policy_maker(
    std::shared_ptr<const Reference> make_policy) {
  return [make_policy = std::move(make_policy)]() -> std::unique_ptr<UpdatePolicy> {
    const py::gil_scoped_acquire gil;
    return call_python([&] {
      const py::object made = make_policy->get()();
      if (!py::isinstance<UpdatePolicy>(made)) {
        throw_invalid("make_policy gave " + repr_text(made) +
                      "; allowed is an UpdatePolicy");
      }
      References not_counted;
      return std::make_unique<ForwardingPolicy>(
          share(py::reinterpret_borrow<PartOf<UpdatePolicy>>(made), not_counted));
    });
  };
}

}  // namespace ams::python
