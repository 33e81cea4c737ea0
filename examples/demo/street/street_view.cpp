#include "street_view.hpp"

namespace ams::street {

GroundPoint View::ground_at(float x, float z) const {
  GroundPoint g;
  g.t = x - road(z);
  g.block = &block_at(z);
  g.junction = 1e3f;
  const float into = z - g.block->z;
  if (g.block->junction) g.junction = into - junction_length;
  if (g.block->next_junction) g.junction = std::min(g.junction, block_length - into);
  const float beside = (g.t < 0 ? -g.t : g.t) - road_half_width;
  if (beside <= 0 || g.junction <= 0) {
    g.kerb = std::max(beside, g.junction);
    if (beside > 0) g.kerb = g.junction;
    if (g.junction > 0) g.kerb = beside;
  } else if (beside < corner_radius && g.junction < corner_radius) {
    const float a = corner_radius - beside, b = corner_radius - g.junction;
    g.kerb = corner_radius - std::sqrt(a * a + b * b);
  } else {
    g.kerb = std::min(beside, g.junction);
  }
  return g;
}

std::uint8_t ground_label(const GroundPoint& point) {
  const DistrictStyle& style = *point.block->style;
  if (point.kerb < 0) return 0;
  if (point.kerb >= style.grass_from && point.kerb < style.grass_to) return 9;
  if (point.kerb < style.walk_to) return 1;
  return style.lawn_behind ? 9 : 1;
}

std::array<DistrictStyle, 4> district_styles(std::uint64_t seed) {
  std::array<DistrictStyle, 4> styles;
  Dice dice(seed, 0x57e1);
  const float tone = dice.between(0.92f, 1.08f), warm = dice.between(0.97f, 1.03f);
  const Vec3 tint = Vec3{warm, 1, 2 - warm} * tone;

  DistrictStyle& home = styles[static_cast<std::size_t>(District::residential)];
  home.grass_from = 0.22f;
  home.grass_to = 1.5f;
  home.walk_to = 3.4f;
  home.lawn_behind = true;
  home.asphalt = rgb(112, 112, 114) * tint;
  home.slab = rgb(186, 180, 170) * tint;
  home.kerb = rgb(200, 197, 190);
  home.grass = rgb(100, 124, 66);
  home.marking = rgb(226, 226, 220);

  DistrictStyle& town = styles[static_cast<std::size_t>(District::downtown)];
  town.walk_to = 4.3f;
  town.asphalt = rgb(88, 89, 94) * tint;
  town.slab = rgb(158, 158, 162) * tint;
  town.kerb = rgb(184, 184, 186);
  town.grass = rgb(96, 118, 62);
  town.marking = rgb(235, 234, 228);

  DistrictStyle& works = styles[static_cast<std::size_t>(District::industrial)];
  works.walk_to = 2.6f;
  works.lawn_behind = true;
  works.asphalt = rgb(124, 120, 112) * tint;
  works.slab = rgb(150, 143, 130) * tint;
  works.kerb = rgb(168, 164, 152);
  works.grass = rgb(146, 134, 84);
  works.marking = rgb(222, 186, 72);

  DistrictStyle& avenue = styles[static_cast<std::size_t>(District::boulevard)];
  avenue.grass_from = 0.5f;
  avenue.grass_to = 1.6f;
  avenue.walk_to = 4.6f;
  avenue.lawn_behind = true;
  avenue.asphalt = rgb(104, 99, 98) * tint;
  avenue.slab = rgb(196, 176, 146) * tint;
  avenue.kerb = rgb(206, 196, 180);
  avenue.grass = rgb(128, 120, 58);
  avenue.marking = rgb(228, 226, 218);
  return styles;
}

}  // namespace ams::street
