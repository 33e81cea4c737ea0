#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <span>

#include "ams/segmentation/label_map.hpp"
#include "arrays.hpp"
#include "objects.hpp"
#include "runtime/parts.hpp"

namespace ams::python {

/// Whether a Python object is a task whose labels and predictions are LabelMap: ams.Task of C++.
inline bool is_label_task(const py::object& task) {
  return py::isinstance(task, py::module_::import("ams._core").attr("SegmentationTask"));
}

/// A Python predictor of label maps. A frame reaches it as it was given.
class LabelPredictor final : public Predictor {
 public:
  explicit LabelPredictor(const py::object& object)
      : inner_(std::make_shared<const Reference>(object)) {}
  const std::shared_ptr<const Manifest>& manifest() const override { return inner_.manifest(); }
  void load(std::span<const float> values) override { inner_.load(values); }
  Handle predict(const Handle& frame) override {
    const py::gil_scoped_acquire gil;
    const Handle labels = inner_.predict(frame);
    return Handle::make(call_python([&] { return to_object(labels).cast<LabelMap>(); }));
  }

 private:
  PythonPredictor inner_;
};

}  // namespace ams::python
