#include <array>

#include "street_models.hpp"

namespace ams::street {
namespace {

constexpr float behind = -12.0f;  ///< things this far behind the camera may still cast shadows

enum Purpose : std::int64_t {
  lots = 1,
  greenery,
  parking,
  junctions,
  walkers,
  oncoming,
  ahead,
  backdrop,
  furniture,
  town
};

/// The town's own palette: hues are drawn once for a seed and an individual colour strays little.
template <std::size_t n>
Vec3 pick(const std::array<Vec3, n>& colours, Dice& dice) {
  const Vec3 c = colours[static_cast<std::size_t>(dice.below(static_cast<int>(n)))];
  const float k = dice.between(0.85f, 1.15f);
  return c * Vec3{k * dice.between(0.95f, 1.05f), k, k * dice.between(0.95f, 1.05f)};
}

class Populator {
 public:
  Populator(const View& view, Raster& raster) : view_(view), raster_(raster) {
    Dice dice(view.seed, town);
    leaf_shift_ = {dice.between(0.85f, 1.2f), dice.between(0.92f, 1.08f), dice.between(0.8f, 1.2f)};
    wall_shift_ = {dice.between(0.93f, 1.07f), 1.0f, dice.between(0.93f, 1.07f)};
  }

  void run() {
    for (int k = 0; k < view_.block_count; ++k) {
      const Block& block = view_.blocks[static_cast<std::size_t>(k)];
      if (block.z > view_distance || block.z + block_length < behind) continue;
      for (const int side : {-1, 1}) {
        place_lots(block, side);
        place_greenery(block, side);
        place_parked_cars(block, side);
        place_furniture(block, side);
      }
      place_junction(block);
    }
    place_backdrop();
    place_traffic();
    place_walkers();
  }

 private:
  static bool in_view(float z) { return z > behind && z < view_distance; }
  Dice dice_for(const Block& block, int side, Purpose purpose) const {
    return Dice(view_.seed, block.index, side, purpose);
  }
  float first_free(const Block& block) const {
    return block.z + (block.junction ? junction_length + 5.0f : 0.0f);
  }
  float last_free(const Block& block) const {
    return block.z + block_length - (block.next_junction ? 5.0f : 0.0f);
  }

  Vec3 leaf_colour(District district, Dice& dice) const {
    static constexpr std::size_t n = 4;
    static const std::array<Vec3, n> green = {rgb(86, 120, 48), rgb(70, 106, 42), rgb(104, 134, 60),
                                              rgb(78, 112, 62)};
    static const std::array<Vec3, n> dark = {rgb(60, 88, 48), rgb(72, 96, 56), rgb(56, 84, 54),
                                             rgb(84, 104, 52)};
    static const std::array<Vec3, n> dry = {rgb(112, 112, 58), rgb(88, 96, 52), rgb(124, 112, 66),
                                            rgb(64, 82, 54)};
    static const std::array<Vec3, n> autumn = {rgb(196, 126, 36), rgb(178, 84, 34),
                                               rgb(204, 164, 58), rgb(150, 62, 40)};
    switch (district) {
      case District::residential:
        return pick(green, dice) * leaf_shift_;
      case District::downtown:
        return pick(dark, dice) * leaf_shift_;
      case District::industrial:
        return pick(dry, dice);
      case District::boulevard:
        return pick(autumn, dice);
    }
    return green[0];
  }

  CarLook car_look(District district, Dice dice) const {
    static const std::array<Vec3, 8> usual = {
        rgb(232, 232, 230), rgb(34, 36, 40),  rgb(168, 172, 176), rgb(96, 100, 106),
        rgb(150, 30, 30),   rgb(36, 66, 128), rgb(214, 214, 210), rgb(58, 60, 64)};
    static const std::array<Vec3, 6> bright = {rgb(212, 156, 40), rgb(40, 120, 92),
                                               rgb(186, 74, 34),  rgb(228, 224, 214),
                                               rgb(70, 50, 96),   rgb(24, 26, 30)};
    CarLook look;
    look.hash = dice.bits();
    const bool odd = district == District::industrial || district == District::boulevard;
    look.paint = odd && dice.chance(0.6f) ? pick(bright, dice) : pick(usual, dice);
    const float shape = dice.roll();
    const float vans = district == District::industrial ? 0.45f : 0.08f;
    look.body = shape < vans ? 3 : (shape < vans + 0.2f ? 2 : (shape < vans + 0.5f ? 1 : 0));
    return look;
  }

