#include "street_raster.hpp"

namespace ams::street {
namespace {

constexpr float near_plane = 0.25f;
constexpr int max_corners = 20;

int clip_near(std::span<const Vec3> view, Vec3* out) {
  int count = 0;
  const std::size_t n = view.size();
  for (std::size_t k = 0; k < n; ++k) {
    const Vec3 p = view[k], q = view[(k + 1) % n];
    const bool p_in = p.z >= near_plane, q_in = q.z >= near_plane;
    if (p_in) out[count++] = p;
    if (p_in != q_in) {
      const float s = (near_plane - p.z) / (q.z - p.z);
      out[count++] = {p.x + (q.x - p.x) * s, p.y + (q.y - p.y) * s, near_plane};
    }
  }
  return count;
}

/// First integer >= x, kept within [low, high].
int ceil_within(float x, int low, int high) {
  if (!(x > static_cast<float>(low))) return low;
  if (x >= static_cast<float>(high)) return high;
  const int i = static_cast<int>(x);
  return static_cast<float>(i) < x ? i + 1 : i;
}

}  // namespace

Raster::Raster(const Camera& camera, Vec3 sun_direction, bool casts_shadows)
    : camera_(camera),
      sun_direction_(sun_direction),
      casts_shadows_(casts_shadows && sun_direction.y > 0.05f),
      columns_(2 * camera.width + 1),
      rows_(2 * camera.height + 1),
      ids_(static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_), none),
      inverse_depths_(ids_.size(), 0.0f),
      sun_shadow_(static_cast<std::size_t>(camera.width) * static_cast<std::size_t>(camera.height)),
      ambient_shadow_(sun_shadow_.size()),
      low_(static_cast<std::size_t>(rows_)),
      high_(static_cast<std::size_t>(rows_)),
      noise_(noise_tables()) {
  surfaces_.reserve(4096);
  Surface background;
  background.material = Material::sky;
  background.label = 10;
  surfaces_.push_back(background);
  background.material = Material::skyline;
  background.label = 8;
  surfaces_.push_back(background);
  background.material = Material::ground;
  background.label = 0;
  background.normal = {0, 1, 0};
  const float k = -1.0f / camera_.eye_height;
  const Vec3 ray = camera_.ray(0, 0), di = camera_.right * (0.5f / camera_.focal),
             dj = camera_.up * (-0.5f / camera_.focal);
  background.inverse_depth[0] = k * ray.y;
  background.inverse_depth[1] = k * di.y;
  background.inverse_depth[2] = k * dj.y;
  surfaces_.push_back(background);
}

float Raster::depth(std::uint32_t id, float i, float j) const {
  const Surface& s = surfaces_[id];
  if (id <= skyline_id) return 1e9f;
  if (s.is_ball) {
    const float x = (i - s.centre_i) * s.scale_i, y = (j - s.centre_j) * s.scale_j;
    const float rest = 1 - x * x - y * y;
    return 1.0f / (s.ball_inverse_depth + s.bulge * (rest > 0 ? rest : 0));
  }
  const float inverse = s.inverse_depth[0] + s.inverse_depth[1] * i + s.inverse_depth[2] * j;
  return inverse > 1e-6f ? 1.0f / inverse : 1e6f;
}

int Raster::project(std::span<const Vec3> points, Corner* out) const {
  Vec3 view[max_corners], clipped[max_corners];
  const std::size_t n = std::min<std::size_t>(points.size(), 16);
  for (std::size_t k = 0; k < n; ++k) {
    view[k] = {dot(points[k], camera_.right), dot(points[k], camera_.up),
               dot(points[k], camera_.forward)};
  }
  const int count = clip_near({view, n}, clipped);
  for (int k = 0; k < count; ++k) {
    const float scale = camera_.focal / clipped[k].z;
    out[k] = {2 * (camera_.centre_x + clipped[k].x * scale) + 1,
              2 * (camera_.centre_y - clipped[k].y * scale) + 1};
  }
  return count;
}

template <class Row>
void Raster::scan(const Corner* corners, int count, int columns, int rows, Row&& row) {
  if (count < 3) return;
  float top = corners[0].j, bottom = top;
  for (int k = 1; k < count; ++k) {
    top = std::min(top, corners[k].j);
    bottom = std::max(bottom, corners[k].j);
  }
  const int first = ceil_within(top, 0, rows), last = ceil_within(bottom, 0, rows);
  if (first >= last) return;
  for (int j = first; j < last; ++j) {
    low_[static_cast<std::size_t>(j)] = 1e9f;
    high_[static_cast<std::size_t>(j)] = -1e9f;
  }
  for (int k = 0; k < count; ++k) {
    Corner p = corners[k], q = corners[k + 1 < count ? k + 1 : 0];
    if (p.j > q.j) std::swap(p, q);  // so that an edge shared by two faces is computed alike
    const int from = ceil_within(p.j, 0, rows), to = ceil_within(q.j, 0, rows);
    if (from >= to) continue;
    const float slope = (q.i - p.i) / (q.j - p.j);
    for (int j = from; j < to; ++j) {
      const float x = p.i + (static_cast<float>(j) - p.j) * slope;
      low_[static_cast<std::size_t>(j)] = std::min(low_[static_cast<std::size_t>(j)], x);
      high_[static_cast<std::size_t>(j)] = std::max(high_[static_cast<std::size_t>(j)], x);
    }
  }
  for (int j = first; j < last; ++j) {
    const int from = ceil_within(low_[static_cast<std::size_t>(j)], 0, columns);
    const int to = ceil_within(high_[static_cast<std::size_t>(j)], 0, columns);
    if (from < to) row(j, from, to);
  }
}

