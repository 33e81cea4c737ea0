#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace ams {

/// When the frames of a video file are shown: seconds, ascending, the first at 0, one for each
/// frame that plays. Read from the file's packets, so nothing is decoded: it takes about as long as
/// reading the file. Frames are spaced evenly where the file does not say when they are
/// shown. Nothing behind max_seconds is read.
///
/// Errors: io_error, malformed_data (no video, or no frame in it).
std::vector<double> read_frame_times(const std::filesystem::path& path,
                                     double max_seconds = std::numeric_limits<double>::infinity());

/// The first frame i whose time is so far from i / fps, 0.4 of a frame or more, that it may be
/// taken for a frame beside it. Nothing where there is none: the rate is constant, and is `fps`
/// (> 0).
std::optional<std::size_t> first_uneven_frame(std::span<const double> times, double fps);

/// A constant rate that suits a video whose own rate varies: fast enough for nine in ten of its
/// frames, and a usual one (24, 25, 30, ...) where one is near. Up to 1000; 25 for a single frame.
double constant_rate_for(std::span<const double> times);

}  // namespace ams