  void place_lots(const Block& block, int side_int) {
    Dice dice = dice_for(block, side_int, lots);
    const auto side = static_cast<float>(side_int);
    const float end = last_free(block);
    float z = first_free(block);
    while (z < end - 5) {
      BuildingPlan plan;
      plan.hash = dice.bits();
      float gap = 0, setback = 0, width = 0, depth = 12;
      switch (block.district) {
        case District::residential:
          plan_house(plan, dice, width, gap, setback, depth);
          break;
        case District::downtown:
          plan_tower(plan, dice, width, gap, setback, depth);
          break;
        case District::industrial:
          plan_hall(plan, dice, width, gap, setback, depth);
          break;
        case District::boulevard:
          plan_apartments(plan, dice, width, gap, setback, depth);
          break;
      }
      if (z + width > end) width = end - z;
      if (width < 5) break;
      const float front = road_half_width +
                          view_.styles[static_cast<std::size_t>(block.district)].walk_to + setback;
      plan.z0 = z + gap * 0.5f;
      plan.z1 = z + width - gap * 0.5f;
      plan.t_front = side * front;
      plan.t_back = side * (front + depth);
      plan.wall = plan.wall * wall_shift_;
      const Dice garden = dice;
      if (plan.z1 > behind && plan.z0 < view_distance && plan.z1 - plan.z0 > 3) {
        draw_building(view_, raster_, plan);
        place_garden(block, side, z, z + width, front, setback, garden);
      }
      dice.bits();
      z += width;
    }
  }

  void plan_house(BuildingPlan& plan, Dice& dice, float& width, float& gap, float& setback,
                  float& depth) const {
    static const std::array<Vec3, 7> walls = {
        rgb(222, 212, 190), rgb(206, 192, 160), rgb(178, 186, 190), rgb(232, 228, 218),
        rgb(186, 150, 118), rgb(150, 92, 74),   rgb(196, 198, 178)};
    static const std::array<Vec3, 4> roofs = {rgb(124, 70, 54), rgb(92, 78, 74), rgb(138, 84, 62),
                                              rgb(78, 80, 88)};
    width = dice.between(12.5f, 17.5f);
    gap = dice.between(3.0f, 5.0f);
    setback = dice.between(3.5f, 6.0f);
    depth = dice.between(8.0f, 11.0f);
    plan.height = dice.chance(0.6f) ? dice.between(5.4f, 6.0f) : dice.between(3.0f, 3.4f);
    plan.storey = 2.8f;
    plan.bay = dice.between(2.6f, 3.4f);
    plan.wall = pick(walls, dice);
    plan.style = plan.wall.x > 2.2f * plan.wall.z ? brick : (dice.chance(0.5f) ? siding : plaster);
    plan.trim = rgb(238, 236, 230);
    plan.roof = pick(roofs, dice);
    plan.roof_height = dice.between(2.2f, 3.6f);
    plan.ridge_across = dice.chance(0.45f);
    plan.accent = rgb(120, 40, 40);
  }

