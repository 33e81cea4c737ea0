#include "ams/server/model_feed.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {

CoordinateSet changed_statistics(const Manifest& manifest, std::span<const float> held,
                                 std::span<const float> trained) {
  if (held.size() != manifest.dimension() || trained.size() != manifest.dimension()) {
    throw Error(ErrorCode::invalid_argument,
                "changed_statistics: both vectors must have as many values as the manifest");
  }
  // Bits, not values: NaN differs from itself, and 0 from -0 on the wire.
  const auto same = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  };
  std::vector<std::uint32_t> indices;
  for (const TensorSpec& tensor : manifest.tensors()) {
    if (tensor.kind != TensorKind::statistic) continue;
    const auto before = held.subspan(tensor.offset, tensor.size);
    const auto after = trained.subspan(tensor.offset, tensor.size);
    if (std::equal(before.begin(), before.end(), after.begin(), same)) continue;
    const std::size_t old_size = indices.size();
    indices.resize(old_size + tensor.size);
    std::iota(indices.begin() + static_cast<std::ptrdiff_t>(old_size), indices.end(),
              static_cast<std::uint32_t>(tensor.offset));
  }
  return CoordinateSet::from_sorted(manifest.dimension(), std::move(indices));
}

namespace {
/// encode_snapshot() gives about 3.4 bytes a value; small models may have some history all the
/// same.
std::size_t about_snapshot_bytes(std::size_t dimension) {
  return std::max<std::size_t>(dimension * 17 / 5, 1UL << 16);
}
}  // namespace

ModelFeed::ModelFeed(ModelState initial, ModelFeedOptions options)
    : held_(std::move(initial)), options_(options), confirmed_(held_.version()) {
  if (!held_.manifest_ptr()) {
    throw Error(ErrorCode::invalid_argument, "ModelFeed: the initial model state has no manifest");
  }
  validate(options_.encode);
  if (options_.snapshot_zstd_level < 1 || options_.snapshot_zstd_level > 19) {
    throw Error(ErrorCode::invalid_argument, "ModelFeed: snapshot_zstd_level is " +
                                                 std::to_string(options_.snapshot_zstd_level) +
                                                 "; allowed is 1 to 19");
  }
  if (options_.max_history_bytes == 0) {
    options_.max_history_bytes = about_snapshot_bytes(held_.manifest().dimension());
  }
}

std::optional<double> ModelFeed::waiting_since_seconds() const noexcept {
  if (in_flight_.empty()) return std::nullopt;
  return waiting_since_seconds_;
}

std::size_t ModelFeed::in_flight_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Sent& sent : in_flight_) bytes += sent.bytes;
  return bytes;
}

void ModelFeed::push_in_flight(const Sent& sent, double now_seconds) {
  if (in_flight_.empty()) waiting_since_seconds_ = now_seconds;
  in_flight_.push_back(sent);
}

ModelFeed::Resumption ModelFeed::connect(ModelVersion device, double now_seconds) {
  disconnect();
  connected_ = true;
  confirmed_ = device;
  Resumption result;
  if (device == held_.version()) return result;

  // Sent again, what was refused would be refused again, and those behind it with it.
  const auto missing = refused_after_ == device
                           ? history_.end()
                           : std::find_if(history_.begin(), history_.end(),
                                          [&](const Record& r) { return r.base == device; });
  if (missing == history_.end()) {
    result.resume = Resume::snapshot;
    Snapshot snapshot{encode_snapshot(held_, options_.snapshot_zstd_level)};
    push_in_flight({held_.version(), snapshot.bytes.size(), true}, now_seconds);
    result.messages.emplace_back(std::move(snapshot));
    return result;
  }
  result.resume = Resume::updates;
  for (auto record = missing; record != history_.end(); ++record) {
    const auto next = std::next(record);
    result.messages.emplace_back(Update{record->bytes});
    push_in_flight({next == history_.end() ? held_.version() : next->base, record->bytes.size()},
                   now_seconds);
  }
  return result;
}

void ModelFeed::disconnect() noexcept {
  connected_ = false;
  in_flight_.clear();
  stale_refusals_ = 0;
  snapshots_in_a_row_ = 0;
}

