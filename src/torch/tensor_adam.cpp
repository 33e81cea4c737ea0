#include "ams/torch/tensor_adam.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "ams/core/error.hpp"

namespace ams {
namespace {

torch::Tensor to_device(const std::vector<float>& values, torch::Device device) {
  return torch::tensor(values, torch::kFloat).to(device);
}

std::vector<float> to_host(const torch::Tensor& tensor) {
  const torch::Tensor host = tensor.cpu();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

/// As core's adam_step() does on the host: a moment that is not finite stays so for good.
void check_gradients(const torch::Tensor& gradients) {
  if (gradients.numel() == 0) return;
  // One pass without a copy. Written so that NaN, which the norm passes on, is out of range.
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto largest = torch::linalg_vector_norm(gradients, infinity).item<float>();
  if (!(largest <= max_gradient_magnitude)) {
    throw Error(ErrorCode::invalid_argument,
                "a gradient is not a number or beyond the magnitude of 1e18 that is allowed");
  }
}

std::span<float> span_of(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

TensorAdam::TensorAdam(AdamState state, const AdamOptions& options, torch::Device device,
                       Arithmetic arithmetic, std::vector<LearningRateRange> ranges)
    : host_(std::move(state)),
      options_(options),
      ranges_(std::move(ranges)),
      coordinates_(CoordinateSet::all(host_.first_moment.size())),
      on_host_(device.is_cpu() && arithmetic == Arithmetic::automatic),
      dimension_(static_cast<std::int64_t>(host_.first_moment.size())),
      device_(device) {
  validate(options);
  if (host_.first_moment.size() != host_.second_moment.size() || host_.step_count < 0) {
    throw Error(ErrorCode::invalid_argument,
                "Adam's two moments differ in size, or its step count is below 0");
  }
  // Core checks them at every step; here they would write out of bounds.
  std::size_t done = 0;
  for (const LearningRateRange& range : ranges_) {
    if (range.begin < done || range.end <= range.begin ||
        range.end > static_cast<std::size_t>(dimension_)) {
      throw Error(ErrorCode::invalid_argument,
                  "a learning rate's range from " + std::to_string(range.begin) + " to " +
                      std::to_string(range.end) + ": ascending, not empty and up to " +
                      std::to_string(dimension_) + " is allowed");
    }
    done = range.end;
  }
  if (!on_host_) {
    first_moment_ = to_device(std::exchange(host_.first_moment, {}), device);
    device_ = first_moment_.device();  // "cuda" is the current one, "cuda:0" maybe
    second_moment_ = to_device(std::exchange(host_.second_moment, {}), device);
    if (!ranges_.empty()) {
      std::vector<float> multipliers(static_cast<std::size_t>(dimension_), 1.0F);
      for (const LearningRateRange& range : ranges_) {
        std::fill(multipliers.begin() + static_cast<std::ptrdiff_t>(range.begin),
                  multipliers.begin() + static_cast<std::ptrdiff_t>(range.end),
                  static_cast<float>(range.multiplier));
      }
      multipliers_ = to_device(multipliers, device);
    }
  }
}

void TensorAdam::set_options(const AdamOptions& options) {
  validate(options);
  options_ = options;
}

void TensorAdam::begin_phase(CoordinateSet coordinates) {
  if (coordinates.dimension() != static_cast<std::size_t>(dimension_)) {
    throw Error(ErrorCode::invalid_argument,
                "coordinates of a vector of " + std::to_string(coordinates.dimension()) +
                    " values given, " + std::to_string(dimension_) + " needed");
  }
  mask_ = torch::Tensor();
  if (!on_host_ && !coordinates.is_all()) {
    std::vector<float> mask(static_cast<std::size_t>(dimension_));
    coordinates.for_each([&mask](std::uint32_t i) { mask[i] = 1; });
    mask_ = to_device(mask, device_);
  }
  coordinates_ = std::move(coordinates);
}

void TensorAdam::step(const torch::Tensor& parameters, const torch::Tensor& gradients) {
  for (const torch::Tensor* tensor : {&parameters, &gradients}) {
    if (tensor->numel() != dimension_ || tensor->scalar_type() != torch::kFloat ||
        !tensor->is_contiguous() || tensor->device() != device_) {
      throw Error(ErrorCode::invalid_argument, "needed are contiguous float32 tensors of " +
                                                   std::to_string(dimension_) + " values on " +
                                                   device_.str());
    }
  }
  if (on_host_) {
    adam_step(host_, options_, coordinates_, span_of(parameters), span_of(gradients), ranges_);
    return;
  }
  const torch::NoGradGuard no_gradients;
  check_gradients(gradients);
  first_moment_.mul_(options_.beta1).add_(gradients, 1 - options_.beta1);
  second_moment_.mul_(options_.beta2).addcmul_(gradients, gradients, 1 - options_.beta2);
  ++host_.step_count;
  torch::Tensor moved = update();
  if (mask_.defined()) moved.mul_(mask_);
  torch::Tensor(parameters).sub_(moved);
}

torch::Tensor TensorAdam::update() const {
  const torch::NoGradGuard no_gradients;
  const auto floats = torch::TensorOptions().dtype(torch::kFloat).device(device_);
  if (on_host_) {
    torch::Tensor u = torch::empty({dimension_}, floats);
    adam_update(host_, options_, span_of(u), ranges_);
    return u;
  }
  if (host_.step_count == 0) return torch::zeros({dimension_}, floats);
  const auto steps = static_cast<double>(host_.step_count);
  const auto scaled = [this](torch::Tensor u) {
    return multipliers_.defined() ? u.mul_(multipliers_) : u;
  };
  const double correction1 = 1 - std::pow(options_.beta1, steps);
  const double correction2 = 1 - std::pow(options_.beta2, steps);
  if (options_.epsilon_placement == EpsilonPlacement::outside_root) {
    torch::Tensor denominator =
        second_moment_.sqrt().div_(std::sqrt(correction2)).add_(options_.epsilon);
    return scaled(first_moment_.div(denominator).mul_(options_.learning_rate / correction1));
  }
  return scaled(first_moment_.div((second_moment_ + options_.epsilon).sqrt_())
                    .mul_(options_.learning_rate * std::sqrt(correction2) / correction1));
}

AdamState TensorAdam::state() const {
  AdamState state = host_;
  if (!on_host_) {
    state.first_moment = to_host(first_moment_);
    state.second_moment = to_host(second_moment_);
  }
  return state;
}

}  // namespace ams
