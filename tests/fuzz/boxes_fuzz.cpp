// Reads hostile sets of boxes, as a store has them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "ams/core/error.hpp"
#include "ams/detection/box_bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const ams::BoxSet set = ams::unpack_boxes(bytes, 3);
    if (!std::ranges::equal(ams::pack_boxes(set), bytes)) std::abort();
  } catch (const ams::Error&) {
  }
  return 0;
}