void Raster::polygon(std::span<const Vec3> points, Surface surface, const Vec3* inside) {
  Vec3 normal = normalized(cross(points[1] - points[0], points[2] - points[0]));
  const float distance = dot(normal, points[0]);
  if (inside != nullptr) {
    const bool outward = dot(normal, *inside - points[0]) < 0;
    if ((outward ? distance : -distance) >= 0) return;
  }
  if (distance > -1e-4f && distance < 1e-4f) return;
  if (distance > 0) normal = -normal;
  Corner corners[max_corners];
  const int count = project(points, corners);
  if (count < 3) return;
  const Vec3 scaled = normal * (1.0f / dot(normal, points[0]));
  const float at_0 = dot(scaled, camera_.ray(0, 0));
  const float per_i = dot(scaled, camera_.right) * (0.5f / camera_.focal);
  const float per_j = dot(scaled, camera_.up) * (-0.5f / camera_.focal);
  surface.object = object_;
  surface.normal = normal;
  surface.inverse_depth[0] = at_0;
  surface.inverse_depth[1] = per_i;
  surface.inverse_depth[2] = per_j;
  const auto id = static_cast<std::uint32_t>(surfaces_.size());
  bool visible = false;
  scan(corners, count, columns_, rows_, [&](int j, int from, int to) {
    const std::size_t start = static_cast<std::size_t>(j) * static_cast<std::size_t>(columns_);
    float* const depths = inverse_depths_.data() + start;
    std::uint32_t* const ids = ids_.data() + start;
    const float row = at_0 + per_j * static_cast<float>(j);
    std::uint32_t any = 0;
    for (int i = from; i < to; ++i) {
      const float inverse = row + per_i * static_cast<float>(i);
      const bool nearer = inverse > depths[i];
      depths[i] = nearer ? inverse : depths[i];
      ids[i] = nearer ? id : ids[i];
      any |= nearer ? 1U : 0U;
    }
    visible |= any != 0;
  });
  if (visible) surfaces_.push_back(surface);
}

void Raster::face(std::span<const Vec3> points, Surface surface, const Vec3* inside) {
  surface.origin = points[0];
  surface.u = normalized(points[1] - points[0]);
  const Vec3 normal = normalized(cross(points[1] - points[0], points[2] - points[0]));
  surface.v = cross(normal, surface.u);
  polygon(points, surface, inside);
}

void Raster::limb(Vec3 a, Vec3 b, float radius_a, float radius_b, Surface surface) {
  const Vec3 axis = normalized(b - a);
  const Vec3 side = normalized(cross(axis, a + b));
  const Vec3 points[6] = {a - side * radius_a, a - axis * (radius_a * 0.8f), a + side * radius_a,
                          b + side * radius_b, b + axis * (radius_b * 0.8f), b - side * radius_b};
  surface.origin = a;
  surface.u = side * (2.0f / (radius_a + radius_b));
  surface.v = axis;
  polygon(points, surface);
}

