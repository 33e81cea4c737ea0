#include "ams/session/text_file.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace ams;
using std::literals::operator""s;

namespace {

/// What the error says; empty when none was thrown.
std::string refusal(const std::string& text) {
  try {
    utf8_text(text, "folder/file");
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::malformed_data);
    return error.what();
  }
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("UTF-8 is taken, with its byte-order mark and without") {
  CHECK(utf8_text("Stra\xc3\x9f"
                  "e\r\n",
                  "x") ==
        "Stra\xc3\x9f"
        "e\r\n");
  CHECK(utf8_text("\xef\xbb\xbf{}", "x") == "{}");
  CHECK(utf8_text("\xef\xbb\xbf", "x").empty());
  CHECK(utf8_text("", "x").empty());
  CHECK(utf8_text("{", "x") == "{");
}

TEST_CASE("another encoding is named, with the command that converts it") {
  for (const auto& [text, encoding] : {std::pair{"\xff\xfe{\0}\0"s, "UTF-16 "},
                                       {"\xfe\xff\0{\0}"s, "UTF-16 "},
                                       {"{\0}\0"s, "UTF-16LE "},
                                       {"\0{\0}"s, "UTF-16BE "},
                                       {"\xff\xfe\0\0{\0\0\0"s, "UTF-32 "},
                                       {"\0\0\xfe\xff\0\0\0{"s, "UTF-32 "}}) {
    const std::string message = refusal(text);
    CHECK(message.starts_with("folder/file: "));
    CHECK(contains(message, "iconv -f "s + encoding + "-t UTF-8"));
    CHECK_THROWS_AS(without_byte_order_mark(text, "x"), Error);
  }
}

TEST_CASE("what is no UTF-8 is refused by line") {
  const std::string latin_1 = "first\nStra\xdf"s + "e\n";
  CHECK(contains(refusal(latin_1), "line 2 is not UTF-8"));
  CHECK(contains(refusal(latin_1), "ISO-8859-1"));
  CHECK(without_byte_order_mark(latin_1, "x") == latin_1);  // names of files may be anything
}
