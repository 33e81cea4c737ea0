#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ams/session/messages.hpp"

/// Text of the protocol: what a device may be called, and how what is too long is cut.
namespace ams {

namespace detail {

inline bool continues_utf8(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// Bytes of the well-formed sequence that `text`, not empty, begins with; 0 where there is none.
inline std::size_t utf8_sequence_bytes(std::string_view text) noexcept {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return 1;
  if (first < 0xc0 || first > 0xf7) return 0;
  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < size) return 0;
  std::uint32_t code = first & (0x7fU >> size);
  for (const char c : text.substr(1, size - 1)) {
    if (!continues_utf8(c)) return 0;
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  }
  constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};  // what has no shorter sequence
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  return code >= least[size - 2] && code <= 0x10ffff && !is_surrogate ? size : 0;
}

/// Of a well-formed sequence: U+0000 to U+001F, U+007F to U+009F; the ends of lines U+2028 and
/// U+2029; and what turns the direction of text around: U+061C, U+200E, U+200F, U+202A to U+202E,
/// U+2066 to U+2069.
inline bool is_control_character(std::string_view sequence) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  switch (sequence.size()) {
    case 1:
      return byte(0) < 0x20 || byte(0) == 0x7f;
    case 2:
      return (byte(0) == 0xc2 && byte(1) < 0xa0) || sequence == "\xd8\x9c";
    case 3:
      if (byte(0) != 0xe2) return false;
      if (byte(1) == 0x81) return byte(2) >= 0xa6 && byte(2) <= 0xa9;
      return byte(1) == 0x80 && ((byte(2) >= 0xa8 && byte(2) <= 0xae) || (byte(2) & 0xfe) == 0x8e);
    default:
      return false;
  }
}

}  // namespace detail

/// Well-formed UTF-8 (RFC 3629) without control characters: those of Unicode's category Cc move a
/// terminal's cursor and end a line of a log, bidirectional ones show a text as another one.
inline bool is_printable(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t size = detail::utf8_sequence_bytes(text);
    if (size == 0 || detail::is_control_character(text.substr(0, size))) return false;
    text.remove_prefix(size);
  }
  return true;
}

/// The text with '?' for each control character and for each byte that is not UTF-8.
inline std::string printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = detail::utf8_sequence_bytes(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(size, 1));
    if (size == 0 || detail::is_control_character(sequence)) {
      result += '?';
    } else {
      result += sequence;
    }
    text.remove_prefix(sequence.size());
  }
  return result;
}

/// May a device have this id? 1 to max_device_id_bytes of UTF-8 without control characters.
inline bool is_device_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= max_device_id_bytes && is_printable(text);
}

/// The beginning of `text`, at most so many bytes, not cut in the middle of a UTF-8 sequence.
inline std::string_view cut_text(std::string_view text, std::size_t max_bytes) noexcept {
  if (text.size() <= max_bytes) return text;
  while (max_bytes > 0 && detail::continues_utf8(text[max_bytes])) --max_bytes;
  return text.substr(0, max_bytes);
}

}  // namespace ams