  void plan_tower(BuildingPlan& plan, Dice& dice, float& width, float& gap, float& setback,
                  float& depth) const {
    static const std::array<Vec3, 6> walls = {rgb(148, 84, 66),   rgb(172, 122, 92),
                                              rgb(124, 74, 62),   rgb(186, 178, 166),
                                              rgb(140, 136, 132), rgb(200, 184, 154)};
    width = dice.between(13.0f, 24.0f);
    gap = 0;
    setback = dice.chance(0.25f) ? dice.between(0.3f, 1.4f) : 0.0f;
    depth = dice.between(14.0f, 22.0f);
    plan.height = dice.chance(0.3f) ? dice.between(34.0f, 60.0f) : dice.between(13.0f, 28.0f);
    plan.storey = dice.between(3.2f, 3.8f);
    plan.bay = dice.between(2.2f, 3.6f);
    plan.wall = pick(walls, dice);
    plan.style = plan.height > 30 || dice.chance(0.25f)
                     ? glass
                     : (plan.wall.x > 1.9f * plan.wall.z ? brick : plaster);
    if (plan.style == glass) plan.wall = lerp(rgb(70, 96, 112), rgb(96, 112, 108), dice.roll());
    plan.trim = plan.style == glass ? rgb(120, 124, 128) : rgb(206, 198, 182);
    plan.roof = rgb(96, 94, 92);
    plan.shop = dice.chance(0.85f);
    static const std::array<Vec3, 5> accents = {rgb(150, 32, 36), rgb(30, 92, 66), rgb(32, 58, 116),
                                                rgb(196, 140, 40), rgb(96, 40, 84)};
    plan.accent = pick(accents, dice);
  }

  void plan_hall(BuildingPlan& plan, Dice& dice, float& width, float& gap, float& setback,
                 float& depth) const {
    static const std::array<Vec3, 6> walls = {rgb(150, 160, 164), rgb(96, 128, 146),
                                              rgb(176, 170, 150), rgb(134, 92, 72),
                                              rgb(104, 122, 104), rgb(190, 192, 190)};
    width = dice.between(24.0f, 42.0f);
    gap = dice.between(5.0f, 12.0f);
    setback = dice.between(6.0f, 14.0f);
    depth = dice.between(20.0f, 30.0f);
    plan.height = dice.between(6.0f, 11.0f);
    plan.storey = 4.5f;
    plan.bay = dice.between(4.5f, 6.0f);
    plan.wall = pick(walls, dice);
    plan.style = dice.chance(0.8f) ? sheet : brick;
    plan.trim = plan.wall * 0.6f;
    plan.roof = rgb(110, 110, 112);
    plan.accent = rgb(200, 90, 40);
  }

  void plan_apartments(BuildingPlan& plan, Dice& dice, float& width, float& gap, float& setback,
                       float& depth) const {
    static const std::array<Vec3, 6> walls = {rgb(214, 176, 110), rgb(206, 150, 116),
                                              rgb(226, 208, 170), rgb(168, 178, 150),
                                              rgb(196, 120, 96),  rgb(220, 216, 206)};
    width = dice.between(14.0f, 22.0f);
    gap = dice.chance(0.3f) ? dice.between(1.0f, 4.0f) : 0.0f;
    setback = dice.between(1.5f, 2.6f);
    depth = dice.between(11.0f, 14.0f);
    plan.height = dice.between(12.0f, 19.0f);
    plan.storey = 3.3f;
    plan.bay = dice.between(2.3f, 2.9f);
    plan.wall = pick(walls, dice);
    plan.style = plaster;
    plan.trim = rgb(236, 228, 210);
    plan.roof = rgb(120, 72, 58);
    plan.roof_height = dice.chance(0.7f) ? dice.between(2.4f, 3.4f) : 0.0f;
    plan.accent = rgb(150, 60, 40);
  }

