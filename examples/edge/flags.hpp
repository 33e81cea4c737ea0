#pragma once

#include <string>
#include <vector>

#include "ams/net/client.hpp"
#include "ams/segmentation/prediction_record.hpp"
#include "ams/session/client_options.hpp"
#include "ams/video/h264_codec.hpp"
#include "ams/video/video_reader.hpp"
#include "common/options.hpp"

namespace ams {

/// What ams-edge is told.
struct EdgeFlags {
  std::string server = "127.0.0.1:8443", token, token_file, ca_file;
  bool insecure_accept_any_host_name = false;
  ClientOptions client;  ///< its device id is the host's name until a flag says otherwise
  options::StudentFlags student;
  std::string clip, video, state, report, record, timeline, trace, uplink_size = "1024x512";
  double uplink_kbps = 100;
  bool compare = false;
  double max_lag_seconds = 1;
  double stop_after_seconds = 0;
  double fps = 0;
  std::string live = "auto";
  int threads = 1;
  std::string runtime = "auto";
  std::vector<std::string> execution_providers;  ///< of ONNX Runtime, best first
  std::string status = "auto";
  std::string output, output_format, show;

  EdgeFlags();
  void add_to(CLI::App& app);

  /// After parsing. Throws Error: invalid_argument for flags that do not go together, unavailable
  /// when this build cannot encode samples.
  void check() const;

  /// Of --output; shared memory holds label maps unless something else is asked for.
  PredictionFormat prediction_format() const;

  /// Whether standard output is for predictions alone.
  bool output_is_standard_output() const { return output == "-" || output == "/dev/stdout"; }

  VideoReaderOptions video_options() const;
  WebSocketClientOptions link_options() const;
  H264CodecOptions codec_options() const;

  /// With the token, a seed of this device's own, and batches that every server can decode.
  ClientOptions client_options(Digest student_fingerprint) const;
};

}  // namespace ams
