#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "ams/session/training_job.hpp"

namespace ams {

/// States that a session may go back to: the un-customised student, and what the device held when
/// each of the latest scenes ended. A scene that returns is then learned in one trial, and an
/// adaptation that has become worse than none is undone.
///
/// The newest labels are few, so one trial counts only where another state is better by `margin`.
/// The un-customised student is taken back by less: as soon as it has been better on the mean of
/// the latest trials. A plain value; not thread-safe.
class EarlierStates {
 public:
  /// initial: w_0. most: scenes that are remembered besides, each as large as the model.
  EarlierStates(std::span<const float> initial, std::size_t most)
      : initial_(std::make_shared<const std::vector<float>>(initial.begin(), initial.end())),
        most_(most) {}

  /// A scene has ended; this is what the device holds. The oldest scene makes room.
  void remember(std::span<const float> held) {
    if (most_ == 0) return;
    if (scenes_.size() == most_) scenes_.pop_front();
    scenes_.push_back(std::make_shared<const std::vector<float>>(held.begin(), held.end()));
  }

  /// As PhasePlan::other_starts.
  std::vector<OtherStart> starts() const {
    constexpr double margin = 0.05;
    std::vector<OtherStart> all{{initial_, initial_lead_ > 0 ? 0 : margin}};
    for (const SharedParameters& scene : scenes_) all.push_back({scene, margin});
    return all;
  }

  /// What came of a phase's trial of starts().
  void on_scores(const StartScores& scores) {
    constexpr double weight = 0.3;
    initial_lead_ += weight * (scores.others.front() - scores.held - initial_lead_);
    if (scores.start != 0) on_replaced();
  }

  /// What is held is not what the scores were of.
  void on_replaced() { initial_lead_ = 0; }

 private:
  SharedParameters initial_;
  std::size_t most_;
  double initial_lead_ = 0;              // running mean of how much better w_0 is than what is held
  std::deque<SharedParameters> scenes_;  // the newest last
};

}  // namespace ams
