#include "demo/street/street.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

#include "ams/core/error.hpp"
#include "street_view.hpp"

namespace ams {
namespace {

using namespace street;

constexpr std::array<std::string_view, 19> class_names = {
    "road",         "sidewalk",   "building", "wall",       "fence",  "pole",  "traffic light",
    "traffic sign", "vegetation", "terrain",  "sky",        "person", "rider", "car",
    "truck",        "bus",        "train",    "motorcycle", "bicycle"};
constexpr std::array<std::uint8_t, 11> label_ids = {0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 13};
constexpr std::array<std::uint8_t, 7> eval_classes = {0, 1, 2, 8, 10, 11, 13};
constexpr std::array<std::uint8_t, 2> object_labels = {11, 13};
constexpr std::array<std::string_view, 2> object_names = {class_names[11], class_names[13]};
constexpr std::array<std::string_view, 4> district_names = {"residential", "downtown", "industrial",
                                                            "boulevard"};
constexpr std::array<std::string_view, 5> weather_names = {"clear", "overcast", "dusk", "rain",
                                                           "night"};
constexpr double fade_seconds = 2.0;

[[noreturn]] void reject(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

void check(const StreetOptions& options) {
  if (options.width < 32 || options.width > 2048 || options.height < 32 || options.height > 2048) {
    reject(fmt::format("street size {}x{} is outside 32 to 2048 pixels", options.width,
                       options.height));
  }
  if (!(options.fps > 0 && options.fps <= 240))
    reject(fmt::format("street fps {} is outside (0, 240]", options.fps));
  if (!(options.seconds > 0 && options.seconds <= 86400)) {
    reject(fmt::format("street length of {} s is outside (0, 86400] s", options.seconds));
  }
  if (options.segments.empty() || options.segments.size() > 10000) {
    reject(fmt::format("{} street segments; 1 to 10000 are allowed", options.segments.size()));
  }
  double last = -1;
  for (const StreetSegment& segment : options.segments) {
    if (!(segment.start_seconds > last && segment.start_seconds <= 86400)) {
      reject(
          fmt::format("street segment starts at {} s; starts must ascend and stay within 86400 s",
                      segment.start_seconds));
    }
    if (static_cast<unsigned>(segment.district) >= district_names.size() ||
        static_cast<unsigned>(segment.weather) >= weather_names.size()) {
      reject("street segment has an unknown district or weather");
    }
    last = segment.start_seconds;
  }
  if (options.segments.front().start_seconds != 0) {
    reject(fmt::format("the first street segment starts at {} s; it must start at 0",
                       options.segments.front().start_seconds));
  }
}

/// Metres driven after `seconds`: about 8.5 m/s, faster and slower by turns.
double driven(double seconds) {
  return 8.5 * seconds + 24.0 * sine(seconds * 0.11) + 600.0;
}

}  // namespace

struct Street::World {
  StreetOptions options;
  std::size_t frames = 1;
  std::array<DistrictStyle, 4> styles;
  std::vector<Atmosphere> airs;         // one per segment
  std::vector<double> district_starts;  // metres, one per segment
  double bend_phase[3] = {0, 0, 0};

