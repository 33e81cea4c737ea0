#include "not_a_video.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "libav.hpp"

namespace ams {
namespace {

constexpr std::array<std::string_view, 12> no_videos{
    "adf",      "bin",       "idf",   "tty",  "xbin",  // draw text
    "concat",   "imf",       "lavfi",                  // lead elsewhere
    "rawvideo", "bitpacked", "v210",  "v210x"};        // do not tell their size

bool is_text(std::string_view bytes) {
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) return true;  // UTF-16
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 &&
            std::string_view("\t\n\v\f\r\x1b").find(c) == std::string_view::npos) ||
           c == 0x7f;
  });
}

bool starts_with_any_case(std::string_view text, std::string_view lower_case) {
  return text.size() >= lower_case.size() &&
         std::equal(lower_case.begin(), lower_case.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

}  // namespace

const std::string& demuxers_of_videos() {
  static const std::string names = [] {
    std::string result;
    void* state = nullptr;
    while (const AVInputFormat* format = av_demuxer_iterate(&state)) {
      if (std::find(no_videos.begin(), no_videos.end(), format->name) != no_videos.end()) continue;
      if (!result.empty()) result += ',';
      result += format->name;
    }
    return result;
  }();
  return names;
}

std::optional<std::string> told_by(std::string_view first_bytes) {
  if (first_bytes.empty()) return "empty";
  if (first_bytes.starts_with("PK\x03\x04")) return "a ZIP archive: unpack it";
  if (first_bytes.starts_with("\x1f\x8b")) return "packed by gzip: unpack it";
  if (first_bytes.starts_with("%PDF")) return "a PDF document";
  if (!is_text(first_bytes)) return std::nullopt;
  if (first_bytes.starts_with("version https://git-lfs.github.com/spec/")) {
    return "a git-lfs pointer; get the file itself with 'git lfs pull'";
  }
  auto text = first_bytes;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (starts_with_any_case(text, "<!doctype html") || starts_with_any_case(text, "<html")) {
    return "an HTML page";
  }
  if (text.starts_with("#EXTM3U") || text.starts_with("ffconcat") ||
      starts_with_any_case(text, "[playlist]")) {
    return "a playlist; give what it names";
  }
  return "text";
}

}  // namespace ams
