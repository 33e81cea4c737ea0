#include "ams/torch/image.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "ams/core/error.hpp"
#include "ams/segmentation/label_resize.hpp"

namespace ams {
namespace {

void require_bytes(const char* what, int width, int height, int channels, std::size_t bytes) {
  if (width < 1 || height < 1 ||
      bytes != static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                   static_cast<std::size_t>(channels)) {
    throw Error(ErrorCode::invalid_argument, std::string(what) + " of " + std::to_string(width) +
                                                 " x " + std::to_string(height) + " has " +
                                                 std::to_string(bytes) + " bytes");
  }
}

}  // namespace

torch::Tensor scaled_rgb(const Frame& frame, int width, int height) {
  require_bytes("a frame", frame.width, frame.height, 3, frame.rgb.size());
  const torch::Tensor whole = torch::from_blob(const_cast<std::uint8_t*>(frame.rgb.data()),
                                               {frame.height, frame.width, 3}, torch::kUInt8);
  if (frame.width == width && frame.height == height) return whole.clone();
  // Interleaved RGB is channels-last memory, for which libtorch has vector code; antialiasing is
  // the average over the area of an output pixel.
  return torch::_upsample_bilinear2d_aa(whole.permute({2, 0, 1}).unsqueeze(0), {height, width},
                                        /*align_corners=*/false)
      .squeeze(0)
      .permute({1, 2, 0})
      .contiguous();
}

torch::Tensor scaled_labels(const LabelMap& labels, int width, int height) {
  const LabelMap scaled = resize_nearest(labels, width, height);
  torch::Tensor result = torch::empty({height, width}, torch::kUInt8);
  std::memcpy(result.data_ptr<std::uint8_t>(), scaled.ids.data(), scaled.ids.size());
  return result;
}

torch::Tensor normalized_batch(const std::vector<torch::Tensor>& images,
                               const Normalization& normalization) {
  const std::int64_t height = images.at(0).size(0);
  const std::int64_t width = images[0].size(1);
  const auto count = static_cast<std::int64_t>(images.size());
  torch::Tensor batch =
      torch::empty({count, 3, height, width},
                   torch::TensorOptions().memory_format(torch::MemoryFormat::ChannelsLast));
  // One of 256 values a channel: a table is exact and as fast as arithmetic.
  std::array<std::array<float, 256>, 3> table{};
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t v = 0; v < 256; ++v) {
      table[c][v] = (static_cast<float>(v) / 255.0F - normalization.mean[c]) /
                    normalization.standard_deviation[c];
    }
  }
  auto* out = batch.data_ptr<float>();
  for (const torch::Tensor& image : images) {
    const auto* in = image.data_ptr<std::uint8_t>();
    const std::int64_t pixels = height * width;
    for (std::int64_t i = 0; i < pixels; ++i, in += 3, out += 3) {
      out[0] = table[0][in[0]];
      out[1] = table[1][in[1]];
      out[2] = table[2][in[2]];
    }
  }
  return batch;
}

LabelMap argmax_labels(const torch::Tensor& logits, const std::vector<int>& classes) {
  const auto id = [&classes](std::size_t channel) {
    return static_cast<std::uint8_t>(classes.empty() ? channel
                                                     : static_cast<std::size_t>(classes[channel]));
  };
  const torch::Tensor planes = logits.select(0, 0);
  LabelMap labels;
  labels.height = static_cast<int>(planes.size(1));
  labels.width = static_cast<int>(planes.size(2));
  const auto pixels = static_cast<std::size_t>(planes.size(1) * planes.size(2));
  if (!planes.is_cpu()) {
    // There, so that a byte a pixel comes over in place of a float a class.
    const torch::Tensor channels = planes.argmax(0).to(torch::kByte).cpu().contiguous();
    const auto* first = channels.data_ptr<std::uint8_t>();
    labels.ids.assign(first, first + pixels);
    for (std::uint8_t& channel : labels.ids) channel = id(channel);
    return labels;
  }
  const torch::Tensor floats = planes.to(torch::kFloat).contiguous();
  const float* values = floats.data_ptr<float>();
  labels.ids.assign(pixels, id(0));
  std::vector<float> best(values, values + pixels);
  for (std::size_t channel = 1; channel < static_cast<std::size_t>(planes.size(0)); ++channel) {
    values += pixels;
    const std::uint8_t here = id(channel);
    for (std::size_t i = 0; i < pixels; ++i) {
      const bool better = values[i] > best[i];
      best[i] = better ? values[i] : best[i];
      labels.ids[i] = better ? here : labels.ids[i];
    }
  }
  return labels;
}

}  // namespace ams