  /// Lateral place of the centre line, metres.
  double bend(double s) const {
    return 13.0 * sine(s / 80.0 + bend_phase[0]) + 3.2 * sine(s / 33.0 + bend_phase[1]) +
           30.0 * sine(s / 310.0 + bend_phase[2]);
  }
  District district_of(std::int64_t block) const {
    const double middle = (static_cast<double>(block) + 0.2) * static_cast<double>(block_length);
    std::size_t k = 0;
    while (k + 1 < district_starts.size() && district_starts[k + 1] <= middle) ++k;
    return options.segments[k].district;
  }
  bool junction_at(std::int64_t block) const {
    return district_of(block) != district_of(block - 1) ||
           Dice(options.seed, block, 0, 99).chance(0.6f);
  }
  View view_at(std::size_t frame_index) const;
};

View Street::World::view_at(std::size_t frame_index) const {
  View view;
  view.seed = options.seed;
  view.frame_index = frame_index;
  view.seconds = static_cast<double>(frame_index) / options.fps;
  view.camera_s = driven(view.seconds);
  // Kept small for the precision of a float; all road markings repeat in this period.
  constexpr double period = 65520;
  view.road_metres = static_cast<float>(
      view.camera_s -
      period * static_cast<double>(static_cast<std::int64_t>(view.camera_s / period)));
  view.noise = &noise_tables();
  view.styles = styles;

  std::size_t segment = 0;
  while (segment + 1 < options.segments.size() &&
         options.segments[segment + 1].start_seconds <= view.seconds)
    ++segment;
  const double into = view.seconds - options.segments[segment].start_seconds;
  view.air = airs[segment];
  if (segment > 0 && into < fade_seconds)
    view.air = mix(airs[segment - 1], airs[segment], static_cast<float>(into / fade_seconds));
  view.lamp_colour = options.segments[segment].district == District::industrial
                         ? Vec3{0.85f, 0.95f, 1.0f}
                         : Vec3{1.0f, 0.74f, 0.42f};

  const double across = 1.75 + 0.18 * sine(view.seconds * 0.7);
  const double camera_x = bend(view.camera_s) + across;
  view.road_first = static_cast<std::int64_t>(view.camera_s) - 40;
  view.road_offset = static_cast<float>(view.camera_s - static_cast<double>(view.road_first));
  for (std::size_t k = 0; k < view.road_table.size(); ++k) {
    view.road_table[k] = static_cast<float>(
        bend(static_cast<double>(view.road_first) + static_cast<double>(k)) - camera_x);
  }

  const auto first_block =
      static_cast<std::int64_t>((view.camera_s - 30) / static_cast<double>(block_length));
  for (std::size_t k = 0; k < view.blocks.size(); ++k) {
    Block& block = view.blocks[k];
    block.index = first_block + static_cast<std::int64_t>(k);
    block.district = district_of(block.index);
    block.z = static_cast<float>(
        static_cast<double>(block.index) * static_cast<double>(block_length) - view.camera_s);
    block.junction = junction_at(block.index);
    block.next_junction = junction_at(block.index + 1);
    block.style = nullptr;
  }
  view.block_count = static_cast<int>(view.blocks.size());

  Camera& camera = view.camera;
  camera.width = options.width;
  camera.height = options.height;
  camera.focal = 0.80f * static_cast<float>(std::max(options.width, options.height * 3 / 2));
  camera.centre_x = 0.5f * static_cast<float>(options.width - 1);
  camera.centre_y = 0.47f * static_cast<float>(options.height - 1);
  // The car sways and nods a little on its springs; the camera looks where the road leads.
  const double shake = view.seconds;
  camera.eye_height =
      static_cast<float>(1.42 + 0.012 * sine(shake * 9.1) + 0.008 * sine(shake * 14.7));
  const double ahead_x = bend(view.camera_s + 18) - bend(view.camera_s);
  const double pitch = 0.006 + 0.0025 * sine(shake * 7.3) + 0.0015 * sine(shake * 12.9);
  const double roll = 0.004 * sine(shake * 2.1) + 0.002 * sine(shake * 5.3);
  camera.forward =
      normalized({static_cast<float>(ahead_x), static_cast<float>(-18 * pitch), 18.0f});
  const Vec3 level = normalized(cross({0, 1, 0}, camera.forward));
  camera.right = normalized(level + Vec3{0, static_cast<float>(roll), 0});
  camera.up = cross(camera.forward, camera.right);
  camera.right = cross(camera.up, camera.forward);
  return view;
}

namespace {

/// Display curve: filmic shoulder, then x^(29/64) (about gamma 2.2) by repeated square roots.
struct ToneCurve {
  static constexpr int size = 4096;
  static constexpr float reach = 8.0f;
  std::array<float, size + 1> table;

