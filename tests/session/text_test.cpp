#include "ams/session/text.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include "ams/session/messages.hpp"

using namespace ams;

namespace {

/// By the table of RFC 3629, section 3, in as many bytes as asked for.
std::string sequence(std::uint32_t code, int bytes) {
  if (bytes == 1) return {static_cast<char>(code)};
  const std::uint32_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
  std::string text{static_cast<char>(marks[bytes] | code >> 6 * (bytes - 1))};
  for (int i = bytes - 2; i >= 0; --i) {
    text.push_back(static_cast<char>(0x80 | (code >> 6 * i & 0x3f)));
  }
  return text;
}

}  // namespace

TEST_CASE(
    "text is every code point in its shortest UTF-8 sequence, surrogates and controls aside") {
  for (std::uint32_t code = 0; code < 0x110000; code += code < 0x3000 ? 1 : 61) {
    const int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    const bool is_surrogate = code >= 0xd800 && code < 0xe000;
    const bool turns_direction = code == 0x61c || code == 0x200e || code == 0x200f ||
                                 (code >= 0x202a && code <= 0x202e) ||
                                 (code >= 0x2066 && code <= 0x2069);
    const bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
                            code == 0x2029 || turns_direction;
    const std::string text = "a" + sequence(code, bytes) + "z";
    REQUIRE(is_printable(text) == (!is_surrogate && !is_control));
    if (!is_surrogate) REQUIRE(printable(text) == (is_control ? "a?z" : text));
    if (bytes > 1) REQUIRE_FALSE(is_printable(sequence(code, bytes).substr(0, bytes - 1)));
    if (bytes < 4) REQUIRE_FALSE(is_printable(sequence(code, bytes + 1)));  // overlong
  }
  CHECK(is_printable(""));
  CHECK_FALSE(is_printable(sequence(0x110000, 4)));
  CHECK_FALSE(is_printable("\x80"));
  CHECK_FALSE(is_printable("\xff"));
  CHECK_FALSE(is_printable("\xf8\x88\x80\x80\x80"));
  CHECK_FALSE(is_printable("\xc3z"));
}

TEST_CASE("what cannot be printed becomes a question mark, byte by byte where it is no UTF-8") {
  CHECK(printable("") == "");
  CHECK(printable("caméra\r\n\x1b[31m") == "caméra???[31m");
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m");  // CSI, as terminals take it
  CHECK(printable("\x9b"
                  "31m\xff") == "?31m?");
  CHECK(printable("\xe2\x82") == "??");  // cut off
  CHECK(printable("\xc3z") == "?z");
  CHECK(printable(std::string("a\0b", 3)) == "a?b");
  for (int byte = 0; byte < 256; ++byte) {
    CHECK(is_printable(printable(std::string{'a', static_cast<char>(byte), 'b'})));
  }
}

TEST_CASE("a device has a name that can be printed") {
  CHECK(is_device_id("camera-7"));
  CHECK(is_device_id("caméra \"7\""));
  CHECK(is_device_id(std::string(max_device_id_bytes, 'x')));
  CHECK_FALSE(is_device_id(""));
  CHECK_FALSE(is_device_id(std::string(max_device_id_bytes + 1, 'x')));
  CHECK_FALSE(is_device_id("cam\t7"));
  CHECK_FALSE(is_device_id("cam\x7f"));
  CHECK_FALSE(
      is_device_id("cam\xc2\x9b"
                   "7"));
  CHECK_FALSE(is_device_id("cam\u202e7"));
  CHECK_FALSE(is_device_id(std::string("cam\0", 4)));
  CHECK_FALSE(is_device_id("cam\xff"));
}

TEST_CASE("text is cut between characters") {
  CHECK(cut_text("abc", 3) == "abc");
  CHECK(cut_text("abc", 2) == "ab");
  CHECK(cut_text("abc", 0).empty());
  CHECK(cut_text("aé", 2) == "a");
  CHECK(cut_text("aéb", 3) == "aé");
  CHECK(cut_text("\x80\x80\x80", 2).empty());  // no UTF-8: nothing can be cut out of it
}
