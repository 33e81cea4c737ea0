#pragma once

/// fmt without its library: the one place that includes it.
#ifndef FMT_HEADER_ONLY
#define FMT_HEADER_ONLY
#endif
#include <fmt/format.h>
