#include "demo/annotator/annotator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/video/scaling.hpp"
#include "canvas.hpp"

namespace ams {
namespace {

constexpr Colour background{18, 21, 28};
constexpr Colour card{28, 32, 42};
constexpr Colour grid_line{52, 58, 72};
constexpr Colour bright{236, 239, 244};
constexpr Colour quiet_text{142, 150, 166};
constexpr Colour unscored{58, 60, 64};

constexpr int margin = 24;
constexpr int gutter = 20;
constexpr int header_height = 62;
constexpr int title_height = 34;
constexpr int chart_height = 132;
constexpr int legend_line_height = 28;
constexpr double corner = 8;
constexpr double legend_text_size = 11;
constexpr double chip_width = 16;

struct Rectangle {
  int x = 0, y = 0, width = 0, height = 0;
};

std::string percent(double fraction) {
  return fmt::format("{:.1f}", 100 * fraction);
}

}  // namespace

struct Annotator::Impl {
  Impl(std::vector<AnnotationPanel> the_panels, int video_width, int video_height,
       const AnnotatorOptions& opts)
      : panels(std::move(the_panels)), options(opts) {
    const auto refuse = [](const std::string& message) {
      throw Error(ErrorCode::invalid_argument, message);
    };
    if (panels.empty() || panels.size() > 8)
      refuse(fmt::format("{} panels; may be 1 to 8", panels.size()));
    if (video_width < 1 || video_height < 1 || video_width > 16384 || video_height > 16384) {
      refuse(fmt::format("a video of {} x {}; both sides may be 1 to 16384", video_width,
                         video_height));
    }
    if (options.panel_width < 160 || options.panel_width > 1920) {
      refuse(fmt::format("panel_width {}; may be 160 to 1920", options.panel_width));
    }
    if (!(options.opacity >= 0 && options.opacity <= 1)) {
      refuse(fmt::format("opacity {}; may be 0 to 1", options.opacity));
    }
    if (!(options.duration_seconds >= 0)) refuse("duration_seconds must not be negative");
    for (std::uint8_t id : options.shown_classes) {
      if (id >= options.classes.size()) {
        refuse(fmt::format("shown class {}; there are classes 0 to {}", id,
                           static_cast<int>(options.classes.size()) - 1));
      }
      shown[id] = true;
      colours[id] = class_colour(options.classes[id], id);
    }
    const double aspect = static_cast<double>(video_width) / video_height;
    panel_width = options.panel_width;
    panel_height = static_cast<int>(std::lround(panel_width / aspect));
    const int highest = std::max(120, panel_width * 9 / 16);
    if (panel_height > highest) {
      panel_height = highest;
      panel_width = std::max(160, static_cast<int>(std::lround(highest * aspect)));
    }
    panel_height = std::max(panel_height, 16);
    lay_out();
  }

  void lay_out() {
    const int columns = panels.size() == 1 ? 1 : 2;
    width = (2 * margin + columns * panel_width + (columns - 1) * gutter + 1) & ~1;
    int y = header_height;
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const int column = static_cast<int>(i) % columns;
      if (i > 0 && column == 0) y += title_height + panel_height + gutter / 2;
      places.push_back(
          {margin + column * (panel_width + gutter), y + title_height, panel_width, panel_height});
    }
    y += title_height + panel_height + gutter;
    if (options.duration_seconds > 0) {
      chart = {margin, y, width - 2 * margin, chart_height};
      y += chart_height + gutter;
    }
    if (options.legend && !options.shown_classes.empty()) {
      legend_top = y;
      y += legend_lines() * legend_line_height + gutter / 2;
    }
    height = (y + 1) & ~1;
    base = paint_base();
  }

  static double legend_entry_width(const NamedColour& entry) {
    return chip_width + 10 + Canvas::text_width(legend_text_size, entry.name) + 28;
  }

  std::vector<NamedColour> legend_entries() const {
    std::vector<NamedColour> entries;
    for (std::uint8_t id : options.shown_classes)
      entries.push_back({options.classes[id], colours[id]});
    if (entries.size() < options.classes.size()) entries.push_back({"not scored", unscored});
    return entries;
  }

  int legend_lines() const {
    double x = 0;
    int lines = 1;
    for (const NamedColour& named : legend_entries()) {
      const double entry = legend_entry_width(named);
      if (x > 0 && x + entry > width - 2 * margin) {
        ++lines;
        x = 0;
      }
      x += entry;
    }
    return lines;
  }

