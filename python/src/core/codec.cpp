#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/update_codec.hpp"
#include "arrays.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "option_fields.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
void bind_codec(py::module_& m) {
  py::class_<UpdateInfo>(m, "UpdateInfo", R"(
The header of an update. Profile 'compact' has no digests and no number of values in it:
inspect_update() leaves them 0.)")
      .def_property_readonly(
          "profile", [](const UpdateInfo& i) { return to_word(i.profile); },
          "'reference' or 'compact'.")
      .def_readonly("manifest_digest", &UpdateInfo::manifest_digest, "Of the model that it is for.")
      .def_readonly("base", &UpdateInfo::base, "The version that it follows.")
      .def_readonly("next", &UpdateInfo::next, "The version that it leads to.")
      .def_readonly("coordinates", &UpdateInfo::coordinates, "Number of values sent.")
      .def("__repr__", [](const UpdateInfo& i) {
        return "<UpdateInfo: version " + std::to_string(i.base.number) + " to " +
               std::to_string(i.next.number) + ", " + std::to_string(i.coordinates) + " values, " +
               to_word(i.profile) + ">";
      });

  const auto fields = encode_fields();
  py::class_<EncodeOptions> options(m, "EncodeOptions", "How an update is written.");
  fields.define_init(options, "EncodeOptions", [](EncodeOptions o) {
    validate(o);
    return o;
  });
  fields.define_attributes(options, "EncodeOptions");

  {
    py::options without;
    without.disable_function_signatures();
    m.def(
        "encode_update",
        [fields](ModelState& state, const ArrayLike& trained, const CoordinatesLike& coordinates,
                 py::kwargs arguments) {
          const EncodeOptions parsed = fields.parse(std::move(arguments), "encode_update");
          const ConstFloats values(trained, "trained");
          const CoordinateSet set = to_coordinates(coordinates, state.values().size());
          std::vector<std::byte> bytes;
          {
            const py::gil_scoped_release no_gil;
            bytes = encode_update(state, values.span(), set, parsed);
          }
          return to_bytes(bytes);
        },
        "state"_a, "trained"_a, "coordinates"_a,
        signature_doc(
            "encode_update",
            "state: ModelState, trained: numpy.typing.ArrayLike, coordinates: "
            "CoordinateSet | numpy.typing.ArrayLike, *, " +
                fields.signature(),
            "bytes",
            R"(
The bytes that move a device from `state` to trained[coordinates], and `state` with it.

state moves to the values that the device will decode, so that both ends stay equal. Profile
'compact' does not send changes of less than dead_zone steps.
    trained: float32 [dimension]; values outside the coordinates are not read
    coordinates: a CoordinateSet, ascending integers [n], or a boolean mask [dimension]
)" + fields.doc() +
                R"(Raises InvalidArgumentError on a wrong size or option, and on a value
that is not finite, with its tensor's name; LimitExceededError at the last version. `state` is then
unchanged. Runs without the GIL.)")
            .c_str());
  }

  m.def(
      "update_profile_names",
      [] {
        return std::vector<std::string>(update_profile_names().begin(),
                                        update_profile_names().end());
      },
      "'reference' and 'compact'.");

  m.def(
      "apply_update",
      [](const BytesLike& data, ModelState& state) {
        const ConstBytes bytes(data, "data");
        const py::gil_scoped_release no_gil;
        return apply_update(bytes.span(), state);
      },
      "data"_a, "state"_a, R"(
Checks the whole update, digests included, then moves `state` to the new version: all of it or
nothing.

data: any bytes-like object. Raises MalformedDataError, UnsupportedVersionError,
ManifestMismatchError, BaseVersionMismatchError, DigestMismatchError or LimitExceededError; `state`
is then exactly what it was. Runs without the GIL.)");

  m.def(
      "inspect_update",
      [](const BytesLike& data) { return inspect_update(ConstBytes(data, "data").span()); },
      "data"_a, R"(
Reads the header alone. Only apply_update() proves it. Raises MalformedDataError or
UnsupportedVersionError.)");

  m.def(
      "encode_snapshot",
      [](const ModelState& state, int zstd_level) {
        std::vector<std::byte> bytes;
        {
          const py::gil_scoped_release no_gil;
          bytes = encode_snapshot(state, zstd_level);
        }
        return to_bytes(bytes);
      },
      "state"_a, py::kw_only(), "zstd_level"_a = 1, R"(
The whole state, exact, compressed: for a file, or a device whose version the server does not know.
About 3.4 bytes a value. zstd_level: 1 (fast) to 19. Runs without the GIL.)");

  m.def(
      "decode_snapshot",
      [](const BytesLike& data, const std::shared_ptr<Manifest>& manifest) {
        const ConstBytes bytes(data, "data");
        const py::gil_scoped_release no_gil;
        return decode_snapshot(bytes.span(), manifest);
      },
      "data"_a, py::arg("manifest").none(false), R"(
The state that was saved, bit for bit. Raises as apply_update() does. Runs without the GIL.)");
}

}  // namespace ams::python
