#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ams {

struct Colour {
  std::uint8_t r = 0, g = 0, b = 0;
  friend bool operator==(const Colour&, const Colour&) = default;
};

struct NamedColour {
  std::string_view name;
  Colour colour;
};

/// Colours of the usual street classes, chosen to be told apart on video: ground in violets,
/// buildings in sands, plants in greens, people in reds, vehicles in blues.
inline constexpr std::array<NamedColour, 19> street_palette{{
    {"road", {124, 92, 158}},          {"sidewalk", {222, 110, 204}},
    {"building", {168, 146, 124}},     {"wall", {112, 120, 156}},
    {"fence", {190, 142, 104}},        {"pole", {204, 208, 214}},
    {"traffic light", {250, 176, 32}}, {"traffic sign", {252, 226, 84}},
    {"vegetation", {66, 150, 72}},     {"terrain", {164, 212, 104}},
    {"sky", {96, 186, 236}},           {"person", {238, 58, 80}},
    {"rider", {250, 126, 72}},         {"car", {50, 88, 228}},
    {"truck", {40, 56, 150}},          {"bus", {24, 148, 148}},
    {"train", {28, 104, 124}},         {"motorcycle", {130, 44, 214}},
    {"bicycle", {178, 52, 84}},
}};

/// The colour of a class: by its name where the street palette has it, else one from a wheel of 12
/// by its id.
constexpr Colour class_colour(std::string_view name, std::size_t id) {
  constexpr std::array<Colour, 12> wheel{{{228, 87, 86},
                                          {86, 156, 228},
                                          {102, 190, 110},
                                          {240, 176, 72},
                                          {156, 110, 210},
                                          {72, 196, 190},
                                          {226, 122, 178},
                                          {160, 136, 110},
                                          {180, 206, 88},
                                          {84, 108, 190},
                                          {244, 140, 96},
                                          {150, 160, 172}}};
  for (const NamedColour& entry : street_palette) {
    if (entry.name == name) return entry.colour;
  }
  return wheel[id % wheel.size()];
}

}  // namespace ams
