#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ams/bundle/executorch_program.hpp"
#include "ams/core/digest.hpp"
#include "ams/core/manifest.hpp"

namespace ams {

/// A student in one file, for servers and devices: the network for libtorch, as an ONNX graph and,
/// on request, as an ExecuTorch program, its first values, and all that both sides must agree on.
/// ams.export.bundle() in Python writes it. A plain value.
struct StudentBundle {
  std::string name;        ///< of the file, e.g. "street.bundle"
  Digest fingerprint = 0;  ///< student_fingerprint() of the student: the server asks for it

  int input_width = 0;                                ///< pixels, 32 to 4096
  int input_height = 0;                               ///< pixels, 32 to 4096
  std::array<float, 3> mean{}, standard_deviation{};  ///< as Normalization
  int num_classes = 0;                                ///< 2 to 254 outputs of the network
  std::vector<std::string> class_names;               ///< num_classes of them, or none
  std::vector<int> selected_classes;                  ///< ascending ids, two or more; empty: all
  bool train_batch_norm_statistics = false;

  std::shared_ptr<const Manifest> manifest;
  std::vector<float> values;  ///< of version 0: manifest->dimension() of them, all finite

  /// A graph from uint8 RGB [1, input_height, input_width, 3] to uint8 class ids [1, input_height,
  /// input_width]. Its parameters are float32, little-endian, in these bytes: those of tensor i
  /// of the manifest from onnx_offsets[i] on.
  std::shared_ptr<const std::vector<std::byte>> onnx;
  std::vector<std::size_t> onnx_offsets;

  /// The same network for ExecuTorch, where the bundle was written with it; else none.
  std::shared_ptr<const ExecutorchProgram> executorch;

  /// For libtorch: a built-in network's name, e.g. "edanet"; or "network.pt", a TorchScript module.
  std::string network;
  /// The bytes of network.pt, or the safetensors file with the values of a built-in network.
  std::shared_ptr<const std::vector<std::byte>> torch_file;

  bool has_torchscript() const { return network == "network.pt"; }
};

/// Whether --student or the like names a bundle: it ends in ".bundle".
bool is_bundle_path(const std::string& path);

/// Opens a file that anybody may have made. Throws Error, with the path and what to do: io_error;
/// malformed_data (no bundle, truncated, a tensor without its values in the graph, ...),
/// unsupported_version, limit_exceeded (an entry of more than 1 GiB, or one that unpacks to more
/// than 64 times its size).
StudentBundle open_student_bundle(const std::filesystem::path& path);

}  // namespace ams
