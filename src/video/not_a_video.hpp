#pragma once

// Files that are no videos. Private to ams::video.

#include <optional>
#include <string>
#include <string_view>

namespace ams {

/// libav's demuxers as it wants them for format_whitelist, without those that draw text as pictures
/// (terminal art), lead to other files (ffconcat) or need to be told what they read (raw pixels).
const std::string& demuxers_of_videos();

/// What a thing that is no video is, told by its first bytes, as the end of "it is not a video: it
/// is ...": "text". Nothing where they do not tell.
std::optional<std::string> told_by(std::string_view first_bytes);

}  // namespace ams
