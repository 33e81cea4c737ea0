#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams {

/// How the coordinates and values of an update are written. Each profile is a codec of its own
/// behind the functions below (docs/format.md). Profiles may follow each other on one stream.
enum class UpdateProfile : std::uint8_t {
  /// The paper's (section 3.1.2): fp16 values, rounded to nearest even, and a bit-vector of their
  /// places, both compressed. A value of 65520 or more in magnitude, which fp16 has no number for
  /// (running variances reach it), is sent as float32, exactly.
  reference = 1,

  /// From a kilobit a second on: differences against what the device holds, in steps of a power of
  /// two, under an adaptive range coder that remembers from update to update how often and how far
  /// each coordinate moves. A coordinate of the set that moves by less than half a step (dead_zone)
  /// is not sent.
  compact = 2,
};

/// How finely profile `compact` writes. A step is a power of two; every tensor has one.
struct CompactOptions {
  /// The step is the power of two nearest to relative_step times the root mean square of the
  /// differences, over the parameters of the update's set with the same role. Statistics are on
  /// many scales: each tensor of them has its own, and a sixteenth of that. 2^-20 to 2^20.
  double relative_step = 1;

  /// Times as large for weights (TensorRole::weight): with two, updates of the whole model have
  /// half the bytes and are less accurate where scenes change (docs/trials.md). 2^-20 to 2^20.
  double weight_step_multiplier = 1;

  /// 2^this is the step of every tensor, in place of all that; -100 to 104.
  std::optional<int> step_exponent = std::nullopt;

  /// A parameter that would move by fewer steps than this stays where it is: above rounding's 0.5 a
  /// smaller update, which loses the smallest moves. 0.5 to 4. Statistics are rounded all the same.
  double dead_zone = 0.5;
};

struct EncodeOptions {
  UpdateProfile profile = UpdateProfile::reference;
  /// 1 (fast) to 19 (slow). Places and values of trained coordinates are close to noise: on random
  /// sets of 1 to 20% of the coordinates the levels differ by a few percent, and 1 often wins.
  int zstd_level = 1;
  CompactOptions compact = {};
};

/// Throws Error(invalid_argument), naming the field and what is allowed.
void validate(const EncodeOptions& options);

/// "reference" and "compact".
std::string_view to_string(UpdateProfile profile);
std::span<const std::string_view> update_profile_names();

/// The profile of this name. Throws Error(invalid_argument) that lists what is allowed.
UpdateProfile update_profile(std::string_view name);

namespace detail {

/// A step is 2^exponent with an exponent in this range, so that any normal float32 is within reach.
inline constexpr int min_step_exponent = -100;
inline constexpr int max_step_exponent = 104;

/// In the order of the enumerators, which count from 1.
inline constexpr std::array<std::string_view, 2> update_profile_names = {"reference", "compact"};

inline bool is_profile(UpdateProfile profile) noexcept {
  const auto id = static_cast<std::size_t>(profile);
  return id >= 1 && id <= update_profile_names.size();
}

/// "1 (reference), 2 (compact)", for messages.
inline std::string profile_list() {
  std::string text;
  for (std::size_t i = 0; i < update_profile_names.size(); ++i) {
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", i + 1, update_profile_names[i]);
  }
  return text;
}

/// Throws Error(invalid_argument) unless 1 <= level <= 19.
inline void check_zstd_level(int level) {
  if (level < 1 || level > 19) refuse(fmt::format("zstd_level is {}: 1 to 19 is allowed", level));
}

/// Throws Error(invalid_argument).
inline void check(const CompactOptions& options) {
  const auto check_times = [](const char* name, double value) {
    if (value >= 0x1p-20 && value <= 0x1p20) return;
    refuse(fmt::format("{} is {}: 2^-20 to 2^20 is allowed", name, value));
  };
  check_times("relative_step", options.relative_step);
  check_times("weight_step_multiplier", options.weight_step_multiplier);
  if (!(options.dead_zone >= 0.5 && options.dead_zone <= 4)) {
    refuse(fmt::format("dead_zone is {}: 0.5 to 4 is allowed", options.dead_zone));
  }
  const int exponent = options.step_exponent.value_or(0);
  if (exponent < min_step_exponent || exponent > max_step_exponent) {
    refuse(fmt::format("step_exponent is {}: {} to {} is allowed", exponent, min_step_exponent,
                       max_step_exponent));
  }
}

}  // namespace detail

inline void validate(const EncodeOptions& options) {
  detail::check_zstd_level(options.zstd_level);
  if (!detail::is_profile(options.profile)) {
    detail::refuse(fmt::format("there is no update profile {}: {} are allowed",
                               static_cast<int>(options.profile), detail::profile_list()));
  }
  detail::check(options.compact);
}

inline std::string_view to_string(UpdateProfile profile) {
  if (!detail::is_profile(profile)) return "unknown";
  return detail::update_profile_names[static_cast<std::size_t>(profile) - 1];
}

inline std::span<const std::string_view> update_profile_names() {
  return detail::update_profile_names;
}

inline UpdateProfile update_profile(std::string_view name) {
  for (std::size_t i = 0; i < detail::update_profile_names.size(); ++i) {
    if (detail::update_profile_names[i] == name) return static_cast<UpdateProfile>(i + 1);
  }
  detail::refuse(
      fmt::format("there is no update profile {}: {} are allowed", name, detail::profile_list()));
}

}  // namespace ams
