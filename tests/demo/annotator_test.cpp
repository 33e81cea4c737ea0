#include "demo/annotator/annotator.hpp"

#include <array>
#include <set>

#include "ams/video/image_file.hpp"
#include "ams/video/scaling.hpp"
#include "ams/video/video_reader.hpp"
#include "video/support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

AnnotatorOptions street_options() {
  AnnotatorOptions options;
  options.heading = "A street";
  options.classes = {"road", "sky", "gnome"};
  options.shown_classes = {0, 1, 2};
  options.panel_width = 200;
  options.opacity = 1;
  options.duration_seconds = 20;
  return options;
}

std::vector<AnnotationPanel> two_panels() {
  AnnotationPanel video;
  video.title = "Video";
  AnnotationPanel student;
  student.title = "Student";
  student.accent = {255, 0, 255};
  student.scored = true;
  return {video, student};
}

/// How many pixels have exactly this colour.
int count_colour(const Frame& frame, Colour colour) {
  int count = 0;
  for (std::size_t i = 0; i < frame.rgb.size(); i += 3) {
    count += Colour{frame.rgb[i], frame.rgb[i + 1], frame.rgb[i + 2]} == colour ? 1 : 0;
  }
  return count;
}

LabelMap uniform(int width, int height, std::uint8_t id) {
  return {width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height, id)};
}

}  // namespace

TEST_CASE("labels are painted in their class's colour, the video panel stays bare") {
  Annotator annotator(two_panels(), 64, 32, street_options());
  CHECK(annotator.width() % 2 == 0);
  CHECK(annotator.height() % 2 == 0);
  const Colour sky = class_colour("sky", 1);
  const LabelMap labels = uniform(16, 8, 1);
  const std::array contents{AnnotationContent{}, AnnotationContent{&labels, 0.5}};
  const Frame picture = annotator.compose(solid(64, 32, 90, 90, 90), contents);
  CHECK(picture.width == annotator.width());
  CHECK(picture.height == annotator.height());
  REQUIRE(picture.rgb.size() == static_cast<std::size_t>(picture.width) * picture.height * 3);
  const int panel = 200 * 100;
  CHECK(count_colour(picture, {90, 90, 90}) > 0.98 * panel);
  CHECK(count_colour(picture, {90, 90, 90}) <= panel);
  CHECK(count_colour(picture, sky) > 0.98 * panel);
  CHECK(count_colour(picture, {255, 0, 255}) > 10);  // the figure and the chart
}

