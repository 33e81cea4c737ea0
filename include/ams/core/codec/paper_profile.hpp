// The paper's way to write an update (section 3.1.2): half-precision values, and a bit-vector that
// says where they go, compressed.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#else
#include <eigen3/Eigen/Core>
#endif

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/profile.hpp"
#include "ams/core/codec/zstd_frame.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams::detail {

namespace reference {

/// How the bit-vector is written.
enum class Places : std::uint8_t {
  implied = 0,  // none or all of the bits are set
  bits = 1,     // eight coordinates to the byte
  runs = 2,     // the numbers of zeros before each set bit
};

inline constexpr const char* places_name = "places of the values";

/// In the runs, this byte stands for so many zeros without a set bit behind them.
inline constexpr std::uint8_t run_continues = 255;

/// Which form the encoder writes. Sparse bit-vectors are near noise: zstd finds no repetitions in
/// them and works as a Huffman coder of bytes. Bytes of run lengths suit that better than bytes of
/// bits (a byte of bits is mostly zero and yet costs a whole bit); from about one bit in eight on
/// it is the other way.
inline Places choose_places(std::size_t count, std::size_t dimension) {
  if (count == 0 || count == dimension) return Places::implied;
  return count <= dimension / 8 ? Places::runs : Places::bits;
}

inline std::vector<std::byte> write_bits(const CoordinateSet& coordinates) {
  std::vector<std::byte> bits((coordinates.dimension() + 7) / 8);
  for (const std::uint32_t i : coordinates.indices()) {
    bits[i / 8] |= std::byte{1} << (i % 8);
  }
  return bits;
}

inline std::vector<std::byte> write_runs(const CoordinateSet& coordinates) {
  std::vector<std::byte> runs;
  runs.reserve(coordinates.size() + coordinates.dimension() / run_continues);
  std::size_t next = 0;
  for (const std::uint32_t i : coordinates.indices()) {
    std::size_t zeros = i - next;
    for (; zeros >= run_continues; zeros -= run_continues) {
      runs.push_back(std::byte{run_continues});
    }
    runs.push_back(static_cast<std::byte>(zeros));
    next = std::size_t{i} + 1;
  }
  return runs;
}

inline std::vector<std::uint32_t> read_bits(std::span<const std::byte> frame, std::size_t count,
                                            std::size_t dimension) {
  const std::size_t size = zstd_content_size(frame, places_name);
  if (size != (dimension + 7) / 8) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("a bit-vector of {} bytes came for {} coordinates, which need {}", size,
                            dimension, (dimension + 7) / 8));
  }
  std::vector<std::byte> bits = zstd_decompress(frame, size, places_name);
  if (dimension % 8 != 0 && (bits.back() >> (dimension % 8)) != std::byte{0}) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the bit-vector has a bit set beyond its {} coordinates", dimension));
  }
  bits.resize((size + 7) / 8 * 8);
  std::size_t set = 0;
  for (std::size_t at = 0; at < bits.size(); at += 8) {
    set += static_cast<std::size_t>(std::popcount(load_le<std::uint64_t>(bits.data() + at)));
  }
  if (set != count) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the bit-vector has {} bits set for {} values", set, count));
  }
  std::vector<std::uint32_t> indices(count);
  std::uint32_t* out = indices.data();
  for (std::size_t at = 0; at < bits.size(); at += 8) {
    for (auto word = load_le<std::uint64_t>(bits.data() + at); word != 0; word &= word - 1) {
      *out++ =
          static_cast<std::uint32_t>(at * 8) + static_cast<std::uint32_t>(std::countr_zero(word));
    }
  }
  return indices;
}

inline std::vector<std::uint32_t> read_runs(std::span<const std::byte> frame, std::size_t count,
                                            std::size_t dimension) {
  const std::size_t size = zstd_content_size(frame, places_name);
  const std::size_t most = count + (dimension - count) / run_continues;
  if (size < count || size > most) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes of runs came for {} of {} coordinates, which need {} to {}",
                            size, count, dimension, count, most));
  }
  const std::vector<std::byte> runs = zstd_decompress(frame, size, places_name);
  std::vector<std::uint32_t> indices(count);
  std::size_t found = 0;
  std::uint64_t next = 0;  // at most 256 * size: no overflow
  for (const std::byte byte : runs) {
    const auto run = std::to_integer<std::uint8_t>(byte);
    next += run;
    if (run == run_continues) continue;
    if (next >= dimension || found == count) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("the runs name a coordinate beyond the {} of {} that there are",
                              count, dimension));
    }
    indices[found++] = static_cast<std::uint32_t>(next++);
  }
  if (found != count || runs.back() == std::byte{run_continues}) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("the runs name {} coordinates and end within a run; {} values came",
                            found, count));
  }
  return indices;
}

