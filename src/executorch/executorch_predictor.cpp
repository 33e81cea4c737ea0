#include "ams/executorch/executorch_predictor.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/format.hpp"
#include "ams/segmentation/frame_resize.hpp"
#include "executorch_module.hpp"

namespace ams {
namespace {

class ExecutorchPredictor final : public Predictor {
 public:
  ExecutorchPredictor(const StudentBundle& bundle, const ExecutorchPredictorOptions& options)
      : name_(bundle.name),
        width_(bundle.input_width),
        height_(bundle.input_height),
        manifest_(bundle.manifest),
        options_(options),
        program_(bundle.executorch) {
    if (!program_) {
      throw Error(ErrorCode::unavailable,
                  name_ +
                      " has no program for ExecuTorch. Write it again with `python -m "
                      "ams.export bundle --executorch` or ams.export.bundle(..., "
                      "executorch=True)");
    }
    module_ = open(bundle.values);
  }

  const std::shared_ptr<const Manifest>& manifest() const override { return manifest_; }

  void load(std::span<const float> values) override {
    if (values.size() != manifest_->dimension()) {
      throw Error(ErrorCode::invalid_argument, fmt::format("{} values given for a student of {}",
                                                           values.size(), manifest_->dimension()));
    }
    module_ = open(values);
  }

  Handle predict(const Handle& frame) override {
    Frame scaled = resize_area(frame.as<Frame>(), width_, height_);
    return Handle::make(LabelMap{width_, height_, module_->run(scaled.rgb)});
  }

 private:
  std::unique_ptr<ExecutorchModule> open(std::span<const float> values) const {
    return std::make_unique<ExecutorchModule>(program_with_values(*program_, *manifest_, values),
                                              name_, width_, height_, options_.all_cores);
  }

  std::string name_;
  int width_, height_;
  std::shared_ptr<const Manifest> manifest_;
  ExecutorchPredictorOptions options_;
  std::shared_ptr<const ExecutorchProgram> program_;
  std::unique_ptr<ExecutorchModule> module_;
};

}  // namespace

std::unique_ptr<Predictor> make_executorch_predictor(const StudentBundle& bundle,
                                                     const ExecutorchPredictorOptions& options) {
  return std::make_unique<ExecutorchPredictor>(bundle, options);
}

}  // namespace ams
