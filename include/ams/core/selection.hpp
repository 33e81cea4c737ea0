#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/core/coordinate_choice.hpp"
#include "ams/core/coordinate_set.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/manifest.hpp"
#include "ams/core/random.hpp"

namespace ams {

/// What a strategy may look at when a training phase begins.
struct SelectionInput {
  const Manifest& manifest;
  const AdamState& adam;  ///< as the previous phase left it; step_count 0 in the first phase
  const AdamOptions& adam_options;
  /// Of the phase before; null where there was none or it chose at random, as the first one does.
  const CoordinateSet* previous = nullptr;
};

/// Which coordinates a training phase trains and sends (section 3.1.2, Table 3). A value without memory of
/// its own, so that one object serves many sessions and threads. Derive from it for strategies of your own.
class SelectionStrategy {
 public:
  virtual ~SelectionStrategy() = default;

  /// The coordinates of the coming phase; of tensors of kind `parameter` only. Throws
  /// Error(invalid_argument) when the Adam state or the previous coordinates that it looks at are not of
  /// the manifest's dimension, or when the manifest lacks what the strategy trains.
  virtual CoordinateSet select(const SelectionInput& input, Random& random) const = 0;

  /// For each tensor of the manifest: must its gradient be computed? The trainer skips the others. Throws
  /// Error(invalid_argument) when the manifest lacks what the strategy trains: ask once, early.
  virtual std::vector<bool> required_gradients(const Manifest& manifest) const = 0;

  /// For people and reports; of those that make_selection_strategy makes, what it takes.
  virtual std::string name() const = 0;
};

/// name:
/// - gradient_guided: the fraction of largest |u| of the previous phase, over all tensors together; random
///   in the first phase (Algorithm 2, line 1), and as far as fewer than that have a u at all.
/// - random: another uniformly random fraction in every phase.
/// - first_layers, last_layers, first_and_last_layers: the fraction that comes first or last in the
///   manifest's order, or half of it (rounded up) first and the rest last; the same in every phase, so only
///   the gradients of the tensors that hold it are required.
/// - normalization: scale and shift of every normalisation layer (TensorRole), the same in every phase.
/// - normalization_and_head: these and the classifier. A manifest without such tensors is refused.
/// - normalization+last_layers: the normalisation layers, and the fraction that comes last: the head and what
///   is right before it, when that is more than the head.
/// - normalization+gradient_guided, normalization_and_head+gradient_guided: these, and of the coordinates
///   outside the group as many as gamma of all trainable ones (or all there are). Those of the phase before
///   stay, since coordinates that come again take less than half of the bytes of new ones in profile
///   compact (measured at 1%); where the fraction grows those of largest |u| join them, and where it
///   shrinks those of largest |u| stay.
/// - full: all trainable coordinates, which is Adam.
/// gamma: the fraction of the trainable coordinates, in (0, 1]; `full` and the groups alone ignore it.
/// Throws Error(invalid_argument) that lists what is allowed.
std::unique_ptr<SelectionStrategy> make_selection_strategy(std::string_view name, double gamma);

/// What `group` chooses, which must be the same in every phase, and beside it a gradient-guided fraction that
/// stays, as `+gradient_guided` above. Its name is the group's with `+gradient_guided` behind it, also where
/// make_selection_strategy does not take that. Throws Error(invalid_argument) on null and on gamma outside
/// (0, 1]; its select() on a group that chooses for another dimension.
std::unique_ptr<SelectionStrategy> with_gradient_guided(std::unique_ptr<SelectionStrategy> group,
                                                        double gamma);

/// The names that make_selection_strategy takes.
std::span<const std::string_view> selection_strategy_names();

namespace detail::selection {

inline void check_gamma(double gamma) {
  (void)fraction_count(gamma, 1);  // throws
}

// ---- the trainable part of a parameter vector ----

/// Tensors of kind `parameter`, seen as one vector without gaps.
class TrainableView {
 public:
  explicit TrainableView(const Manifest& manifest)
      : TrainableView(manifest, [](const TensorSpec&) { return true; }) {}

