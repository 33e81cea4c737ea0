#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "street_math.hpp"
#include "street_noise.hpp"

namespace ams::street {

/// What a surface looks like; street_shade.cpp has one function for each.
enum class Material : std::uint8_t {
  sky,
  skyline,
  ground,
  facade,
  roof,
  plain,
  awning,
  paint,
  car_side,
  car_front,
  car_rear,
  car_glass,
  wheel,
  leaves,
  limb,
  ball,
  glowing,
};

/// One visible surface: a plane with metric coordinates (u, v), or a ball facing the camera.
struct Surface {
  Material material = Material::plain;
  std::uint8_t label = 255;
  std::uint8_t style = 0;              ///< meaning depends on the material
  std::uint32_t hash = 0;              ///< tells objects of one kind apart
  std::uint32_t object = 0;            ///< of Raster::begin_object(); 0: of none
  Vec3 colour, second;                 ///< linear albedo
  Vec3 origin, u, v;                   ///< planes: u = U . (P - origin)
  Vec3 normal;                         ///< faces the camera
  float a = 0, b = 0, c = 0, d = 0;    ///< sizes; meaning depends on the material
  float inverse_depth[3] = {0, 0, 0};  ///< planes: 1 / depth = [0] + [1] i + [2] j, in samples
  float centre_i = 0, centre_j = 0, scale_i = 0, scale_j = 0;  ///< balls: (i - centre_i) * scale_i
  float ball_inverse_depth = 0, bulge = 0;
  bool is_ball = false;
};

/// Pinhole camera at the origin. Sample (i, j) of the grid lies at pixel ((i - 1) / 2, (j - 1) / 2)
/// counted between pixel centres: the odd samples are the pixel centres.
struct Camera {
  int width = 0, height = 0;
  float focal = 1;  ///< in pixels
  float centre_x = 0, centre_y = 0;
  Vec3 right, up, forward;
  float eye_height = 1.4f;  ///< of the camera above the ground, metres

  Vec3 ray(float i, float j) const {
    const float x = ((i - 1) * 0.5f - centre_x) / focal, y = ((j - 1) * 0.5f - centre_y) / focal;
    return forward + right * x - up * y;
  }
};

struct Light {
  Vec3 position;
  Vec3 colour;
  float radius = 0.1f;  ///< of the bright core, metres
};

/// Everything in view of one frame and the visibility of each sample.
class Raster {
 public:
  Raster(const Camera& camera, Vec3 sun_direction, bool casts_shadows);

  int columns() const { return columns_; }
  int rows() const { return rows_; }
  std::uint32_t at(int i, int j) const {
    return ids_[static_cast<std::size_t>(j) * static_cast<std::size_t>(columns_) +
                static_cast<std::size_t>(i)];
  }
  const std::uint32_t* row(int j) const {
    return ids_.data() + static_cast<std::size_t>(j) * static_cast<std::size_t>(columns_);
  }
  const std::vector<Surface>& surfaces() const { return surfaces_; }
  const Camera& camera() const { return camera_; }
  std::vector<Light>& lights() { return lights_; }
  const std::vector<Light>& lights() const { return lights_; }

  /// Depth along the camera's axis of surface `id` at a sample; 1e9 for the sky.
  float depth(std::uint32_t id, float i, float j) const;

  /// What is drawn until end_object() is one object.
  void begin_object() { object_ = ++object_count_; }
  void end_object() { object_ = 0; }
  std::uint32_t object_count() const { return object_count_; }

  /// A convex planar polygon with at most 16 corners. The surface's origin, u and v must be set;
  /// normal and depth are found here. With `inside`, a face turned away from the camera is left
  /// out.
  void polygon(std::span<const Vec3> points, Surface surface, const Vec3* inside = nullptr);

  /// As polygon(), u along points[0] -> points[1], v in the plane and across it, origin at
  /// points[0].
  void face(std::span<const Vec3> points, Surface surface, const Vec3* inside = nullptr);

  /// A rod from a to b, seen as round.
  void limb(Vec3 a, Vec3 b, float radius_a, float radius_b, Surface surface);

  /// An ellipse facing the camera with a bulge towards it. With ragged > 0 its rim is leafy.
  void ball(Vec3 centre, float radius_x, float radius_y, float ragged, Surface surface);

  /// Darkens the ground under a polygon: by the sun's shadow of it, or under the polygon itself.
  void shadow(std::span<const Vec3> points, std::uint8_t strength = 255);
  void occlude(std::span<const Vec3> points, std::uint8_t strength);
  /// Sun shadow of a ball.
  void ball_shadow(Vec3 centre, float radius_x, float radius_y, std::uint8_t strength);

  /// Shadow (x: sun, y: ambient) of the ground at a sample, 0 lit to 1 dark; smoothed.
  void ground_shadow(float i, float j, float& sun, float& ambient) const;

  /// Fills what no surface covers: sky, skyline (below `skyline_at` of the direction) and ground.
  template <class SkylineAt>
  void fill_background(SkylineAt&& is_skyline) {
    for (int j = 0; j < rows_; ++j) {
      for (int i = 0; i < columns_; ++i) {
        std::uint32_t& id = ids_[static_cast<std::size_t>(j * columns_ + i)];
        if (id != none) continue;
        const Vec3 ray = camera_.ray(static_cast<float>(i), static_cast<float>(j));
        id = ray.y < -0.0012f ? ground_id : (is_skyline(ray) ? skyline_id : sky_id);
      }
    }
  }

  static constexpr std::uint32_t sky_id = 0, skyline_id = 1, ground_id = 2, none = 0xffffffffU;

 private:
  struct Corner {
    float i, j;
  };
  int project(std::span<const Vec3> points, Corner* out) const;
  template <class Row>
  void scan(const Corner* corners, int count, int columns, int rows, Row&& row);
  void fill_mask(std::vector<std::uint8_t>& mask, std::span<const Vec3> points, std::uint8_t value);

  Camera camera_;
  Vec3 sun_direction_;
  bool casts_shadows_;
  int columns_, rows_;
  std::vector<std::uint32_t> ids_;
  std::vector<float> inverse_depths_;
  std::vector<Surface> surfaces_;
  std::uint32_t object_ = 0, object_count_ = 0;
  std::vector<Light> lights_;
  std::vector<std::uint8_t> sun_shadow_, ambient_shadow_;  // one per pixel
  std::vector<float> low_, high_;
  const NoiseTables& noise_;
};

}  // namespace ams::street