  /// Hedges along the sidewalk, bushes at the wall, trees between and behind the houses.
  void place_garden(const Block& block, float side, float z0, float z1, float front, float setback,
                    Dice dice) {
    const float walk = road_half_width + block.style->walk_to;
    if (block.district == District::residential) {
      if (dice.chance(0.62f)) {
        const float path = z0 + (z1 - z0) * dice.between(0.35f, 0.65f);
        const Vec3 leaf = leaf_colour(block.district, dice) * 0.85f;
        const float h = dice.between(0.8f, 1.3f);
        draw_hedge(view_, raster_, z0 + 0.3f, path - 0.8f, side * (walk + 0.55f), h, leaf, dice);
        draw_hedge(view_, raster_, path + 0.8f, z1 - 0.3f, side * (walk + 0.55f), h, leaf, dice);
      }
      const int bushes = dice.below(4);
      for (int k = 0; k < bushes; ++k) {
        const float z = dice.between(z0 + 1, z1 - 1);
        const float t = side * (front - dice.between(0.5f, std::max(0.6f, setback - 1.2f)));
        const float height = dice.between(0.7f, 1.4f);
        const Vec3 leaf = leaf_colour(block.district, dice);
        draw_tree(view_, raster_, z, t, TreeKind::bush, height, leaf, dice);
      }
      if (dice.chance(0.8f)) {
        const TreeKind kind = dice.chance(0.3f) ? TreeKind::conifer : TreeKind::round;
        const float t = side * (front + dice.between(0.0f, 6.0f));
        const float height = dice.between(6.0f, 10.0f);
        const Vec3 leaf =
            leaf_colour(block.district, dice) * (kind == TreeKind::conifer ? 0.62f : 1.0f);
        draw_tree(view_, raster_, z1, t, kind, height, leaf, dice);
      }
    } else if (block.district == District::boulevard) {
      const Vec3 leaf = rgb(92, 104, 52) * dice.between(0.8f, 1.1f);
      draw_hedge(view_, raster_, z0 + 0.2f, z1 - 0.2f, side * (walk + 0.5f), 0.8f, leaf, dice);
    } else if (block.district == District::industrial) {
      const int bushes = dice.below(5);
      for (int k = 0; k < bushes; ++k) {
        const float z = dice.between(z0, z1);
        const float t = side * dice.between(walk + 1.0f, front - 1.0f);
        const float height = dice.between(0.8f, 1.9f);
        const Vec3 leaf = leaf_colour(block.district, dice);
        draw_tree(view_, raster_, z, t, TreeKind::bush, height, leaf, dice);
      }
      if (dice.chance(0.7f)) {
        const TreeKind kind = dice.chance(0.5f) ? TreeKind::tall : TreeKind::conifer;
        const float height = dice.between(8.0f, 13.0f);
        const Vec3 leaf = leaf_colour(block.district, dice) * 0.8f;
        draw_tree(view_, raster_, z1 - 2, side * (front - 1.0f), kind, height, leaf, dice);
      }
    }
  }

  void place_greenery(const Block& block, int side_int) {
    Dice dice = dice_for(block, side_int, greenery);
    const auto side = static_cast<float>(side_int);
    float spacing = 11, offset = 0.9f, low = 6.5f, high = 9.5f, share = 0.8f;
    TreeKind kind = TreeKind::round;
    switch (block.district) {
      case District::residential:
        break;
      case District::downtown:
        spacing = 15;
        offset = 0.9f;
        low = 5.0f;
        high = 7.0f;
        share = 0.55f;
        break;
      case District::industrial:
        spacing = 26;
        offset = 5.0f;
        low = 7;
        high = 12;
        share = 0.4f;
        kind = TreeKind::tall;
        break;
      case District::boulevard:
        spacing = 9.5f;
        offset = 1.05f;
        low = 8;
        high = 11;
        share = 0.9f;
        break;
    }
    for (float z = first_free(block) + spacing * 0.4f; z < last_free(block) - 1; z += spacing) {
      Dice own(dice.bits());
      if (!own.chance(share)) continue;
      const float place = z + own.between(-1.2f, 1.2f);
      if (!in_view(place)) continue;
      const float height = own.between(low, high);
      const Vec3 leaf = leaf_colour(block.district, own);
      draw_tree(view_, raster_, place, side * (road_half_width + offset), kind, height, leaf, own);
    }
  }

  void place_parked_cars(const Block& block, int side_int) {
    Dice dice = dice_for(block, side_int, parking);
    const auto side = static_cast<float>(side_int);
    static constexpr float share[4] = {0.45f, 0.62f, 0.16f, 0.6f};
    for (float z = first_free(block) + 3.5f; z < last_free(block) - 3; z += 6.3f) {
      Dice own(dice.bits());
      if (!own.chance(share[static_cast<int>(block.district)])) continue;
      const float place = z + own.between(-0.4f, 0.4f);
      if (!in_view(place)) continue;
      CarLook look = car_look(block.district, own);
      const Vec3 forward = view_.along(place);
      draw_car(view_, raster_, place, side * (4.85f + own.between(-0.1f, 0.15f)),
               side_int > 0 ? forward : -forward, look);
    }
  }

