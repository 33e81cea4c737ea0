#include "ams/net/wire.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "ams/core/random.hpp"
#include "ams/net/chunking.hpp"

namespace {

using namespace ams;
using Bytes = std::vector<std::byte>;

/// As bytes that can be changed.
template <class Message>
std::vector<std::byte> encoded(const Message& message) {
  return encode_message(message).to_vector();
}

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random.below(256));
  }
  return bytes;
}

// Printable ASCII and UTF-8 sequences of two to four bytes.
std::string random_text(Random& random, std::size_t size) {
  const std::string sequences[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\xb7"};
  std::string text;
  while (text.size() < size) {
    const std::string& sequence = sequences[random.below(3)];
    if (random.below(3) > 0 || text.size() + sequence.size() > size) {
      text.push_back(static_cast<char>(0x20 + random.below(0x5f)));
    } else {
      text += sequence;
    }
  }
  return text;
}

ModelVersion random_version(Random& random) {
  return {static_cast<std::uint32_t>(random.next()), random.next()};
}

ErrorCode random_code(Random& random) {
  return static_cast<ErrorCode>(random.below(11));
}

Hello random_hello(Random& random) {
  Hello hello;
  hello.version = static_cast<std::uint16_t>(random.next());
  hello.device_id = random_text(random, 1 + random.below(max_device_id_bytes));
  hello.token = random_text(random, random.below(max_token_bytes + 1));
  hello.manifest_digest = random.next();
  hello.held = random_version(random);
  hello.student_fingerprint = random.next();
  return hello;
}

FrameBatch random_batch(Random& random) {
  FrameBatch batch;
  batch.batch_id = 1 + random.below(std::uint64_t{1} << 62);
  double seconds = -100 * random.uniform();
  const std::size_t frames = 1 + random.below(50);
  for (std::size_t i = 0; i < frames; ++i) {
    seconds += 0.001 + random.uniform();
    batch.capture_seconds.push_back(seconds);
  }
  batch.bitstream = random_bytes(random, 1 + random.below(5000));
  return batch;
}

Welcome random_welcome(Random& random) {
  Welcome welcome;
  welcome.version = static_cast<std::uint16_t>(random.next());
  welcome.session_id = random.next();
  welcome.resume = static_cast<Resume>(random.below(3));
  welcome.sampling_rate_fps = 0.001 + random.uniform();
  welcome.update_interval_seconds = 0.1 + 100 * random.uniform();
  welcome.last_batch_id = random.next();
  return welcome;
}

template <typename Message>
Message through_wire_to_server(const Message& message) {
  return std::get<Message>(decode_device_message(encoded(DeviceMessage(message))));
}

template <typename Message>
Message through_wire_to_device(const Message& message) {
  return std::get<Message>(decode_server_message(encoded(ServerMessage(message))));
}

template <typename Function>
ErrorCode code_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    CHECK(std::string(error.what()) != "");
    return error.code();
  }
  FAIL("no Error was thrown");
  return ErrorCode::io_error;
}

ErrorCode device_code(const Bytes& bytes) {
  return code_of([&] { decode_device_message(bytes); });
}

ErrorCode server_code(const Bytes& bytes) {
  return code_of([&] { decode_server_message(bytes); });
}

ErrorCode encode_code(const DeviceMessage& message) {
  return code_of([&] { encoded(message); });
}

ErrorCode encode_code(const ServerMessage& message) {
  return code_of([&] { encoded(message); });
}

