#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ams/segmentation/label_map.hpp"

namespace ams {

/// A part of a clip that looks different from the part before it.
struct ClipScene {
  double start_seconds = 0;  ///< >= 0
  std::string name;          ///< 1 to 64 bytes
};

/// What a clip's clip.json says. Needed in the file: fps, label_stride, classes, eval_classes.
/// Everything else may be absent and then has the value below; unknown fields are ignored.
struct ClipInfo {
  std::string name;      ///< the folder's name where the file gives none
  double fps = 0;        ///< of the video, constant; 0.01 to 1000
  int label_stride = 1;  ///< label frame j labels video frame j * label_stride; 1 to 100000
  std::vector<std::string> classes;  ///< names by class id; 1 to 255, each 1 to 64 bytes
  std::vector<std::uint8_t>
      eval_classes;  ///< class ids that count in the mIoU; 1 or more, distinct
  std::uint8_t ignore_id =
      LabelMap::default_ignore_id;  ///< "ignore_id"; pixels that nobody labelled

  std::int64_t frames = 0;        ///< of video; 0: not said
  std::int64_t label_frames = 0;  ///< 0: not said
  int width = 0;                  ///< of the video, pixels; 0: not said
  int height = 0;                 ///< likewise
  int label_width = 0;            ///< likewise
  int label_height = 0;           ///< likewise

  std::string kind;       ///< e.g. "fixed camera"
  std::string labels_by;  ///< who or what made the labels
  std::string source;     ///< where the video is from
  std::string licence;
  std::vector<ClipScene> scenes;  ///< ascending; empty where nobody has told them apart

  double label_period_seconds() const { return label_stride / fps; }
};

/// Reads the text of a clip.json. `where` names it in messages.
/// Error(malformed_data) names the field, its value and what is allowed; limit_exceeded above 1
/// MiB.
ClipInfo parse_clip_info(std::string_view json, const std::string& where = "clip.json");

/// The text of a clip.json: valid for parse_clip_info(), which gives an equal ClipInfo back. Fields
/// that say nothing are left out. Error(invalid_argument) where parse_clip_info() would refuse it.
std::string format_clip_info(const ClipInfo& info);

/// A recorded clip: a folder with video.mp4 (H.264, constant frame rate), labels.mkv (label track,
/// FFV1 gray8) and clip.json. A value: the parsed description and where the files are.
class Clip {
 public:
  /// Reads clip.json and holds it against the two files: sizes and counts must agree, the labels
  /// must reach the end of the video (the last label frame may be missing), each frame must be on
  /// show at its time of a constant rate, and every id must be a class or ignore_id (of tracks with
  /// thousands of label frames, an even choice of them is read). The info then has every size and
  /// count filled in. Reads the video file, decodes labels alone. Errors: io_error (a file is not
  /// there), malformed_data, those of VideoReader and LabelTrackReader.
  static Clip open(const std::filesystem::path& folder);

  const ClipInfo& info() const { return info_; }
  std::filesystem::path video_path() const { return folder_ / "video.mp4"; }
  std::filesystem::path labels_path() const { return folder_ / "labels.mkv"; }

  /// Capture time of label frame j on the video's timeline.
  double label_seconds(std::size_t index) const {
    return static_cast<double>(index) * info_.label_period_seconds();
  }

  /// The label frame nearest to a capture time; of two at the same distance the later.
  /// The time may lie up to half a label period before the first label frame, and up to a whole
  /// period after the last (the video may go on until the next one would be due) or to the video's
  /// last frame; otherwise Error(invalid_argument).
  std::size_t label_index(double capture_seconds) const;

  /// Error(malformed_data), which names the id and the frame, where label frame `index` has an id
  /// that is neither a class nor the ignore_id.
  void require_allowed_ids(const LabelMap& labels, std::size_t index) const;

 private:
  std::filesystem::path folder_;
  ClipInfo info_;
};

struct ClipWriterOptions {
  double crf = 18;  ///< as in VideoWriterOptions
  std::string preset = "medium";
  bool replace = false;  ///< an older clip folder of this name stays until finish() replaces it
};

/// Writes a clip folder. It appears under its name when finish() returns, complete, and not at all
/// if the writer is destroyed before (it grows as `<folder>.partial`). One thread at a time.
class ClipWriter {
 public:
  /// `info` gives everything but counts and sizes, which are set from what is added. The folder
  /// must not exist, but for a clip folder with `replace`; its parent must. Frames are even-sized,
  /// as in VideoWriter. Errors:
  /// invalid_argument, io_error, unavailable (AMS_WITH_X264=OFF).
  ClipWriter(const std::filesystem::path& folder, const ClipInfo& info,
             const ClipWriterOptions& options = {});
  ~ClipWriter();
  ClipWriter(ClipWriter&&) noexcept;
  ClipWriter& operator=(ClipWriter&&) noexcept;

  /// True when the next frame is one of every label_stride and so needs labels.
  bool wants_labels() const noexcept;

  /// The next frame; with labels exactly when wants_labels(), else Error(invalid_argument), as for
  /// an id that is neither a class nor the ignore_id. Labels of less than 16 pixels a side are
  /// enlarged to what a label track can hold, by a whole factor, so that no label moves.
  void add(const Frame& frame);
  void add(const Frame& frame, const LabelMap& labels);

  /// Changes info's eval_classes, for labels that decide what is scored. Before finish().
  /// Error(invalid_argument) as for `info`.
  void score_on(std::vector<std::uint8_t> eval_classes);

  /// Completes the folder. Error(invalid_argument) with nothing added or when called twice;
  /// io_error.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
