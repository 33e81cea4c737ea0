#include "profile.hpp"

namespace ams::detail {

const Profile* find_profile(std::uint8_t id) noexcept {
  for (const Profile* profile : {&reference_profile}) {
    if (static_cast<std::uint8_t>(profile->id) == id) return profile;
  }
  return nullptr;
}

}  // namespace ams::detail