std::string hex(const Bytes& bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

Bytes unhex(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Bytes bytes_of(std::string_view text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

TEST_CASE("payloads share the message that they come in") {
  ChunkAssembler assembler(1 << 20);
  const auto arrived = [&](const ams::Bytes& message) {
    std::vector<std::byte> chunk{std::byte{0}};
    chunk.insert(chunk.end(), message.begin(), message.end());
    return *assembler.feed(chunk);
  };
  const auto inside = [](const ams::Bytes& part, const ams::Bytes& whole) {
    return part.data() > whole.data() && part.data() + part.size() <= whole.data() + whole.size();
  };
  const ams::Bytes update = arrived(encode_message(ServerMessage(Update{bytes_of("abc")})));
  CHECK(inside(std::get<Update>(decode_server_message(update)).bytes, update));
  const ams::Bytes batch =
      arrived(encode_message(DeviceMessage(FrameBatch{1, {1.5}, bytes_of("nal")})));
  CHECK(inside(std::get<FrameBatch>(decode_device_message(batch)).bitstream, batch));
}

TEST_CASE("every message comes through with random contents") {
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    Hello hello = random_hello(random);
    const Hello hello2 = through_wire_to_server(hello);
    CHECK(hello2.version == hello.version);
    CHECK(hello2.device_id == hello.device_id);
    CHECK(hello2.token == hello.token);
    CHECK(hello2.manifest_digest == hello.manifest_digest);
    CHECK(hello2.held == hello.held);
    CHECK(hello2.student_fingerprint == hello.student_fingerprint);

    const FrameBatch batch = random_batch(random);
    const FrameBatch batch2 = through_wire_to_server(batch);
    CHECK(batch2.batch_id == batch.batch_id);
    CHECK(batch2.capture_seconds == batch.capture_seconds);
    CHECK(batch2.bitstream == batch.bitstream);

    const Ack ack{random_version(random)};
    CHECK(through_wire_to_server(ack).held == ack.held);

    const Refusal refusal{random_version(random), random_code(random),
                          random_text(random, random.below(max_text_bytes + 1))};
    const Refusal refusal2 = through_wire_to_server(refusal);
    CHECK(refusal2.held == refusal.held);
    CHECK(refusal2.code == refusal.code);
    CHECK(refusal2.message == refusal.message);

    const Welcome welcome = random_welcome(random);
    const Welcome welcome2 = through_wire_to_device(welcome);
    CHECK(welcome2.version == welcome.version);
    CHECK(welcome2.session_id == welcome.session_id);
    CHECK(welcome2.resume == welcome.resume);
    CHECK(welcome2.sampling_rate_fps == welcome.sampling_rate_fps);
    CHECK(welcome2.update_interval_seconds == welcome.update_interval_seconds);
    CHECK(welcome2.last_batch_id == welcome.last_batch_id);

    const Control control{0.001 + random.uniform(), 0.1 + 1000 * random.uniform()};
    const Control control2 = through_wire_to_device(control);
    CHECK(control2.sampling_rate_fps == control.sampling_rate_fps);
    CHECK(control2.update_interval_seconds == control.update_interval_seconds);

    const Update update{random_bytes(random, 1 + random.below(3000))};
    CHECK(through_wire_to_device(update).bytes == update.bytes);
    const Snapshot snapshot{random_bytes(random, 1 + random.below(3000))};
    CHECK(through_wire_to_device(snapshot).bytes == snapshot.bytes);

    const SnapshotPart part{random.below(1000), 6000, random.below(2000),
                      random_bytes(random, 1 + random.below(3000))};
    const SnapshotPart part2 = through_wire_to_device(part);
    CHECK(part2.digest == part.digest);
    CHECK(part2.size_bytes == part.size_bytes);
    CHECK(part2.offset_bytes == part.offset_bytes);
    CHECK(part2.bytes == part.bytes);
    hello.snapshot = SnapshotProgress{random.below(1000), random.below(1000), random.below(1000)};
    const Hello hello3 = through_wire_to_server(hello);
    REQUIRE(hello3.snapshot);
    CHECK_FALSE(hello2.snapshot);
    CHECK(hello3.snapshot->digest == hello.snapshot->digest);
    CHECK(hello3.snapshot->size_bytes == hello.snapshot->size_bytes);
    CHECK(hello3.snapshot->received_bytes == hello.snapshot->received_bytes);

    const Fault fault{random_code(random), random_text(random, random.below(max_text_bytes + 1)),
                      3600 * random.uniform()};
    const Fault fault2 = through_wire_to_device(fault);
    CHECK(fault2.retry_seconds == fault.retry_seconds);
    CHECK(fault2.code == fault.code);
    CHECK(fault2.message == fault.message);

    const Bye bye{random_text(random, random.below(max_text_bytes + 1))};
    CHECK(through_wire_to_device(bye).reason == bye.reason);
    CHECK(through_wire_to_server(bye).reason == bye.reason);
  }
}

TEST_CASE("the longest Hello is one that a server reads from a stranger") {
  Hello hello;
  hello.device_id.assign(max_device_id_bytes, 'd');
  hello.token.assign(max_token_bytes, 't');
  CHECK(encoded(DeviceMessage(hello)).size() <= max_encoded_hello_bytes);
}

// What version 1 of the protocol looks like, byte for byte. A change here breaks devices in the
// field.
TEST_CASE("golden bytes") {
  CHECK(hex(encoded(DeviceMessage(Ack{{7, 0x1122334455667788}}))) ==
        "03"
        "07000000"
        "88776655"
        "44332211");
  CHECK(hex(encoded(ServerMessage(Control{0.5, 10}))) ==
        "11"
        "000000000000e03f"
        "0000000000002440");
  CHECK(hex(encoded(ServerMessage(Update{bytes_of("abc")}))) ==
        "12"
        "616263");
  CHECK(hex(encoded(ServerMessage(Snapshot{bytes_of("xy")}))) ==
        "13"
        "7879");

  // Tables: an encoder is free in where it puts things, so what counts is that these stay readable.
  const auto bye = unhex("200c0000000000060008000400060000000400000004000000646f6e6500000000");
  CHECK(std::get<Bye>(decode_device_message(bye)).reason == "done");
  CHECK(std::get<Bye>(decode_server_message(bye)).reason == "done");

  const auto fault = std::get<Fault>(decode_server_message(
      unhex("140c00000008000c0007000800080000000000000904000000020000006e6f0000")));
  CHECK(fault.code == ErrorCode::unauthorized);
  CHECK(fault.message == "no");

  const auto refusal = std::get<Refusal>(decode_device_message(
      unhex("041000000000000a0018000800070014000a00000000000005070000008877665544332211"
            "04000000020000006e6f0000")));
  CHECK(refusal.held == ModelVersion{7, 0x1122334455667788});
  CHECK(refusal.code == ErrorCode::digest_mismatch);
  CHECK(refusal.message == "no");

  const auto hello = std::get<Hello>(decode_device_message(
      unhex("011400000010002c00060008000c001c001000240010000000000001002c00000020000000"
            "070000008877665544332211a8a7a6a5a4a3a2a1b8b7b6b5b4b3b2b1030000006b657900"
            "0300000063616d00")));
  CHECK(hello.version == 1);
  CHECK(hello.device_id == "cam");
  CHECK(hello.token == "key");
  CHECK(hello.manifest_digest == 0xa1a2a3a4a5a6a7a8);
  CHECK(hello.held == ModelVersion{7, 0x1122334455667788});
  CHECK(hello.student_fingerprint == 0xb1b2b3b4b5b6b7b8);

  const auto welcome = std::get<Welcome>(decode_server_message(
      unhex("1018000000000000001000280006000800050010001800200010000000000101000500000000"
            "000000000000000000e03f00000000000024400300000000000000")));
  CHECK(welcome.version == 1);
  CHECK(welcome.session_id == 5);
  CHECK(welcome.resume == Resume::updates);
  CHECK(welcome.sampling_rate_fps == 0.5);
  CHECK(welcome.update_interval_seconds == 10);
  CHECK(welcome.last_batch_id == 3);

  const auto batch = std::get<FrameBatch>(decode_device_message(
      unhex("02140000000000000000000a0018000c00040008000a00000014000000240000000300000000"
            "0000000000000002000000000000000000e03f000000000000f03f030000006e616c00")));
  CHECK(batch.batch_id == 3);
  CHECK(batch.capture_seconds == std::vector<double>{0.5, 1});
  CHECK(batch.bitstream == bytes_of("nal"));
}

// The same values in a FlatBuffer that another encoder could have written: with a vtable that knows
// fields of a later version, and the table before the strings.
TEST_CASE("fields of later versions are ignored") {
  // Bye: root offset, vtable (three fields: reason, and two unknown ones), table, string.
  const Bytes bye = {
      std::byte{32},                                                // kind
      std::byte{16},  std::byte{0},   std::byte{0},  std::byte{0},  // root table at 16
      std::byte{0},   std::byte{0},                                 // padding
      std::byte{10},  std::byte{0},   std::byte{16}, std::byte{0},  // vtable: sizes
      std::byte{4},   std::byte{0},   std::byte{8},  std::byte{0},  // reason at 4, new one at 8
      std::byte{12},  std::byte{0},                                 // another at 12
      std::byte{10},  std::byte{0},   std::byte{0},  std::byte{0},  // to the vtable
      std::byte{12},  std::byte{0},   std::byte{0},  std::byte{0},  // to the string
      std::byte{1},   std::byte{2},   std::byte{3},  std::byte{4},  // unknown
      std::byte{5},   std::byte{6},   std::byte{7},  std::byte{8},  // unknown
      std::byte{2},   std::byte{0},   std::byte{0},  std::byte{0},  // length
      std::byte{'o'}, std::byte{'k'}, std::byte{0},  std::byte{0},  // text
  };
  CHECK(std::get<Bye>(decode_device_message(bye)).reason == "ok");

  Bytes ack = encoded(DeviceMessage(Ack{{7, 9}}));
  ack.insert(ack.end(), 20, std::byte{0xee});
  CHECK(std::get<Ack>(decode_device_message(ack)).held == ModelVersion{7, 9});
}

// FlatBuffers' verifier lets this vector pass, whose doubles lie 4 bytes off their alignment.
TEST_CASE("doubles that are not aligned are read all the same") {
  const auto batch = std::get<FrameBatch>(decode_device_message(
      unhex("02140000000000000000000a0018000c00040008000a000000100000002400000003000000"
            "0000000002000000000000000000e03f000000000000f03f00000000030000006e616c00")));
  CHECK(batch.capture_seconds == std::vector<double>{0.5, 1});
  CHECK(batch.bitstream == bytes_of("nal"));
}

TEST_CASE("encoding refuses what the protocol does not allow") {
  Hello hello;
  hello.device_id = "";
  CHECK(encode_code(DeviceMessage(hello)) == ErrorCode::invalid_argument);
  hello.device_id.assign(max_device_id_bytes + 1, 'd');
  CHECK(encode_code(DeviceMessage(hello)) == ErrorCode::invalid_argument);
  hello.device_id = "line\nbreak";
  CHECK(encode_code(DeviceMessage(hello)) == ErrorCode::invalid_argument);
  hello.device_id = "cam";
  hello.token.assign(max_token_bytes + 1, 't');
  CHECK(encode_code(DeviceMessage(hello)) == ErrorCode::invalid_argument);

  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const FrameBatch good{1, {1, 2}, bytes_of("x")};
  for (const std::vector<double>& seconds : {std::vector<double>{},
                                             {nan},
                                             {infinity},
                                             {2, 1},
                                             {1, 1},
                                             {0, nan},
                                             std::vector<double>(max_frames_per_batch + 1, 1)}) {
    FrameBatch batch = good;
    batch.capture_seconds = seconds;
    CHECK(encode_code(DeviceMessage(batch)) == ErrorCode::invalid_argument);
  }
  FrameBatch batch = good;
  batch.batch_id = 0;
  CHECK(encode_code(DeviceMessage(batch)) == ErrorCode::invalid_argument);
  batch = good;
  batch.bitstream = {};
  CHECK(encode_code(DeviceMessage(batch)) == ErrorCode::invalid_argument);

  for (const double bad : {0.0, -1.0, 1e-310, 1e-4, nan, infinity, 2e6}) {
    CHECK(encode_code(ServerMessage(Control{bad, 10})) == ErrorCode::invalid_argument);
    CHECK(encode_code(ServerMessage(Control{1, bad})) == ErrorCode::invalid_argument);
    Welcome welcome;
    welcome.sampling_rate_fps = bad;
    CHECK(encode_code(ServerMessage(welcome)) == ErrorCode::invalid_argument);
  }
  Welcome welcome;
  welcome.resume = static_cast<Resume>(3);
  CHECK(encode_code(ServerMessage(welcome)) == ErrorCode::invalid_argument);
  CHECK(encode_code(ServerMessage(Update{})) == ErrorCode::invalid_argument);
  CHECK(encode_code(ServerMessage(Snapshot{})) == ErrorCode::invalid_argument);
  for (const SnapshotPart& part :
       {SnapshotPart{1, 5, 0, {}}, SnapshotPart{1, 5, 3, Bytes(3)}, SnapshotPart{1, 2, 0, Bytes(3)},
        SnapshotPart{1, std::uint64_t{1} << 40, 0, Bytes(3)},
        SnapshotPart{1, 5, ~std::uint64_t{0}, Bytes(3)}}) {
    CHECK(encode_code(ServerMessage(part)) == ErrorCode::invalid_argument);
  }
  for (const double bad : {-1.0, 4000.0, nan, infinity}) {
    CHECK(encode_code(ServerMessage(Fault{ErrorCode::io_error, "", bad})) ==
          ErrorCode::invalid_argument);
  }
}

TEST_CASE("free text that is too long is cut at a character") {
  std::string text(max_text_bytes - 1, 'a');
  text += "\xc3\xa4";  // two bytes
  CHECK(through_wire_to_device(Fault{ErrorCode::io_error, text}).message ==
        std::string(max_text_bytes - 1, 'a'));
  CHECK(through_wire_to_server(Bye{std::string(5000, 'b')}).reason ==
        std::string(max_text_bytes, 'b'));
}

TEST_CASE("free text is safe to log") {
  CHECK(through_wire_to_device(Fault{ErrorCode::io_error, "a\x1b[2Jb\nc\x7f"}).message ==
        "a?[2Jb?c?");
}

TEST_CASE("decoding refuses kinds of the other direction, and none") {
  CHECK(device_code({}) == ErrorCode::malformed_data);
  CHECK(server_code({}) == ErrorCode::malformed_data);
  for (int kind = 0; kind < 256; ++kind) {
    const bool from_device = (kind >= 1 && kind <= 4) || kind == 32;
    const bool from_server = (kind >= 16 && kind <= 21) || kind == 32;
    Bytes bytes(64, std::byte{0});
    bytes[0] = static_cast<std::byte>(kind);
    if (!from_device) {
      CHECK(device_code(bytes) == ErrorCode::malformed_data);
    }
    if (!from_server) {
      CHECK(server_code(bytes) == ErrorCode::malformed_data);
    }
  }
  CHECK(device_code(encoded(ServerMessage(Control{}))) == ErrorCode::malformed_data);
  CHECK(server_code(encoded(DeviceMessage(Ack{}))) == ErrorCode::malformed_data);
}

TEST_CASE("decoding checks values like encoding does") {
  Bytes control = encoded(ServerMessage(Control{0.5, 10}));
  for (std::size_t first : {1U, 9U}) {
    Bytes bad = control;
    for (std::size_t i = 0; i < 8; ++i) {
      bad[first + i] = std::byte{0xff};  // a NaN
    }
    CHECK(server_code(bad) == ErrorCode::malformed_data);
    for (std::size_t i = 0; i < 8; ++i) {
      bad[first + i] = std::byte{0};
    }
    CHECK(server_code(bad) == ErrorCode::malformed_data);
  }

  // Find the value in the FlatBuffer and overwrite it.
  const auto replace = [](Bytes bytes, const Bytes& from, const Bytes& to) {
    const auto at = std::search(bytes.begin(), bytes.end(), from.begin(), from.end());
    REQUIRE(at != bytes.end());
    std::copy(to.begin(), to.end(), at);
    return bytes;
  };
  const auto eight = [](double value) {
    Bytes bytes(8);
    std::memcpy(bytes.data(), &value, 8);
    return bytes;
  };
  const Bytes batch = encoded(DeviceMessage(FrameBatch{3, {1.5, 2.5}, bytes_of("nal")}));
  CHECK(device_code(replace(batch, eight(1.5), eight(2.5))) == ErrorCode::malformed_data);
  CHECK(device_code(replace(batch, eight(2.5), eight(INFINITY))) == ErrorCode::malformed_data);
  CHECK(device_code(replace(batch, eight(1.5), eight(NAN))) == ErrorCode::malformed_data);

  Hello hello;
  hello.device_id = "camera";
  CHECK(device_code(replace(encoded(DeviceMessage(hello)), bytes_of("camera"),
                            bytes_of("cam\nra"))) == ErrorCode::malformed_data);
}

TEST_CASE("truncated, flipped and random bytes give an Error or a message within the limits") {
  Random random(2);
  std::vector<Bytes> seeds = {
      encoded(DeviceMessage(random_hello(random))),
      encoded(DeviceMessage(random_batch(random))),
      encoded(DeviceMessage(Ack{random_version(random)})),
      encoded(DeviceMessage(Refusal{{}, ErrorCode::io_error, "why"})),
      encoded(DeviceMessage(Bye{"bye"})),
      encoded(ServerMessage(random_welcome(random))),
      encoded(ServerMessage(Control{})),
      encoded(ServerMessage(Fault{ErrorCode::io_error, "why"})),
  };
  std::size_t refused = 0;
  const auto try_both = [&refused](const Bytes& bytes) {
    try {
      const DeviceMessage message = decode_device_message(bytes);
      if (const auto* hello = std::get_if<Hello>(&message)) {
        CHECK(hello->device_id.size() >= 1);
        CHECK(hello->device_id.size() <= max_device_id_bytes);
        CHECK(hello->token.size() <= max_token_bytes);
      } else if (const auto* batch = std::get_if<FrameBatch>(&message)) {
        CHECK(batch->bitstream.size() <= bytes.size());
        CHECK(batch->capture_seconds.size() <= bytes.size() / 8);
      }
    } catch (const Error&) {
      ++refused;
    }
    try {
      const ServerMessage message = decode_server_message(bytes);
      if (const auto* welcome = std::get_if<Welcome>(&message)) {
        CHECK(welcome->sampling_rate_fps >= min_sampling_rate_fps);
        CHECK(welcome->update_interval_seconds >= min_update_interval_seconds);
      }
    } catch (const Error&) {
      ++refused;
    }
  };
  for (const Bytes& seed : seeds) {
    for (std::size_t size = 0; size < std::min<std::size_t>(seed.size(), 200); ++size) {
      try_both(Bytes(seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    for (int i = 0; i < 3000; ++i) {
      Bytes bytes = seed;
      for (std::uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
        bytes[random.below(std::min<std::size_t>(bytes.size(), 200))] ^=
            static_cast<std::byte>(1 + random.below(255));
      }
      try_both(bytes);
    }
    for (int i = 0; i < 1000; ++i) {
      Bytes bytes = random_bytes(random, 1 + random.below(100));
      bytes[0] = seed[0];
      try_both(bytes);
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("small messages stay small") {
  CHECK(encoded(DeviceMessage(Ack{{1, 2}})).size() == 13);
  CHECK(encoded(ServerMessage(Update{Bytes(1000)})).size() == 1001);
  CHECK(encoded(ServerMessage(Control{1, 10})).size() == 17);
}

}  // namespace