  void place_furniture(const Block& block, int side_int) {
    const auto side = static_cast<float>(side_int);
    // Lamps stand on a fixed grid of the whole road, left and right by turns.
    const double start = view_.camera_s + static_cast<double>(block.z);
    auto k = static_cast<std::int64_t>(start / static_cast<double>(lamp_spacing)) - 1;
    for (; static_cast<double>(k) * static_cast<double>(lamp_spacing) <
           start + static_cast<double>(block_length);
         ++k) {
      const double s = static_cast<double>(k) * static_cast<double>(lamp_spacing);
      if (s < start || ((k & 1) != 0) != (side_int > 0)) continue;
      const auto z = static_cast<float>(s - view_.camera_s);
      if (in_view(z))
        draw_lamp(view_, raster_, z, side,
                  block.district == District::industrial || block.district == District::downtown);
    }
    Dice dice = dice_for(block, side_int, furniture);
    for (int n = 0; n < 2; ++n) {
      const float z = block.z + dice.between(25.0f, 85.0f);
      const std::uint32_t hash = dice.bits();
      if (side_int > 0 && in_view(z))
        draw_sign(view_, raster_, z, side * (road_half_width + 0.45f), hash);
    }
  }

  void place_junction(const Block& block) {
    if (!block.junction) return;
    Dice dice = dice_for(block, 0, junctions);
    const float middle = block.z + junction_length * 0.5f;
    const int phase = dice.chance(0.8f) ? 0 : 1;
    if (in_view(block.z)) {
      draw_traffic_light(view_, raster_, block.z - 0.8f, 1, phase);
      draw_traffic_light(view_, raster_, block.z + junction_length + 0.8f, -1, phase);
    }
    for (const int side_int : {-1, 1}) {
      const auto side = static_cast<float>(side_int);
      // Cars that wait in the side street.
      for (int k = 0; k < 3; ++k) {
        Dice own(dice.bits());
        const bool present = own.chance(k == 0 ? 0.5f : 0.35f);
        const float t = side * (12.5f + 7.0f * static_cast<float>(k) + own.between(0.0f, 1.0f));
        const float z = middle + side * 2.3f;
        if (!present || !in_view(z)) continue;
        CarLook look = car_look(block.district, own);
        look.lights = view_.air.lamps > 0.3f;
        const Vec3 forward = view_.along(z);
        draw_car(view_, raster_, z, t, Vec3{-forward.z * side, 0, forward.x * side}, look);
      }
      // What closes the view into the side street.
      BuildingPlan plan;
      plan.hash = dice.bits();
      float width = 0, gap = 0, setback = 0, depth = 0;
      if (block.district == District::residential)
        plan_house(plan, dice, width, gap, setback, depth);
      else if (block.district == District::downtown)
        plan_tower(plan, dice, width, gap, setback, depth);
      else if (block.district == District::industrial)
        plan_hall(plan, dice, width, gap, setback, depth);
      else
        plan_apartments(plan, dice, width, gap, setback, depth);
      plan.shop = false;
      plan.z0 = middle - 22;
      plan.z1 = middle + 22;
      plan.t_front = side * 72;
      plan.t_back = side * 90;
      plan.wall = plan.wall * wall_shift_;
      if (in_view(middle)) draw_building(view_, raster_, plan);
      for (int k = 0; k < 6; ++k) {
        Dice own(dice.bits());
        const float z = middle + (k % 2 == 0 ? -9.5f : 9.5f);
        const float t = side * (28.0f + 13.0f * static_cast<float>(k / 2));
        const Vec3 leaf = leaf_colour(block.district, own);
        const float height = own.between(6, 9);
        if (in_view(z)) draw_tree(view_, raster_, z, t, TreeKind::round, height, leaf, own);
      }
    }
    // Somebody crosses well ahead of the camera and is over before it comes.
    Dice own(dice.bits());
    if (own.chance(0.75f) && block.z > 14 && block.z < 110) {
      const float progress = (100 - block.z) / 78.0f + own.between(-0.15f, 0.1f);
      const float from = own.chance(0.5f) ? 1.0f : -1.0f;
      const float t = from * (8.0f - 16.0f * progress);
      if (t > -9 && t < 9) {
        PersonLook look = person_look(own);
        look.phase = static_cast<float>(view_.seconds * 6.0);
        draw_person(view_, raster_, block.z - 3.0f, t, Vec3{-from, 0, 0}, look);
      }
    }
  }

