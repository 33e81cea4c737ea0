#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ams/core/digest.hpp"

/// Arithmetic of the street renderer. Only operations that IEEE 754 rounds correctly, so that
/// results are the same everywhere: sin, cos and exp of the C library are not among them.
namespace ams::street {

struct Vec3 {
  float x = 0, y = 0, z = 0;
};

inline Vec3 operator+(Vec3 a, Vec3 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
inline Vec3 operator-(Vec3 a, Vec3 b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
inline Vec3 operator-(Vec3 a) {
  return {-a.x, -a.y, -a.z};
}
inline Vec3 operator*(Vec3 a, Vec3 b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z};
}
inline Vec3 operator*(Vec3 a, float k) {
  return {a.x * k, a.y * k, a.z * k};
}
inline float dot(Vec3 a, Vec3 b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
inline Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline Vec3 normalized(Vec3 a) {
  const float length = std::sqrt(dot(a, a));
  return length > 1e-12f ? a * (1.0f / length) : Vec3{0, 1, 0};
}
inline float clamp01(float x) {
  return x < 0 ? 0.0f : (x > 1 ? 1.0f : x);
}
inline float lerp(float a, float b, float k) {
  return a + (b - a) * k;
}
inline Vec3 lerp(Vec3 a, Vec3 b, float k) {
  return a + (b - a) * k;
}
inline float smoothstep(float low, float high, float x) {
  const float k = clamp01((x - low) / (high - low));
  return k * k * (3 - 2 * k);
}
inline int floor_int(float x) {
  const int i = static_cast<int>(x);
  return i - (static_cast<float>(i) > x ? 1 : 0);
}
inline float fraction(float x) {
  return x - static_cast<float>(floor_int(x));
}

/// Colour from 8-bit display values; squaring stands for the display's gamma.
inline Vec3 rgb(int r, int g, int b) {
  const Vec3 c{static_cast<float>(r) / 255.0f, static_cast<float>(g) / 255.0f,
               static_cast<float>(b) / 255.0f};
  return c * c;
}
inline float luminance(Vec3 c) {
  return 0.25f * c.x + 0.6f * c.y + 0.15f * c.z;
}

inline double sine(double x) {
  constexpr double two_pi = 6.283185307179586476925;
  const double turns = x / two_pi;
  const double whole =
      static_cast<double>(static_cast<std::int64_t>(turns + (turns < 0 ? -0.5 : 0.5)));
  double a = x - whole * two_pi;  // in [-pi, pi]
  constexpr double half_pi = 1.570796326794896619231, pi = 3.141592653589793238463;
  if (a > half_pi) a = pi - a;
  if (a < -half_pi) a = -pi - a;
  const double b = a * a;
  return a * (1 - b / 6 * (1 - b / 20 * (1 - b / 42 * (1 - b / 72 * (1 - b / 110)))));
}
inline double cosine(double x) {
  return sine(x + 1.570796326794896619231);
}

/// e^-x for x >= 0, within 1%: enough for haze.
inline float exp_minus(float x) {
  return 1.0f / (1.0f + x * (1.0f + x * (0.48f + x * 0.235f)));
}

/// Hashes of integer coordinates. The 32-bit one is for pixels, the other for the layout.
inline std::uint32_t hash32(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}
inline std::uint32_t hash32(std::uint32_t a, std::int32_t b, std::int32_t c = 0) {
  return hash32(a ^ hash32(static_cast<std::uint32_t>(b) * 0x9e3779b9U ^
                           hash32(static_cast<std::uint32_t>(c) + 0x85ebca6bU)));
}
inline float unit(std::uint32_t hash) {
  return static_cast<float>(hash >> 8) * 0x1.0p-24f;
}

/// A stream of hashed numbers for one object; copying it forks it. One roll per full expression,
/// except within braces: compilers differ in the order in which they evaluate a call's arguments.
class Dice {
 public:
  explicit Dice(std::uint64_t key) : state_(mix64(key)) {}
  Dice(std::uint64_t seed, std::int64_t a, std::int64_t b = 0, std::int64_t c = 0)
      : state_(mix64(mix64(mix64(mix64(seed) + static_cast<std::uint64_t>(a)) +
                           static_cast<std::uint64_t>(b)) +
                     static_cast<std::uint64_t>(c))) {}
  std::uint32_t bits() {
    state_ = mix64(state_);
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  float roll() { return unit(bits()); }
  float between(float low, float high) { return low + (high - low) * roll(); }
  int below(int bound) {
    return static_cast<int>(
        (static_cast<std::uint64_t>(bits()) * static_cast<std::uint64_t>(bound)) >> 32);
  }
  bool chance(float probability) { return roll() < probability; }

 private:
  std::uint64_t state_;
};

}  // namespace ams::street
