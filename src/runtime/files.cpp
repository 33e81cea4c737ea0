#include "ams/runtime/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "ams/core/error.hpp"

namespace ams {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(ErrorCode::io_error,
              std::string(what) + " '" + path.string() + "': " + std::strerror(errno));
}

}  // namespace

void sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  const int folder = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;  // one that may not be listed
  const bool has_failed = ::fsync(folder) != 0 && errno == EIO;  // some file systems cannot
  const int reason = errno;
  ::close(folder);
  errno = reason;
  if (has_failed) fail(parent, "cannot write");
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  std::filesystem::path temporary = path;
  temporary += ".part";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) fail(temporary, "cannot write");
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = ::write(file, bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int reason = errno;
      ::close(file);
      ::unlink(temporary.c_str());
      errno = reason;
      fail(temporary, "cannot write");
    }
    written += static_cast<std::size_t>(n);
  }
  // Without the fsync, a power cut after the rename could leave an empty file under the final name.
  const bool synced = ::fsync(file) == 0;
  if (::close(file) != 0 || !synced || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    errno = reason;
    fail(path, "cannot write");
  }
  sync_folder_of(path);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text.data(), text.size())));
}

std::optional<std::vector<std::byte>> read_file(const std::filesystem::path& path,
                                                std::size_t max_bytes) {
  std::error_code ignored;  // what else is wrong with the path, opening it tells
  if (std::filesystem::status(path, ignored).type() == std::filesystem::file_type::not_found) {
    return std::nullopt;
  }
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::io_error, "cannot read '" + path.string() + "': it is a folder");
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail(path, "cannot read");
  const auto size = static_cast<std::size_t>(file.tellg());
  if (size > max_bytes) {
    throw Error(ErrorCode::limit_exceeded, "'" + path.string() + "' has " + std::to_string(size) +
                                               " bytes; at most " + std::to_string(max_bytes) +
                                               " are allowed");
  }
  std::vector<std::byte> bytes(size);
  file.seekg(0);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    fail(path, "cannot read");
  }
  return bytes;
}

}  // namespace ams
