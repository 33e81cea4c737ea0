#pragma once

#include <zstd.h>
#ifdef AMS_BENCHMARK_ZLIB
#include <zlib.h>
#endif

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ams/core/model_state.hpp"
#include "ams/core/random.hpp"
#include "ams/core/update_codec.hpp"

/// The plain ways to send a sparse update, without versions, digests or checks: what the codec is
/// measured against. Little-endian hosts only.
namespace ams::benchmark {

using Bytes = std::vector<std::byte>;

/// Nearest fp16 to a value whose magnitude is in [2^-14, 65504].
inline std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = bits + 0xfff + ((bits >> 13) & 1);
  return static_cast<std::uint16_t>(((bits >> 16) & 0x8000) |
                                    (((rounded & 0x7fffffff) - (112U << 23)) >> 13));
}

inline float from_half(std::uint16_t half) {
  return std::bit_cast<float>((std::uint32_t{half} & 0x8000) << 16 |
                              (((half & 0x7fffU) << 13) + (112U << 23)));
}

/// A model of n parameters, and a random gamma of them trained a little further.
struct Task {
  ModelState held;
  std::vector<float> trained;
  CoordinateSet coordinates;

  Task(std::size_t n, double gamma) {
    Random random(1);
    std::vector<float> values(n);
    trained.resize(n);
    std::vector<std::uint32_t> indices;
    double scale = 0;
    for (std::size_t i = 0; i < n; ++i) {
      // Layers of weights of either sign, bell-shaped, each layer on a scale of its own.
      if (i % 20000 == 0) scale = std::exp2(-4 * random.uniform() - 3);
      double sum = 0;
      for (int k = 0; k < 6; ++k) sum += random.uniform() - 0.5;
      values[i] = static_cast<float>(scale * sum);
      if (std::fabs(values[i]) < 0x1p-13F) values[i] = 0x1p-13F;
      trained[i] = values[i] + static_cast<float>(0x1p-14 * random.uniform());
      if (random.uniform() < gamma) indices.push_back(static_cast<std::uint32_t>(i));
    }
    coordinates = CoordinateSet::from_sorted(n, std::move(indices));
    const auto manifest = std::make_shared<const Manifest>(
        std::vector<TensorSpec>{{.name = "weights", .shape = {static_cast<std::int64_t>(n)}}});
    held = ModelState(manifest, std::move(values));
  }

  double bits_each(std::size_t bytes) const {
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(coordinates.size());
  }

  /// Bits per coordinate that no code for a random set and independent values goes below: the
  /// entropy of the places, and that of the values' high bytes with 8 bits for the low ones.
  double floor_bits() const {
    const auto k = static_cast<double>(coordinates.size());
    const double p = k / static_cast<double>(coordinates.dimension());
    double bits = 8 - (p * std::log2(p) + (1 - p) * std::log2(1 - p)) / p;
    std::vector<double> counts(256);
    coordinates.for_each([&](std::uint32_t i) { ++counts[to_half(trained[i]) >> 8]; });
    for (const double count : counts) {
      if (count > 0) bits -= count / k * std::log2(count / k);
    }
    return bits;
  }

  /// Bytes of the cache lines that hold the set's coordinates in one vector of floats.
  double line_bytes() const {
    std::size_t lines = 0;
    std::uint32_t last = ~0U;
    coordinates.for_each([&](std::uint32_t i) {
      lines += i / 16 != last;
      last = i / 16;
    });
    return 64.0 * static_cast<double>(lines);
  }
};

/// 4 bytes of index and 2 of value for each coordinate.
inline Bytes write_list(const Task& task) {
  const std::size_t k = task.coordinates.size();
  Bytes bytes(6 * k);
  std::memcpy(bytes.data(), task.coordinates.indices().data(), 4 * k);
  std::byte* to = bytes.data() + 4 * k;
  for (const std::uint32_t i : task.coordinates.indices()) {
    const std::uint16_t half = to_half(task.trained[i]);
    std::memcpy(to, &half, 2);
    to += 2;
  }
  return bytes;
}

inline void apply_list(const Bytes& bytes, std::vector<float>& values) {
  const std::size_t k = bytes.size() / 6;
  for (std::size_t j = 0; j < k; ++j) {
    std::uint32_t i;
    std::uint16_t half;
    std::memcpy(&i, bytes.data() + 4 * j, 4);
    std::memcpy(&half, bytes.data() + 4 * k + 2 * j, 2);
    values[i] = from_half(half);
  }
}

/// A bit for each coordinate of the model, then the values: what the paper hands to gzip.
inline Bytes write_bits(const Task& task) {
  const std::size_t places = (task.coordinates.dimension() + 7) / 8;
  Bytes bytes(places + 2 * task.coordinates.size());
  std::byte* to = bytes.data() + places;
  for (const std::uint32_t i : task.coordinates.indices()) {
    bytes[i / 8] |= std::byte{1} << (i % 8);
    const std::uint16_t half = to_half(task.trained[i]);
    std::memcpy(to, &half, 2);
    to += 2;
  }
  return bytes;
}

inline void apply_bits(const Bytes& bytes, std::vector<float>& values) {
  const std::byte* from = bytes.data() + (values.size() + 7) / 8;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if ((bytes[i / 8] >> (i % 8) & std::byte{1}) == std::byte{0}) continue;
    std::uint16_t half;
    std::memcpy(&half, from, 2);
    from += 2;
    values[i] = from_half(half);
  }
}

inline Bytes zstd_pack(const Bytes& content, int level) {
  Bytes packed(ZSTD_compressBound(content.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), level));
  return packed;
}

inline Bytes zstd_unpack(const Bytes& packed, std::size_t size) {
  Bytes content(size);
  ZSTD_decompress(content.data(), content.size(), packed.data(), packed.size());
  return content;
}

#ifdef AMS_BENCHMARK_ZLIB
inline Bytes zlib_pack(const Bytes& content, int level) {
  uLongf size = compressBound(static_cast<uLong>(content.size()));
  Bytes packed(size);
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
            reinterpret_cast<const Bytef*>(content.data()), static_cast<uLong>(content.size()),
            level);
  packed.resize(size);
  return packed;
}

inline Bytes zlib_unpack(const Bytes& packed, std::size_t size) {
  Bytes content(size);
  uLongf got = static_cast<uLongf>(size);
  uncompress(reinterpret_cast<Bytef*>(content.data()), &got,
             reinterpret_cast<const Bytef*>(packed.data()), static_cast<uLong>(packed.size()));
  return content;
}
#endif

}  // namespace ams::benchmark
