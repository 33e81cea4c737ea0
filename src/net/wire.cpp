#include "ams/net/wire.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ams/session/text.hpp"
#include "messages_generated.h"

namespace ams {
namespace {

// Field values of messages come from callers when encoding and from the network when decoding; the
// same checks serve both, with the code that fits.
class Checker {
 public:
  constexpr explicit Checker(bool decoding) : decoding_(decoding) {}

  void require(bool condition, const char* what) const {
    if (!condition) {
      throw Error(decoding_ ? ErrorCode::malformed_data : ErrorCode::invalid_argument, what);
    }
  }

  void size(std::size_t value, std::size_t least, std::size_t most, const char* what) const {
    if (value < least || value > most) {
      throw Error(decoding_ ? ErrorCode::limit_exceeded : ErrorCode::invalid_argument,
                  std::string(what) + " is " + std::to_string(value) + " (" +
                      std::to_string(least) + " to " + std::to_string(most) + " allowed)");
    }
  }

  void rates(double sampling_rate_fps, double update_interval_seconds) const {
    require(
        sampling_rate_fps >= min_sampling_rate_fps && sampling_rate_fps <= max_sampling_rate_fps,
        "sampling_rate_fps must be 0.001 to 1000");
    require(update_interval_seconds >= min_update_interval_seconds &&
                update_interval_seconds <= max_update_interval_seconds,
            "update_interval_seconds must be 0.1 to 3600");
  }

  void hello(const Hello& hello) const {
    size(hello.device_id.size(), 1, max_device_id_bytes, "bytes of device_id");
    require(is_device_id(hello.device_id), "device_id must be UTF-8 without control characters");
    size(hello.token.size(), 0, max_token_bytes, "bytes of token");
    require(is_printable(hello.token), "token must be UTF-8 without control characters");
  }

  void frame_batch(const FrameBatch& batch) const {
    require(batch.batch_id >= 1, "batch_id counts from 1");
    size(batch.capture_seconds.size(), 1, max_frames_per_batch, "number of frames in a batch");
    double previous = -INFINITY;
    for (const double seconds : batch.capture_seconds) {
      require(std::isfinite(seconds) && seconds > previous,
              "capture_seconds must be finite and ascending");
      previous = seconds;
    }
    require(!batch.bitstream.empty(), "bitstream must not be empty");
  }

  void part(const SnapshotPart& part) const {
    require(!part.bytes.empty(), "a part of a snapshot must not be empty");
    require(part.size_bytes <= max_encoded_message_bytes &&
                part.bytes.size() <= part.size_bytes &&
                part.offset_bytes <= part.size_bytes - part.bytes.size(),
            "a part of a snapshot must lie in it");
  }

  void retry(double seconds) const {
    require(seconds >= 0 && seconds <= max_retry_seconds, "retry_seconds must be 0 to 3600");
  }

