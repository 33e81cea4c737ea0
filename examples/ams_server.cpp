// ams-server: teaches any number of devices. Flags and wiring; what it does is in ams::ServerHost.

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/video/h264_codec.hpp"
#include "common/at_end.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/signals.hpp"
#include "common/trace.hpp"
#include "server/access.hpp"
#include "server/commands.hpp"
#include "server/damaging_transport.hpp"
#include "server/flags.hpp"
#include "server/operator_api.hpp"
#include "server/python_server.hpp"
#include "server/report.hpp"
#include "server/shutdown.hpp"
#include "server/students.hpp"

namespace {

using namespace ams;

ServerFlags flags;

int serve() {
  if (flags.devices.is_given()) return flags.devices.run(flags.data_dir);
  if (!flags.generate_certificate.empty()) {
    return write_certificate(flags.generate_certificate, flags.certificate_hosts);
  }
  flags.check();
  if (!flags.report.empty()) require_writable(flags.report);
  tune_allocator_for_training();
  set_compute_threads(flags.threads > 0
                          ? flags.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  Access access(flags);
  Signals signals(Signals::Hangup::reloads);
  if (!flags.student.has_values()) {
    log::warning("no_weights", {{"message", "the student starts untrained; see --weights"}});
  }

  const Students students(flags);
  const StudentParts& student = students.own();
  const Manifest& manifest = student.initial.manifest();
  ServerParts parts{.initial = student.initial,
                    .task = student.task,
                    .make_policy = flags.make_policy(),
                    .of_device = students.of_device(),
                    .teacher = student.teacher,
                    .trainer = student.trainer,
                    .codec = std::make_shared<H264Codec>(),
                    .store = student.store,
                    .predictor = student.predictor};
  ServerHostOptions options = flags.host_options();
  options.student_fingerprint = student.fingerprint;
  options.student_name = student.name;
  options.wrong_student_text = student.wrong_text;
  access.reserve_places(options);
  std::optional<TraceFile> trace;
  if (!flags.trace.empty()) {
    trace.emplace(flags.trace);
    options.on_stage = [&trace](const std::string& device, Stage stage, double seconds,
                                std::uint64_t number) {
      trace->write(device, stage, seconds, number);
    };
  }
  if (flags.check_only) return 0;

  ThreadExecutor executor(&log::logger());
  flags.network.page = operator_page;
  WebSocketServerTransport network(flags.network, access.authorize(), executor, &log::logger());
  DamagingTransport transport(network, flags.damage_update);
  ServerHost host(std::move(parts), options, executor, transport, &log::logger());
  bool has_ended = true;
  {
    const AtEnd stop{[&] {
      signals.set_on_hangup(nullptr);
      has_ended = shut_down(host, executor, network);
    }};
    executor.set_tick([&] { host.on_time(); });
    network.set_on_request(OperatorApi(host, executor));
    network.start(host);
    const std::string certificate_valid_until = access.certificate_valid_until();
    signals.set_on_hangup([&] { access.reload(network, host); });
    signals.begin();
    if (!flags.port_file.empty()) {
      write_file_atomically(flags.port_file, std::to_string(network.port()) + "\n");
    }
    log::info("listening", {{"address", flags.network.address},
                            {"port", network.port()},
                            {"student", flags.student.name()},
                            {"parameters", manifest.dimension()},
                            {"certificate_valid_until", certificate_valid_until},
                            {"torch", torch_version()}});
    log::info("stopping", {{"signal", signals.wait()}});
  }
  const auto report = [&] {
    if (flags.report.empty()) return;
    write_report(host.report(), network.total_counters(), manifest, flags);
  };
  if (has_ended) {
    report();
    return 0;
  }
  // The phase's thread still uses all of the above, so nothing of it is destroyed.
  log::warning("phase_abandoned");
  int status = 0;
  try {
    report();
  } catch (const std::exception& error) {
    log::error("failed", {{"message", error.what()}});
    status = 1;
  }
  log::logger().flush();
  std::_Exit(status);
}

}  // namespace

int main(int argc, char** argv) {
  become_python_server(argc, argv);  // where the task is one of Python
  prepare_signals();
  options::allow_many_files();
  CLI::App app(
      "Teaches devices: labels their sampled frames with a teacher, trains a copy of each one's "
      "student on its last\n"
      "minutes of video, and streams back how it has changed.\n\n"
      "  ams-server --generate-certificate tls\n"
      "  ams-server --certificate tls/certificate.pem --private-key tls/private_key.pem "
      "--token-file token \\\n"
      "             --student edanet --weights edanet.safetensors --teacher "
      "fddwnet:fddwnet.safetensors");
  flags.add_to(app);
  options::add_common(app);
  return options::run(app, argc, argv, serve);
}
