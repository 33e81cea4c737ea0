#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "ams/core/error.hpp"
#include "ams/session/client_options.hpp"
#include "ams/session/session_options.hpp"

using namespace ams;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// The message with which the changed options are refused; empty when they are taken.
template <class Options>
std::string refusal(const std::function<void(Options&)>& change) {
  Options options;
  change(options);
  try {
    validate(options);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    return error.what();
  }
  return {};
}

std::string session(const std::function<void(SessionOptions&)>& change) {
  return refusal<SessionOptions>(change);
}
std::string client(const std::function<void(ClientOptions&)>& change) {
  return refusal<ClientOptions>(change);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the defaults are allowed") {
  CHECK(session([](SessionOptions&) {}).empty());
  CHECK(client([](ClientOptions&) {}).empty());
}

TEST_CASE("session options out of range are refused by name") {
  for (const double bad : {0.0, -1.0, not_a_number, infinity}) {
    CHECK(contains(session([&](auto& o) { o.limits.ack_timeout_seconds = bad; }),
                   "ack_timeout_seconds"));
  }
  CHECK(contains(session([](auto& o) { o.snapshot_zstd_level = 20; }), "snapshot_zstd_level"));
  const auto zero = [](std::size_t SessionLimits::*field) {
    return session([&](SessionOptions& o) { o.limits.*field = 0; });
  };
  using L = SessionLimits;
  CHECK(contains(zero(&L::max_buffer_samples), "max_buffer_samples"));
  CHECK(contains(zero(&L::max_buffer_bytes), "max_buffer_bytes"));
  CHECK(contains(zero(&L::max_updates_in_flight), "max_updates_in_flight"));
  CHECK(contains(zero(&L::max_consecutive_snapshots), "max_consecutive_snapshots"));
  CHECK(contains(zero(&L::max_pending_batches), "max_pending_batches"));
  CHECK(contains(zero(&L::max_frames_per_batch), "max_frames_per_batch"));
  CHECK(contains(zero(&L::max_bitstream_bytes), "max_bitstream_bytes"));
}

TEST_CASE("client options out of range are refused by name") {
  for (const double bad : {0.0, -1.0, not_a_number, infinity}) {
    CHECK(contains(client([&](auto& o) { o.sampling_rate_fps = bad; }), "sampling_rate_fps"));
    CHECK(
        contains(client([&](auto& o) { o.max_sampling_rate_fps = bad; }), "max_sampling_rate_fps"));
    CHECK(contains(client([&](auto& o) { o.update_interval_seconds = bad; }),
                   "update_interval_seconds"));
    CHECK(contains(client([&](auto& o) { o.welcome_timeout_seconds = bad; }),
                   "welcome_timeout_seconds"));
    CHECK(
        contains(client([&](auto& o) { o.reconnect_min_seconds = bad; }), "reconnect_min_seconds"));
    CHECK(
        contains(client([&](auto& o) { o.reconnect_max_seconds = bad; }), "reconnect_max_seconds"));
  }
  CHECK(contains(client([](auto& o) { o.first_batch_seconds = -1; }), "first_batch_seconds"));
  CHECK(client([](auto& o) { o.first_batch_seconds = 0; }).empty());
  CHECK(contains(client([](auto& o) { o.device_id = ""; }), "device_id"));
  CHECK(contains(client([](auto& o) { o.device_id = std::string(129, 'x'); }), "128"));
  CHECK(contains(client([](auto& o) { o.device_id = "camera\t7"; }), "control characters"));
  CHECK(contains(client([](auto& o) { o.device_id = "camera\xff"; }), "UTF-8"));
  CHECK(contains(client([](auto& o) { o.token = std::string(1025, 'x'); }), "token"));
  CHECK(contains(client([](auto& o) { o.max_buffered_frames = 0; }), "max_buffered_frames"));
  CHECK(contains(client([](auto& o) { o.max_frames_per_batch = 513; }), "max_frames_per_batch"));
  CHECK(contains(client([](auto& o) { o.max_consecutive_refusals = 0; }),
                 "max_consecutive_refusals"));
}