CoordinateSet ModelFeed::with_statistics(std::span<const float> trained,
                                         const CoordinateSet& coordinates) const {
  if (!held_.manifest().has_statistics() || coordinates.is_all()) return coordinates;
  return CoordinateSet::unite(coordinates,
                              changed_statistics(held_.manifest(), held_.values(), trained));
}

ModelFeed::Published ModelFeed::publish(std::span<const float> trained,
                                        const CoordinateSet& coordinates, double now_seconds,
                                        const std::optional<EncodeOptions>& encode) {
  const ModelVersion base = held_.version();
  const CoordinateSet sent = with_statistics(trained, coordinates);
  std::vector<std::byte> bytes =
      encode_update(held_, trained, sent, encode.value_or(options_.encode));

  Published result;
  result.coordinates = sent.size();
  result.bytes = bytes.size();
  if (connected_) {
    result.message = Update{bytes};
    push_in_flight({held_.version(), bytes.size()}, now_seconds);
  }
  history_bytes_ += bytes.size();
  history_.push_back({base, std::move(bytes)});
  while (history_.size() > options_.max_history_updates ||
         history_bytes_ > options_.max_history_bytes) {
    history_bytes_ -= history_.front().bytes.size();
    history_.pop_front();
  }
  return result;
}

void ModelFeed::confirm_up_to(std::deque<Sent>::iterator last, double now_seconds) {
  confirmed_ = last->version;
  refused_after_.reset();
  // The device answers in order: what it says of messages before a snapshot it has said.
  if (std::any_of(in_flight_.begin(), std::next(last), [](const Sent& s) { return s.is_snapshot; }))
    stale_refusals_ = 0;
  in_flight_.erase(in_flight_.begin(), std::next(last));
  waiting_since_seconds_ = now_seconds;
}

ServerMessage ModelFeed::resync(double now_seconds) {
  if (snapshots_in_a_row_ >= options_.max_consecutive_snapshots) {
    throw Error(ErrorCode::protocol_violation,
                "the device took none of " + std::to_string(snapshots_in_a_row_) +
                    " snapshots in a row; at most " +
                    std::to_string(options_.max_consecutive_snapshots) + " are sent");
  }
  Snapshot snapshot{encode_snapshot(held_, options_.snapshot_zstd_level)};
  ++snapshots_in_a_row_;
  in_flight_.clear();
  push_in_flight({held_.version(), snapshot.bytes.size(), true}, now_seconds);
  return snapshot;
}

ModelFeed::Answer ModelFeed::on_ack(ModelVersion device, double now_seconds) {
  const auto sent = std::find_if(in_flight_.begin(), in_flight_.end(),
                                 [&](const Sent& s) { return s.version == device; });
  if (sent != in_flight_.end()) {
    // Of a snapshot it is no reason for another one: whoever takes each and then asks for the next
    // would get as many as it likes.
    if (!sent->is_snapshot) snapshots_in_a_row_ = 0;
    confirm_up_to(sent, now_seconds);
    return {};
  }
  if (device == confirmed_) return {};  // said once more, after a refusal or a reconnection

  Answer answer;
  answer.expected = false;
  // A snapshot that is on its way already heals whatever this Ack reports.
  const bool healing = std::any_of(in_flight_.begin(), in_flight_.end(),
                                   [](const Sent& s) { return s.is_snapshot; });
  if (healing) return answer;
  const auto behind = std::count_if(in_flight_.begin(), in_flight_.end(), [&](const Sent& s) {
    return s.version.number > device.number;
  });
  answer.message = resync(now_seconds);
  stale_refusals_ = static_cast<std::size_t>(behind);
  return answer;
}

ModelFeed::Answer ModelFeed::on_refusal(ModelVersion device, double now_seconds) {
  if (stale_refusals_ > 0) {
    --stale_refusals_;
    return {};
  }
  // The device answers in order, so the refused message is the one after what it holds.
  const auto sent = std::find_if(in_flight_.begin(), in_flight_.end(),
                                 [&](const Sent& s) { return s.version == device; });
  const std::size_t taken =
      sent == in_flight_.end() ? 0 : static_cast<std::size_t>(sent - in_flight_.begin()) + 1;
  const std::size_t behind = in_flight_.size() > taken ? in_flight_.size() - taken - 1 : 0;
  Answer answer;
  answer.message = resync(now_seconds);
  confirmed_ = device;
  refused_after_ = device;
  stale_refusals_ = behind;
  return answer;
}

}  // namespace ams
