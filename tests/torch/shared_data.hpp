#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace ams::testing {

/// Path of an optional file of real data (environment AMS_DATA_DIR, default ../shared/data); empty,
/// with a message, when it is not there.
inline std::string shared_data(const std::string& name) {
  const char* root = std::getenv("AMS_DATA_DIR");
  const std::filesystem::path path =
      std::filesystem::path(root != nullptr ? root : AMS_SOURCE_DIR "/../shared/data") / name;
  if (std::filesystem::exists(path)) return path.string();
  std::printf("skipped: %s is not there (set AMS_DATA_DIR)\n", path.c_str());
  return {};
}

}  // namespace ams::testing
