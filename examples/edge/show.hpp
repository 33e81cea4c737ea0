#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ams/core/handle.hpp"
#include "ams/runtime/newest_value.hpp"
#include "ams/segmentation/prediction_record.hpp"
#include "demo/annotator/annotator.hpp"

namespace ams {

/// Shows people what the device sees: every picture with its labels painted over. Draws on a thread
/// of its own, of the newest prediction; what comes while it draws is skipped and never waits.
/// Where: `window`, on the desktop; `http://HOST:PORT`, for browsers and players (MJPEG; nothing is
/// drawn while nobody watches); a path that ends in .mp4, which appears when the device ends.
class Show {
 public:
  struct Options {
    std::string where;
    std::string heading, title;        ///< of the picture, and of the labels
    std::vector<std::string> classes;  ///< names by id
    std::vector<std::uint8_t> shown_classes;
    int width = 0, height = 0;  ///< of the video, pixels
    double fps = 25;            ///< of the video
  };

  /// Throws Error(invalid_argument), naming what is allowed, for another place.
  static void require_place(const std::string& where);

  /// Throws Error: as require_place(), io_error and unavailable (no display, no such port, ...).
  explicit Show(const Options& options);
  ~Show();
  Show(const Show&) = delete;
  Show& operator=(const Show&) = delete;

  /// Handles of Frame and LabelMap.
  void add(const PredictionInfo& info, Handle frame, Handle prediction);

  /// Waits until all is drawn, and completes a file. What failed stands in the log.
  void finish();

  std::uint64_t pictures() const { return pictures_; }  ///< drawn
  std::uint64_t skipped() const { return skipped_; }

 private:
  class Viewer;
  class Window;
  class Browser;
  class File;
  struct Prediction {
    PredictionInfo info;
    Handle frame, labels;
  };
  std::unique_ptr<Viewer> open(const Options& options) const;
  void draw();
  void attempt(auto&& step);

  const std::string where_;
  Annotator annotator_;
  NewestValue<Prediction> newest_;
  std::atomic<std::uint64_t> pictures_{0}, skipped_{0};
  std::unique_ptr<Viewer> viewer_;  // of the worker alone; null once it has failed or is closed
  boost::asio::thread_pool worker_{1};
};

}  // namespace ams
