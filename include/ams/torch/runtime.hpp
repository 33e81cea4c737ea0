#pragma once

#include <string>

#include "ams/core/error.hpp"

namespace ams {

/// Keeps freed memory in the process: up to half of a CPU training step is page faults otherwise,
/// as glibc returns every large tensor to the system and asks for it again. Changes malloc for the
/// whole process, so only a program calls it, first thing in main(), never the library. Does
/// nothing where malloc is not glibc's.
void tune_allocator_for_training();

/// Threads that one network operation may use, >= 1, in the calling thread and in every thread that
/// has not computed yet. Throws Error(invalid_argument). Where other programs are busy on the same
/// cores, one thread is often fastest: threads of one operation wait for each other by spinning,
/// unless the environment has OMP_WAIT_POLICY=passive at start.
void set_compute_threads(int threads);
int compute_threads();

/// Version of libtorch that runs, e.g. "2.7.1".
std::string torch_version();

}  // namespace ams