  /// Of those tensors alone for which `wanted` holds.
  template <class Wanted>
  TrainableView(const Manifest& manifest, Wanted wanted) : dimension_(manifest.dimension()) {
    for (const TensorSpec& tensor : manifest.tensors()) {
      if (tensor.kind == TensorKind::parameter && wanted(tensor)) add({tensor.offset, tensor.size});
    }
  }

  /// Of all but those of a set.
  TrainableView(const Manifest& manifest, const CoordinateSet& without)
      : dimension_(manifest.dimension()) {
    std::vector<bool> is_left(dimension_, true);
    without.for_each([&](std::uint32_t i) { is_left[i] = false; });
    for (const TensorSpec& tensor : manifest.tensors()) {
      if (tensor.kind != TensorKind::parameter) continue;
      const std::size_t end = tensor.offset + tensor.size;
      for (std::size_t i = tensor.offset; i < end;) {
        const std::size_t begin = i;
        while (i < end && is_left[i]) ++i;
        add({begin, i - begin});
        while (i < end && !is_left[i]) ++i;
      }
    }
  }

  std::size_t size() const { return size_; }

  /// Moves the trainable values of a whole vector to its front.
  std::span<float> pack(std::span<float> values) const {
    auto end = values.begin();
    for (const Range& range : ranges_) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(range.begin);
      end = std::copy(begin, begin + static_cast<std::ptrdiff_t>(range.size), end);
    }
    return values.first(size_);
  }

  /// Coordinates of the vector without gaps, as coordinates of the whole.
  CoordinateSet unpack(const CoordinateSet& packed) const {
    if (size_ == dimension_) return packed;
    std::vector<std::uint32_t> indices;
    indices.reserve(packed.size());
    auto range = ranges_.begin();
    std::size_t packed_begin = 0;  // of *range
    packed.for_each([&](std::uint32_t index) {
      while (index - packed_begin >= range->size) packed_begin += (range++)->size;
      indices.push_back(static_cast<std::uint32_t>(range->begin + (index - packed_begin)));
    });
    return CoordinateSet::from_sorted(dimension_, std::move(indices));
  }

 private:
  struct Range {
    std::size_t begin, size;
  };

  /// Behind the others.
  void add(const Range& range) {
    if (range.size == 0) return;
    if (!ranges_.empty() && ranges_.back().begin + ranges_.back().size == range.begin) {
      ranges_.back().size += range.size;
    } else {
      ranges_.push_back(range);
    }
    size_ += range.size;
  }

