#include "image_sequence.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

#include "ams/core/error.hpp"
#include "stream_reader.hpp"

namespace ams {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 11> picture_types{
    ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".jp2"};

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

bool is_picture_name(const std::string& name) {
  std::string type = fs::path(name).extension().string();
  for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(picture_types.begin(), picture_types.end(), type) != picture_types.end();
}

/// A name with one %d: what stands around the number, and its least digits.
struct NumberPattern {
  std::string before, after;
  std::size_t digits = 1;

  static std::optional<NumberPattern> parse(const std::string& name) {
    NumberPattern result;
    bool found = false;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (name[i] != '%') {
        (found ? result.after : result.before) += name[i];
        continue;
      }
      if (name.compare(i, 2, "%%") == 0) {
        (found ? result.after : result.before) += name[i++];
        continue;
      }
      const auto end = name.find_first_not_of("0123456789", i + 1);
      if (found || end == std::string::npos || name[end] != 'd' || end > i + 3) return std::nullopt;
      if (end > i + 1) result.digits = static_cast<std::size_t>(std::stoi(name.substr(i + 1)));
      found = true;
      i = end;
    }
    if (!found) return std::nullopt;
    return result;
  }

  bool matches(const std::string& name) const {
    if (name.size() < before.size() + digits + after.size() || !name.starts_with(before) ||
        !name.ends_with(after)) {
      return false;
    }
    const auto end = name.end() - static_cast<std::ptrdiff_t>(after.size());
    return std::all_of(name.begin() + static_cast<std::ptrdiff_t>(before.size()), end, is_digit);
  }
};

std::vector<fs::path> list(const fs::path& folder,
                           const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder.empty() ? "." : folder, error), end; !error && at != end;
       at.increment(error)) {
    std::string name = at->path().filename().string();
    std::error_code ignored;  // what is wrong with a picture, opening it tells
    if (wanted(name) && !at->is_directory(ignored)) names.push_back(std::move(name));
  }
  if (error) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: cannot read the folder: {}", folder.string(), error.message()));
  }
  std::sort(names.begin(), names.end(), natural_less);
  std::vector<fs::path> paths;
  for (const std::string& name : names) paths.push_back(folder / name);
  return paths;
}

}  // namespace

bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const auto number = [](const std::string& text, std::size_t& at) {
        while (at < text.size() && text[at] == '0') ++at;
        const std::size_t begin = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return std::string_view(text).substr(begin, at - begin);
      };
      const auto x = number(a, i), y = number(b, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i;
      ++j;
    }
  }
  if ((i < a.size()) != (j < b.size())) return i == a.size();
  return a < b;
}

std::vector<fs::path> find_pictures(const std::string& source) {
  const fs::path path(source);
  std::error_code ignored;
  std::vector<fs::path> pictures;
  if (fs::is_directory(path, ignored)) {
    pictures = list(path, [](const std::string& name) {
      return !name.starts_with('.') && is_picture_name(name);
    });
    if (!pictures.empty()) return pictures;
    if (fs::exists(path / "clip.json", ignored)) {
      throw Error(ErrorCode::malformed_data,
                  source + ": a clip folder (--clip); its video is video.mp4 in it");
    }
    throw Error(ErrorCode::malformed_data,
                source +
                    ": a folder without pictures; those end with .png, .jpg, .bmp, .webp, "
                    ".tif, .ppm, .pgm or .jp2");
  }
  if (fs::exists(path, ignored)) return {};
  const std::string name = path.filename().string();
  if (const auto pattern = NumberPattern::parse(name)) {
    pictures = list(path.parent_path(), [&](const auto& file) { return pattern->matches(file); });
  } else if (name.find_first_of("*?") != std::string::npos) {
    pictures = list(path.parent_path(), [&](const std::string& file) {
      return fnmatch(name.c_str(), file.c_str(), FNM_PERIOD) == 0;
    });
  } else {
    return {};
  }
  if (pictures.empty()) {
    throw Error(ErrorCode::io_error, source + ": no file has a name of this pattern");
  }
  return pictures;
}

ImageSequence::ImageSequence(std::string name, std::vector<fs::path> pictures,
                             const VideoReaderOptions& options)
    : name_(std::move(name)), pictures_(std::move(pictures)), fps_(options.fps), one_(options) {
  if (fps_ == 0) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: {} pictures; give how many a second they are as fps (--fps)",
                            name_, pictures_.size()));
  }
  one_.fps = 0;
  first_ = read(0);
  if (!first_) return;  // stopped
  width_ = first_->width;
  height_ = first_->height;
}

std::optional<Frame> ImageSequence::read(std::size_t index) {
  const std::string path = pictures_[index].string();
  StreamReader picture(SourceAddress::parse(path), one_);
  if (!picture.still_picture()) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{}: a video; {} stands for pictures alone", path, name_));
  }
  auto frame = picture.next();
  if (!frame) return std::nullopt;
  const Size size{picture.shown_width(), picture.shown_height()};
  if (index == 0) size_ = size;
  if (size != size_) {
    throw Error(ErrorCode::malformed_data,
                fmt::format("{}: {} x {} pixels, but {} is {} x {}; pictures that are a video have "
                            "one size",
                            path, size.width, size.height, pictures_.front().string(), size_.width,
                            size_.height));
  }
  frame->capture_seconds = static_cast<double>(index) / fps_;
  return frame;
}

std::optional<Frame> ImageSequence::next() {
  if (next_ == pictures_.size() || one_.stop.stop_requested()) return std::nullopt;
  const std::size_t index = next_++;
  return index == 0 ? std::exchange(first_, std::nullopt) : read(index);
}

std::optional<std::int64_t> ImageSequence::frame_count() const noexcept {
  return std::ssize(pictures_);
}

std::optional<double> ImageSequence::duration_seconds() const noexcept {
  return static_cast<double>(pictures_.size()) / fps_;
}

}  // namespace ams
