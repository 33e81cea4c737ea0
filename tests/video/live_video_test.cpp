// Cameras, network streams and pipes: a program on the loopback or at a pipe plays the source.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stop_token>
#include <thread>

#include "ams/video/video_reader.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

std::uint16_t port_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

/// A TCP socket on the loopback; it accepts connections and never answers.
int silent_listener() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(listener, 4) == 0);
  return listener;
}

/// Answers every connection to a loopback port, one after the other, with the same bytes.
class Server {
 public:
  explicit Server(std::string answer) : answer_(std::move(answer)), listener_(silent_listener()) {
    address_ = "127.0.0.1:" + std::to_string(port_of(listener_));
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  ~Server() {
    thread_.request_stop();
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  const std::string& address() const { return address_; }

 private:
  void run(const std::stop_token& stop) const {
    while (!stop.stop_requested()) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      std::string request;
      std::array<char, 4096> part{};
      while (request.find("\r\n\r\n") == std::string::npos) {
        const auto count = recv(connection, part.data(), part.size(), 0);
        if (count <= 0) break;
        request.append(part.data(), static_cast<std::size_t>(count));
      }
      for (std::size_t sent = 0; sent < answer_.size();) {
        const auto count = send(connection, &answer_[sent], answer_.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) break;
        sent += static_cast<std::size_t>(count);
      }
      shutdown(connection, SHUT_WR);
      while (recv(connection, part.data(), part.size(), 0) > 0) {  // until the reader has left
      }
      close(connection);
    }
  }

  std::string answer_, address_;
  int listener_;
  std::jthread thread_;
};

std::string http(const std::string& headers, const std::string& body) {
  return "HTTP/1.1 200 OK\r\nConnection: close\r\n" + headers + "\r\n" + body;
}

std::string with_length(const std::string& body, std::size_t missing_bytes = 0) {
  return http("Content-Length: " + std::to_string(body.size() + missing_bytes) + "\r\n", body);
}

/// What write_bare() writes.
std::string video_bytes(const BareVideo& video, int frames) {
  const Scratch scratch;
  std::vector<Picture> pictures;
  for (int i = 0; i < frames; ++i) pictures.push_back(flat_picture(64, 64, 100, 128, 128, i));
  write_bare(scratch / "v", video, pictures);
  const auto bytes = read_bytes(scratch / "v");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

BareVideo transport_stream() {
  BareVideo video;
  video.container = "mpegts";
  video.codec = AV_CODEC_ID_MPEG2VIDEO;
  video.tick = {1, 25};
  return video;
}

BareVideo jpegs(const char* container) {
  BareVideo video;
  video.container = container;
  video.codec = AV_CODEC_ID_MJPEG;
  video.format = AV_PIX_FMT_YUVJ420P;
  video.tick = {1, 25};
  return video;
}

/// What a camera of JPEGs sends over HTTP.
std::string camera_answer(int frames) {
  const std::string jpeg = video_bytes(jpegs("mjpeg"), 1);
  std::string body;
  for (int i = 0; i < frames; ++i) {
    body +=
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: " + std::to_string(jpeg.size()) +
        "\r\n\r\n" + jpeg + "\r\n";
  }
  return http("Content-Type: multipart/x-mixed-replace; boundary=frame\r\n", body);
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// A FIFO and what writes `bytes` to it once it is read.
class Fifo {
 public:
  Fifo(const std::filesystem::path& path, std::string bytes) : path_(path) {
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    writer_ = std::jthread([this, bytes = std::move(bytes)] {
      const int file = open(path_.c_str(), O_WRONLY);
      for (std::size_t written = 0; written < bytes.size();) {
        const auto count = write(file, &bytes[written], bytes.size() - written);
        if (count <= 0) break;
        written += static_cast<std::size_t>(count);
      }
      close(file);
    });
  }

 private:
  std::filesystem::path path_;
  std::jthread writer_;
};

}  // namespace

TEST_CASE("frames of a camera over HTTP have the times at which they come") {
  constexpr int frames = 60;  // 2.4 s at the frame rate that libav makes up
  const Server camera(camera_answer(frames));
  const double begin = now_seconds();
  VideoReader reader("http://" + camera.address() + "/");
  CHECK(reader.live());
  CHECK_FALSE(reader.frame_count().has_value());
  CHECK_FALSE(reader.duration_seconds().has_value());
  double last = -1;
  for (int i = 0; i < frames; ++i) {
    const auto frame = reader.next();
    REQUIRE(frame.has_value());
    CHECK((i == 0 ? frame->capture_seconds == 0 : frame->capture_seconds > last));
    last = frame->capture_seconds;
  }
  // Frames that come at once are a millisecond apart.
  CHECK(last <= std::max(now_seconds() - begin, 0.001 * (frames - 1) + 1e-9));
  CHECK(reader.fps() == doctest::Approx((frames - 1) / last));
  CHECK(error_of([&] { reader.next(); }) == "io_error");  // the line was lost
}

TEST_CASE("an address is live unless it tells its duration or size") {
  const std::string stream = video_bytes(transport_stream(), 25);
  BareVideo mp4;
  mp4.container = "mp4";
  mp4.codec = AV_CODEC_ID_MPEG4;
  mp4.tick = {1, 25};
  mp4.muxer_flags = "faststart";
  const std::string with_duration = video_bytes(mp4, 25);
  mp4.gop = 5;
  mp4.muxer_flags = "empty_moov+frag_keyframe";
  const std::string fragments = video_bytes(mp4, 25);
  const std::string jpeg_stream = video_bytes(jpegs("mjpeg"), 500);
  struct Case {
    const char* what;
    std::string answer;
    bool live;
  };
  for (const Case& c :
       {Case{"a file", with_length(stream), false}, Case{"a stream", http("", stream), true},
        Case{"a file with a duration", http("", with_duration), false},
        Case{"fragments", http("", fragments), true},
        Case{"a file of fragments", with_length(fragments), false},
        Case{"JPEGs", http("", jpeg_stream), true},
        Case{"a file of JPEGs", with_length(jpeg_stream), false}}) {
    CAPTURE(c.what);
    const Server server(c.answer);
    const std::string address = "http://" + server.address() + "/v";
    {
      VideoReader reader(address);
      CHECK(reader.live() == c.live);
      CHECK(reader.reopenable());
      CHECK(reader.next().has_value());
    }
    for (const bool live : {false, true}) {
      VideoReaderOptions options;
      options.live = live;
      CHECK(VideoReader(address, options).live() == live);
    }
  }
}

TEST_CASE("a live stream that carries times keeps them") {
  const Server server(http("", video_bytes(transport_stream(), 25)));
  VideoReader reader("http://" + server.address() + "/v");
  REQUIRE(reader.live());
  for (int i = 0; i < 20; ++i) {
    CHECK(reader.next()->capture_seconds == doctest::Approx(i / 25.0).epsilon(1e-3));
  }
}

TEST_CASE("fps makes a recording of a stream without times") {
  const Server server(http("", video_bytes(jpegs("mjpeg"), 500)));
  const std::string address = "http://" + server.address() + "/v";
  VideoReaderOptions options;
  options.fps = 5;
  CHECK(error_of([&] { VideoReader reader(address, options); }) == "invalid_argument");
  options.live = false;
  VideoReader reader(address, options);
  CHECK(reader.next()->capture_seconds == 0);
  CHECK(reader.next()->capture_seconds == doctest::Approx(0.2));
}

TEST_CASE("a file over HTTP whose line is lost is an error, not an end") {
  const Server server(with_length(video_bytes(transport_stream(), 25), 100'000));
  VideoReader reader("http://" + server.address() + "/v.ts");
  CHECK_FALSE(reader.live());
  int frames = 0;
  std::string message;
  CHECK(error_of(
            [&] {
              while (reader.next()) ++frames;
            },
            &message) == "io_error");
  CHECK(message.find("the line was lost") != std::string::npos);
  CHECK(frames > 10);
}

TEST_CASE("an address that leads to no video says what came") {
  for (const auto& [body, said] :
       {std::pair{"<!DOCTYPE html><html><body>Sign in</body></html>", "it is an HTML page"},
        std::pair{"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-lfs"},
        std::pair{"no such camera\n", "it is text"}, std::pair{"", "it is empty"}}) {
    const Server server(with_length(body));
    std::string message;
    CHECK(error_of([&] { VideoReader reader("http://" + server.address() + "/v.mp4"); },
                   &message) == "malformed_data");
    CHECK(message.find(said) != std::string::npos);
  }
}

TEST_CASE("a scheme that is not read is refused") {
  std::string message;
  CHECK(error_of([&] { VideoReader reader("gopher://user:secret@host/v.mp4"); }, &message) ==
        "invalid_argument");
  CHECK(message.find("rtsp://") != std::string::npos);
  CHECK(message.find("secret") == std::string::npos);
}

TEST_CASE("a stream over TCP is live") {
  // Nobody asks there: the stream is sent when the reader has stopped talking, which is at once.
  const int listener = silent_listener();
  const std::string stream = video_bytes(transport_stream(), 25);
  const std::jthread sender([&] {
    const int connection = accept(listener, nullptr, nullptr);
    send(connection, stream.data(), stream.size(), MSG_NOSIGNAL);
    close(connection);
  });
  VideoReader reader("tcp://127.0.0.1:" + std::to_string(port_of(listener)));
  CHECK(reader.live());
  int frames = 0;
  while (reader.next()) ++frames;
  CHECK(frames == 25);
  close(listener);
}

TEST_CASE("a pipe is live unless it tells its duration") {
  const Scratch scratch;
  {
    const Fifo fifo(scratch / "stream", video_bytes(transport_stream(), 25));
    VideoReader reader((scratch / "stream").string());
    CHECK(reader.live());
    CHECK(reader.reopenable());
    int frames = 0;
    while (reader.next()) ++frames;
    CHECK(frames == 25);
  }
  {
    const Fifo fifo(scratch / "jpegs", video_bytes(jpegs("mjpeg"), 25));
    VideoReader reader((scratch / "jpegs").string());
    CHECK(reader.live());
    int frames = 0;
    while (reader.next()) ++frames;
    CHECK(frames == 25);
  }
  BareVideo mp4;
  mp4.container = "mp4";
  mp4.codec = AV_CODEC_ID_MPEG4;
  mp4.tick = {1, 25};
  mp4.muxer_flags = "faststart";
  const Fifo fifo(scratch / "mp4", video_bytes(mp4, 25));
  VideoReader reader((scratch / "mp4").string());
  CHECK_FALSE(reader.live());
  while (reader.next()) {
  }
}

TEST_CASE("a pipe that nobody writes to ends in an error, and can be stopped") {
  const Scratch scratch;
  const std::string path = (scratch / "fifo").string();
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  VideoReaderOptions options;
  options.timeout_seconds = 0.1;
  std::string message;
  CHECK(error_of([&] { VideoReader reader(path, options); }, &message) == "io_error");
  CHECK(message == path + ": nothing came for 0.1 s");

  options.timeout_seconds = 3600;
  std::stop_source stop;
  options.stop = stop.get_token();
  const std::jthread other([&stop] { stop.request_stop(); });
  CHECK(error_of([&] { VideoReader reader(path, options); }, &message) == "io_error");
  CHECK(message.find("stopped") != std::string::npos);
}

TEST_CASE("a network source that stays silent ends in an error") {
  const int listener = silent_listener();
  const std::string address = "127.0.0.1:" + std::to_string(port_of(listener));
  VideoReaderOptions options;
  options.timeout_seconds = 0.2;
  for (const std::string scheme : {"http", "rtsp"}) {
    CAPTURE(scheme);
    CHECK(error_of([&] { VideoReader reader(scheme + "://" + address + "/v.mp4", options); }) ==
          "io_error");
  }
  close(listener);
  // Nobody listens there any more.
  CHECK(error_of([&] { VideoReader reader("http://" + address + "/v.mp4", options); }) ==
        "io_error");
}

TEST_CASE("a source that stays silent can be stopped while it is opened") {
  const int listener = silent_listener();
  const std::string address = "127.0.0.1:" + std::to_string(port_of(listener));
  VideoReaderOptions options;
  options.timeout_seconds = 3600;
  for (const std::string scheme : {"http", "rtsp"}) {
    CAPTURE(scheme);
    std::stop_source stop;
    options.stop = stop.get_token();
    const std::jthread other([&stop] { stop.request_stop(); });
    try {
      VideoReader reader(scheme + "://" + address + "/v.mp4", options);
      FAIL("opened");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::io_error);
      CHECK(std::string(error.what()).find("stopped") != std::string::npos);
    }
  }
  close(listener);
}

TEST_CASE("errors and names do not tell user and password") {
  const int listener = silent_listener();
  const std::string address = "127.0.0.1:" + std::to_string(port_of(listener));
  close(listener);  // nobody listens there any more
  for (const std::string user :
       {"admin:secret", "admin", "admin:se@cret", "admin:/secret", "se%63ret:"}) {
    for (const std::string scheme : {"rtsp", "http", "https"}) {
      const std::string source = scheme + "://" + user + "@" + address + "/v.mp4";
      CAPTURE(source);
      try {
        VideoReader reader(source);
        FAIL("opened");
      } catch (const Error& error) {
        const std::string message = error.what();
        CHECK(message.find(scheme + "://***@" + address + "/v.mp4") == 0);
        CHECK(message.find("cret") == std::string::npos);
        CHECK(message.find("admin") == std::string::npos);
      }
    }
  }
  const Scratch scratch;
  BareVideo video;
  write_bare(scratch / "a@b.mkv", video, {flat_picture(64, 64, 100, 128, 128, 0)});
  const std::string file = (scratch / "a@b.mkv").string();
  CHECK(VideoReader(file).name() == file);
}
