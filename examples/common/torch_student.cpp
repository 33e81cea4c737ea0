#include "common/torch_student.hpp"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "ams/core/error.hpp"
#include "ams/core/manifest_difference.hpp"
#include "common/files.hpp"

namespace ams {
namespace {

/// A file of a bundle in a folder that goes with the object.
class UnpackedFile {
 public:
  UnpackedFile(const std::string& name, std::span<const std::byte> bytes) {
    std::string folder = (std::filesystem::temp_directory_path() / "ams-student-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
      throw Error(ErrorCode::io_error,
                  "cannot make the folder '" + folder + "': " + std::strerror(errno));
    }
    path_ = std::filesystem::path(folder) / name;
    write_file_atomically(path_, bytes);
  }
  ~UnpackedFile() {
    std::error_code ignored;
    std::filesystem::remove_all(path_.parent_path(), ignored);
  }
  UnpackedFile(const UnpackedFile&) = delete;
  UnpackedFile& operator=(const UnpackedFile&) = delete;

  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Server and device must not differ in what the bundle is.
void require_same(const StudentBundle& bundle, const StudentValues& opened) {
  std::string problem =
      manifest_difference(*opened.manifest, *bundle.manifest, "its network", "its list of tensors");
  if (problem.empty() && opened.values != bundle.values) {
    problem = "its network starts with other values";
  }
  if (problem.empty() && opened.fingerprint != bundle.fingerprint) {
    problem = "its network has the fingerprint " + hex(opened.fingerprint) + ", and it names " +
              hex(bundle.fingerprint);
  }
  if (problem.empty()) return;
  throw Error(ErrorCode::manifest_mismatch, bundle.name +
                                                " does not agree with itself: " + problem +
                                                "; write it again with ams.export.bundle()");
}

}  // namespace

TorchStudent load_torch_student(const options::StudentFlags& flags, StudentSpec spec) {
  const StudentBundle* const bundle = flags.bundle();
  if (bundle == nullptr) {
    StudentValues values = load_student_values(spec);
    return {std::move(spec), std::move(values), nullptr};
  }
  const bool script = bundle->has_torchscript();
  const auto file = std::make_shared<const UnpackedFile>(
      script ? "network.pt" : "weights.safetensors", *bundle->torch_file);
  spec.network = script ? file->path() : bundle->network;
  if (!script) spec.weights = file->path();
  StudentValues values = load_student_values(spec);
  require_same(*bundle, values);
  return {std::move(spec), std::move(values), file};
}

}  // namespace ams
