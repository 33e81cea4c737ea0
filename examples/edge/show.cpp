#include "edge/show.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <exception>
#include <future>
#include <span>
#include <string_view>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/runtime/record_sink.hpp"
#include "ams/video/image_file.hpp"
#include "ams/video/video_window.hpp"
#include "ams/video/video_writer.hpp"
#include "common/log.hpp"

namespace ams {
namespace {

constexpr std::string_view http = "http://";
constexpr int panel_width = 960;      ///< pixels
constexpr int drawing_niceness = 10;  ///< predicting comes first

/// "http://127.0.0.1:8080/" as RecordSink calls it: "tcp:127.0.0.1:8080".
std::string socket_of(std::string_view where) {
  where.remove_prefix(http.size());
  if (where.ends_with('/')) where.remove_suffix(1);
  return "tcp:" + std::string(where);
}

AnnotatorOptions look_of(const Show::Options& options) {
  AnnotatorOptions look;
  look.heading = options.heading;
  look.classes = options.classes;
  look.shown_classes = options.shown_classes;
  look.panel_width = std::min(std::max(options.width, 320), panel_width);
  return look;
}

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace

class Show::Viewer {
 public:
  virtual ~Viewer() = default;
  virtual bool is_watched() const { return true; }

  /// `index`: of the frame in the video. False when nobody will look any more.
  virtual bool show(const Frame& picture, std::uint64_t index) = 0;
  virtual void finish() {}
};

class Show::Window : public Viewer {
 public:
  Window(const std::string& title, int width, int height) : window_(title, width, height) {}
  bool show(const Frame& picture, std::uint64_t) override { return window_.show(picture); }

 private:
  VideoWindow window_;
};

/// MJPEG over HTTP: a picture that browsers replace by the next one as it comes.
class Show::Browser : public Viewer {
 public:
  explicit Browser(const std::string& where)
      : sink_(socket_of(where), {.max_waiting_records = 1,
                                 .greeting = "HTTP/1.0 200 OK\r\n"
                                             "Content-Type: multipart/x-mixed-replace; "
                                             "boundary=picture\r\n"
                                             "Cache-Control: no-store\r\n\r\n--picture\r\n",
                                 .finish_seconds = 0}) {
    log::info("showing", {{"open", std::string(http) + sink_.where().substr(4)}});
  }
  bool is_watched() const override { return sink_.counters().readers > 0; }

  bool show(const Frame& picture, std::uint64_t) override {
    const std::vector<std::byte> jpeg = encode_jpeg(picture);
    std::string part =
        "Content-Type: image/jpeg\r\nContent-Length: " + std::to_string(jpeg.size()) + "\r\n\r\n";
    part.append(reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
    // The boundary behind a picture tells a browser that it is whole.
    sink_.put(bytes_of(part + "\r\n--picture\r\n"));
    return true;
  }

 private:
  RecordSink sink_;
};

/// At the video's own rate: a picture stays until the next one that was drawn.
class Show::File : public Viewer {
 public:
  File(const std::string& path, int width, int height, double fps)
      : writer_(path, width, height, {.fps = fps, .preset = "veryfast"}) {}

  bool show(const Frame& picture, std::uint64_t index) override {
    for (; previous_ && next_index_ < index; ++next_index_) writer_.add(*previous_);
    writer_.add(picture);
    next_index_ = index + 1;
    previous_ = picture;
    return true;
  }

  void finish() override {
    if (previous_) writer_.finish();
  }

 private:
  VideoWriter writer_;
  std::optional<Frame> previous_;
  std::uint64_t next_index_ = 0;
};

void Show::require_place(const std::string& where) {
  if (where == "window" || (where.ends_with(".mp4") && where.find("://") == std::string::npos)) {
    return;
  }
  try {
    if (!where.starts_with(http)) throw Error(ErrorCode::invalid_argument, "");
    require_record_place(socket_of(where));
  } catch (const Error&) {
    throw Error(ErrorCode::invalid_argument,
                "'" + where +
                    "' is none of: window, http://HOST:PORT (e.g. http://127.0.0.1:8080), and a "
                    "file that ends in .mp4");
  }
}

Show::Show(const Options& options)
    : where_(options.where),
      annotator_({{.title = options.title}}, options.width, options.height, look_of(options)) {
  require_place(where_);
  // A window belongs to the thread that made it.
  std::packaged_task<void()> opening([&] {
    ::setpriority(PRIO_PROCESS, 0, drawing_niceness);  // on Linux of this thread alone
    viewer_ = open(options);
  });
  std::future<void> opened = opening.get_future();
  boost::asio::post(worker_, [&] { opening(); });
  opened.get();
}

Show::~Show() {
  boost::asio::post(worker_, [this] { viewer_.reset(); });
  worker_.join();
}

std::unique_ptr<Show::Viewer> Show::open(const Options& options) const {
  if (where_ == "window") {
    return std::make_unique<Window>("ams-edge", annotator_.width(), annotator_.height());
  }
  if (where_.starts_with(http)) return std::make_unique<Browser>(where_);
  return std::make_unique<File>(where_, annotator_.width(), annotator_.height(), options.fps);
}

void Show::add(const PredictionInfo& info, Handle frame, Handle prediction) {
  if (newest_.put({info, std::move(frame), std::move(prediction)})) {
    boost::asio::post(worker_, [this] { draw(); });
  } else {
    ++skipped_;
  }
}

void Show::finish() {
  std::promise<void> done;
  boost::asio::post(worker_, [&] {
    attempt([this] {
      if (viewer_) viewer_->finish();
    });
    viewer_.reset();
    done.set_value();
  });
  done.get_future().get();
}

void Show::draw() {
  const auto newest = newest_.take();
  if (!newest || !viewer_ || !viewer_->is_watched()) return;
  attempt([&] {
    const LabelMap& labels = newest->labels.as<LabelMap>();
    char note[64];
    std::snprintf(note, sizeof note, "model v%u   %.0f ms", newest->info.model_version,
                  1000 * newest->info.latency_seconds);
    const AnnotationContent content{.labels = &labels, .note = note};
    const Frame picture = annotator_.compose(newest->frame.as<Frame>(), std::span(&content, 1));
    if (viewer_->show(picture, newest->info.frame)) {
      ++pictures_;
    } else {
      log::info("show_closed", {{"show", where_}});
      viewer_.reset();
    }
  });
}

/// The device goes on without its viewer.
void Show::attempt(auto&& step) {
  try {
    step();
  } catch (const std::exception& error) {
    log::warning("show_failed", {{"show", where_}, {"reason", error.what()}});
    viewer_.reset();
  }
}

}  // namespace ams
