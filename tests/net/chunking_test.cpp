#include "ams/net/chunking.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>

#include "ams/core/error.hpp"
#include "ams/core/random.hpp"

namespace {

using namespace ams;
using Bytes = std::vector<std::byte>;

/// What the socket gets.
bool pop(ChunkQueue& queue, Bytes& chunk) {
  const std::optional<Chunk> next = queue.pop();
  if (!next) return false;
  chunk.assign(next->header.begin(), next->header.begin() + std::ptrdiff_t(next->header_bytes));
  chunk.insert(chunk.end(), next->part.begin(), next->part.end());
  CHECK(chunk.size() == next->size());
  return true;
}

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random.below(256));
  }
  return bytes;
}

Bytes make_chunk(unsigned header, std::size_t payload) {
  Bytes chunk(1 + payload, std::byte{'x'});
  chunk[0] = static_cast<std::byte>(header);
  return chunk;
}

Bytes first_chunk(unsigned lane, std::uint64_t size, std::size_t payload) {
  Bytes chunk = make_chunk(0x40 | lane, 8 + payload);
  for (std::size_t i = 0; i < 8; ++i) {
    chunk[1 + i] = static_cast<std::byte>(size >> (8 * i));
  }
  return chunk;
}

ErrorCode feed_code(ChunkAssembler& assembler, const Bytes& chunk) {
  try {
    assembler.feed(chunk);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("no Error was thrown");
  return ErrorCode::io_error;
}

TEST_CASE("messages of every size around the chunk's come through") {
  Random random(1);
  for (const std::size_t chunk_bytes : {16U, 17U, 64U, 1000U}) {
    ChunkQueue queue(chunk_bytes);
    ChunkAssembler assembler(1 << 20);
    Bytes chunk;
    for (std::size_t size = 1; size < 4 * chunk_bytes + 20; size += 1 + size / 200) {
      const Bytes message = random_bytes(random, size);
      queue.push(Lane::bulk, message);
      CHECK(queue.queued_bytes() == size);
      std::optional<ams::Bytes> result;
      while (pop(queue, chunk)) {
        CHECK(!result);
        CHECK(chunk.size() <= chunk_bytes);
        result = assembler.feed(chunk);
      }
      REQUIRE(result);
      CHECK(*result == message);
      CHECK(queue.empty());
      CHECK(queue.queued_bytes() == 0);
      CHECK(assembler.buffered_bytes() == 0);
    }
  }
}

TEST_CASE("parts share the message, and a message's body is aligned") {
  ChunkQueue queue(64);
  const ams::Bytes message(Bytes(500, std::byte{7}));
  queue.push(Lane::bulk, message);
  ChunkAssembler assembler(1000);
  std::size_t at = 0;
  while (const auto chunk = queue.pop()) {
    CHECK(chunk->part.data() == message.data() + at);
    at += chunk->part.size();
  }
  for (const Bytes& chunk : {make_chunk(0x00, 40), first_chunk(1, 20, 5), make_chunk(0xC1, 15)}) {
    if (const auto whole = assembler.feed(chunk)) {
      CHECK(reinterpret_cast<std::uintptr_t>(whole->data() + 1) % 8 == 0);
    }
  }
}

TEST_CASE("a small message costs one byte") {
  ChunkQueue queue;
  queue.push(Lane::bulk, Bytes(1000, std::byte{7}));
  Bytes chunk;
  REQUIRE(pop(queue, chunk));
  CHECK(chunk.size() == 1001);
  CHECK(chunk[0] == std::byte{0});
  CHECK(!pop(queue, chunk));
}

TEST_CASE("golden bytes of a message in parts") {
  ChunkQueue queue(16);
  Bytes message;
  for (int i = 0; i < 25; ++i) {
    message.push_back(static_cast<std::byte>(i));
  }
  queue.push(Lane::bulk, message);
  const auto b = [](std::initializer_list<int> values) {
    Bytes bytes;
    for (const int value : values) {
      bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
  };
  Bytes chunk;
  REQUIRE(pop(queue, chunk));
  CHECK(chunk == b({0x42, 25, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6}));
  REQUIRE(pop(queue, chunk));
  CHECK(chunk == b({0x82, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}));
  REQUIRE(pop(queue, chunk));
  CHECK(chunk == b({0xC2, 22, 23, 24}));
  CHECK(!pop(queue, chunk));
}

TEST_CASE("urgent messages overtake chunks of a big one, and order holds within a lane") {
  ChunkQueue queue(64);
  ChunkAssembler assembler(100000);
  Random random(3);
  const Bytes big = random_bytes(random, 5000);
  queue.push(Lane::bulk, big);
  queue.push(Lane::bulk, Bytes(3, std::byte{9}));
  Bytes chunk;
  REQUIRE(pop(queue, chunk));
  CHECK(!assembler.feed(chunk));
  queue.push(Lane::frames, Bytes(200, std::byte{2}));
  queue.push(Lane::control, Bytes(5, std::byte{1}));
  queue.push(Lane::control, Bytes(6, std::byte{1}));
  std::vector<std::size_t> sizes;
  while (pop(queue, chunk)) {
    if (const auto message = assembler.feed(chunk)) {
      sizes.push_back(message->size());
      if (message->size() == big.size()) {
        CHECK(*message == big);
      }
    }
  }
  CHECK(sizes == std::vector<std::size_t>{5, 6, 200, 5000, 3});
}

TEST_CASE("random traffic on all lanes arrives whole and in order") {
  Random random(4);
  ChunkQueue queue(50);
  ChunkAssembler assembler(1000);
  std::map<int, std::vector<Bytes>> sent;
  std::map<int, std::vector<Bytes>> received;
  Bytes chunk;
  const auto take = [&] {
    if (!pop(queue, chunk)) {
      return false;
    }
    if (const auto message = assembler.feed(chunk)) {
      received[std::to_integer<int>((*message)[0])].push_back(message->to_vector());
    }
    return true;
  };
  for (int i = 0; i < 2000; ++i) {
    const int lane = static_cast<int>(random.below(3));
    Bytes message = random_bytes(random, 1 + random.below(300));
    message[0] = static_cast<std::byte>(lane);
    sent[lane].push_back(message);
    queue.push(static_cast<Lane>(lane), message);
    for (std::uint64_t n = random.below(6); n > 0; --n) {
      take();
    }
  }
  while (take()) {
  }
  CHECK(sent == received);
}

TEST_CASE("keep_only drops the other lanes and what has begun") {
  ChunkQueue queue(16);
  queue.push(Lane::bulk, Bytes(100));
  queue.push(Lane::frames, Bytes(100));
  Bytes chunk;
  REQUIRE(pop(queue, chunk));
  queue.push(Lane::control, Bytes(5, std::byte{1}));
  queue.keep_only(Lane::control);
  CHECK(queue.queued_bytes() == 5);
  ChunkAssembler assembler(1000);
  REQUIRE(pop(queue, chunk));
  CHECK(assembler.feed(chunk) == Bytes(5, std::byte{1}));
  CHECK(queue.empty());

  queue.push(Lane::bulk, Bytes(100));
  queue.push(Lane::bulk, Bytes(7, std::byte{2}));
  REQUIRE(pop(queue, chunk));
  queue.keep_only(Lane::bulk);
  CHECK(queue.queued_bytes() == 7);
  REQUIRE(pop(queue, chunk));
  CHECK(assembler.feed(chunk) == Bytes(7, std::byte{2}));
}

TEST_CASE("wrong arguments") {
  CHECK_THROWS_AS(ChunkQueue(15), Error);
  CHECK_THROWS_AS(ChunkQueue(max_chunk_bytes + 1), Error);
  ChunkQueue queue;
  CHECK_THROWS_AS(queue.push(Lane::bulk, {}), Error);
}

TEST_CASE("hostile chunks are refused") {
  constexpr std::size_t limit = 1000;
  const auto code = [](const std::vector<Bytes>& before, const Bytes& chunk) {
    ChunkAssembler assembler(limit);
    for (const Bytes& earlier : before) {
      CHECK(!assembler.feed(earlier));
    }
    return feed_code(assembler, chunk);
  };
  using enum ErrorCode;
  SUBCASE("headers") {
    CHECK(code({}, {}) == malformed_data);
    CHECK(code({}, make_chunk(0x00, 0)) == malformed_data);
    CHECK(code({}, make_chunk(0x01, 5)) == malformed_data);
    for (unsigned lane = 4; lane < 64; ++lane) {
      CHECK(code({}, make_chunk(0x00 | lane, 20)) == malformed_data);
      CHECK(code({}, make_chunk(0x40 | lane, 20)) == malformed_data);
      CHECK(code({}, make_chunk(0x80 | lane, 20)) == malformed_data);
      CHECK(code({}, make_chunk(0xC0 | lane, 20)) == malformed_data);
    }
  }
  SUBCASE("sizes") {
    CHECK(code({}, make_chunk(0x00, limit + 1)) == limit_exceeded);
    CHECK(code({}, first_chunk(0, limit + 1, 5)) == limit_exceeded);
    CHECK(code({}, first_chunk(0, ~std::uint64_t{0}, 5)) == limit_exceeded);
    CHECK(code({}, make_chunk(0x00, max_chunk_bytes)) == limit_exceeded);
    CHECK(code({}, first_chunk(0, 0, 5)) == malformed_data);
    CHECK(code({}, first_chunk(0, 5, 5)) == malformed_data);
    CHECK(code({}, first_chunk(0, 4, 5)) == malformed_data);
    CHECK(code({}, first_chunk(0, 20, 0)) == malformed_data);
    CHECK(code({}, make_chunk(0x40, 7)) == malformed_data);
  }
  SUBCASE("parts without a beginning") {
    CHECK(code({}, make_chunk(0x80, 5)) == malformed_data);
    CHECK(code({}, make_chunk(0xC0, 5)) == malformed_data);
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0x82, 5)) == malformed_data);
  }
  SUBCASE("a second beginning") {
    CHECK(code({first_chunk(1, 20, 5)}, first_chunk(1, 20, 5)) == malformed_data);
  }
  SUBCASE("parts that do not fit") {
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0x81, 15)) == malformed_data);
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0x81, 16)) == malformed_data);
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0x81, 0)) == malformed_data);
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0xC1, 14)) == malformed_data);
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0xC1, 16)) == malformed_data);
    CHECK(code({first_chunk(1, 20, 5)}, make_chunk(0xC1, 0)) == malformed_data);
  }
}

