#include "street_atmosphere.hpp"

namespace ams::street {

Atmosphere atmosphere_of(Weather weather) {
  Atmosphere a;
  switch (weather) {
    case Weather::clear:
      a.sun_direction = normalized({-0.62f, 0.62f, -0.30f});
      a.sun = Vec3{1.0f, 0.93f, 0.80f} * 2.5f;
      a.ambient = Vec3{0.50f, 0.62f, 0.85f} * 0.80f;
      a.bounce = Vec3{0.40f, 0.36f, 0.30f} * 0.7f;
      a.zenith = Vec3{0.13f, 0.30f, 0.72f} * 1.1f;
      a.horizon = Vec3{0.60f, 0.74f, 0.92f} * 1.1f;
      a.cloud_light = Vec3{1.25f, 1.23f, 1.20f} * 1.1f;
      a.cloud_dark = Vec3{0.66f, 0.70f, 0.78f};
      a.glow = Vec3{0.6f, 0.5f, 0.35f};
      a.haze = Vec3{0.62f, 0.74f, 0.90f};
      a.haze_density = 0.0022f;
      a.cloud_cover = 0.48f;
      a.exposure = 0.62f;
      a.grain = 1.2f;
      a.saturation = 1.08f;
      break;
    case Weather::overcast:
      a.sun_direction = normalized({-0.3f, 0.9f, -0.2f});
      a.sun = Vec3{0.16f, 0.16f, 0.16f};
      a.ambient = Vec3{0.88f, 0.93f, 1.0f} * 1.15f;
      a.bounce = Vec3{0.36f, 0.36f, 0.36f};
      a.zenith = Vec3{0.62f, 0.68f, 0.76f};
      a.horizon = Vec3{0.86f, 0.89f, 0.93f};
      a.cloud_light = Vec3{1.0f, 1.02f, 1.05f};
      a.cloud_dark = Vec3{0.55f, 0.58f, 0.64f};
      a.haze = Vec3{0.80f, 0.84f, 0.89f};
      a.haze_density = 0.0022f;
      a.cloud_cover = 0.95f;
      a.exposure = 0.60f;
      a.grain = 1.4f;
      a.saturation = 0.95f;
      break;
    case Weather::dusk:
      a.sun_direction = normalized({0.35f, 0.12f, 0.93f});
      a.sun = Vec3{1.0f, 0.42f, 0.14f} * 0.75f;
      a.ambient = Vec3{0.36f, 0.33f, 0.55f} * 0.42f;
      a.bounce = Vec3{0.22f, 0.13f, 0.12f} * 0.5f;
      a.zenith = Vec3{0.07f, 0.09f, 0.26f};
      a.horizon = Vec3{1.05f, 0.46f, 0.20f} * 0.95f;
      a.cloud_light = Vec3{1.0f, 0.42f, 0.28f};
      a.cloud_dark = Vec3{0.20f, 0.14f, 0.24f};
      a.glow = Vec3{1.6f, 0.75f, 0.25f};
      a.haze = Vec3{0.62f, 0.34f, 0.27f};
      a.haze_density = 0.0036f;
      a.cloud_cover = 0.55f;
      a.lamps = 0.8f;
      a.exposure = 0.85f;
      a.grain = 2.0f;
      break;
    case Weather::rain:
      a.sun_direction = normalized({-0.2f, 0.95f, 0.2f});
      a.sun = Vec3{0.0f, 0.0f, 0.0f};
      a.ambient = Vec3{0.52f, 0.60f, 0.66f} * 0.62f;
      a.bounce = Vec3{0.16f, 0.18f, 0.19f};
      a.zenith = Vec3{0.26f, 0.30f, 0.34f};
      a.horizon = Vec3{0.50f, 0.55f, 0.58f};
      a.cloud_light = Vec3{0.50f, 0.54f, 0.58f};
      a.cloud_dark = Vec3{0.20f, 0.23f, 0.27f};
      a.haze = Vec3{0.44f, 0.49f, 0.52f};
      a.haze_density = 0.0105f;
      a.cloud_cover = 1.0f;
      a.wetness = 1.0f;
      a.rain = 1.0f;
      a.lamps = 0.5f;
      a.exposure = 0.95f;
      a.grain = 1.8f;
      a.saturation = 0.85f;
      break;
    case Weather::night:
      a.sun_direction = normalized({0.5f, 0.5f, 0.4f});
      a.sun = Vec3{0.020f, 0.026f, 0.045f};
      a.ambient = Vec3{0.16f, 0.20f, 0.36f} * 0.34f;
      a.bounce = Vec3{0.05f, 0.045f, 0.05f};
      a.zenith = Vec3{0.012f, 0.018f, 0.050f};
      a.horizon = Vec3{0.10f, 0.11f, 0.19f};
      a.cloud_light = Vec3{0.11f, 0.10f, 0.14f};
      a.cloud_dark = Vec3{0.030f, 0.034f, 0.060f};
      a.haze = Vec3{0.075f, 0.078f, 0.12f};
      a.haze_density = 0.0045f;
      a.cloud_cover = 0.6f;
      a.wetness = 0.25f;
      a.lamps = 1.0f;
      a.exposure = 1.35f;
      a.grain = 3.0f;
      a.saturation = 0.9f;
      break;
  }
  return a;
}

Atmosphere mix(const Atmosphere& a, const Atmosphere& b, float k) {
  Atmosphere m;
  m.sun_direction = normalized(lerp(a.sun_direction, b.sun_direction, k));
  m.sun = lerp(a.sun, b.sun, k);
  m.ambient = lerp(a.ambient, b.ambient, k);
  m.bounce = lerp(a.bounce, b.bounce, k);
  m.zenith = lerp(a.zenith, b.zenith, k);
  m.horizon = lerp(a.horizon, b.horizon, k);
  m.cloud_light = lerp(a.cloud_light, b.cloud_light, k);
  m.cloud_dark = lerp(a.cloud_dark, b.cloud_dark, k);
  m.glow = lerp(a.glow, b.glow, k);
  m.haze = lerp(a.haze, b.haze, k);
  m.haze_density = lerp(a.haze_density, b.haze_density, k);
  m.cloud_cover = lerp(a.cloud_cover, b.cloud_cover, k);
  m.wetness = lerp(a.wetness, b.wetness, k);
  m.rain = lerp(a.rain, b.rain, k);
  m.lamps = lerp(a.lamps, b.lamps, k);
  // The camera's exposure follows the light, so that a fade neither flashes nor dips.
  const auto light = [](const Atmosphere& air) {
    return luminance(air.ambient + air.sun * 0.5f + air.horizon);
  };
  const float from = light(a) * (1 - k), to = light(b) * k;
  m.exposure = (from * a.exposure + to * b.exposure) / (from + to);
  m.grain = lerp(a.grain, b.grain, k);
  m.saturation = lerp(a.saturation, b.saturation, k);
  return m;
}

}  // namespace ams::street