  Canvas paint_base() const {
    Canvas canvas(width, height, background);
    canvas.text(margin, 42, 19, options.heading, bright, true);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const Rectangle& place = places[i];
      const double end = canvas.text(place.x + 2, place.y - 11, 13, panels[i].title, bright);
      canvas.text(end + 8, place.y - 11, 10.5, panels[i].subtitle, quiet_text);
    }
    if (chart.height > 0) paint_axes(canvas);
    if (legend_top > 0) paint_legend(canvas);
    return canvas;
  }

  void paint_legend(Canvas& canvas) const {
    double x = margin;
    double y = legend_top + legend_line_height / 2.0;
    for (const NamedColour& named : legend_entries()) {
      const double entry = legend_entry_width(named);
      if (x > margin && x + entry > width - margin) {
        x = margin;
        y += legend_line_height;
      }
      canvas.stroke(x + 6, y, x + chip_width - 2, y, 6, named.colour);
      canvas.text(x + chip_width + 10, y + legend_text_size / 2, legend_text_size, named.name,
                  bright);
      x += entry;
    }
  }

  // The drawing area of the chart, inside its card.
  Rectangle plot() const {
    return {chart.x + 46, chart.y + 30, chart.width - 66, chart.height - 54};
  }
  double plot_x(double seconds) const {
    return plot().x + plot().width * std::clamp(seconds / options.duration_seconds, 0.0, 1.0);
  }
  double plot_y(double miou) const {
    return plot().y + plot().height * (1 - std::clamp(miou, 0.0, 1.0));
  }

  void paint_axes(Canvas& canvas) const {
    canvas.fill(chart.x, chart.y, chart.width, chart.height, card);
    canvas.round_corners(chart.x, chart.y, chart.width, chart.height, corner, background);
    canvas.text(chart.x + 14, chart.y + 19, 9.5, options.chart_title, quiet_text);
    double x = chart.x + chart.width - 20;
    for (std::size_t i = panels.size(); i-- > 0;) {
      if (!panels[i].scored) continue;
      const double label = Canvas::text_width(9.5, panels[i].title);
      canvas.text(x - label, chart.y + 19, 9.5, panels[i].title, bright);
      canvas.stroke(x - label - 26, chart.y + 14.5, x - label - 10, chart.y + 14.5, 1.6,
                    panels[i].accent);
      x -= label + 48;
    }
    for (const double level : {0.0, 0.5, 1.0}) {
      const double y = plot_y(level);
      canvas.stroke(plot().x, y, plot().x + plot().width, y, 0.5, grid_line);
      canvas.text_right(plot().x - 8, y + 4, 8.5, fmt::format("{:.0f}", 100 * level), quiet_text);
    }
    double step = 10;
    for (const double longer : {20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0}) {
      if (options.duration_seconds / step <= 10) break;
      step = longer;
    }
    for (double t = 0; t <= options.duration_seconds; t += step) {
      const double at = plot_x(t);
      canvas.stroke(at, plot_y(0), at, plot_y(0) + 4, 0.5, grid_line);
      const std::string label = fmt::format("{:.0f} s", t);
      canvas.text(at - Canvas::text_width(8.5, label) / 2, plot_y(0) + 17, 8.5, label, quiet_text);
    }
  }

  void paint_lines(Canvas& canvas, double now) const {
    canvas.stroke(plot_x(now), plot().y, plot_x(now), plot().y + plot().height, 0.7, quiet_text,
                  0.8);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const auto& line = history[i];
      for (std::size_t k = 1; k < line.size(); ++k) {
        canvas.stroke(plot_x(line[k - 1].seconds), plot_y(line[k - 1].miou),
                      plot_x(line[k].seconds), plot_y(line[k].miou), 1.3, panels[i].accent);
      }
      if (!line.empty()) {
        canvas.stroke(plot_x(line.back().seconds), plot_y(line.back().miou),
                      plot_x(line.back().seconds), plot_y(line.back().miou), 3.6, panels[i].accent);
      }
    }
  }

  /// Class colours over the frame; edges are smoothed, as the labels are often coarser than the
  /// video.
  Frame overlay(const Frame& video, const LabelMap& labels) const {
    Frame paint{labels.width, labels.height, std::vector<std::uint8_t>(labels.ids.size() * 3), 0};
    Frame mask = paint;
    for (std::size_t i = 0; i < labels.ids.size(); ++i) {
      const std::uint8_t id = labels.ids[i];
      if (!shown[id]) continue;
      const Colour colour = colours[id];
      paint.rgb[3 * i] = colour.r;
      paint.rgb[3 * i + 1] = colour.g;
      paint.rgb[3 * i + 2] = colour.b;
      mask.rgb[3 * i] = mask.rgb[3 * i + 1] = mask.rgb[3 * i + 2] = 255;
    }
    const Scaling scaling = labels.width < video.width ? Scaling::bicubic : Scaling::area;
    paint = scale_frame(paint, video.width, video.height, scaling);
    mask = scale_frame(mask, video.width, video.height, scaling);
    Frame out = video;
    for (std::size_t i = 0; i < out.rgb.size(); i += 3) {
      const double grey =
          0.299 * video.rgb[i] + 0.587 * video.rgb[i + 1] + 0.114 * video.rgb[i + 2];
      for (std::size_t c = i; c < i + 3; ++c) {
        const double covered = mask.rgb[c] / 255.0;
        // Painted: the colour over the grey picture. Not painted: the picture, darker and greyer.
        const double painted =
            options.opacity * paint.rgb[c] + (1 - options.opacity) * grey * covered;
        const double bare = 0.45 * (0.5 * video.rgb[c] + 0.5 * grey) * (1 - covered);
        out.rgb[c] = static_cast<std::uint8_t>(std::clamp(painted + bare + 0.5, 0.0, 255.0));
      }
    }
    return out;
  }

  Frame compose(const Frame& frame, std::span<const AnnotationContent> contents) {
    if (frame.width < 1 || frame.height < 1 ||
        frame.rgb.size() != std::size_t{3} * static_cast<std::size_t>(frame.width) *
                                static_cast<std::size_t>(frame.height)) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("a frame of {} x {} with {} bytes; wanted are width * height * 3",
                              frame.width, frame.height, frame.rgb.size()));
    }
    if (contents.size() != panels.size()) {
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{} contents for {} panels", contents.size(), panels.size()));
    }
    for (const AnnotationContent& content : contents) {
      if (content.labels == nullptr) continue;
      const LabelMap& labels = *content.labels;
      if (labels.width < 1 || labels.height < 1 ||
          labels.ids.size() != static_cast<std::size_t>(labels.width) * labels.height) {
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("labels of {} x {} with {} ids", labels.width, labels.height,
                                labels.ids.size()));
      }
    }
    const Frame video = scale_frame(frame, panel_width, panel_height);
    Canvas canvas = base;
    canvas.text_right(width - margin, 42, 15, fmt::format("{:.1f} s", frame.capture_seconds),
                      quiet_text);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const Rectangle& place = places[i];
      canvas.put(place.x, place.y,
                 contents[i].labels == nullptr ? video : overlay(video, *contents[i].labels));
      canvas.round_corners(place.x, place.y, place.width, place.height, corner, background);
      const double right = place.x + place.width - 2;
      if (!panels[i].scored) {
        canvas.text_right(right, place.y - 11, 10.5, contents[i].note, quiet_text);
        continue;
      }
      if (!contents[i].miou) continue;
      const std::string figure = percent(*contents[i].miou);
      canvas.text_right(right, place.y - 11, 14, figure, panels[i].accent, true);
      canvas.text_right(right - Canvas::text_width(14, figure) - 9, place.y - 11, 10.5, "mIoU",
                        quiet_text);
      history[i].push_back({frame.capture_seconds, *contents[i].miou});
    }
    if (chart.height > 0) paint_lines(canvas, frame.capture_seconds);
    Frame picture = canvas.frame();
    picture.capture_seconds = frame.capture_seconds;
    return picture;
  }

  struct Score {
    double seconds, miou;
  };

  std::vector<AnnotationPanel> panels;
  AnnotatorOptions options;
  int panel_width = 0, panel_height = 0;
  int width = 0, height = 0;
  std::vector<Rectangle> places;
  Rectangle chart;
  int legend_top = 0;
  std::array<bool, 256> shown{};
  std::array<Colour, 256> colours{};
  Canvas base{2, 2, background};
  std::vector<std::vector<Score>> history = std::vector<std::vector<Score>>(panels.size());
};

Annotator::Annotator(std::vector<AnnotationPanel> panels, int video_width, int video_height,
                     const AnnotatorOptions& options)
    : impl_(std::make_unique<Impl>(std::move(panels), video_width, video_height, options)) {}
Annotator::~Annotator() = default;
Annotator::Annotator(Annotator&&) noexcept = default;
Annotator& Annotator::operator=(Annotator&&) noexcept = default;

int Annotator::width() const noexcept {
  return impl_->width;
}
int Annotator::height() const noexcept {
  return impl_->height;
}
Frame Annotator::compose(const Frame& frame, std::span<const AnnotationContent> contents) {
  return impl_->compose(frame, contents);
}

}  // namespace ams