 private:
  bool decoding_;
};

constexpr Checker encoding{false};
constexpr Checker decoding{true};

wire::Version to_wire(const ModelVersion& version) {
  return {version.number, static_cast<std::uint32_t>(version.digest),
          static_cast<std::uint32_t>(version.digest >> 32)};
}

ModelVersion from_wire(const wire::Version& version) {
  return {version.number(), (Digest{version.digest_high()} << 32) | version.digest_low()};
}

constexpr std::pair<ErrorCode, wire::FaultCode> fault_codes[] = {
    {ErrorCode::invalid_argument, wire::FaultCode::invalid_argument},
    {ErrorCode::malformed_data, wire::FaultCode::malformed_data},
    {ErrorCode::unsupported_version, wire::FaultCode::unsupported_version},
    {ErrorCode::manifest_mismatch, wire::FaultCode::manifest_mismatch},
    {ErrorCode::base_version_mismatch, wire::FaultCode::base_version_mismatch},
    {ErrorCode::digest_mismatch, wire::FaultCode::digest_mismatch},
    {ErrorCode::limit_exceeded, wire::FaultCode::limit_exceeded},
    {ErrorCode::io_error, wire::FaultCode::io_error},
    {ErrorCode::unavailable, wire::FaultCode::unavailable},
    {ErrorCode::unauthorized, wire::FaultCode::unauthorized},
    {ErrorCode::protocol_violation, wire::FaultCode::protocol_violation},
};

wire::FaultCode to_wire(ErrorCode code) {
  for (const auto& [ours, theirs] : fault_codes) {
    if (ours == code) {
      return theirs;
    }
  }
  return wire::FaultCode::protocol_violation;
}

// A code of a newer version must not hide the message that it came with.
ErrorCode from_wire(wire::FaultCode code, ErrorCode otherwise) {
  for (const auto& [ours, theirs] : fault_codes) {
    if (theirs == code) {
      return ours;
    }
  }
  return otherwise;
}

std::string read_string(const flatbuffers::String* string) {
  return string == nullptr ? std::string() : string->str();
}

std::string read_text(const flatbuffers::String* string, const char* what) {
  decoding.size(string == nullptr ? 0 : string->size(), 0, max_text_bytes, what);
  return printable(read_string(string));
}

flatbuffers::Offset<flatbuffers::String> write_text(flatbuffers::FlatBufferBuilder& builder,
                                                    std::string_view text) {
  const std::string_view cut = cut_text(text, max_text_bytes);
  return cut.empty() ? 0 : builder.CreateString(cut.data(), cut.size());
}

// ---- bodies, written ----

void require_encodable(MessageKind kind, std::size_t size) {
  if (size >= max_encoded_message_bytes) {
    throw Error(ErrorCode::limit_exceeded,
                std::string(to_string(kind)) + " has " + std::to_string(size) +
                    " bytes (less than " + std::to_string(max_encoded_message_bytes) + " allowed)");
  }
}

Bytes with_kind(MessageKind kind, const void* body, std::size_t size) {
  require_encodable(kind, size);
  std::vector<std::byte> bytes(1 + size);
  bytes[0] = static_cast<std::byte>(kind);
  if (size > 0) {
    std::memcpy(bytes.data() + 1, body, size);
  }
  return bytes;
}

/// The builder fills its memory from the end, so that the kind has room before the body.
template <typename Table>
Bytes finish(MessageKind kind, flatbuffers::FlatBufferBuilder& builder,
             flatbuffers::Offset<Table> root) {
  builder.Finish(root);
  require_encodable(kind, builder.GetSize());
  std::size_t capacity = 0, begin = 0;
  const std::size_t size = builder.GetSize();
  const std::shared_ptr<std::uint8_t[]> memory(builder.ReleaseRaw(capacity, begin));
  if (begin == 0) {
    return with_kind(kind, memory.get(), size);
  }
  memory[static_cast<std::ptrdiff_t>(begin - 1)] = static_cast<std::uint8_t>(kind);
  const auto* first = reinterpret_cast<const std::byte*>(memory.get() + begin - 1);
  return {memory, {first, size + 1}};
}

Bytes encode(const Hello& message) {
  encoding.hello(message);
  flatbuffers::FlatBufferBuilder builder;
  const auto device_id = builder.CreateString(message.device_id);
  const auto token = message.token.empty() ? 0 : builder.CreateString(message.token);
  const auto held = to_wire(message.held);
  const SnapshotProgress progress = message.snapshot.value_or(SnapshotProgress{});
  const wire::SnapshotProgress snapshot(progress.digest, progress.size_bytes,
                                        progress.received_bytes);
  return finish(MessageKind::hello, builder,
                wire::CreateHello(builder, message.version, device_id, token,
                                  message.manifest_digest, &held, message.student_fingerprint,
                                  message.snapshot ? &snapshot : nullptr));
}

Bytes encode(const FrameBatch& message) {
  encoding.frame_batch(message);
  // Checked before building: the builder itself can only abort.
  if (message.bitstream.size() >= max_encoded_message_bytes / 2) {
    throw Error(ErrorCode::limit_exceeded,
                "bitstream has " + std::to_string(message.bitstream.size()) + " bytes (less than " +
                    std::to_string(max_encoded_message_bytes / 2) + " allowed)");
  }
  flatbuffers::FlatBufferBuilder builder(message.bitstream.size() +
                                         8 * message.capture_seconds.size() + 64);
  const auto bitstream = builder.CreateVector(
      reinterpret_cast<const std::uint8_t*>(message.bitstream.data()), message.bitstream.size());
  const auto seconds = builder.CreateVector(message.capture_seconds);
  return finish(MessageKind::frame_batch, builder,
                wire::CreateFrameBatch(builder, message.batch_id, seconds, bitstream));
}

Bytes encode(const Ack& message) {
  const wire::Ack body(to_wire(message.held));
  return with_kind(MessageKind::ack, &body, sizeof body);
}

Bytes encode(const Refusal& message) {
  flatbuffers::FlatBufferBuilder builder;
  const auto text = write_text(builder, message.message);
  const auto held = to_wire(message.held);
  return finish(MessageKind::refusal, builder,
                wire::CreateRefusal(builder, &held, to_wire(message.code), text));
}

Bytes encode(const Welcome& message) {
  encoding.rates(message.sampling_rate_fps, message.update_interval_seconds);
  encoding.require(message.resume <= Resume::snapshot, "resume must be one of its enumerators");
  flatbuffers::FlatBufferBuilder builder;
  return finish(
      MessageKind::welcome, builder,
      wire::CreateWelcome(builder, message.version, message.session_id,
                          static_cast<wire::Resume>(message.resume), message.sampling_rate_fps,
                          message.update_interval_seconds, message.last_batch_id));
}

Bytes encode(const Control& message) {
  encoding.rates(message.sampling_rate_fps, message.update_interval_seconds);
  const wire::Control body(message.sampling_rate_fps, message.update_interval_seconds);
  return with_kind(MessageKind::control, &body, sizeof body);
}

Bytes encode(const Update& message) {
  encoding.require(!message.bytes.empty(), "an Update must not be empty");
  return with_kind(MessageKind::update, message.bytes.data(), message.bytes.size());
}

Bytes encode(const Snapshot& message) {
  encoding.require(!message.bytes.empty(), "a Snapshot must not be empty");
  return with_kind(MessageKind::snapshot, message.bytes.data(), message.bytes.size());
}

Bytes encode(const SnapshotPart& message) {
  encoding.part(message);
  flatbuffers::FlatBufferBuilder builder(message.bytes.size() + 64);
  const auto bytes = builder.CreateVector(
      reinterpret_cast<const std::uint8_t*>(message.bytes.data()), message.bytes.size());
  return finish(MessageKind::snapshot_part, builder,
                wire::CreateSnapshotPart(builder, message.digest, message.size_bytes,
                                         message.offset_bytes, bytes));
}

Bytes encode(const Fault& message) {
  encoding.retry(message.retry_seconds);
  flatbuffers::FlatBufferBuilder builder;
  const auto text = write_text(builder, message.message);
  return finish(MessageKind::fault, builder,
                wire::CreateFault(builder, to_wire(message.code), text, message.retry_seconds));
}

Bytes encode(const Bye& message) {
  flatbuffers::FlatBufferBuilder builder;
  const auto reason = write_text(builder, message.reason);
  return finish(MessageKind::bye, builder, wire::CreateBye(builder, reason));
}

// ---- bodies, read ----

/// The same bytes where FlatBuffers can be read: at a multiple of 8. ChunkAssembler puts bodies
/// there.
Bytes aligned(const Bytes& body) {
  if (reinterpret_cast<std::uintptr_t>(body.data()) % 8 == 0) {
    return body;
  }
  return body.to_vector();
}

/// A body that holds a table of this type, verified.
template <typename Table>
class TableBody {
 public:
  TableBody(const Bytes& body, MessageKind kind) : bytes_(aligned(body)) {
    constexpr flatbuffers::uoffset_t max_depth = 4;
    constexpr flatbuffers::uoffset_t max_tables = 4;
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes_.data());
    flatbuffers::Verifier verifier(data, body.size(), max_depth, max_tables);
    if (body.size() < sizeof(flatbuffers::uoffset_t) || !verifier.VerifyBuffer<Table>(nullptr)) {
      throw Error(ErrorCode::malformed_data,
                  std::string("the body of ") + to_string(kind) + " is not what its schema says");
    }
    table_ = flatbuffers::GetRoot<Table>(data);
  }

