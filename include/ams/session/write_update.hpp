#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/bytes.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/model_state.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/session/update_policy.hpp"

namespace ams {

/// A phase's result on its way to becoming an update. A self-contained value: write it on any
/// thread.
struct UpdateJob {
  std::shared_ptr<const ModelState> held;  ///< what the device holds
  std::vector<float> trained;              ///< w_{n,K}
  AdamState adam;                          ///< after the phase; passed through
  CoordinateSet coordinates;               ///< I_n
  EncodePlan plan;
  double phase_seconds = 0;  ///< passed through
};

/// The update of a phase.
struct WrittenUpdate {
  std::shared_ptr<const ModelState> next;  ///< what the device will hold; null when withheld
  Bytes bytes;
  CoordinateSet coordinates;    ///< with the statistics that changed
  std::size_t usual_bytes = 0;  ///< that the plan's usual way has
  std::vector<float> trained;
  AdamState adam;
  double phase_seconds = 0;
};

/// The statistics (tensors of kind `statistic`) that differ between two parameter vectors, whole
/// tensors each. Both have manifest.dimension() values, else Error(invalid_argument).
inline CoordinateSet changed_statistics(const Manifest& manifest, std::span<const float> held,
                                        std::span<const float> trained) {
  if (held.size() != manifest.dimension() || trained.size() != manifest.dimension()) {
    throw Error(ErrorCode::invalid_argument,
                "changed_statistics: both vectors must have as many values as the manifest");
  }
  // Bits, not values: NaN differs from itself, and 0 from -0 on the wire.
  const auto same = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  std::vector<std::uint32_t> indices;
  for (const TensorSpec& tensor : manifest.tensors()) {
    if (tensor.kind != TensorKind::statistic) continue;
    const auto before = held.subspan(tensor.offset, tensor.size);
    const auto after = trained.subspan(tensor.offset, tensor.size);
    if (std::equal(before.begin(), before.end(), after.begin(), same)) continue;
    const std::size_t old_size = indices.size();
    indices.resize(old_size + tensor.size);
    std::iota(indices.begin() + static_cast<std::ptrdiff_t>(old_size), indices.end(),
              static_cast<std::uint32_t>(tensor.offset));
  }
  return CoordinateSet::from_sorted(manifest.dimension(), std::move(indices));
}

/// `coordinates` together with all statistics that changed: what an update must carry.
inline CoordinateSet with_statistics(const ModelState& held, std::span<const float> trained,
                                     const CoordinateSet& coordinates) {
  if (!held.manifest().has_statistics() || coordinates.is_all()) return coordinates;
  return CoordinateSet::unite(coordinates,
                              changed_statistics(held.manifest(), held.values(), trained));
}

namespace detail {

/// An update written one way.
struct UpdateTrial {
  ModelState next;
  std::vector<std::byte> bytes;
};

inline UpdateTrial try_way(const ModelState& held, std::span<const float> trained,
                           const CoordinateSet& coordinates, const EncodeOptions& way) {
  UpdateTrial trial{held, {}};
  trial.bytes = encode_update(trial.next, trained, coordinates, way);
  return trial;
}

/// The share of the parameters' movement, summed over |movement|, that an update keeps; 1 where
/// nothing moves. Statistics do not count: every way writes them finely.
inline double kept_movement(const ModelState& held, const ModelState& next,
                            std::span<const float> trained, const CoordinateSet& coordinates) {
  double wanted = 0, moved = 0;
  auto tensor = held.manifest().tensors().begin();
  coordinates.for_each([&](std::uint32_t i) {
    while (i >= tensor->offset + tensor->size) ++tensor;
    if (tensor->kind == TensorKind::statistic) return;
    wanted += std::abs(double(trained[i]) - double(held.values()[i]));
    moved += std::abs(double(next.values()[i]) - double(held.values()[i]));
  });
  return wanted > 0 ? moved / wanted : 1;
}

}  // namespace detail

/// Writes the update, the finest way of the plan that fits into max_bytes; a coarser way is taken
/// to be smaller. Throws Error(invalid_argument) on a plan without ways, and as encode_update()
/// does.
inline WrittenUpdate write_update(UpdateJob job) {
  const EncodePlan& plan = job.plan;
  if (plan.usual >= plan.ways.size()) {
    throw Error(ErrorCode::invalid_argument, "EncodePlan: `usual` must be the index of a way");
  }
  const ModelState& held = *job.held;
  WrittenUpdate written;
  written.coordinates = with_statistics(held, job.trained, job.coordinates);
  const auto attempt = [&](std::size_t way) {
    return detail::try_way(held, job.trained, written.coordinates, plan.ways[way]);
  };
  std::optional<detail::UpdateTrial> best;
  detail::UpdateTrial usual = attempt(plan.usual);
  written.usual_bytes = usual.bytes.size();
  if (usual.bytes.size() <= plan.max_bytes) {
    best = std::move(usual);
    for (std::size_t way = plan.usual; plan.max_bytes != EncodePlan::no_limit && way-- > 0;) {
      detail::UpdateTrial finer = attempt(way);
      if (finer.bytes.size() > plan.max_bytes) break;
      best = std::move(finer);
    }
  } else {
    std::size_t too_large = plan.usual, fits = plan.ways.size();
    while (fits - too_large > 1) {
      const std::size_t middle = (too_large + fits) / 2;
      detail::UpdateTrial trial = attempt(middle);
      if (trial.bytes.size() > plan.max_bytes) {
        too_large = middle;
      } else {
        fits = middle;
        best = std::move(trial);
      }
    }
    if (best && detail::kept_movement(held, best->next, job.trained, written.coordinates) <
                    plan.least_kept) {
      best.reset();
    }
  }
  if (best) {
    written.next = std::make_shared<const ModelState>(std::move(best->next));
    written.bytes = Bytes(std::move(best->bytes));
  }
  written.trained = std::move(job.trained);
  written.adam = std::move(job.adam);
  written.phase_seconds = job.phase_seconds;
  return written;
}

}  // namespace ams
