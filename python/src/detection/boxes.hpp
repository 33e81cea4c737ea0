#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <utility>
#include <vector>

#include "ams/detection/box.hpp"
#include "arrays.hpp"

namespace pybind11::detail {

/// float32 [n, 6] <-> BoxSet: left, top, right, bottom, class, score.
template <>
struct type_caster<ams::BoxSet> {
  PYBIND11_TYPE_CASTER(ams::BoxSet, const_name("numpy.ndarray"));

  bool load(handle source, bool) {
    const array boxes =
        ams::python::as_array<float>(reinterpret_borrow<object>(source), "the set of boxes", 2);
    if (boxes.shape(1) != 6) {
      ams::python::throw_invalid(
          "the set of boxes is float32 " + ams::python::shape_text(boxes) +
          "; allowed is float32 [n, 6]: left, top, right, bottom, class, score");
    }
    value.boxes.clear();
    const auto* at = static_cast<const float*>(boxes.data());
    for (ssize_t i = 0; i < boxes.shape(0); ++i, at += 6) {
      if (!(at[4] >= 0 && at[4] <= 65535) || at[4] != static_cast<float>(static_cast<int>(at[4]))) {
        ams::python::throw_invalid("box " + std::to_string(i) + " has class " +
                                   std::to_string(at[4]) +
                                   "; allowed are whole numbers, 0 to 65535");
      }
      value.boxes.push_back({at[0], at[1], at[2], at[3], static_cast<std::uint16_t>(at[4]), at[5]});
    }
    return true;
  }
  static handle cast(const ams::BoxSet& set, return_value_policy, handle) {
    std::vector<float> values;
    values.reserve(6 * set.boxes.size());
    for (const ams::Box& box : set.boxes) {
      for (const float x :
           {box.left, box.top, box.right, box.bottom, static_cast<float>(box.class_id), box.score})
        values.push_back(x);
    }
    const auto count = static_cast<ssize_t>(set.boxes.size());
    return ams::python::to_array(std::move(values), {count, ssize_t{6}}).release();
  }
};

}  // namespace pybind11::detail
