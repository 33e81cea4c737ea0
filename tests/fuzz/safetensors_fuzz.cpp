// Parses hostile safetensors. What is taken, is written as bytes that mean the same.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ams/core/error.hpp"
#include "ams/torch/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ams::Safetensors content;
  try {
    content = ams::parse_safetensors(std::as_bytes(std::span(data, size)));
  } catch (const ams::Error&) {
    return 0;
  }
  for (const ams::StoredTensor& tensor : content.tensors) {
    try {
      tensor.to_float();
    } catch (const ams::Error&) {
    }
  }
  std::vector<std::byte> bytes;
  try {
    bytes = ams::serialize_safetensors(content);
  } catch (const ams::Error&) {  // an empty name may be read and not written
    return 0;
  }
  if (ams::serialize_safetensors(ams::parse_safetensors(bytes)) != bytes) std::abort();
  return 0;
}
