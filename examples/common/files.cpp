#include "common/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ams/core/error.hpp"

namespace ams {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(ErrorCode::io_error,
              std::string(what) + " '" + path.string() + "': " + std::strerror(errno));
}

}  // namespace

void require_writable(const std::filesystem::path& path) {
  std::error_code ignored;
  if (path.empty() || std::filesystem::is_directory(path, ignored) || !path.has_filename()) {
    throw Error(ErrorCode::io_error,
                "cannot write '" + path.string() + "': it is a folder; name a file");
  }
  if (path.has_parent_path()) create_folder(path.parent_path());
  std::filesystem::path temporary = path;
  temporary += ".part";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) fail(path, "cannot write");
  ::close(file);
  ::unlink(temporary.c_str());
}

void create_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path, error)) {
    throw Error(ErrorCode::io_error, "cannot make the folder '" + path.string() +
                                         "': " + (error ? error.message() : "a file has its name"));
  }
}

std::string hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace ams
