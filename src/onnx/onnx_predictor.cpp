#include "ams/onnx/onnx_predictor.hpp"

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "ams/core/format.hpp"
#include "ams/segmentation/frame_resize.hpp"
#include "float_bytes.hpp"

namespace ams {
namespace {

constexpr std::string_view provider_suffix = "ExecutionProvider";

std::string short_name(std::string_view name) {
  if (name.ends_with(provider_suffix)) name.remove_suffix(provider_suffix.size());
  return std::string(name);
}

bool equal_but_for_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

/// As ONNX Runtime spells it. Throws Error(unavailable).
std::string known_provider(const std::string& asked) {
  const std::vector<std::string> known = onnx_execution_providers();
  const std::string name = short_name(asked);
  for (const std::string& one : known) {
    if (equal_but_for_case(one, name)) return one;
  }
  throw Error(ErrorCode::unavailable,
              fmt::format("ONNX Runtime {} has no execution provider '{}'; it has {}",
                          onnx_runtime_version(), asked, fmt::join(known, ", ")));
}

/// Options of a provider, made and released by ONNX Runtime.
template <class Options>
std::unique_ptr<Options, void (*)(Options*)> provider_options(OrtStatus* (*create)(Options**),
                                                              void (*release)(Options*)) {
  Options* options = nullptr;
  Ort::ThrowOnError(create(&options));
  return {options, release};
}

void append_provider(Ort::SessionOptions& session, const std::string& name, int threads) {
  const OrtApi& api = Ort::GetApi();
  if (name == "CPU") return;  // always the last one
  if (name == "CUDA") {
    session.AppendExecutionProvider_CUDA_V2(
        *provider_options(api.CreateCUDAProviderOptions, api.ReleaseCUDAProviderOptions));
  } else if (name == "Tensorrt") {
    session.AppendExecutionProvider_TensorRT_V2(
        *provider_options(api.CreateTensorRTProviderOptions, api.ReleaseTensorRTProviderOptions));
  } else if (name == "OpenVINO") {
    session.AppendExecutionProvider_OpenVINO_V2({});
  } else if (name == "Xnnpack") {
    session.AppendExecutionProvider("XNNPACK", {{"intra_op_num_threads", std::to_string(threads)}});
  } else {
    session.AppendExecutionProvider(name, {});
  }
}

Ort::SessionOptions session_options(const OnnxPredictorOptions& options) {
  if (options.threads < 1 || options.threads > 1024) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("threads is {}; allowed are 1 to 1024", options.threads));
  }
  Ort::SessionOptions session;
  session.SetIntraOpNumThreads(options.threads);
  session.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  // A device has other things to do than to wait for a thread by spinning.
  session.AddConfigEntry("session.intra_op.allow_spinning", "0");
  for (const std::string& asked : options.execution_providers) {
    const std::string name = known_provider(asked);
    try {
      append_provider(session, name, options.threads);
    } catch (const Ort::Exception& error) {
      throw Error(ErrorCode::unavailable,
                  "the execution provider " + name + " does not start: " + error.what());
    }
  }
  return session;
}

Ort::Env& environment() {
  static Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "libams");
  return env;
}

std::string text_of(const Ort::ConstTensorTypeAndShapeInfo& tensor) {
  return fmt::format("[{}]{}", fmt::join(tensor.GetShape(), ", "),
                     tensor.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
                         ? " of uint8"
                         : " of another type");
}

class OnnxPredictor final : public Predictor {
 public:
  OnnxPredictor(const StudentBundle& bundle, const OnnxPredictorOptions& options)
      : name_(bundle.name),
        width_(bundle.input_width),
        height_(bundle.input_height),
        manifest_(bundle.manifest),
        offsets_(bundle.onnx_offsets),
        options_(session_options(options)),
        graph_(*bundle.onnx),
        session_(open()) {
    require("input", session_.GetInputCount(), [&] { return session_.GetInputTypeInfo(0); },
            {1, height_, width_, 3});
    require("output", session_.GetOutputCount(), [&] { return session_.GetOutputTypeInfo(0); },
            {1, height_, width_});
    Ort::AllocatorWithDefaultOptions allocator;
    input_ = session_.GetInputNameAllocated(0, allocator).get();
    output_ = session_.GetOutputNameAllocated(0, allocator).get();
  }