  std::vector<Range> ranges_;
  std::size_t dimension_ = 0;
  std::size_t size_ = 0;
};

inline std::vector<bool> all_parameter_tensors(const Manifest& manifest) {
  std::vector<bool> required;
  required.reserve(manifest.tensors().size());
  for (const TensorSpec& tensor : manifest.tensors()) {
    required.push_back(tensor.kind == TensorKind::parameter);
  }
  return required;
}

// ---- strategies ----

inline constexpr std::array<std::string_view, 11> strategy_names = {
    "gradient_guided",
    "normalization",
    "normalization_and_head",
    "normalization+last_layers",
    "normalization+gradient_guided",
    "normalization_and_head+gradient_guided",
    "random",
    "first_layers",
    "last_layers",
    "first_and_last_layers",
    "full"};

inline void check_strategy_name(std::string_view name) {
  if (std::find(strategy_names.begin(), strategy_names.end(), name) != strategy_names.end()) return;
  std::string allowed;
  for (const std::string_view each : strategy_names) {
    allowed.append(allowed.empty() ? "" : ", ").append(each);
  }
  refuse(fmt::format("there is no selection strategy {}: allowed are {}", name, allowed));
}

/// All that have moved, and of the others as many at random as make up `count`.
inline CoordinateSet moved_and_random(std::span<const float> update, std::size_t moved,
                                      std::size_t count, Random& random) {
  std::vector<std::uint32_t> still;
  still.reserve(update.size() - moved);
  for (std::size_t i = 0; i < update.size(); ++i) {
    if (update[i] == 0) still.push_back(static_cast<std::uint32_t>(i));
  }
  std::vector<bool> chosen(update.size(), true);
  for (const std::uint32_t i : still) chosen[i] = false;
  random_coordinates(still.size(), count - moved, random).for_each([&](std::uint32_t j) {
    chosen[still[j]] = true;
  });
  std::vector<std::uint32_t> indices;
  indices.reserve(count);
  for (std::size_t i = 0; i < update.size(); ++i) {
    if (chosen[i]) indices.push_back(static_cast<std::uint32_t>(i));
  }
  return CoordinateSet::from_sorted(update.size(), std::move(indices));
}

/// Makes the coordinates of `kept` the largest; or, when there are more than `count` of them, all
/// others smaller than each of them.
inline void prefer(const CoordinateSet& kept, const TrainableView& view, std::size_t count,
                   std::span<float> packed_update) {
  std::vector<float> marks(kept.dimension());
  kept.for_each([&](std::uint32_t i) { marks[i] = 1; });
  const auto packed = view.pack(marks);
  const auto candidates = static_cast<std::size_t>(std::count(packed.begin(), packed.end(), 1.0F));
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const bool is_kept = packed[i] == 1;
    if (candidates <= count) {
      if (is_kept) packed_update[i] = std::numeric_limits<float>::infinity();
    } else if (!is_kept) {
      packed_update[i] = 0;
    } else if (packed_update[i] == 0) {
      packed_update[i] = std::numeric_limits<float>::denorm_min();
    }
  }
}

/// Of the coordinates in `view`, the `count` of largest |u|; random ones before the first step
/// (Algorithm 2, line 1), and where too few have a u, as after phases that trained others. `kept`
/// come first; null: none does.
inline CoordinateSet most_moved(const SelectionInput& input, const TrainableView& view,
                                std::size_t count, const CoordinateSet* kept, Random& random) {
  if (kept != nullptr && kept->dimension() != input.manifest.dimension()) {
    refuse(fmt::format("the previous phase's coordinates are of dimension {}: {} is allowed",
                       kept->dimension(), input.manifest.dimension()));
  }
  if (input.adam.step_count == 0) {
    return view.unpack(random_coordinates(view.size(), count, random));
  }
  std::vector<float> update(input.manifest.dimension());
  adam_update(input.adam, input.adam_options, update,
              learning_rate_ranges(input.manifest, input.adam_options));
  const std::span<float> packed = view.pack(update);
  if (kept != nullptr) prefer(*kept, view, count, packed);
  const auto still = static_cast<std::size_t>(std::count(packed.begin(), packed.end(), 0.0F));
  const std::size_t moved = packed.size() - still;
  return view.unpack(moved < count ? moved_and_random(packed, moved, count, random)
                                   : largest_by_magnitude(packed, count));
}

class Full final : public SelectionStrategy {
 public:
  CoordinateSet select(const SelectionInput& input, Random&) const override {
    const TrainableView trainable(input.manifest);
    return trainable.unpack(CoordinateSet::all(trainable.size()));
  }
  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    return all_parameter_tensors(manifest);
  }
  std::string name() const override { return "full"; }
};

class RandomFraction final : public SelectionStrategy {
 public:
  explicit RandomFraction(double gamma) : gamma_(gamma) {}

  CoordinateSet select(const SelectionInput& input, Random& random) const override {
    const TrainableView trainable(input.manifest);
    return trainable.unpack(
        random_coordinates(trainable.size(), fraction_count(gamma_, trainable.size()), random));
  }
  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    return all_parameter_tensors(manifest);
  }
  std::string name() const override { return "random"; }

 private:
  double gamma_;
};

