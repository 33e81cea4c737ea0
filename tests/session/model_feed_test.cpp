#include "ams/session/model_feed.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"

#include "damage.hpp"

using namespace ams;

namespace {

constexpr std::size_t weights = 40;
constexpr std::size_t dimension = weights + 8;

std::shared_ptr<const Manifest> manifest() {
  static const auto result = std::make_shared<const Manifest>(
      std::vector<TensorSpec>{{.name = "a.mean", .shape = {3}, .kind = TensorKind::statistic},
                              {.name = "weight", .shape = {weights}},
                              {.name = "b.mean", .shape = {5}, .kind = TensorKind::statistic}});
  return result;
}

ModelState initial() {
  return ModelState(manifest(), std::vector<float>(dimension, 0.5F));
}

CoordinateSet some_weights() {
  return CoordinateSet::from_sorted(dimension, {3, 10, 42});
}

/// Held values with everything moved, but for the statistics.
std::vector<float> trained(const ModelFeed& feed, Random& random) {
  std::vector<float> values(feed.held().values().begin(), feed.held().values().end());
  for (std::size_t i = 3; i < 3 + weights; ++i) values[i] = static_cast<float>(random.uniform());
  return values;
}

ModelFeed::Published publish(ModelFeed& feed, Random& random, double now = 0) {
  return feed.publish(trained(feed, random), some_weights(), now);
}

/// Does what a device does. True when it took the message over.
bool take(ModelState& device, const ServerMessage& message) {
  try {
    if (const auto* update = std::get_if<Update>(&message)) {
      apply_update(update->bytes, device);
    } else {
      device = decode_snapshot(std::get<Snapshot>(message).bytes, device.manifest_ptr());
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TEST_CASE("a device follows update by update") {
  ModelFeed feed(initial());
  ModelState device = initial();
  Random random(1);
  CHECK(feed.connect(device.version(), 0).resume == Resume::in_step);
  for (int i = 1; i <= 5; ++i) {
    const auto published = publish(feed, random, i);
    REQUIRE(published.message);
    CHECK(published.coordinates == 3);
    CHECK(published.bytes == std::get<Update>(*published.message).bytes.size());
    CHECK(feed.in_flight() == 1);
    CHECK(feed.waiting_since_seconds() == i);
    REQUIRE(take(device, *published.message));
    CHECK(device.version() == feed.held().version());
    const auto answer = feed.on_ack(device.version(), i);
    CHECK(answer.expected);
    CHECK_FALSE(answer.message);
    CHECK(feed.in_flight() == 0);
    CHECK_FALSE(feed.waiting_since_seconds());
    CHECK(feed.confirmed() == device.version());
  }
}

TEST_CASE("statistics travel when they change, tensor by tensor") {
  ModelFeed feed(initial());
  ModelState device = initial();
  Random random(1);
  feed.connect(device.version(), 0);
  std::vector<float> values = trained(feed, random);
  values[1] = 7;  // of the first statistic
  auto published = feed.publish(values, some_weights(), 0);
  CHECK(published.coordinates == 3 + 3);
  REQUIRE(take(device, *published.message));
  CHECK(device.values()[1] == 7);
  values = trained(feed, random);
  values[dimension - 1] = -1;
  published = feed.publish(values, CoordinateSet::all(dimension), 0);
  CHECK(published.coordinates == dimension);

  std::vector<float> before(dimension);
  std::vector<float> after(dimension);
  CHECK(changed_statistics(*manifest(), before, after).empty());
  after[0] = -0.0F;
  CHECK(changed_statistics(*manifest(), before, after) ==
        CoordinateSet::from_sorted(dimension, {0, 1, 2}));
  after[weights] = 9;  // no statistic
  after[weights + 3] = 9;
  CHECK(changed_statistics(*manifest(), before, after).size() == 8);
  CHECK_THROWS_AS(changed_statistics(*manifest(), before, std::vector<float>(3)), Error);
}

TEST_CASE("every version in the history is resumed by updates, every other by a snapshot") {
  for (const std::size_t kept : {0, 1, 3, 10}) {
    CAPTURE(kept);
    ModelFeed feed(initial(), {.max_history_updates = kept});
    Random random(2);
    std::vector<ModelState> versions = {feed.held()};
    for (int i = 0; i < 6; ++i) {
      CHECK_FALSE(publish(feed, random).message);  // nobody is connected
      versions.push_back(feed.held());
    }
    CHECK(feed.history_updates() == std::min<std::size_t>(kept, 6));
    for (std::size_t i = 0; i < versions.size(); ++i) {
      ModelState device = versions[i];
      const std::size_t behind = versions.size() - 1 - i;
      const auto resumption = feed.connect(device.version(), 0);
      CHECK(resumption.resume == (behind == 0      ? Resume::in_step
                                  : behind <= kept ? Resume::updates
                                                   : Resume::snapshot));
      CHECK(resumption.messages.size() == (behind <= kept ? behind : 1));
      CHECK(feed.in_flight() == resumption.messages.size());
      for (const ServerMessage& message : resumption.messages) REQUIRE(take(device, message));
      CHECK(device.version() == feed.held().version());
      CHECK(std::ranges::equal(device.values(), feed.held().values()));
    }
    // A number that is known, with values that are not.
    const ModelVersion liar{5, versions[5].version().digest + 1};
    CHECK(feed.connect(liar, 0).resume == Resume::snapshot);
  }
}

TEST_CASE("the history is bounded in bytes as well") {
  ModelFeed probe(initial());
  Random random(3);
  const std::size_t one = publish(probe, random).bytes;
  ModelFeed feed(initial(), {.max_history_bytes = 3 * one + one / 2});
  for (int i = 0; i < 20; ++i) {
    publish(feed, random);
    CHECK(feed.history_bytes() <= 3 * one + one / 2);
    CHECK(feed.history_updates() >= std::min(i + 1, 2));
  }
}

TEST_CASE("one Ack confirms all that came before it, and may come twice") {
  ModelFeed feed(initial());
  Random random(4);
  feed.connect(feed.held().version(), 0);
  publish(feed, random, 1);
  publish(feed, random, 2);
  const ModelVersion second = feed.held().version();
  publish(feed, random, 3);
  CHECK(feed.in_flight() == 3);
  CHECK(feed.waiting_since_seconds() == 1);
  CHECK(feed.on_ack(second, 5).expected);
  CHECK(feed.in_flight() == 1);
  CHECK(feed.waiting_since_seconds() == 5);
  const auto again = feed.on_ack(second, 6);
  CHECK(again.expected);
  CHECK_FALSE(again.message);
}

TEST_CASE("an Ack of what was never sent gets a snapshot") {
  ModelFeed feed(initial());
  Random random(5);
  feed.connect(feed.held().version(), 0);
  publish(feed, random);
  const ModelVersion wrong{1, feed.held().version().digest ^ 1};
  const auto answer = feed.on_ack(wrong, 0);
  CHECK_FALSE(answer.expected);
  REQUIRE(answer.message);
  ModelState device = initial();
  REQUIRE(take(device, *answer.message));
  CHECK(device.version() == feed.held().version());
  // The same again, before the snapshot has arrived: one is enough.
  CHECK_FALSE(feed.on_ack(wrong, 0).message);
  CHECK(feed.on_ack(device.version(), 0).expected);
  CHECK(feed.in_flight() == 0);
}

TEST_CASE(
    "of several updates on their way, any may be lost to corruption at the cost of one snapshot") {
  for (std::size_t corrupted = 0; corrupted < 4; ++corrupted) {
    for (const bool late_acks : {false, true}) {
      CAPTURE(corrupted);
      ModelFeed feed(initial());
      ModelState device = initial();
      Random random(6);
      feed.connect(device.version(), 0);
      std::deque<ServerMessage> link;
      for (std::size_t i = 0; i < 4; ++i) link.push_back(*publish(feed, random).message);
      Bytes& bytes = std::get<Update>(link[corrupted]).bytes;
      damage(bytes, bytes.size() - 1, std::byte{4});

      std::size_t snapshots = 0;
      std::vector<ModelVersion> acks;
      const auto answer = [&](const ModelFeed::Answer& a) {
        CHECK(a.expected);
        if (!a.message) return;
        ++snapshots;
        link.push_back(*a.message);
      };
      while (!link.empty()) {
        const bool taken = take(device, link.front());
        link.pop_front();
        if (!taken) {
          answer(feed.on_refusal(device.version(), 0));
        } else if (!late_acks) {
          answer(feed.on_ack(device.version(), 0));
        }
      }
      if (late_acks) answer(feed.on_ack(device.version(), 0));
      CHECK(snapshots == 1);
      CHECK(device.version() == feed.held().version());
      CHECK(feed.in_flight() == 0);
      CHECK(feed.confirmed() == device.version());
    }
  }
}

TEST_CASE("what a device has refused is not sent to it again, however much it missed") {
  for (const std::size_t missed : {1, 4, 8, 50}) {
    CAPTURE(missed);
    ModelFeed feed(initial());
    ModelState device = initial();
    Random random(9);
    for (std::size_t i = 0; i < missed; ++i) publish(feed, random);
    CHECK(feed.connect(device.version(), 0).resume == Resume::updates);
    // It cannot use the first one, and so none; and is gone before the snapshot reaches it.
    CHECK(feed.on_refusal(device.version(), 0).message);
    for (std::size_t i = 1; i < missed; ++i) {
      CHECK_FALSE(feed.on_refusal(device.version(), 0).message);
    }
    feed.disconnect();
    const auto resumption = feed.connect(device.version(), 1);
    CHECK(resumption.resume == Resume::snapshot);
    REQUIRE(resumption.messages.size() == 1);
    REQUIRE(take(device, resumption.messages[0]));
    CHECK(feed.on_ack(device.version(), 1).expected);
    // From there on it is a device like any other.
    feed.disconnect();
    publish(feed, random);
    CHECK(feed.connect(device.version(), 2).resume == Resume::updates);
  }
}

TEST_CASE("a refusal behind a snapshot that was taken is heard") {
  ModelFeed feed(initial());
  ModelState device = initial();
  Random random(10);
  feed.connect(device.version(), 0);
  for (int i = 0; i < 3; ++i) publish(feed, random);
  // A device that says that it holds what was never sent: three messages are on their way behind
  // it.
  const auto snapshot = feed.on_ack({0, 12345}, 0);
  REQUIRE(snapshot.message);
  const auto update = publish(feed, random);
  REQUIRE(take(device, *snapshot.message));
  REQUIRE(take(device, *update.message));
  CHECK(feed.on_ack(device.version(), 1).expected);  // of the newest alone, as drivers do
  publish(feed, random);
  CHECK(feed.on_refusal(device.version(), 2).message);
}

TEST_CASE("a refused snapshot is sent again, but not for ever") {
  ModelFeed feed(initial(), {.max_consecutive_snapshots = 3});
  Random random(7);
  feed.connect({9, 9}, 0);
  for (int i = 0; i < 3; ++i) CHECK(feed.on_refusal({9, 9}, 0).message);
  const ModelVersion held = feed.held().version();
  CHECK_THROWS_AS(feed.on_refusal({9, 9}, 0), Error);
  CHECK(feed.in_flight() == 1);
  CHECK(feed.held().version() == held);
  // That it took one is no reason for another one.
  CHECK(feed.on_ack(held, 0).expected);
  CHECK_THROWS_AS(feed.on_refusal({9, 9}, 0), Error);
  // A good Ack of an update, or a new connection, begins a new count.
  CHECK(publish(feed, random).message);
  CHECK(feed.on_ack(feed.held().version(), 0).expected);
  for (int i = 0; i < 3; ++i) CHECK(feed.on_refusal({9, 9}, 0).message);
  CHECK_THROWS_AS(feed.on_refusal({9, 9}, 0), Error);
  feed.disconnect();
  feed.connect({9, 9}, 0);
  for (int i = 0; i < 3; ++i) CHECK(feed.on_refusal({9, 9}, 0).message);
}

TEST_CASE("a state without a manifest and options out of range are refused") {
  CHECK_THROWS_AS(ModelFeed{ModelState()}, Error);
  CHECK_THROWS_AS(ModelFeed(initial(), {.snapshot_zstd_level = 0}), Error);
  CHECK_THROWS_AS(ModelFeed(initial(), {.snapshot_zstd_level = 20}), Error);
  ModelFeedOptions options;
  options.encode.zstd_level = 0;
  CHECK_THROWS_AS(ModelFeed(initial(), options), Error);
}

TEST_CASE("what cannot be encoded changes nothing") {
  ModelFeed feed(initial());
  Random random(8);
  feed.connect(feed.held().version(), 0);
  publish(feed, random);
  const ModelVersion held = feed.held().version();
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> values = trained(feed, random);
    values[10] = bad;
    CHECK_THROWS_AS(feed.publish(values, some_weights(), 0), Error);
    CHECK(feed.held().version() == held);
    CHECK(feed.in_flight() == 1);
    CHECK(feed.history_updates() == 1);
  }
}
