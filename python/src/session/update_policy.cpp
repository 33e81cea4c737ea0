#include "ams/session/update_policy.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bindings.hpp"
#include "objects.hpp"
#include "option_fields.hpp"
#include "overrides.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using LentContext = Lent<const PhaseContext>;
using LentReport = Lent<const WriteReport>;
using LentTraining = Lent<const TrainingReport>;
using LentRandom = Lent<Random>;

/// A policy that is a Python class.
class PythonPolicy final : public UpdatePolicy {
 public:
  void prepare(const ModelState& initial) override {
    overridden<void>(
        base(), "prepare", [] {}, initial);
  }
  void start(double now_seconds) override {
    overridden<void>(
        base(), "start", [] {}, now_seconds);
  }
  double horizon_seconds() const override { return attribute<double>(base(), "horizon_seconds"); }
  std::size_t buffer_samples() const override {
    return attribute<std::size_t>(base(), "buffer_samples");
  }
  double sampling_rate_fps() const override {
    return attribute<double>(base(), "sampling_rate_fps");
  }
  double update_interval_seconds() const override {
    return attribute<double>(base(), "update_interval_seconds");
  }
  bool wants_phi() const override { return attribute<bool>(base(), "wants_phi"); }
  void on_phi(double phi) override {
    overridden<void>(
        base(), "on_phi", [] {}, phi);
  }
  bool rate_due(double now_seconds) const override {
    return overridden<bool>(
        base(), "rate_due", [] { return false; }, now_seconds);
  }
  void decide_rate(double now_seconds, double mean_phi) override {
    overridden<void>(
        base(), "decide_rate", [] {}, now_seconds, mean_phi);
  }
  std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
    return lend(
        [&](const LentContext& lent) {
          return overridden<std::optional<double>>(
              base(), "next_phase_seconds",
              [&] {
                return context.latest_begin_seconds
                           ? *context.latest_begin_seconds + update_interval_seconds()
                           : context.now_seconds;
              },
              lent);
        },
        context);
  }
  PhasePlan plan(const PhaseContext& context, Random& random) override {
    return lend(
        [&](const LentContext& lent, const LentRandom& lent_random) {
          return overridden<PhasePlan>(
              base(), "plan", []() -> PhasePlan { throw_not_overridden("UpdatePolicy.plan"); },
              lent, lent_random);
        },
        context, random);
  }
  void on_trained(const TrainingReport& report) override {
    lend(
        [&](const LentTraining& lent) {
          overridden<void>(
              base(), "on_trained", [] {}, lent);
        },
        report);
  }
  EncodePlan encode(double now_seconds, std::span<const double> losses) override {
    return overridden<EncodePlan>(
        base(), "encode", [] { return EncodePlan(); }, now_seconds,
        std::vector<double>(losses.begin(), losses.end()));
  }
  void on_written(const WriteReport& report) override {
    lend(
        [&](const LentReport& lent) {
          overridden<void>(
              base(), "on_written", [] {}, lent);
        },
        report);
  }
  void on_phase_lost() override {
    overridden<void>(base(), "on_phase_lost", [] {});
  }
  void on_replaced() override {
    overridden<void>(base(), "on_replaced", [] {});
  }
  void on_connected(double now_seconds) override {
    overridden<void>(
        base(), "on_connected", [] {}, now_seconds);
  }
  void on_sent(const ServerMessage& message, bool is_repeated, double now_seconds) override {
    overridden<void>(
        base(), "on_sent", [] {}, message, is_repeated, now_seconds);
  }
  double slowest_link_bps() const override { return attribute<double>(base(), "slowest_link_bps"); }

 private:
  const UpdatePolicy* base() const { return this; }
};

/// A property whose value is `otherwise` for policies of Python that do not have it.
template <class T>
auto property(T (UpdatePolicy::*get)() const, T otherwise) {
  return [=](const UpdatePolicy& self) {
    return dynamic_cast<const PythonPolicy*>(&self) ? otherwise : (self.*get)();
  };
}

// ---- what a policy is told ----

