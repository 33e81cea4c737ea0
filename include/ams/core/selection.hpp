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
  std::span<const LearningRateRange> learning_rates = {};  ///< as the coming phase will have them
  /// What another strategy of a unite() has chosen already; null: nothing.
  const CoordinateSet* taken = nullptr;
};

/// Which coordinates a training phase trains and sends (section 3.1.2, Table 3). A value without
/// memory of its own, so that one object serves many sessions and threads. Derive from it for
/// strategies of your own.
class SelectionStrategy {
 public:
  virtual ~SelectionStrategy() = default;

  /// The coordinates of the coming phase; of tensors of kind `parameter` only. Throws
  /// Error(invalid_argument) when the Adam state that it looks at is not of
  /// the manifest's dimension, or when the manifest lacks what the strategy trains.
  virtual CoordinateSet select(const SelectionInput& input, Random& random) const = 0;

  /// For each tensor of the manifest: must its gradient be computed? The trainer skips the others.
  /// Throws Error(invalid_argument) when the manifest lacks what the strategy trains: ask once,
  /// early.
  virtual std::vector<bool> required_gradients(const Manifest& manifest) const = 0;

  /// For people and reports, e.g. "normalization+last_layers".
  virtual std::string name() const = 0;

  /// The fraction of the trainable coordinates that it was told to choose, (0, 1]; 1: it was told
  /// none, and chooses all or whole groups.
  virtual double gamma() const { return 1; }
};

using StrategyPtr = std::shared_ptr<const SelectionStrategy>;

// Strategies. `gamma` is a fraction of the trainable coordinates, in (0, 1], else
// Error(invalid_argument).

/// All trainable coordinates, which is Adam.
StrategyPtr full();

/// The fraction of largest |u| of the previous phase, over all tensors together; random in the
/// first phase (Algorithm 2, line 1), and as far as fewer than that have a u at all. In a unite()
/// it chooses as many among the coordinates that the others leave, or all that they leave.
StrategyPtr gradient_guided(double gamma);

/// Another uniformly random fraction in every phase.
StrategyPtr random_fraction(double gamma);

/// The fraction that comes first or last in the manifest's order, or half of it (rounded up) first
/// and the rest last; the same in every phase. Only the gradients of the tensors that hold it are
/// required.
StrategyPtr first_layers(double gamma);
StrategyPtr last_layers(double gamma);
StrategyPtr first_and_last_layers(double gamma);

/// Scale and shift of every normalisation layer (TensorRole), the same in every phase. Refuses a
/// manifest without such tensors.
StrategyPtr normalization();

/// These and the classifier. Refuses a manifest without either.
StrategyPtr normalization_and_head();

/// What both choose, `first` first. Throws Error(invalid_argument) on null.
StrategyPtr unite(StrategyPtr first, StrategyPtr second);

/// The strategy of this name, for flags and files: "full", "gradient_guided", "random",
/// "first_layers", "last_layers", "first_and_last_layers", "normalization",
/// "normalization_and_head", or one of the latter two with "+gradient_guided" or (normalization)
/// "+last_layers" behind it. `full` and the groups alone ignore gamma. Throws
/// Error(invalid_argument) that lists what is allowed.
StrategyPtr make_selection_strategy(std::string_view name, double gamma);

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

/// Of the coordinates in `view`, the `count` of largest |u|; random ones before the first step
/// (Algorithm 2, line 1), and where too few have a u, as after phases that trained others.
inline CoordinateSet most_moved(const SelectionInput& input, const TrainableView& view,
                                std::size_t count, Random& random) {
  if (input.adam.step_count == 0) {
    return view.unpack(random_coordinates(view.size(), count, random));
  }
  std::vector<float> update(input.manifest.dimension());
  adam_update(input.adam, input.adam_options, update, input.learning_rates);
  const std::span<float> packed = view.pack(update);
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
  double gamma() const override { return gamma_; }

 private:
  double gamma_;
};

class GradientGuided final : public SelectionStrategy {
 public:
  explicit GradientGuided(double gamma) : gamma_(gamma) {}

  CoordinateSet select(const SelectionInput& input, Random& random) const override {
    const TrainableView trainable(input.manifest);
    const std::size_t count = fraction_count(gamma_, trainable.size());
    if (input.taken == nullptr) return most_moved(input, trainable, count, random);
    const TrainableView rest(input.manifest, *input.taken);
    return most_moved(input, rest, std::min(rest.size(), count), random);
  }
  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    return all_parameter_tensors(manifest);
  }
  std::string name() const override { return "gradient_guided"; }
  double gamma() const override { return gamma_; }

 private:
  double gamma_;
};

