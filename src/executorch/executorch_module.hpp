#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ams {

/// An ExecuTorch program that is open, from uint8 [1, height, width, 3] to uint8 [1, height,
/// width]. Apart from the predictor, as ExecuTorch's headers have aliases of std's types, which
/// compilers then write in the names that Handle tells types by.
class ExecutorchModule {
 public:
  /// `name`: of the bundle, for errors. Throws Error(malformed_data) for a program that ExecuTorch
  /// refuses, or with other inputs and outputs.
  ExecutorchModule(std::vector<std::byte> bytes, const std::string& name, int width, int height,
                   bool all_cores);
  ~ExecutorchModule();
  ExecutorchModule(const ExecutorchModule&) = delete;
  ExecutorchModule& operator=(const ExecutorchModule&) = delete;

  /// `rgb`: 3 * width * height bytes, which stay as they are. Throws Error(unavailable).
  std::vector<std::uint8_t> run(std::span<std::uint8_t> rgb);

 private:
  struct Open;
  std::unique_ptr<Open> open_;
};

}  // namespace ams
