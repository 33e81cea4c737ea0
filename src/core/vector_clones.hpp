#pragma once

#include <cstddef>  // for __GLIBC__

/// Compiles the function that follows both for the wide vectors of today's x86 and for any x86; the loader
/// chooses. Only the width differs: without contraction to fused multiply-adds (the build sets
/// -ffp-contract=off) every element is computed by the same operations, so results are equal bit for bit.
/// Not under sanitizers: the loader chooses before their runtime has started.
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__) && \
    !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define AMS_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define AMS_VECTOR_CLONES
#endif
