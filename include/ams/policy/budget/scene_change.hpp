#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

/// Tells when the video shows something new, which is when a downlink budget spends what it has
/// left over: two consecutive samples differed much more than usual, or a training phase began with
/// a much larger loss than usual. A plain value: a copy brings back what was. Not thread-safe.
class SceneChange {
 public:
  /// phi_target: the phi-score that the sampling rate aims at (section 3.2). Where samples differ by
  /// less than half of it, labels flicker and nothing changes. Throws Error(invalid_argument) unless
  /// it is finite and >= 0.
  explicit SceneChange(double phi_target);

  /// The phi-score of two consecutive samples.
  void on_phi(double phi);

  /// A phase has drawn its samples: what on_phi() has told since the previous one, it learns.
  void begin_phase();

  /// Whether the phase met something new. losses: one an iteration, or none where nobody computes
  /// them; then phi-scores alone decide. The first phase's losses are new, there being no usual one.
  bool end_phase(std::span<const double> losses);

  /// The device gets nothing of the latest phase: what that met is still new to the next one.
  void take_back_phase();

 private:
  double least_phi_;
  std::optional<double> usual_phi_;   // a running mean
  std::optional<double> usual_loss_;  // at the beginning of a phase, a running mean
  bool is_new_ = false;               // no phase has met it
  bool is_new_in_phase_ = false;
};

inline SceneChange::SceneChange(double phi_target) : least_phi_(phi_target / 2) {
  if (!(phi_target >= 0 && std::isfinite(phi_target))) {
    throw Error(ErrorCode::invalid_argument, "SceneChange: phi_target is " +
                                                 std::to_string(phi_target) +
                                                 "; allowed are finite values >= 0");
  }
}

inline void SceneChange::on_phi(double phi) {
  constexpr double much = 2.5, weight = 0.1;
  if (usual_phi_ && phi > std::max(much * *usual_phi_, least_phi_)) is_new_ = true;
  usual_phi_ = usual_phi_ ? *usual_phi_ + weight * (phi - *usual_phi_) : phi;
}

inline void SceneChange::begin_phase() {
  is_new_in_phase_ = std::exchange(is_new_, false);
}

inline bool SceneChange::end_phase(std::span<const double> losses) {
  constexpr double much = 1.3, weight = 0.3;
  if (losses.empty()) return is_new_in_phase_;
  const auto begin = losses.first(std::max<std::size_t>(1, losses.size() / 4));
  const double loss = std::accumulate(begin.begin(), begin.end(), 0.0) / double(begin.size());
  if (!usual_loss_ || loss > much * *usual_loss_) is_new_in_phase_ = true;
  usual_loss_ = usual_loss_ ? *usual_loss_ + weight * (loss - *usual_loss_) : loss;
  return is_new_in_phase_;
}

inline void SceneChange::take_back_phase() {
  is_new_ = is_new_ || is_new_in_phase_;
}

}  // namespace ams
