// The paper's way to write an update (section 3.1.2): half-precision values, and a compressed
// bit-vector that says where they go.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <Eigen/Core>

#include "../byte_io.hpp"
#include "../zstd_frame.hpp"
#include "ams/core/error.hpp"
#include "profile.hpp"

namespace ams::detail {
namespace {

/// How the bit-vector is written.
enum class Places : std::uint8_t {
  implied = 0,  // none or all of the bits are set
  bits = 1,     // eight coordinates to the byte
  runs = 2,     // the numbers of zeros before each set bit
};

constexpr const char* places_name = "places of the values";

/// In the runs, this byte stands for so many zeros without a set bit behind them.
constexpr std::uint8_t run_continues = 255;

/// Which form the encoder writes. Sparse bit-vectors are near noise: zstd finds no repetitions in
/// them and works as a Huffman coder of bytes. Bytes of run lengths suit that better than bytes of
/// bits (a byte of bits is mostly zero and yet costs a whole bit); from about one bit in eight on
/// it is the other way.
Places choose_places(std::size_t count, std::size_t dimension) {
  if (count == 0 || count == dimension) return Places::implied;
  return count <= dimension / 8 ? Places::runs : Places::bits;
}

std::vector<std::byte> write_bits(const CoordinateSet& coordinates) {
  std::vector<std::byte> bits((coordinates.dimension() + 7) / 8);
  for (const std::uint32_t i : coordinates.indices()) {
    bits[i / 8] |= std::byte{1} << (i % 8);
  }
  return bits;
}

std::vector<std::byte> write_runs(const CoordinateSet& coordinates) {
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

std::vector<std::uint32_t> read_bits(std::span<const std::byte> frame, std::size_t count,
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

std::vector<std::uint32_t> read_runs(std::span<const std::byte> frame, std::size_t count,
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

const TensorSpec& tensor_at(const Manifest& manifest, std::size_t coordinate) {
  return manifest.tensors()[manifest.tensor_of(coordinate)];
}

std::vector<float> encode_body(const ModelState& held, std::span<const float> trained,
                               const CoordinateSet& coordinates, const EncodeOptions& options,
                               std::vector<std::byte>& bytes) {
  const std::size_t count = coordinates.size();
  const Places places = choose_places(count, coordinates.dimension());
  bytes.push_back(static_cast<std::byte>(places));
  if (places != Places::implied) {
    append_zstd_frame(bytes,
                      places == Places::runs ? write_runs(coordinates) : write_bits(coordinates),
                      options.zstd_level);
  }

  std::vector<float> values(count);
  const std::size_t begin = bytes.size();
  bytes.resize(begin + 2 * count);
  std::byte* to = bytes.data() + begin;
  float* value = values.data();
  bool finite = true;
  coordinates.for_each([&](std::uint32_t i) {
    const auto half = static_cast<Eigen::half>(trained[i]);
    *value = static_cast<float>(half);
    finite &= std::isfinite(*value++);
    store_le<std::uint16_t>(to, Eigen::numext::bit_cast<std::uint16_t>(half));
    to += 2;
  });
  if (!finite) {
    value = values.data();
    coordinates.for_each([&](std::uint32_t i) {
      if (std::isfinite(*value++)) return;
      const TensorSpec& tensor = tensor_at(held.manifest(), i);
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("value {} of tensor '{}' is {}; fp16 carries finite values below 65520 in "
                      "magnitude",
                      i - tensor.offset, tensor.name, trained[i]));
    });
  }
  return values;
}

Changes decode_body(const ModelState& held, std::span<const std::byte> body, std::size_t count) {
  const std::size_t dimension = held.manifest().dimension();
  if (body.empty() || (body.size() - 1) / 2 < count) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("a body of {} bytes is too short for {} values", body.size(), count));
  }
  const auto places = std::to_integer<std::uint8_t>(body[0]);
  const auto frame = body.subspan(1, body.size() - 1 - 2 * count);
  const auto halves = body.last(2 * count);

  Changes changes;
  if (count == 0 || count == dimension) {
    if (places != static_cast<std::uint8_t>(Places::implied) || !frame.empty()) {
      throw Error(
          ErrorCode::malformed_data,
          fmt::format("places (form {}, {} bytes) came for {} of {} coordinates, which need none",
                      places, frame.size(), count, dimension));
    }
    changes.coordinates = count == dimension ? CoordinateSet::all(dimension)
                                             : CoordinateSet::from_sorted(dimension, {});
  } else if (places == static_cast<std::uint8_t>(Places::bits)) {
    changes.coordinates = CoordinateSet::from_sorted(dimension, read_bits(frame, count, dimension));
  } else if (places == static_cast<std::uint8_t>(Places::runs)) {
    changes.coordinates = CoordinateSet::from_sorted(dimension, read_runs(frame, count, dimension));
  } else {
    throw Error(
        ErrorCode::malformed_data,
        fmt::format("places of form {} came for {} of {} coordinates; 1 (bits) and 2 (runs) are "
                    "allowed",
                    places, count, dimension));
  }

  changes.values.resize(count);
  bool finite = true;
  for (std::size_t j = 0; j < count; ++j) {
    const auto bits = load_le<std::uint16_t>(halves.data() + 2 * j);
    finite &= (bits & 0x7c00) != 0x7c00;
    changes.values[j] = static_cast<float>(Eigen::numext::bit_cast<Eigen::half>(bits));
  }
  if (!finite) {
    const auto bad = std::find_if_not(changes.values.begin(), changes.values.end(),
                                      [](float value) { return std::isfinite(value); });
    throw Error(ErrorCode::malformed_data,
                fmt::format("value {} of {} is {}; every value must be finite",
                            bad - changes.values.begin(), count, *bad));
  }
  return changes;
}

}  // namespace

const Profile reference_profile = {UpdateProfile::reference, encode_body, decode_body};

}  // namespace ams::detail
