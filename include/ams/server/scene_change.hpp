#pragma once

#include <optional>
#include <span>

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

}  // namespace ams