  /// A second row behind the first: trees in green districts, taller blocks in town.
  void place_backdrop() {
    constexpr double spacing = 19.0;
    auto k = static_cast<std::int64_t>(view_.camera_s / spacing);
    for (int n = 0; n < 14; ++n, ++k) {
      const auto z = static_cast<float>(static_cast<double>(k) * spacing - view_.camera_s);
      if (z < 12) continue;
      const Block& block = view_.block_at(z);
      for (const int side_int : {-1, 1}) {
        const auto side = static_cast<float>(side_int);
        Dice dice(view_.seed, k, side_int, backdrop);
        const float into = z - block.z;
        if ((block.junction && into < junction_length + 12) ||
            (block.next_junction && into > block_length - 14))
          continue;
        if (block.district == District::downtown) {
          BuildingPlan plan;
          float width = 0, gap = 0, setback = 0, depth = 0;
          plan.hash = dice.bits();
          plan_tower(plan, dice, width, gap, setback, depth);
          plan.shop = false;
          plan.height = dice.between(26, 70);
          plan.z0 = z - 9;
          plan.z1 = z + 9;
          plan.t_front = side * dice.between(36, 44);
          plan.t_back = plan.t_front + side * 18;
          if (dice.chance(0.7f)) draw_building(view_, raster_, plan);
        } else {
          const bool works = block.district == District::industrial;
          const int count = works ? 1 : 2;
          for (int c = 0; c < count; ++c) {
            const float t = side * (works ? dice.between(46, 60) : dice.between(25, 34));
            const Vec3 leaf = leaf_colour(block.district, dice) * 0.9f;
            const float height = dice.between(8, 13);
            const float place = z + dice.between(-8, 8);
            draw_tree(view_, raster_, place, t, TreeKind::round, height, leaf, Dice(dice.bits()));
          }
        }
      }
    }
  }

  void place_traffic() {
    // Oncoming cars keep their distances; the whole column moves.
    const bool lights = view_.air.lamps > 0.25f;
    constexpr double spacing = 27.0, speed = 9.5;
    const double reach = view_.camera_s + speed * view_.seconds;
    auto k = static_cast<std::int64_t>(reach / spacing);
    for (int n = 0; n < 9; ++n, ++k) {
      Dice own(view_.seed, k, 0, oncoming);
      const bool present = own.chance(0.5f);
      const auto z = static_cast<float>(static_cast<double>(k) * spacing +
                                        static_cast<double>(own.between(-7, 7)) - reach);
      if (!present || z < -3 || z > view_distance) continue;
      CarLook look = car_look(view_.block_at(z).district, own);
      look.lights = lights;
      draw_car(view_, raster_, z, -1.75f, -view_.along(z), look);
    }
    // Cars ahead in the own lane: they come near, stay a while, draw away, and are others next
    // time.
    const double phase = view_.seconds / 120.0 + 0.15 +
                         0.5 * static_cast<double>(Dice(view_.seed, 0, 0, ahead).roll());
    const auto turn = static_cast<std::int64_t>(phase);
    const auto part = static_cast<float>(phase - static_cast<double>(turn));
    const float near = smoothstep(0.0f, 0.35f, part) * (1 - smoothstep(0.65f, 1.0f, part));
    Dice own(view_.seed, turn, 1, ahead);
    float z = lerp(view_distance, own.between(10.0f, 15.0f), near) +
              2.0f * static_cast<float>(sine(view_.seconds * 0.3));
    for (int n = 0; n < 2; ++n) {
      const bool present = n == 0 || own.chance(0.6f);
      CarLook look = car_look(District::residential, own);
      look.lights = lights;
      look.braking = sine(view_.seconds * 0.3 + 1.2) < -0.4;
      if (present && z < view_distance) draw_car(view_, raster_, z, 1.75f, view_.along(z), look);
      z += own.between(14.0f, 32.0f);
    }
  }

