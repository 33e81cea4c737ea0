#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ams/detection/box.hpp"
#include "ams/segmentation/label_map.hpp"

namespace ams {

/// What stands beside the road. Facades, trees, people, parked cars and road markings differ.
enum class District {
  residential,  ///< Houses with pitched roofs, gardens, hedges, street trees.
  downtown,     ///< Tall brick and glass, shops, wide sidewalks, many people.
  industrial,   ///< Halls of corrugated sheet, dry grass, few people.
  boulevard,    ///< Plastered apartment houses behind rows of autumn trees.
};

/// Light and weather. Everything but `clear` and `overcast` is far from what a student sees that
/// was trained in fair weather.
enum class Weather { clear, overcast, dusk, rain, night };

/// From `start_seconds` on, the camera drives through `district` in `weather`. The district changes
/// where the camera then is, so it comes into view ahead a little earlier; the weather fades over
/// two seconds.
struct StreetSegment {
  double start_seconds = 0;
  District district = District::residential;
  Weather weather = Weather::clear;
};

struct StreetOptions {
  std::uint64_t seed = 1;  ///< Another seed is another town: layout, colours, traffic, clouds.
  int width = 512;         ///< pixels, 32 to 2048
  int height = 256;        ///< pixels, 32 to 2048
  double fps = 15;         ///< frames per second, above 0, at most 240
  double seconds = 150;    ///< length of the drive, above 0, at most 86400
  /// In order of start_seconds, the first at 0. Empty stands for demo_schedule(seconds).
  std::vector<StreetSegment> segments;
};

/// A person or a car that is seen, in whole or in part: the smallest rectangle around its pixels.
struct StreetObject {
  std::uint8_t label = 0;                        ///< that of its pixels
  int left = 0, top = 0, right = 0, bottom = 0;  ///< pixels; right and bottom are outside
  std::size_t pixels = 0;                        ///< that are seen, 1 or more
};

/// A frame with all that is known of it.
struct StreetScene {
  LabelledFrame labelled;
  std::vector<StreetObject> objects;
};

/// A rendered drive along a street, with the class of every pixel known exactly: colour and label
/// come from the same visibility computation. Labels are Cityscapes train ids.
///
/// render() is a pure function of the options and the index: any frame, in any order, from any
/// number of threads at once. It uses only correctly rounded arithmetic (+ - * / sqrt in float and
/// double) and its own polynomials, so pixels and labels are the same bits on every IEEE 754
/// machine and compiler that neither fuses nor reorders floating-point operations (the build passes
/// -ffp-contract=off).
class Street {
 public:
  /// Throws Error{invalid_argument} when an option is outside its range.
  explicit Street(StreetOptions options);
  ~Street();
  Street(Street&&) noexcept;
  Street& operator=(Street&&) noexcept;

  const StreetOptions& options() const noexcept;

  /// Number of frames: fps * seconds, rounded, at least 1.
  std::size_t frame_count() const noexcept;

  /// Frame `frame_index` of the drive and the class of the surface at the centre of each pixel.
  /// Throws Error{invalid_argument} when frame_index >= frame_count().
  LabelledFrame render(std::size_t frame_index) const;

  /// The same, with the objects: each person and car of which the centre of a pixel is seen.
  StreetScene render_scene(std::size_t frame_index) const;

 private:
  struct World;
  std::unique_ptr<const World> world_;
};

/// Four scenes that a student trained in fair weather has not seen well: residential in daylight,
/// downtown at dusk, industry in rain, a boulevard by night. Scaled to `seconds`.
std::vector<StreetSegment> demo_schedule(double seconds);

/// Daylight only, residential and downtown by turns, in an order drawn from `seed`: what the
/// shipped student is pre-trained on.
std::vector<StreetSegment> fair_weather_schedule(std::uint64_t seed, double seconds);

/// "demo", "fair", or a list such as "0:residential/clear,40:downtown/dusk".
/// Throws Error{invalid_argument} that names what is allowed.
std::vector<StreetSegment> parse_schedule(std::string_view text, std::uint64_t seed,
                                          double seconds);

std::string_view to_string(District district) noexcept;
std::string_view to_string(Weather weather) noexcept;

/// Names of the 19 Cityscapes train classes, by id.
std::span<const std::string_view, 19> street_class_names() noexcept;

/// The ids that render() can write, ascending.
std::span<const std::uint8_t> street_label_ids() noexcept;

/// The names of the classes that objects have: person, car.
std::span<const std::string_view, 2> street_object_names() noexcept;

/// The objects as boxes of these classes. Those of which fewer pixels are seen are left out.
BoxSet street_boxes(const StreetScene& scene, std::size_t min_pixels = 1);

/// The common classes to score: road, sidewalk, building, vegetation, sky, person, car.
std::span<const std::uint8_t> street_eval_classes() noexcept;

}  // namespace ams
