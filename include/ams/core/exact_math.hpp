#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

// Floating point that gives the same bits however the including program is compiled: for any
// processor, by any compiler, with any -O, -march and -ffp-contract. And loops over float vectors
// that are as fast without -march, -O3 and -fno-math-errno as with them.

namespace ams::detail {

/// Rounds a product here: no compiler fuses the multiplication with an addition that follows.
/// T: float, double or Floats<N>.
template <class T>
[[gnu::always_inline]] inline void round_now(T& product) {
#if defined(__x86_64__)
  asm("" : "+x"(product));
#elif defined(__aarch64__)
  asm("" : "+w"(product));
#else
  asm("" : "+m"(product));
#endif
}

/// The same as an expression: sum + rounded(a * b).
template <class T>
[[gnu::always_inline]] inline T rounded(T product) {
  round_now(product);
  return product;
}

template <class T, std::size_t N>
struct VectorOf {
  typedef T Type __attribute__((vector_size(N * sizeof(T))));
};

/// N floats; arithmetic works element by element. Pass them by reference: how they are passed by
/// value depends on -march.
template <std::size_t N>
using Floats = typename VectorOf<float, N>::Type;

/// Replaces x, or each of its elements, by its square root, correctly rounded. std::sqrt may set
/// errno, so without -fno-math-errno compilers take one root after another.
template <class T>
[[gnu::always_inline]] inline void take_root(T& x) {
  if constexpr (sizeof(T) == sizeof(float)) {
    x = std::sqrt(x);
  } else {
#if defined(__x86_64__)
    if constexpr (sizeof(T) == 32) {
      asm("vsqrtps %1, %0" : "=x"(x) : "x"(x));
    } else {
      asm("sqrtps %1, %0" : "=x"(x) : "x"(x));
    }
#elif defined(__aarch64__)
    asm("fsqrt %0.4s, %1.4s" : "=w"(x) : "w"(x));
#else
    for (std::size_t i = 0; i < sizeof(T) / sizeof(float); ++i) x[i] = std::sqrt(x[i]);
#endif
  }
}

template <class T>
[[gnu::always_inline]] inline void load(T& to, const float* from) {
  std::memcpy(&to, from, sizeof(T));
}

template <class T>
[[gnu::always_inline]] inline void store(float* to, const T& from) {
  std::memcpy(to, &from, sizeof(T));
}

template <std::size_t N, class Kernel>
[[gnu::always_inline]] inline void for_each_by(const Kernel& kernel, std::size_t count) {
  std::size_t i = 0;
  for (; i + N <= count; i += N) kernel.template at<Floats<N>>(i);
  for (; i < count; ++i) kernel.template at<float>(i);
}

#if defined(__x86_64__) && !defined(__clang__)
template <class Kernel>
[[gnu::target("avx2")]] void for_each_wide(Kernel kernel, std::size_t count) {
  for_each_by<8>(kernel, count);
}
#endif

/// Calls kernel.template at<T>(i) for every place i where a piece of 0 to count - 1 begins; T is
/// the piece: float or Floats<N>. clang has no wide loop: it takes no wide registers in functions
/// that are inlined into one with them.
template <class Kernel>
void for_each_float(Kernel kernel, std::size_t count) {
#if defined(__x86_64__) && !defined(__clang__)
  if (__builtin_cpu_supports("avx2")) return for_each_wide(kernel, count);
#endif
  for_each_by<4>(kernel, count);
}

template <std::size_t N>
[[gnu::always_inline]] inline bool all_within_by(std::span<const float> values, float limit) {
  // Without their signs, the bits of floats are in the order of their magnitudes, and those of what
  // is not a number come last. No early exit: that is faster.
  using Bits = typename VectorOf<std::int32_t, N>::Type;
  const auto largest = std::bit_cast<std::int32_t>(limit);
  Bits outside = {};
  std::size_t i = 0;
  for (; i + N <= values.size(); i += N) {
    Bits bits;
    std::memcpy(&bits, values.data() + i, sizeof(Bits));
    outside |= (bits & 0x7fffffff) > largest;
  }
  bool within = true;
  for (std::size_t lane = 0; lane < N; ++lane) within = within && outside[lane] == 0;
  for (; i < values.size(); ++i) {
    within = within && (std::bit_cast<std::int32_t>(values[i]) & 0x7fffffff) <= largest;
  }
  return within;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] inline bool all_within_wide(std::span<const float> values, float limit) {
  return all_within_by<8>(values, limit);
}
#endif

/// Whether every magnitude is at most `limit`, which is at least 0; a value that is not a number is
/// none.
inline bool all_within(std::span<const float> values, float limit) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return all_within_wide(values, limit);
#endif
  return all_within_by<4>(values, limit);
}

}  // namespace ams::detail
