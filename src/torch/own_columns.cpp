#include "own_columns.hpp"

#include <algorithm>
#include <utility>

namespace ams {

std::shared_ptr<const OwnColumns> OwnColumns::of(const TakesOwnValues& network,
                                                 const ParameterVector& vector) {
  std::shared_ptr<OwnColumns> own(new OwnColumns);
  own->manifest_ = vector.manifest();
  own->is_own_.resize(vector.tensors().size());
  std::vector<std::size_t> tensors;
  for (const torch::Tensor& parameter : network.own_parameters()) {
    const auto found =
        std::find_if(vector.tensors().begin(), vector.tensors().end(),
                     [&](const NetworkTensor& item) { return item.tensor.is_same(parameter); });
    if (found == vector.tensors().end()) return nullptr;
    tensors.push_back(static_cast<std::size_t>(found - vector.tensors().begin()));
    own->is_own_[tensors.back()] = true;
  }
  std::vector<std::size_t> column_of(own->is_own_.size());
  for (std::size_t t = 0; t < own->is_own_.size(); ++t) {
    if (!own->is_own_[t]) continue;
    const TensorSpec& spec = own->manifest_->tensors()[t];
    column_of[t] = own->columns_.size();
    own->columns_.push_back({t, spec.offset, own->size_, spec.size});
    own->size_ += spec.size;
  }
  for (const std::size_t tensor : tensors) own->of_parameter_.push_back(column_of[tensor]);
  return own;
}

std::string OwnColumns::obstacle(const TrainingJob& job) const {
  for (std::size_t t = 0; t < is_own_.size(); ++t) {
    if (job.required_gradients[t] && !is_own_[t])
      return "it trains " + manifest_->tensors()[t].name;
  }
  std::string text;
  job.coordinates.for_each([&](std::uint32_t index) {
    if (!text.empty()) return;
    const std::size_t tensor = manifest_->tensor_of(index);
    if (!is_own_[tensor]) text = "it has coordinates of " + manifest_->tensors()[tensor].name;
  });
  return text;
}

/// Calls f(begin, end) for the pieces between the columns.
template <class F>
void OwnColumns::for_each_elsewhere(F&& f) const {
  std::size_t done = 0;
  for (const Column& column : columns_) {
    if (done < column.begin) f(done, column.begin);
    done = column.begin + column.size;
  }
  if (done < manifest_->dimension()) f(done, manifest_->dimension());
}

bool OwnColumns::equal_elsewhere(const std::vector<float>& a, const std::vector<float>& b) const {
  bool equal = true;
  for_each_elsewhere([&](std::size_t begin, std::size_t end) {
    equal = equal && std::equal(a.data() + begin, a.data() + end, b.data() + begin);
  });
  return equal;
}

std::vector<float> OwnColumns::gather(const std::vector<float>& all) const {
  std::vector<float> own;
  own.reserve(size_);
  for (const Column& c : columns_)
    own.insert(own.end(), all.data() + c.begin, all.data() + c.begin + c.size);
  return own;
}

void OwnColumns::scatter(const float* own, std::vector<float>& all) const {
  for (const Column& c : columns_)
    std::copy(own + c.place, own + c.place + c.size, all.data() + c.begin);
}

CoordinateSet OwnColumns::coordinates(const CoordinateSet& all) const {
  std::vector<std::uint32_t> own;
  auto column = columns_.begin();
  all.for_each([&](std::uint32_t index) {
    while (index >= column->begin + column->size) ++column;
    own.push_back(static_cast<std::uint32_t>(index - column->begin + column->place));
  });
  return CoordinateSet::from_sorted(size_, std::move(own));
}

std::vector<LearningRateRange> OwnColumns::ranges(const std::vector<LearningRateRange>& all) const {
  std::vector<LearningRateRange> own;
  for (const Column& c : columns_) {
    for (const LearningRateRange& range : all) {
      const std::size_t begin = std::max(range.begin, c.begin);
      const std::size_t end = std::min(range.end, c.begin + c.size);
      if (begin < end)
        own.push_back({begin - c.begin + c.place, end - c.begin + c.place, range.multiplier});
    }
  }
  return own;
}

std::vector<float> OwnColumns::required(const std::vector<bool>& tensors) const {
  std::vector<float> flags;
  flags.reserve(size_);
  for (const Column& c : columns_) flags.insert(flags.end(), c.size, tensors[c.tensor] ? 1 : 0);
  return flags;
}

std::vector<torch::Tensor> OwnColumns::split(const torch::Tensor& values) const {
  std::vector<std::int64_t> sizes;
  for (const Column& c : columns_) sizes.push_back(static_cast<std::int64_t>(c.size));
  const std::vector<torch::Tensor> pieces = values.split_with_sizes(sizes, 1);
  std::vector<torch::Tensor> own;
  for (const std::size_t column : of_parameter_) {
    std::vector<std::int64_t> shape{values.size(0)};
    const auto& rest = manifest_->tensors()[columns_[column].tensor].shape;
    shape.insert(shape.end(), rest.begin(), rest.end());
    own.push_back(pieces[column].reshape(shape));
  }
  return own;
}

void OwnColumns::decay_elsewhere(AdamState& state, const AdamOptions& options,
                                 std::int64_t steps) const {
  const auto decay = [&](std::vector<float>& moment, double beta) {
    const auto factor = static_cast<float>(beta);
    for_each_elsewhere([&](std::size_t begin, std::size_t end) {
      if (std::all_of(moment.data() + begin, moment.data() + end, [](float m) { return m == 0; }))
        return;
      for (std::int64_t step = 0; step < steps; ++step) {
        for (std::size_t i = begin; i < end; ++i) moment[i] *= factor;
      }
    });
  };
  decay(state.first_moment, options.beta1);
  decay(state.second_moment, options.beta2);
}

}  // namespace ams
