#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ams/core/coordinate_choice.hpp"
#include "ams/core/gradient_guided_adam.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/model_holder.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/phi_score.hpp"
#include "ams/core/replay_buffer.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/core/version.hpp"
#include "ams/policy/budget/downlink_budget.hpp"
#include "ams/policy/learning_rates_by_size.hpp"
#include "ams/policy/recommended_multipliers.hpp"
#include "ams/segmentation/label_loss.hpp"
#include "ams/segmentation/miou.hpp"
#include "arrays.hpp"
#include "core_parts.hpp"
#include "errors.hpp"
#include "option_fields.hpp"
#include "session_types.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

/// Classes as Python names them: a number of classes, or their ids.
ClassSubset to_classes(const ClassesLike& classes, int ignore_id) {
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

std::vector<int> to_ids(const ClassSubset& classes) {
  return {classes.ids().begin(), classes.ids().end()};
}

// ---- manifest, model state, codec ----

TensorSpec to_tensor_spec(const py::handle& item) {
  if (py::isinstance<TensorSpec>(item)) return item.cast<TensorSpec>();
  const bool is_sequence = PySequence_Check(item.ptr()) && !py::isinstance<py::str>(item);
  const std::size_t size = is_sequence ? py::len(item) : 0;
  if (size < 2 || size > 5) {
    throw_invalid("a tensor of a Manifest is " + repr_text(item) +
                  "; allowed are TensorSpec, (name, shape), (name, shape, kind), (name, shape, "
                  "kind, role) and (name, shape, kind, role, learning_rate_scale)");
  }
  const auto parts = py::tuple(py::reinterpret_borrow<py::object>(item));
  TensorSpec spec;
  read_argument(spec.name, "the name of a tensor", parts[0]);
  if (!PySequence_Check(parts[1].ptr())) {
    throw_invalid("the shape of tensor '" + spec.name + "' is " + repr_text(parts[1]) +
                  "; allowed are extents, as in (8, 3, 3, 3) or ()");
  }
  for (const py::handle extent : parts[1]) {
    std::int64_t value = 0;
    read_argument(value, "the shape of tensor '" + spec.name + "'", extent);
    spec.shape.push_back(value);
  }
  if (size > 2) read_argument(spec.kind, "the kind of tensor '" + spec.name + "'", parts[2]);
  if (size > 3) read_argument(spec.role, "the role of tensor '" + spec.name + "'", parts[3]);
  if (size > 4)
    read_argument(spec.learning_rate_scale, "the learning_rate_scale of tensor '" + spec.name + "'",
                  parts[4]);
  return spec;
}

void bind_manifest(py::module_& m) {
  py::class_<TensorSpec>(m, "TensorSpec",
                         "One tensor's place in the flat float32 parameter vector.")
      .def_readonly("name", &TensorSpec::name, "As the network's framework names it.")
      .def_property_readonly(
          "shape", [](const TensorSpec& s) { return py::tuple(py::cast(s.shape)); },
          "The extents; empty for a scalar.")
      .def_property_readonly(
          "kind", [](const TensorSpec& s) { return to_word(s.kind); },
          "'parameter' (trained) or 'statistic' (follows the data).")
      .def_property_readonly(
          "role", [](const TensorSpec& s) { return to_word(s.role); },
          "For strategies and learning rates by group: 'normalization' (scale or shift of a "
          "normalisation layer), 'head' (the classifier) or 'weight' (whatever else).")
      .def_readonly("offset", &TensorSpec::offset, "First coordinate, in values.")
      .def_readonly("size", &TensorSpec::size, "Number of values.")
      .def_readonly("learning_rate_scale", &TensorSpec::learning_rate_scale,
                    "Times the learning rate of its role, (0, 1]; see "
                    "Manifest.with_learning_rates_by_size().")
      .def("__repr__", [](const TensorSpec& s) {
        return "TensorSpec('" + s.name + "', " + repr_text(py::tuple(py::cast(s.shape))) + ", '" +
               to_word(s.kind) + "', '" + to_word(s.role) + "')";
      });

  py::class_<Manifest, std::shared_ptr<Manifest>>(m, "Manifest", R"(
The layout of a network's flat parameter vector: which tensor stands where.

Server and device must have the same manifest; its digest travels with every update. Immutable; safe to
read from any thread.

    Manifest([("conv.weight", (8, 3, 3, 3)), ("bn.running_mean", (8,), "statistic")])
    Manifest([("bn.weight", (8,), "parameter", "normalization")])
)")
      .def(py::init([](const py::iterable& tensors) {
             std::vector<TensorSpec> specs;
             for (const py::handle item : tensors) specs.push_back(to_tensor_spec(item));
             return std::make_shared<Manifest>(std::move(specs));
           }),
           "tensors"_a, R"(
tensors: (name, shape) each, in the order of the vector, or with more behind it, (name, shape, kind, role,
learning_rate_scale); kind is 'parameter' or 'statistic', role is 'weight', 'normalization' or 'head',
learning_rate_scale is in (0, 1]. Raises InvalidArgumentError on an empty or repeated name, an extent below 1, more
than 8 extents or a vector of 2^32 values and more.)")
      .def_property_readonly(
          "tensors",
          [](const Manifest& self) {
            return std::vector<TensorSpec>(self.tensors().begin(), self.tensors().end());
          },
          "The tensors, with their offset and size.")
      .def_property_readonly("dimension", &Manifest::dimension, "Number of values.")
      .def_property_readonly("has_statistics", &Manifest::has_statistics,
                             "Is any tensor a statistic?")
      .def_property_readonly(
          "digest", &Manifest::digest,
          "64-bit digest over names, shapes and kinds, the same on every machine.")
      .def(
          "with_roles",
          [](const Manifest& self, std::vector<std::string> normalization,
             std::vector<std::string> head) {
            return std::make_shared<Manifest>(
                self.with_roles({std::move(normalization), std::move(head)}));
          },
          py::kw_only(), "normalization"_a = std::vector<std::string>{},
          "head"_a = std::vector<std::string>{}, R"(
The same layout, of the same digest, with roles by name: where a role is given patterns, exactly the parameters that
match one have it, and who had it before is a 'weight'; one that matches both is the head's. A pattern is a name in
which * stands for any characters and ? for one. Raises InvalidArgumentError for a pattern that no parameter matches.)")
      .def(
          "with_learning_rates_by_size",
          [](const Manifest& self, const ArrayLike& values) {
            return std::make_shared<Manifest>(
                with_learning_rates_by_size(self, ConstFloats(values, "values").span()));
          },
          "values"_a, R"(
The same layout, of the same digest, with a learning rate for each tensor that goes by how large its values are, so that
one learning rate suits networks whose weights are of different sizes: a parameter of two or more extents whose root
mean square is below 0.4 learns in proportion, down to a sixteenth, all others as fast as without. Sessions do this of
their own; learning_rate_ranges() takes it into account.

values: float32 [dimension], of the parameters that training begins with. Raises InvalidArgumentError for another shape,
and for values that are not finite.)")
      .def("tensor_of", &Manifest::tensor_of, "coordinate"_a,
           "Index into tensors of the one that holds this coordinate.")
      .def(
          "__eq__", [](const Manifest& a, const Manifest& b) { return a.digest() == b.digest(); },
          py::is_operator())
      .def("__hash__", &Manifest::digest)
      .def("__repr__",
           [](const Manifest& self) {
             return "<Manifest of " + std::to_string(self.tensors().size()) + " tensors, " +
                    std::to_string(self.dimension()) + " values>";
           })
      .def(py::pickle(
          [](const Manifest& self) {
            py::list tensors;
            for (const TensorSpec& t : self.tensors())
              tensors.append(py::make_tuple(t.name, t.shape, to_word(t.kind), to_word(t.role),
                                            t.learning_rate_scale));
            return py::make_tuple(tensors);
          },
          [](const py::tuple& state) {
            std::vector<TensorSpec> specs;
            for (const py::handle item : state[0].cast<py::list>())
              specs.push_back(to_tensor_spec(item));
            return std::make_shared<Manifest>(std::move(specs));
          }));
}

void bind_coordinate_set(py::module_& m) {
  py::class_<CoordinateSet>(m, "CoordinateSet", R"(
A set of coordinates of a parameter vector: the I_n of Algorithm 2. Immutable; safe to read from any thread.
len() is the number of coordinates, | the union of two sets of one dimension.)")
      .def_static("all", &CoordinateSet::all, "dimension"_a,
                  "Every coordinate of a vector of `dimension` values, at most 2^32 - 1.")
      .def_static(
          "from_sorted",
          [](std::size_t dimension, const CoordinatesLike& indices) {
            return to_coordinates(indices, dimension);
          },
          "dimension"_a, "indices"_a, R"(
indices: strictly ascending integers [n] below `dimension`, or a boolean mask [dimension]. Raises
InvalidArgumentError on anything else.)")
      .def_property_readonly("dimension", &CoordinateSet::dimension, "Length of the vector.")
      .def_property_readonly("is_all", &CoordinateSet::is_all, "Is every coordinate in the set?")
      .def_property_readonly(
          "indices",
          [](const CoordinateSet& self) {
            std::vector<std::uint32_t> indices;
            indices.reserve(self.size());
            self.for_each([&](std::uint32_t i) { indices.push_back(i); });
            return to_array(std::move(indices));
          },
          "The ascending indices, a new uint32 array [len].")
      .def("__len__", &CoordinateSet::size)
      .def("__or__", &CoordinateSet::unite, "other"_a)
      .def(
          "__eq__", [](const CoordinateSet& a, const CoordinateSet& b) { return a == b; },
          py::is_operator())
      .def("__repr__",
           [](const CoordinateSet& self) {
             return "<CoordinateSet: " + std::to_string(self.size()) + " of " +
                    std::to_string(self.dimension()) + ">";
           })
      .def(py::pickle(
          [](const CoordinateSet& self) {
            const std::vector<std::uint32_t> indices(self.indices().begin(), self.indices().end());
            return py::make_tuple(self.dimension(), self.is_all(), to_array(indices));
          },
          [](const py::tuple& state) {
            const auto dimension = state[0].cast<std::size_t>();
            return state[1].cast<bool>() ? CoordinateSet::all(dimension)
                                         : to_coordinates(state[2], dimension);
          }));
}

void bind_codec(py::module_& m) {
  py::class_<ModelVersion>(m, "ModelVersion", R"(
Names what a device holds: the number of updates since version 0, and the digest of the values and of what profile
'compact' has learned.)")
      .def(py::init([](std::uint32_t number, Digest digest) {
             return ModelVersion{number, digest};
           }),
           "number"_a = 0, "digest"_a = 0)
      .def_readonly("number", &ModelVersion::number, "Updates since version 0.")
      .def_readonly("digest", &ModelVersion::digest, "64-bit digest of what is held.")
      .def(
          "__eq__", [](const ModelVersion& a, const ModelVersion& b) { return a == b; },
          py::is_operator())
      .def("__hash__", [](const ModelVersion& self) { return mix64(self.digest + self.number); })
      .def("__repr__",
           [](const ModelVersion& self) {
             return "ModelVersion(number=" + std::to_string(self.number) +
                    ", digest=" + std::to_string(self.digest) + ")";
           })
      .def(py::pickle(
          [](const ModelVersion& self) { return py::make_tuple(self.number, self.digest); },
          [](const py::tuple& state) {
            return ModelVersion{state[0].cast<std::uint32_t>(), state[1].cast<Digest>()};
          }));

  py::class_<ModelState>(m, "ModelState", R"(
The parameter vector at one version: what a device holds, and what its server knows it holds; with it, what profile
'compact' has learned from the updates so far.

Only encode_update() and apply_update() move it to another version, so its digest always belongs to its content.
Reading is thread-safe; updating is not: give a state to one thread.)")
      .def(py::init([](const std::shared_ptr<Manifest>& manifest, const ArrayLike& values,
                       std::uint32_t version_number) {
             return ModelState(manifest, ConstFloats(values, "values").copy(), version_number);
           }),
           "manifest"_a.none(false), "values"_a, py::kw_only(), "version_number"_a = 0, R"(
values: float32 [manifest.dimension], finite; copied. Raises InvalidArgumentError.)")
      .def_property_readonly(
          "manifest",
          [](const ModelState& self) {
            return std::const_pointer_cast<Manifest>(self.manifest_ptr());
          },
          "The layout of the values.")
      .def_property_readonly(
          "values",
          [](const py::object& self) {
            return float_view(self.cast<const ModelState&>().values(), self, false);
          },
          "The values, float32 [dimension]: a read-only view that follows updates. Copy it to keep "
          "it.")
      .def_property_readonly("version", &ModelState::version, "Number and digest of what is held.")
      .def(
          "copy", [](const ModelState& self) { return ModelState(self); },
          "An independent state of the same version.")
      .def("__copy__", [](const ModelState& self) { return ModelState(self); })
      .def(
          "__deepcopy__", [](const ModelState& self, const py::dict&) { return ModelState(self); },
          "memo"_a)
      .def("__repr__",
           [](const ModelState& self) {
             return "<ModelState version " + std::to_string(self.version().number) + ", " +
                    std::to_string(self.values().size()) + " values>";
           })
      .def(py::pickle(
          [](const ModelState& self) {
            return py::make_tuple(std::const_pointer_cast<Manifest>(self.manifest_ptr()),
                                  to_bytes(encode_snapshot(self)));
          },
          [](const py::tuple& state) {
            return decode_snapshot(ConstBytes(state[1], "the snapshot").span(),
                                   state[0].cast<std::shared_ptr<Manifest>>());
          }));

  py::class_<UpdateInfo>(m, "UpdateInfo", R"(
What an update says of itself. inspect_update() leaves 0 what the lean header of profile 'compact' does not tell: all
digests and the number of values.)")
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

  m.def(
      "encode_update",
      [](ModelState& state, const ArrayLike& trained, const CoordinatesLike& coordinates,
         const std::string& profile, int zstd_level, double relative_step,
         double weight_step_multiplier, double dead_zone,
         const py::typing::Dict<py::str, int>& step_exponents) {
        EncodeOptions options{parse_word<UpdateProfile>("profile", profile), zstd_level, {}};
        options.compact.relative_step = relative_step;
        options.compact.weight_step_multiplier = weight_step_multiplier;
        options.compact.dead_zone = dead_zone;
        read_argument(options.compact.step_exponents, "step_exponents", step_exponents);
        const ConstFloats values(trained, "trained");
        const CoordinateSet set = to_coordinates(coordinates, state.values().size());
        std::vector<std::byte> bytes;
        {
          const py::gil_scoped_release no_gil;
          bytes = encode_update(state, values.span(), set, options);
        }
        return to_bytes(bytes);
      },
      "state"_a, "trained"_a, "coordinates"_a, py::kw_only(), "profile"_a = "reference",
      "zstd_level"_a = 1, "relative_step"_a = CompactOptions{}.relative_step,
      "weight_step_multiplier"_a = CompactOptions{}.weight_step_multiplier,
      "dead_zone"_a = CompactOptions{}.dead_zone, "step_exponents"_a = py::dict(), R"(
The bytes that move a device from `state` to trained[coordinates], and `state` with it.

state moves to the values that the device will decode, so that both ends never drift apart.
trained: float32 [dimension]; values outside the coordinates are not read. coordinates: a CoordinateSet, ascending
integers [n], or a boolean mask [dimension]. profile: 'reference' (section 3.1.2: float16 values and their places) or
'compact' (differences in steps of a power of two, under a range coder that remembers; what moves by less than half a
step is not sent). zstd_level: of 'reference', 1 (fast) to 19. relative_step: of 'compact', 2^-20 to 2^20; a step is the
power of two nearest to this times the root mean square of the differences, over the parameters of one role.
weight_step_multiplier: likewise; the step is so many times larger for weights, neither normalisation nor head.
dead_zone: of 'compact', 0.5 to 4: a parameter that would move by fewer steps stays where it is.
step_exponents: exponents of the steps, -100 to 104, in place of that, of any of 'weight', 'normalization', 'head' and
'statistic'.
Raises InvalidArgumentError on a wrong size or option or a value that is not finite, with its tensor's name, and
LimitExceededError at the last version; `state` is then unchanged. Runs without the GIL.)");

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
Checks the whole update, digests included, then moves `state` to the new version: all of it or nothing.

data: any bytes-like object. Raises MalformedDataError, UnsupportedVersionError, ManifestMismatchError,
BaseVersionMismatchError, DigestMismatchError or LimitExceededError; `state` is then exactly what it was.
Runs without the GIL.)");

  m.def(
      "inspect_update",
      [](const BytesLike& data) { return inspect_update(ConstBytes(data, "data").span()); },
      "data"_a, R"(
Reads the header alone. Only apply_update() proves it. Raises MalformedDataError or UnsupportedVersionError.)");

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
The whole state, exact, compressed: for a file, or a device whose version the server does not know. About 3.4 bytes
a value. zstd_level: 1 (fast) to 19. Runs without the GIL.)");

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

