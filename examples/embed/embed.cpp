// A device in a program of one's own. Tells OUTPUT (see RecordSink) what is seen, a line a frame:
//   embed - video.mp4 127.0.0.1 8443 tls/certificate.pem TOKEN edanet.safetensors 0 1 2 8 10 13

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/log.hpp"
#include "ams/runtime/record_sink.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/segmentation/prediction_record.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/video/h264_codec.hpp"
#include "ams/video/video_reader.hpp"

using namespace ams;

int main(int argc, char** argv) try {
  if (argc < 8) return std::puts("embed OUTPUT VIDEO HOST PORT CA TOKEN WEIGHTS [CLASS ...]"), 2;
  StudentSpec spec;
  spec.weights = argv[7];
  for (int i = 8; i < argc; ++i) spec.selected_classes.push_back(std::atoi(argv[i]));
  const StudentValues student = load_student_values(spec);
  VideoReader video(argv[2]);
  RecordSink output(argv[1]);
  Logger log;  // to stderr: what the server refuses, lost links
  ThreadExecutor executor;
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[4]));
  WebSocketDeviceTransport link({.host = argv[3], .port = port, .ca_file = argv[5]}, executor);
  DeviceParts parts{.initial = ModelState(student.manifest, student.values),
                    .active = make_predictor(spec),
                    .inactive = make_predictor(spec),
                    .codec = std::make_shared<H264Codec>(),
                    .task = make_segmentation_task(spec)};
  std::uint64_t frames = 0;
  parts.on_prediction = [&](const Handle& frame, const Handle& prediction, ModelVersion version) {
    PredictionInfo info{.frame = frames++, .capture_seconds = frame.as<Frame>().capture_seconds};
    info.model_version = version.number;
    output.put(write_prediction(PredictionFormat::jsonl, info, prediction.as<LabelMap>()));
  };
  DeviceHost device(std::move(parts), {.device_id = "mine", .token = argv[6]}, executor, link,
                    &log);
  const std::shared_ptr<void> end_threads(nullptr, [&](void*) { link.stop(), executor.stop(); });
  executor.set_tick([&] { device.on_time(); });
  link.start(device);
  device.start();
  const auto begin = std::chrono::steady_clock::now();
  while (auto next = video.next()) {
    const double seconds = next->capture_seconds;
    std::this_thread::sleep_until(begin + std::chrono::duration<double>(seconds));
    const Handle frame = Handle::make(std::move(*next));
    device.predict(frame);
    device.offer(seconds, frame);
  }
  device.leave("the end of the video");
  device.wait_until_left(10);
} catch (const std::exception& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
