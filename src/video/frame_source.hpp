#pragma once

// What VideoReader reads from. Private to ams::video.

#include <cstdint>
#include <optional>
#include <string>

#include "ams/core/frame.hpp"

namespace ams {

/// Frames in presentation order; each function is VideoReader's of that name.
class FrameSource {
 public:
  FrameSource() = default;
  FrameSource(const FrameSource&) = delete;
  FrameSource& operator=(const FrameSource&) = delete;
  virtual ~FrameSource() = default;

  virtual std::optional<Frame> next() = 0;
  virtual const std::string& name() const noexcept = 0;
  virtual int width() const noexcept = 0;
  virtual int height() const noexcept = 0;
  virtual double fps() const noexcept = 0;
  virtual std::optional<std::int64_t> frame_count() const noexcept = 0;
  virtual std::optional<double> duration_seconds() const noexcept = 0;
  virtual bool live() const noexcept { return false; }
  virtual bool reopenable() const noexcept { return true; }
  virtual bool still_picture() const noexcept { return false; }
  virtual std::int64_t refused_packets() const noexcept = 0;
};

}  // namespace ams