// ---- Algorithm 2 ----

struct AdamArguments {
  AdamOptions adam;
  StrategyArguments selection;
  std::uint64_t seed = 0;
};

void bind_adam(py::module_& m) {
  m.def(
      "selection_strategy_names",
      [] {
        return std::vector<std::string>(selection_strategy_names().begin(),
                                        selection_strategy_names().end());
      },
      R"(
The strategies of section 3.1.2 and table 3, e.g. 'gradient_guided', and those that train by group: 'normalization',
'normalization_and_head', either of them with '+gradient_guided', which adds that fraction of the coordinates outside the
group and keeps it from phase to phase, and 'normalization+last_layers'. A manifest without tensors of such a role is refused.)");
  m.def(
      "recommended_multipliers",
      [](const std::string& strategy, double gamma, std::optional<double> weight,
         std::optional<double> normalization, std::optional<double> head) {
        const LearningRateMultipliers l =
            recommended_multipliers(strategy, gamma, {weight, normalization, head});
        return py::dict("weight_multiplier"_a = l.weight,
                        "normalization_multiplier"_a = l.normalization,
                        "head_multiplier"_a = l.head);
      },
      py::kw_only(), "strategy"_a, "gamma"_a = 0.05, "weight_multiplier"_a = py::none(),
      "normalization_multiplier"_a = py::none(), "head_multiplier"_a = py::none(), R"(
How fast what a strategy trains should learn, against a learning rate that suits the whole model. A fraction alone, and
last layers beside normalisation layers, learn min(16, 1 / gamma) times as fast (16 is best for a gradient-guided 5% of
EDANet on clips of a minute, 4 on nine minutes whose scenes change; 1 is the whole model), a gradient-guided fraction
beside groups min(4, 1 / sqrt(gamma)); normalisation layers of the strategies that name them 5 times, the head of those
that name it 4 times; the rest at that rate. What is given
stands instead; that of weights is also that of each role that the strategy does not name. strategy: one of
selection_strategy_names(); gamma: in (0, 1]. Gives keyword arguments of SessionOptions and of the optimisers. Raises
InvalidArgumentError.)");
  Fields<LearningRateMultipliers> multipliers;
  add_multiplier_fields(multipliers,
                        [](LearningRateMultipliers& l) -> LearningRateMultipliers& { return l; });
  {
    py::options options;
    options.disable_function_signatures();
    m.def(
        "learning_rate_ranges",
        [multipliers](const Manifest& manifest, py::kwargs arguments) {
          AdamOptions adam;
          adam.multipliers = multipliers.parse(std::move(arguments), "learning_rate_ranges");
          std::vector<std::tuple<std::size_t, std::size_t, double>> ranges;
          for (const LearningRateRange& range : learning_rate_ranges(manifest, adam))
            ranges.emplace_back(range.begin, range.end, range.multiplier);
          return ranges;
        },
        "manifest"_a,
        signature_doc("learning_rate_ranges", "manifest: Manifest, *, " + multipliers.signature(),
                      "list[tuple[int, int, float]]",
                      "(begin, end, multiplier) of the coordinates begin to end - 1 whose "
                      "multiplier is not 1, ascending.\n" +
                          multipliers.doc() + "Raises InvalidArgumentError.")
            .c_str());
  }
  m.def(
      "largest_by_magnitude",
      [](const ArrayLike& update, std::size_t count) {
        const ConstFloats values(update, "update");
        const py::gil_scoped_release no_gil;
        return largest_by_magnitude(values.span(), count);
      },
      "update"_a, "count"_a, R"(
The `count` coordinates of largest |update|; among equals the lower index wins. update: float32 [dimension].
Raises InvalidArgumentError unless count <= dimension.)");
  m.def(
      "random_coordinates",
      [](std::size_t dimension, std::size_t count, std::uint64_t seed) {
        Random random(seed);
        return random_coordinates(dimension, count, random);
      },
      "dimension"_a, "count"_a, py::kw_only(), "seed"_a = 0, R"(
`count` coordinates below `dimension`, uniformly without replacement, the same for a seed on every machine.)");
  m.def("fraction_count", &fraction_count, "gamma"_a, "dimension"_a, R"(
gamma * dimension, rounded to nearest, at least 1. Raises InvalidArgumentError unless gamma is in (0, 1].)");

  py::class_<AdamState>(m, "AdamState", R"(
Adam's memory of one parameter vector; it persists over training phases (Algorithm 2, lines 4, 5 and 11).)")
      .def(py::init<std::size_t>(), "dimension"_a)
      .def_property_readonly(
          "first_moment",
          [](const py::object& self) {
            return float_view(self.cast<const AdamState&>().first_moment, self, true);
          },
          "m, a float32 view [dimension] that can be written to.")
      .def_property_readonly(
          "second_moment",
          [](const py::object& self) {
            return float_view(self.cast<const AdamState&>().second_moment, self, true);
          },
          "v, a float32 view [dimension] that can be written to.")
      .def_readwrite("step_count", &AdamState::step_count, "i, over all phases.")
      .def(
          "copy", [](const AdamState& self) { return AdamState(self); }, "An independent copy.");

  Fields<AdamArguments> fields;
  add_optimiser_fields(
      fields, [](AdamArguments& a) -> AdamOptions& { return a.adam; },
      [](AdamArguments& a) -> StrategyArguments& { return a.selection; });
  fields.add("seed", &AdamArguments::seed, "of the random choices");

  py::class_<GradientGuidedAdam> adam(m, "GradientGuidedAdam", R"(
Algorithm 2 (section 3.1.2): an optimiser that in each training phase moves a fraction of the parameters, those that
moved most in the phase before.

    adam = GradientGuidedAdam(weights.size, gamma=0.05)
    while True:                               # one round is one training phase
        chosen = adam.begin_phase()
        for _ in range(20):
            adam.step(weights, gradients_of(weights))
        send(weights, chosen)                 # all other weights are as they were

It keeps no parameters. Equal seeds and gradients give equal results on every machine. Not thread-safe.)");
  {
    py::options options;
    options.disable_function_signatures();
    adam.def(
        py::init([fields](const py::object& layout, py::kwargs arguments) {
          const AdamArguments a = fields.parse(std::move(arguments), "GradientGuidedAdam");
          std::shared_ptr<const Manifest> manifest;
          if (py::isinstance<Manifest>(layout)) {
            manifest = layout.cast<std::shared_ptr<Manifest>>();
          } else {
            std::int64_t dimension = 0;
            read_argument(dimension, "manifest_or_dimension", layout);
            manifest = std::make_shared<const Manifest>(
                std::vector<TensorSpec>{{.name = "parameters", .shape = {dimension}}});
          }
          return GradientGuidedAdam(manifest, a.selection.make(), a.adam, a.seed);
        }),
        signature_doc(
            "__init__",
            "self: GradientGuidedAdam, manifest_or_dimension: Manifest | int, *, " +
                fields.signature(),
            "None",
            "manifest_or_dimension: a network's Manifest (statistics are never chosen), or the "
            "number of values of one tensor.\n" +
                fields.doc() + "Raises InvalidArgumentError that names the argument.")
            .c_str());
  }
  adam.def(
          "begin_phase",
          [](GradientGuidedAdam& self) {
            const py::gil_scoped_release no_gil;
            return CoordinateSet(self.begin_phase());
          },
          "Chooses I_n (lines 1 to 5): at random in the first phase, then by |u| of the latest "
          "step. The first phase ends with the first step: begun again before that, it chooses "
          "the same.")
      .def(
          "step",
          [](GradientGuidedAdam& self, const ArrayLike& parameters, const ArrayLike& gradients) {
            Floats values(parameters, "parameters");
            const ConstFloats gradient(gradients, "gradients");
            const py::gil_scoped_release no_gil;
            self.step(values.span(), gradient.span());
          },
          "parameters"_a, "gradients"_a, R"(
One iteration (lines 9 to 13) in place: the moments of all coordinates follow the gradient, those of the phase move.

Both float32 [dimension], contiguous, in memory of their own; tensors whose gradient is not required have zeros.
Raises InvalidArgumentError, with nothing changed, before the first begin_phase(), on another size or dtype, and on
a |gradient| over 1e18 or not a number. Runs without the GIL.)")
      .def_property_readonly(
          "coordinates",
          [](const GradientGuidedAdam& self) { return CoordinateSet(self.coordinates()); },
          "I_n; empty before the first begin_phase().")
      .def("required_gradients", &GradientGuidedAdam::required_gradients,
           "For each tensor of the manifest: must step() be given its gradient?")
      .def(
          "state",
          [](const GradientGuidedAdam& self) {
            const GradientGuidedAdam::State& s = self.state();
            return py::dict("first_moment"_a = to_array(s.adam.first_moment),
                            "second_moment"_a = to_array(s.adam.second_moment),
                            "step_count"_a = s.adam.step_count, "coordinates"_a = s.coordinates,
                            "phase_count"_a = s.phase_count, "seed"_a = s.seed);
          },
          "What persists over phases, copied: for restore(), or a file.")
      .def(
          "restore",
          [](GradientGuidedAdam& self, const py::dict& state) {
            const auto at = [&](const char* key) {
              if (!state.contains(key))
                throw_invalid(std::string("the state has no '") + key + "'");
              return py::object(state[key]);
            };
            GradientGuidedAdam::State s;
            s.adam.first_moment = ConstFloats(at("first_moment"), "first_moment").copy();
            s.adam.second_moment = ConstFloats(at("second_moment"), "second_moment").copy();
            read_argument(s.adam.step_count, "step_count", at("step_count"));
            s.coordinates = to_coordinates(at("coordinates"), s.adam.first_moment.size());
            read_argument(s.phase_count, "phase_count", at("phase_count"));
            read_argument(s.seed, "seed", at("seed"));
            self.restore(std::move(s));
          },
          "state"_a, R"(
Continues from a state() of an object with the same manifest, exactly as that one would have. Raises
InvalidArgumentError, with nothing changed.)");
}

// ---- the downlink's budget ----

void bind_downlink_budget(py::module_& m) {
  Fields<DownlinkBudgetOptions> fields;
  add_budget_fields(
      fields, [](DownlinkBudgetOptions& o) -> DownlinkBudgetOptions& { return o; }, "budget_bps",
      "link_bps", "window_seconds", "overhead_bytes");
  py::class_<DownlinkBudget> budget(m, "DownlinkBudget", R"(
Spends a downlink budget: tells how large the next update may be, so that over no window the mean is above the budget
and, as long as there is something to send, little of it is left over. Half of what quiet times leave over is kept for
the window's length and goes out when the scene changes. At the start, what a third of a window gives is there in
advance, and is paid back with half of the budget. What cannot wait for an allowance is owed, and taken off later ones.

    budget = DownlinkBudget(budget_bps=2000)
    most = budget.allowance_bytes(now, update_interval, scene_changed=changed)
    update = ...                              # the best that fits into `most` bytes
    budget.spend(now, len(update), update_interval)

A session with SessionOptions(downlink_budget_bps=...) does this itself. It has no clock: the caller passes the time, in
seconds on a timeline that does not go back. Not thread-safe.)");
  {
    py::options options;
    options.disable_function_signatures();
    budget.def(
        py::init([fields](py::kwargs arguments) {
          double start_seconds = 0;
          if (arguments.contains("start_seconds")) {
            read_argument(start_seconds, "start_seconds", arguments.attr("pop")("start_seconds"));
          }
          return DownlinkBudget(fields.parse(std::move(arguments), "DownlinkBudget"),
                                start_seconds);
        }),
        signature_doc(
            "__init__",
            "self: DownlinkBudget, *, " + fields.signature() + ", start_seconds: float = 0.0",
            "None",
            fields.doc() +
                "    start_seconds: when the first window begins\nRaises InvalidArgumentError.")
            .c_str());
  }
  budget
      .def("allowance_bytes", &DownlinkBudget::allowance_bytes, "now_seconds"_a,
           "update_interval_seconds"_a, py::kw_only(), "scene_changed"_a = false, R"(
Bytes that the update of this moment may have. update_interval_seconds: T_update, above 0, up to 3600.
scene_changed: what was saved may go out at once. Raises InvalidArgumentError.)")
      .def("steady_bytes", &DownlinkBudget::steady_bytes, "update_interval_seconds"_a,
           "What an update may have on average.")
      .def("spend", &DownlinkBudget::spend, "now_seconds"_a, "update_bytes"_a,
           "update_interval_seconds"_a,
           "An update of so many bytes goes out; it stands for the update_interval_seconds before.")
      .def("owe", &DownlinkBudget::owe, "now_seconds"_a, "bytes"_a, R"(
Bytes go out that nobody asked an allowance for: a connection's handshake, a snapshot. All that is owed, now and from
before, is paid back evenly, over half a window and longer where that would take more than half of the budget, so that
updates go on meanwhile. Raises InvalidArgumentError.)");
}

// ---- phi-score and rates ----

std::optional<double> to_score(const py::object& result) {
  if (result.is_none()) return std::nullopt;
  double score = 0;
  read_argument(score, "the result of the loss", result);
  return score;
}

using PythonLoss = std::function<std::optional<double>(const py::object&, const py::object&)>;
using PythonPhi = PhiScoreTracker<py::object, PythonLoss>;

void bind_rates(py::module_& m) {
  m.def(
      "label_disagreement",
      [](const LabelMap& prediction, const LabelMap& truth, const ClassesLike& classes,
         int ignore_id) {
        return label_disagreement(prediction, truth, to_classes(classes, ignore_id));
      },
      "prediction"_a, "truth"_a, "classes"_a, py::kw_only(), "ignore_id"_a = 255, R"(
Fraction of pixels, in [0, 1], on which two label maps (uint8 [H, W]) differ; only pixels count on which both name one
of `classes` (a number of classes, or their ids). None when there is no such pixel.)");

  py::class_<HardLabelCrossEntropy>(m, "HardLabelCrossEntropy", R"(
The segmentation task's loss on hard labels: a right pixel costs 0, a wrong one -ln(floor), and the loss is the mean.
The unit of SamplingRateController's phi_target.)")
      .def(py::init([](const ClassesLike& classes, double floor, int ignore_id) {
             return HardLabelCrossEntropy(to_classes(classes, ignore_id), floor);
           }),
           "classes"_a, py::kw_only(), "floor"_a = HardLabelCrossEntropy::default_floor,
           "ignore_id"_a = 255, R"(
classes: a number of classes, or their ids. floor: in (0, 1).)")
      .def("__call__", &HardLabelCrossEntropy::operator(), "prediction"_a, "truth"_a, R"(
The loss of two label maps, uint8 [H, W] each; None when they have no pixel in common that counts.)")
      .def_property_readonly("wrong_pixel_loss", &HardLabelCrossEntropy::wrong_pixel_loss,
                             "-ln(floor): the largest loss.");

  py::class_<PythonPhi>(m, "PhiScoreTracker", R"(
phi-score (section 3.2): how fast the teacher's output changes. Labels are any objects; the task's own loss compares
each with the one before. Not thread-safe.)")
      .def(py::init([](LossLike loss) {
             if (!PyCallable_Check(loss.ptr()))
               throw_invalid("loss is " + repr_text(loss) + "; allowed is a callable");
             return PythonPhi(
                 [loss = std::move(loss)](const py::object& prediction, const py::object& truth) {
                   return to_score(loss(prediction, truth));
                 });
           }),
           "loss"_a,
           "loss: loss(prediction, truth) -> float, or None where two labels cannot be compared.")
      .def("add", &PythonPhi::add, "label"_a, R"(
Takes the teacher's output on the next frame, in the order of capture. Gives phi, or None for the first frame and
where the loss gives None. Raises what the loss raises; the tracker is then as before.)")
      .def("mean", &PythonPhi::mean,
           "Mean of the scores since the latest take_mean(); None when there are none.")
      .def("take_mean", &PythonPhi::take_mean, "mean(), and begins a new period.")
      .def_property_readonly("count", &PythonPhi::count,
                             "Number of scores since the latest take_mean().")
      .def("forget_label", &PythonPhi::forget_label,
           "After a gap in the video: the next frame is compared with none.")
      .def("reset", &PythonPhi::reset, "Forgets everything.");

  Fields<SamplingRateOptions> sampling;
  add_sampling_fields(
      sampling, [](SamplingRateOptions& o) -> SamplingRateOptions& { return o; },
      "interval_seconds");
  py::class_<SamplingRateController> controller(m, "SamplingRateController", R"(
Adaptive sampling rate of the device (section 3.2, equation 1):
rate = clip(rate + step_fps * (mean phi - phi_target), min_fps, max_fps), every interval_seconds.
It has no clock: the caller passes the time. Not thread-safe.)");
  {
    py::options options;
    options.disable_function_signatures();
    controller.def(
        py::init([sampling](py::kwargs arguments) {
          double start_seconds = 0;
          if (arguments.contains("start_seconds")) {
            read_argument(start_seconds, "start_seconds", arguments.attr("pop")("start_seconds"));
          }
          return SamplingRateController(
              sampling.parse(std::move(arguments), "SamplingRateController"), start_seconds);
        }),
        signature_doc("__init__",
                      "self: SamplingRateController, *, " + sampling.signature() +
                          ", start_seconds: float = 0.0",
                      "None",
                      sampling.doc() + "    start_seconds: the first decision is due "
                                       "interval_seconds after it\nRaises InvalidArgumentError.")
            .c_str());
  }
  controller
      .def("due", &SamplingRateController::due, "now_seconds"_a,
           "Is it time for the next decision?")
      .def("decide", &SamplingRateController::decide, "now_seconds"_a, "mean_phi"_a,
           "Applies equation (1) once and returns the new rate in fps.")
      .def_property_readonly("rate_fps", &SamplingRateController::rate_fps, "r_t, fps.")
      .def(
          "state",
          [](const SamplingRateController& self) {
            return py::dict("rate_fps"_a = self.state().rate_fps,
                            "next_decision_seconds"_a = self.state().next_decision_seconds);
          },
          "All that it remembers, for restore().")
      .def(
          "restore",
          [](SamplingRateController& self, double rate_fps, double next_decision_seconds) {
            self = SamplingRateController(self.options(),
                                          SamplingRateState{rate_fps, next_decision_seconds});
          },
          py::kw_only(), "rate_fps"_a, "next_decision_seconds"_a,
          "Goes on from a state(): restore(**state).");

  Fields<TrainingRateOptions> training;
  training.add("base_interval_seconds", &TrainingRateOptions::base_interval_seconds,
               "T_update at full pace, > 0");
  add_training_rate_fields(
      training, [](TrainingRateOptions& o) -> TrainingRateOptions& { return o; }, "step_seconds",
      "max_factor", "window");
  py::class_<TrainingRateController> rate(m, "TrainingRateController", R"(
Adaptive training rate (appendix D): a video that changes slowly gets fewer updates. Two modes with hysteresis, by the
mean of the latest sampling rates. Not thread-safe.)");
  {
    py::options options;
    options.disable_function_signatures();
    rate.def(py::init([training](py::kwargs arguments) {
               return TrainingRateController(
                   training.parse(std::move(arguments), "TrainingRateController"));
             }),
             signature_doc("__init__", "self: TrainingRateController, *, " + training.signature(),
                           "None", training.doc() + "Raises InvalidArgumentError.")
                 .c_str());
  }
  rate.def("observe", &TrainingRateController::observe, "sampling_rate_fps"_a,
           "Takes the rate that equation (1) has just set, and sets the mode.")
      .def("advance", &TrainingRateController::advance,
           "Counts one model update and returns T_update: seconds from this update to the next.")
      .def_property_readonly("interval_seconds", &TrainingRateController::interval_seconds,
                             "T_update.")
      .def_property_readonly("slowed_down", &TrainingRateController::slowed_down,
                             "Is it in slow-down mode?")
      .def(
          "state",
          [](const TrainingRateController& self) {
            return py::dict("interval_seconds"_a = self.state().interval_seconds,
                            "slowed_down"_a = self.state().slowed_down,
                            "recent_rates_fps"_a = self.state().recent_rates_fps);
          },
          "All that it remembers, for restore().")
      .def(
          "restore",
          [](TrainingRateController& self, double interval_seconds, bool slowed_down,
             std::vector<double> recent_rates_fps) {
            self = TrainingRateController(
                self.options(),
                TrainingRateState{interval_seconds, slowed_down, std::move(recent_rates_fps)});
          },
          py::kw_only(), "interval_seconds"_a, "slowed_down"_a, "recent_rates_fps"_a,
          "Goes on from a state(): restore(**state).");
}

// ---- replay buffer ----

/// The buffer with the random numbers of its draws.
struct PythonReplayBuffer {
  HorizonReplayBuffer<py::object> buffer;
  Random random;
};

void bind_replay_buffer(py::module_& m) {
  py::class_<PythonReplayBuffer>(m, "HorizonReplayBuffer", R"(
The training buffer B of Algorithm 1: samples (any objects) with time stamps, of which mini-batches are drawn uniformly
with replacement over the last horizon_seconds. Thread-safe. len() is the number of samples.)")
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
horizon_seconds: T_horizon, > 0. max_samples: >= 1. max_bytes: >= 1, None for no limit. size_of: sample -> bytes.
Whatever bound comes first drops the oldest samples.)")
      .def(
          "add",
          [](PythonReplayBuffer& self, double time_seconds, py::object sample) {
            return self.buffer.add(time_seconds, std::move(sample));
          },
          "time_seconds"_a, "sample"_a, R"(
Keeps a sample; False when it would be forgotten at once. Times need not come in order. Raises InvalidArgumentError
when the time is not finite, LimitExceededError when the sample alone is over max_bytes, and what size_of raises.)")
      .def(
          "draw",
          [](PythonReplayBuffer& self, double now_seconds, std::size_t batch_count,
             std::size_t batch_size) {
            return self.buffer.draw(now_seconds, batch_count, batch_size, self.random);
          },
          "now_seconds"_a, "batch_count"_a, "batch_size"_a, R"(
`batch_count` lists of `batch_size` samples of [now_seconds - horizon_seconds, now_seconds]; empty when there are
none.)")
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

// ---- holder ----

using PythonHolder = DoubleBufferedHolder<py::object>;

/// `with holder.read() as model`: what it reads stays as it is until the block ends.
struct PythonReadGuard {
  std::shared_ptr<PythonHolder> holder;
  std::optional<PythonHolder::ReadGuard> guard;
};

void bind_holder(py::module_& m) {
  py::class_<PythonReadGuard>(m, "ModelReadGuard",
                              "Access to the active copy of a ModelHolder within a with block.")
      .def("__enter__",
           [](PythonReadGuard& self) {
             if (self.guard)
               throw_invalid("this ModelReadGuard is in use already; call read() for each block");
             self.guard.emplace(self.holder->read());
             return **self.guard;
           })
      .def("__exit__", [](PythonReadGuard& self, const py::args&) { self.guard.reset(); })
      .def_property_readonly(
          "generation",
          [](const PythonReadGuard& self) {
            if (!self.guard) throw_invalid("generation is only known within the with block");
            return self.guard->generation();
          },
          "How many updates had been published when this copy became active.");

  py::class_<PythonHolder, std::shared_ptr<PythonHolder>>(m, "ModelHolder", R"(
Two copies of a model, of which readers use the active one while the next version is made in the inactive one
(section 3, "Edge device"). Inference never waits for an update and never sees half of one.

    holder = ModelHolder(model)                      # with a deep copy of it as the second
    with holder.read() as active:                    # inference thread, for every frame
        labels = active(frame)
    holder.update(lambda inactive, active: inactive.load(values))   # network thread

Any number of threads may read and update. update() waits for readers of the copy that it is about to write, without
the GIL; a thread that calls it within its own read() block waits for itself, until Ctrl-C.)")
      .def(py::init([](py::object active, py::object inactive) {
             if (inactive.is_none())
               inactive = py::module_::import("copy").attr("deepcopy")(active);
             return std::make_shared<PythonHolder>(std::move(active), std::move(inactive));
           }),
           "active"_a, "inactive"_a = py::none(), R"(
Readers see `active` first. inactive: another copy of the model; None makes a deep copy.)")
      .def(
          "read",
          [](const std::shared_ptr<PythonHolder>& self) {
            return PythonReadGuard{self, std::nullopt};
          },
          "The active copy, for one with block. Never waits.")
      .def(
          "update",
          [](const std::shared_ptr<PythonHolder>& self,
             const py::typing::Callable<void(py::object, py::object)>& change) {
            // Waits without the GIL, so that readers get on; the caller's change runs with it.
            const py::gil_scoped_release no_gil;
            constexpr std::chrono::milliseconds patience(50);
            auto look = std::chrono::steady_clock::now() + patience;
            return self->update(
                [&](py::object& inactive, const py::object& active) {
                  const py::gil_scoped_acquire gil;
                  change(inactive, active);
                },
                [&] {
                  const auto now = std::chrono::steady_clock::now();
                  if (now < look) return;
                  look = now + patience;
                  const py::gil_scoped_acquire gil;
                  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
                });
          },
          "change"_a, R"(
Makes the next version: change(inactive, active) gives `inactive` a whole new value in place, and readers that come
after see it. Returns its generation. When `change` raises, nothing is published and the exception passes on.)");
}

// ---- mIoU ----

void bind_miou(py::module_& m) {
  py::class_<ConfusionMatrix>(m, "ConfusionMatrix", R"(
Pixel counts by true and by predicted class, and the intersection over union that follows, in [0, 1]. A pixel counts
when its true class is one of the classes; a prediction outside them is a miss of the true class. Not thread-safe.)")
      .def(py::init([](const ClassesLike& classes, int ignore_id) {
             return ConfusionMatrix(to_classes(classes, ignore_id));
           }),
           "classes"_a, py::kw_only(), "ignore_id"_a = 255,
           "classes: a number of classes, or their ids.")
      .def("add", &ConfusionMatrix::add, "prediction"_a, "truth"_a, R"(
Counts a frame's pixels: uint8 [H, W] each. Raises InvalidArgumentError unless the shapes are equal.)")
      .def(
          "__iadd__",
          [](ConfusionMatrix& self, const ConfusionMatrix& other) { return self += other; },
          py::is_operator())
      .def(
          "__isub__",
          [](ConfusionMatrix& self, const ConfusionMatrix& other) { return self -= other; },
          py::is_operator())
      .def(
          "__eq__", [](const ConfusionMatrix& a, const ConfusionMatrix& b) { return a == b; },
          py::is_operator())
      .def("clear", &ConfusionMatrix::clear, "Forgets all counts.")
      .def_property_readonly(
          "classes", [](const ConfusionMatrix& self) { return to_ids(self.classes()); },
          "The class ids.")
      .def_property_readonly("pixels", &ConfusionMatrix::pixels, "Number of pixels that counted.")
      .def_property_readonly(
          "counts",
          [](const ConfusionMatrix& self) {
            const std::size_t n = self.classes().size();
            std::vector<std::uint64_t> counts;
            for (std::size_t i = 0; i < n; ++i) {
              for (std::size_t j = 0; j <= n; ++j) counts.push_back(self.count(i, j));
            }
            return to_array(std::move(counts),
                            {static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(n + 1)});
          },
          "uint64 [classes, classes + 1]: rows are true classes, columns predicted ones, the last "
          "one any other.")
      .def(
          "iou",
          [](const ConfusionMatrix& self) {
            std::vector<std::optional<double>> values;
            for (std::size_t i = 0; i < self.classes().size(); ++i) values.push_back(self.iou(i));
            return values;
          },
          "Intersection over union of each class; None for one that occurs nowhere.")
      .def("mean_iou", &ConfusionMatrix::mean_iou,
           "Mean over the classes that occur; None when none does.");

  py::class_<MiouSummary>(
      m, "MiouSummary", "mIoU of a video so far, by three definitions; None where nothing counted.")
      .def_readonly("sliding", &MiouSummary::sliding,
                    "The paper's: mean over frames of the window's mIoU.")
      .def_readonly("per_frame", &MiouSummary::per_frame,
                    "Mean over frames of the frame's own mIoU.")
      .def_readonly("whole_video", &MiouSummary::whole_video,
                    "mIoU of all frames' counts together.")
      .def_readonly("frames", &MiouSummary::frames,
                    "Frames that the averages are over (start-up left out).")
      .def("__repr__", [](const MiouSummary& s) {
        return "MiouSummary(sliding=" + repr_text(py::cast(s.sliding)) +
               ", per_frame=" + repr_text(py::cast(s.per_frame)) +
               ", whole_video=" + repr_text(py::cast(s.whole_video)) +
               ", frames=" + std::to_string(s.frames) + ")";
      });

  py::class_<SlidingMiou>(m, "SlidingMiou", R"(
The paper's accuracy measure: for every frame the confusion matrix summed over the last window_seconds of video, its
IoU averaged over the classes that occur; then the mean over frames. Not thread-safe.)")
      .def(py::init([](const ClassesLike& classes, double window_seconds, double start_up_seconds,
                       int ignore_id) {
             return SlidingMiou(to_classes(classes, ignore_id), {window_seconds, start_up_seconds});
           }),
           "classes"_a, py::kw_only(), "window_seconds"_a = 10.0, "start_up_seconds"_a = 0.0,
           "ignore_id"_a = 255, R"(
classes: a number of classes, or their ids. window_seconds: > 0. start_up_seconds: frames before this time are left
out of the averages.)")
      .def("add", &SlidingMiou::add, "prediction"_a, "truth"_a, "time_seconds"_a, R"(
Takes the next frame (uint8 [H, W] each) and returns the window's mIoU at its time; None when no pixel counts. Times do
not go back.)")
      .def_property_readonly("current", &SlidingMiou::current,
                             "The window's mIoU at the latest frame.")
      .def_property_readonly(
          "window", [](const SlidingMiou& self) { return ConfusionMatrix(self.window()); },
          "The window's counts, copied.")
      .def("summary", &SlidingMiou::summary, "The averages so far.");
}

py::dict build_info() {
  const std::string torch = AMS_TORCH_VERSION;
  return py::dict(
      "version"_a = version_string,
      "layers"_a = py::dict("torch"_a = torch.empty() ? py::object(py::none()) : py::str(torch),
                            "video"_a = bool(AMS_HAS_VIDEO), "x264"_a = bool(AMS_HAS_X264),
                            "net"_a = bool(AMS_HAS_NET)),
      "compiler"_a = __VERSION__,
      "pybind11"_a =
          std::to_string(PYBIND11_VERSION_MAJOR) + "." + std::to_string(PYBIND11_VERSION_MINOR));
}

}  // namespace

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

}  // namespace ams::python

PYBIND11_MODULE(_core, m) {
  using namespace ams::python;
  register_errors();
  m.doc() = "Bindings of ams::core, ams::session and ams::synthetic; use the package ams.";
  m.attr("__version__") = ams::version_string;
  m.def("build_info", &build_info, R"(
How this package was built: version, layers (torch: the version that it was built with, or None; video, x264, net),
compiler, pybind11.)");
  bind_manifest(m);
  bind_coordinate_set(m);
  bind_codec(m);
  bind_adam(m);
  bind_downlink_budget(m);
  bind_rates(m);
  bind_replay_buffer(m);
  bind_holder(m);
  bind_miou(m);
  bind_messages(m);
  bind_session(m);
  bind_synthetic(m);
}