TEST_CASE("memory follows what arrived, not what was announced") {
  ChunkAssembler assembler(std::size_t{1} << 40);
  for (unsigned lane = 0; lane < lane_count; ++lane) {
    CHECK(!assembler.feed(first_chunk(lane, std::uint64_t{1} << 40, 1)));
  }
  CHECK(assembler.buffered_bytes() == lane_count);
}

TEST_CASE("unfinished messages have together no more than one may have") {
  ChunkAssembler assembler(1000);
  for (unsigned lane = 1; lane < 3; ++lane) {
    CHECK(!assembler.feed(first_chunk(lane, 900, 5)));
    CHECK(!assembler.feed(make_chunk(0x80 | lane, 450)));
  }
  CHECK_THROWS_AS(assembler.feed(make_chunk(0x81, 200)), Error);
  CHECK(assembler.buffered_bytes() <= 1000);
}

TEST_CASE("a lane is free again after its message") {
  ChunkAssembler assembler(1000);
  for (int i = 0; i < 3; ++i) {
    CHECK(!assembler.feed(first_chunk(3, 20, 5)));
    CHECK(!assembler.feed(make_chunk(0x83, 5)));
    CHECK(assembler.feed(make_chunk(0xC3, 10)) == Bytes(20, std::byte{'x'}));
  }
}

TEST_CASE("random chunks never pass a limit") {
  Random random(5);
  for (int round = 0; round < 2000; ++round) {
    ChunkAssembler assembler(300);
    try {
      for (int i = 0; i < 50; ++i) {
        const auto part = static_cast<unsigned>(random.below(4)) << 6;
        const auto lane = static_cast<unsigned>(random.below(5));
        const Bytes chunk = part == 0x40
                                ? first_chunk(lane, random.below(310), random.below(40))
                                : make_chunk(part | (part == 0 ? 0 : lane), random.below(40));
        if (const auto message = assembler.feed(chunk)) {
          CHECK(message->size() <= 300);
        }
        CHECK(assembler.buffered_bytes() <= 300 + max_chunk_header_bytes);
      }
    } catch (const Error&) {
    }
  }
}

}  // namespace
