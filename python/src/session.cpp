#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ams/server/scheduler.hpp"
#include "arrays.hpp"
#include "core_parts.hpp"
#include "errors.hpp"
#include "messages.hpp"
#include "option_fields.hpp"
#include "session_types.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {

template <>
struct EnumWords<AckPolicy> {
  static constexpr std::array words{std::pair{"published", AckPolicy::published},
                                    std::pair{"applied", AckPolicy::applied}};
};

namespace {

// ---- options ----

using PhiLike = py::typing::Optional<
    py::typing::Callable<std::optional<double>(py::object previous, py::object current)>>;

/// SessionOptions with its strategy by name, and the fields of its budget side by side with the
/// others.
struct PythonSessionOptions {
  /// As StrategyArguments; none where the session chooses by its budget.
  struct Selection {
    std::optional<std::string> strategy = StrategyArguments{}.strategy;
    std::optional<double> gamma = StrategyArguments{}.gamma;
  };
  struct Budget {
    std::optional<double> budget_bps;
    double link_bps = DownlinkBudgetOptions{}.link_bps;
    double window_seconds = DownlinkBudgetOptions{}.window_seconds;
    double overhead_bytes = DownlinkBudgetOptions{}.overhead_bytes;
  };

  SessionOptions options;
  Selection selection;
  Budget budget;
};

Fields<PythonSessionOptions> session_option_fields() {
  using O = PythonSessionOptions;
  Fields<O> fields;
  fields
      .add(
          "session_id", [](O & o) -> auto& { return o.options.session_id; },
          "goes to the device in Welcome")
      .add(
          "horizon_seconds", [](O & o) -> auto& { return o.options.horizon_seconds; },
          "T_horizon, > 0")
      .add(
          "update_interval_seconds",
          [](O & o) -> auto& { return o.options.update_interval_seconds; },
          "T_update, 0.1 to 3600; the base when it is adapted")
      .add(
          "iterations", [](O & o) -> auto& { return o.options.iterations; }, "K, 1 to 10000")
      .add(
          "batch_size", [](O & o) -> auto& { return o.options.batch_size; },
          "samples a mini-batch, 1 to 4096")
      .add(
          "min_samples", [](O & o) -> auto& { return o.options.min_samples; },
          "the first phase waits for so many labelled samples, >= 1");
  add_optimiser_fields(
      fields, [](O & o) -> auto& { return o.options.adam; },
      [](O & o) -> auto& { return o.selection; });
  fields
      .add(
          "learning_rates_by_size", [](O & o) -> auto& { return o.options.learning_rates_by_size; },
          "tensors whose values are small at the beginning learn less fast "
          "(Manifest.with_learning_rates_by_size()), so that one learning rate suits most "
          "networks; "
          "False: as in the paper")
      .add(
          "profile", [](O & o) -> auto& { return o.options.encode.profile; },
          "of updates: 'reference' or 'compact'; with a budget always 'compact'")
      .add(
          "zstd_level", [](O & o) -> auto& { return o.options.encode.zstd_level; },
          "of updates, 1 to 19")
      .add(
          "relative_step", [](O & o) -> auto& { return o.options.encode.compact.relative_step; },
          "of profile 'compact', as encode_update(); with a budget the session chooses it")
      .add(
          "weight_step_multiplier",
          [](O & o) -> auto& { return o.options.encode.compact.weight_step_multiplier; },
          "likewise")
      .add(
          "dead_zone", [](O & o) -> auto& { return o.options.encode.compact.dead_zone; },
          "likewise")
      .add(
          "step_exponents", [](O & o) -> auto& { return o.options.encode.compact.step_exponents; },
          "likewise")
      .add(
          "snapshot_zstd_level", [](O & o) -> auto& { return o.options.snapshot_zstd_level; },
          "1 to 19");
  add_budget_fields(
      fields, [](O & o) -> auto& { return o.budget; }, "downlink_budget_bps", "downlink_link_bps",
      "downlink_window_seconds", "downlink_overhead_bytes");
  fields.add(
      "adapt_sampling_rate", [](O & o) -> auto& { return o.options.adapt_sampling_rate; },
      "False: always initial_fps");
  add_sampling_fields(
      fields, [](O & o) -> auto& { return o.options.sampling; }, "sampling_interval_seconds");
  fields.add(
      "adapt_training_rate", [](O & o) -> auto& { return o.options.adapt_training_rate; },
      "False: T_update never changes (appendix D)");
  add_training_rate_fields(
      fields, [](O & o) -> auto& { return o.options.training_rate; }, "slow_step_seconds",
      "slow_max_factor", "slow_window");
  fields
      .add(
          "max_history_updates", [](O & o) -> auto& { return o.options.max_history_updates; },
          "updates kept for a device that comes back")
      .add(
          "max_history_bytes", [](O & o) -> auto& { return o.options.max_history_bytes; },
          "and their bytes; 0: about what a snapshot has")
      .add(
          "max_updates_in_flight", [](O & o) -> auto& { return o.options.max_updates_in_flight; },
          "no phase begins while so many await their Ack, >= 1")
      .add(
          "ack_timeout_seconds", [](O & o) -> auto& { return o.options.ack_timeout_seconds; },
          "a device that owes an Ack longer is disconnected, > 0; besides, what is on its way has "
          "the time that it takes at the downlink budget, or at 8 Kbps where there is none")
      .add(
          "max_consecutive_snapshots",
          [](O & o) -> auto& { return o.options.max_consecutive_snapshots; },
          "sent in answer to refusals without an Ack between, >= 1")
      .add(
          "max_buffer_samples", [](O & o) -> auto& { return o.options.max_buffer_samples; },
          "in the replay buffer, >= 1; the newest ones stay")
      .add(
          "max_buffer_bytes", [](O & o) -> auto& { return o.options.max_buffer_bytes; },
          "of them, as size_of tells them, >= 1")
      .add(
          "max_pending_batches", [](O & o) -> auto& { return o.options.max_pending_batches; },
          "being labelled; more are dropped and counted, >= 1")
      .add(
          "max_frames_per_batch", [](O & o) -> auto& { return o.options.max_frames_per_batch; },
          ">= 1")
      .add(
          "max_bitstream_bytes", [](O & o) -> auto& { return o.options.max_bitstream_bytes; },
          "of one batch, >= 1")
      .add(
          "seed", [](O & o) -> auto& { return o.options.seed; },
          "of mini-batches and random coordinates");
  return fields;
}

Fields<ClientOptions> client_option_fields() {
  Fields<ClientOptions> fields;
  fields.add("device_id", &ClientOptions::device_id, "1 to 128 bytes; names the session to resume")
      .add("token", &ClientOptions::token, "up to 1024 bytes")
      .add("student_fingerprint", &ClientOptions::student_fingerprint, "goes into Hello as it is")
      .add("sampling_rate_fps", &ClientOptions::sampling_rate_fps,
           "until the server says otherwise, 0.001 to max_sampling_rate_fps")
      .add("max_sampling_rate_fps", &ClientOptions::max_sampling_rate_fps,
           "a server that asks for more is disconnected")
      .add("update_interval_seconds", &ClientOptions::update_interval_seconds,
           "T_update until the server says otherwise, 0.1 to 3600")
      .add("first_batch_seconds", &ClientOptions::first_batch_seconds,
           "the first batch leaves so long after its first sample, >= 0")
      .add("max_buffered_frames", &ClientOptions::max_buffered_frames,
           "samples, >= 1; as many leave before T_update, or else the oldest are dropped")
      .add("max_frames_per_batch", &ClientOptions::max_frames_per_batch,
           "a larger buffer leaves in several batches, 1 to 256")
      .add("max_kept_batches", &ClientOptions::max_kept_batches,
           "sent, but not known to have arrived")
      .add("welcome_timeout_seconds", &ClientOptions::welcome_timeout_seconds,
           "from connection to Welcome, > 0")
      .add("goodbye_timeout_seconds", &ClientOptions::goodbye_timeout_seconds,
           "from Bye to the connection's end, > 0")
      .add("reconnect_min_seconds", &ClientOptions::reconnect_min_seconds,
           "first delay; doubles with every failure, > 0")
      .add("reconnect_max_seconds", &ClientOptions::reconnect_max_seconds,
           ">= reconnect_min_seconds")
      .add("max_consecutive_refusals", &ClientOptions::max_consecutive_refusals,
           "then the device disconnects and starts over, >= 1")
      .add("ack_policy", &ClientOptions::ack_policy,
           "'published' (once the driver runs a version) or 'applied' (as soon as its values are "
           "held)")
      .add("seed", &ClientOptions::seed, "of the jitter of reconnect delays");
  return fields;
}

/// Puts strategy and budget where C++ has them.
void complete(PythonSessionOptions& parsed, const py::kwargs& arguments) {
  const PythonSessionOptions defaults;
  auto& [options, selection, budget] = parsed;
  if (budget.budget_bps) {
    for (const char* name : {"strategy", "gamma"}) {
      if (arguments.contains(name) && !arguments[name].is_none()) {
        throw_invalid(std::string(name) + " is " + repr_text(arguments[name]) +
                      ", and with downlink_budget_bps the session chooses the strategy itself; "
                      "leave it out");
      }
    }
    selection = {std::nullopt, std::nullopt};
    options.downlink_budget = DownlinkBudgetOptions{*budget.budget_bps, budget.link_bps,
                                                    budget.window_seconds, budget.overhead_bytes};
    return;
  }
  if (budget.link_bps != defaults.budget.link_bps ||
      budget.window_seconds != defaults.budget.window_seconds ||
      budget.overhead_bytes != defaults.budget.overhead_bytes) {
    throw_invalid(
        "downlink_link_bps, downlink_window_seconds and downlink_overhead_bytes need "
        "downlink_budget_bps");
  }
  if (!selection.strategy) selection.strategy = defaults.selection.strategy;
  if (!selection.gamma) selection.gamma = defaults.selection.gamma;
  options.strategy = make_selection_strategy(*selection.strategy, *selection.gamma);
}

void bind_options(py::module_& m) {
  const auto session_fields = session_option_fields();
  py::class_<PythonSessionOptions> session(m, "SessionOptions", R"(
Everything that can be set about one device's session. The defaults are the paper's (section 4.1) where it gives
any. With downlink_budget_bps the session chooses what every phase trains, how fast it learns (the multipliers are then
times those of recommended_multipliers()) and how finely every update is written, so that the budget is kept: strategy
and gamma are then None.)");
  const auto client_fields = client_option_fields();
  py::class_<ClientOptions> client(m, "ClientOptions",
                                   "Everything that can be set about a device's client.");
  {
    py::options options;
    options.disable_function_signatures();
    session.def(
        py::init([session_fields](py::kwargs arguments) {
          PythonSessionOptions parsed =
              session_fields.parse(arguments.attr("copy")(), "SessionOptions");
          complete(parsed, arguments);
          validate(parsed.options);
          return parsed;
        }),
        signature_doc("__init__", "self: SessionOptions, *, " + session_fields.signature(), "None",
                      session_fields.doc() + "Raises InvalidArgumentError that names the argument.")
            .c_str());
    client.def(
        py::init([client_fields](py::kwargs arguments) {
          ClientOptions parsed = client_fields.parse(std::move(arguments), "ClientOptions");
          validate(parsed);
          return parsed;
        }),
        signature_doc("__init__", "self: ClientOptions, *, " + client_fields.signature(), "None",
                      client_fields.doc() + "Raises InvalidArgumentError that names the argument.")
            .c_str());
  }
  session_fields.define_properties(session);
  session_fields.define_repr(session, "SessionOptions");
  session_fields.define_to_dict(session);
  client_fields.define_properties(client);
  client_fields.define_repr(client, "ClientOptions");
  client_fields.define_to_dict(client);
}

// ---- training ----

std::vector<double> to_losses(const py::iterable& losses) {
  std::vector<double> values;
  for (const py::handle loss : losses) {
    double value = 0;
    read_argument(value, "a loss", loss);
    values.push_back(value);
  }
  return values;
}

void bind_training(py::module_& m) {
  py::class_<TrainingResult>(m, "TrainingResult", "What a training phase gives back.")
      .def(py::init([](const ArrayLike& parameters, const AdamState& adam,
                       const py::iterable& losses, double seconds) {
             return TrainingResult{ConstFloats(parameters, "parameters").copy(), adam,
                                   to_losses(losses), seconds};
           }),
           py::kw_only(), "parameters"_a, "adam"_a, "losses"_a, "seconds"_a = 0.0, R"(
parameters: w_n after K iterations, float32 [dimension]; values outside the job's coordinates are unchanged, but for
statistics. adam: AdamState after them. losses: of the K mini-batches. seconds: wall time of the phase. All copied.)")
      .def_property_readonly(
          "parameters",
          [](const py::object& self) {
            return float_view(self.cast<const TrainingResult&>().parameters, self, false);
          },
          "float32 [dimension], a read-only view.")
      .def_property_readonly(
          "adam", [](TrainingResult& self) -> AdamState& { return self.adam; },
          py::return_value_policy::reference_internal, "AdamState.")
      .def_readonly("losses", &TrainingResult::losses, "Of the K mini-batches, before each step.")
      .def_readonly("seconds", &TrainingResult::seconds, "Wall time of the phase.");

  py::class_<PythonTrainingJob>(m, "TrainingJob", R"(
One training phase as a self-contained value (Algorithm 2, lines 3 to 14). A trainer goes through mini_batches and
changes parameters in place, with step() or an optimiser of its own:

    for batch in job.mini_batches:
        loss, gradients = loss_and_gradients(job.parameters, batch)
        job.step(gradients)
        losses.append(loss)
    return job.result(losses=losses, seconds=...)
)")
      .def_property_readonly(
          "manifest",
          [](const PythonTrainingJob& self) {
            return std::const_pointer_cast<Manifest>(self.manifest);
          },
          "Layout of the parameters.")
      .def_property_readonly(
          "parameters",
          [](const py::object& self) {
            return float_view(self.cast<const PythonTrainingJob&>().parameters, self, true);
          },
          "w_n, float32 [dimension]: a view that can be written to; at first what the device "
          "holds, with a downlink budget also what is unsent yet.")
      .def_property_readonly(
          "adam", [](PythonTrainingJob& self) -> AdamState& { return self.adam; },
          py::return_value_policy::reference_internal, "Adam's memory, an AdamState.")
      .def_property_readonly(
          "adam_options",
          [](const PythonTrainingJob& self) {
            const AdamOptions& o = self.adam_options;
            return py::dict("learning_rate"_a = o.learning_rate, "beta1"_a = o.beta1,
                            "beta2"_a = o.beta2, "epsilon"_a = o.epsilon,
                            "epsilon_placement"_a = to_word(o.epsilon_placement),
                            "weight_multiplier"_a = o.multipliers.weight,
                            "normalization_multiplier"_a = o.multipliers.normalization,
                            "head_multiplier"_a = o.multipliers.head);
          },
          "learning_rate, beta1, beta2, epsilon, epsilon_placement, and the learning rate's "
          "multipliers by role; step() takes them into account.")
      .def_property_readonly(
          "coordinates", [](const PythonTrainingJob& self) { return self.coordinates; },
          "I_n: the CoordinateSet that may move.")
      .def_property_readonly(
          "required_gradients",
          [](const PythonTrainingJob& self) { return self.required_gradients; },
          "For each tensor of the manifest: is its gradient needed? Others have zeros.")
      .def_property_readonly(
          "mini_batches", [](const PythonTrainingJob& self) { return self.mini_batches; },
          "S_1 to S_K: lists of samples.")
      .def(
          "step",
          [](PythonTrainingJob& self, const ArrayLike& gradients) {
            const ConstFloats values(gradients, "gradients");
            const py::gil_scoped_release no_gil;
            adam_step(self.adam, self.adam_options, self.coordinates, self.parameters,
                      values.span(), learning_rate_ranges(*self.manifest, self.adam_options));
          },
          "gradients"_a, R"(
One iteration of Algorithm 2 (lines 9 to 13) on parameters and adam. gradients: float32 [dimension] of the loss at
parameters. Raises InvalidArgumentError, with nothing changed. Runs without the GIL.)")
      .def(
          "result",
          [](const PythonTrainingJob& self, const py::iterable& losses, double seconds) {
            return TrainingResult{self.parameters, self.adam, to_losses(losses), seconds};
          },
          py::kw_only(), "losses"_a, "seconds"_a = 0.0,
          "The TrainingResult of parameters and adam as they are now.");
}

// ---- the server ----

template <class Counters>
void bind_counters(py::module_& m, const char* name, const char* doc,
                   const Fields<Counters>& fields) {
  py::class_<Counters> cls(m, name, doc);
  fields.define_properties(cls);
  fields.define_repr(cls, name);
  fields.define_to_dict(cls);
}

/// A session whose callables Python's garbage collector sees: a driver whose method is phi, and
/// which holds the session, is a cycle, with the session's samples and all its memory in it.
class CollectableSession : public PythonSession {
 public:
  /// The only references to them.
  struct Calls {
    py::object phi;
    SizeOf size_of;
  };

