#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ams/core/frame.hpp"
#include "ams/core/model_state.hpp"
#include "ams/runtime/link_counters.hpp"
#include "ams/session/server_session.hpp"

namespace ams {

/// How a device was doing at one time; NaN where nothing was known yet.
struct HistoryPoint {
  double seconds = 0;  ///< by the executor's clock
  float score_adapted = 0, score_initial = 0, loss = 0;
  float uplink_kbps = 0, downlink_kbps = 0;
  float update_interval_seconds = 0;
};

/// How a device is doing, for an operator. Rates are means of about the latest half minute.
struct DeviceStatus {
  std::string device_id;
  std::string student;  ///< its name
  std::string peer;     ///< its address; empty while it is away
  bool is_connected = false;
  bool is_paused = false;
  ModelVersion held;       ///< that the server has for it
  ModelVersion confirmed;  ///< that it has acknowledged
  SessionCounters counters;
  std::uint64_t batches_beyond_rate = 0;
  std::size_t batches_waiting = 0;    ///< for their labels
  double labels_waiting_seconds = 0;  ///< how long labels have been waiting for a phase
  std::uint64_t saves_failed = 0;
  std::string save_failure = {};  ///< why the latest save failed; empty: it did not
  std::size_t buffered_samples = 0;
  double sampling_rate_fps = 0, update_interval_seconds = 0;  ///< that it was told
  double unheard_seconds = 0;                                 ///< since its latest message
  std::optional<double> label_age_seconds = {};               ///< since the newest label came
  std::optional<double> loss = {};                            ///< last of the latest phase
  LinkCounters links = {};                                    ///< all connections so far
  double uplink_kbps = 0, downlink_kbps = 0;
  double phases_per_second = 0, labels_per_second = 0;
  std::string last_error = {};
};

/// A device's newest labelled sample, for people to look at.
struct DevicePictures {
  ModelVersion held;  ///< that `adapted` was predicted with
  Frame sample;
  Frame teacher;  ///< the teacher's label drawn over it
  Frame adapted;  ///< and what the device predicts, and the un-customised student
  Frame initial;
};

}  // namespace ams
