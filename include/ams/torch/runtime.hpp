#pragma once

#include <string>

namespace ams {

/// Keeps freed memory in the process: up to half of a CPU training step is page faults otherwise,
/// as glibc returns every large tensor to the system and asks for it again. Changes malloc for the
/// whole process, so only a program calls it, first thing in main(), never the library. Does
/// nothing where malloc is not glibc's.
void tune_allocator_for_training();

/// Threads that one network operation may use, >= 1, for the calling thread and the threads that it
/// starts later. Throws Error(invalid_argument).
void set_compute_threads(int threads);
int compute_threads();

/// Version of libtorch that runs, e.g. "2.7.1".
std::string torch_version();

}  // namespace ams
