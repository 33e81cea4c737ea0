#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ams/core/error.hpp"
#include "ams/runtime/frame_codec.hpp"
#include "ams/runtime/predictor.hpp"
#include "ams/runtime/teacher.hpp"
#include "session/toy.hpp"

/// What hosts need besides toy.hpp: frames are numbers of type std::size_t.
namespace toy {

/// A bitstream is the frames' numbers.
class Codec final : public ams::FrameCodec {
 public:
  ams::Bytes encode(std::span<const ams::Handle> frames, double period_seconds) const override {
    if (frames.empty() || !(period_seconds > 0)) {
      throw ams::Error(ams::ErrorCode::invalid_argument, "toy::Codec: nothing to encode");
    }
    std::vector<std::byte> bytes(frames.size() * sizeof(std::size_t));
    for (std::size_t i = 0; i < frames.size(); ++i) {
      std::memcpy(&bytes[i * sizeof(std::size_t)], &frames[i].as<std::size_t>(),
                  sizeof(std::size_t));
    }
    return bytes;
  }
  std::vector<ams::Handle> decode(std::span<const std::byte> bitstream,
                                  std::span<const double>) const override {
    std::vector<ams::Handle> frames;
    for (std::size_t at = 0; at + sizeof(std::size_t) <= bitstream.size();
         at += sizeof(std::size_t)) {
      std::size_t number = 0;
      std::memcpy(&number, &bitstream[at], sizeof number);
      frames.push_back(ams::Handle::make(number));
    }
    return frames;
  }
};

/// Says what is right, and tells which frames it was asked about.
class Teacher final : public ams::Teacher {
 public:
  explicit Teacher(
      std::size_t scene_frames, std::function<void(std::size_t)> asked = [](std::size_t) {})
      : scene_frames_(scene_frames), asked_(std::move(asked)) {}
  ams::Handle label(const ams::Handle& frame, double) override {
    asked_(frame.as<std::size_t>());
    return ams::Handle::make(observe(frame.as<std::size_t>(), scene_frames_));
  }

 private:
  std::size_t scene_frames_;
  std::function<void(std::size_t)> asked_;
};

/// Predicts the frame's number times the first parameter; tells what it loads.
class Predictor final : public ams::Predictor {
 public:
  explicit Predictor(std::function<void(std::span<const float>)> loaded =
                         [](std::span<const float>) {})
      : loaded_(std::move(loaded)) {}
  const std::shared_ptr<const ams::Manifest>& manifest() const override { return manifest_; }
  void load(std::span<const float> values) override {
    first_ = values[0];
    loaded_(values);
  }
  ams::Handle predict(const ams::Handle& frame) override {
    return ams::Handle::make(first_ * static_cast<float>(frame.as<std::size_t>()));
  }

 private:
  std::shared_ptr<const ams::Manifest> manifest_ = toy::manifest();
  float first_ = 0;
  std::function<void(std::span<const float>)> loaded_;
};

}  // namespace toy
