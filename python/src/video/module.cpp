#include <pybind11/pybind11.h>

#include "errors.hpp"
#include "video/common.hpp"

PYBIND11_MODULE(_video, m) {
  using namespace ams::python;
  register_errors();
  m.doc() = "Bindings of ams::video; use ams.video.";
  bind_reader(m);
  bind_samples(m);
  bind_label_track(m);
  bind_clip(m);
  bind_writer(m);
}
