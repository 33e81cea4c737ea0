#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ams/core/frame.hpp"

namespace ams {

/// How a device compresses the samples of one update interval (section 3.2; the paper's evaluation:
/// 1024 x 512, two passes, preset medium, 200 Kbps).
struct SampleEncoderOptions {
  double target_bps = 200'000;  ///< bits per second of the buffer's period; 1 to 1e9

  /// Size of the coded pictures, pixels, even, 16 to 4096; 0 x 0 takes the frames' own size,
  /// rounded down to even. Frames of another size are stretched to it.
  int width = 0;
  int height = 0;

  std::string preset = "medium";  ///< x264's presets, ultrafast to placebo

  /// The quality ceiling: no finer quantiser than this (H.264 QP, 0 to 51; 18 is hard to tell from
  /// the original). A buffer of few frames then stays below target_bps instead of filling it with
  /// noise.
  int min_qp = 18;

  /// Encoding stops when the size is within this fraction of the target...
  double tolerance = 0.05;  ///< 0.005 to 1
  /// ...or after this many passes; 2 to 10. Buffers of a few frames need a third or fourth to come
  /// near.
  int max_passes = 5;
};

/// Compresses one buffer of samples, x264 in two or more passes.
///
/// Returns an H.264 Annex B bitstream: parameter sets, then exactly one access unit per frame, no
/// frame dropped or repeated, the first an IDR picture, each one slice; YUV 4:2:0, BT.709 limited
/// range, named in the stream. decode_samples() reads it back. The capture times travel apart
/// (FrameBatch).
///
/// Size: target_bps * period_seconds / 8 bytes within `tolerance`, but smaller when every frame has
/// reached min_qp, and larger only when the coarsest quantiser (QP 51) needs it. Where no pass is
/// within tolerance, the nearest one is returned.
///
/// Uses one thread, a temporary directory for x264's statistics (removed on every way out), and
/// memory for all frames in YUV. The same input gives the same bytes on every machine with the same
/// x264. Thread-safe.
///
/// @param frames          1 to 4096, all of one size
/// @param period_seconds  the time that the buffer stands for (T_update); above 0, up to 86400
/// Errors: invalid_argument, io_error (temporary directory), unavailable (built with
/// AMS_WITH_X264=OFF).
std::vector<std::byte> encode_samples(std::span<const FramePtr> frames, double period_seconds,
                                      const SampleEncoderOptions& options = {});

/// Whether this build has an encoder: false with AMS_WITH_X264=OFF.
bool can_encode_samples() noexcept;

}  // namespace ams
