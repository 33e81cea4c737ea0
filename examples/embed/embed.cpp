// A device in a program of one's own: segments a video with a student that a server adapts, and
// prints the class that has most pixels of each frame.
//   embed video.mp4 127.0.0.1 8443 tls/certificate.pem TOKEN edanet.safetensors 0 1 2 8 10 13

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/torch/segmentation_trainer.hpp"
#include "ams/video/h264_codec.hpp"
#include "ams/video/video_reader.hpp"

using namespace ams;

void print(const Handle& frame, const Handle& prediction, ModelVersion version) {
  std::array<int, 256> pixels{};
  for (const std::uint8_t id : prediction.as<LabelMap>().ids) ++pixels[id];
  const auto most = std::max_element(pixels.begin(), pixels.end()) - pixels.begin();
  std::printf("{\"seconds\": %.3f, \"model\": %u, \"largest_class\": %d}\n",
              frame.as<Frame>().capture_seconds, version.number, static_cast<int>(most));
}

int main(int argc, char** argv) try {
  if (argc < 7) return std::puts("embed VIDEO HOST PORT CA TOKEN WEIGHTS [CLASS ...]"), 2;
  StudentSpec spec;
  spec.weights = argv[6];
  for (int i = 7; i < argc; ++i) spec.selected_classes.push_back(std::atoi(argv[i]));
  const StudentValues student = load_student_values(spec);
  WebSocketClientOptions server{.host = argv[2], .ca_file = argv[4]};
  server.port = static_cast<std::uint16_t>(std::atoi(argv[3]));
  VideoReader video(argv[1]);

  ThreadExecutor executor;
  WebSocketDeviceTransport link(server, executor);
  DeviceHost device({.initial = ModelState(student.manifest, student.values),
                     .active = make_predictor(spec),
                     .inactive = make_predictor(spec),
                     .codec = std::make_shared<H264Codec>(),
                     .task = make_segmentation_task(spec),
                     .on_prediction = print},
                    {.device_id = "embedded", .token = argv[5]}, executor, link);
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
  link.stop();
  executor.stop();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  std::_Exit(1);  // the threads may still run
}
