#include <algorithm>
#include <cmath>

#include "street_models.hpp"
#include "street_view.hpp"

namespace ams::street {
namespace {

/// Where a sample meets a surface.
struct Hit {
  Vec3 ray;       ///< through the sample, 1 along the camera's axis
  Vec3 position;  ///< relative to the camera
  float depth = 1;
  float pixel = 0;                   ///< metres that one pixel spans across the ray
  float u = 0, v = 0;                ///< on planes
  float spread_u = 0, spread_v = 0;  ///< extent of one pixel in u and v
  float i = 0, j = 0;
};

/// Share of an interval of width `footprint` around x that lies in [low, high].
float coverage(float x, float low, float high, float footprint) {
  const float h = footprint * 0.5f;
  const float inside = std::min(high, x + h) - std::max(low, x - h);
  return inside <= 0 ? 0.0f : std::min(1.0f, inside / footprint);
}

/// The same for [low, high] repeated every `period`; turns to the mean where it cannot be resolved.
float stripes(float x, float period, float low, float high, float footprint) {
  const float mean = (high - low) / period;
  const float blend = smoothstep(0.45f * period, 1.1f * period, footprint);
  if (blend >= 1) return mean;
  const float r = x - period * static_cast<float>(floor_int(x / period));
  const float f = std::min(footprint, period);
  const float sharp = coverage(r, low, high, f) + coverage(r + period, low, high, f) +
                      coverage(r - period, low, high, f);
  return lerp(std::min(sharp, 1.0f), mean, blend);
}

float squared(float x) {
  return x * x;
}

Vec3 lamp_light(const View& view, Vec3 p) {
  const float strength = view.air.lamps;
  if (strength <= 0.01f) return {};
  Vec3 sum;
  const float y = p.y + view.camera.eye_height;
  const float t = p.x - view.road(p.z);
  const double s = view.camera_s + static_cast<double>(p.z);
  const auto k = static_cast<std::int64_t>(s / static_cast<double>(lamp_spacing));
  const auto offset =
      static_cast<float>(s - static_cast<double>(k) * static_cast<double>(lamp_spacing));
  for (int n = -1; n <= 1; ++n) {
    const float ds = offset - static_cast<float>(n) * lamp_spacing;
    const float side = ((k + n) & 1) != 0 ? 1.0f : -1.0f;
    const float d2 = ds * ds + squared(t - side * (road_half_width - 0.4f)) +
                     squared(std::max(0.0f, y - 5.0f) * 2.0f);
    sum = sum + view.lamp_colour * (0.62f * squared(1.0f / (1.0f + d2 * (1.0f / 26.0f))));
  }
  // The camera's own car has its headlights on.
  if (p.z > 1) {
    const float a = p.x / p.z;
    const float cone = clamp01(1 - squared(a * 2.1f));
    const float beam = smoothstep(0.25f, -0.9f, p.y) * cone * smoothstep(2.0f, 7.0f, p.z);
    sum = sum + Vec3{1.0f, 0.93f, 0.80f} * (0.85f * beam / (1 + squared(p.z * (1.0f / 15.0f))));
  }
  return sum * strength;
}

/// Light that falls on a surface with a normal, per unit of albedo.
Vec3 incident(const View& view, Vec3 normal, Vec3 position, float sun_shadow, float open) {
  const Atmosphere& air = view.air;
  const float facing = std::max(0.0f, dot(normal, air.sun_direction)) * (1 - sun_shadow);
  const float up = 0.5f + 0.5f * normal.y;
  return air.sun * facing + (lerp(air.bounce, air.ambient, up) + lamp_light(view, position)) * open;
}

Vec3 with_haze(const View& view, Vec3 colour, const Hit& hit) {
  const float distance = hit.depth * std::sqrt(dot(hit.ray, hit.ray));
  const float clear = exp_minus(distance * view.air.haze_density);
  return lerp(view.air.haze, colour, clear);
}

Vec3 reflected(const View& view, Vec3 ray, Vec3 normal) {
  const Vec3 d = normalized(ray);
  const Vec3 r = d - normal * (2 * dot(d, normal));
  if (r.y < 0) return view.air.bounce * 0.5f;
  return sky_gradient(view.air, r);
}

Vec3 shade_sky(const View& view, Vec3 ray) {
  const Vec3 d = normalized(ray);
  Vec3 colour = sky_gradient(view.air, d);
  const float up = std::max(d.y, 0.0f);
  const float inverse = 1.0f / (up + 0.10f);
  const auto drift = static_cast<float>(view.seconds * 0.25);
  const float seed = static_cast<float>(view.seed & 255U);
  const float u = d.x * inverse * 14 + drift + seed, v = d.z * inverse * 14 + seed * 3;
  const float broad = smooth_noise(*view.noise, u, v),
              fine = smooth_noise(*view.noise, u * 3.7f + 17, v * 3.7f);
  const float density = broad * 0.72f + fine * 0.28f;
  const float edge = 0.95f - 0.85f * view.air.cloud_cover;
  const float cloud = smoothstep(edge - 0.10f, edge + 0.16f, density) * smoothstep(0.0f, 0.10f, up);
  const float lit = clamp01(0.55f +
                            2.2f * (smooth_noise(*view.noise, u + view.air.sun_direction.x * 5,
                                                 v + view.air.sun_direction.z * 5 + 3) -
                                    broad) +
                            0.25f * (fine - 0.5f));
  return lerp(colour, lerp(view.air.cloud_dark, view.air.cloud_light, lit), cloud * 0.92f);
}

Vec3 shade_ground(const View& view, const Raster& raster, const Hit& hit) {
  const GroundPoint g = view.ground_at(hit.position.x, hit.position.z);
  const DistrictStyle& style = *g.block->style;
  const std::uint8_t label = ground_label(g);
  const float s = view.road_metres + hit.position.z;
  const float across = hit.pixel;                                      // metres, t
  const float ahead = hit.pixel * hit.depth / view.camera.eye_height;  // metres, s
  const float t = g.t, abs_t = t < 0 ? -t : t;
  const NoiseTables& noise = *view.noise;
  const float fine_fade = clamp01(1.25f - ahead * 2.0f) * 0.9f + 0.1f * clamp01(1.5f - ahead);
  const float broad = smooth_noise(noise, s * 0.5f, t * 0.9f + 40);
  const float grit = (rough_noise(noise, s * 22.0f, t * 34.0f) - 0.5f) * 1.3f +
                     (rough_noise(noise, s * 7.0f + 50, t * 8.0f) - 0.5f) * 0.5f;
  Vec3 colour;
  if (label == 0) {
    float tone = 0.86f + 0.28f * broad + 0.30f * grit * fine_fade;
    // Tyre tracks are smoother and darker, oil in the middle of the lane.
    const float lane = abs_t - 1.75f;
    const float beside = lane < 0 ? -lane : lane;
    if (g.junction > 0)
      tone *= 1 - 0.10f * coverage(beside, 0.55f, 1.0f, std::max(across, 0.3f)) -
              0.05f * coverage(beside, -0.2f, 0.2f, std::max(across, 0.3f));
    colour = style.asphalt * tone;
    // Mended patches.
    const int cell = floor_int(s * (1 / 8.0f));
    const std::uint32_t patch = hash32(static_cast<std::uint32_t>(view.seed), cell, t < 0 ? 1 : 2);
    if (unit(patch) < 0.2f) {
      const float s0 = static_cast<float>(cell) * 8 + 1 + 3 * unit(hash32(patch)),
                  length = 1.5f + 3 * unit(hash32(patch + 1));
      const float t0 = 0.4f + 2.4f * unit(hash32(patch + 2)),
                  width = 1.0f + 1.2f * unit(hash32(patch + 3));
      const float in =
          coverage(s, s0, s0 + length, ahead) * coverage(abs_t, t0, t0 + width, across);
      const float seam = in * (1 - coverage(s, s0 + 0.07f, s0 + length - 0.07f, ahead) *
                                       coverage(abs_t, t0 + 0.05f, t0 + width - 0.05f, across));
      colour = lerp(colour, style.asphalt * (0.74f + 0.16f * broad + 0.25f * grit * fine_fade),
                    in * 0.75f);
      colour = lerp(colour, style.asphalt * 0.4f, seam * 0.4f);
    }
    // Cracks follow a level line of the noise.
    const float ridge = smooth_noise(noise, s * 0.9f + 90, t * 1.3f) - 0.5f;
    const float crack =
        clamp01(1 - (ridge < 0 ? -ridge : ridge) * 60) * clamp01(1.4f - ahead * 2.5f);
    colour = colour * (1 - 0.35f * crack);
    // Manhole covers.
    const int hole_cell = floor_int(s * (1 / 26.0f));
    const float hs = (static_cast<float>(hole_cell) + 0.5f) * 26, ht = 0.6f;
    const float hole = std::sqrt(squared(s - hs) + squared(t - ht));
    if (hole < 1)
      colour = lerp(colour, rgb(62, 58, 56),
                    coverage(hole, -1, 0.36f, std::max(across, ahead * 0.5f)) * 0.85f);
    // Paint.
    float paint = 0;
    const float wear =
        0.72f + 0.28f * smoothstep(0.25f, 0.55f, smooth_noise(noise, s * 3.1f, t * 7.0f));
    if (g.junction > 0) {
      const bool double_line = g.block->district == District::downtown;
      if (double_line) {
        paint = coverage(t, -0.22f, -0.10f, across) + coverage(t, 0.10f, 0.22f, across);
      } else {
        paint = coverage(t, -0.08f, 0.08f, across) * stripes(s, 9, 0, 3.6f, ahead);
      }
      if (g.junction < 6.2f) {
        paint *= coverage(g.junction, 6.0f, 50.0f, ahead);
        // Zebra, and the stop line before it on the lane that leads to it.
        const float zebra = coverage(g.junction, 1.4f, 4.2f, ahead) *
                            stripes(abs_t + 0.25f, 1.0f, 0.0f, 0.5f, across);
        const float into = hit.position.z - g.block->z;
        const bool before = !(g.block->junction && into < block_length * 0.5f);
        const bool own_lane = before ? t > 0.2f : t < -0.2f;
        const float stop =
            own_lane && abs_t < 3.5f ? coverage(g.junction, 5.0f, 5.45f, ahead) : 0.0f;
        paint = std::max(paint, std::max(zebra, stop));
      } else if (g.block->district != District::industrial) {
        // Parking bays.
        const float line = coverage(abs_t, 3.62f, 3.72f, across) * stripes(s, 6.3f, 0, 6.3f, ahead);
        paint = std::max(paint, line * 0.75f);
      } else {
        paint = std::max(paint, coverage(abs_t, 5.3f, 5.45f, across));
      }
    }
    colour = lerp(colour, style.marking, clamp01(paint) * wear * 0.9f);
    // The gutter.
    const float rim = clamp01(1 + g.kerb * 2.2f);
    colour = colour * (1 - 0.32f * rim * rim);
    if (g.kerb > -0.45f) colour = lerp(colour, style.asphalt * 0.8f, 0.3f);
  } else if (label == 1) {
    const float slab = g.block->district == District::boulevard ? 0.4f : 0.75f;
    const float joint =
        std::max(stripes(s, slab, 0, 0.025f, ahead), stripes(g.kerb, slab, 0, 0.025f, across));
    const std::uint32_t tile =
        hash32(17U, floor_int(s / slab), floor_int(g.kerb / slab) + (t < 0 ? 64 : 0));
    const float each = (unit(tile) - 0.5f) * clamp01(1.5f - ahead);
    colour = style.slab * (0.84f + 0.24f * broad + 0.16f * each + 0.2f * grit * fine_fade) *
             (1 - 0.4f * joint);
  } else {
    const float blades = rough_noise(noise, s * 9.0f, t * 24.0f) - 0.5f;
    const float mottle = smooth_noise(noise, s * 0.8f + 11, t * 0.8f) - 0.5f;
    colour = style.grass * (0.9f + 0.6f * mottle + 0.9f * blades * clamp01(1.4f - ahead * 0.8f));
    colour = lerp(colour, colour * Vec3{1.35f, 1.05f, 0.7f}, clamp01(mottle * 2.0f));
    if (g.block->district == District::boulevard) {
      const float fallen = smoothstep(0.55f, 0.75f, smooth_noise(noise, s * 4, t * 4 + 9));
      colour = lerp(colour, rgb(176, 112, 40), 0.7f * fallen);
    }
  }
  // The kerb stone: its face towards the road is in shade, its top is light. Borders are blended
  // over one pixel; the label takes the centre.
  const float border = hit.pixel * 1.2f + (abs_t < road_half_width + 0.5f ? 0.0f : ahead * 0.3f);
  if (g.kerb > -border && g.kerb < 0.6f) {
    const float face = coverage(g.kerb, 0.0f, 0.12f, border),
                top = coverage(g.kerb, 0.12f, 0.30f, border);
    const float joints = 1 - 0.3f * stripes(s, 1.0f, 0, 0.03f, ahead);
    colour = lerp(colour, style.kerb * 0.55f, face);
    colour = lerp(colour, style.kerb * joints, top);
  }
  float sun = 0, ambient = 0;
  raster.ground_shadow(hit.i, hit.j, sun, ambient);
  if (sun > 0 && sun < 0.97f)
    sun = clamp01(sun + (smooth_noise(noise, s * 2.0f, t * 2.0f) - 0.5f) * 0.9f *
                            std::min(sun, 1 - sun) * 2);
  if (view.air.wetness > 0)
    colour = colour * (1 - 0.45f * view.air.wetness * (label == 9 ? 0.4f : 1.0f));
  return colour * incident(view, {0, 1, 0}, hit.position, sun * 0.94f, 1 - 0.85f * ambient);
}

Vec3 shade_facade(const View& view, const Surface& s, const Hit& hit) {
  const int style = s.style & style_mask;
  const bool shop = (s.style & shop_flag) != 0, blank = (s.style & side_flag) != 0;
  const float width = s.a, height = s.b, storey = s.c;
  const float u = hit.u, v = hit.v, fu = hit.spread_u, fv = hit.spread_v;
  const NoiseTables& noise = *view.noise;
  const float hash_u = static_cast<float>(s.hash & 127U);
  const float stain = smooth_noise(noise, u * 0.9f + hash_u, v * 0.6f);
  const float streak = smooth_noise(noise, u * 5.0f + hash_u, v * 0.25f);
  Vec3 wall = s.colour * (0.88f + 0.16f * stain + 0.08f * streak);
  if (style == brick) {
    const float course = stripes(v, 0.15f, 0, 0.028f, fv);
    const int row = floor_int(v * (1 / 0.15f));
    const float shift = (row & 1) != 0 ? 0.2f : 0.0f;
    const float head = stripes(u + shift, 0.4f, 0, 0.03f, fu);
    const std::uint32_t stone = hash32(s.hash, row, floor_int((u + shift) * 2.5f));
    const float each = (unit(stone) - 0.5f) * clamp01(1.2f - 6 * std::max(fu * 0.5f, fv));
    wall = wall * (1 + 0.35f * each);
    wall = lerp(wall, rgb(176, 166, 152), 0.45f * std::max(course, head));
  } else if (style == siding) {
    wall = wall * (1 - 0.30f * stripes(v, 0.22f, 0, 0.045f, fv));
  } else if (style == sheet) {
    wall = wall * (0.86f + 0.22f * stripes(u, 0.5f, 0, 0.25f, fu)) *
           (1 - 0.25f * stripes(v, 3.0f, 0, 0.06f, fv));
    wall = lerp(wall, rgb(140, 84, 52), 0.30f * smoothstep(0.6f, 0.85f, streak));
  }
  Vec3 glow, colour = wall;
  float mirror = 0;
  const float lit_share = view.air.lamps * 0.48f;
  Vec3 normal = s.normal;
  const auto glass_at = [&](std::uint32_t id, float fx, float fy, float cover, bool bright) {
    // Inside of a room, curtains for some, the sky's mirror image over it.
    const float chance = unit(id);
    Vec3 inside = rgb(40, 44, 50) * (0.7f + 0.5f * fy);
    if (unit(hash32(id + 5)) < 0.4f) {
      const float drape =
          std::max(coverage(fx, -1.0f, 0.22f, 0.08f), coverage(fx, 0.78f, 2.0f, 0.08f));
      inside = lerp(inside, rgb(196, 188, 172), 0.75f * drape);
    }
    if (unit(hash32(id + 9)) < 0.3f && fy > 0.55f) inside = rgb(188, 184, 174) * 0.8f;
    colour = lerp(colour, inside, cover);
    mirror = std::max(mirror, cover * (bright ? 0.35f : 0.55f));
    if (chance < (bright ? 0.9f * view.air.lamps : lit_share)) {
      const Vec3 warm =
          unit(hash32(id + 3)) < 0.75f ? Vec3{1.0f, 0.72f, 0.38f} : Vec3{0.82f, 0.92f, 1.0f};
      const float strength =
          (bright ? 1.05f : 0.75f) * view.air.lamps * (0.5f + 0.7f * unit(hash32(id + 4)));
      const float furniture = 0.65f + 0.5f * smooth_noise(noise, u * 6, v * 5);
      glow = glow + warm * (strength * furniture * cover);
      mirror *= 1 - 0.6f * cover;
    }
  };
  if (width > 0.5f) {
    const float base = shop ? 3.9f : (style == glass ? 0.6f : 0.35f);
    if (style == glass) {
      // Curtain wall: panes between thin posts, a spandrel at each floor.
      const float bays = static_cast<float>(std::max(1, static_cast<int>(width / 1.5f)));
      const float bay = width / bays;
      const float post = stripes(u + 0.04f, bay, 0, 0.08f, fu);
      const float spandrel = stripes(v - base, storey, 0, 0.55f, fv);
      const std::uint32_t pane = hash32(s.hash, floor_int((v - base) / storey), floor_int(u / bay));
      const float each = clamp01(1.5f - 0.8f * fu);
      const float tilt = (unit(pane) - 0.5f) * 0.06f * each;
      normal = normalized(normal + Vec3{tilt, (unit(hash32(pane)) - 0.5f) * 0.05f * each, tilt});
      colour = s.colour * (0.55f + 0.25f * (unit(hash32(pane + 1)) - 0.5f) * each);
      mirror = 0.78f;
      const std::uint32_t room =
          hash32(s.hash + 3U, floor_int((v - base) / storey), floor_int(u / (bay * 3)));
      if (unit(room) < lit_share * 0.9f) {
        glow = Vec3{0.92f, 0.86f, 0.66f} *
               (0.55f * view.air.lamps * (0.6f + 0.5f * unit(hash32(room))));
        mirror = 0.4f;
      }
      const float lines = std::max(post, spandrel * 0.85f);
      colour = lerp(colour, lerp(s.colour, s.second, 0.35f) * 0.75f, lines);
      mirror *= 1 - 0.75f * lines;
      glow = glow * (1 - lines);
    } else {
      const float bays = static_cast<float>(std::max(1, static_cast<int>(width / s.d)));
      const float bay = width / bays;
      const float above = v - base;
      const int floor = floor_int(above / storey);
      const float top_margin = style == sheet ? 0.5f : 0.2f;
      const bool on_floor = above > 0 && static_cast<float>(floor + 1) * storey <
                                             height - base - top_margin + storey * 0.25f;
      const int column = floor_int(u / bay);
      const float x = u - bay * static_cast<float>(column),
                  y = above - storey * static_cast<float>(floor);
      const std::uint32_t id = hash32(s.hash, floor, column);
      const std::uint32_t wall_kind = hash32(s.hash + 1U);
      const bool sparse = blank && style != plaster && style != brick;
      const bool absent = (blank && unit(id + 1U) < 0.45f) || (sparse && unit(hash32(id)) < 0.5f) ||
                          (style == sheet && floor == 0);
      if (on_floor && !absent) {
        float half = bay * (0.22f + 0.10f * unit(wall_kind));
        float low = storey * 0.30f, high = storey * 0.82f;
        if (style == sheet) {
          half = bay * 0.42f;
          low = storey * 0.45f;
          high = storey * 0.75f;
        }
        const float centre = bay * 0.5f;
        const float frame = 0.10f;
        const float outer = coverage(x, centre - half - frame, centre + half + frame, fu) *
                            coverage(y, low - frame, high + frame, fv);
        const float inner =
            coverage(x, centre - half, centre + half, fu) * coverage(y, low, high, fv);
        if (outer > 0) {
          colour = lerp(colour, s.second, outer);
          const float mullion = std::max(coverage(x, centre - 0.04f, centre + 0.04f, fu),
                                         0.8f * coverage(y, high - 0.55f, high - 0.48f, fv));
          const float pane = inner * (1 - 0.85f * mullion);
          // The reveal shades the top and one side of the pane.
          const float reveal =
              1 - 0.45f * std::max(coverage(y, high - 0.18f, high, fv),
                                   coverage(x, centre - half, centre - half + 0.10f, fu));
          glass_at(id, (x - centre + half) / (2 * half), (y - low) / (high - low), pane, false);
          colour = colour * lerp(1.0f, reveal, inner);
          // Flower boxes and shutters for houses.
          if (style != sheet && (wall_kind & 3U) == 1U) {
            const float shutter = (coverage(x, centre - half - 0.45f, centre - half - frame, fu) +
                                   coverage(x, centre + half + frame, centre + half + 0.45f, fu)) *
                                  coverage(y, low, high, fv);
            const Vec3 board =
                lerp(rgb(52, 82, 66), rgb(110, 48, 40), unit(hash32(wall_kind + 1U)));
            colour = lerp(colour, board * (1 - 0.25f * stripes(y, 0.12f, 0, 0.04f, fv)),
                          std::min(1.0f, shutter));
          }
        }
        // Sill, with its shadow below.
        const float sill = coverage(x, centre - half - 0.16f, centre + half + 0.16f, fu);
        colour = lerp(colour, s.second * 1.05f, sill * coverage(y, low - 0.20f, low - 0.08f, fv));
        colour = colour * (1 - 0.3f * sill * coverage(y, low - 0.38f, low - 0.20f, fv));
        // Iron balconies on plastered fronts.
        if (style == plaster && !blank && height > 10 && floor > 0 &&
            unit(hash32(s.hash + 31U, column)) < 0.35f) {
          const float rail = coverage(x, bay * 0.08f, bay * 0.92f, fu);
          const float bars =
              std::max(stripes(x, 0.16f, 0, 0.04f, fu), coverage(y, low + 0.28f, low + 0.36f, fv));
          colour = lerp(colour, rgb(40, 42, 44),
                        rail * 0.8f * bars * coverage(y, 0.05f, low + 0.36f, fv));
          colour = lerp(colour, s.second * 0.8f, rail * coverage(y, -0.12f, 0.05f, fv));
        }
      }
      // String courses between the floors of town houses.
      if (style == plaster && above > 0 && height > 10) {
        colour = lerp(colour, s.second, 0.7f * stripes(above + 0.1f, storey, 0, 0.16f, fv));
      }
      // A door in the front of a house or hall.
      if (!blank && !shop) {
        const int door_column =
            static_cast<int>(hash32(s.hash + 8U) % static_cast<std::uint32_t>(bays));
        const float dx = u - bay * (static_cast<float>(door_column) + 0.5f);
        const float door_half = style == sheet ? 2.0f : 0.52f,
                    door_high = style == sheet ? 3.9f : 2.15f;
        const float cover = coverage(dx, -door_half - 0.12f, door_half + 0.12f, fu) *
                            coverage(v, -1, door_high + 0.12f, fv);
        if (cover > 0) {
          const float leaf =
              coverage(dx, -door_half, door_half, fu) * coverage(v, -1, door_high, fv);
          const Vec3 wood = lerp(rgb(120, 44, 36), rgb(36, 62, 84), unit(hash32(s.hash + 12U)));
          Vec3 door = wood * (0.8f + 0.2f * stripes(dx, 0.5f, 0, 0.4f, fu));
          if (style == sheet)
            door = rgb(178, 178, 172) * (0.75f + 0.25f * stripes(v, 0.4f, 0, 0.32f, fv));
          colour = lerp(colour, lerp(s.second, door, leaf), cover);
          glow = glow * (1 - cover);
          mirror *= 1 - cover;
          if (style != sheet) {
            const float light = coverage(dx, -0.3f, 0.3f, fu) * coverage(v, 1.6f, 2.0f, fv);
            glow = glow + Vec3{1.0f, 0.72f, 0.4f} * (light * 0.6f * view.air.lamps);
          }
        }
        // Garage door for half of the houses.
        if (style != sheet && height < 7 && (hash32(s.hash + 21U) & 1U) != 0 && width > 9) {
          const bool left = (hash32(s.hash + 22U) & 1U) != 0;
          const float gx = left ? u - 1.9f : width - 1.9f - u;
          const float garage = coverage(gx, -1.35f, 1.35f, fu) * coverage(v, -1, 2.3f, fv);
          const Vec3 panel = rgb(226, 222, 212) * (0.82f + 0.18f * stripes(v, 0.55f, 0, 0.45f, fv));
          colour = lerp(colour, panel, garage);
          glow = glow * (1 - garage);
          mirror *= 1 - garage;
        }
      }
    }
    if (shop && v < 4.1f) {
      // Shop front: pillars, display windows, a sign band.
      const float units = static_cast<float>(std::max(1, static_cast<int>(width / 6.0f)));
      const float unit_width = width / units;
      const int number = floor_int(u / unit_width);
      const float x = u - unit_width * static_cast<float>(number);
      const std::uint32_t id = hash32(s.hash + 40U, number);
      glow = {};
      mirror = 0;
      const Vec3 hue = Vec3{0.25f + 0.75f * unit(hash32(id)), 0.2f + 0.6f * unit(hash32(id + 1)),
                            0.2f + 0.7f * unit(hash32(id + 2))};
      colour = lerp(wall * 0.8f, s.second * 0.6f, 0.5f);
      const float display =
          coverage(x, 0.4f, unit_width - 0.4f, fu) * coverage(v, 0.45f, 2.75f, fv);
      const float post = stripes(x - 0.4f, (unit_width - 0.8f) / 3, 0, 0.07f, fu);
      const float goods = smooth_noise(noise, u * 7 + 5, v * 8);
      const float fy = (v - 0.45f) / 2.3f;
      glass_at(id + 100U, 0.5f, fy * 0.5f, display * (1 - 0.8f * post), true);
      const Vec3 ware = lerp(rgb(60, 52, 46), hue * hue, smoothstep(0.45f, 0.7f, goods));
      const float shelf = display * coverage(v, 0.45f, 1.7f, fv) * 0.55f;
      colour = lerp(colour, ware, shelf);
      const float band = coverage(x, 0.25f, unit_width - 0.25f, fu) * coverage(v, 2.95f, 3.65f, fv);
      if (band > 0) {
        const Vec3 ground = hue * hue * 0.6f;
        const int letter = floor_int(x * 2.6f);
        const std::uint32_t glyph = hash32(id + 7U, letter);
        const float lx = x * 2.6f - static_cast<float>(letter);
        const float ink = (unit(glyph) < 0.82f && x > 1.0f && x < unit_width - 1.0f)
                              ? coverage(lx, 0.15f, 0.85f, fu * 2.6f) *
                                    coverage(v, 3.12f, 3.48f, fv) *
                                    (coverage(lx, 0.38f, 0.62f, fu * 2.6f) > 0.5f
                                         ? ((glyph & 16U) != 0 ? 0.25f : 1.0f)
                                         : 1.0f)
                              : 0.0f;
        colour = lerp(colour, lerp(ground, rgb(244, 238, 222), ink), band);
        glow = glow + lerp(ground, Vec3{1.0f, 0.95f, 0.85f}, ink) *
                          (band * view.air.lamps * ((id & 1U) != 0 ? 0.8f : 0.15f));
      }
    }
  }
  // Rain water and dust: darker at the foot; contact shade at the ground and under the cornice.
  float open = 0.62f + 0.38f * smoothstep(0.0f, 2.2f, v);
  if (width > 0.5f) open *= 1 - 0.4f * coverage(v, height - 0.6f, height + 1, 0.5f);
  const float foot = coverage(v, -1, 0.35f, fv);
  if (style != glass) colour = lerp(colour, colour * 0.62f, foot);
  Vec3 lit = colour * incident(view, s.normal, hit.position, 0, open);
  if (mirror > 0) {
    Vec3 sky = reflected(view, hit.ray, normal);
    // Houses across the street darken the lower part of what is mirrored.
    const float across = smooth_noise(noise, u * 0.35f + hash_u, 7);
    const float skyline = smoothstep(0.0f, 3.0f, v - 5 - 12 * across);
    sky = lerp((view.air.ambient + view.air.sun * 0.15f) * 0.20f, sky,
               style == glass ? 0.35f + 0.65f * skyline : 0.25f + 0.5f * skyline);
    lit = lerp(lit, sky, mirror);
  }
  return lit + glow;
}

Vec3 shade_leaves(const View& view, const Surface& s, const Hit& hit) {
  const NoiseTables& noise = *view.noise;
  Vec3 normal;
  float clump, open;
  if (s.is_ball) {
    const float x = (hit.i - s.centre_i) * s.scale_i, y = (hit.j - s.centre_j) * s.scale_j;
    const float rest = std::max(0.0f, 1 - x * x - y * y);
    normal = view.camera.right * x - view.camera.up * y - view.camera.forward * std::sqrt(rest);
    const float metres_x = x / (s.scale_i * 2) * hit.pixel,
                metres_y = y / (s.scale_j * 2) * hit.pixel;
    const float ou = static_cast<float>(s.hash & 255U),
                ov = static_cast<float>((s.hash >> 8) & 255U);
    const float near_detail = clamp01(1.6f - hit.pixel * 14);
    const float mid =
        rough_noise(noise, metres_x * 14 + ou, metres_y * 14 + ov, hit.pixel > 0.06f ? 2 : 0);
    const float fine =
        near_detail > 0 ? rough_noise(noise, metres_x * 38 + ov, metres_y * 38 + ou) : 0.5f;
    clump = lerp(mid, mid * 0.55f + fine * 0.45f, near_detail);
    open = (0.42f + 0.58f * s.a) * (0.55f + 0.45f * clamp01(0.5f - y * 0.7f));
  } else {
    normal = s.normal;
    clump = lerp(rough_noise(noise, hit.u * 14, hit.v * 14, 1),
                 rough_noise(noise, hit.u * 36, hit.v * 36), 0.5f * clamp01(1.6f - hit.pixel * 14));
    open = 0.5f + 0.5f * smoothstep(0.0f, 1.2f, hit.v + (s.a > 0.9f ? 2.0f : 0.0f));
  }
  const float depth = smoothstep(0.22f, 0.72f, clump);
  const Vec3 colour = s.colour * lerp(Vec3{0.30f, 0.36f, 0.34f}, Vec3{1.36f, 1.26f, 1.1f}, depth);
  const Atmosphere& air = view.air;
  // Leaves scatter: light wraps around the crown, and shines through against the sun.
  const float facing = dot(normal, air.sun_direction);
  const float wrap = clamp01(facing * 0.7f + 0.3f) * lerp(0.55f, 1.0f, depth);
  const float through = 0.25f * clamp01(-facing);
  const float up = 0.5f + 0.5f * normal.y;
  return colour * (air.sun * (wrap + through) * lerp(0.6f, 1.0f, s.a) +
                   (lerp(air.bounce, air.ambient, up) + lamp_light(view, hit.position)) * open);
}

Vec3 shade_paint(const View& view, Vec3 albedo, Vec3 normal, const Hit& hit, float gloss,
                 float open) {
  const Vec3 body = albedo * incident(view, normal, hit.position, 0, open);
  const float facing = -dot(normalized(hit.ray), normal);
  const float fresnel = gloss * (0.05f + 0.95f * squared(squared(clamp01(1 - facing))));
  return body + reflected(view, hit.ray, normal) * (fresnel + 0.03f * gloss);
}

Vec3 shade_car(const View& view, const Surface& s, const Hit& hit) {
  Vec3 colour = s.colour;
  float gloss = 0.5f;
  Vec3 glow, normal = s.normal;
  const float fu = hit.spread_u, fv = hit.spread_v;
  if (s.material == Material::car_side) {
    // Arches, door gaps, a crease and a darker sill; the normal turns so that the flank is rounded.
    const float u = hit.u, v = hit.v;
    normal = normalized(s.normal + Vec3{0, lerp(-0.35f, 0.45f, clamp01(v / s.b)), 0});
    for (const float hub : {s.c, s.d}) {
      const float d = std::sqrt(squared(u - hub) + squared(v - 0.10f));
      colour = lerp(colour, rgb(18, 18, 18), coverage(d, -1, 0.40f, std::max(fu, fv)));
    }
    const float middle = 0.52f * s.a;
    const float gap = coverage(u, middle - 0.012f, middle + 0.012f, fu) +
                      coverage(u, middle - 1.02f, middle - 0.996f, fu) +
                      coverage(u, middle + 0.85f, middle + 0.874f, fu);
    colour = colour * (1 - 0.6f * std::min(1.0f, gap));
    colour = lerp(colour, colour * 0.45f, coverage(v, -1, 0.10f, fv));
    colour = lerp(colour, colour * 1.25f, coverage(v, s.b * 0.74f, s.b * 0.79f, fv));
    colour = lerp(colour, rgb(30, 30, 32),
                  coverage(u, middle - 0.16f, middle - 0.04f, fu) *
                      coverage(v, s.b * 0.80f, s.b * 0.86f, fv));
  } else if (s.material == Material::car_front) {
    const float u = hit.u - s.a * 0.5f, v = hit.v;
    const float abs_u = u < 0 ? -u : u;
    const float grille =
        coverage(abs_u, -1, s.a * 0.27f, fu) * coverage(v, s.b * 0.52f, s.b * 0.88f, fv);
    colour = lerp(colour, rgb(24, 24, 26) * (1 + 1.2f * stripes(v, 0.06f, 0, 0.025f, fv)), grille);
    colour = lerp(colour, rgb(28, 28, 30), coverage(v, -1, s.b * 0.26f, fv));
    const float plate =
        coverage(abs_u, -1, 0.25f, fu) * coverage(v, s.b * 0.28f, s.b * 0.28f + 0.11f, fv);
    colour = lerp(colour, rgb(226, 226, 220), plate);
    const float lamp =
        coverage(abs_u, s.a * 0.32f, s.a * 0.47f, fu) * coverage(v, s.b * 0.60f, s.b * 0.92f, fv);
    colour = lerp(colour, rgb(216, 220, 224), lamp);
    if ((s.style & 1) != 0) glow = Vec3{1.0f, 0.95f, 0.82f} * (3.0f * lamp);
  } else if (s.material == Material::car_rear) {
    const float u = hit.u - s.a * 0.5f, v = hit.v;
    const float abs_u = u < 0 ? -u : u;
    colour = lerp(colour, rgb(30, 30, 32), coverage(v, -1, s.b * 0.24f, fv));
    const float plate =
        coverage(abs_u, -1, 0.26f, fu) * coverage(v, s.b * 0.46f, s.b * 0.46f + 0.12f, fv);
    colour = lerp(colour, rgb(232, 230, 216), plate);
    const float lamp =
        coverage(abs_u, s.a * 0.31f, s.a * 0.48f, fu) * coverage(v, s.b * 0.58f, s.b * 0.86f, fv);
    colour = lerp(colour, rgb(150, 16, 18), lamp);
    colour = colour * (1 - 0.4f * coverage(v, s.b * 0.30f, s.b * 0.33f, fv));
    const float strength = ((s.style & 1) != 0 ? 0.8f : 0.0f) + ((s.style & 2) != 0 ? 1.8f : 0.0f);
    glow = Vec3{1.0f, 0.06f, 0.04f} * (strength * lamp);
  } else if (s.material == Material::car_glass) {
    gloss = 1.0f;
    const Vec3 body = colour * incident(view, normal, hit.position, 0, 1) * 0.5f;
    const float facing = -dot(normalized(hit.ray), normal);
    const float fresnel = 0.16f + 0.7f * squared(squared(clamp01(1 - facing)));
    Vec3 mirror = reflected(view, hit.ray, normalized(normal + Vec3{0, 0.12f, 0}));
    mirror = mirror *
             (0.55f + 0.5f * smooth_noise(*view.noise, hit.u * 3 + static_cast<float>(s.hash & 63U),
                                          hit.v * 3));
    return lerp(body, mirror, fresnel);
  } else if (s.material == Material::wheel) {
    const float r = std::sqrt(squared(hit.u) + squared(hit.v));
    const float footprint = std::max(fu, fv);
    const float rim = coverage(r, -1, 0.68f, footprint);
    // Five spokes without an angle: distance to the nearest of five directions.
    static constexpr float spokes[5][2] = {
        {0, 1}, {0.951f, 0.309f}, {0.588f, -0.809f}, {-0.588f, -0.809f}, {-0.951f, 0.309f}};
    float best = 1;
    for (const auto& spoke : spokes) {
      const float along = hit.u * spoke[0] + hit.v * spoke[1],
                  aside = hit.u * spoke[1] - hit.v * spoke[0];
      if (along > 0) best = std::min(best, aside < 0 ? -aside : aside);
    }
    const float metal =
        std::max(coverage(best, -1, 0.13f, footprint),
                 std::max(coverage(r, 0.58f, 0.68f, footprint), coverage(r, -1, 0.2f, footprint)));
    colour = lerp(colour, lerp(rgb(40, 40, 42), rgb(176, 178, 182), metal), rim);
    gloss = 0.2f;
  }
  const float height = hit.position.y + view.camera.eye_height;
  const float open = 0.45f + 0.55f * smoothstep(0.1f, 0.9f, height);
  return shade_paint(view, colour, normal, hit, gloss, open) + glow;
}

Vec3 shade_object(const View& view, const Surface& s, const Hit& hit) {
  switch (s.material) {
    case Material::facade:
      return shade_facade(view, s, hit);
    case Material::leaves:
      return shade_leaves(view, s, hit);
    case Material::paint:
    case Material::car_side:
    case Material::car_front:
    case Material::car_rear:
    case Material::car_glass:
    case Material::wheel:
      return shade_car(view, s, hit);
    case Material::roof: {
      const float row = stripes(hit.v, 0.32f, 0, 0.08f, hit.spread_v);
      const float tile = stripes(hit.u, 0.26f, 0, 0.04f, hit.spread_u);
      const float stain =
          smooth_noise(*view.noise, hit.u * 0.8f + static_cast<float>(s.hash & 127U), hit.v * 0.8f);
      const std::uint32_t id =
          hash32(s.hash, floor_int(hit.v * (1 / 0.32f)), floor_int(hit.u * (1 / 0.26f)));
      const float each = (unit(id) - 0.5f) * clamp01(1.3f - 5 * hit.spread_v);
      const Vec3 colour =
          s.colour * (0.82f + 0.34f * stain + 0.22f * each) * (1 - 0.35f * row - 0.12f * tile);
      return shade_paint(view, colour, s.normal, hit, view.air.wetness * 0.5f, 1);
    }
    case Material::awning: {
      const float band = stripes(hit.u, 0.7f, 0, 0.35f, hit.spread_u);
      return lerp(s.colour, s.second, band) * incident(view, s.normal, hit.position, 0, 0.85f);
    }
    case Material::limb: {
      const float x = std::clamp(hit.u, -1.0f, 1.0f);
      const Vec3 side = normalized(s.u);
      const Vec3 normal = side * x + s.normal * std::sqrt(std::max(0.0f, 1 - x * x));
      float tone = 1;
      if (s.label == 8)
        tone =
            0.75f + 0.5f * smooth_noise(*view.noise, hit.u * 4 + static_cast<float>(s.hash & 127U),
                                        hit.v * 5);
      if (s.label == 11)
        tone = 0.86f + 0.28f * smooth_noise(*view.noise,
                                            hit.u * 2.5f + static_cast<float>(s.hash & 127U),
                                            hit.v * 9);
      const float height = hit.position.y + view.camera.eye_height;
      return s.colour * tone *
             incident(view, normal, hit.position, s.label == 8 ? 0.4f : 0.0f,
                      0.55f + 0.45f * smoothstep(0.0f, 1.0f, height));
    }
    case Material::ball: {
      const float x = (hit.i - s.centre_i) * s.scale_i, y = (hit.j - s.centre_j) * s.scale_j;
      const Vec3 normal = view.camera.right * x - view.camera.up * y -
                          view.camera.forward * std::sqrt(std::max(0.0f, 1 - x * x - y * y));
      const bool hair =
          s.style == 2 ? y < 0.55f
                       : (s.style == 1 && (y < -0.30f || (y < 0.1f && (x > 0.78f || x < -0.78f))));
      return (hair ? s.second : s.colour) * incident(view, normal, hit.position, 0, 0.9f);
    }
    case Material::glowing:
      return s.colour * incident(view, {0, 1, 0}, hit.position, 0, 1) + s.second;
    default:
      return s.colour * incident(view, s.normal, hit.position, 0, 0.9f);
  }
}

}  // namespace

Vec3 sky_gradient(const Atmosphere& air, Vec3 direction) {
  const Vec3 d = normalized(direction);
  const float up = clamp01(d.y);
  const float low = 1 - up;
  const float falloff = low * low * low;
  Vec3 colour = lerp(air.zenith, air.horizon, falloff * (0.35f + 0.65f * low * low));
  const float towards = clamp01(dot(d, air.sun_direction));
  const float t2 = towards * towards, t8 = t2 * t2 * t2 * t2;
  colour = colour + air.glow * (0.30f * t8 + 0.7f * t8 * t8 * t8);
  return colour;
}

bool meets_skyline(const View& view, Vec3 ray) {
  if (ray.z <= 0.05f || ray.y > 0.12f * ray.z) return false;
  const float azimuth = ray.x / ray.z;
  const float noise =
      smooth_noise(*view.noise, azimuth * 60 + static_cast<float>(view.seed & 255U), 3.5f);
  const float detail = smooth_noise(*view.noise, azimuth * 420, 9.5f);
  return ray.y < ray.z * (0.004f + 0.045f * noise + 0.008f * detail);
}

std::uint8_t label_of(const View& view, const Raster& raster, std::uint32_t id, int i, int j) {
  if (id != Raster::ground_id) return raster.surfaces()[id].label;
  const auto fi = static_cast<float>(i), fj = static_cast<float>(j);
  const Vec3 ray = view.camera.ray(fi, fj);
  const float depth = raster.depth(id, fi, fj);
  return ground_label(view.ground_at(ray.x * depth, ray.z * depth));
}

Vec3 shade(const View& view, const Raster& raster, std::uint32_t id, int i, int j) {
  Hit hit;
  hit.i = static_cast<float>(i);
  hit.j = static_cast<float>(j);
  hit.ray = view.camera.ray(hit.i, hit.j);
  if (id == Raster::sky_id) return shade_sky(view, hit.ray);
  if (id == Raster::skyline_id) {
    const Vec3 wood = Vec3{0.10f, 0.14f, 0.07f} * (view.air.ambient + view.air.sun * 0.4f);
    return lerp(wood, view.air.haze, 0.45f + 0.5f * (1 - exp_minus(view.air.haze_density * 90)));
  }
  const Surface& s = raster.surfaces()[id];
  hit.depth = raster.depth(id, hit.i, hit.j);
  hit.position = hit.ray * hit.depth;
  hit.pixel = hit.depth / view.camera.focal;
  if (id == Raster::ground_id) return with_haze(view, shade_ground(view, raster, hit), hit);
  if (!s.is_ball) {
    const Vec3 local = hit.position - s.origin;
    hit.u = dot(s.u, local);
    hit.v = dot(s.v, local);
    // How far one pixel reaches on the plane; slanted planes stretch it along the slant.
    const Vec3 view_ray = normalized(hit.ray);
    const float facing = std::max(0.06f, -dot(view_ray, s.normal));
    const float along_u = dot(view_ray, s.u), along_v = dot(view_ray, s.v);
    const float length_u = std::sqrt(dot(s.u, s.u)), length_v = std::sqrt(dot(s.v, s.v));
    hit.spread_u =
        hit.pixel * (length_u + (along_u < 0 ? -along_u : along_u) * (1 / facing - 1)) + 1e-5f;
    hit.spread_v =
        hit.pixel * (length_v + (along_v < 0 ? -along_v : along_v) * (1 / facing - 1)) + 1e-5f;
  }
  return with_haze(view, shade_object(view, s, hit), hit);
}

}  // namespace ams::street
