#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ams/net/certificate.hpp"
#include "ams/net/device_credentials.hpp"
#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/log.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/store/sqlite_store.hpp"
#include "ams/video/h264_codec.hpp"
#include "arrays.hpp"
#include "errors.hpp"
#include "objects.hpp"
#include "paths.hpp"
#include "runtime/label_predictor.hpp"
#include "runtime/parts.hpp"
#include "runtime/policy_maker.hpp"
#include "server/operator_api.hpp"
#include "server/shutdown.hpp"

namespace py = pybind11;
using namespace py::literals;

namespace ams::python {
namespace {

using NoGil = py::call_guard<py::gil_scoped_release>;

/// A Python teacher: a function of uint8 [N, H, W, 3] that gives a list of N labels.
class BatchTeacher final : public Teacher {
 public:
  BatchTeacher(const py::object& function, std::size_t max_frames, bool of_labels)
      : function_(function), max_frames_(max_frames), of_labels_(of_labels) {}

  Handle label(const Handle& frame, double capture_seconds) override {
    return label_frames({&frame, 1}, {&capture_seconds, 1}).at(0);
  }
  std::size_t max_frames() const override { return max_frames_; }
  std::vector<Handle> label_frames(std::span<const Handle> frames,
                                   std::span<const double>) override {
    const Frame& first = frames.front().as<Frame>();
    std::vector<std::uint8_t> rgb;
    rgb.reserve(frames.size() * first.rgb.size());
    for (const Handle& handle : frames) {
      const Frame& frame = handle.as<Frame>();
      if (frame.width != first.width || frame.height != first.height) {
        throw_invalid("the frames of a batch differ in size");
      }
      rgb.insert(rgb.end(), frame.rgb.begin(), frame.rgb.end());
    }
    const auto count = static_cast<py::ssize_t>(frames.size());
    const py::gil_scoped_acquire gil;
    return call_python([&] {
      py::array batch = to_array(std::move(rgb), {count, first.height, first.width, 3});
      batch.attr("setflags")("write"_a = false);
      std::vector<Handle> labels;
      for (const py::handle label : py::list(function_.get()(batch))) {
        const auto object = py::reinterpret_borrow<py::object>(label);
        labels.push_back(of_labels_ && !object.is_none() ? Handle::make(object.cast<LabelMap>())
                                                         : to_handle(object));
      }
      return labels;
    });
  }

 private:
  Reference function_;
  std::size_t max_frames_;
  bool of_labels_;
};

/// Passes events from a level on to a Python object.
class LevelledLog final : public LogSink {
 public:
  LevelledLog(const py::object& object, LogLevel least)
      : inner_(std::make_shared<const Reference>(object)), least_(least) {}
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    if (level >= least_) inner_.write(level, event, fields);
  }

 private:
  PythonLogSink inner_;
  LogLevel least_;
};

/// A server's host with all around it. The threads of its executor use it until shut_down().
struct Running {
  LevelledLog log;
  ThreadExecutor executor;
  WebSocketServerTransport network;
  ServerHost host;
  OperatorApi api;
  std::mutex api_mutex;

  Running(ServerParts parts, ServerHostOptions options, WebSocketServerOptions link,
          std::function<std::optional<Fault>(const Hello&)> authorize, const py::object& log_object,
          LogLevel least)
      : log(log_object, least),
        executor(&log),
        network(std::move(link), std::move(authorize), executor, &log),
        host(std::move(parts), std::move(options), executor, network, &log),
        api(host, executor) {}

  /// Never stopped: it was not started.
  ~Running() { executor.stop(); }
};

class Server {
 public:
  explicit Server(std::shared_ptr<Running> running)
      : port_(running->network.port()), running_(std::move(running)) {}