  const std::shared_ptr<const Manifest>& manifest() const override { return manifest_; }

  void load(std::span<const float> values) override {
    if (values.size() != manifest_->dimension()) {
      throw Error(ErrorCode::invalid_argument, fmt::format("{} values given for a student of {}",
                                                           values.size(), manifest_->dimension()));
    }
    const auto tensors = manifest_->tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      store_floats(values.subspan(tensors[i].offset, tensors[i].size), graph_.data() + offsets_[i]);
    }
    session_ = open();
  }

  Handle predict(const Handle& frame) override {
    Frame scaled = resize_area(frame.as<Frame>(), width_, height_);
    LabelMap labels{width_, height_, {}};
    labels.ids.resize(static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_));
    const std::array<std::int64_t, 4> in_shape{1, height_, width_, 3};
    const std::array<std::int64_t, 3> out_shape{1, height_, width_};
    const char* const in_name = input_.c_str();
    const char* const out_name = output_.c_str();
    try {
      const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
      const auto input = Ort::Value::CreateTensor<std::uint8_t>(
          memory, scaled.rgb.data(), scaled.rgb.size(), in_shape.data(), in_shape.size());
      auto output = Ort::Value::CreateTensor<std::uint8_t>(
          memory, labels.ids.data(), labels.ids.size(), out_shape.data(), out_shape.size());
      session_.Run(Ort::RunOptions{nullptr}, &in_name, &input, 1, &out_name, &output, 1);
    } catch (const Ort::Exception& error) {
      throw Error(ErrorCode::unavailable,
                  std::string("the frame cannot be predicted: ") + error.what());
    }
    return Handle::make(std::move(labels));
  }

 private:
  Ort::Session open() const {
    try {
      return {environment(), graph_.data(), graph_.size(), options_};
    } catch (const Ort::Exception& error) {
      throw Error(ErrorCode::malformed_data,
                  name_ + ": ONNX Runtime cannot open network.onnx: " + error.what());
    }
  }

  /// The one input or output is uint8 of this shape.
  template <class Info>
  void require(const char* what, std::size_t count, Info&& info,
               const std::vector<std::int64_t>& shape) const {
    std::string found = fmt::format("{} of them", count);
    if (count == 1) {
      const Ort::TypeInfo type = info();
      if (type.GetONNXType() == ONNX_TYPE_TENSOR) {
        const auto tensor = type.GetTensorTypeAndShapeInfo();
        if (tensor.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 &&
            tensor.GetShape() == shape) {
          return;
        }
        found = text_of(tensor);
      } else {
        found = "no tensor";
      }
    }
    throw Error(ErrorCode::malformed_data,
                fmt::format("{}: the {} of network.onnx must be [{}] of uint8; it is {}", name_,
                            what, fmt::join(shape, ", "), found));
  }

  std::string name_;
  int width_, height_;
  std::shared_ptr<const Manifest> manifest_;
  std::vector<std::size_t> offsets_;
  Ort::SessionOptions options_;
  std::vector<std::byte> graph_;  // with the values of the session
  Ort::Session session_;
  std::string input_, output_;
};

}  // namespace

std::unique_ptr<Predictor> make_onnx_predictor(const StudentBundle& bundle,
                                               const OnnxPredictorOptions& options) {
  return std::make_unique<OnnxPredictor>(bundle, options);
}

std::vector<std::string> onnx_execution_providers() {
  std::vector<std::string> names;
  for (const std::string& name : Ort::GetAvailableProviders()) names.push_back(short_name(name));
  return names;
}

std::string onnx_runtime_version() {
  return Ort::GetVersionString();
}

}  // namespace ams
