#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ams::detail {

/// How likely a 1 is in one context, learned from the bits seen there: the mean of two estimates
/// that forget at different rates, so that it is both quick after a change and exact in a long
/// calm. Integers only.
struct AdaptiveBit {
  std::uint32_t fast = 1U << 31;  ///< in units of 2^-32
  std::uint32_t slow = 1U << 31;  ///< in units of 2^-32
  std::uint32_t seen = 0;         ///< bits seen, at most max_seen: while few, each counts for more

  static constexpr std::uint32_t max_seen = 512;      ///< slow follows 1 / (512 + 1.5) of the way
  static constexpr std::uint32_t max_seen_fast = 16;  ///< fast follows 1 / (16 + 1.5)

  /// Of a 1, in units of 2^-16, from 4 to 2^16 - 4.
  std::uint32_t probability() const noexcept {
    const std::uint32_t mean = (fast >> 17) + (slow >> 17);
    return std::clamp(mean, 4U, (1U << 16) - 4U);
  }

  void learn(bool bit) noexcept {
    const std::uint64_t target = bit ? 0xffffffffU : 0;
    const auto follow = [&](std::uint32_t& estimate, std::uint32_t weight) {
      // A step towards the target, rounded towards where it comes from.
      if (bit) {
        estimate += static_cast<std::uint32_t>((target - estimate) * weight >> 16);
      } else {
        estimate -= static_cast<std::uint32_t>(std::uint64_t{estimate} * weight >> 16);
      }
    };
    follow(fast, weights[std::min(seen, max_seen_fast)]);
    follow(slow, weights[seen]);
    seen += seen < max_seen ? 1 : 0;
  }

  /// 2^16 / (seen + 1.5).
  static constexpr auto weights = [] {
    std::array<std::uint32_t, max_seen + 1> table{};
    for (std::uint32_t n = 0; n <= max_seen; ++n) table[n] = (2U << 16) / (2 * n + 3);
    return table;
  }();

  friend bool operator==(const AdaptiveBit&, const AdaptiveBit&) = default;
};

constexpr std::uint32_t range_top = 1U << 24;

/// Writes bits with their probabilities into a byte string (a range coder with carry propagation,
/// after G. N. N. Martin, 1979). Integers only.
class RangeEncoder {
 public:
  explicit RangeEncoder(std::vector<std::byte>& bytes) : bytes_(bytes), begin_(bytes.size()) {}

  void code(AdaptiveBit& context, bool bit) {
    split(bit, static_cast<std::uint32_t>(std::uint64_t{range_} * context.probability() >> 16));
    context.learn(bit);
  }

  /// A bit as likely 0 as 1.
  void code_even(bool bit) { split(bit, range_ >> 1); }

  /// Writes as few bytes as name the final interval; a decoder reads zeros behind them. The last
  /// one is not 0.
  void finish() {
    // The number with the most zeros at its end in [low, low + range).
    for (int zeros = 32; zeros >= 0; --zeros) {
      const std::uint64_t mask = (std::uint64_t{1} << zeros) - 1;
      const std::uint64_t candidate = (low_ + mask) & ~mask;
      if (candidate >= low_ + range_) continue;
      low_ = candidate;
      break;
    }
    for (int i = 0; i < 4; ++i) shift();
    while (bytes_.size() > begin_ && bytes_.back() == std::byte{0}) bytes_.pop_back();
  }

 private:
  /// The lower part of the interval stands for 1.
  void split(bool bit, std::uint32_t lower) {
    if (bit) {
      range_ = lower;
    } else {
      low_ += lower;
      range_ -= lower;
    }
    while (range_ < range_top) {
      range_ <<= 8;
      shift();
    }
  }

  /// Moves the top byte of `low_` out; a carry goes into the bytes before it.
  void shift() {
    if ((low_ >> 32) != 0) {
      std::size_t at = bytes_.size();
      while (bytes_[--at] == std::byte{0xff}) bytes_[at] = std::byte{0};
      bytes_[at] = static_cast<std::byte>(std::to_integer<unsigned>(bytes_[at]) + 1);
      low_ &= 0xffffffffU;
    }
    bytes_.push_back(static_cast<std::byte>(low_ >> 24));
    low_ = (low_ << 8) & 0xffffffffU;
  }

  std::vector<std::byte>& bytes_;
  std::size_t begin_;
  std::uint64_t low_ = 0;  // below 2^33; bit 32 is a carry
  std::uint32_t range_ = 0xffffffffU;
};

/// Reads what a RangeEncoder wrote. Any bytes decode to some bits: whoever reads them knows when to
/// stop.
class RangeDecoder {
 public:
  explicit RangeDecoder(std::span<const std::byte> bytes) : bytes_(bytes) {
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | next();
  }

  bool decode(AdaptiveBit& context) {
    const auto lower =
        static_cast<std::uint32_t>(std::uint64_t{range_} * context.probability() >> 16);
    const bool bit = split(lower);
    context.learn(bit);
    return bit;
  }

  bool decode_even() { return split(range_ >> 1); }

  /// Whether every byte was needed, and the last one is not a zero that could have been left out.
  bool used_all() const noexcept {
    return at_ >= bytes_.size() && (bytes_.empty() || bytes_.back() != std::byte{0});
  }

 private:
  bool split(std::uint32_t lower) {
    const bool bit = code_ < lower;
    if (bit) {
      range_ = lower;
    } else {
      code_ -= lower;
      range_ -= lower;
    }
    while (range_ < range_top) {
      range_ <<= 8;
      code_ = code_ << 8 | next();
    }
    return bit;
  }

  std::uint32_t next() noexcept {
    return at_ < bytes_.size() ? std::to_integer<std::uint32_t>(bytes_[at_++]) : 0;
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::uint32_t code_ = 0;
  std::uint32_t range_ = 0xffffffffU;
};

}  // namespace ams::detail