/// The tensors of some roles, the same in every phase.
class Group final : public SelectionStrategy {
 public:
  explicit Group(bool with_head)
      : name_(with_head ? "normalization_and_head" : "normalization"), with_head_(with_head) {}

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

/// The same coordinates in every phase, from one or both ends of the network.
class Layers final : public SelectionStrategy {
 public:
  enum class Ends { first, last, both };

  Layers(std::string_view name, double gamma, Ends ends) : name_(name), gamma_(gamma), ends_(ends) {
    check_gamma(gamma);
  }

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
  double gamma() const override { return gamma_; }

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
class United final : public SelectionStrategy {
 public:
  United(StrategyPtr first, StrategyPtr second)
      : first_(std::move(first)), second_(std::move(second)) {}

  CoordinateSet select(const SelectionInput& input, Random& random) const override {
    const CoordinateSet chosen = first_->select(input, random);
    if (chosen.dimension() != input.manifest.dimension()) {
      refuse(fmt::format("{} chose coordinates of dimension {}: {} is allowed", first_->name(),
                         chosen.dimension(), input.manifest.dimension()));
    }
    SelectionInput rest = input;
    rest.taken = &chosen;
    return CoordinateSet::unite(chosen, second_->select(rest, random));
  }

  std::vector<bool> required_gradients(const Manifest& manifest) const override {
    std::vector<bool> required = first_->required_gradients(manifest);
    const std::vector<bool> others = second_->required_gradients(manifest);
    for (std::size_t t = 0; t < required.size(); ++t) required[t] = required[t] || others[t];
    return required;
  }

  std::string name() const override { return first_->name() + "+" + second_->name(); }
  double gamma() const override { return std::min(first_->gamma(), second_->gamma()); }

 private:
  StrategyPtr first_, second_;
};

}  // namespace detail::selection

inline StrategyPtr full() {
  return std::make_shared<const detail::selection::Full>();
}

inline StrategyPtr gradient_guided(double gamma) {
  detail::selection::check_gamma(gamma);
  return std::make_shared<const detail::selection::GradientGuided>(gamma);
}

inline StrategyPtr random_fraction(double gamma) {
  detail::selection::check_gamma(gamma);
  return std::make_shared<const detail::selection::RandomFraction>(gamma);
}

inline StrategyPtr first_layers(double gamma) {
  return std::make_shared<const detail::selection::Layers>("first_layers", gamma,
                                                           detail::selection::Layers::Ends::first);
}

inline StrategyPtr last_layers(double gamma) {
  return std::make_shared<const detail::selection::Layers>("last_layers", gamma,
                                                           detail::selection::Layers::Ends::last);
}

inline StrategyPtr first_and_last_layers(double gamma) {
  return std::make_shared<const detail::selection::Layers>("first_and_last_layers", gamma,
                                                           detail::selection::Layers::Ends::both);
}

inline StrategyPtr normalization() {
  return std::make_shared<const detail::selection::Group>(false);
}

inline StrategyPtr normalization_and_head() {
  return std::make_shared<const detail::selection::Group>(true);
}

inline StrategyPtr unite(StrategyPtr first, StrategyPtr second) {
  if (!first || !second) detail::refuse("unite: a strategy is null");
  return std::make_shared<const detail::selection::United>(std::move(first), std::move(second));
}

inline std::span<const std::string_view> selection_strategy_names() {
  return detail::selection::strategy_names;
}

inline StrategyPtr make_selection_strategy(std::string_view name, double gamma) {
  detail::selection::check_strategy_name(name);
  if (const auto plus = name.find('+'); plus != std::string_view::npos) {
    return unite(make_selection_strategy(name.substr(0, plus), gamma),
                 make_selection_strategy(name.substr(plus + 1), gamma));
  }
  if (name == "full") return full();
  if (name == "normalization") return normalization();
  if (name == "normalization_and_head") return normalization_and_head();
  if (name == "gradient_guided") return gradient_guided(gamma);
  if (name == "random") return random_fraction(gamma);
  if (name == "first_layers") return first_layers(gamma);
  if (name == "last_layers") return last_layers(gamma);
  return first_and_last_layers(gamma);
}

}  // namespace ams
