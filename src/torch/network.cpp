#include "ams/torch/network.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string_view>

#include "ams/core/digest.hpp"
#include "ams/core/error.hpp"
#include "ams/core/random.hpp"
#include "ams/torch/takes_own_values.hpp"
#include "file_kind.hpp"
#include "tensor_roles.hpp"
#include "translate_errors.hpp"

namespace ams {
namespace {

class ModuleNetwork : public Network {
 public:
  ModuleNetwork(std::shared_ptr<torch::nn::Module> module,
                std::function<torch::Tensor(const torch::Tensor&)> forward, bool align_corners)
      : module_(std::move(module)), forward_(std::move(forward)), align_corners_(align_corners) {}

  torch::Tensor forward(const torch::Tensor& input) override { return forward_(input); }
  bool align_corners() const override { return align_corners_; }
  std::vector<NetworkTensor> parameters() const override { return parameters_with_roles(*module_); }
  std::vector<NetworkTensor> buffers() const override { return copy(module_->named_buffers()); }
  void train(bool on) override { module_->train(on); }
  void to(torch::Device device) override { module_->to(device); }

  void prepare_inference() override {
    for (const auto& layer : module_->modules()) {
      if (auto* prepares = dynamic_cast<PreparesInference*>(layer.get()))
        prepares->prepare_inference();
    }
  }

 private:
  static std::vector<NetworkTensor> copy(
      const torch::OrderedDict<std::string, torch::Tensor>& named) {
    std::vector<NetworkTensor> tensors;
    for (const auto& item : named) tensors.push_back({item.key(), item.value()});
    return tensors;
  }

  std::shared_ptr<torch::nn::Module> module_;
  std::function<torch::Tensor(const torch::Tensor&)> forward_;
  bool align_corners_;
};

/// Of a module that takes own values.
class OwnValuesNetwork final : public ModuleNetwork, public TakesOwnValues {
 public:
  OwnValuesNetwork(TakesOwnValues& own, std::shared_ptr<torch::nn::Module> module,
                   std::function<torch::Tensor(const torch::Tensor&)> forward, bool align_corners)
      : ModuleNetwork(std::move(module), std::move(forward), align_corners), own_(own) {}

  std::vector<torch::Tensor> own_parameters() const override { return own_.own_parameters(); }
  torch::Tensor forward_each(const torch::Tensor& input,
                             const std::vector<torch::Tensor>& values) override {
    return own_.forward_each(input, values);
  }

 private:
  TakesOwnValues& own_;  // the module, which ModuleNetwork keeps
};

class TorchscriptNetwork final : public Network {
 public:
  explicit TorchscriptNetwork(torch::jit::Module module) : module_(std::move(module)) {}

  torch::Tensor forward(const torch::Tensor& input) override {
    const torch::jit::IValue output = module_.forward({input});
    if (output.isTensor()) return output.toTensor();
    if (output.isTuple()) {
      const auto& elements = output.toTupleRef().elements();
      if (!elements.empty() && elements[0].isTensor()) return elements[0].toTensor();
    }
    if (output.isTensorList() && !output.toTensorList().empty())
      return output.toTensorList().get(0);
    if (output.isGenericDict()) {
      const auto dictionary = output.toGenericDict();
      for (const char* name : {"out", "logits"}) {
        const auto found = dictionary.find(name);
        if (found != dictionary.end() && found->value().isTensor())
          return found->value().toTensor();
      }
    }
    throw Error(
        ErrorCode::invalid_argument,
        "the TorchScript module returns " + output.tagKind() +
            "; allowed are a tensor, a tuple or list that begins with one, and a dictionary with "
            "one under 'out' or 'logits'");
  }

  std::vector<NetworkTensor> parameters() const override { return parameters_with_roles(module_); }

  std::vector<NetworkTensor> buffers() const override {
    std::vector<NetworkTensor> tensors;
    for (const auto& item : module_.named_buffers()) tensors.push_back({item.name, item.value});
    return tensors;
  }

  void train(bool on) override { module_.train(on); }
  void to(torch::Device device) override { module_.to(device); }

