#include "ams/runtime/model_journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ams/core/codec/byte_io.hpp"
#include "ams/core/error.hpp"
#include "ams/core/format.hpp"
#include "ams/core/update_codec.hpp"
#include "ams/runtime/files.hpp"
#include "descriptor.hpp"

namespace ams {
namespace {

using ByteView = std::span<const std::byte>;

constexpr std::size_t max_file_bytes = std::size_t{1} << 30;
constexpr std::size_t digest_bytes = 8;
constexpr std::size_t record_header_bytes = 16;
/// A journal of a small model may have so many, whatever its snapshot has.
constexpr std::size_t least_journal_bytes = 64UL << 10;
constexpr std::string_view snapshot_magic = "AMSS";

std::filesystem::path with_ending(std::filesystem::path path, const char* ending) {
  path += ending;
  return path;
}

/// Takes the digest at the end away.
Digest take_digest(ByteView& bytes) {
  const auto digest = detail::load_le<Digest>(bytes.last(digest_bytes).data());
  bytes = bytes.first(bytes.size() - digest_bytes);
  return digest;
}

/// Whether this is a snapshot that was saved, or what a failing disk has left of it: nothing,
/// zeros, or one wrong byte in the magic.
bool may_be_state(ByteView bytes) {
  const ByteView head = bytes.first(std::min(bytes.size(), snapshot_magic.size()));
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < head.size(); ++i) {
    if (head[i] != static_cast<std::byte>(snapshot_magic[i])) ++wrong;
  }
  const bool is_zero =
      std::all_of(head.begin(), head.end(), [](std::byte b) { return b == std::byte{}; });
  return is_zero || wrong == 0 || (wrong == 1 && head.size() == snapshot_magic.size());
}

[[noreturn]] void fail(const std::filesystem::path& path, int reason = errno) {
  throw Error(ErrorCode::io_error, "cannot write '" + path.string() +
                                       "': " + std::system_category().message(reason));
}

/// Whether everything was written and is on the disk.
bool write_all(int file, ByteView bytes, std::size_t offset) {
  while (!bytes.empty()) {
    const ssize_t n =
        ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::size_t>(n);
  }
  return ::fdatasync(file) == 0;
}

/// The snapshot of a file. Throws Error(digest_mismatch) when it is damaged.
ModelState decode_file(ByteView bytes, const std::string& name,
                       const std::shared_ptr<const Manifest>& manifest, Digest fingerprint) {
  const auto damaged = [&](const std::string& how) {
    throw Error(ErrorCode::digest_mismatch, name + " is damaged: " + how);
  };
  const auto another_student = [&] {
    throw Error(ErrorCode::manifest_mismatch, name + " is the state of another student");
  };
  if (bytes.size() < 2 * digest_bytes) damaged("it has " + std::to_string(bytes.size()) + " bytes");
  if (take_digest(bytes) != byte_digest(bytes)) damaged("its content is not what was saved");
  const Digest theirs = take_digest(bytes);
  std::optional<ModelState> state;
  try {
    state = decode_snapshot(bytes, manifest);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::manifest_mismatch) another_student();
    throw Error(error.code(), name + " cannot be used (" + error.what() +
                                  "): remove it to begin with the pre-trained student");
  }
  if (theirs != fingerprint) another_student();
  return std::move(*state);
}

}  // namespace

ModelJournal::ModelJournal(std::filesystem::path path, std::shared_ptr<const Manifest> manifest,
                           ModelJournalOptions options)
    : path_(std::move(path)),
      journal_path_(with_ending(path_, ".journal")),
      manifest_(std::move(manifest)),
      options_(std::move(options)) {
  if (!manifest_ || path_.empty()) {
    throw Error(ErrorCode::invalid_argument, manifest_ ? "ModelJournal: the path is empty"
                                                       : "ModelJournal: the manifest is null");
  }
}