class GradientGuided final : public SelectionStrategy {
 public:
  explicit GradientGuided(double gamma) : gamma_(gamma) {}

  CoordinateSet select(const SelectionInput& input, Random& random) const override {
    const TrainableView trainable(input.manifest);
    return most_moved(input, trainable, fraction_count(gamma_, trainable.size()), nullptr, random);
  }
  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    return all_parameter_tensors(manifest);
  }
  std::string name() const override { return "gradient_guided"; }

 private:
  double gamma_;
};

/// The tensors of some roles, the same in every phase.
class Group final : public SelectionStrategy {
 public:
  /// name: of the strategy that this is or belongs to, for messages.
  Group(std::string_view name, bool with_head) : name_(name), with_head_(with_head) {}

  CoordinateSet select(const SelectionInput& input, Random&) const override {
    check(input.manifest);
    const TrainableView group(input.manifest, [this](const auto& t) { return contains(t); });
    return group.unpack(CoordinateSet::all(group.size()));
  }

  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    check(manifest);
    std::vector<bool> required = all_parameter_tensors(manifest);
    for (std::size_t t = 0; t < required.size(); ++t) {
      required[t] = required[t] && contains(manifest.tensors()[t]);
    }
    return required;
  }

  std::string name() const override { return name_; }

 private:
  bool contains(const TensorSpec& tensor) const {
    return tensor.role == TensorRole::normalization ||
           (with_head_ && tensor.role == TensorRole::head);
  }

  void check(const Manifest& manifest) const {
    const auto require = [&](TensorRole role, const char* what) {
      const auto tensors = manifest.tensors();
      if (std::any_of(tensors.begin(), tensors.end(), [role](const TensorSpec& tensor) {
            return tensor.kind == TensorKind::parameter && tensor.role == role;
          })) {
        return;
      }
      refuse(
          fmt::format("the strategy {} needs {}, and the model has none: name its tensors by "
                      "pattern, or choose another strategy",
                      name_, what));
    };
    require(TensorRole::normalization, "normalisation layers (batch, group, layer or instance)");
    if (with_head_) require(TensorRole::head, "a head, its last layer with parameters");
  }

  std::string name_;
  bool with_head_;
};

/// What another strategy chooses, the same in every phase, and a gradient-guided fraction beside it.
class WithGradientGuided final : public SelectionStrategy {
 public:
  WithGradientGuided(std::string_view name, std::unique_ptr<SelectionStrategy> group, double gamma)
      : name_(name), group_(std::move(group)), gamma_(gamma) {}

  CoordinateSet select(const SelectionInput& input, Random& random) const override {
    const CoordinateSet group = group_->select(input, random);
    if (group.dimension() != input.manifest.dimension()) {
      refuse(fmt::format("{} chose coordinates of dimension {}: {} is allowed", group_->name(),
                         group.dimension(), input.manifest.dimension()));
    }
    const TrainableView rest(input.manifest, group);
    const std::size_t count =
        std::min(rest.size(), fraction_count(gamma_, group.size() + rest.size()));
    return CoordinateSet::unite(group, most_moved(input, rest, count, input.previous, random));
  }

  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    (void)group_->required_gradients(manifest);  // throws where the manifest lacks the group
    return all_parameter_tensors(manifest);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  std::unique_ptr<SelectionStrategy> group_;
  double gamma_;
};

/// The same coordinates in every phase, from one or both ends of the network.
class Layers final : public SelectionStrategy {
 public:
  enum class Ends { first, last, both };

  Layers(std::string_view name, double gamma, Ends ends)
      : name_(name), gamma_(gamma), ends_(ends) {}

