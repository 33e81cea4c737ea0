#pragma once

// One run of x264 over a sequence of pictures. Private to ams::video; built only with
// AMS_WITH_X264.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libav.hpp"

// Wants the fixed-width integers declared before it.
#include <x264.h>

namespace ams {

/// x264's parameters for 4:2:0, limited range BT.709 (named in the stream), one thread, no logging,
/// parameter sets apart from the pictures, and results that do not depend on the processor.
/// Error(invalid_argument) naming the presets when x264 has no such preset.
x264_param_t x264_parameters(const std::string& preset, int width, int height);

class X264Encoder {
 public:
  struct AccessUnit {
    std::vector<std::byte> bytes;  ///< Annex B
    std::int64_t pts = 0, dts = 0;
    bool keyframe = false;
    double mean_qp = 0;
  };

  /// Error(invalid_argument) when x264 refuses the parameters.
  explicit X264Encoder(x264_param_t parameters);
  ~X264Encoder();
  X264Encoder(const X264Encoder&) = delete;
  X264Encoder& operator=(const X264Encoder&) = delete;

  /// Sequence and picture parameter sets, Annex B. (Without x264's 700 bytes of text about itself.)
  std::vector<std::byte> headers();

  /// Takes one picture; gives an earlier or the same one, once the encoder has looked far enough
  /// ahead.
  std::optional<AccessUnit> encode(const AVFrame& picture, std::int64_t pts);

  /// Gives what is still inside, one a call, then nothing.
  std::optional<AccessUnit> flush();

 private:
  std::optional<AccessUnit> run(x264_picture_t* picture);

  x264_t* encoder_ = nullptr;
};

}  // namespace ams
