#include "ams/runtime/model_journal.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "paths.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {

void bind_model_journal(py::module_& m) {
  py::class_<ModelJournal, std::shared_ptr<ModelJournal>>(m, "ModelJournal", R"(
A device's model on its disk, for a restart: a snapshot in a file, and the updates since then in a
file beside it, with ".journal" at its end. An update costs its own bytes; once the journal has as
many as the snapshot, a new snapshot takes the place of both. DeviceHost takes it as `save`. A kill
at any moment costs at most the updates of the save under way. Not thread-safe.)")
      .def(py::init([](std::filesystem::path path, std::shared_ptr<Manifest> manifest,
                       Digest student_fingerprint) {
             return std::make_shared<ModelJournal>(
                 std::move(path), std::move(manifest),
                 ModelJournalOptions{.student_fingerprint = student_fingerprint});
           }),
           "path"_a, "manifest"_a, py::kw_only(), "student_fingerprint"_a = 0,
           "Touches no file. student_fingerprint: keeps apart the students of one manifest.")
      .def("load", &ModelJournal::load, py::call_guard<py::gil_scoped_release>(), R"(
The ModelState that was saved last, or None. A damaged file is renamed to end in ".damaged", and
there is None. Raises InvalidArgumentError where the file is something else, ManifestMismatchError
where it is another student's, and IoError.)")
      .def(
          "save",
          [](ModelJournal& self, const ModelState& state, const std::vector<BytesLike>& updates) {
            std::vector<Bytes> copies;
            for (const BytesLike& update : updates) {
              copies.emplace_back(ConstBytes(update, "an update").copy());
            }
            const py::gil_scoped_release no_gil;
            self.save(state, copies);
          },
          "state"_a, "updates"_a = std::vector<BytesLike>{}, R"(
Keeps `state`. updates: bytes of encode_update() that lead to it from what was loaded or saved
before; without them the whole state is written. It is on the disk on return. Raises IoError; what
was kept before stays.)")
      .def_property_readonly("written_bytes", &ModelJournal::written_bytes,
                             "Written by save() so far.");
}

}  // namespace ams::python
