#include <ams/store/sqlite_store.hpp>
#include <cstdio>
#include <filesystem>

int main() {
  auto manifest = std::make_shared<const ams::Manifest>(std::vector<ams::TensorSpec>{{"w", {8}}});
  const auto folder = std::filesystem::temp_directory_path() / "ams_install_store";
  bool empty = false;
  {
    ams::SqliteStore store(folder.string(), manifest);
    empty = !store.load("camera");
  }
  std::filesystem::remove_all(folder);
  std::printf("a store %s a session\n", empty ? "without" : "with");
  return empty ? 0 : 1;
}