  CoordinateSet select(const SelectionInput& input, Random&) const override {
    return coordinates(input.manifest);
  }

  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    std::vector<bool> required(manifest.tensors().size());
    std::size_t tensor = 0;
    coordinates(manifest).for_each([&](std::uint32_t index) {
      while (index - manifest.tensors()[tensor].offset >= manifest.tensors()[tensor].size) ++tensor;
      required[tensor] = true;
    });
    return required;
  }

  std::string name() const override { return name_; }

 private:
  CoordinateSet coordinates(const Manifest& manifest) const {
    const TrainableView trainable(manifest);
    const std::size_t count = fraction_count(gamma_, trainable.size());
    const std::size_t from_front = ends_ == Ends::first  ? count
                                   : ends_ == Ends::last ? 0
                                                         : count - count / 2;
    std::vector<std::uint32_t> indices(count);
    const auto back = indices.begin() + static_cast<std::ptrdiff_t>(from_front);
    std::iota(indices.begin(), back, 0U);
    std::iota(back, indices.end(),
              static_cast<std::uint32_t>(trainable.size() - count + from_front));
    return trainable.unpack(CoordinateSet::from_sorted(trainable.size(), std::move(indices)));
  }

  std::string name_;
  double gamma_;
  Ends ends_;
};

/// What two strategies choose, together.
class Both final : public SelectionStrategy {
 public:
  Both(std::string_view name, std::unique_ptr<SelectionStrategy> first,
       std::unique_ptr<SelectionStrategy> second)
      : name_(name), first_(std::move(first)), second_(std::move(second)) {}

  CoordinateSet select(const SelectionInput& input, Random& random) const override {
    const CoordinateSet chosen = first_->select(input, random);
    return CoordinateSet::unite(chosen, second_->select(input, random));
  }

  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    std::vector<bool> required = first_->required_gradients(manifest);
    const std::vector<bool> others = second_->required_gradients(manifest);
    for (std::size_t t = 0; t < required.size(); ++t) required[t] = required[t] || others[t];
    return required;
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  std::unique_ptr<SelectionStrategy> first_, second_;
};

}  // namespace detail::selection

inline std::span<const std::string_view> selection_strategy_names() {
  return detail::selection::strategy_names;
}

inline std::unique_ptr<SelectionStrategy> make_selection_strategy(std::string_view name,
                                                                  double gamma) {
  detail::selection::check_strategy_name(name);
  if (name == "full") return std::make_unique<detail::selection::Full>();
  if (name == "normalization" || name == "normalization_and_head") {
    return std::make_unique<detail::selection::Group>(name, name == "normalization_and_head");
  }
  detail::selection::check_gamma(gamma);
  if (name == "gradient_guided") return std::make_unique<detail::selection::GradientGuided>(gamma);
  if (name.ends_with("+gradient_guided")) {
    const bool with_head = name.starts_with("normalization_and_head");
    return std::make_unique<detail::selection::WithGradientGuided>(
        name, std::make_unique<detail::selection::Group>(name, with_head), gamma);
  }
  if (name == "normalization+last_layers") {
    return std::make_unique<detail::selection::Both>(
        name, std::make_unique<detail::selection::Group>(name, false),
        std::make_unique<detail::selection::Layers>(name, gamma,
                                                    detail::selection::Layers::Ends::last));
  }
  if (name == "random") return std::make_unique<detail::selection::RandomFraction>(gamma);
  if (name == "first_layers")
    return std::make_unique<detail::selection::Layers>(name, gamma,
                                                       detail::selection::Layers::Ends::first);
  if (name == "last_layers")
    return std::make_unique<detail::selection::Layers>(name, gamma,
                                                       detail::selection::Layers::Ends::last);
  return std::make_unique<detail::selection::Layers>(name, gamma,
                                                     detail::selection::Layers::Ends::both);
}

inline std::unique_ptr<SelectionStrategy> with_gradient_guided(
    std::unique_ptr<SelectionStrategy> group, double gamma) {
  if (!group) detail::refuse("with_gradient_guided: the group is null");
  detail::selection::check_gamma(gamma);
  const std::string name = group->name() + "+gradient_guided";
  return std::make_unique<detail::selection::WithGradientGuided>(name, std::move(group), gamma);
}

}  // namespace ams