void Raster::ball(Vec3 centre, float radius_x, float radius_y, float ragged, Surface surface) {
  const float z = dot(centre, camera_.forward);
  if (z < 1.0f) return;
  const float x = dot(centre, camera_.right), y = dot(centre, camera_.up);
  const float scale = camera_.focal / z;
  surface.is_ball = true;
  surface.object = object_;
  surface.centre_i = 2 * (camera_.centre_x + x * scale) + 1;
  surface.centre_j = 2 * (camera_.centre_y - y * scale) + 1;
  const float half_width = 2 * radius_x * scale, half_height = 2 * radius_y * scale;
  if (half_height < 0.3f || half_width < 0.3f) return;
  surface.scale_i = 1 / half_width;
  surface.scale_j = 1 / half_height;
  surface.ball_inverse_depth = 1 / z;
  const float front = std::max(z - radius_x * 0.9f, z * 0.5f);
  surface.bulge = 1 / front - 1 / z;
  const auto id = static_cast<std::uint32_t>(surfaces_.size());
  const int first = ceil_within(surface.centre_j - half_height, 0, rows_);
  const int last = ceil_within(surface.centre_j + half_height, 0, rows_);
  const int left = ceil_within(surface.centre_i - half_width, 0, columns_);
  const int right = ceil_within(surface.centre_i + half_width, 0, columns_);
  bool visible = false;
  // Texels of 5 cm; one sample covers `step` of them.
  const float texels_x = radius_x * 20.0f, texels_y = radius_y * 20.0f;
  const float step = texels_y * surface.scale_j;
  std::size_t level = 0;
  for (float s = step; s > 1.2f && level + 1 < NoiseTables::levels; s *= 0.5f) ++level;
  const auto& leaf = noise_.leaf[level];
  const int offset_u = static_cast<int>(surface.hash & 255U),
            offset_v = static_cast<int>((surface.hash >> 8) & 255U);
  for (int j = first; j < last; ++j) {
    const float dy = (static_cast<float>(j) - surface.centre_j) * surface.scale_j;
    const std::size_t start = static_cast<std::size_t>(j) * static_cast<std::size_t>(columns_);
    float* const depths = inverse_depths_.data() + start;
    std::uint32_t* const ids = ids_.data() + start;
    const int leaf_row = ((floor_int(dy * texels_y) + offset_v) & 255) << 8;
    for (int i = left; i < right; ++i) {
      const float dx = (static_cast<float>(i) - surface.centre_i) * surface.scale_i;
      const float rest = 1 - dx * dx - dy * dy;
      if (rest <= 0) continue;
      float inverse = surface.ball_inverse_depth + surface.bulge * rest;
      if (inverse <= depths[i]) continue;
      if (ragged > 0) {
        const int leaf_column = (floor_int(dx * texels_x) + offset_u) & 255;
        const float density =
            static_cast<float>(leaf[static_cast<std::size_t>(leaf_row | leaf_column)]) *
            (1.0f / 255.0f);
        if (rest < ragged * (1 - density)) continue;
        // Deep gaps between leaf clumps, so that crowns grow into each other without a seam.
        inverse -= surface.bulge * 0.9f * (1 - density);
        if (inverse <= depths[i]) continue;
      }
      depths[i] = inverse;
      ids[i] = id;
      visible = true;
    }
  }
  if (visible) surfaces_.push_back(surface);
}

void Raster::fill_mask(std::vector<std::uint8_t>& mask, std::span<const Vec3> points,
                       std::uint8_t value) {
  Corner corners[max_corners];
  const int count = project(points, corners);
  for (int k = 0; k < count; ++k) {
    corners[k].i = (corners[k].i - 1) * 0.5f;
    corners[k].j = (corners[k].j - 1) * 0.5f;
  }
  scan(corners, count, camera_.width, camera_.height, [&](int j, int from, int to) {
    std::uint8_t* const row =
        mask.data() + static_cast<std::size_t>(j) * static_cast<std::size_t>(camera_.width);
    for (int i = from; i < to; ++i) row[i] = std::max(row[i], value);
  });
}

void Raster::shadow(std::span<const Vec3> points, std::uint8_t strength) {
  if (!casts_shadows_) return;
  Vec3 flat[16];
  const std::size_t n = std::min<std::size_t>(points.size(), 16);
  const Vec3 along = sun_direction_ * (1 / sun_direction_.y);
  for (std::size_t k = 0; k < n; ++k)
    flat[k] = points[k] - along * (points[k].y + camera_.eye_height);
  fill_mask(sun_shadow_, {flat, n}, strength);
}

void Raster::occlude(std::span<const Vec3> points, std::uint8_t strength) {
  fill_mask(ambient_shadow_, points, strength);
}

void Raster::ball_shadow(Vec3 centre, float radius_x, float radius_y, std::uint8_t strength) {
  if (!casts_shadows_) return;
  // The silhouette seen from the sun, as a polygon across the sun's direction.
  const Vec3 across = normalized(cross(sun_direction_, {0, 1, 0}));
  const Vec3 rise = cross(across, sun_direction_);
  static constexpr float cosines[8] = {1, 0.7071f, 0, -0.7071f, -1, -0.7071f, 0, 0.7071f};
  Vec3 rim[8];
  for (std::size_t k = 0; k < 8; ++k) {
    rim[k] = centre + across * (radius_x * cosines[k]) + rise * (radius_y * cosines[(k + 6) % 8]);
  }
  shadow(rim, strength);
}

void Raster::ground_shadow(float i, float j, float& sun, float& ambient) const {
  const float x = (i - 1) * 0.5f, y = (j - 1) * 0.5f;
  const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
  int sun_sum = 0, ambient_sum = 0;
  for (int dy = -1; dy <= 1; ++dy) {
    const int yy = std::clamp(y0 + dy, 0, camera_.height - 1);
    for (int dx = -1; dx <= 1; ++dx) {
      const int xx = std::clamp(x0 + dx, 0, camera_.width - 1);
      const std::size_t k = static_cast<std::size_t>(yy) * static_cast<std::size_t>(camera_.width) +
                            static_cast<std::size_t>(xx);
      sun_sum += sun_shadow_[k];
      ambient_sum += ambient_shadow_[k];
    }
  }
  sun = static_cast<float>(sun_sum) * (1.0f / (9 * 255));
  ambient = static_cast<float>(ambient_sum) * (1.0f / (9 * 255));
}

}  // namespace ams::street