  template <class... Arguments>
  explicit CollectableSession(std::shared_ptr<Calls> calls, Arguments&&... arguments)
      : PythonSession(std::forward<Arguments>(arguments)...), calls_(std::move(calls)) {}

  /// For py::custom_type_setup.
  static void let_collect(PyHeapTypeObject* heap_type) {
    PyTypeObject& type = heap_type->ht_type;
    type.tp_flags |= Py_TPFLAGS_HAVE_GC;
    type.tp_traverse = [](PyObject* object, visitproc visit, void* arg) -> int {
      Py_VISIT(Py_TYPE(object));
      if (CollectableSession* self = of(object)) {
        Py_VISIT(self->calls_->phi.ptr());
        Py_VISIT(self->calls_->size_of.ptr());
      }
      return 0;
    };
    type.tp_clear = [](PyObject* object) -> int {
      // What refers to it can no longer be reached, so that nobody calls it.
      if (CollectableSession* self = of(object)) *self->calls_ = Calls{py::none(), py::none()};
      return 0;
    };
  }

 private:
  /// Null before __init__ has been through, and for a class of several bases (simple_layout is not
  /// set then), whose cycles stay. Allocates nothing: the collector runs.
  static CollectableSession* of(PyObject* object) {
    auto* instance = reinterpret_cast<py::detail::instance*>(object);
    if (!instance->simple_layout) return nullptr;
    const py::detail::value_and_holder value = instance->get_value_and_holder();
    return value.holder_constructed() ? value.value_ptr<CollectableSession>() : nullptr;
  }