  ToneCurve() {
    for (int k = 0; k <= size; ++k) {
      // Squared spacing: more entries for the dark.
      const float x = static_cast<float>(k) / size;
      const float light = x * x * reach;
      const float film =
          clamp01((light * (2.51f * light + 0.03f)) / (light * (2.43f * light + 0.59f) + 0.14f));
      double root = static_cast<double>(film);
      for (int n = 0; n < 6; ++n) root = std::sqrt(root);
      double power = 1;
      for (int n = 0; n < 29; ++n) power *= root;
      table[static_cast<std::size_t>(k)] = static_cast<float>(power * 255.0);
    }
  }
  float operator()(float light) const {
    const float k = std::sqrt(std::min(std::max(light, 0.0f), reach) * (1 / reach)) * size;
    return table[static_cast<std::size_t>(static_cast<int>(k))];
  }
};

const ToneCurve& tone_curve() {
  static const ToneCurve curve;
  return curve;
}

using Image = std::vector<Vec3>;

/// Colours at all samples, reduced to pixels by a tent over 3 x 3 samples. Only pixel centres and
/// edges are shaded; a sample between centres that shows one of their surfaces takes its colour
/// from them.
Image resolve(const View& view, const Raster& raster) {
  const int width = view.camera.width, height = view.camera.height;
  const auto index = [width](int x, int y) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
           static_cast<std::size_t>(x);
  };
  Image centres(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x)
      centres[index(x, y)] =
          shade(view, raster, raster.at(2 * x + 1, 2 * y + 1), 2 * x + 1, 2 * y + 1);
  }
  const int columns = raster.columns();
  std::array<Image, 3> rows;
  for (Image& row : rows) row.resize(static_cast<std::size_t>(columns));
  const auto fill = [&](int j, Image& out) {
    const std::uint32_t* const ids = raster.row(j);
    // Pixel rows and columns that touch this sample.
    const int y0 = j % 2 == 1 ? (j - 1) / 2 : std::max(0, j / 2 - 1),
              y1 = j % 2 == 1 ? y0 : std::min(height - 1, j / 2);
    for (int i = 0; i < columns; ++i) {
      if (i % 2 == 1 && j % 2 == 1) {
        out[static_cast<std::size_t>(i)] = centres[index((i - 1) / 2, y0)];
        continue;
      }
      const int x0 = i % 2 == 1 ? (i - 1) / 2 : std::max(0, i / 2 - 1),
                x1 = i % 2 == 1 ? x0 : std::min(width - 1, i / 2);
      Vec3 sum;
      int count = 0;
      for (int y = y0; y <= y1; ++y) {
        for (int x = x0; x <= x1; ++x) {
          if (raster.at(2 * x + 1, 2 * y + 1) == ids[i]) {
            sum = sum + centres[index(x, y)];
            ++count;
          }
        }
      }
      static constexpr float share[5] = {0, 1.0f, 0.5f, 1.0f / 3.0f, 0.25f};
      out[static_cast<std::size_t>(i)] =
          count > 0 ? sum * share[count] : shade(view, raster, ids[i], i, j);
    }
  };
  Image image(centres.size());
  fill(0, rows[0]);
  for (int y = 0; y < height; ++y) {
    fill(2 * y + 1, rows[1]);
    fill(2 * y + 2, rows[2]);
    for (int x = 0; x < width; ++x) {
      const auto i = static_cast<std::size_t>(2 * x);
      const auto line = [i](const Image& row) { return row[i] + row[i + 1] * 2 + row[i + 2]; };
      image[index(x, y)] = (line(rows[0]) + line(rows[1]) * 2 + line(rows[2])) * (1.0f / 16.0f);
    }
    std::swap(rows[0], rows[2]);
  }
  return image;
}

/// Halos around lamps and headlights whose source is in view.
void add_halos(const View& view, const Raster& raster, Image& image) {
  const Camera& camera = view.camera;
  for (const Light& light : raster.lights()) {
    const float z = dot(light.position, camera.forward);
    if (z < 1.5f || luminance(light.colour) <= 0) continue;
    const float scale = camera.focal / z;
    const float x = camera.centre_x + dot(light.position, camera.right) * scale;
    const float y = camera.centre_y - dot(light.position, camera.up) * scale;
    if (!(x > -40 && y > -40 && x < static_cast<float>(camera.width + 40) &&
          y < static_cast<float>(camera.height + 40)))
      continue;
    const int cx = std::clamp(static_cast<int>(x + 0.5f), 0, camera.width - 1),
              cy = std::clamp(static_cast<int>(y + 0.5f), 0, camera.height - 1);
    if (raster.depth(raster.at(2 * cx + 1, 2 * cy + 1), static_cast<float>(2 * cx + 1),
                     static_cast<float>(2 * cy + 1)) < z - 1.2f)
      continue;
    const float haze = exp_minus(z * view.air.haze_density);
    const float core = std::max(light.radius * scale, 0.7f);
    const float fog = 1.0f + 2.0f * view.air.rain;
    const float reach = std::min(core * 9 * (1 + 0.4f * view.air.rain), 70.0f);
    const int x0 = std::max(0, static_cast<int>(x - reach)),
              x1 = std::min(camera.width - 1, static_cast<int>(x + reach));
    const int y0 = std::max(0, static_cast<int>(y - reach)),
              y1 = std::min(camera.height - 1, static_cast<int>(y + reach));
    for (int py = y0; py <= y1; ++py) {
      for (int px = x0; px <= x1; ++px) {
        const float dx = static_cast<float>(px) - x, dy = static_cast<float>(py) - y;
        const float r2 = (dx * dx + dy * dy) / (reach * reach);
        if (r2 >= 1) continue;
        const float edge = 1 - r2;
        const float near_core = 1.0f / (1.0f + r2 * 81.0f);
        Vec3& pixel = image[static_cast<std::size_t>(py) * static_cast<std::size_t>(camera.width) +
                            static_cast<std::size_t>(px)];
        pixel = pixel + light.colour * (haze * edge * edge *
                                        (0.55f * near_core * near_core + 0.05f * fog * near_core));
      }
    }
  }
}

/// Wet ground mirrors what stands above it. In each column the image is turned over at the row
/// where the ground begins: exact for upright things that stand there.
void add_reflections(const View& view, const Raster& raster, Image& image) {
  const float wetness = view.air.wetness;
  if (wetness <= 0.01f) return;
  const int width = view.camera.width, height = view.camera.height;
  const Image dry = image;
  const auto at = [&](int x, int y) -> const Vec3& {
    return dry[static_cast<std::size_t>(std::clamp(y, 0, height - 1)) *
                   static_cast<std::size_t>(width) +
               static_cast<std::size_t>(std::clamp(x, 0, width - 1))];
  };
  for (int x = 0; x < width; ++x) {
    int begin = -1;
    for (int y = 0; y < height; ++y) {
      if (raster.at(2 * x + 1, 2 * y + 1) != Raster::ground_id) {
        begin = -1;
        continue;
      }
      if (begin < 0) begin = y;
      const auto i = static_cast<float>(2 * x + 1), j = static_cast<float>(2 * y + 1);
      const Vec3 ray = view.camera.ray(i, j);
      const float depth = raster.depth(Raster::ground_id, i, j);
      const float px = ray.x * depth, pz = ray.z * depth;
      const GroundPoint g = view.ground_at(px, pz);
      const std::uint8_t label = ground_label(g);
      if (label == 9) continue;
      const float s = view.road_metres + pz;
      const float pond = smooth_noise(*view.noise, s * 0.7f + 60, g.t * 1.6f);
      const float puddle = smoothstep(0.48f, 0.62f, pond);
      const float facing = -ray.y / std::sqrt(dot(ray, ray));
      const float grazing = 1 - facing;
      const float fresnel =
          0.04f + 0.75f * grazing * grazing * grazing * grazing * grazing * grazing;
      const float strength =
          wetness * fresnel * (label == 0 ? lerp(0.55f, 1.0f, puddle) : lerp(0.3f, 0.7f, puddle));
      const float ripple =
          (smooth_noise(*view.noise, s * 5 + static_cast<float>(view.frame_index % 64U) * 3,
                        g.t * 9) -
           0.5f) *
          (puddle > 0.5f ? 2.0f : 5.0f);
      const int mirror = 2 * begin - 1 - y + static_cast<int>(ripple * 1.6f);
      const int aside = x + static_cast<int>(ripple);
      const int blur = 1 + (y - begin) / (puddle > 0.5f ? 12 : 6);
      const Vec3 mean =
          (at(aside, mirror) * 2 + at(aside, mirror - blur) + at(aside, mirror + blur) +
           at(aside + 1, mirror - 2 * blur) + at(aside - 1, mirror + 2 * blur)) *
          (1.0f / 6.0f);
      Vec3& pixel = image[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                          static_cast<std::size_t>(x)];
      pixel = lerp(pixel, mean, strength);
    }
  }
}

void add_rain(const View& view, Image& image) {
  const float rain = view.air.rain;
  if (rain <= 0.01f) return;
  const int width = view.camera.width, height = view.camera.height;
  Dice dice(view.seed, static_cast<std::int64_t>(view.frame_index), 0, 0x4a1);
  const float scale = static_cast<float>(height) / 256.0f;
  const int count = static_cast<int>(rain * 340 * scale * static_cast<float>(width) /
                                     static_cast<float>(height) * 0.5f);
  const Vec3 colour = (view.air.ambient + view.air.horizon) * 0.75f;
  for (int k = 0; k < count; ++k) {
    const float nearness = dice.roll();
    const float length = scale * lerp(4, 26, nearness * nearness);
    float x = dice.roll() * static_cast<float>(width);
    const float y = dice.roll() * static_cast<float>(height + 20) - 20;
    // Streaks fan out from the centre, as the car drives into them.
    const float slant = (x / static_cast<float>(width) - 0.5f) * 0.5f + 0.06f;
    const float alpha = lerp(0.10f, 0.24f, nearness) * rain;
    const int steps = static_cast<int>(length);
    for (int n = 0; n < steps; ++n) {
      const int py = static_cast<int>(y) + n;
      const float sx = x + slant * static_cast<float>(n);
      const int px = static_cast<int>(sx);
      if (py < 0 || py >= height || px < 0 || px + 1 >= width) continue;
      const float part = sx - static_cast<float>(px);
      Vec3* const row =
          image.data() + static_cast<std::size_t>(py) * static_cast<std::size_t>(width);
      row[px] = lerp(row[px], colour, alpha * (1 - part));
      row[px + 1] = lerp(row[px + 1], colour, alpha * part);
    }
  }
}

/// Lens, film and sensor: vignette, exposure, saturation, tone, noise.
void develop(const View& view, const Image& image, std::vector<std::uint8_t>& out) {
  const int width = view.camera.width, height = view.camera.height;
  const ToneCurve& curve = tone_curve();
  const auto frame_key =
      static_cast<std::uint32_t>(mix64(view.seed ^ (view.frame_index * 0x9e3779b97f4a7c15ULL)));
  const Atmosphere& air = view.air;
  for (int y = 0; y < height; ++y) {
    const float fy = (static_cast<float>(y) + 0.5f) / static_cast<float>(height) - 0.5f;
    std::uint32_t state = hash32(frame_key, y);
    for (int x = 0; x < width; ++x) {
      const std::size_t k = static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                            static_cast<std::size_t>(x);
      const float fx = (static_cast<float>(x) + 0.5f) / static_cast<float>(width) - 0.5f;
      const float gain = air.exposure * (1 - 0.55f * (fx * fx + fy * fy));
      Vec3 colour = image[k] * gain;
      const float grey = luminance(colour);
      colour = lerp({grey, grey, grey}, colour, air.saturation);
      // Sum of four bytes of a hash: nearly normal. The channels share most of it, as grain does.
      state = state * 1664525U + 1013904223U;
      const std::uint32_t h = hash32(state);
      const float common =
          (static_cast<float>((h & 255U) + ((h >> 8) & 255U)) - 255.0f) * (1 / 104.0f);
      const float warm = (static_cast<float>((h >> 16) & 255U) - 127.5f) * (1 / 74.0f),
                  cool = (static_cast<float>(h >> 24) - 127.5f) * (1 / 74.0f);
      const auto channel = [&](float light, float own) {
        const float value = curve(light) + air.grain * (0.8f * common + 0.5f * own) + 0.5f;
        return static_cast<std::uint8_t>(std::min(std::max(value, 0.0f), 255.0f));
      };
      out[3 * k] = channel(colour.x, warm);
      out[3 * k + 1] = channel(colour.y, 0);
      out[3 * k + 2] = channel(colour.z, cool);
    }
  }
}

}  // namespace

