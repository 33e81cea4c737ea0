#pragma once

/// The one place that includes fmt, header-only: texts of errors. A program that links the compiled
/// fmt may include this too.
#ifndef FMT_HEADER_ONLY
#define FMT_HEADER_ONLY
#endif
#include <fmt/format.h>
