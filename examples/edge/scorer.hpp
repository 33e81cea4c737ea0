#pragma once

#include <atomic>
#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "ams/core/handle.hpp"
#include "ams/core/model_state.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/session/task.hpp"
#include "ams/video/clip.hpp"
#include "ams/video/label_track.hpp"
#include "edge/edge_student.hpp"

namespace ams {

/// Scores predictions against a clip's labels, beside those of the student as it was before any
/// update, and records both. Works on a thread of its own: it is our instrument, not part of the
/// device.
class Scorer {
 public:
  struct Options {
    bool compare = false;          ///< score `initial` too
    std::filesystem::path record;  ///< folder for both label tracks; empty: none
  };
  Scorer(const Clip& clip, const EdgeStudent& student, const ModelState& initial,
         const Options& options);

  /// Label frame that belongs to this video frame, if there is one.
  std::optional<std::size_t> label_of(std::size_t frame_index) const;

  /// Handles of Frame and LabelMap. `prediction` is empty where the device dropped the frame: its
  /// latest labels stand in for it.
  void add(Handle frame, Handle prediction, std::size_t label_index);

  void finish();

  struct Live {
    std::optional<double> adapted, baseline;
  };
  Live live() const;

  /// A result of TaskScore::summary(), e.g. "miou". After finish().
  std::optional<double> adapted(std::string_view name) const { return result(*adapted_, name); }
  std::optional<double> baseline(std::string_view name) const { return result(*baseline_, name); }

 private:
  static std::optional<double> result(const TaskScore& score, std::string_view name);
  void score(const Handle& frame, Handle prediction, std::size_t label_index);

  Clip clip_;
  LabelTrackReader labels_;
  std::unique_ptr<TaskScore> adapted_, baseline_;
  std::unique_ptr<Predictor> baseline_predictor_;
  std::optional<LabelTrackWriter> adapted_track_, baseline_track_;
  Handle latest_;
  mutable std::mutex mutex_;
  Live live_;
  std::atomic<int> waiting_{0};
  boost::asio::thread_pool worker_{1};
};

}  // namespace ams
