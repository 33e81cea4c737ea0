#include "edge/flags.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/net/server_address.hpp"
#include "ams/runtime/record_sink.hpp"
#include "ams/session/messages.hpp"
#include "ams/session/text.hpp"
#include "ams/video/sample_decoder.hpp"
#include "edge/show.hpp"

namespace ams {
namespace {

/// A name that two devices do not share unless somebody gave it to both.
std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "device";
  return std::string(cut_text(printable(name.data()), max_device_id_bytes));
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

/// For CLI::Option::check: what `require` throws.
CLI::Validator checked_by(void (*require)(const std::string&), const std::string& type) {
  return CLI::Validator(
      [require](const std::string& text) {
        try {
          require(text);
        } catch (const Error& error) {
          return std::string(error.what());
        }
        return std::string();
      },
      type);
}

void require_format(const std::string& name) {
  parse_prediction_format(name);
}

}  // namespace

EdgeFlags::EdgeFlags() {
  client.device_id = host_name();
}

void EdgeFlags::add_to(CLI::App& app) {
  const SampleDecoderLimits limits;
  auto* source = app.add_option_group("Video");
  source->add_option("--video", video,
                     "file; folder or pattern of pictures (f%03d.png); camera:0; rtsp://, http://, "
                     "rtmp://, udp://, tcp:// or srt:// address; FIFO, or - for standard input; a "
                     "lost live source is opened again");
  source->add_option("--fps", fps, "frames a second of pictures and of raw streams (--video)")
      ->check(CLI::Range(0.001, 1000.0));
  source
      ->add_option("--live", live,
                   "an address or pipe is a live source: yes, no, or auto (unless it tells its "
                   "duration or size)")
      ->capture_default_str();
  source->add_option("--clip", clip, "clip folder instead: its labels score the student");
  source
      ->add_option("--stop-after-seconds", stop_after_seconds, "end here, on the video's timeline")
      ->check(CLI::PositiveNumber);
  source
      ->add_option("--max-lag-seconds", max_lag_seconds,
                   "drop and count a frame that is later than this; of a live source the newest "
                   "frame alone waits")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  auto* network = app.add_option_group("Network");
  network->add_option("--server", server, "HOST:PORT of ams-server")->capture_default_str();
  network->add_option("--ca", ca_file,
                      "PEM file with the certificate to trust (default: the system's)");
  network->add_flag("--insecure-accept-any-host-name", insecure_accept_any_host_name,
                    "accept a trusted certificate of another host");
  network->add_option("--token", token, "secret that the server wants (visible in process lists)");
  network->add_option("--token-file", token_file, "file whose first line is that secret");
  network->add_option("--device-id", client.device_id,
                      "name of this device's session, one of its own for each device of a server "
                      "(default: the host's name)");
  network->add_option("--uplink-kbps", uplink_kbps, "target of the sampled frames' bitrate")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
  network
      ->add_option("--uplink-size", uplink_size,
                   "largest size of sampled frames; servers decode up to " +
                       std::to_string(limits.max_width) + "x" + std::to_string(limits.max_height))
      ->check(options::size_between(16, std::min(limits.max_width, limits.max_height)))
      ->capture_default_str();
  network
      ->add_option("--first-batch-seconds", client.first_batch_seconds,
                   "send the first samples after so long; later ones every T_update")
      ->capture_default_str();
  student.add_to(app);
  app.add_option("--state", state,
                 "keep the adapted student in this file, to resume after a restart; it may not "
                 "exist yet");
  app.add_option("--threads", threads,
                 "compute threads of the student; ExecuTorch has 1 or, for more, one a core")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--runtime", runtime,
                 "what computes the student: torch (libtorch), onnx (ONNX Runtime) and executorch "
                 "(ExecuTorch; of a bundle that was written with --executorch), which run student "
                 "bundles alone, or auto: onnx for a bundle where this program has it")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "torch", "onnx", "executorch"}));
  app.add_option("--execution-provider", execution_providers,
                 "of ONNX Runtime, best first, comma-separated: e.g. CUDA, TensorRT, XNNPACK, "
                 "CoreML (default: CPU)")
      ->delimiter(',');
  app.add_option("--seed", client.seed, "seed of the pauses between reconnections")
      ->capture_default_str();
  auto* results = app.add_option_group("Results");
  results
      ->add_option("--output", output,
                   "write every prediction for other programs: to a file or FIFO, - (standard "
                   "output), unix:PATH (a local socket: readers connect), tcp:HOST:PORT (the same, "
                   "unprotected) or shm:NAME (shared memory: the newest)")
      ->check(checked_by(require_record_place, "WHERE"));
  results
      ->add_option("--output-format", output_format,
                   "jsonl (a JSON line with the share of each class; default) or labels (the label "
                   "map behind a header; default for shm:)")
      ->check(checked_by(require_format, "NAME"));
  results
      ->add_option("--show", show,
                   "show people the video with the labels over it: window, http://HOST:PORT (to "
                   "open in a browser) or a file that ends in .mp4")
      ->check(checked_by(Show::require_place, "WHERE"));
  auto* measure = app.add_option_group("Measuring");
  measure->add_flag("--compare", compare, "score the student without updates too (--clip)");
  measure->add_option("--record", record,
                      "folder for the predictions on labelled frames, as label tracks (--clip)");
  measure->add_option("--timeline", timeline, "CSV file with one row a second of video");
  measure->add_option("--trace", trace,
                      "JSON lines: how long every sample and update took in each stage");
  measure->add_option("--report", report, "JSON report at the end");
  measure
      ->add_option("--status", status, "auto (one line, rewritten), line (a line every 5 s), none")
      ->capture_default_str();
}