  const Table* operator->() const { return table_; }

  /// A vector of the table, shared with the body.
  Bytes share(const flatbuffers::Vector<std::uint8_t>& vector) const {
    const auto* first = reinterpret_cast<const std::byte*>(vector.data());
    return bytes_.slice(static_cast<std::size_t>(first - bytes_.data()), vector.size());
  }

 private:
  Bytes bytes_;
  const Table* table_ = nullptr;
};

template <typename Struct>
Struct read_struct(const Bytes& body, MessageKind kind) {
  static_assert(std::is_trivially_copyable_v<Struct>);
  if (body.size() < sizeof(Struct)) {
    throw Error(ErrorCode::malformed_data, std::string("the body of ") + to_string(kind) + " has " +
                                               std::to_string(body.size()) + " bytes (at least " +
                                               std::to_string(sizeof(Struct)) + " needed)");
  }
  Struct value;
  std::memcpy(&value, body.data(), sizeof value);
  return value;
}

Hello read_hello(const Bytes& body) {
  if (body.size() >= max_encoded_hello_bytes) {
    throw Error(ErrorCode::limit_exceeded,
                "Hello has " + std::to_string(body.size() + 1) + " bytes (at most " +
                    std::to_string(max_encoded_hello_bytes) + " allowed)");
  }
  const TableBody<wire::Hello> table(body, MessageKind::hello);
  Hello message;
  message.version = table->version();
  message.device_id = read_string(table->device_id());
  message.token = read_string(table->token());
  message.manifest_digest = table->manifest_digest();
  message.student_fingerprint = table->student_fingerprint();
  message.held = from_wire(*table->held());
  if (const auto* snapshot = table->snapshot()) {
    message.snapshot = SnapshotProgress{snapshot->digest(), snapshot->size_bytes(),
                                        snapshot->received_bytes()};
  }
  decoding.hello(message);
  return message;
}

FrameBatch read_frame_batch(const Bytes& body) {
  const TableBody<wire::FrameBatch> table(body, MessageKind::frame_batch);
  decoding.size(table->capture_seconds()->size(), 1, max_frames_per_batch,
                "number of frames in a batch");
  FrameBatch message;
  message.batch_id = table->batch_id();
  // The verifier lets vectors of 8-byte elements begin at any multiple of 4, so they are copied as
  // bytes.
  message.capture_seconds.resize(table->capture_seconds()->size());
  std::memcpy(message.capture_seconds.data(), table->capture_seconds()->Data(),
              message.capture_seconds.size() * sizeof(double));
  for (double& seconds : message.capture_seconds) {
    seconds = flatbuffers::EndianScalar(seconds);
  }
  message.bitstream = table.share(*table->bitstream());
  decoding.frame_batch(message);
  return message;
}

Refusal read_refusal(const Bytes& body) {
  const TableBody<wire::Refusal> table(body, MessageKind::refusal);
  return {from_wire(*table->held()), from_wire(table->code(), ErrorCode::malformed_data),
          read_text(table->message(), "bytes of message")};
}

Welcome read_welcome(const Bytes& body) {
  const TableBody<wire::Welcome> table(body, MessageKind::welcome);
  decoding.require(table->resume() >= wire::Resume::MIN && table->resume() <= wire::Resume::MAX,
                   "resume is not 0, 1 or 2");
  Welcome message;
  message.version = table->version();
  message.session_id = table->session_id();
  message.resume = static_cast<Resume>(table->resume());
  message.sampling_rate_fps = table->sampling_rate_fps();
  message.update_interval_seconds = table->update_interval_seconds();
  message.last_batch_id = table->last_batch_id();
  decoding.rates(message.sampling_rate_fps, message.update_interval_seconds);
  return message;
}

Control read_control(const Bytes& body) {
  const auto control = read_struct<wire::Control>(body, MessageKind::control);
  decoding.rates(control.sampling_rate_fps(), control.update_interval_seconds());
  return {control.sampling_rate_fps(), control.update_interval_seconds()};
}

Bytes read_bytes(const Bytes& body, MessageKind kind) {
  if (body.empty()) {
    throw Error(ErrorCode::malformed_data,
                std::string("the body of ") + to_string(kind) + " is empty");
  }
  return body;
}

Fault read_fault(const Bytes& body) {
  const TableBody<wire::Fault> table(body, MessageKind::fault);
  decoding.retry(table->retry_seconds());
  return {from_wire(table->code(), ErrorCode::protocol_violation),
          read_text(table->message(), "bytes of message"), table->retry_seconds()};
}

SnapshotPart read_snapshot_part(const Bytes& body) {
  const TableBody<wire::SnapshotPart> table(body, MessageKind::snapshot_part);
  SnapshotPart message{table->digest(), table->size_bytes(), table->offset_bytes(),
                       table.share(*table->bytes())};
  decoding.part(message);
  return message;
}

Bye read_bye(const Bytes& body) {
  const TableBody<wire::Bye> table(body, MessageKind::bye);
  return {read_text(table->reason(), "bytes of reason")};
}

MessageKind read_kind(const Bytes& bytes) {
  if (bytes.empty()) {
    throw Error(ErrorCode::malformed_data, "a message of 0 bytes (its kind is missing)");
  }
  if (bytes.size() > max_encoded_message_bytes) {
    throw Error(ErrorCode::limit_exceeded,
                "a message of " + std::to_string(bytes.size()) + " bytes (at most " +
                    std::to_string(max_encoded_message_bytes) + " allowed)");
  }
  return static_cast<MessageKind>(bytes[0]);
}

[[noreturn]] void throw_unknown_kind(MessageKind kind, const char* sender, const char* allowed) {
  throw Error(ErrorCode::malformed_data, "message kind " + std::to_string(static_cast<int>(kind)) +
                                             " is none that a " + sender + " sends (" + allowed +
                                             ")");
}

}  // namespace