Street::Street(StreetOptions options) {
  if (options.segments.empty() && options.seconds > 0 && options.seconds <= 86400)
    options.segments = demo_schedule(options.seconds);
  check(options);
  auto world = std::make_unique<World>();
  world->frames = static_cast<std::size_t>(std::max(1.0, options.fps * options.seconds + 0.5));
  world->styles = district_styles(options.seed);
  for (const StreetSegment& segment : options.segments) {
    world->airs.push_back(atmosphere_of(segment.weather));
    world->district_starts.push_back(driven(segment.start_seconds));
  }
  Dice dice(options.seed, 0xbe4d);
  for (double& phase : world->bend_phase)
    phase = 6.283185307179586 * static_cast<double>(dice.roll());
  world->options = std::move(options);
  world_ = std::move(world);
}

Street::~Street() = default;
Street::Street(Street&&) noexcept = default;
Street& Street::operator=(Street&&) noexcept = default;

const StreetOptions& Street::options() const noexcept {
  return world_->options;
}
std::size_t Street::frame_count() const noexcept {
  return world_->frames;
}

LabelledFrame Street::render(std::size_t frame_index) const {
  return std::move(render_scene(frame_index).labelled);
}

StreetScene Street::render_scene(std::size_t frame_index) const {
  if (frame_index >= world_->frames) {
    reject(fmt::format("street frame {} does not exist; the drive has {} frames", frame_index,
                       world_->frames));
  }
  View view = world_->view_at(frame_index);
  for (Block& block : view.blocks)
    block.style = &view.styles[static_cast<std::size_t>(block.district)];
  Raster raster(view.camera, view.air.sun_direction, luminance(view.air.sun) > 0.12f);
  populate(view, raster);
  raster.fill_background([&](Vec3 ray) { return meets_skyline(view, ray); });

  StreetScene scene;
  LabelledFrame& out = scene.labelled;
  const int width = view.camera.width, height = view.camera.height;
  out.frame.width = out.labels.width = width;
  out.frame.height = out.labels.height = height;
  out.frame.capture_seconds = view.seconds;
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  out.labels.ids.resize(pixels);
  out.frame.rgb.resize(pixels * 3);
  std::vector<StreetObject> objects(raster.object_count() + 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int i = 2 * x + 1, j = 2 * y + 1;
      const std::uint32_t id = raster.at(i, j);
      const std::uint8_t label = label_of(view, raster, id, i, j);
      out.labels.ids[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                     static_cast<std::size_t>(x)] = label;
      StreetObject& object = objects[raster.surfaces()[id].object];
      if (object.pixels++ == 0) object = {label, x, y, x + 1, y + 1, 1};
      object.left = std::min(object.left, x);
      object.right = std::max(object.right, x + 1);
      object.bottom = y + 1;
    }
  }
  // The first is what belongs to no object.
  std::copy_if(objects.begin() + 1, objects.end(), std::back_inserter(scene.objects),
               [](const StreetObject& object) { return object.pixels > 0; });
  Image image = resolve(view, raster);
  add_halos(view, raster, image);
  add_reflections(view, raster, image);
  add_rain(view, image);
  develop(view, image, out.frame.rgb);
  return scene;
}

