#include "ams/torch/runtime.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <torch/version.h>

#include "ams/core/error.hpp"

namespace ams {

void tune_allocator_for_training() {
#ifdef __GLIBC__
  // Both at once: the trim threshold would otherwise follow the other one and give memory back.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2047 << 20);
#endif
}

void set_compute_threads(int threads) {
  if (threads < 1) throw Error(ErrorCode::invalid_argument, "compute threads must be 1 or more");
  at::set_num_threads(threads);
}

int compute_threads() {
  return at::get_num_threads();
}

std::string torch_version() {
  return TORCH_VERSION;
}

}  // namespace ams
