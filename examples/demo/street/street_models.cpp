#include "street_models.hpp"

#include <cstddef>

namespace ams::street {
namespace {

constexpr std::uint8_t building_id = 2, pole_id = 5, traffic_light_id = 6, traffic_sign_id = 7,
                       vegetation_id = 8, person_id = 11, car_id = 13;

Surface plain(std::uint8_t label, Vec3 colour, Material material = Material::plain) {
  Surface s;
  s.material = material;
  s.label = label;
  s.colour = colour;
  return s;
}

/// The same polygon, drawn and casting the sun's shadow.
void face_with_shadow(Raster& raster, std::span<const Vec3> points, const Surface& surface,
                      const Vec3* inside) {
  raster.face(points, surface, inside);
  raster.shadow(points);
}

}  // namespace

void draw_building(const View& view, Raster& raster, const BuildingPlan& plan) {
  const float h = plan.height;
  const auto at = [&](float z, float t, float y) { return view.point(z, t, y); };
  const float tf = plan.t_front, tb = plan.t_back;
  const float side = tf < 0 ? -1.0f : 1.0f;
  const float zm = (plan.z0 + plan.z1) * 0.5f, tm = (tf + tb) * 0.5f;
  const Vec3 inside = at(zm, tm, h * 0.5f);

  Surface wall = plain(building_id, plan.wall, Material::facade);
  wall.second = plan.trim;
  wall.hash = plan.hash;
  wall.b = h;
  wall.c = plan.storey;
  wall.d = plan.bay;

  struct Wall {
    float z0, t0, z1, t1;
    bool front;
  };
  const Wall walls[4] = {{plan.z0, tf, plan.z1, tf, true},
                         {plan.z0, tb, plan.z0, tf, false},
                         {plan.z1, tf, plan.z1, tb, false},
                         {plan.z1, tb, plan.z0, tb, false}};
  for (int k = 0; k < 4; ++k) {
    const Wall& w = walls[k];
    const Vec3 points[4] = {at(w.z0, w.t0, 0), at(w.z1, w.t1, 0), at(w.z1, w.t1, h),
                            at(w.z0, w.t0, h)};
    const Vec3 base = points[1] - points[0];
    Surface surface = wall;
    surface.a = std::sqrt(dot(base, base));
    surface.hash = hash32(plan.hash, k);
    surface.style = static_cast<std::uint8_t>(plan.style | (w.front && plan.shop ? shop_flag : 0) |
                                              (w.front ? 0 : side_flag));
    face_with_shadow(raster, points, surface, &inside);
  }
  {
    const float o = 0.5f;
    const Vec3 skirt[4] = {at(plan.z0 - o, tf - side * o, 0), at(plan.z1 + o, tf - side * o, 0),
                           at(plan.z1 + o, tb, 0), at(plan.z0 - o, tb, 0)};
    raster.occlude(skirt, 110);
  }

  Surface roof = plain(building_id, plan.roof, Material::roof);
  roof.hash = plan.hash;
  if (plan.roof_height <= 0) {
    const Vec3 top[4] = {at(plan.z0, tf, h), at(plan.z1, tf, h), at(plan.z1, tb, h),
                         at(plan.z0, tb, h)};
    Surface flat = plain(building_id, plan.roof);
    face_with_shadow(raster, top, flat, &inside);
    // A cornice that stands out a little.
    const float o = 0.35f, low = h - 0.15f, high = h + 0.45f;
    const Vec3 cornice[4] = {
        at(plan.z0 - 0.1f, tf - side * o, low), at(plan.z1 + 0.1f, tf - side * o, low),
        at(plan.z1 + 0.1f, tf - side * o, high), at(plan.z0 - 0.1f, tf - side * o, high)};
    raster.face(cornice, plain(building_id, plan.trim));
    const Vec3 soffit[4] = {cornice[0], cornice[1], at(plan.z1 + 0.1f, tf, low),
                            at(plan.z0 - 0.1f, tf, low)};
    raster.face(soffit, plain(building_id, plan.trim * 0.45f));
    for (const float z : {plan.z0 - 0.1f, plan.z1 + 0.1f}) {
      const Vec3 end[4] = {at(z, tf - side * o, low), at(z, tb, low), at(z, tb, high),
                           at(z, tf - side * o, high)};
      raster.face(end, plain(building_id, plan.trim * 0.9f), &inside);
    }
  } else {
    const float o = 0.5f, top = h + plan.roof_height;
    roof.second = plan.trim;
    const float drop = 0.2f;
    if (plan.ridge_across) {
      const Vec3 r0 = at(zm, tf - side * o, top), r1 = at(zm, tb, top);
      for (const float end : {-1.0f, 1.0f}) {
        const float z = end < 0 ? plan.z0 - o : plan.z1 + o;
        const Vec3 slope[4] = {at(z, tf - side * o, h - drop), at(z, tb, h - drop), r1, r0};
        face_with_shadow(raster, slope, roof, nullptr);
        // Barge board along the gable.
        const Vec3 board[4] = {at(z, tf - side * (o + 0.02f), h - drop - 0.22f),
                               at(zm, tf - side * (o + 0.02f), top - 0.22f),
                               at(zm, tf - side * (o + 0.02f), top + 0.05f),
                               at(z, tf - side * (o + 0.02f), h - drop + 0.05f)};
        raster.face(board, plain(building_id, plan.trim));
      }
      const Vec3 gable[3] = {at(plan.z0, tf, h), at(plan.z1, tf, h), at(zm, tf, top - 0.1f)};
      Surface attic = wall;
      attic.style = static_cast<std::uint8_t>(plan.style | side_flag);
      attic.a = 0.1f;
      raster.face(gable, attic);
    } else {
      const Vec3 r0 = at(plan.z0 - o, tm, top), r1 = at(plan.z1 + o, tm, top);
      const Vec3 slope[4] = {at(plan.z0 - o, tf - side * o, h - drop),
                             at(plan.z1 + o, tf - side * o, h - drop), r1, r0};
      face_with_shadow(raster, slope, roof, nullptr);
      const Vec3 back[4] = {at(plan.z0 - o, tb + side * o, h - drop),
                            at(plan.z1 + o, tb + side * o, h - drop), r1, r0};
      face_with_shadow(raster, back, roof, nullptr);
      const Vec3 gutter[4] = {at(plan.z0 - o, tf - side * (o + 0.02f), h - drop - 0.16f),
                              at(plan.z1 + o, tf - side * (o + 0.02f), h - drop - 0.16f),
                              at(plan.z1 + o, tf - side * (o + 0.02f), h - drop + 0.05f),
                              at(plan.z0 - o, tf - side * (o + 0.02f), h - drop + 0.05f)};
      raster.face(gutter, plain(building_id, plan.trim));
      for (const float z : {plan.z0, plan.z1}) {
        const Vec3 gable[3] = {at(z, tf, h), at(z, tb, h), at(z, tm, top - 0.1f)};
        Surface attic = wall;
        attic.style = static_cast<std::uint8_t>(plan.style | side_flag);
        attic.a = 0.1f;
        raster.face(gable, attic, &inside);
      }
    }
    // Chimney.
    Dice dice(plan.hash);
    if (dice.chance(0.7f)) {
      const float z = lerp(plan.z0, plan.z1, dice.between(0.25f, 0.75f)), w = 0.4f;
      const float low = h + plan.roof_height * 0.3f, high = top + 0.7f;
      const Vec3 middle = at(z, tm, high - 0.5f);
      const float zs[5] = {z - w, z + w, z + w, z - w, z - w};
      const float ts[5] = {tm - w, tm - w, tm + w, tm + w, tm - w};
      for (int k = 0; k < 4; ++k) {
        const Vec3 stack[4] = {at(zs[k], ts[k], low), at(zs[k + 1], ts[k + 1], low),
                               at(zs[k + 1], ts[k + 1], high), at(zs[k], ts[k], high)};
        raster.face(stack, plain(building_id, rgb(142, 84, 66)), &middle);
      }
    }
  }
  if (plan.shop) {
    // Awnings over some of the shop windows.
    Dice dice(plan.hash + 77U);
    const float width = plan.z1 - plan.z0;
    const int count = std::max(1, static_cast<int>(width / 6.0f));
    for (int k = 0; k < count; ++k) {
      const float z0 =
          plan.z0 + width * (static_cast<float>(k) + 0.08f) / static_cast<float>(count);
      const float z1 =
          plan.z0 + width * (static_cast<float>(k) + 0.92f) / static_cast<float>(count);
      const bool present = dice.chance(0.5f);
      Surface cloth = plain(building_id, plan.accent, Material::awning);
      cloth.second = dice.chance(0.5f) ? rgb(236, 230, 216) : plan.accent * 0.7f;
      if (!present) continue;
      const float out = tf - side * 1.3f;
      const Vec3 top[4] = {at(z0, out, 2.55f), at(z1, out, 2.55f), at(z1, tf, 3.15f),
                           at(z0, tf, 3.15f)};
      face_with_shadow(raster, top, cloth, nullptr);
      const Vec3 rim[4] = {at(z0, out, 2.3f), at(z1, out, 2.3f), at(z1, out, 2.55f),
                           at(z0, out, 2.55f)};
      raster.face(rim, cloth);
    }
  }
}

void draw_tree(const View& view, Raster& raster, float z, float t, TreeKind kind, float height,
               Vec3 leaf, Dice dice) {
  const float lean = dice.between(-0.3f, 0.3f);
  const Vec3 foot = view.point(z, t, 0);
  Surface crown = plain(vegetation_id, leaf, Material::leaves);
  const auto blob = [&](float x, float y, float depth, float rx, float ry) {
    crown.hash = dice.bits();
    const float shade = dice.between(0.86f, 1.14f);
    const float warm = dice.between(-0.07f, 0.07f);
    crown.colour = leaf * Vec3{shade * (1 + warm), shade, shade * (1 - warm)};
    crown.a = clamp01(y / height);
    const Vec3 centre = foot + Vec3{x + lean * y / height, y, depth};
    raster.ball(centre, rx, ry, 1.15f, crown);
    raster.ball_shadow(centre, rx * 0.86f, ry * 0.86f, 215);
  };
  Surface bark =
      plain(vegetation_id, lerp(rgb(92, 74, 58), rgb(112, 102, 90), dice.roll()), Material::limb);
  bark.hash = dice.bits();
  if (kind == TreeKind::bush) {
    const int count = 3 + dice.below(2);
    for (int k = 0; k < count; ++k) {
      const float r = height * dice.between(0.4f, 0.6f);
      const float x = dice.between(-0.5f, 0.5f) * height, d = dice.between(-0.4f, 0.4f) * height;
      blob(x, height * 0.42f, d, r * 1.1f, r);
    }
  } else if (kind == TreeKind::conifer) {
    raster.limb(foot, foot + Vec3{0, height * 0.3f, 0}, height * 0.022f, height * 0.02f, bark);
    const int rings = 8;
    for (int k = 0; k < rings; ++k) {
      const float f = static_cast<float>(k) / static_cast<float>(rings - 1);
      const float r = height * lerp(0.23f, 0.035f, f);
      const float y = height * lerp(0.2f, 0.96f, f);
      blob(0, y, 0, r, height * lerp(0.13f, 0.07f, f));
      if (k < 5) {
        blob(r * 0.55f, y - height * 0.03f, -r * 0.3f, r * 0.5f, height * 0.075f);
        blob(-r * 0.55f, y - height * 0.03f, -r * 0.3f, r * 0.5f, height * 0.075f);
      }
    }
  } else if (kind == TreeKind::tall) {
    raster.limb(foot, foot + Vec3{0, height * 0.5f, 0}, height * 0.02f, height * 0.014f, bark);
    for (int k = 0; k < 9; ++k) {
      const float f = static_cast<float>(k) / 8.0f;
      const float r = height * (0.085f + 0.05f * (1 - (2 * f - 0.8f) * (2 * f - 0.8f) * 0.6f));
      const float x = dice.between(-0.05f, 0.05f) * height,
                  d = dice.between(-0.04f, 0.04f) * height;
      blob(x, height * lerp(0.2f, 0.92f, f), d, r, r * 1.5f);
    }
  } else {
    const float r0 = height * dice.between(0.022f, 0.028f);
    const float fork = height * 0.42f;
    raster.limb(foot, foot + Vec3{lean * 0.4f, fork, 0}, r0, r0 * 0.75f, bark);
    raster.shadow(std::array<Vec3, 4>{foot + Vec3{-r0, 0, 0}, foot + Vec3{r0, 0, 0},
                                      foot + Vec3{r0 + lean * 0.4f, fork, 0},
                                      foot + Vec3{-r0 + lean * 0.4f, fork, 0}},
                  235);
    for (int k = 0; k < 3; ++k) {
      const float x = (static_cast<float>(k) - 1) * height * 0.13f;
      raster.limb(foot + Vec3{lean * 0.4f, fork * 0.94f, 0},
                  foot + Vec3{x + lean, height * 0.68f, dice.between(-0.1f, 0.1f) * height},
                  r0 * 0.6f, r0 * 0.25f, bark);
    }
    const float spread = height * dice.between(0.25f, 0.32f);
    const int outer = 7;
    for (int k = 0; k < outer; ++k) {
      const double angle = 6.2831853 * (static_cast<double>(k) + dice.roll() * 0.6) / outer;
      const float x = static_cast<float>(cosine(angle)) * spread * dice.between(0.62f, 0.9f);
      const float d = static_cast<float>(sine(angle)) * spread * 0.75f;
      const float r = height * dice.between(0.13f, 0.18f);
      blob(x, height * dice.between(0.46f, 0.68f), d, r * 1.12f, r * 0.92f);
    }
    for (int k = 0; k < 5; ++k) {
      const float r = height * dice.between(0.13f, 0.18f);
      const float x = dice.between(-0.6f, 0.6f) * spread, y = height * dice.between(0.68f, 0.85f);
      const float d = dice.between(-0.5f, 0.5f) * spread;
      blob(x, y, d, r * 1.1f, r * 0.92f);
    }
    blob(0, height * 0.62f, 0, spread * 0.8f, height * 0.17f);
  }
  const float r = 0.45f + height * 0.03f;
  const Vec3 base[6] = {foot + Vec3{-r, 0, 0},        foot + Vec3{-r * 0.5f, 0, r},
                        foot + Vec3{r * 0.5f, 0, r},  foot + Vec3{r, 0, 0},
                        foot + Vec3{r * 0.5f, 0, -r}, foot + Vec3{-r * 0.5f, 0, -r}};
  raster.occlude(base, 130);
}

void draw_hedge(const View& view, Raster& raster, float z0, float z1, float t, float height,
                Vec3 leaf, Dice dice) {
  const float thick = 0.4f;
  const auto at = [&](float z, float tt, float y) { return view.point(z, tt, y); };
  Surface green = plain(vegetation_id, leaf * 0.9f, Material::leaves);
  green.a = 0.4f;
  const Vec3 inside = at((z0 + z1) * 0.5f, t, height * 0.5f);
  const Vec3 corners[4] = {at(z0, t - thick, 0), at(z1, t - thick, 0), at(z1, t + thick, 0),
                           at(z0, t + thick, 0)};
  const Vec3 up{0, height * 0.88f, 0};
  for (int k = 0; k < 4; ++k) {
    const Vec3 p = corners[k], q = corners[(k + 1) % 4];
    const Vec3 wall[4] = {p, q, q + up, p + up};
    green.hash = dice.bits();
    green.b = height;
    face_with_shadow(raster, wall, green, &inside);
  }
  const Vec3 lid[4] = {corners[0] + up, corners[1] + up, corners[2] + up, corners[3] + up};
  green.a = 1;
  raster.face(lid, green, &inside);
  raster.occlude(corners, 150);
  // A leafy rim.
  for (float z = z0 + 0.3f; z < z1; z += 0.8f) {
    green.hash = dice.bits();
    green.a = 0.7f;
    raster.ball(at(z, t, height * 0.85f), 0.6f, 0.22f, 1.0f, green);
  }
}

void draw_car(const View& view, Raster& raster, float z, float t, Vec3 forward,
              const CarLook& look) {
  raster.begin_object();
  // Side profile from the front: x metres behind the front bumper, y above the ground.
  struct Profile {
    float length, width, hood, screen, roof, roof_end, tail, roof_y, hood_y, tail_y, wheel;
  };
  static constexpr Profile profiles[4] = {
      {4.5f, 1.80f, 1.05f, 1.10f, 1.95f, 3.25f, 3.95f, 1.44f, 0.94f, 0.98f, 0.33f},
      {4.0f, 1.76f, 0.90f, 0.95f, 1.75f, 3.45f, 3.92f, 1.50f, 0.95f, 1.02f, 0.32f},
      {4.6f, 1.90f, 1.10f, 1.15f, 1.80f, 3.95f, 4.52f, 1.74f, 1.10f, 1.12f, 0.38f},
      {5.0f, 1.95f, 0.55f, 0.60f, 1.35f, 4.85f, 4.98f, 2.10f, 1.12f, 1.15f, 0.36f}};
  const Profile& p = profiles[look.body & 3];
  const Vec3 right{forward.z, 0, -forward.x};
  const Vec3 middle = view.point(z, t, 0);
  const float hl = p.length * 0.5f, hw = p.width * 0.5f;
  const auto at = [&](float x, float w, float y) {
    return middle + forward * (hl - x) + right * w + Vec3{0, y, 0};
  };
  const Vec3 inside = at(hl, 0, 0.7f);
  const float sill = 0.24f, belt = p.hood_y, in = 0.80f, shoulder = 1.0f;
  const Vec3* const hull = &inside;

  Surface paint = plain(car_id, look.paint, Material::paint);
  paint.hash = look.hash;
  Surface glass = plain(car_id, rgb(44, 50, 56), Material::car_glass);
  glass.hash = look.hash;

  // Shadows: the outline of body and cabin, and the dark under the car.
  const Vec3 ground_plan[4] = {at(-0.1f, -hw - 0.12f, 0), at(p.length + 0.1f, -hw - 0.12f, 0),
                               at(p.length + 0.1f, hw + 0.12f, 0), at(-0.1f, hw + 0.12f, 0)};
  raster.occlude(ground_plan, 170);
  const Vec3 wider[4] = {at(-0.35f, -hw - 0.4f, 0), at(p.length + 0.35f, -hw - 0.4f, 0),
                         at(p.length + 0.35f, hw + 0.4f, 0), at(-0.35f, hw + 0.4f, 0)};
  raster.occlude(wider, 80);
  raster.shadow(ground_plan);
  {
    const Vec3 body_top[4] = {at(0, -hw, belt), at(p.length, -hw, belt), at(p.length, hw, belt),
                              at(0, hw, belt)};
    raster.shadow(body_top);
    const float rw = hw * in;
    const Vec3 cabin_top[4] = {at(p.roof, -rw, p.roof_y), at(p.roof_end, -rw, p.roof_y),
                               at(p.roof_end, rw, p.roof_y), at(p.roof, rw, p.roof_y)};
    raster.shadow(cabin_top);
    for (const float w : {-1.0f, 1.0f}) {
      const Vec3 flank[6] = {at(0, w * hw, 0.1f),          at(p.length, w * hw, 0.1f),
                             at(p.length, w * hw, belt),   at(p.roof_end, w * rw, p.roof_y),
                             at(p.roof, w * rw, p.roof_y), at(0, w * hw, belt)};
      raster.shadow(flank);
    }
  }

  // The dark underside.
  for (const float w : {-0.86f, 0.86f}) {
    const Vec3 under[4] = {at(0.3f, w * hw, 0.02f), at(p.length - 0.3f, w * hw, 0.02f),
                           at(p.length - 0.3f, w * hw, sill + 0.05f),
                           at(0.3f, w * hw, sill + 0.05f)};
    raster.face(under, plain(car_id, rgb(14, 14, 15)));
  }
  for (const float x : {0.25f, p.length - 0.25f}) {
    const Vec3 under[4] = {at(x, -hw * 0.86f, 0.10f), at(x, hw * 0.86f, 0.10f),
                           at(x, hw * 0.86f, sill + 0.05f), at(x, -hw * 0.86f, sill + 0.05f)};
    raster.face(under, plain(car_id, rgb(16, 16, 17)));
  }

  // Lower sides, with wheel arches and door lines from the shader.
  for (const float w : {-1.0f, 1.0f}) {
    Surface flank = paint;
    flank.material = Material::car_side;
    flank.a = p.length;
    flank.b = belt - sill;
    flank.c = 0.17f * p.length + 0.05f;
    flank.d = 0.81f * p.length;
    const float out = w * hw;
    const Vec3 side[7] = {at(0.04f, out, sill),
                          at(p.length - 0.02f, out, sill),
                          at(p.length, out, p.tail_y - 0.06f),
                          at(p.tail, out, p.tail_y),
                          at(p.hood, out, belt),
                          at(0.12f, out, belt - 0.13f),
                          at(0, out, belt - 0.24f)};
    raster.face(side, flank, hull);
    // Side windows.
    const float rw = hw * in;
    const Vec3 cabin[4] = {at(p.screen, w * hw * shoulder, belt),
                           at(p.tail, w * hw * shoulder, belt), at(p.roof_end, w * rw, p.roof_y),
                           at(p.roof, w * rw, p.roof_y)};
    raster.face(cabin, paint, hull);
    const float y0 = belt + 0.05f, y1 = p.roof_y - 0.09f;
    const auto on_cabin = [&](float along, float y) {
      const float f = (y - belt) / (p.roof_y - belt);
      const float front = lerp(p.screen, p.roof, f), back = lerp(p.tail, p.roof_end, f);
      return at(lerp(front, back, along), w * (lerp(hw * shoulder, rw, f) + 0.012f), y);
    };
    const float posts[4] = {0.07f, 0.40f, 0.44f, look.body == 3 ? 0.46f : 0.74f};
    for (int k = 0; k < (look.body == 3 ? 1 : 2); ++k) {
      const float from = posts[2 * k], to = posts[2 * k + 1];
      const Vec3 window[4] = {on_cabin(from, y0), on_cabin(to, y0), on_cabin(to, y1),
                              on_cabin(from + (k == 0 ? 0.03f : 0), y1)};
      raster.face(window, glass, hull);
    }
    if (look.body != 3) {
      const Vec3 window[4] = {on_cabin(0.77f, y0), on_cabin(0.93f, y0), on_cabin(0.90f, y1),
                              on_cabin(0.77f, y1)};
      raster.face(window, glass, hull);
    }
    // Mirrors.
    const Vec3 mirror = at(p.screen + 0.35f, w * (hw + 0.10f), belt + 0.08f);
    Surface ball = plain(car_id, look.paint, Material::ball);
    raster.ball(mirror, 0.11f, 0.08f, 0, ball);
  }

  // Strips from the front to the rear.
  struct Station {
    float x, w, y;
  };
  const float bow = hw, sh = hw * shoulder, rw = hw * in;
  const Station stations[9] = {{0.04f, bow, sill},           {0.0f, bow, belt - 0.24f},
                               {0.12f, bow, belt - 0.13f},   {p.hood, sh, belt},
                               {p.roof, rw, p.roof_y},       {p.roof_end, rw, p.roof_y},
                               {p.tail, sh, p.tail_y},       {p.length, bow, p.tail_y - 0.06f},
                               {p.length - 0.02f, bow, sill}};
  for (int k = 0; k < 8; ++k) {
    const Station& a = stations[k];
    const Station& b = stations[k + 1];
    Surface strip = paint;
    if (k == 0) strip.material = Material::car_front;
    if (k == 7) strip.material = Material::car_rear;
    strip.a = 2 * a.w;
    strip.b = k == 7 ? p.tail_y - 0.06f - sill : belt - 0.24f - sill;
    strip.style = static_cast<std::uint8_t>((look.lights ? 1 : 0) | (look.braking ? 2 : 0));
    const bool rear = k == 7;
    const Station& low = rear ? b : a;
    const Station& high = rear ? a : b;
    const Vec3 quad[4] = {at(low.x, -low.w, low.y), at(low.x, low.w, low.y),
                          at(high.x, high.w, high.y), at(high.x, -high.w, high.y)};
    raster.face(quad, strip, hull);
    if (k == 3 || (k == 5 && look.body != 3)) {
      const auto on_screen = [&](float u, float v) {
        const Station& lo = k == 3 ? a : b;
        const Station& hi = k == 3 ? b : a;
        const float w = lerp(lo.w, hi.w, v) * u;
        const Vec3 q = at(lerp(lo.x, hi.x, v), w, lerp(lo.y, hi.y, v));
        return q + Vec3{0, 0.015f, 0} + forward * (k == 3 ? 0.012f : -0.012f);
      };
      const Vec3 pane[4] = {on_screen(-0.90f, 0.08f), on_screen(0.90f, 0.08f),
                            on_screen(0.88f, 0.90f), on_screen(-0.88f, 0.90f)};
      raster.face(pane, glass, hull);
    }
  }
  if (look.body == 3 || look.body == 2 || look.body == 1) {
    // Rear window on an upright tailgate.
    const float y0 = lerp(p.tail_y, p.roof_y, 0.12f), y1 = lerp(p.tail_y, p.roof_y, 0.86f);
    const float x0 = lerp(p.tail, p.roof_end, 0.12f) + 0.02f,
                x1 = lerp(p.tail, p.roof_end, 0.86f) + 0.02f;
    const Vec3 pane[4] = {at(x0, -rw * 0.92f, y0), at(x0, rw * 0.92f, y0), at(x1, rw * 0.86f, y1),
                          at(x1, -rw * 0.86f, y1)};
    raster.face(pane, glass, hull);
  }

  // Wheels: discs just outside the flanks.
  static constexpr float ring[10][2] = {
      {1, 0},  {0.809f, 0.588f},   {0.309f, 0.951f},   {-0.309f, 0.951f}, {-0.809f, 0.588f},
      {-1, 0}, {-0.809f, -0.588f}, {-0.309f, -0.951f}, {0.309f, -0.951f}, {0.809f, -0.588f}};
  for (const float w : {-1.0f, 1.0f}) {
    for (const float x : {0.17f * p.length + 0.05f, 0.81f * p.length}) {
      const Vec3 hub = at(x, w * (hw + 0.015f), p.wheel);
      Vec3 disc[10];
      for (int k = 0; k < 10; ++k)
        disc[k] = hub + forward * (ring[k][0] * p.wheel) + Vec3{0, ring[k][1] * p.wheel, 0};
      Surface tyre = plain(car_id, rgb(26, 26, 27), Material::wheel);
      tyre.origin = hub;
      tyre.u = forward * (1 / p.wheel);
      tyre.v = {0, 1 / p.wheel, 0};
      raster.polygon(disc, tyre, hull);
      // The tread, seen from ahead or behind.
      for (const float edge : {-0.75f, 0.75f}) {
        const Vec3 tread[4] = {
            at(x + edge * p.wheel, w * (hw - 0.2f), 0.0f), at(x + edge * p.wheel, w * hw, 0.0f),
            at(x + edge * p.wheel, w * hw, 0.4f), at(x + edge * p.wheel, w * (hw - 0.2f), 0.4f)};
        raster.face(tread, plain(car_id, rgb(20, 20, 21)));
      }
    }
  }

  if (look.lights) {
    for (const float w : {-0.72f, 0.72f}) {
      raster.lights().push_back(
          {at(-0.03f, w * hw, belt - 0.33f),
           Vec3{1.0f, 0.94f, 0.80f} * (-5.0f * dot(forward, normalized(middle)) > 0 ? 5.0f : 0.0f),
           0.16f});
      raster.lights().push_back(
          {at(p.length + 0.03f, w * hw, p.tail_y - 0.25f),
           Vec3{1.0f, 0.06f, 0.03f} *
               (dot(forward, normalized(middle)) > 0 ? (look.braking ? 2.6f : 1.1f) : 0.0f),
           0.12f});
    }
  }
  raster.end_object();
}

void draw_person(const View& view, Raster& raster, float z, float t, Vec3 forward,
                 const PersonLook& look) {
  raster.begin_object();
  const Vec3 foot = view.point(z, t, 0);
  const Vec3 right{forward.z, 0, -forward.x};
  const float h = look.height;
  const float swing = static_cast<float>(sine(look.phase));
  const float bob = 0.015f * static_cast<float>(cosine(2 * static_cast<double>(look.phase)));
  const auto at = [&](float ahead, float aside, float y) {
    return foot + forward * (ahead * h) + right * (aside * h) + Vec3{0, (y + bob) * h, 0};
  };
  const auto part = [&](Vec3 colour) {
    Surface s = plain(person_id, colour, Material::limb);
    s.hash = look.hash;
    return s;
  };
  const Surface coat = part(look.coat), cloth = part(look.trousers), skin = part(look.skin),
                shoe = part(rgb(40, 34, 30));
  const float r = 0.047f * h;
  for (const float side : {-1.0f, 1.0f}) {
    const float s = swing * side;
    const Vec3 hip = at(0, 0.05f * side, 0.50f);
    const Vec3 knee = at(0.13f * s + 0.02f, 0.055f * side, 0.28f);
    const float lift = s < 0 ? -s * 0.03f : 0.0f;
    const Vec3 ankle = at(0.21f * s - (s < 0 ? 0.05f : 0.0f), 0.055f * side, 0.045f + lift - bob);
    const Surface& leg = look.skirt ? skin : cloth;
    raster.limb(hip, knee, r * 1.25f, r * 0.95f, cloth);
    raster.limb(knee, ankle, r * 0.92f, r * 0.62f, leg);
    raster.limb(ankle + Vec3{0, -0.03f * h, 0},
                ankle + forward * (0.085f * h) + Vec3{0, -0.035f * h, 0}, r * 0.6f, r * 0.5f, shoe);
    const Vec3 shoulder = at(0, 0.115f * side, 0.80f);
    const bool holds = look.umbrella && side > 0;
    const Vec3 elbow =
        holds ? at(0.07f, 0.125f, 0.65f) : at(-0.09f * s - 0.01f, 0.14f * side, 0.65f);
    const Vec3 hand =
        holds ? at(0.13f, 0.06f, 0.76f) : at(-0.15f * s + 0.03f, 0.135f * side, 0.50f);
    raster.limb(shoulder, elbow, r * 0.85f, r * 0.7f, coat);
    raster.limb(elbow, hand, r * 0.68f, r * 0.5f, coat);
    Surface fist = plain(person_id, look.skin, Material::ball);
    raster.ball(hand, r * 0.62f, r * 0.7f, 0, fist);
    raster.shadow(std::array<Vec3, 4>{ankle - right * 0.06f, ankle + right * 0.06f,
                                      hip + right * 0.07f, hip - right * 0.07f});
  }
  raster.limb(at(0, 0, 0.53f), at(0.01f, 0, 0.79f), 0.098f * h, 0.115f * h, coat);
  if (look.skirt) raster.limb(at(0, 0, 0.36f), at(0, 0, 0.56f), 0.13f * h, 0.09f * h, cloth);
  raster.limb(at(0, 0, 0.80f), at(0.01f, 0, 0.87f), r * 0.8f, r * 0.8f, skin);
  Surface head = plain(person_id, look.skin, Material::ball);
  head.second = look.hair;
  head.style = dot(forward, foot) > 0 ? 2 : 1;  // 1: face in view, 2: back of the head
  raster.ball(at(0.015f, 0, 0.925f), 0.058f * h, 0.073f * h, 0, head);
  const Vec3 low = at(0, 0, 0.45f), high = at(0, 0, 0.98f);
  raster.shadow(std::array<Vec3, 4>{low - right * 0.17f, low + right * 0.17f, high + right * 0.14f,
                                    high - right * 0.14f});
  const Vec3 base[4] = {foot + Vec3{-0.32f, 0, 0}, foot + Vec3{0, 0, 0.32f},
                        foot + Vec3{0.32f, 0, 0}, foot + Vec3{0, 0, -0.32f}};
  raster.occlude(base, 150);
  if (look.umbrella) {
    const Vec3 tip = at(0.09f, 0.03f, 1.20f);
    raster.limb(at(0.13f, 0.06f, 0.76f), tip, 0.012f, 0.012f, part(rgb(30, 30, 32)));
    Surface cloth_roof = plain(person_id, look.coat * 0.4f + look.trousers * 0.5f + rgb(60, 20, 30),
                               Material::plain);
    static constexpr float ring[8][2] = {{1, 0},  {0.707f, 0.707f},   {0, 1},  {-0.707f, 0.707f},
                                         {-1, 0}, {-0.707f, -0.707f}, {0, -1}, {0.707f, -0.707f}};
    for (int k = 0; k < 8; ++k) {
      const auto rim = [&](int n) {
        return tip + Vec3{ring[n & 7][0] * 0.56f, -0.26f, ring[n & 7][1] * 0.56f};
      };
      const Vec3 panel[3] = {rim(k), rim(k + 1), tip};
      cloth_roof.hash = look.hash;
      raster.face(panel, cloth_roof);
    }
  }
  raster.end_object();
}

void draw_lamp(const View& view, Raster& raster, float z, float side, bool modern) {
  const float t = side * (road_half_width + 0.6f);
  const Vec3 foot = view.point(z, t, 0);
  Surface metal = plain(pole_id, modern ? rgb(128, 132, 136) : rgb(46, 56, 52), Material::limb);
  const float h = modern ? 7.2f : 5.4f;
  const Vec3 top = foot + Vec3{0, h, 0};
  raster.limb(foot, foot + Vec3{0, 0.9f, 0}, 0.11f, 0.1f, metal);
  raster.limb(foot + Vec3{0, 0.8f, 0}, top, 0.075f, 0.05f, metal);
  raster.shadow(std::array<Vec3, 4>{foot + Vec3{-0.07f, 0, 0}, foot + Vec3{0.07f, 0, 0},
                                    top + Vec3{0.06f, 0, 0}, top + Vec3{-0.06f, 0, 0}});
  const Vec3 head = top + Vec3{-side * (modern ? 1.7f : 0.9f), modern ? 0.25f : 0.1f, 0};
  raster.limb(top, head, 0.05f, 0.04f, metal);
  Surface bulb = plain(pole_id, rgb(220, 214, 200), Material::glowing);
  bulb.second = view.lamp_colour * (3.5f * view.air.lamps);
  if (modern) {
    raster.limb(head, head + Vec3{-side * 0.7f, 0.05f, 0}, 0.09f, 0.07f, metal);
    raster.limb(head + Vec3{-side * 0.05f, -0.09f, 0}, head + Vec3{-side * 0.6f, -0.05f, 0}, 0.06f,
                0.06f, bulb);
  } else {
    raster.ball(head + Vec3{0, -0.22f, 0}, 0.17f, 0.2f, 0, bulb);
    raster.limb(head + Vec3{-0.18f, 0.0f, 0}, head + Vec3{0.18f, 0.0f, 0}, 0.06f, 0.06f, metal);
  }
  if (view.air.lamps > 0.3f)
    raster.lights().push_back(
        {head + Vec3{-side * 0.2f, -0.2f, 0}, view.lamp_colour * (2.2f * view.air.lamps), 0.22f});
}

void draw_traffic_light(const View& view, Raster& raster, float z, float side, int phase) {
  const Vec3 foot = view.point(z, side * (road_half_width + 0.5f), 0);
  Surface metal = plain(pole_id, rgb(72, 74, 76), Material::limb);
  raster.limb(foot, foot + Vec3{0, 3.6f, 0}, 0.07f, 0.06f, metal);
  raster.shadow(std::array<Vec3, 4>{foot + Vec3{-0.07f, 0, 0}, foot + Vec3{0.07f, 0, 0},
                                    foot + Vec3{0.07f, 3.6f, 0}, foot + Vec3{-0.07f, 3.6f, 0}});
  const Vec3 low = foot + Vec3{0, 2.55f, -0.12f};
  const float w = 0.17f, h = 0.95f;
  const Vec3 box[4] = {low + Vec3{-w, 0, 0}, low + Vec3{w, 0, 0}, low + Vec3{w, h, 0},
                       low + Vec3{-w, h, 0}};
  raster.face(box, plain(traffic_light_id, rgb(24, 26, 26)));
  const Vec3 colours[3] = {Vec3{0.10f, 1.0f, 0.45f}, Vec3{1.0f, 0.65f, 0.06f},
                           Vec3{1.0f, 0.07f, 0.04f}};
  for (int k = 0; k < 3; ++k) {
    Surface lens = plain(traffic_light_id, colours[k] * 0.06f, Material::glowing);
    if (k == phase) lens.second = colours[k] * (1.6f / (0.4f + view.air.exposure));
    const Vec3 centre = low + Vec3{0, 0.17f + 0.30f * static_cast<float>(k), -0.02f};
    raster.ball(centre, 0.11f, 0.11f, 0, lens);
    if (k == phase && view.air.lamps > 0.3f)
      raster.lights().push_back({centre + Vec3{0, 0, -0.1f}, colours[k] * 0.9f, 0.12f});
  }
}

void draw_sign(const View& view, Raster& raster, float z, float t, std::uint32_t hash) {
  const Vec3 foot = view.point(z, t, 0);
  Surface metal = plain(pole_id, rgb(140, 142, 144), Material::limb);
  raster.limb(foot, foot + Vec3{0, 2.7f, 0}, 0.035f, 0.035f, metal);
  static constexpr float ring[8][2] = {{0.92f, 0.38f},  {0.38f, 0.92f},   {-0.38f, 0.92f},
                                       {-0.92f, 0.38f}, {-0.92f, -0.38f}, {-0.38f, -0.92f},
                                       {0.38f, -0.92f}, {0.92f, -0.38f}};
  const Vec3 centre = foot + Vec3{0, 2.4f, -0.06f};
  const Vec3 rims[3] = {rgb(196, 30, 32), rgb(24, 84, 170), rgb(236, 190, 30)};
  const Vec3 fields[3] = {rgb(240, 238, 234), rgb(30, 98, 190), rgb(242, 204, 48)};
  for (int layer = 0; layer < 2; ++layer) {
    const float r = layer == 0 ? 0.34f : 0.25f;
    Vec3 plate[8];
    for (int k = 0; k < 8; ++k)
      plate[k] = centre + Vec3{ring[k][0] * r, ring[k][1] * r, layer == 0 ? 0.0f : -0.03f};
    raster.face(plate, plain(traffic_sign_id, layer == 0 ? rims[hash % 3U] : fields[hash % 3U]));
  }
  const Vec3 inks[3] = {rgb(30, 30, 32), rgb(244, 244, 240), rgb(40, 36, 30)};
  const bool upright = (hash & 64U) != 0;
  const float w = upright ? 0.045f : 0.15f, h = upright ? 0.16f : 0.05f;
  const Vec3 middle = centre + Vec3{0, 0, -0.05f};
  const Vec3 bar[4] = {middle + Vec3{-w, -h, 0}, middle + Vec3{w, -h, 0}, middle + Vec3{w, h, 0},
                       middle + Vec3{-w, h, 0}};
  raster.face(bar, plain(traffic_sign_id, inks[hash % 3U]));
}

}  // namespace ams::street
