#include "ams/video/sample_encoder.hpp"

#include "ams/core/error.hpp"

#ifdef AMS_WITH_X264

#include <fmt/format.h>
#include <stdlib.h>  // mkdtemp

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "pixel_conversion.hpp"
#include "x264_encoder.hpp"

namespace ams {
namespace {

// x264 is told that frames follow each other at this rate, whatever their capture times, so that
// its rate control weighs them as frames of a video. Only the total size matters here.
constexpr int nominal_fps = 25;

void require_valid(std::span<const FramePtr> frames, double period_seconds,
                   const SampleEncoderOptions& o) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorCode::invalid_argument, message);
  };
  if (frames.empty() || frames.size() > 4096) {
    refuse(fmt::format("{} frames to encode; may be 1 to 4096", frames.size()));
  }
  for (const FramePtr& frame : frames) {
    if (frame == nullptr) refuse("a frame to encode is a null pointer");
    libav::require_valid(*frame);
    if (frame->width != frames[0]->width || frame->height != frames[0]->height) {
      refuse(fmt::format("frames of {} x {} and {} x {} in one buffer; all must have one size",
                         frames[0]->width, frames[0]->height, frame->width, frame->height));
    }
  }
  if (!(period_seconds > 0) || period_seconds > 86400) {
    refuse(fmt::format("period_seconds {}: may be above 0, up to 86400", period_seconds));
  }
  if (!(o.target_bps >= 1) || o.target_bps > 1e9) {
    refuse(fmt::format("target_bps {}: may be 1 to 1e9", o.target_bps));
  }
  const bool own_size = o.width == 0 && o.height == 0;
  const auto good_side = [](int side) { return side >= 16 && side <= 4096 && side % 2 == 0; };
  if (!own_size && (!good_side(o.width) || !good_side(o.height))) {
    refuse(fmt::format(
        "coded size {} x {}: both must be even and 16 to 4096, or 0 x 0 for the frames' own",
        o.width, o.height));
  }
  if (own_size && (!good_side(frames[0]->width & ~1) || !good_side(frames[0]->height & ~1))) {
    refuse(fmt::format("frames of {} x {}: both sides must be 16 to 4097, or name a coded size",
                       frames[0]->width, frames[0]->height));
  }
  if (o.min_qp < 0 || o.min_qp > 51) refuse(fmt::format("min_qp {}: may be 0 to 51", o.min_qp));
  if (!(o.tolerance >= 0.005 && o.tolerance <= 1)) {
    refuse(fmt::format("tolerance {}: may be 0.005 to 1", o.tolerance));
  }
  if (o.max_passes < 2 || o.max_passes > 10) {
    refuse(fmt::format("max_passes {}: may be 2 to 10", o.max_passes));
  }
}

/// A private directory that goes away with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::error_code error;
    const std::filesystem::path base = std::filesystem::temp_directory_path(error);
    std::string pattern = (base / "ams-x264-XXXXXX").string();
    if (!error && mkdtemp(pattern.data()) == nullptr) error.assign(errno, std::generic_category());
    if (error) {
      throw Error(ErrorCode::io_error,
                  fmt::format("cannot make a temporary directory {}: {}; set TMPDIR to a directory "
                              "that can be written",
                              pattern, error.message()));
    }
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct Pass {
  std::vector<std::byte> bitstream;
  double lowest_qp = 99, highest_qp = 0;
};

Pass run_pass(const x264_param_t& parameters, std::span<const libav::FramePtr> pictures) {
  X264Encoder encoder(parameters);
  Pass pass;
  std::size_t units = 0;
  pass.bitstream = encoder.headers();
  const auto take = [&](const std::optional<X264Encoder::AccessUnit>& unit) {
    if (!unit) return false;
    pass.bitstream.insert(pass.bitstream.end(), unit->bytes.begin(), unit->bytes.end());
    pass.lowest_qp = std::min(pass.lowest_qp, unit->mean_qp);
    pass.highest_qp = std::max(pass.highest_qp, unit->mean_qp);
    ++units;
    return true;
  };
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    take(encoder.encode(*pictures[i], static_cast<std::int64_t>(i)));
  }
  while (take(encoder.flush())) {
  }
  if (units != pictures.size()) {
    throw Error(ErrorCode::unavailable,
                fmt::format("x264 made {} access units of {} frames", units, pictures.size()));
  }
  return pass;
}

/// The smallest size that x264 agrees to plan for: what the first pass spent on headers and block
/// modes. It refuses less, and (version 164) leaks megabytes when it does.
double least_plannable_bytes(const std::string& statistics) {
  std::ifstream file(statistics);
  double bits = 0;
  for (std::string line; std::getline(file, line);) {
    if (const auto at = line.find(" misc:"); at != std::string::npos)
      bits += std::atof(line.c_str() + at + 6);
  }
  return bits / 8;
}

/// Nothing when x264 cannot plan so small a size; it says so when it is opened.
std::optional<Pass> run_planned_pass(const x264_param_t& parameters,
                                     std::span<const libav::FramePtr> pictures) {
  try {
    return run_pass(parameters, pictures);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_argument) throw;
    return std::nullopt;
  }
}

