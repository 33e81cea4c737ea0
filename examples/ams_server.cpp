// ams-server: teaches any number of devices. Flags and wiring; what it does is in ams::ServerHost.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ams/net/certificate.hpp"
#include "ams/net/device_credentials.hpp"
#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/torch/runtime.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/video/h264_codec.hpp"
#include "common/at_end.hpp"
#include "common/files.hpp"
#include "common/log.hpp"
#include "common/signals.hpp"
#include "common/trace.hpp"
#include "server/access.hpp"
#include "server/damaging_transport.hpp"
#include "server/flags.hpp"
#include "server/report.hpp"

namespace {

using namespace ams;

using Authorize = std::function<std::optional<Fault>(const Hello&)>;

/// SIGTERM ends the server within about twice this, whatever is being trained or labelled.
constexpr std::chrono::duration<double> longest_last_phase{2.5};

ServerFlags flags;

void tell_of_certificate(const CertificateInfo& certificate) {
  constexpr double soon_seconds = 14 * 86400;
  const double left_seconds = certificate.valid_until_unix_seconds - double(std::time(nullptr));
  if (left_seconds > soon_seconds) return;
  log::warning("certificate_expires_soon", {{"valid_until", certificate.valid_until}});
}

/// New connections get what the files now hold, or what they got before if something is wrong with
/// the files.
void reload(WebSocketServerTransport& network, ServerHost& host, Access& access,
            std::optional<Authorization>& authorization) {
  try {
    Access renewed = read_access(flags);
    network.reload_certificate();
    if (authorization) authorization->replace(renewed.shared_tokens, renewed.devices);
    for (const std::string& id : access.devices.devices()) {
      if (!renewed.devices.knows(id)) host.disconnect(id, "its token was revoked");
    }
    access = std::move(renewed);
    const CertificateInfo certificate =
        check_certificate(flags.network.certificate_file, flags.network.private_key_file);
    log::info("reloaded", {{"certificate_valid_until", certificate.valid_until}});
    tell_of_certificate(certificate);
  } catch (const std::exception& error) {
    log::warning("not_reloaded", {{"message", error.what()}});
  }
}

/// Calls `work`, which may be left running on a thread: false when it takes longer.
bool ends_within(std::chrono::duration<double> time, std::function<void()> work) {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> future = done->get_future();
  std::thread([work = std::move(work), done] {
    work();
    done->set_value();
  }).detach();
  return future.wait_for(time) == std::future_status::ready;
}

/// Waits for what was posted so far.
void drain(Executor& executor) {
  std::promise<void> done;
  executor.post([&] { done.set_value(); });
  done.get_future().wait();
}

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
  Access access = read_access(flags);
  const bool is_open = access.is_open();
  if (is_open) {
    flags.require_safe_without_token();
    log::warning("no_token", {{"message",
                               "every device that reaches this server is let in; see `ams-server "
                               "devices` and --token-file"}});
  }
  const CertificateInfo certificate =
      check_certificate(flags.network.certificate_file, flags.network.private_key_file);
  tell_of_certificate(certificate);
  Signals signals(Signals::Hangup::reloads);
  if (!flags.student.has_values()) {
    log::warning("no_weights", {{"message", "the student starts untrained; see --weights"}});
  }

  const StudentSpec spec = flags.student_spec();
  const auto teacher = flags.make_teacher();
  const StudentValues student = load_student_values(spec);
  ServerParts parts{.initial = ModelState(student.manifest, student.values),
                    .task = make_segmentation_task(spec),
                    .make_policy = flags.make_policy(),
                    .teacher = teacher,
                    .trainer = make_segmentation_trainer(spec, flags.trainer),
                    .codec = std::make_shared<H264Codec>(),
                    .store = flags.make_store(student)};
  ServerHostOptions options{.session = flags.session,
                            .max_devices = flags.max_devices,
                            .student_fingerprint = student.fingerprint};
  options.wrong_student_text =
      "the device runs another student than this server trains; start both with the same "
      "--student, --weights, --classes, --input, --train-batch-norm and --selected-classes "
      "(default: those of --clip)";
  std::optional<TraceFile> trace;
  if (!flags.trace.empty()) {
    trace.emplace(flags.trace);
    options.on_stage = [&trace](const std::string& device, Stage stage, double seconds,
                                std::uint64_t number) {
      trace->write(device, stage, seconds, number);
    };
  }
  options.full_text = "the server has as many devices as it takes (--max-devices)";
  if (flags.check_only) return 0;

  ThreadExecutor executor;
  std::optional<Authorization> authorization;
  if (!is_open) authorization.emplace(access.shared_tokens, access.devices);
  WebSocketServerTransport network(flags.network,
                                   authorization ? Authorize(*authorization) : nullptr, executor,
                                   &log::logger());
  DamagingTransport transport(network, flags.damage_update);
  ServerHost host(std::move(parts), options, executor, transport, &log::logger());
  bool has_ended = true;
  {
    const AtEnd stop{[&] {
      signals.set_on_hangup(nullptr);
      host.stop();
      // What came of the phase under way still goes out, if it ends soon.
      has_ended = ends_within(longest_last_phase, [&] { executor.stop_work(); });
      network.stop();
      has_ended ? executor.stop() : drain(executor);  // the ends of connections count, too
    }};
    executor.set_tick([&] { host.on_time(); });
    network.start(host);
    signals.set_on_hangup([&] { reload(network, host, access, authorization); });
    signals.begin();
    if (!flags.port_file.empty()) {
      write_file_atomically(flags.port_file, std::to_string(network.port()) + "\n");
    }
    log::info("listening", {{"address", flags.network.address},
                            {"port", network.port()},
                            {"student", flags.student.name()},
                            {"parameters", student.manifest->dimension()},
                            {"certificate_valid_until", certificate.valid_until},
                            {"torch", torch_version()}});
    log::info("stopping", {{"signal", signals.wait()}});
  }
  if (!flags.report.empty()) {
    const nlohmann::json report =
        server_report(host.report(), network.total_counters(), *student.manifest, flags);
    write_file_atomically(
        flags.report, report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  if (!has_ended) {  // its thread still uses all of the above
    log::warning("phase_abandoned");
    log::logger().flush();
    std::_Exit(0);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_signals();
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
