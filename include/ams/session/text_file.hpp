#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "ams/core/error.hpp"
#include "ams/session/text.hpp"

/// Files that people write, with whatever editor they have.
namespace ams {

/// The text of a file without UTF-8's byte-order mark. Throws Error(malformed_data), which begins
/// with `where`, on UTF-16 and UTF-32: it names the encoding and how to convert it.
inline std::string_view without_byte_order_mark(std::string_view text, const std::string& where) {
  using std::literals::operator""sv;
  if (text.starts_with("\xef\xbb\xbf")) return text.substr(3);
  const auto begins = [&](std::string_view bytes) { return text.starts_with(bytes); };
  const char* encoding = nullptr;
  if (begins("\xff\xfe\0\0"sv) || begins("\0\0\xfe\xff"sv)) {
    encoding = "UTF-32";
  } else if (begins("\xff\xfe"sv) || begins("\xfe\xff"sv)) {
    encoding = "UTF-16";
  } else if (text.size() >= 2 && text[0] != '\0' && text[1] == '\0') {  // no mark, plain letters
    encoding = "UTF-16LE";
  } else if (text.size() >= 2 && text[0] == '\0' && text[1] != '\0') {
    encoding = "UTF-16BE";
  }
  if (encoding == nullptr) return text;
  throw Error(ErrorCode::malformed_data,
              where + ": the file is in " + encoding +
                  "; it must be in UTF-8. To convert it: iconv -f " + encoding +
                  " -t UTF-8 OLD > NEW");
}

/// The same, and Error(malformed_data) that names the line on anything else that is not UTF-8.
inline std::string_view utf8_text(std::string_view text, const std::string& where) {
  const std::string_view whole = without_byte_order_mark(text, where);
  for (std::string_view rest = whole; !rest.empty();) {
    const std::size_t size = detail::utf8_sequence_bytes(rest);
    if (size == 0) {
      const auto line = std::count(whole.data(), rest.data(), '\n') + 1;
      throw Error(ErrorCode::malformed_data,
                  where + ": line " + std::to_string(line) +
                      " is not UTF-8. If the file is in Latin-1, convert it: iconv -f ISO-8859-1 "
                      "-t UTF-8 OLD > NEW");
    }
    rest.remove_prefix(size);
  }
  return whole;
}

}  // namespace ams