  std::shared_ptr<Calls> calls_;
};

void bind_server(py::module_& m) {
  py::class_<SendToDevice>(m, "SendToDevice",
                           "Send to the device, in order, after whatever was sent before.")
      .def_readonly("message", &SendToDevice::message,
                    "Welcome, Control, Update, Snapshot, Fault or Bye.")
      .def("__repr__", [](const SendToDevice& self) {
        return "<SendToDevice: " + repr_text(py::cast(self.message)) + ">";
      });
  py::class_<LabelBatch>(m, "LabelBatch", R"(
Decode and label these frames, then call on_labelled() or on_label_failed(); in any order.)")
      .def_readonly("batch_id", &LabelBatch::batch_id, "For the answer.")
      .def_readonly("capture_seconds", &LabelBatch::capture_seconds,
                    "One per frame, strictly ascending.")
      .def_property_readonly(
          "bitstream", [](const LabelBatch& self) { return to_bytes(self.bitstream); },
          "H.264 Annex B: hostile until decoded.")
      .def("__repr__", [](const LabelBatch& self) {
        return "<LabelBatch " + std::to_string(self.batch_id) + ": " +
               std::to_string(self.capture_seconds.size()) + " frames>";
      });
  py::class_<TrainingDue>(m, "TrainingDue", R"(
Get the session a turn on the trainer, then call begin_phase(). A device that says goodbye meanwhile withdraws it: ask
training_due when the turn has come.)")
      .def("__repr__", [](const TrainingDue&) { return "<TrainingDue>"; });
  py::class_<DisconnectDevice>(m, "DisconnectDevice", R"(
Send what is queued, then close the connection and call on_disconnect().)")
      .def_readonly("reason", &DisconnectDevice::reason, "For logs.")
      .def("__repr__",
           [](const DisconnectDevice& self) { return "<DisconnectDevice: " + self.reason + ">"; });

  using C = SessionCounters;
  Fields<C> counters;
  counters.add("connections", &C::connections, "Connections with a good Hello.")
      .add("resumed_in_step", &C::resumed_in_step, "Of them, with nothing to send.")
      .add("resumed_with_updates", &C::resumed_with_updates, "With the missing updates.")
      .add("resumed_with_snapshot", &C::resumed_with_snapshot, "With a snapshot.")
      .add("batches", &C::batches, "Taken.")
      .add("batch_bytes", &C::batch_bytes, "Of bitstream.")
      .add("batches_repeated", &C::batches_repeated, "Sent again by the device, ignored.")
      .add("batches_dropped", &C::batches_dropped, "Too many were waiting for their labels.")
      .add("batches_failed", &C::batches_failed, "Could not be decoded or labelled.")
      .add("samples", &C::samples, "Labelled and in the replay buffer.")
      .add("samples_dropped", &C::samples_dropped, "Too old or too large for it.")
      .add("phases", &C::phases, "That gave an update.")
      .add("phases_failed", &C::phases_failed, "That gave none.")
      .add("phases_abandoned", &C::phases_abandoned, "The device had left when they were done.")
      .add("phases_withheld", &C::phases_withheld,
           "Their update did not fit into the downlink budget.")
      .add("phase_seconds", &C::phase_seconds, "Sum over phases.")
      .add("updates", &C::updates, "Encoded; each counted once.")
      .add("update_bytes", &C::update_bytes, "Of updates.")
      .add("update_coordinates", &C::update_coordinates, "Values in them.")
      .add("updates_sent_again", &C::updates_sent_again, "After a reconnection.")
      .add("snapshots", &C::snapshots, "Sent.")
      .add("snapshot_bytes", &C::snapshot_bytes, "Of snapshots.")
      .add("acks", &C::acks, "That named a version that was sent.")
      .add("acks_wrong", &C::acks_wrong, "That named another.")
      .add("refusals", &C::refusals, "By the device.")
      .add("faults", &C::faults, "Connections ended for a protocol violation.");
  bind_counters(m, "SessionCounters", "What a session has done so far.", counters);

  using S = CollectableSession;
  py::class_<S>(m, "ServerSession", py::custom_type_setup(&S::let_collect), R"(
Algorithm 1 for one device, as a state machine without I/O, clock or threads: events go in, actions (SendToDevice,
LabelBatch, TrainingDue, DisconnectDevice) come out, to be carried out in order. docs/sessions.md describes both ends.

It owns what the device holds and what is unsent yet, the replay buffer, Adam's memory and the two rate controllers, and
lives on while the device is away. Samples are any objects. Every event takes now_seconds, the driver's clock, finite. Whatever a device
sends, no event raises; what the driver may not do raises InvalidArgumentError and changes nothing. Not
thread-safe.)")
      .def(py::init([](const ModelState& initial, const PythonSessionOptions& options,
                       const PhiLike& phi, const SizeOf& size_of) {
             PythonSession::Phi compare;
             const auto calls = std::make_shared<S::Calls>(S::Calls{phi, size_of});
             if (!phi.is_none()) {
               if (!PyCallable_Check(phi.ptr()))
                 throw_invalid("phi is " + repr_text(phi) + "; allowed is a callable or None");
               compare = [calls](const py::object& previous, const py::object& current) {
                 return call_python([&]() -> std::optional<double> {
                   const py::object score = calls->phi(previous, current);
                   if (score.is_none()) return std::nullopt;
                   double value = 0;
                   read_argument(value, "the result of phi", score);
                   return value;
                 });
               };
             }
             PythonSession::SizeFunction bytes;
             if (to_size_function(size_of))  // checks it
               bytes = [calls](const py::object& sample) {
                 return call_python([&] { return to_size_function(calls->size_of)(sample); });
               };
             return std::make_unique<S>(calls, initial, options.options, std::move(compare),
                                        std::move(bytes));
           }),
           "initial"_a, "options"_a, py::kw_only(), "phi"_a = py::none(), "size_of"_a = py::none(),
           R"(
initial: w_0. phi: phi(previous, current) of two consecutive samples, >= 0, or None where they cannot be compared; needed
unless adapt_sampling_rate is False. What it raises as ams.Error is skipped; any other exception comes out of the event,
and the rest of that batch is lost. size_of: bytes of a sample, for max_buffer_bytes.)")
      .def("on_message", &S::on_message, "message"_a, "now_seconds"_a,
           "A message of the device has come.")
      .def("on_disconnect", &S::on_disconnect, "now_seconds"_a,
           "The connection is gone, whoever ended it. Also before a newer connection's Hello.")
      .def(
          "on_labelled",
          [](S& self, std::uint64_t batch_id, const py::iterable& samples, double now_seconds) {
            std::vector<TimedSample<py::object>> timed;
            for (const py::handle item : samples) {
              if (!PySequence_Check(item.ptr()) || py::len(item) != 2) {
                throw_invalid("a sample of on_labelled is " + repr_text(item) +
                              "; allowed is (capture_seconds, sample)");
              }
              const py::object first = item[py::int_(0)];
              TimedSample<py::object> one;
              read_argument(one.capture_seconds, "capture_seconds", first);
              one.sample = item[py::int_(1)];
              timed.push_back(std::move(one));
            }
            return self.on_labelled(batch_id, std::move(timed), now_seconds);
          },
          "batch_id"_a, "samples"_a, "now_seconds"_a, R"(
The answer to LabelBatch. samples: (capture_seconds, sample) each, with capture times of that batch, strictly ascending;
frames without a label may be left out.)")
      .def("on_label_failed", &S::on_label_failed, "batch_id"_a, "now_seconds"_a,
           "The batch is lost.")
      .def("begin_phase", &S::begin_phase, "now_seconds"_a, R"(
The TrainingJob that TrainingDue announced, with the newest samples. Raises InvalidArgumentError unless training_due.)")
      .def(
          "on_phase_done",
          [](S& self, const TrainingResult& result, double now_seconds) {
            TrainingResult copy = result;
            // Touches no sample: the replay buffer and phi are for on_labelled() and begin_phase().
            const py::gil_scoped_release no_gil;
            return self.on_phase_done(std::move(copy), now_seconds);
          },
          "result"_a, "now_seconds"_a, R"(
Encodes the update, moves held and sends it. A result that is not finite counts as a failed phase. Runs without the GIL:
no other thread may use this session meanwhile, not even its properties. Raises InvalidArgumentError when no phase is out
or sizes are wrong.)")
      .def(
          "on_phase_failed",
          [](S& self, const std::string& reason, double now_seconds) {
            return self.on_phase_failed(Error(ErrorCode::unavailable, reason), now_seconds);
          },
          "reason"_a, "now_seconds"_a,
          "Nothing is lost but the phase; the next one comes after T_update, while the device is "
          "away "
          "only when new samples come.")
      .def("on_time", &S::on_time, "now_seconds"_a, "next_wake_seconds has come.")
      .def_property_readonly(
          "next_wake_seconds", &S::next_wake_seconds,
          "When on_time() is wanted next; None while the session waits for other events.")
      .def_property_readonly(
          "held", [](const S& self) { return ModelState(self.held()); },
          "What the device holds, or will: a copy. See held_version.")
      .def_property_readonly(
          "held_version", [](const S& self) { return self.held().version(); }, "Of held.")
      .def_property_readonly(
          "confirmed", [](const S& self) { return self.confirmed(); },
          "The ModelVersion that the device last said that it holds.")
      .def_property_readonly(
          "connected", [](const S& self) { return self.connected(); },
          "Between a good Hello and the connection's end.")
      .def_property_readonly(
          "training_due", [](const S& self) { return self.training_due(); },
          "TrainingDue came, begin_phase() is still to come.")
      .def_property_readonly(
          "phase_running", [](const S& self) { return self.phase_running(); },
          "begin_phase() came, the result is still to come.")
      .def_property_readonly(
          "sampling_rate_fps", [](const S& self) { return self.sampling_rate_fps(); },
          "What the device samples at.")
      .def_property_readonly(
          "update_interval_seconds", [](const S& self) { return self.update_interval_seconds(); },
          "T_update.")
      .def_property_readonly("buffered_samples", &S::buffered_samples, "In the replay buffer.")
      .def_property_readonly(
          "pending_batches", [](const S& self) { return self.pending_batches(); },
          "Being labelled.")
      .def_property_readonly(
          "device_id", [](const S& self) { return self.device_id(); },
          "Empty before the first good Hello.")
      .def_property_readonly(
          "last_error", [](const S& self) { return self.last_error(); },
          "Why the latest phase, batch or connection failed, or what the device refused.")
      .def_property_readonly(
          "counters", [](const S& self) { return SessionCounters(self.counters()); },
          "SessionCounters, as they are now.");
}

// ---- the device ----

void bind_client(py::module_& m) {
  py::class_<ConnectToServer>(m, "ConnectToServer", R"(
Open a connection, then call on_connected(), or on_disconnected() when that fails.)")
      .def("__repr__", [](const ConnectToServer&) { return "<ConnectToServer>"; });
  py::class_<SendToServer>(m, "SendToServer", "Send on the open connection, in order.")
      .def_readonly("message", &SendToServer::message, "Hello, FrameBatch, Ack, Refusal or Bye.")
      .def("__repr__", [](const SendToServer& self) {
        return "<SendToServer: " + repr_text(py::cast(self.message)) + ">";
      });
  using Encode = EncodeBuffer<PythonFrame>;
  py::class_<Encode>(m, "EncodeBuffer", R"(
Compress these frames together (section 3.2), then call on_encoded() or on_encode_failed().)")
      .def_readonly("batch_id", &Encode::batch_id, "For the answer.")
      .def_property_readonly(
          "frames",
          [](const Encode& self) {
            py::list frames;
            for (const PythonFrame& frame : self.frames) frames.append(frame.get());
            return frames;
          },
          "The handles given to on_frame(), at least one.")
      .def_readonly("capture_seconds", &Encode::capture_seconds,
                    "One per frame, strictly ascending.")
      .def_readonly("period_seconds", &Encode::period_seconds,
                    "How much video they stand for: times the bitrate it is the bits to spend.")
      .def("__repr__", [](const Encode& self) {
        return "<EncodeBuffer " + std::to_string(self.batch_id) + ": " +
               std::to_string(self.frames.size()) + " frames>";
      });
  py::class_<Publish>(m, "Publish", R"(
held has a new value: load its values into the inactive copy of the model and swap, then call on_published(version).)")
      .def_readonly("version", &Publish::version, "ModelVersion.")
      .def("__repr__", [](const Publish& self) {
        return "<Publish of version " + std::to_string(self.version.number) + ">";
      });
  py::class_<Persist>(
      m, "Persist",
      "held has a new value: save encode_snapshot(held) where a restarted device finds it.")
      .def_readonly("version", &Persist::version, "ModelVersion.")
      .def("__repr__", [](const Persist& self) {
        return "<Persist of version " + std::to_string(self.version.number) + ">";
      });
  py::class_<DisconnectServer>(m, "DisconnectServer", R"(
Send what is queued, then close the connection, or give up opening one, and call on_disconnected().)")
      .def_readonly("reason", &DisconnectServer::reason, "For logs.")
      .def("__repr__",
           [](const DisconnectServer& self) { return "<DisconnectServer: " + self.reason + ">"; });

  using C = ClientCounters;
  Fields<C> counters;
  counters.add("frames", &C::frames, "Seen.")
      .add("frames_sampled", &C::frames_sampled, "Of them, sampled.")
      .add("frames_dropped", &C::frames_dropped, "Sampled, but the buffer was full.")
      .add("frames_invalid", &C::frames_invalid, "Their capture time was not in [0, 1e11] s.")
      .add("batches", &C::batches, "Sent, each counted once.")
      .add("batch_bytes", &C::batch_bytes, "Of bitstream.")
      .add("batches_sent_again", &C::batches_sent_again, "After a reconnection.")
      .add("batches_failed", &C::batches_failed, "Could not be encoded.")
      .add("batches_refused", &C::batches_refused,
           "Given up, because the server faults what was sent.")
      .add("updates", &C::updates, "Applied.")
      .add("update_bytes", &C::update_bytes, "Of updates.")
      .add("snapshots", &C::snapshots, "Taken over.")
      .add("snapshot_bytes", &C::snapshot_bytes, "Of snapshots.")
      .add("refusals", &C::refusals, "Updates and snapshots refused.")
      .add("connections", &C::connections, "That got a Welcome.")
      .add("disconnections", &C::disconnections, "Failed attempts included.");
  bind_counters(m, "ClientCounters", "What a client has done so far.", counters);

  using E = PythonClient;
  py::class_<E>(m, "EdgeClient", R"(
The device's half of AMS, as a state machine without I/O, clock or threads: events go in, actions (ConnectToServer,
SendToServer, EncodeBuffer, Publish, Persist, DisconnectServer) come out, to be carried out in order. docs/sessions.md
describes both ends.

It holds the device's model state, samples frames at the server's rate, sends them every T_update, applies updates as
transactions, and comes back after every loss of connection. Frames are any objects. Every event takes now_seconds, the
driver's clock, finite. Whatever a server sends, no event raises; what the driver may not do raises
InvalidArgumentError and changes nothing. Not thread-safe.)")
      .def(py::init([](const ModelState& initial, const ClientOptions& options) {
             return std::make_unique<E>(initial, options);
           }),
           "initial"_a, "options"_a,
           "initial: w_0, or the state that Persist saved; the driver's model has these values "
           "loaded already.")
      .def("on_start", &E::on_start, "now_seconds"_a, "The driver begins.")
      .def("on_connected", &E::on_connected, "now_seconds"_a, "The answer to ConnectToServer.")
      .def("on_disconnected", &E::on_disconnected, "reason"_a, "now_seconds"_a,
           "The connection is gone or could not be opened.")
      .def("on_message", &E::on_message, "message"_a, "now_seconds"_a,
           py::call_guard<py::gil_scoped_release>(), R"(
A message of the server has come. An update or snapshot moves held as a whole or not at all. Runs without the GIL: no
other thread may use this client meanwhile, not even its properties.)")
      .def("on_stop", &E::on_stop, "reason"_a, "now_seconds"_a,
           "Says Bye and stays away until on_start().")
      .def(
          "on_frame",
          [](E& self, double capture_seconds, py::object frame, double now_seconds) {
            return self.on_frame(capture_seconds, PythonFrame(std::move(frame)), now_seconds);
          },
          "capture_seconds"_a, "frame"_a, "now_seconds"_a, R"(
A frame of the video, on its own timeline; the handle is kept only if it is sampled.)")
      .def("wants_frame", &E::wants_frame, "capture_seconds"_a,
           "Would on_frame() sample a frame of this time?")
      .def(
          "on_encoded",
          [](E& self, std::uint64_t batch_id, const BytesLike& bitstream, double now_seconds) {
            return self.on_encoded(batch_id, ConstBytes(bitstream, "bitstream").copy(),
                                   now_seconds);
          },
          "batch_id"_a, "bitstream"_a, "now_seconds"_a, "The answer to EncodeBuffer: bytes.")
      .def("on_encode_failed", &E::on_encode_failed, "batch_id"_a, "now_seconds"_a,
           "The batch is lost.")
      .def("on_published", &E::on_published, "version"_a, "now_seconds"_a,
           "The driver now runs this version.")
      .def("on_time", &E::on_time, "now_seconds"_a, "next_wake_seconds has come.")
      .def_property_readonly(
          "next_wake_seconds", &E::next_wake_seconds,
          "When on_time() is wanted next; None while the client waits for other events.")
      .def_property_readonly(
          "held", [](const E& self) { return ModelState(self.held()); },
          "The device's model state: a copy. See held_version.")
      .def_property_readonly(
          "held_version", [](const E& self) { return self.held().version(); }, "Of held.")
      .def_property_readonly("streaming", &E::streaming,
                             "Between Welcome and the connection's end.")
      .def_property_readonly("stopped", &E::stopped,
                             "Before on_start(), and when all is over after on_stop().")
      .def_property_readonly("sampling_rate_fps", &E::sampling_rate_fps, "As the server set it.")
      .def_property_readonly("update_interval_seconds", &E::update_interval_seconds, "T_update.")
      .def_property_readonly("buffered_frames", &E::buffered_frames, "Sampled, not yet encoded.")
      .def_property_readonly(
          "last_error", [](const E& self) { return self.last_error(); },
          "Latest reason of a disconnection, fault, refusal or failed encoding.")
      .def_property_readonly(
          "counters", [](const E& self) { return ClientCounters(self.counters()); },
          "ClientCounters, as they are now.");
}

