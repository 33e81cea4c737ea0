#include "profile.hpp"

#include <array>

namespace ams::detail {

std::span<const Profile* const> profiles() noexcept {
  static constexpr std::array<const Profile*, 2> all = {&reference_profile, &compact_profile};
  return all;
}

const Profile* find_profile(std::uint8_t id) noexcept {
  for (const Profile* profile : profiles()) {
    if (static_cast<std::uint8_t>(profile->id) == id) return profile;
  }
  return nullptr;
}

std::string profile_list() {
  std::string text;
  for (const Profile* profile : profiles()) {
    text += (text.empty() ? "" : ", ") + std::to_string(static_cast<int>(profile->id)) + " (" +
            std::string(profile->name) + ")";
  }
  return text;
}

}  // namespace ams::detail