std::vector<StreetSegment> demo_schedule(double seconds) {
  return {{0, District::residential, Weather::clear},
          {seconds * 0.22, District::downtown, Weather::dusk},
          {seconds * 0.50, District::industrial, Weather::rain},
          {seconds * 0.76, District::boulevard, Weather::night}};
}

std::vector<StreetSegment> fair_weather_schedule(std::uint64_t seed, double seconds) {
  Dice dice(seed, 0xfa12);
  std::vector<StreetSegment> segments;
  bool home = dice.chance(0.5f);
  for (double start = 0; start < seconds; start += 30) {
    segments.push_back({start, home ? District::residential : District::downtown,
                        dice.chance(0.7f) ? Weather::clear : Weather::overcast});
    home = !home;
  }
  return segments;
}

std::vector<StreetSegment> parse_schedule(std::string_view text, std::uint64_t seed,
                                          double seconds) {
  if (text == "demo") return demo_schedule(seconds);
  if (text == "fair") return fair_weather_schedule(seed, seconds);
  const auto fail = [&](std::string_view part) {
    reject(
        fmt::format("schedule part \"{}\" is not \"<seconds>:<district>/<weather>\" with a "
                    "district of {} and a weather of {}; "
                    "\"demo\" and \"fair\" are allowed too",
                    part, fmt::join(district_names, ", "), fmt::join(weather_names, ", ")));
  };
  std::vector<StreetSegment> segments;
  std::string_view rest = text;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    more = comma != std::string_view::npos;
    rest = more ? rest.substr(comma + 1) : std::string_view{};
    const std::size_t colon = part.find(':'), slash = part.find('/');
    if (colon == std::string_view::npos || slash == std::string_view::npos || slash < colon)
      fail(part);
    StreetSegment segment;
    const auto [end, error] =
        std::from_chars(part.data(), part.data() + colon, segment.start_seconds);
    if (error != std::errc{} || end != part.data() + colon) fail(part);
    const std::string_view district = part.substr(colon + 1, slash - colon - 1),
                           weather = part.substr(slash + 1);
    bool known_district = false, known_weather = false;
    for (std::size_t k = 0; k < district_names.size(); ++k) {
      if (district_names[k] == district)
        segment.district = static_cast<District>(k), known_district = true;
    }
    for (std::size_t k = 0; k < weather_names.size(); ++k) {
      if (weather_names[k] == weather)
        segment.weather = static_cast<Weather>(k), known_weather = true;
    }
    if (!known_district || !known_weather) fail(part);
    segments.push_back(segment);
  }
  return segments;
}

