#pragma once

#include <stdlib.h>  // mkdtemp
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>

namespace ams::testing {

/// A folder that goes away with the program.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ams-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline const TemporaryFolder& temporary_folder() {
  static const TemporaryFolder folder;
  return folder;
}

/// The network that make_fixtures.py writes for `kind`, made once a program; empty, with a message,
/// on a machine whose Python has no torch.
inline std::string fixture([[maybe_unused]] const std::string& kind,
                           [[maybe_unused]] const std::string& extension = ".pt") {
#ifdef AMS_TEST_PYTHON
  static std::map<std::string, std::string> made;
  const auto known = made.find(kind);
  if (known != made.end()) return known->second;
  const std::string path = temporary_folder().file(kind + extension);
  const std::string command = std::string(AMS_TEST_PYTHON) + " -W ignore " + AMS_TEST_FIXTURES +
                              " " + kind + " " + path + " 2>&1";
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return made[kind] = path;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
    throw std::runtime_error("failed: " + command);
#endif
  std::printf("skipped: there is no Python with torch to make the network '%s'\n", kind.c_str());
  return {};
}

}  // namespace ams::testing