const char* to_string(MessageKind kind) noexcept {
  switch (kind) {
    case MessageKind::hello:
      return "Hello";
    case MessageKind::frame_batch:
      return "FrameBatch";
    case MessageKind::ack:
      return "Ack";
    case MessageKind::refusal:
      return "Refusal";
    case MessageKind::welcome:
      return "Welcome";
    case MessageKind::control:
      return "Control";
    case MessageKind::update:
      return "Update";
    case MessageKind::snapshot:
      return "Snapshot";
    case MessageKind::fault:
      return "Fault";
    case MessageKind::snapshot_part:
      return "SnapshotPart";
    case MessageKind::bye:
      return "Bye";
  }
  return "unknown";
}

MessageKind kind_of(const DeviceMessage& message) noexcept {
  constexpr MessageKind kinds[] = {MessageKind::hello, MessageKind::frame_batch, MessageKind::ack,
                                   MessageKind::refusal, MessageKind::bye};
  static_assert(std::size(kinds) == std::variant_size_v<DeviceMessage>);
  return kinds[message.index()];
}

MessageKind kind_of(const ServerMessage& message) noexcept {
  constexpr MessageKind kinds[] = {MessageKind::welcome,      MessageKind::control,
                                   MessageKind::update,       MessageKind::snapshot,
                                   MessageKind::fault,        MessageKind::bye,
                                   MessageKind::snapshot_part};
  static_assert(std::size(kinds) == std::variant_size_v<ServerMessage>);
  return kinds[message.index()];
}