/// The exponent bits of a half: all of them set stands for a value that follows in float32.
inline constexpr std::uint16_t half_exponent = 0x7c00;

/// A body in its parts; docs/format.md has the table.
struct Body {
  std::uint8_t places_form = 0;
  std::span<const std::byte> places;  // a frame, or empty when implied
  std::span<const std::byte> highs;   // a frame of the halves' high bytes, or empty without values
  std::span<const std::byte> lows;    // the halves' low bytes
  std::span<const std::byte> wide;    // the float32 values
};

inline constexpr std::size_t body_header_bytes = 9;

inline Body split_body(std::span<const std::byte> body, std::size_t count) {
  const auto too_short = [&] {
    return Error(
        ErrorCode::malformed_data,
        fmt::format("a body of {} bytes is too short for its {} values", body.size(), count));
  };
  if (body.size() < body_header_bytes) throw too_short();
  Body parts;
  parts.places_form = load_le<std::uint8_t>(body.data());
  const std::size_t places = load_le<std::uint32_t>(body.data() + 1);
  const std::size_t highs = load_le<std::uint32_t>(body.data() + 5);
  auto rest = body.subspan(body_header_bytes);
  const auto take = [&](std::size_t size) {
    if (size > rest.size()) throw too_short();
    const auto part = rest.first(size);
    rest = rest.subspan(size);
    return part;
  };
  parts.places = take(places);
  parts.highs = take(highs);
  parts.lows = take(count);
  parts.wide = rest;
  return parts;
}

inline CoordinateSet decode_places(const Body& body, std::size_t count, std::size_t dimension) {
  const bool implied = body.places_form == static_cast<std::uint8_t>(Places::implied);
  if (implied != (count == 0 || count == dimension) || implied != body.places.empty()) {
    throw Error(
        ErrorCode::malformed_data,
        fmt::format("places of form {} and {} bytes came for {} of {} coordinates; none must "
                    "come for none and for all, and only then",
                    body.places_form, body.places.size(), count, dimension));
  }
  if (implied) {
    return count == 0 ? CoordinateSet::from_sorted(dimension, {}) : CoordinateSet::all(dimension);
  }
  if (body.places_form == static_cast<std::uint8_t>(Places::bits)) {
    return CoordinateSet::from_sorted(dimension, read_bits(body.places, count, dimension));
  }
  if (body.places_form == static_cast<std::uint8_t>(Places::runs)) {
    return CoordinateSet::from_sorted(dimension, read_runs(body.places, count, dimension));
  }
  throw Error(ErrorCode::malformed_data,
              fmt::format("places of form {} came; 0 (implied), 1 (bits) and 2 (runs) are allowed",
                          body.places_form));
}

/// Puts the float32 values where the halves leave them out.
inline void read_wide(std::span<const std::byte> highs, std::span<const std::byte> lows,
                      std::span<const std::byte> wide, std::vector<float>& values) {
  const std::byte* from = wide.data();
  const std::byte* const end = from + wide.size();
  for (std::size_t j = 0; j < values.size(); ++j) {
    const auto half =
        std::to_integer<std::uint16_t>(highs[j]) << 8 | std::to_integer<std::uint16_t>(lows[j]);
    if ((half & half_exponent) != half_exponent) continue;
    if ((half & ~half_exponent) != 0) {
      throw Error(
          ErrorCode::malformed_data,
          fmt::format("value {} is the half {:#06x}; of those without a value only 0x7c00 is "
                      "allowed",
                      j, half));
    }
    if (from == end) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("value {} and maybe more should be among {} bytes of float32 values, "
                              "which are too few",
                              j, wide.size()));
    }
    values[j] = std::bit_cast<float>(load_le<std::uint32_t>(from));
    from += 4;
    if (!std::isfinite(values[j]) || std::abs(values[j]) < 65520.0F) {
      throw Error(
          ErrorCode::malformed_data,
          fmt::format("the float32 value {} is {}; it must be finite and beyond the range of "
                      "fp16",
                      j, values[j]));
    }
  }
  if (from != end) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes came behind the last value", end - from));
  }
}