TEST_CASE("half a panel of each class") {
  Annotator annotator(two_panels(), 64, 32, street_options());
  LabelMap labels = uniform(16, 8, 0);
  for (int y = 0; y < 8; ++y) {
    for (int x = 8; x < 16; ++x) labels.ids[static_cast<std::size_t>(y * 16 + x)] = 2;
  }
  const std::array contents{AnnotationContent{}, AnnotationContent{&labels, {}}};
  const Frame picture = annotator.compose(solid(64, 32, 90, 90, 90), contents);
  CHECK(count_colour(picture, class_colour("road", 0)) > 0.4 * 20'000);
  CHECK(count_colour(picture, class_colour("gnome", 2)) > 0.4 * 20'000);
}

TEST_CASE("classes that are not shown stay video, dimmed") {
  AnnotatorOptions options = street_options();
  options.shown_classes = {0};
  Annotator annotator(two_panels(), 64, 32, options);
  for (const std::uint8_t id : {1, 200, 255}) {
    const LabelMap labels = uniform(16, 8, id);
    const std::array contents{AnnotationContent{}, AnnotationContent{&labels, {}}};
    const Frame picture = annotator.compose(solid(64, 32, 100, 100, 100), contents);
    CHECK(count_colour(picture, {45, 45, 45}) > 0.98 * 20'000);
  }
}

TEST_CASE("the chart grows with every frame") {
  Annotator annotator(two_panels(), 64, 32, street_options());
  const LabelMap labels = uniform(16, 8, 1);
  int before = 0;
  for (int i = 0; i < 5; ++i) {
    Frame frame = solid(64, 32, 90, 90, 90);
    frame.capture_seconds = 4.0 * i;
    const std::array contents{AnnotationContent{}, AnnotationContent{&labels, 0.5}};
    const int now = count_colour(annotator.compose(frame, contents), {255, 0, 255});
    CHECK(now > before);
    before = now;
  }
}

TEST_CASE("every panel count and odd video size has a layout") {
  for (std::size_t count = 1; count <= 8; ++count) {
    for (const auto& [width, height] :
         std::vector<std::pair<int, int>>{{64, 32}, {33, 47}, {1, 500}, {500, 1}}) {
      Annotator annotator(std::vector<AnnotationPanel>(count, {"Title"}), width, height,
                          street_options());
      const std::vector<AnnotationContent> contents(count);
      const Frame picture = annotator.compose(solid(width, height, 1, 2, 3), contents);
      CHECK(picture.width == annotator.width());
      CHECK(picture.height == annotator.height());
      CHECK(picture.width <= 2000);
      CHECK(picture.height <= 2000);
    }
  }
}

TEST_CASE("what the annotator refuses") {
  const auto make = [](const std::function<void(AnnotatorOptions&)>& spoil) {
    AnnotatorOptions options = street_options();
    spoil(options);
    return error_of([&] { Annotator annotator(two_panels(), 64, 32, options); });
  };
  CHECK(make([](auto& o) { o.panel_width = 100; }) == "invalid_argument");
  CHECK(make([](auto& o) { o.opacity = 1.5; }) == "invalid_argument");
  CHECK(make([](auto& o) { o.duration_seconds = -1; }) == "invalid_argument");
  CHECK(make([](auto& o) { o.shown_classes = {3}; }) == "invalid_argument");
  CHECK(error_of([] { Annotator annotator({}, 64, 32, {}); }) == "invalid_argument");
  CHECK(error_of([] { Annotator annotator(two_panels(), 0, 32, {}); }) == "invalid_argument");

  Annotator annotator(two_panels(), 64, 32, street_options());
  const Frame frame = solid(64, 32, 1, 2, 3);
  CHECK(error_of([&] { annotator.compose(frame, std::vector<AnnotationContent>(1)); }) ==
        "invalid_argument");
  const LabelMap broken{4, 4, {1, 2, 3}};
  const std::array contents{AnnotationContent{}, AnnotationContent{&broken, {}}};
  CHECK(error_of([&] { annotator.compose(frame, contents); }) == "invalid_argument");
}

TEST_CASE("the palette tells its classes apart") {
  std::set<std::array<int, 3>> seen;
  for (const NamedColour& entry : street_palette) {
    CHECK(class_colour(entry.name, 77) == entry.colour);
    seen.insert({entry.colour.r, entry.colour.g, entry.colour.b});
  }
  CHECK(seen.size() == street_palette.size());
  CHECK_FALSE(class_colour("gnome", 0) == class_colour("gnome", 1));
}

TEST_CASE("PNG pictures come back exactly") {
  const Scratch scratch;
  const Frame frame = scene(53, 31, 3, 50);
  write_png(scratch / "p.png", frame);
  CHECK(scratch.entries() == 1);
  VideoReader reader((scratch / "p.png").string());
  const auto back = reader.next();
  REQUIRE(back.has_value());
  CHECK(back->width == 53);
  CHECK(back->height == 31);
  CHECK(back->rgb == frame.rgb);
  CHECK(error_of([&] { write_png(scratch / "none" / "p.png", frame); }) == "io_error");
  CHECK(error_of([&] { write_png(scratch / "p.png", Frame{}); }) == "invalid_argument");
}

TEST_CASE("area scaling by whole factors is the mean of the covered pixels") {
  const Frame frame = scene(48, 36, 1, 50);
  const Frame small = scale_frame(frame, 12, 9);
  REQUIRE(small.width == 12);
  REQUIRE(small.height == 9);
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 12; ++x) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int dy = 0; dy < 4; ++dy) {
          for (int dx = 0; dx < 4; ++dx) {
            sum += frame.rgb[static_cast<std::size_t>(((4 * y + dy) * 48 + 4 * x + dx) * 3 + c)];
          }
        }
        CHECK(std::abs(sum / 16 - small.rgb[static_cast<std::size_t>((y * 12 + x) * 3 + c)]) <=
              1.5);
      }
    }
  }
  Frame timed = frame;
  timed.capture_seconds = 4;
  CHECK(scale_frame(timed, 10, 10).capture_seconds == 4);
  CHECK(scale_frame(timed, 48, 36).rgb == frame.rgb);
  CHECK(error_of([&] { scale_frame(frame, 0, 9); }) == "invalid_argument");
  CHECK(error_of([&] { scale_frame(frame, 9, 20'000); }) == "invalid_argument");
}