Pass coarsest(x264_param_t parameters, std::span<const libav::FramePtr> pictures) {
  parameters.rc.b_stat_read = 0;
  parameters.rc.i_rc_method = X264_RC_CQP;
  parameters.rc.i_qp_constant = parameters.rc.i_qp_max;
  return run_pass(parameters, pictures);
}

}  // namespace

std::vector<std::byte> encode_samples(std::span<const FramePtr> frames, double period_seconds,
                                      const SampleEncoderOptions& options) {
  require_valid(frames, period_seconds, options);
  const int width = options.width > 0 ? options.width : frames[0]->width & ~1;
  const int height = options.height > 0 ? options.height : frames[0]->height & ~1;
  x264_param_t parameters = x264_parameters(options.preset, width, height);

  std::vector<libav::FramePtr> pictures;
  libav::ToYuv420 to_yuv(width, height);
  for (const FramePtr& frame : frames) {
    libav::FramePtr copy = libav::make_frame(AV_PIX_FMT_YUV420P, width, height);
    libav::check(av_frame_copy(copy.get(), &to_yuv(*frame)), "cannot copy a picture");
    pictures.push_back(std::move(copy));
  }

  const TemporaryDirectory directory;
  std::string statistics = directory.file("statistics");
  parameters.i_fps_num = nominal_fps;
  parameters.i_fps_den = 1;
  parameters.i_timebase_num = 1;
  parameters.i_timebase_den = nominal_fps;
  parameters.b_vfr_input = 0;
  parameters.rc.psz_stat_out = statistics.data();
  parameters.rc.psz_stat_in = statistics.data();
  parameters.rc.b_stat_write = 1;
  parameters.rc.i_rc_method = X264_RC_ABR;
  parameters.rc.i_qp_min = options.min_qp;
  x264_param_apply_profile(&parameters, "high");

  const double target_bytes = std::max(1.0, options.target_bps * period_seconds / 8);
  const double nominal_seconds = static_cast<double>(frames.size()) / nominal_fps;
  double aim_bytes = target_bytes;
  const auto aim = [&](x264_param_t& p) {
    const double kbps = aim_bytes * 8 / 1000 / nominal_seconds;
    p.rc.i_bitrate = static_cast<int>(std::clamp(std::round(kbps), 1.0, 2e6));
  };

  x264_param_t first = parameters;
  aim(first);
  x264_param_apply_fastfirstpass(&first);
  run_pass(first, pictures);

  // x264 plans the second pass from the sizes of the first. Where the first was far off, as with a
  // handful of frames, so is the plan. From the same plan, size follows aim steadily, so moving the
  // aim by what was missed, then between the nearest misses on both sides, comes near in a pass or
  // two more. (x264's rate is a whole number: the least aim stays two units away from refusal.)
  const double least_aim_bytes = least_plannable_bytes(statistics) + 2 * 1000 * nominal_seconds / 8;
  aim_bytes = std::max(aim_bytes, least_aim_bytes);
  parameters.rc.b_stat_write = 0;
  parameters.rc.b_stat_read = 1;
  std::vector<std::byte> best;
  double best_miss = 0;
  const auto keep_if_nearer = [&](Pass pass) {
    const double miss =
        std::abs(std::log(static_cast<double>(pass.bitstream.size()) / target_bytes));
    if (!best.empty() && miss >= best_miss) return;
    best = std::move(pass.bitstream);
    best_miss = miss;
  };
  std::optional<double> low_aim, high_aim;
  double low_miss = 0, high_miss = 0;
  for (int pass_number = 2; pass_number <= options.max_passes; ++pass_number) {
    aim(parameters);
    std::optional<Pass> planned = run_planned_pass(parameters, pictures);
    if (!planned) {
      keep_if_nearer(coarsest(parameters, pictures));
      break;
    }
    const double ratio = static_cast<double>(planned->bitstream.size()) / target_bytes;
    const double miss = std::log(ratio);
    const bool at_ceiling = ratio < 1 && planned->highest_qp <= options.min_qp;
    const bool at_floor = ratio > 1 && planned->lowest_qp >= parameters.rc.i_qp_max;
    keep_if_nearer(std::move(*planned));
    if (std::abs(ratio - 1) <= options.tolerance || at_ceiling || at_floor) break;
    if (ratio > 1 && aim_bytes <= least_aim_bytes) {
      keep_if_nearer(coarsest(parameters, pictures));
      break;
    }
    if (ratio < 1) {
      low_aim = std::log(aim_bytes);
      low_miss = miss;
    } else {
      high_aim = std::log(aim_bytes);
      high_miss = miss;
    }
    if (low_aim && high_aim) {
      aim_bytes = std::exp(*low_aim - low_miss * (*high_aim - *low_aim) / (high_miss - low_miss));
    } else {
      aim_bytes /= ratio;
    }
    aim_bytes = std::max(aim_bytes, least_aim_bytes);
  }
  return best;
}

bool can_encode_samples() noexcept {
  return true;
}

}  // namespace ams

#else

namespace ams {

std::vector<std::byte> encode_samples(std::span<const FramePtr>, double,
                                      const SampleEncoderOptions&) {
  throw Error(
      ErrorCode::unavailable,
      "this build of libams encodes no video: configure with -DAMS_WITH_X264=ON (needs x264, GPL)");
}

bool can_encode_samples() noexcept {
  return false;
}

}  // namespace ams

#endif
