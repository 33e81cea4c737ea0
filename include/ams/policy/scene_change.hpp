#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// Tells when the video shows something new: two consecutive samples differed much more than usual.
/// A plain value; not thread-safe.
class SceneChange {
 public:
  /// phi_target: the phi-score that the sampling rate aims at (section 3.2). Where samples differ
  /// by less than half of it, labels flicker and nothing changes. Throws Error(invalid_argument)
  /// unless it is finite and >= 0.
  explicit SceneChange(double phi_target) : least_phi_(phi_target / 2) {
    if (!(phi_target >= 0 && std::isfinite(phi_target))) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("SceneChange: phi_target is {}; allowed are finite values >= 0", phi_target));
    }
  }

  /// Two consecutive samples have this phi-score.
  void on_phi(double phi) {
    constexpr double much = 2.5, weight = 0.1;
    if (usual_phi_ && phi > std::max(much * *usual_phi_, least_phi_)) is_new_ = true;
    usual_phi_ = usual_phi_ ? *usual_phi_ + weight * (phi - *usual_phi_) : phi;
  }

  /// A phase has drawn its samples: it learns what on_phi() has told since the previous one.
  void begin_phase() { is_new_in_phase_ = std::exchange(is_new_, false); }

  /// Whether the latest phase met something new.
  bool in_phase() const noexcept { return is_new_in_phase_; }

  /// The device gets nothing of the latest phase: what that met is still new to the next one.
  void take_back_phase() noexcept { is_new_ = is_new_ || is_new_in_phase_; }

 private:
  double least_phi_;
  std::optional<double> usual_phi_;  // a running mean
  bool is_new_ = false;              // no phase has met it
  bool is_new_in_phase_ = false;
};

}  // namespace ams