void EdgeFlags::check() const {
  if (clip.empty() == video.empty()) refuse("give one of --clip and --video; see --help");
  if (clip.empty() && compare) {
    refuse("--compare scores against a clip's labels: give --clip instead of --video");
  }
  if (clip.empty() && !record.empty()) {
    refuse(
        "--record keeps the predictions on a clip's labelled frames: give --clip instead of "
        "--video");
  }
  if (!clip.empty() && (fps > 0 || live != "auto")) {
    refuse("--fps and --live are for --video; a clip's video has times of its own");
  }
  if (live != "auto" && live != "yes" && live != "no") {
    refuse("--live '" + live + "' is not one of auto, yes, no");
  }
  if (status != "auto" && status != "line" && status != "none") {
    refuse("--status '" + status + "' is not one of auto, line, none");
  }
  if (output.empty() && !output_format.empty()) refuse("--output-format wants --output");
  if (prediction_format() == PredictionFormat::jsonl && output.starts_with("shm:")) {
    refuse("--output shm: holds label maps: leave --output-format out, or give labels");
  }
  options::read_token(token, token_file);  // throws before anything is opened
}

PredictionFormat EdgeFlags::prediction_format() const {
  if (output_format.empty()) {
    return output.starts_with("shm:") ? PredictionFormat::labels : PredictionFormat::jsonl;
  }
  return parse_prediction_format(output_format);
}

VideoReaderOptions EdgeFlags::video_options() const {
  VideoReaderOptions options;
  options.fps = fps;
  if (live != "auto") options.live = live == "yes";
  return options;
}

WebSocketClientOptions EdgeFlags::link_options() const {
  WebSocketClientOptions options;
  ServerAddress address = parse_server_address(server);
  options.host = std::move(address.host);
  options.port = address.port;
  options.ca_file = ca_file;
  options.insecure_accept_any_host_name = insecure_accept_any_host_name;
  return options;
}

H264CodecOptions EdgeFlags::codec_options() const {
  H264CodecOptions codec;
  codec.encoder.target_bps = uplink_kbps * 1000;
  std::tie(codec.max_width, codec.max_height) = options::parse_size(uplink_size);
  return codec;
}

ClientOptions EdgeFlags::client_options(Digest student_fingerprint) const {
  ClientOptions result = client;
  result.token = options::read_token(token, token_file);
  result.student_fingerprint = student_fingerprint;
  return result;
}

}  // namespace ams
