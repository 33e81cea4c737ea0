#pragma once

#include <cstdint>
#include <string>

namespace ams {

/// What a file is, as far as its first and last bytes tell.
enum class FileKind : std::uint8_t {
  unknown,
  empty,
  git_lfs_pointer,
  web_page,
  text,
  cut_archive,  ///< a zip archive whose end is missing
  torchscript,
  package,           ///< of AOTInductor
  exported_program,  ///< torch.export.save()
  saved_tensors,     ///< torch.save() of a state dict or a checkpoint
  saved_module,      ///< torch.save() of a whole module
  safetensors,
  onnx,
  hdf5,
  gzip,
};

FileKind kind_of_file(const std::string& path);

/// Throws Error(malformed_data), which says what the file is and what to do, when it is surely of
/// another kind than `wanted`: torchscript, package or safetensors.
void require_kind(const std::string& path, FileKind wanted);

}  // namespace ams