  PersonLook person_look(Dice& dice) const {
    static const std::array<Vec3, 9> coats = {
        rgb(40, 44, 56),   rgb(120, 34, 38), rgb(196, 190, 178), rgb(44, 78, 120),  rgb(70, 88, 60),
        rgb(160, 120, 70), rgb(28, 28, 30),  rgb(206, 120, 60),  rgb(150, 150, 156)};
    static const std::array<Vec3, 5> trousers = {rgb(40, 52, 84), rgb(30, 30, 34), rgb(84, 78, 70),
                                                 rgb(60, 72, 100), rgb(120, 104, 82)};
    static const std::array<Vec3, 4> skins = {rgb(224, 178, 148), rgb(198, 146, 112),
                                              rgb(140, 94, 68), rgb(96, 64, 48)};
    static const std::array<Vec3, 4> hairs = {rgb(44, 32, 26), rgb(92, 66, 42), rgb(26, 24, 24),
                                              rgb(176, 148, 104)};
    PersonLook look;
    look.coat = pick(coats, dice);
    look.trousers = pick(trousers, dice);
    look.skin = pick(skins, dice);
    look.hair = pick(hairs, dice);
    look.height = dice.between(1.58f, 1.88f);
    look.skirt = dice.chance(0.2f);
    look.umbrella = view_.air.rain > 0.5f && dice.chance(0.6f);
    look.hash = dice.bits();
    return look;
  }

  void place_walkers() {
    // Per district, the chance that a place in the walking columns is taken.
    static constexpr float share[4] = {0.30f, 0.80f, 0.14f, 0.50f};
    constexpr double spacing = 7.0;
    for (const int side_int : {-1, 1}) {
      for (int column = 0; column < 2; ++column) {
        const double speed = column == 0 ? 1.35 : -1.25;
        const double shift = speed * view_.seconds;
        auto k = static_cast<std::int64_t>((view_.camera_s - shift + 1.0e5) / spacing);
        for (int n = 0; n < 18; ++n, ++k) {
          Dice own(view_.seed, k, side_int * 2 + column, walkers);
          const float z = static_cast<float>(static_cast<double>(k) * spacing - 1.0e5 + shift -
                                             view_.camera_s) +
                          own.between(-2.5f, 2.5f);
          const float taken = own.roll();
          if (z < 1.5f || z > 120) continue;
          if (taken > share[static_cast<int>(view_.block_at(z).district)]) continue;
          PersonLook look = person_look(own);
          look.phase =
              static_cast<float>(view_.seconds * 6.2 + static_cast<double>(own.roll()) * 6.28);
          const float t =
              static_cast<float>(side_int) *
              (road_half_width + 1.75f + own.between(0.0f, 0.55f) + (column == 0 ? 0.6f : 0.0f));
          const Vec3 forward = view_.along(z);
          draw_person(view_, raster_, z, t, column == 0 ? forward : -forward, look);
          if (own.chance(0.25f)) {  // company
            PersonLook other = person_look(own);
            other.phase = look.phase + 1.2f;
            draw_person(view_, raster_, z + 0.25f, t - static_cast<float>(side_int) * 0.65f,
                        column == 0 ? forward : -forward, other);
          }
        }
      }
    }
  }

  const View& view_;
  Raster& raster_;
  Vec3 leaf_shift_, wall_shift_;
};

}  // namespace

void populate(const View& view, Raster& raster) {
  Populator(view, raster).run();
}

}  // namespace ams::street
