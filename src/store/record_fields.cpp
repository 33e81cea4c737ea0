#include "record_fields.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <sstream>
#include <string_view>
#include <utility>
#include <variant>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/codec/zstd_frame.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"

namespace ams::store_detail {
namespace {

using C = SessionCounters;
using Member = std::variant<std::uint64_t C::*, double C::*>;

constexpr std::array members = {
    std::pair<std::string_view, Member>{"connections", &C::connections},
    std::pair<std::string_view, Member>{"resumed_in_step", &C::resumed_in_step},
    std::pair<std::string_view, Member>{"resumed_with_updates", &C::resumed_with_updates},
    std::pair<std::string_view, Member>{"resumed_with_snapshot", &C::resumed_with_snapshot},
    std::pair<std::string_view, Member>{"batches", &C::batches},
    std::pair<std::string_view, Member>{"batch_bytes", &C::batch_bytes},
    std::pair<std::string_view, Member>{"batches_repeated", &C::batches_repeated},
    std::pair<std::string_view, Member>{"batches_dropped", &C::batches_dropped},
    std::pair<std::string_view, Member>{"batches_failed", &C::batches_failed},
    std::pair<std::string_view, Member>{"samples", &C::samples},
    std::pair<std::string_view, Member>{"samples_dropped", &C::samples_dropped},
    std::pair<std::string_view, Member>{"phases", &C::phases},
    std::pair<std::string_view, Member>{"phases_failed", &C::phases_failed},
    std::pair<std::string_view, Member>{"phases_withheld", &C::phases_withheld},
    std::pair<std::string_view, Member>{"phases_abandoned", &C::phases_abandoned},
    std::pair<std::string_view, Member>{"phase_seconds", &C::phase_seconds},
    std::pair<std::string_view, Member>{"iterations", &C::iterations},
    std::pair<std::string_view, Member>{"updates", &C::updates},
    std::pair<std::string_view, Member>{"update_bytes", &C::update_bytes},
    std::pair<std::string_view, Member>{"update_coordinates", &C::update_coordinates},
    std::pair<std::string_view, Member>{"updates_sent_again", &C::updates_sent_again},
    std::pair<std::string_view, Member>{"snapshots", &C::snapshots},
    std::pair<std::string_view, Member>{"snapshot_bytes", &C::snapshot_bytes},
    std::pair<std::string_view, Member>{"acks", &C::acks},
    std::pair<std::string_view, Member>{"acks_wrong", &C::acks_wrong},
    std::pair<std::string_view, Member>{"refusals", &C::refusals},
    std::pair<std::string_view, Member>{"faults", &C::faults},
    std::pair<std::string_view, Member>{"trials", &C::trials},
    std::pair<std::string_view, Member>{"restarts", &C::restarts},
    std::pair<std::string_view, Member>{"restarts_initial", &C::restarts_initial},
    std::pair<std::string_view, Member>{"score_held", &C::score_held},
    std::pair<std::string_view, Member>{"score_initial", &C::score_initial}};

constexpr int zstd_level = 1;

}  // namespace

std::string write_counters(const SessionCounters& counters) {
  std::string text;
  for (const auto& [name, member] : members) {
    // Clang 14 knows no capture of a structured binding by default.
    std::visit([&, key = name](auto m) { text += fmt::format("{} {}\n", key, counters.*m); },
               member);
  }
  return text;
}

SessionCounters read_counters(const std::string& text) {
  SessionCounters counters;
  std::istringstream lines(text);
  for (std::string name, value; lines >> name >> value;) {
    for (const auto& [known, member] : members) {
      if (name != known) continue;
      std::istringstream number(value);
      std::visit([&](auto m) { number >> counters.*m; }, member);
    }
  }
  return counters;
}

std::vector<std::byte> write_moments(const AdamState& adam) {
  const std::size_t bytes = adam.first_moment.size() * sizeof(float);
  std::vector<std::byte> both(2 * bytes);
  if (bytes > 0) {
    std::memcpy(both.data(), adam.first_moment.data(), bytes);
    std::memcpy(both.data() + bytes, adam.second_moment.data(), bytes);
  }
  std::vector<std::byte> compressed;
  detail::append_zstd_frame(compressed, both, zstd_level);
  return compressed;
}

AdamState read_moments(std::span<const std::byte> bytes, std::int64_t step_count,
                       std::size_t dimension) {
  constexpr const char* name = "moments of the session";
  const std::size_t size = dimension * sizeof(float);
  if (step_count < 0 || detail::zstd_content_size(bytes, name) != 2 * size) {
    throw Error(ErrorCode::malformed_data, "the moments of the session are of another model");
  }
  const std::vector<std::byte> both = detail::zstd_decompress(bytes, 2 * size, name);
  AdamState adam(dimension);
  if (size > 0) {
    std::memcpy(adam.first_moment.data(), both.data(), size);
    std::memcpy(adam.second_moment.data(), both.data() + size, size);
  }
  adam.step_count = step_count;
  return adam;
}

// Little-endian: byte_digest() of the rest (8), the offset (8), the number of frames (4), the capture
// times (8 each), then the bitstream and each label, its size (4) before it.

std::vector<std::byte> write_batch(const LabelledBatch& batch) {
  std::vector<std::byte> bytes;
  const auto append_real = [&](double value) {
    detail::append_le(bytes, std::bit_cast<std::uint64_t>(value));
  };
  const auto append_bytes = [&](const Bytes& part) {
    detail::append_le(bytes, static_cast<std::uint32_t>(part.size()));
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  detail::append_le(bytes, Digest{0});
  append_real(batch.offset_seconds);
  detail::append_le(bytes, static_cast<std::uint32_t>(batch.capture_seconds.size()));
  for (const double seconds : batch.capture_seconds) append_real(seconds);
  append_bytes(batch.bitstream);
  for (const Bytes& label : batch.labels) append_bytes(label);
  detail::store_le(bytes.data(), byte_digest(std::span(bytes).subspan(sizeof(Digest))));
  return bytes;
}

LabelledBatch read_batch(std::uint64_t batch_id, std::vector<std::byte> row) {
  const Bytes bytes(std::move(row));
  std::size_t at = 0;
  const auto take = [&](std::size_t count) {
    if (count > bytes.size() - at) {
      throw Error(ErrorCode::malformed_data, "a batch of samples is cut off");
    }
    return bytes.slice(std::exchange(at, at + count), count);
  };
  const auto take_integer = [&]<class T>(T) { return detail::load_le<T>(take(sizeof(T)).data()); };
  const auto take_real = [&] { return std::bit_cast<double>(take_integer(std::uint64_t{})); };
  const auto take_part = [&] { return take(take_integer(std::uint32_t{})); };
  const Digest digest = take_integer(Digest{});
  if (digest != byte_digest(bytes.suffix(at).span())) {
    throw Error(ErrorCode::malformed_data, "a batch of samples is damaged");
  }
  LabelledBatch batch;
  batch.batch_id = batch_id;
  batch.offset_seconds = take_real();
  const std::uint32_t frames = take_integer(std::uint32_t{});
  for (std::uint32_t i = 0; i < frames; ++i) batch.capture_seconds.push_back(take_real());
  batch.bitstream = take_part();
  for (std::uint32_t i = 0; i < frames; ++i) batch.labels.push_back(take_part());
  return batch;
}

}  // namespace ams::store_detail
