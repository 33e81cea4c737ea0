// ams-server: teaches any number of devices. Flags and wiring; what it does is in ams::ServerHost.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "ams/net/certificate.hpp"
#include "ams/net/token.hpp"
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
#include "server/damaging_transport.hpp"
#include "server/flags.hpp"
#include "server/report.hpp"

namespace {

using namespace ams;

ServerFlags flags;

int write_certificate(const std::filesystem::path& folder) {
  const auto certificate = folder / "certificate.pem", key = folder / "private_key.pem";
  create_folder(folder);
  if (std::filesystem::exists(certificate) && std::filesystem::exists(key)) {
    std::printf("%s and %s are there already and stay as they are; delete them to make new ones\n",
                certificate.c_str(), key.c_str());
    return 0;
  }
  write_self_signed_certificate(certificate, key, flags.certificate_hosts, 3650);
  std::printf("wrote %s and %s\n", certificate.c_str(), key.c_str());
  return 0;
}

int serve() {
  if (!flags.generate_certificate.empty()) return write_certificate(flags.generate_certificate);
  flags.check();
  if (!flags.report.empty()) require_writable(flags.report);
  tune_allocator_for_training();
  set_compute_threads(flags.threads > 0
                          ? flags.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const std::string token = options::read_token(flags.token, flags.token_file);
  if (token.empty()) {
    log::warning(
        "no_token",
        {{"message", "every device that reaches this server is let in; see --token-file"}});
  }
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
                    .codec = std::make_shared<H264Codec>()};
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

  ThreadExecutor executor;
  WebSocketServerTransport network(flags.network, token.empty() ? nullptr : accept_tokens({token}),
                                   executor, &log::logger());
  DamagingTransport transport(network, flags.damage_update);
  ServerHost host(std::move(parts), options, executor, transport, &log::logger());
  {
    const AtEnd stop{[&] {
      host.stop();
      executor.stop_work();  // what came of the phase under way still goes out
      network.stop();
      executor.stop();
    }};
    executor.set_tick([&] { host.on_time(); });
    network.start(host);
    if (!flags.port_file.empty()) {
      write_file_atomically(flags.port_file, std::to_string(network.port()) + "\n");
    }
    log::info("listening", {{"address", flags.network.address},
                            {"port", network.port()},
                            {"student", flags.student.name()},
                            {"parameters", student.manifest->dimension()},
                            {"torch", torch_version()}});
    int signal = 0;
    while (signal == 0) signal = wait_for_stop_signal(3600);
    log::info("stopping", {{"signal", signal}});
  }
  if (flags.report.empty()) return 0;
  const nlohmann::json report =
      server_report(host.report(), network.total_counters(), *student.manifest, flags);
  write_file_atomically(
      flags.report, report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  block_stop_signals();
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