void bind_context(py::module_& m) {
  py::class_<LentRandom>(m, "Random", R"(
Random numbers that are the same on every machine for a session's seed; good within plan().)")
      .def(
          "below", [](LentRandom& self, std::uint64_t bound) { return self.get().below(bound); },
          "bound"_a, "A whole number, uniform in [0, bound); bound >= 1.")
      .def(
          "uniform", [](LentRandom& self) { return self.get().uniform(); }, "Uniform in [0, 1).");

  const auto context = [](auto read) {
    return [read](const LentContext& self) { return read(self.get()); };
  };
  using C = PhaseContext;
  py::class_<LentContext>(m, "PhaseContext", R"(
What a policy may look at when it says when a phase begins and plans it; good within that call.)")
      .def_property_readonly("now_seconds", context([](const C& c) { return c.now_seconds; }),
                             "The driver's clock.")
      .def_property_readonly("held", context([](const C& c) { return ModelState(c.held); }),
                             "What the device holds, or will: a copy.")
      .def_property_readonly("adam", context([](const C& c) { return AdamState(c.adam); }),
                             "As the latest phase left it: a copy.")
      .def_property_readonly("latest_begin_seconds",
                             context([](const C& c) { return c.latest_begin_seconds; }),
                             "Of the latest phase; None before the first.")
      .def_property_readonly("samples", context([](const C& c) { return c.samples; }),
                             "Labelled so far.")
      .def_property_readonly("new_samples", context([](const C& c) { return c.new_samples; }),
                             "Of them, since the latest phase began; at least 1.");

  const auto training = [](auto read) {
    return [read](const LentTraining& self) { return read(self.get()); };
  };
  using T = TrainingReport;
  py::class_<LentTraining>(
      m, "TrainingReport",
      "How a phase went, before its update is written; good within on_trained().")
      .def_property_readonly("seconds", training([](const T& t) { return t.seconds; }),
                             "From its becoming due to its end, by the driver's clock.")
      .def_property_readonly("iterations", training([](const T& t) { return t.iterations; }), "K.")
      .def_property_readonly("losses", training([](const T& t) {
                               return std::vector<double>(t.losses.begin(), t.losses.end());
                             }),
                             "One for each mini-batch, or none.")
      .def_property_readonly("scores", training([](const T& t) {
                               return t.scores ? std::optional<StartScores>(*t.scores)
                                               : std::nullopt;
                             }),
                             "StartScores of the plan's other starts; None where none were tried.");

  const auto report = [](auto read) {
    return [read](const LentReport& self) { return read(self.get()); };
  };
  using R = WriteReport;
  const auto copied = [](std::span<const float> values) {
    return to_array(std::vector<float>(values.begin(), values.end()));
  };
  py::class_<LentReport>(m, "WriteReport",
                         "What came of a phase's update; good within on_written().")
      .def_property_readonly("is_withheld", report([](const R& r) { return r.is_withheld; }),
                             "No way fitted; the device keeps its version.")
      .def_property_readonly("bytes", report([](const R& r) { return r.bytes; }),
                             "Of the update; 0 when withheld.")
      .def_property_readonly("usual_bytes", report([](const R& r) { return r.usual_bytes; }),
                             "That the usual way has.")
      .def_property_readonly("coordinates", report([](const R& r) { return r.coordinates; }),
                             "Written, with the statistics that changed.")
      .def_property_readonly("held", report([=](const R& r) { return copied(r.held); }),
                             "What the device will hold: float32 [dimension], a copy.")
      .def_property_readonly("trained", report([=](const R& r) { return copied(r.trained); }),
                             "w_n after K iterations: float32 [dimension], a copy.");
}

// ---- what a policy answers ----

void bind_plans(py::module_& m) {
  using P = PhasePlan;
  Fields<P> fields;
  fields.add("iterations", &P::iterations, "K, 1 to 10000")
      .add("batch_size", &P::batch_size, "samples of a mini-batch, 1 to 4096")
      .add("recency_seconds", &P::recency_seconds,
           "half of a mini-batch is of the newest so many seconds; 0: all alike")
      .include(
          all_adam_fields(), [](P & p) -> auto& { return p.adam; });
  py::class_<P> plan(m, "PhasePlan",
                     "One training phase: where it starts, what it trains, how fast, on how much.");
  {
    py::options options;
    options.disable_function_signatures();
    plan.def(
        py::init([fields](const ArrayLike& parameters, const CoordinatesLike& coordinates,
                          const std::vector<bool>& required_gradients,
                          const RangeTuples& learning_rates,
                          const std::vector<ArrayLike>& other_starts, double start_margin,
                          py::kwargs arguments) {
          P parsed = fields.parse(std::move(arguments), "PhasePlan");
          parsed.parameters = ConstFloats(parameters, "parameters").copy();
          parsed.coordinates = to_coordinates(coordinates, parsed.parameters.size());
          parsed.required_gradients = required_gradients;
          parsed.learning_rates = to_ranges(learning_rates);
          for (const ArrayLike& start : other_starts) {
            parsed.other_starts.push_back({std::make_shared<const std::vector<float>>(
                                               ConstFloats(start, "other_starts").copy()),
                                           start_margin});
          }
          return parsed;
        }),
        py::kw_only(), "parameters"_a, "coordinates"_a, "required_gradients"_a,
        "learning_rates"_a = RangeTuples{}, "other_starts"_a = std::vector<ArrayLike>{},
        "start_margin"_a = OtherStart{}.margin,
        signature_doc(
            "__init__",
            "self: PhasePlan, *, parameters: numpy.typing.ArrayLike, coordinates: "
            "CoordinateSet | numpy.typing.ArrayLike, required_gradients: "
            "collections.abc.Sequence[bool], learning_rates: "
            "collections.abc.Sequence[tuple[int, int, float]] = [], other_starts: "
            "collections.abc.Sequence[numpy.typing.ArrayLike] = [], start_margin: float = 0.05, " +
                fields.signature(),
            "None", R"(
    parameters: where training starts, float32 [dimension]; copied
    coordinates: I_n, a CoordinateSet, ascending integers [n], or a boolean mask [dimension]
    required_gradients: one for each tensor of the manifest
    learning_rates: (begin, end, multiplier) of other rates, as learning_rate_ranges() gives them
    other_starts: states to start from where better on the newest labels, the un-customised student
        first; float32 [dimension] each, copied
    start_margin: how much better than what the device holds another start must score, >= 0
)" + fields.doc() + "Raises InvalidArgumentError that names the argument.")
            .c_str());
  }
  fields.define_attributes(plan, "PhasePlan");
  plan.def_property_readonly(
          "parameters",
          [](const py::object& self) {
            return float_view(self.cast<const P&>().parameters, self, false);
          },
          "float32 [dimension], a read-only view.")
      .def_readonly("coordinates", &P::coordinates, "I_n.")
      .def_readonly("required_gradients", &P::required_gradients, "One for each tensor.")
      .def_property_readonly(
          "learning_rates", [](const P& self) { return to_tuples(self.learning_rates); },
          "(begin, end, multiplier) each.");

  using E = EncodePlan;
  py::class_<E>(m, "EncodePlan", R"(
How an update may be written: the finest of some ways that fits.)")
      .def(py::init([](std::vector<EncodeOptions> ways, std::size_t usual,
                       std::optional<std::size_t> max_bytes, double least_kept) {
             return E{std::move(ways), usual, max_bytes.value_or(E::no_limit), least_kept};
           }),
           "ways"_a = E{}.ways, py::kw_only(), "usual"_a = 0, "max_bytes"_a = py::none(),
           "least_kept"_a = 0.0, R"(
ways: EncodeOptions from fine to coarse, at least one. usual: index of the way that is tried first.
max_bytes: of the update; None for no limit. least_kept: the update is withheld when it keeps less
than this share of the parameters' movement, [0, 1].)")
      .def_readonly("ways", &E::ways, "From fine to coarse.")
      .def_readonly("usual", &E::usual, "Index of the way that is tried first.")
      .def_property_readonly(
          "max_bytes",
          [](const E& self) {
            return self.max_bytes == E::no_limit ? std::nullopt : std::optional(self.max_bytes);
          },
          "Of the update; None for no limit.")
      .def_readonly("least_kept", &E::least_kept, "Share of the movement, [0, 1].");
}

}  // namespace

void bind_update_policy(py::module_& m) {
  bind_context(m);
  bind_plans(m);
  using U = UpdatePolicy;
  py::class_<U, PythonPolicy, std::shared_ptr<U>>(m, "UpdatePolicy", R"(
Decides for one session what a phase trains, how its update is written, and at what pace. Derive
from it, or use PaperPolicy, FixedPolicy or BudgetPolicy. All but plan() has a default; attributes
of the class or of the object take the properties' place.

    class All(ams.UpdatePolicy):
        update_interval_seconds = 5.0
        def plan(self, context, random):
            held = context.held
            return ams.PhasePlan(
                parameters=held.values,
                coordinates=ams.CoordinateSet.all(held.manifest.dimension),
                required_gradients=[True] * len(held.manifest.tensors),
            )

A session owns one, and calls it from one thread at a time. A policy keeps no clock.)")
      .def(py::init<>())
      .def_property_readonly("horizon_seconds", property(&U::horizon_seconds, 240.0),
                             "T_horizon: older samples are forgotten. By default 240.")
      .def_property_readonly("buffer_samples", property(&U::buffer_samples, std::size_t{4096}),
                             "And all but the newest so many. By default 4096.")
      .def_property_readonly("sampling_rate_fps", property(&U::sampling_rate_fps, 1.0),
                             "What the device is told. By default 1.")
      .def_property_readonly("update_interval_seconds", property(&U::update_interval_seconds, 2.0),
                             "T_update, what the device is told. By default 2.")
      .def_property_readonly("wants_phi", property(&U::wants_phi, false),
                             "Whether phi-scores are computed. By default False.")
      .def_property_readonly("slowest_link_bps", property(&U::slowest_link_bps, 8000.0), R"(
A downlink that carries less is called broken when an Ack stays away. By default 8000.)")
      .def("prepare", &U::prepare, "initial"_a, R"(
The session begins with this ModelState; called once, first. Raises InvalidArgumentError when the
policy does not fit it.)")
      .def("start", &U::start, "now_seconds"_a, "The time of the session's first event.")
      .def("on_phi", &U::on_phi, "phi"_a, "Two consecutive samples have this phi-score.")
      .def("rate_due", &U::rate_due, "now_seconds"_a, R"(
Whether the sampling rate is to be decided on now. Asked when samples have come. By default
False.)")
      .def("decide_rate", &U::decide_rate, "now_seconds"_a, "mean_phi"_a, R"(
The mean phi-score since the decision before.)")
      .def(
          "next_phase_seconds",
          [](const U& self, const LentContext& context) {
            return self.next_phase_seconds(context.get());
          },
          "context"_a, R"(
When the next phase may begin; None: more samples must come. By default update_interval_seconds
after the latest one.)")
      .def(
          "plan",
          [](U& self, const LentContext& context, const LentRandom& random) {
            return self.plan(context.get(), random.get());
          },
          "context"_a, "random"_a,
          "The PhasePlan of the phase that begins. Draws random numbers from `random` alone.")
      .def(
          "on_trained", [](U& self, const LentTraining& report) { self.on_trained(report.get()); },
          "report"_a, "The phase has ended well: a TrainingReport. encode() follows.")
      .def(
          "encode",
          [](U& self, double now_seconds, const std::vector<double>& losses) {
            return self.encode(now_seconds, losses);
          },
          "now_seconds"_a, "losses"_a, R"(
The phase has ended: the EncodePlan of its update. By default profile 'reference'. losses: one for
each mini-batch, or none where the trainer computes no loss.)")
      .def(
          "on_written", [](U& self, const LentReport& report) { self.on_written(report.get()); },
          "report"_a, "What came of the update, a WriteReport.")
      .def("on_phase_lost", &U::on_phase_lost,
           "The phase gave nothing: it failed, or the device had left.")
      .def("on_replaced", &U::on_replaced,
           "The device gets another state, by hand, than the phases led to.")
      .def("on_connected", &U::on_connected, "now_seconds"_a, "A connection was made.")
      .def("on_sent", &U::on_sent, "message"_a, "is_repeated"_a, "now_seconds"_a, R"(
A message leaves. is_repeated: an update that was written earlier and is sent once more.)");
}

}  // namespace ams::python
