#include "ams/core/miou.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "ams/core/error.hpp"
#include "label_check.hpp"

namespace ams {
namespace {

std::uint64_t load_word(const std::uint8_t* p) {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

std::uint64_t repeat(std::uint8_t byte) {
  return byte * 0x0101010101010101u;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(ClassSubset classes)
    : classes_(std::move(classes)), counts_(classes_.size() * columns()) {}

void ConfusionMatrix::add(const LabelMap& prediction, const LabelMap& truth) {
  require_same_size(prediction, truth);
  const std::size_t n = truth.ids.size();
  const std::uint8_t* const t = truth.ids.data();
  const std::uint8_t* const p = prediction.ids.data();
  const auto count = [&](std::uint8_t truth_id, std::uint8_t predicted_id, std::uint64_t pixels) {
    const std::uint8_t row = classes_.index(truth_id);
    if (row == ClassSubset::outside) return;
    const std::size_t column = std::min<std::size_t>(classes_.index(predicted_id), classes_.size());
    counts_[row * columns() + column] += pixels;
  };
  // Label maps are mostly large even areas: eight pixels that are all alike count in one step.
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    if (load_word(t + i) == repeat(t[i]) && load_word(p + i) == repeat(p[i])) {
      count(t[i], p[i], 8);
    } else {
      for (std::size_t j = i; j < i + 8; ++j) count(t[j], p[j], 1);
    }
  }
  for (; i < n; ++i) count(t[i], p[i], 1);
}

ConfusionMatrix& ConfusionMatrix::operator+=(const ConfusionMatrix& other) {
  if (!(classes_ == other.classes_)) {
    throw Error(ErrorCode::invalid_argument,
                "confusion matrices are over different classes; sums need the same subset");
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  return *this;
}

ConfusionMatrix& ConfusionMatrix::operator-=(const ConfusionMatrix& other) {
  if (!(classes_ == other.classes_)) {
    throw Error(ErrorCode::invalid_argument,
                "confusion matrices are over different classes; differences need the same subset");
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] < other.counts_[i]) {
      throw Error(ErrorCode::invalid_argument,
                  "confusion matrix to take away has larger counts; only what was added before can "
                  "be taken away");
    }
  }
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] -= other.counts_[i];
  return *this;
}

void ConfusionMatrix::clear() noexcept {
  std::fill(counts_.begin(), counts_.end(), 0);
}

std::uint64_t ConfusionMatrix::count(std::size_t truth_index, std::size_t prediction_index) const {
  if (truth_index >= classes_.size() || prediction_index > classes_.size()) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("confusion matrix cell ({}, {}); allowed are rows below {} and columns "
                            "up to {}",
                            truth_index, prediction_index, classes_.size(), classes_.size()));
  }
  return counts_[truth_index * columns() + prediction_index];
}

std::uint64_t ConfusionMatrix::pixels() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t c : counts_) sum += c;
  return sum;
}

std::optional<double> ConfusionMatrix::iou(std::size_t class_index) const {
  const std::uint64_t both = count(class_index, class_index);
  std::uint64_t either = 0;
  for (std::size_t j = 0; j < columns(); ++j) either += counts_[class_index * columns() + j];
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (i != class_index) either += counts_[i * columns() + class_index];
  }
  if (either == 0) return std::nullopt;
  return static_cast<double>(both) / static_cast<double>(either);
}

std::optional<double> ConfusionMatrix::mean_iou() const {
  double sum = 0;
  int occurring = 0;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    if (const std::optional<double> value = iou(i)) {
      sum += *value;
      ++occurring;
    }
  }
  if (occurring == 0) return std::nullopt;
  return sum / occurring;
}

void SlidingMiou::Mean::add(std::optional<double> value) {
  if (!value) return;
  sum += *value;
  ++count;
}

std::optional<double> SlidingMiou::Mean::value() const {
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

SlidingMiou::SlidingMiou(ClassSubset classes, SlidingMiouOptions options)
    : options_(options), window_(std::move(classes)), whole_video_(window_) {
  if (!(std::isfinite(options_.window_seconds) && options_.window_seconds > 0)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("mIoU: window_seconds is {}; allowed is a finite value > 0",
                            options_.window_seconds));
  }
  if (!std::isfinite(options_.start_up_seconds)) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("mIoU: start_up_seconds is {}; allowed is a finite value",
                            options_.start_up_seconds));
  }
}

std::optional<double> SlidingMiou::add(const LabelMap& prediction, const LabelMap& truth,
                                       double time_seconds) {
  if (!std::isfinite(time_seconds) ||
      (!frames_.empty() && time_seconds < frames_.back().time_seconds)) {
    throw Error(ErrorCode::invalid_argument,
                frames_.empty()
                    ? fmt::format("mIoU: frame time is {}; it must be finite", time_seconds)
                    : fmt::format("mIoU: frame time is {} after {}; times are finite and do not go "
                                  "back",
                                  time_seconds, frames_.back().time_seconds));
  }
  ConfusionMatrix counts(window_.classes());
  counts.add(prediction, truth);
  frames_.push_back({time_seconds, std::move(counts)});
  // Nothing throws from here on: what leaves the window was added to it.
  const ConfusionMatrix& frame = frames_.back().counts;
  window_ += frame;
  while (frames_.size() > 1 &&
         frames_.front().time_seconds <= time_seconds - options_.window_seconds) {
    window_ -= frames_.front().counts;
    frames_.pop_front();
  }
  const std::optional<double> sliding = window_.mean_iou();
  if (time_seconds >= options_.start_up_seconds) {
    whole_video_ += frame;
    sliding_.add(sliding);
    per_frame_.add(frame.mean_iou());
    ++scored_frames_;
  }
  return sliding;
}

MiouSummary SlidingMiou::summary() const {
  return {sliding_.value(), per_frame_.value(), whole_video_.mean_iou(), scored_frames_};
}

}  // namespace ams
