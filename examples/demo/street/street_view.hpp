#pragma once

#include <array>
#include <cstdint>

#include "demo/street/street.hpp"
#include "street_atmosphere.hpp"
#include "street_math.hpp"
#include "street_raster.hpp"

namespace ams::street {

/// Places are given along the road: z metres ahead of the camera, t metres to the right of the
/// centre line, y metres above the ground. The road bends because space is sheared: x = t +
/// road(z).
inline constexpr float road_half_width = 6.0f;
inline constexpr float block_length = 96.0f;
inline constexpr float junction_length = 13.0f;
inline constexpr float corner_radius = 3.0f;
inline constexpr float lamp_spacing = 24.0f;
inline constexpr float view_distance = 250.0f;

/// Colours and widths of one district in one town.
struct DistrictStyle {
  float grass_from = 0, grass_to = 0;  ///< green strip, metres from the kerb
  float walk_to = 3;                   ///< end of the sidewalk, metres from the kerb
  bool lawn_behind = false;            ///< grass behind the sidewalk, else paving
  Vec3 asphalt, slab, kerb, grass, marking;
};

struct Block {
  std::int64_t index = 0;
  District district = District::residential;
  float z = 0;                 ///< where it starts
  bool junction = false;       ///< at its start
  bool next_junction = false;  ///< at the start of the next block
  const DistrictStyle* style = nullptr;
};

/// A point of the ground in the terms of its block.
struct GroundPoint {
  float t = 0;
  float kerb = 0;      ///< metres behind the kerb line; negative on the carriageway
  float junction = 0;  ///< metres from the nearest junction along the road; negative inside
  const Block* block = nullptr;
};

/// All that one frame needs to know, fixed while it is drawn.
struct View {
  std::uint64_t seed = 0;
  std::size_t frame_index = 0;
  double seconds = 0;
  double camera_s = 0;    ///< metres driven
  float road_metres = 0;  ///< the same within one period of the ground's texture
  Camera camera;
  Atmosphere air;
  Vec3 lamp_colour;
  std::array<DistrictStyle, 4> styles;
  std::array<Block, 8> blocks;
  int block_count = 0;
  std::array<float, 400> road_table{};
  std::int64_t road_first = 0;  ///< metres driven at road_table[0]
  float road_offset = 0;        ///< camera_s - road_first
  const NoiseTables* noise = nullptr;

  /// x of the centre line, relative to the camera.
  float road(float z) const {
    const float k = std::min(std::max(z + road_offset, 0.0f), 398.0f);
    const int i = static_cast<int>(k);
    const float low = road_table[static_cast<std::size_t>(i)];
    const float high = road_table[static_cast<std::size_t>(i) + 1];
    return low + (high - low) * (k - static_cast<float>(i));
  }
  /// Direction of the road, level, of length 1.
  Vec3 along(float z) const { return normalized({(road(z + 2) - road(z - 2)) * 0.25f, 0, 1}); }
  Vec3 point(float z, float t, float y) const { return {t + road(z), y - camera.eye_height, z}; }
  const Block& block_at(float z) const {
    const int k = floor_int((z - blocks[0].z) * (1 / block_length));
    return blocks[static_cast<std::size_t>(std::clamp(k, 0, block_count - 1))];
  }
  /// x and z relative to the camera.
  GroundPoint ground_at(float x, float z) const;
};

/// Class of the ground. What colours it follows the same borders.
std::uint8_t ground_label(const GroundPoint& point);

std::array<DistrictStyle, 4> district_styles(std::uint64_t seed);

/// Draws everything that stands in view into the raster.
void populate(const View& view, Raster& raster);

/// Colour (linear light, haze included) of surface `id` at a sample, and its class.
Vec3 shade(const View& view, const Raster& raster, std::uint32_t id, int i, int j);
std::uint8_t label_of(const View& view, const Raster& raster, std::uint32_t id, int i, int j);

/// Whether a ray that hits nothing nearer meets the wooded hills at the horizon.
bool meets_skyline(const View& view, Vec3 ray);

/// Smooth sky without clouds, for reflections. The direction need not have length 1.
Vec3 sky_gradient(const Atmosphere& air, Vec3 direction);

}  // namespace ams::street
