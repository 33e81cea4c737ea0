// A device in a program of one's own: segments a video with a student that a server adapts, and prints
// for each frame how many pixels each class has.
//
//   embed video.mp4 127.0.0.1 8443 tls/certificate.pem TOKEN edanet.safetensors

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <thread>
#include <utility>

#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/device_host.hpp"
#include "ams/runtime/thread_executor.hpp"
#include "ams/segmentation/label_map.hpp"
#include "ams/torch/network_predictor.hpp"
#include "ams/video/h264_codec.hpp"
#include "ams/video/video_reader.hpp"

using namespace ams;

void print(const Handle& frame, const Handle& prediction, ModelVersion version) {
  std::array<std::size_t, 256> pixels{};
  for (const std::uint8_t id : prediction.as<LabelMap>().ids) ++pixels[id];
  std::printf("{\"seconds\": %.3f, \"model\": %u, \"pixels\": {", frame.as<Frame>().capture_seconds,
              version.number);
  const char* separator = "";
  for (std::size_t id = 0; id < pixels.size(); ++id) {
    if (pixels[id] == 0) continue;
    std::printf("%s\"%zu\": %zu", std::exchange(separator, ", "), id, pixels[id]);
  }
  std::printf("}}\n");
}

/// Ends the threads before the device goes.
struct Stop {
  WebSocketDeviceTransport& link;
  ThreadExecutor& executor;
  ~Stop() {
    link.stop();
    executor.stop();
  }
};

int main(int argc, char** argv) try {
  if (argc != 7) return std::puts("usage: embed VIDEO HOST PORT CA TOKEN WEIGHTS"), 2;
  const StudentSpec spec{.weights = argv[6]};
  const StudentValues student = load_student_values(spec);
  WebSocketClientOptions server;
  server.host = argv[2];
  server.port = static_cast<std::uint16_t>(std::atoi(argv[3]));
  server.ca_file = argv[4];

  ThreadExecutor executor;
  WebSocketDeviceTransport link(server, executor);
  DeviceHost device({.initial = ModelState(student.manifest, student.values),
                     .active = make_predictor(spec),
                     .inactive = make_predictor(spec),
                     .codec = std::make_shared<H264Codec>(),
                     .on_prediction = print},
                    {.device_id = "embedded", .token = argv[5]}, executor, link);
  const Stop stop{link, executor};
  executor.set_tick([&] { device.on_time(); });
  link.start(device);
  device.start();
  VideoReader video(argv[1]);
  const double begin = executor.now_seconds();
  while (auto next = video.next()) {
    const double seconds = next->capture_seconds;
    const Handle frame = Handle::make(std::move(*next));
    std::this_thread::sleep_for(
        std::chrono::duration<double>(begin + seconds - executor.now_seconds()));
    device.predict(frame);
    device.offer(seconds, frame);
  }
  device.leave("the end of the video");
  device.wait_until_left(10);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
