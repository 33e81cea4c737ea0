#pragma once

#include <doctest/doctest.h>
#include <unistd.h>
#include <zip.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ams/bundle/student_bundle.hpp"

namespace ams::test {

/// A folder that goes with the object.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ams-bundle-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// What a bundle is made of: two tensors, whose values are at 8 and at 40 of the graph.
struct BundleFile {
  std::vector<float> weight{1, 2, 3, 4, 5, 6}, mean{7, 8};
  nlohmann::json json = nlohmann::json::parse(R"({
      "format": "ams-student-bundle", "version": 1, "fingerprint": "0123456789abcdef",
      "input": {"width": 64, "height": 32},
      "normalization": {"mean": [0.5, 0.25, 0], "standard_deviation": [1, 2, 0.5]},
      "num_classes": 3, "class_names": ["road", "car", "sky"], "selected_classes": [0, 2],
      "train_batch_norm_statistics": true, "network": "network.pt",
      "tensors": [{"name": "conv.weight", "shape": [2, 3], "kind": "parameter", "role": "head"},
                  {"name": "bn.running_mean", "shape": [2], "kind": "statistic"}],
      "onnx": {"file": "network.onnx",
               "tensors": [{"name": "bn.running_mean", "offset": 40},
                           {"name": "conv.weight", "offset": 8}]}})");
  std::map<std::string, std::string> entries{
      {"values.bin", bytes_of(weight) + bytes_of(mean)},
      {"network.onnx", "graph..." + bytes_of(weight) + "between." + bytes_of(mean) + "end"},
      {"network.pt", "a module"}};

  void write(const std::filesystem::path& path) const {
    int code = 0;
    zip_t* const zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
    REQUIRE(zip != nullptr);
    auto all = entries;
    if (!json.is_null()) all["bundle.json"] = json.dump();
    for (const auto& [name, content] : all) {
      zip_source_t* const source = zip_source_buffer(zip, content.data(), content.size(), 0);
      REQUIRE(zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8) >= 0);
    }
    REQUIRE(zip_close(zip) == 0);
  }
};

}  // namespace ams::test