std::string_view to_string(District district) noexcept {
  const auto k = static_cast<std::size_t>(district);
  return k < district_names.size() ? district_names[k] : "unknown";
}
std::string_view to_string(Weather weather) noexcept {
  const auto k = static_cast<std::size_t>(weather);
  return k < weather_names.size() ? weather_names[k] : "unknown";
}
std::span<const std::string_view, 19> street_class_names() noexcept {
  return class_names;
}
std::span<const std::uint8_t> street_label_ids() noexcept {
  return label_ids;
}
std::span<const std::string_view, 2> street_object_names() noexcept {
  return object_names;
}
BoxSet street_boxes(const StreetScene& scene, std::size_t min_pixels) {
  const auto width = static_cast<float>(scene.labelled.frame.width),
             height = static_cast<float>(scene.labelled.frame.height);
  BoxSet set;
  for (const StreetObject& object : scene.objects) {
    if (object.pixels < min_pixels) continue;
    const auto class_id =
        std::find(object_labels.begin(), object_labels.end(), object.label) - object_labels.begin();
    set.boxes.push_back(
        {static_cast<float>(object.left) / width, static_cast<float>(object.top) / height,
         static_cast<float>(object.right) / width, static_cast<float>(object.bottom) / height,
         static_cast<std::uint16_t>(class_id)});
  }
  return set;
}
std::span<const std::uint8_t> street_eval_classes() noexcept {
  return eval_classes;
}

}  // namespace ams
