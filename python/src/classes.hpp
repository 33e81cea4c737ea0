#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ams/segmentation/class_subset.hpp"
#include "arrays.hpp"
#include "errors.hpp"
#include "fields.hpp"

namespace ams::python {

/// Classes as Python names them: a number of classes, or their ids.
inline ClassSubset to_classes(const ClassesLike& classes, int ignore_id) {
  if (ignore_id < 0 || ignore_id > 255) {
    throw_invalid("ignore_id is " + std::to_string(ignore_id) + "; allowed is 0 to 255");
  }
  if (PyIndex_Check(classes.ptr()) && !py::isinstance<py::array>(classes)) {
    std::size_t count = 0;
    read_argument(count, "classes", classes);
    const ClassSubset first = ClassSubset::first(count);
    return ClassSubset({first.ids().begin(), first.ids().end()},
                       static_cast<std::uint8_t>(ignore_id));
  }
  std::vector<std::uint8_t> ids;
  for (const py::handle id : classes) {
    std::uint8_t value = 0;
    read_argument(value, "a class id", id);
    ids.push_back(value);
  }
  return ClassSubset(std::move(ids), static_cast<std::uint8_t>(ignore_id));
}

inline std::vector<int> to_ids(const ClassSubset& classes) {
  return {classes.ids().begin(), classes.ids().end()};
}

}  // namespace ams::python
