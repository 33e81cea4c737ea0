#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "ams/runtime/device_host.hpp"
#include "ams/video/clip.hpp"
#include "edge/flags.hpp"
#include "edge/outputs.hpp"
#include "edge/scorer.hpp"

namespace ams {

/// What the play loop counts.
struct PlayCounters {
  std::size_t frames = 0;               ///< of the video, dropped ones included
  std::size_t frames_dropped = 0;       ///< not segmented
  std::size_t frames_late = 0;          ///< begun more than a frame's time after they were due
  std::size_t video_losses = 0;         ///< times that a live source was lost
  double video_seconds = 0;             ///< capture time of the latest frame
  bool live = false;                    ///< of a live source only the newest frame waits
  std::uint32_t model_version = 0;      ///< of the model that made the latest prediction
  std::vector<double> latency_seconds;  ///< from due to segmented; the latest ones

  void add_latency(double seconds);
};

/// What people see of a device: the line on the terminal, the timeline, the report.
class Reporter {
 public:
  Reporter(const EdgeFlags& flags, const DeviceHost& device, const Scorer* scorer,
           const Outputs& outputs, std::string runtime);

  /// For every frame; once a second of video it takes a row. `last`: take one now, end the line.
  void status(const PlayCounters& play, bool last = false);

  /// Files of --timeline and --report. After DeviceHost::leave(), and finish() of the others.
  /// `failure`: why the video could not be played to its end; empty: it was. Throws
  /// Error(io_error).
  void write(const PlayCounters& play, const std::string& video_name,
             const std::optional<Clip>& clip, const std::string& failure) const;

 private:
  struct LinkSample {
    double video_seconds = 0;
    LinkCounters counters;
  };

  const EdgeFlags& flags_;
  const DeviceHost& device_;
  const Scorer* scorer_;
  const Outputs& outputs_;
  const std::string runtime_;
  double next_status_seconds_ = 0, next_line_seconds_ = 0;
  std::deque<LinkSample> recent_links_;
  std::string timeline_;
};

}  // namespace ams
