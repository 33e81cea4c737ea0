#pragma once

#include "demo/street/street.hpp"
#include "street_math.hpp"

namespace ams::street {

/// Light and air, in linear colour. A plain sum of numbers, so that weathers can be mixed.
struct Atmosphere {
  Vec3 sun_direction;  ///< towards the sun: x right, y up, z ahead
  Vec3 sun;            ///< light of the sun (0 where clouds hide it)
  Vec3 ambient;        ///< light of the sky from above
  Vec3 bounce;         ///< light from below
  Vec3 zenith, horizon;
  Vec3 cloud_light, cloud_dark;
  Vec3 glow;               ///< sky around the sun
  Vec3 haze;               ///< colour of the air
  float haze_density = 0;  ///< per metre
  float cloud_cover = 0;   ///< 0 to 1
  float wetness = 0;       ///< of the ground, 0 to 1
  float rain = 0;          ///< streaks, 0 to 1
  float lamps = 0;         ///< street lamps, headlights and windows, 0 to 1
  float exposure = 1;
  float grain = 1;  ///< sensor noise, in 8-bit steps
  float saturation = 1;
};

Atmosphere atmosphere_of(Weather weather);
Atmosphere mix(const Atmosphere& a, const Atmosphere& b, float k);

}  // namespace ams::street