// ---- turns ----

/// Any Python object, by its own ==.
struct TurnId {
  py::object value;
  friend bool operator==(const TurnId& a, const TurnId& b) { return a.value.equal(b.value); }
};

void bind_scheduler(py::module_& m) {
  using T = TurnScheduler<TurnId>;
  py::class_<T>(m, "TurnScheduler", R"(
Fair turns on the trainer among sessions: round robin (section 4.3, figure 6). Sessions are any objects that compare
with ==. Not thread-safe.)")
      .def(py::init([](std::size_t slots) {
             if (slots < 1) throw_invalid("slots is 0; allowed is 1 or more");
             return T(slots);
           }),
           "slots"_a = 1, "slots: turns that may be out at once (the number of trainers), >= 1.")
      .def(
          "request", [](T& self, py::object id) { self.request({std::move(id)}); }, "session"_a,
          "Puts the session at the back of the queue. No effect when it waits already.")
      .def(
          "grant",
          [](T& self) -> py::object {
            auto id = self.grant();
            return id ? id->value : py::object(py::none());
          },
          "The session whose turn it is, when a slot is free and somebody waits, else None.")
      .def(
          "finish", [](T& self, py::object id) { self.finish({std::move(id)}); }, "session"_a,
          "Takes the turn back.")
      .def(
          "remove", [](T& self, py::object id) { self.remove({std::move(id)}); }, "session"_a,
          "Forgets a session that is gone.")
      .def_property_readonly("waiting", &T::waiting, "Sessions in the queue.")
      .def_property_readonly("running", &T::running, "Turns that are out.");
}

}  // namespace

void bind_session(py::module_& m) {
  bind_options(m);
  bind_training(m);
  bind_server(m);
  bind_client(m);
  bind_scheduler(m);
}

}  // namespace ams::python