  /// Dropped references take the GIL, and so do threads that end.
  ~Server() {
    const py::gil_scoped_release no_gil;
    stop();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start() {
    const std::shared_ptr<Running> running = require();
    Running& server = *running;
    const std::lock_guard lock(mutex_);
    server.executor.set_tick([&server] { server.host.on_time(); });
    server.network.set_on_request(server.api);
    server.network.start(server.host);
    is_started_ = true;
  }

  bool stop() {
    std::shared_ptr<Running> running;
    bool is_started = false;
    {
      const std::lock_guard lock(mutex_);
      running = std::move(running_);
      running_ = nullptr;
      is_started = is_started_;
    }
    if (!running || !is_started) return has_ended_;
    has_ended_ = shut_down(running->host, running->executor, running->network);
    devices_ = ask(*running);
    // What still runs uses it.
    if (!has_ended_) new std::shared_ptr<Running>(running);
    return has_ended_;
  }

  std::string devices() {
    const std::shared_ptr<Running> running = [this] {
      const std::lock_guard lock(mutex_);
      return running_;
    }();
    return running ? ask(*running) : devices_;
  }

  std::shared_ptr<Running> require() const {
    const std::lock_guard lock(mutex_);
    if (!running_) throw_invalid("the server has stopped");
    return running_;
  }
  std::uint16_t port() const { return port_; }

 private:
  /// As the page asks.
  static std::string ask(Running& running) {
    std::string answer;
    const std::lock_guard lock(running.api_mutex);
    running.api({"GET", "/api/devices", "", ""},
                [&answer](HttpAnswer given) { answer = std::move(given.body); });
    return answer;
  }

  const std::uint16_t port_;
  mutable std::mutex mutex_;
  std::shared_ptr<Running> running_;
  std::string devices_;
  bool is_started_ = false, has_ended_ = true;
};

std::shared_ptr<SessionStore> open_store(const std::string& folder,
                                         std::shared_ptr<const Manifest> manifest,
                                         Digest fingerprint, const py::object& log) {
  SqliteStoreOptions options{.student_fingerprint = fingerprint};
  const auto sink = std::make_shared<PythonLogSink>(std::make_shared<const Reference>(log));
  options.on_damaged = [sink](const std::string& file) {
    sink->warning("sessions_damaged",
                  {{"message", "the sessions in data_dir cannot be read and begin anew"},
                   {"set_aside", file}});
  };
  options.on_full = [sink, folder](const std::string& problem) {
    sink->warning("disk_full", {{"folder", folder},
                                {"message", problem},
                                {"next", "sessions are kept once there is room"}});
  };
  const py::gil_scoped_release no_gil;
  return std::make_shared<SqliteStore>(folder, std::move(manifest), std::move(options));
}

std::unique_ptr<Server> make_server(
    const ModelState& initial, const py::object& task, const MakePolicy& make_policy,
    const py::object& teacher, std::size_t teacher_frames, const py::object& trainer,
    const py::object& predictor, Digest fingerprint, const SessionOptions& session,
    std::size_t max_devices, const std::string& wrong_student_text,
    const std::optional<std::filesystem::path>& data_dir, const std::string& address,
    std::uint16_t port, const std::filesystem::path& certificate,
    const std::filesystem::path& private_key, const std::vector<std::string>& tokens,
    const std::optional<std::filesystem::path>& credentials, const py::object& log,
    const std::string& log_level) {
  References not_counted;
  const bool of_labels = is_label_task(task);
  ServerParts parts{.initial = initial,
                    .task = share(task.cast<PartOf<Task>>(), not_counted),
                    .make_policy = policy_maker(share(make_policy, not_counted)),
                    .teacher = std::make_shared<BatchTeacher>(teacher, teacher_frames, of_labels),
                    .trainer = std::make_shared<PythonTrainer>(share(trainer, not_counted)),
                    .codec = std::make_shared<H264Codec>()};
  if (data_dir)
    parts.store = open_store(data_dir->string(), initial.manifest_ptr(), fingerprint, log);
  if (of_labels) {
    parts.predictor = std::make_shared<LabelPredictor>(predictor);
  } else {
    parts.predictor = std::make_shared<PythonPredictor>(share(predictor, not_counted));
  }
  ServerHostOptions options;
  options.session = session;
  options.max_devices = max_devices;
  options.student_fingerprint = fingerprint;
  options.wrong_student_text = wrong_student_text;
  options.full_text = "the server has as many devices as it takes (max_devices)";
  DeviceCredentials known;
  if (credentials) known = DeviceCredentials::read(*credentials);
  std::function<std::optional<Fault>(const Hello&)> authorize;
  if (!tokens.empty() || !known.empty()) {
    const Authorization authorization(tokens, std::move(known));
    authorize = authorization;
    options.has_reserved_place = [authorization](const std::string& id) {
      return authorization.knows(id);
    };
    options.reserved_places = [authorization] { return authorization.known_devices(); };
  }
  WebSocketServerOptions link;
  link.address = address;
  link.port = port;
  link.certificate_file = certificate;
  link.private_key_file = private_key;
  link.page = operator_page;
  return std::make_unique<Server>(surface_errors([&] {
    return std::make_shared<Running>(std::move(parts), std::move(options), std::move(link),
                                     std::move(authorize), log, parse_log_level(log_level));
  }));
}

}  // namespace
}  // namespace ams::python

