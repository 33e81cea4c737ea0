#ifdef AMS_WITH_X264

#include "x264_encoder.hpp"

#include <algorithm>

namespace ams {

x264_param_t x264_parameters(const std::string& preset, int width, int height) {
  x264_param_t p;
  const auto* end = x264_preset_names;
  while (*end != nullptr) ++end;
  if (std::find(x264_preset_names, end, preset) == end) {
    std::string allowed;
    for (const auto* name = x264_preset_names; name != end; ++name) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(*name);
    }
    throw Error(ErrorCode::invalid_argument,
                "x264 has no preset \"" + preset + "\"; it has " + allowed);
  }
  x264_param_default_preset(&p, preset.c_str(), nullptr);
  p.i_log_level = X264_LOG_NONE;
  p.i_csp = X264_CSP_I420;
  p.i_width = width;
  p.i_height = height;
  p.i_threads = 1;
  p.b_deterministic = 1;
  p.b_cpu_independent = 1;
  p.b_annexb = 1;
  p.b_repeat_headers = 0;
  p.vui.b_fullrange = 0;
  p.vui.i_colorprim = 1;  // BT.709
  p.vui.i_transfer = 1;
  p.vui.i_colmatrix = 1;
  return p;
}

X264Encoder::X264Encoder(x264_param_t parameters) : encoder_(x264_encoder_open(&parameters)) {
  if (encoder_ == nullptr) {
    throw Error(ErrorCode::invalid_argument,
                "x264 refuses to encode " + std::to_string(parameters.i_width) + " x " +
                    std::to_string(parameters.i_height) + " pixels with these options");
  }
}

X264Encoder::~X264Encoder() {
  x264_encoder_close(encoder_);
}

std::vector<std::byte> X264Encoder::headers() {
  x264_nal_t* nals = nullptr;
  int count = 0;
  if (x264_encoder_headers(encoder_, &nals, &count) < 0) {
    throw Error(ErrorCode::unavailable, "x264 cannot write its parameter sets");
  }
  std::vector<std::byte> bytes;
  for (int i = 0; i < count; ++i) {
    if (nals[i].i_type != NAL_SPS && nals[i].i_type != NAL_PPS) continue;
    const auto* begin = reinterpret_cast<const std::byte*>(nals[i].p_payload);
    bytes.insert(bytes.end(), begin, begin + nals[i].i_payload);
  }
  return bytes;
}

std::optional<X264Encoder::AccessUnit> X264Encoder::encode(const AVFrame& picture,
                                                           std::int64_t pts) {
  x264_picture_t input;
  x264_picture_init(&input);
  input.i_pts = pts;
  input.img.i_csp = X264_CSP_I420;
  input.img.i_plane = 3;
  for (int plane = 0; plane < 3; ++plane) {
    input.img.plane[plane] = picture.data[plane];
    input.img.i_stride[plane] = picture.linesize[plane];
  }
  return run(&input);
}

std::optional<X264Encoder::AccessUnit> X264Encoder::flush() {
  while (x264_encoder_delayed_frames(encoder_) > 0) {
    if (auto unit = run(nullptr)) return unit;
  }
  return std::nullopt;
}

std::optional<X264Encoder::AccessUnit> X264Encoder::run(x264_picture_t* picture) {
  x264_nal_t* nals = nullptr;
  int count = 0;
  x264_picture_t output;
  const int size = x264_encoder_encode(encoder_, &nals, &count, picture, &output);
  if (size < 0) throw Error(ErrorCode::unavailable, "x264 failed to encode a picture");
  if (size == 0) return std::nullopt;
  AccessUnit unit;
  // x264 promises that the payloads of one call lie behind each other.
  const auto* begin = reinterpret_cast<const std::byte*>(nals[0].p_payload);
  unit.bytes.assign(begin, begin + size);
  unit.pts = output.i_pts;
  unit.dts = output.i_dts;
  unit.keyframe = output.b_keyframe != 0;
  unit.mean_qp = output.i_qpplus1 - 1;
  return unit;
}

}  // namespace ams

#endif  // AMS_WITH_X264