Bytes encode_message(const DeviceMessage& message) {
  return std::visit([](const auto& alternative) { return encode(alternative); }, message);
}

Bytes encode_message(const ServerMessage& message) {
  return std::visit([](const auto& alternative) { return encode(alternative); }, message);
}

DeviceMessage decode_device_message(const Bytes& bytes) {
  const MessageKind kind = read_kind(bytes);
  const Bytes body = bytes.suffix(1);
  switch (kind) {
    case MessageKind::hello:
      return read_hello(body);
    case MessageKind::frame_batch:
      return read_frame_batch(body);
    case MessageKind::ack:
      return Ack{from_wire(read_struct<wire::Ack>(body, kind).held())};
    case MessageKind::refusal:
      return read_refusal(body);
    case MessageKind::bye:
      return read_bye(body);
    default:
      throw_unknown_kind(kind, "device", "1 to 4 and 32 are");
  }
}

ServerMessage decode_server_message(const Bytes& bytes) {
  const MessageKind kind = read_kind(bytes);
  const Bytes body = bytes.suffix(1);
  switch (kind) {
    case MessageKind::welcome:
      return read_welcome(body);
    case MessageKind::control:
      return read_control(body);
    case MessageKind::update:
      return Update{read_bytes(body, kind)};
    case MessageKind::snapshot:
      return Snapshot{read_bytes(body, kind)};
    case MessageKind::fault:
      return read_fault(body);
    case MessageKind::snapshot_part:
      return read_snapshot_part(body);
    case MessageKind::bye:
      return read_bye(body);
    default:
      throw_unknown_kind(kind, "server", "16 to 21 and 32 are");
  }
}

}  // namespace ams