std::optional<ModelState> ModelJournal::load() {
  saved_.reset();
  const auto bytes = read_file(path_, max_file_bytes);
  if (!bytes) return std::nullopt;
  const std::string name = fmt::format("'{}'", path_.string());
  if (!may_be_state(*bytes)) {
    throw Error(ErrorCode::invalid_argument,
                name +
                    " is not a saved state, and saving would overwrite it: name a file that is "
                    "not there yet");
  }
  std::optional<ModelState> state;
  try {
    state = decode_file(*bytes, name, manifest_, options_.student_fingerprint);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::digest_mismatch) throw;
    const std::filesystem::path aside = with_ending(path_, ".damaged");
    std::error_code failure;
    std::filesystem::rename(path_, aside, failure);
    if (!failure) sync_folder_of(aside);
    if (options_.on_damaged) {
      options_.on_damaged(failure ? std::filesystem::path() : aside, error.what());
    }
    return std::nullopt;
  }
  snapshot_bytes_ = bytes->size();
  saved_ = state->version();
  read_journal(*state);
  return state;
}

/// Moves the state on as far as the journal can be read.
void ModelJournal::read_journal(ModelState& state) {
  journal_bytes_ = 0;
  std::optional<std::vector<std::byte>> bytes;
  try {
    bytes = read_file(journal_path_, max_file_bytes);
  } catch (const Error&) {  // the snapshot is enough; the server sends the rest
    saved_.reset();
    return;
  }
  if (!bytes) return;
  ByteView rest = *bytes;
  while (rest.size() >= record_header_bytes) {
    const auto digest = detail::load_le<Digest>(rest.data());
    const auto size = detail::load_le<std::uint32_t>(rest.data() + 8);
    const auto version = detail::load_le<std::uint32_t>(rest.data() + 12);
    if (size > rest.size() - record_header_bytes) break;
    const ByteView record = rest.first(record_header_bytes + size);
    if (byte_digest(record.subspan(digest_bytes)) != digest) break;
    // An older one is from before the snapshot: the power went before the journal was emptied.
    if (version > state.version().number) {
      try {
        apply_update(record.subspan(record_header_bytes), state);
      } catch (const Error&) {  // of another life of this device
        saved_.reset();
        return;
      }
    }
    rest = rest.subspan(record.size());
    journal_bytes_ += record.size();
  }
  saved_ = state.version();
}

void ModelJournal::save(const ModelState& state, std::span<const Bytes> updates) {
  // Nothing is known of the disk until it has been written.
  const std::optional<ModelVersion> before = std::exchange(saved_, std::nullopt);
  std::vector<std::byte> records;
  const bool leads_on = before && !updates.empty() &&
                        std::uint64_t{before->number} + updates.size() == state.version().number;
  if (leads_on) {
    std::uint32_t version = before->number;
    for (const Bytes& update : updates) {
      const std::size_t begin = records.size();
      detail::append_le(records, Digest{0});
      detail::append_le(records, static_cast<std::uint32_t>(update.size()));
      detail::append_le(records, ++version);
      records.insert(records.end(), update.begin(), update.end());
      detail::store_le(&records[begin],
                       byte_digest(ByteView(records).subspan(begin + digest_bytes)));
    }
  }
  const std::size_t most = std::max(snapshot_bytes_, least_journal_bytes);
  if (before && *before == state.version() && updates.empty()) {
    // It is there.
  } else if (leads_on && journal_bytes_ + records.size() <= most) {
    append(records);
  } else {
    write_snapshot(state);
  }
  saved_ = state.version();
}

void ModelJournal::write_snapshot(const ModelState& state) {
  std::vector<std::byte> bytes = encode_snapshot(state);
  detail::append_le(bytes, options_.student_fingerprint);
  detail::append_le(bytes, byte_digest(bytes));
  write_file_atomically(path_, bytes);
  written_bytes_ += bytes.size();
  snapshot_bytes_ = bytes.size();
  // Its updates are from before the snapshot, and are skipped where this does not reach the disk.
  if (::truncate(journal_path_.c_str(), 0) != 0 && errno != ENOENT) fail(journal_path_);
  journal_bytes_ = 0;
}

void ModelJournal::append(std::span<const std::byte> records) {
  const bool is_new = journal_bytes_ == 0;
  const detail::Descriptor file(
      ::open(journal_path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!file) fail(journal_path_);
  // What is behind the end that can be read was torn.
  const bool is_cut = ::ftruncate(file.get(), static_cast<off_t>(journal_bytes_)) == 0;
  if (!is_cut || !write_all(file.get(), records, journal_bytes_)) fail(journal_path_);
  if (is_new) sync_folder_of(journal_path_);
  written_bytes_ += records.size();
  journal_bytes_ += records.size();
}

}  // namespace ams