PYBIND11_MODULE(_serve, m) {
  using namespace ams::python;
  register_errors();
  m.doc() = "Bindings of what ams-server is made of; use ams.serve and ams.Server.";
  py::module_::import("ams._core");  // has the types of the state machines

  using ams::SqliteStore;
  py::class_<SqliteStore, std::shared_ptr<SqliteStore>>(
      m, "SqliteStore", "Sessions in a folder; see ams.SqliteStore.")
      .def(py::init([](const std::filesystem::path& folder, const ams::ModelState& initial,
                       ams::Digest fingerprint) {
             return std::make_shared<SqliteStore>(
                 folder.string(), initial.manifest_ptr(),
                 ams::SqliteStoreOptions{.student_fingerprint = fingerprint});
           }),
           "folder"_a, "initial"_a, "fingerprint"_a, NoGil())
      .def("load", &SqliteStore::load, "device_id"_a, NoGil(), "A SessionRecord, or None.")
      .def(
          "save",
          [](SqliteStore& self, ams::SessionRecord record, const std::string& device_id) {
            if (!device_id.empty()) record.device_id = device_id;
            self.save(record);
          },
          "record"_a, "device_id"_a, NoGil(), "Returns when the disk has it.")
      .def("erase", &SqliteStore::erase, "device_id"_a, NoGil(), "Forgets a device.");

  py::class_<Server>(m, "Server", "A server's host, link and store; see ams.Server.")
      .def(py::init(&make_server), py::kw_only(), "initial"_a, "task"_a, "make_policy"_a,
           "teacher"_a, "teacher_frames"_a, "trainer"_a, "predictor"_a, "fingerprint"_a,
           "session"_a, "max_devices"_a, "wrong_student_text"_a, "data_dir"_a, "address"_a,
           "port"_a, "certificate"_a, "private_key"_a, "tokens"_a, "credentials"_a, "log"_a,
           "log_level"_a, "Listens, but accepts nothing before start().")
      .def("start", &Server::start, NoGil(), "Serves until stop(). Once.")
      .def("stop", &Server::stop, NoGil(), R"(
Ends in order, within about 5 s. False: what is being labelled or trained goes on, on a thread that
is left running. Does nothing a second time.)")
      .def("devices", &Server::devices, NoGil(),
           "What GET /api/devices answers; after stop(), as it was then.")
      .def_property_readonly("port", &Server::port, "The port listened on.")
      .def(
          "set_paused",
          [](Server& self, const std::string& device_id, bool is_paused) {
            self.require()->host.set_paused(device_id, is_paused, "this process");
          },
          "device_id"_a, "is_paused"_a, NoGil(), "While paused no phase begins.")
      .def(
          "reset",
          [](Server& self, const std::string& device_id) {
            self.require()->host.reset(device_id, "this process");
          },
          "device_id"_a, NoGil(), "Gives the device the un-customised student.")
      .def(
          "roll_back",
          [](Server& self, const std::string& device_id) {
            self.require()->host.roll_back(device_id, "this process");
          },
          "device_id"_a, NoGil(), "Gives the device the newest of its earlier states.")
      .def(
          "disconnect",
          [](Server& self, const std::string& device_id, const std::string& reason) {
            self.require()->host.disconnect(device_id, reason);
          },
          "device_id"_a, "reason"_a, NoGil(), "Ends its connection, if it has one.")
      .def(
          "metrics", [](Server& self) { return self.require()->host.metrics(); }, NoGil(),
          "Prometheus text about the sessions.");

  m.def(
      "write_self_signed_certificate",
      [](const std::filesystem::path& certificate, const std::filesystem::path& private_key,
         const std::vector<std::string>& hosts,
         int days) { ams::write_self_signed_certificate(certificate, private_key, hosts, days); },
      "certificate"_a, "private_key"_a, "hosts"_a, "days"_a, NoGil(),
      "A new key and its certificate, as ams-server --generate-certificate makes them.");
}