inline std::vector<float> decode_values(const Body& body, std::size_t count) {
  if (body.highs.empty() != (count == 0) || body.wide.size() % 4 != 0) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{} bytes of high halves and {} of float32 values came for {} values",
                            body.highs.size(), body.wide.size(), count));
  }
  std::vector<std::byte> highs;
  if (count != 0) {
    const std::size_t size = zstd_content_size(body.highs, "high bytes of the values");
    if (size != count) {
      throw Error(ErrorCode::malformed_data,
                  fmt::format("{} high bytes came for {} values", size, count));
    }
    highs = zstd_decompress(body.highs, size, "high bytes of the values");
  }
  std::vector<float> values(count);
  bool wide = !body.wide.empty();
  for (std::size_t j = 0; j < count; ++j) {
    const auto half = static_cast<std::uint16_t>(std::to_integer<std::uint16_t>(highs[j]) << 8 |
                                                 std::to_integer<std::uint16_t>(body.lows[j]));
    wide |= (half & half_exponent) == half_exponent;
    values[j] = static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(half));
  }
  if (wide) read_wide(highs, body.lows, body.wide, values);
  return values;
}

inline Changes encode_body(const ModelState& held, std::span<const float> trained,
                           const CoordinateSet& coordinates, const EncodeOptions& options,
                           std::vector<std::byte>& bytes) {
  const std::size_t count = coordinates.size();
  std::vector<float> values(count);
  std::vector<std::byte> highs(count);
  std::vector<std::byte> lows(count);
  bool finite = true;
  std::size_t j = 0;
  coordinates.for_each([&](std::uint32_t i) {
    const auto half = static_cast<Eigen::half>(trained[i]);
    const auto bits = Eigen::numext::bit_cast<std::uint16_t>(half);
    values[j] = static_cast<float>(half);
    finite &= (bits & half_exponent) != half_exponent;
    highs[j] = static_cast<std::byte>(bits >> 8);
    lows[j] = static_cast<std::byte>(bits);
    ++j;
  });
  std::vector<std::byte> wide;
  if (!finite) {
    j = 0;
    coordinates.for_each([&](std::uint32_t i) {
      const std::size_t at = j++;
      if (std::isfinite(values[at])) return;
      if (!std::isfinite(trained[i])) {
        const Manifest& manifest = held.manifest();
        const TensorSpec& tensor = manifest.tensors()[manifest.tensor_of(i)];
        throw Error(ErrorCode::invalid_argument,
                    fmt::format("value {} of tensor '{}' is {}; every value must be finite",
                                i - tensor.offset, tensor.name, trained[i]));
      }
      values[at] = trained[i];
      highs[at] = static_cast<std::byte>(half_exponent >> 8);
      lows[at] = std::byte{0};
      append_le(wide, std::bit_cast<std::uint32_t>(trained[i]));
    });
  }

  const std::size_t begin = bytes.size();
  bytes.resize(begin + body_header_bytes);
  const Places form = choose_places(count, coordinates.dimension());
  if (form != Places::implied) {
    append_zstd_frame(bytes,
                      form == Places::runs ? write_runs(coordinates) : write_bits(coordinates),
                      options.zstd_level);
  }
  const std::size_t places_end = bytes.size();
  if (count != 0) append_zstd_frame(bytes, highs, options.zstd_level);
  if (bytes.size() - begin > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::limit_exceeded,
                fmt::format("{} values are too many for one update", count));
  }
  store_le(bytes.data() + begin, static_cast<std::uint8_t>(form));
  store_le(bytes.data() + begin + 1,
           static_cast<std::uint32_t>(places_end - begin - body_header_bytes));
  store_le(bytes.data() + begin + 5, static_cast<std::uint32_t>(bytes.size() - places_end));
  bytes.insert(bytes.end(), lows.begin(), lows.end());
  bytes.insert(bytes.end(), wide.begin(), wide.end());
  return {coordinates, std::move(values)};
}

inline Changes decode_body(const ModelState& held, std::span<const std::byte> body,
                           std::size_t count) {
  const Body parts = split_body(body, count);
  Changes changes;
  changes.coordinates = decode_places(parts, count, held.manifest().dimension());
  changes.values = decode_values(parts, count);
  return changes;
}

}  // namespace reference

inline constexpr Profile reference_profile = {UpdateProfile::reference, Envelope::full,
                                              reference::encode_body, reference::decode_body};

}  // namespace ams::detail
