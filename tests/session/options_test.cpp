#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "ams/core/error.hpp"
#include "ams/edge/client_options.hpp"
#include "ams/server/session_options.hpp"

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

TEST_CASE("the defaults are allowed, and the paper's") {
  CHECK(session([](SessionOptions&) {}).empty());
  CHECK(client([](ClientOptions&) {}).empty());
  const SessionOptions options;
  CHECK(options.horizon_seconds == 240);
  CHECK(options.update_interval_seconds == 10);
  CHECK(options.iterations == 20);
}

TEST_CASE("session options out of range are refused by name") {
  for (const double bad : {0.0, -1.0, not_a_number, infinity}) {
    CHECK(contains(session([&](auto& o) { o.horizon_seconds = bad; }), "horizon_seconds"));
    CHECK(contains(session([&](auto& o) { o.update_interval_seconds = bad; }),
                   "update_interval_seconds"));
    CHECK(contains(session([&](auto& o) { o.ack_timeout_seconds = bad; }), "ack_timeout_seconds"));
  }
  CHECK(contains(session([](auto& o) { o.iterations = 0; }), "iterations"));
  CHECK(contains(session([](auto& o) { o.batch_size = 0; }), "batch_size"));
  CHECK(contains(session([](auto& o) { o.batch_size = 5000; }), "1 to 4096"));
  CHECK(contains(session([](auto& o) { o.min_samples = 0; }), "min_samples"));
  CHECK(
      contains(session([](auto& o) { o.min_samples = o.max_buffer_samples + 1; }), "min_samples"));
  CHECK(contains(session([](auto& o) { o.adam.learning_rate = -1; }), "learning_rate"));
  CHECK(contains(session([](auto& o) { o.encode.zstd_level = 0; }), "zstd_level"));
  CHECK(contains(session([](auto& o) { o.snapshot_zstd_level = 20; }), "snapshot_zstd_level"));
  CHECK_FALSE(session([](auto& o) { o.sampling.min_fps = 0; }).empty());
  CHECK(contains(session([](auto& o) { o.sampling.min_fps = 1e-4; }), "0.001 to 1000"));
  CHECK_FALSE(session([](auto& o) { o.training_rate.max_factor = 0; }).empty());
  CHECK(contains(session([](auto& o) { o.max_updates_in_flight = 0; }), "max_updates_in_flight"));
  CHECK(contains(session([](auto& o) { o.max_pending_batches = 0; }), "max_pending_batches"));
  CHECK(contains(session([](auto& o) { o.max_frames_per_batch = 0; }), "max_frames_per_batch"));
  CHECK(contains(session([](auto& o) { o.max_bitstream_bytes = 0; }), "max_bitstream_bytes"));
}

TEST_CASE("a training rate that devices would refuse is refused before") {
  const auto slow = [](SessionOptions& o) { o.update_interval_seconds = 1000; };
  CHECK(session(slow).empty());
  CHECK(contains(session([&](auto& o) {
                   slow(o);
                   o.adapt_training_rate = true;
                 }),
                 "max_factor"));
  // Whatever passes is one that they accept, to the last bit.
  for (int i = 1; i < 3600; ++i) {
    const double interval = i;
    for (const double factor : {3600 / interval, std::nextafter(3600 / interval, 0.0)}) {
      const bool passes = session([&](SessionOptions& o) {
                            o.update_interval_seconds = interval;
                            o.adapt_training_rate = true;
                            o.training_rate.max_factor = factor;
                          }).empty();
      REQUIRE(passes == (factor * interval <= 3600));
    }
  }
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