 private:
  torch::jit::Module module_;
};

bool is_counter(std::string_view name) {
  return name.ends_with("num_batches_tracked");
}

std::string shape_text(torch::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

/// Parameters and buffers but the counters.
std::vector<NetworkTensor> stored_tensors(const Network& network) {
  std::vector<NetworkTensor> tensors = network.parameters();
  for (NetworkTensor& buffer : network.buffers()) {
    if (!is_counter(buffer.name)) tensors.push_back(std::move(buffer));
  }
  return tensors;
}

/// The type as a file has it; nothing for floating-point tensors, which load from any of these.
std::optional<TensorType> whole_number_type(torch::ScalarType type) {
  switch (type) {
    case torch::kLong:
      return TensorType::i64;
    case torch::kInt:
      return TensorType::i32;
    case torch::kShort:
      return TensorType::i16;
    case torch::kChar:
      return TensorType::i8;
    case torch::kByte:
      return TensorType::u8;
    case torch::kBool:
      return TensorType::boolean;
    default:
      return std::nullopt;
  }
}

/// The values for `own`. Throws Error(malformed_data) for one that is not finite.
torch::Tensor values_of(const StoredTensor& stored, const torch::Tensor& own) {
  if (whole_number_type(own.scalar_type()) == stored.type) {
    return torch::from_blob(const_cast<std::byte*>(stored.bytes.data()), stored.shape,
                            own.options().device(torch::kCPU))
        .clone();
  }
  const std::vector<float> values = stored.to_float();
  for (const float value : values) {
    if (!std::isfinite(value)) {
      throw Error(ErrorCode::malformed_data,
                  "tensor '" + stored.name + "' has a value that is not finite");
    }
  }
  return torch::tensor(values).view(stored.shape);
}

/// The first component of all names, with its dot; empty when they do not have one in common.
std::string common_component(const std::map<std::string, const StoredTensor*>& named) {
  if (named.empty()) return {};
  const std::string& first = named.begin()->first;
  std::string component = first.substr(0, first.find('.') + 1);
  const bool common = std::all_of(named.begin(), named.end(), [&](const auto& item) {
    return item.first.starts_with(component);
  });
  return common ? component : std::string();
}

/// The tensors of a file but the counters, by the names that the network knows them by: without
/// what torch.compile puts into names, and DataParallel, a trainer's module and their like before
/// them.
std::map<std::string, const StoredTensor*> by_own_names(const Safetensors& content,
                                                        const std::vector<NetworkTensor>& own) {
  constexpr std::string_view compiled = "_orig_mod.";
  std::map<std::string, const StoredTensor*> named;
  for (const StoredTensor& tensor : content.tensors) {
    if (is_counter(tensor.name)) continue;
    std::string name = tensor.name;
    for (auto at = name.find(compiled); at != std::string::npos; at = name.find(compiled))
      name.erase(at, compiled.size());
    named.emplace(std::move(name), &tensor);
  }
  const auto fits = [&own](const auto& names) {
    return std::any_of(own.begin(), own.end(),
                       [&](const NetworkTensor& tensor) { return names.contains(tensor.name); });
  };
  auto shortened = named;
  for (std::string prefix = common_component(shortened); !prefix.empty() && !fits(shortened);
       prefix = common_component(shortened)) {
    std::map<std::string, const StoredTensor*> next;
    for (const auto& [name, tensor] : shortened) next.emplace(name.substr(prefix.size()), tensor);
    shortened = std::move(next);
  }
  return fits(shortened) ? shortened : named;
}

/// A list for a message, cut short.
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 5;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < shown; ++i)
    text += (i == 0 ? " " : ", ") + names[i];
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

}  // namespace

std::shared_ptr<Network> wrap_module(std::shared_ptr<torch::nn::Module> module,
                                     std::function<torch::Tensor(const torch::Tensor&)> forward,
                                     bool align_corners) {
  if (auto* own = dynamic_cast<TakesOwnValues*>(module.get())) {
    return std::make_shared<OwnValuesNetwork>(*own, std::move(module), std::move(forward),
                                              align_corners);
  }
  return std::make_shared<ModuleNetwork>(std::move(module), std::move(forward), align_corners);
}

std::shared_ptr<Network> wrap_torchscript(torch::jit::Module module) {
  return std::make_shared<TorchscriptNetwork>(std::move(module));
}

std::shared_ptr<Network> open_torchscript(const std::string& path) {
  require_file(path);
  return translate_errors(ErrorCode::malformed_data, path + " is not a TorchScript module", [&] {
    try {
      return wrap_torchscript(torch::jit::load(path, torch::kCPU));
    } catch (const std::exception&) {
      require_kind(path, FileKind::torchscript);
      throw;
    }
  });
}

torch::Tensor select_classes(const torch::Tensor& logits, const std::vector<int>& classes) {
  if (classes.empty() || static_cast<std::int64_t>(classes.size()) == logits.size(1)) return logits;
  const std::vector<std::int64_t> channels(classes.begin(), classes.end());
  return logits.index_select(1, torch::tensor(channels, logits.options().dtype(torch::kLong)));
}

torch::Tensor resize_logits(const torch::Tensor& logits, std::int64_t height, std::int64_t width,
                            bool align_corners) {
  if (logits.size(2) == height && logits.size(3) == width) return logits;
  return torch::upsample_bilinear2d(logits, {height, width}, align_corners);
}

void load_tensors(Network& network, const Safetensors& content) {
  const std::vector<NetworkTensor> wanted = stored_tensors(network);
  std::map<std::string, const StoredTensor*> stored = by_own_names(content, wanted);
  std::set<const void*> given;  // a tensor may have several names; a file needs one of them
  for (const NetworkTensor& own : wanted) {
    if (stored.contains(own.name)) given.insert(own.tensor.unsafeGetTensorImpl());
  }
  std::vector<std::string> missing, differing, unexpected;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> copies;  // to, from
  for (const NetworkTensor& own : wanted) {
    const auto found = stored.find(own.name);
    if (found == stored.end()) {
      if (!given.contains(own.tensor.unsafeGetTensorImpl())) missing.push_back(own.name);
      continue;
    }
    const StoredTensor& other = *found->second;
    stored.erase(found);
    if (own.tensor.sizes() != torch::IntArrayRef(other.shape)) {
      differing.push_back(own.name + " (" + shape_text(own.tensor.sizes()) + ", in the file " +
                          shape_text(other.shape) + ")");
      continue;
    }
    copies.emplace_back(own.tensor, values_of(other, own.tensor));
  }
  for (const auto& [name, tensor] : stored) unexpected.emplace_back(name);
  if (!missing.empty() || !differing.empty() || !unexpected.empty()) {
    std::string message = "these weights are of another network:";
    if (!missing.empty()) message += " missing are" + some_of(missing) + ";";
    if (!differing.empty()) message += " another shape have" + some_of(differing) + ";";
    if (!unexpected.empty()) message += " unexpected are" + some_of(unexpected) + ";";
    message.pop_back();
    throw Error(ErrorCode::manifest_mismatch, message);
  }
  const torch::NoGradGuard no_gradients;
  for (auto& [to, from] : copies) to.copy_(from);
}

Safetensors store_tensors(const Network& network, TensorType type) {
  Safetensors content;
  for (const NetworkTensor& own : stored_tensors(network)) {
    if (const auto whole = whole_number_type(own.tensor.scalar_type())) {
      const torch::Tensor tensor = own.tensor.detach().cpu().contiguous();
      const auto* bytes = static_cast<const std::byte*>(tensor.const_data_ptr());
      content.tensors.push_back(
          {own.name, *whole, own.tensor.sizes().vec(), {bytes, bytes + tensor.nbytes()}});
      continue;
    }
    const torch::Tensor tensor = own.tensor.detach().to(torch::kCPU, torch::kFloat).contiguous();
    const std::span<const float> values(tensor.data_ptr<float>(),
                                        static_cast<std::size_t>(tensor.numel()));
    // Running variances of real networks are larger than fp16 has numbers for.
    const bool fits = std::all_of(values.begin(), values.end(), [](float value) {
      return !std::isfinite(value) || std::isfinite(static_cast<float>(c10::Half(value)));
    });
    content.tensors.push_back(StoredTensor::from_float(own.name, own.tensor.sizes().vec(), values,
                                                       fits ? type : TensorType::f32));
  }
  return content;
}

void initialize_tensors(Network& network, std::uint64_t seed) {
  const torch::NoGradGuard no_gradients;
  Random random(seed);
  for (const NetworkTensor& parameter : network.parameters()) {
    torch::Tensor tensor = parameter.tensor;
    if (tensor.dim() < 2) {
      tensor.fill_(parameter.name.ends_with("weight") ? 1.0 : 0.0);
      continue;
    }
    const std::int64_t fan_in = tensor.numel() / tensor.size(0);
    const double bound = std::sqrt(6.0 / static_cast<double>(fan_in));
    std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
    for (float& value : values) value = static_cast<float>((2 * random.uniform() - 1) * bound);
    tensor.copy_(torch::tensor(values).view(tensor.sizes()));
  }
  for (const NetworkTensor& buffer : network.buffers()) {
    torch::Tensor tensor = buffer.tensor;
    tensor.fill_(buffer.name.ends_with("running_var") ? 1 : 0);
  }
}

std::uint64_t tensors_digest(const std::vector<NetworkTensor>& tensors) {
  Digest digest = 0;
  const auto add = [&digest](const void* data, std::size_t size) {
    digest = mix64(digest ^ byte_digest({static_cast<const std::byte*>(data), size}));
  };
  for (const NetworkTensor& item : tensors) {
    const torch::Tensor values = item.tensor.detach().cpu().contiguous();
    add(item.name.data(), item.name.size());
    add(values.sizes().data(), values.sizes().size() * sizeof(std::int64_t));
    add(values.data_ptr(), values.nbytes());
  }
  return digest;
}

bool is_batch_norm_statistic(const NetworkTensor& buffer) {
  return buffer.name.ends_with("running_mean") || buffer.name.ends_with("running_var");
}

}  // namespace ams
