#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ams {

/// An immutable byte string, or a part of one. Copies share the bytes, so that a payload passes
/// through queues, histories and threads without being copied. Thread-safe for reading.
class Bytes {
 public:
  Bytes() = default;

  /// Takes the bytes over.
  Bytes(std::vector<std::byte> bytes) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    view_ = *owner;
    owner_ = std::move(owner);
  }

  /// Shares bytes that live as long as `owner`.
  Bytes(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), view_(bytes) {}

  std::size_t size() const noexcept { return view_.size(); }
  bool empty() const noexcept { return view_.empty(); }
  const std::byte* data() const noexcept { return view_.data(); }
  auto begin() const noexcept { return view_.begin(); }
  auto end() const noexcept { return view_.end(); }
  std::byte operator[](std::size_t index) const noexcept { return view_[index]; }
  std::span<const std::byte> span() const noexcept { return view_; }

  /// The bytes from `begin` on, shared. Throws std::out_of_range when begin > size().
  Bytes suffix(std::size_t begin) const {
    if (begin > size()) throw std::out_of_range("Bytes::suffix");
    return Bytes(owner_, view_.subspan(begin));
  }

  /// `count` bytes from `begin` on, shared. Throws std::out_of_range when they are not there.
  Bytes slice(std::size_t begin, std::size_t count) const {
    if (begin > size() || count > size() - begin) throw std::out_of_range("Bytes::slice");
    return Bytes(owner_, view_.subspan(begin, count));
  }

  /// A copy that may be changed.
  std::vector<std::byte> to_vector() const { return {view_.begin(), view_.end()}; }

  friend bool operator==(const Bytes& a, const Bytes& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> view_;
};

}  // namespace ams
