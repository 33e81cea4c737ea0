#include "ams/server/scene_change.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

SceneChange::SceneChange(double phi_target) : least_phi_(phi_target / 2) {
  if (!(phi_target >= 0 && std::isfinite(phi_target))) {
    throw Error(ErrorCode::invalid_argument, "SceneChange: phi_target is " +
                                                 std::to_string(phi_target) +
                                                 "; allowed are finite values >= 0");
  }
}

void SceneChange::on_phi(double phi) {
  constexpr double much = 2.5, weight = 0.1;
  if (usual_phi_ && phi > std::max(much * *usual_phi_, least_phi_)) is_new_ = true;
  usual_phi_ = usual_phi_ ? *usual_phi_ + weight * (phi - *usual_phi_) : phi;
}

void SceneChange::begin_phase() {
  is_new_in_phase_ = std::exchange(is_new_, false);
}

bool SceneChange::end_phase(std::span<const double> losses) {
  constexpr double much = 1.3, weight = 0.3;
  if (losses.empty()) return is_new_in_phase_;
  const auto begin = losses.first(std::max<std::size_t>(1, losses.size() / 4));
  const double loss = std::accumulate(begin.begin(), begin.end(), 0.0) / double(begin.size());
  if (!usual_loss_ || loss > much * *usual_loss_) is_new_in_phase_ = true;
  usual_loss_ = usual_loss_ ? *usual_loss_ + weight * (loss - *usual_loss_) : loss;
  return is_new_in_phase_;
}

void SceneChange::take_back_phase() {
  is_new_ = is_new_ || is_new_in_phase_;
}

}  // namespace ams
