#include "ams/video/clip.hpp"

#include "ams/segmentation/label_resize.hpp"
#include "ams/video/label_track.hpp"
#include "ams/video/video_reader.hpp"
#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

ClipInfo street_info() {
  ClipInfo info;
  info.name = "street";
  info.fps = 10;
  info.label_stride = 5;
  info.classes = {"road", "sky", "car"};
  info.eval_classes = {0, 2};
  return info;
}

/// 23 frames, 5 label frames.
std::vector<LabelMap> write_clip(const std::filesystem::path& folder, ClipInfo info = street_info(),
                                 int frames = 23) {
  Random random(8);
  std::vector<LabelMap> labels;
  ClipWriter writer(folder, info);
  for (int i = 0; i < frames; ++i) {
    if (writer.wants_labels()) {
      labels.push_back(random_labels(32, 16, 3, random));
      writer.add(scene(64, 32, i), labels.back());
    } else {
      writer.add(scene(64, 32, i));
    }
  }
  writer.finish();
  return labels;
}

void write_json(const std::filesystem::path& folder, const std::string& text) {
  write_bytes(folder / "clip.json", text);
}

}  // namespace

TEST_CASE("a clip that was written opens with everything filled in") {
  const Scratch scratch;
  const auto labels = write_clip(scratch / "street");
  CHECK(scratch.entries() == 1);
  const Clip clip = Clip::open(scratch / "street");
  const ClipInfo& info = clip.info();
  CHECK(info.name == "street");
  CHECK(info.fps == 10);
  CHECK(info.label_stride == 5);
  CHECK(info.frames == 23);
  CHECK(info.label_frames == 5);
  CHECK(info.width == 64);
  CHECK(info.height == 32);
  CHECK(info.label_width == 32);
  CHECK(info.label_height == 16);
  CHECK(info.ignore_id == 255);
  CHECK(info.classes == std::vector<std::string>{"road", "sky", "car"});
  CHECK(info.eval_classes == std::vector<std::uint8_t>{0, 2});
  CHECK(info.label_period_seconds() == doctest::Approx(0.5));
  CHECK(clip.label_seconds(3) == doctest::Approx(1.5));

  LabelTrackReader track(clip.labels_path());
  REQUIRE(track.size() == labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) CHECK(track.at(i).ids == labels[i].ids);
  VideoReader video(clip.video_path().string());
  int count = 0;
  while (const auto frame = video.next()) CHECK(psnr(*frame, scene(64, 32, count++)) > 33);
  CHECK(count == 23);
}

TEST_CASE("the label of a capture time is the nearest, and there is none far outside") {
  const Scratch scratch;
  write_clip(scratch / "street");  // labels at 0, 0.5, 1, 1.5, 2 s
  const Clip clip = Clip::open(scratch / "street");
  struct Case {
    double seconds;
    std::size_t index;
  };
  for (const Case& c : {Case{0, 0}, Case{0.2, 0}, Case{0.3, 1}, Case{0.5, 1}, Case{0.7, 1},
                        Case{0.8, 2}, Case{1.9999, 4}, Case{2.0001, 4}, Case{2.2, 4}, Case{2.5, 4},
                        Case{-0.2, 0}, Case{-0.25, 0}}) {
    CAPTURE(c.seconds);
    CHECK(clip.label_index(c.seconds) == c.index);
  }
  // Every video frame goes to the label frame nearest in time.
  for (int frame = 0; frame < 23; ++frame) {
    const double seconds = frame / 10.0;
    const double chosen = clip.label_seconds(clip.label_index(seconds));
    for (std::size_t other = 0; other < 5; ++other) {
      CHECK(std::abs(seconds - chosen) <= std::abs(seconds - clip.label_seconds(other)) + 1e-9);
    }
  }
  for (const double far : {-0.3, 2.6, 1e9, -1e300, std::nan(""), HUGE_VAL}) {
    CAPTURE(far);
    CHECK(error_of([&] { clip.label_index(far); }) == "invalid_argument");
  }
}

TEST_CASE("the text of clip.json comes back as it was") {
  ClipInfo info = street_info();
  info.kind = "fixed \"camera\"";
  info.labels_by = "people";
  info.source = "somewhere\nelse";
  info.licence = "MIT";
  info.ignore_id = 7;
  info.frames = 100;
  info.label_frames = 20;
  info.width = 640;
  info.height = 320;
  info.label_width = 64;
  info.label_height = 32;
  info.fps = 30000.0 / 1001;
  info.scenes = {{0, "day"}, {12.5, "night"}};
  const ClipInfo back = parse_clip_info(format_clip_info(info));
  CHECK(back.name == info.name);
  CHECK(back.kind == info.kind);
  CHECK(back.labels_by == info.labels_by);
  CHECK(back.source == info.source);
  CHECK(back.licence == info.licence);
  CHECK(back.fps == info.fps);
  CHECK(back.label_stride == info.label_stride);
  CHECK(back.classes == info.classes);
  CHECK(back.eval_classes == info.eval_classes);
  CHECK(back.ignore_id == info.ignore_id);
  CHECK(back.frames == info.frames);
  CHECK(back.label_frames == info.label_frames);
  CHECK(back.width == info.width);
  CHECK(back.label_height == info.label_height);
  REQUIRE(back.scenes.size() == 2);
  CHECK(back.scenes[1].start_seconds == 12.5);
  CHECK(back.scenes[1].name == "night");
  info.eval_classes = {9};
  CHECK(error_of([&] { format_clip_info(info); }) == "invalid_argument");
  info = street_info();
  info.name = "\xff\xfe";
  CHECK(error_of([&] { format_clip_info(info); }) == "invalid_argument");
}

TEST_CASE("unknown fields are ignored and optional ones may be absent or null") {
  const ClipInfo info = parse_clip_info(
      R"({"fps": 25, "label_stride": 5.0, "classes": ["a", "b"], "eval_classes": [1], "mood": {"x": [1]}, "source": null})");
  CHECK(info.name.empty());
  CHECK(info.label_stride == 5);
  CHECK(info.ignore_id == 255);
  CHECK(info.frames == 0);
}

TEST_CASE("every malformed field is named, with what is allowed") {
  struct Case {
    const char* field;
    const char* value;  // nullptr: leave the field out
  };
  const std::vector<Case> cases{{"fps", nullptr},
                                {"fps", "0"},
                                {"fps", "-25"},
                                {"fps", "\"25\""},
                                {"fps", "1e9"},
                                {"fps", "[]"},
                                {"label_stride", nullptr},
                                {"label_stride", "0"},
                                {"label_stride", "2.5"},
                                {"label_stride", "1e6"},
                                {"label_stride", "true"},
                                {"classes", nullptr},
                                {"classes", "[]"},
                                {"classes", "\"road\""},
                                {"classes", "[\"\"]"},
                                {"classes", "[1]"},
                                {"classes", "[\"road\", \"road\"]"},
                                {"classes", "{\"0\": \"road\"}"},
                                {"eval_classes", nullptr},
                                {"eval_classes", "[]"},
                                {"eval_classes", "[3]"},
                                {"eval_classes", "[-1]"},
                                {"eval_classes", "[0, 0]"},
                                {"eval_classes", "[0.5]"},
                                {"eval_classes", "[\"road\"]"},
                                {"eval_classes", "0"},
                                {"eval_classes", "[0, 1, 2, 0]"},
                                {"ignore_id", "256"},
                                {"ignore_id", "-1"},
                                {"ignore_id", "\"none\""},
                                {"frames", "0"},
                                {"frames", "-4"},
                                {"frames", "1e30"},
                                {"label_frames", "0"},
                                {"label_frames", "30"},
                                {"width", "0"},
                                {"width", "20000"},
                                {"height", "1.5"},
                                {"label_width", "-1"},
                                {"label_height", "\"x\""},
                                {"name", "3"},
                                {"kind", "[]"},
                                {"source", "{}"},
                                {"licence", "false"},
                                {"labels_by", "1"},
                                {"scenes", "{}"},
                                {"scenes", "[3]"},
                                {"scenes", "[{\"start_seconds\": 1}]"},
                                {"scenes", "[{\"start_seconds\": -1, \"name\": \"day\"}]"},
                                {"scenes", "[{\"start_seconds\": 1, \"name\": \"\"}]"},
                                {"scenes",
                                 "[{\"start_seconds\": 1, \"name\": \"a\"}, "
                                 "{\"start_seconds\": 1, \"name\": \"b\"}]"}};
  for (const Case& c : cases) {
    std::string text = "{";
    const std::vector<std::pair<std::string, std::string>> good{
        {"fps", "10"},
        {"label_stride", "5"},
        {"classes", "[\"road\", \"sky\", \"car\"]"},
        {"eval_classes", "[0, 2]"},
        {"frames", "23"},
        {"label_frames", "5"}};
    for (const auto& [field, value] : good) {
      if (field != c.field) text += "\"" + field + "\": " + value + ", ";
    }
    text +=
        c.value != nullptr ? std::string("\"") + c.field + "\": " + c.value + "}" : "\"mood\": 1}";
    CAPTURE(text);
    std::string message;
    CHECK(error_of([&] { parse_clip_info(text, "the clip"); }, &message) == "malformed_data");
    CHECK(message.find(std::string("\"") + c.field + "\"") != std::string::npos);
    CHECK(message.find("the clip") == 0);
  }
  std::string message;
  error_of([&] { parse_clip_info(R"({"fps": "fast"})"); }, &message);
  CHECK(message == "clip.json: \"fps\" is \"fast\"; it must be a number from 0.01 to 1000");
  CHECK(error_of([] {
          parse_clip_info(
              R"({"fps": 10, "label_stride": 1, "classes": ["a", "b"], "eval_classes": [1],
                                           "ignore_id": 1})");
        }) == "malformed_data");
}

TEST_CASE("what is not a JSON object is refused") {
  for (const std::string text :
       {"", "[]", "3", "{", "{\"fps\": 10", "nonsense", "{\"fps\": NaN}"}) {
    CAPTURE(text);
    CHECK(error_of([&] { parse_clip_info(text); }) == "malformed_data");
  }
  CHECK(error_of([] { parse_clip_info(std::string(100'000, '[')); }) == "malformed_data");
  CHECK(error_of([] { parse_clip_info(std::string((1 << 20) + 1, ' ')); }) == "limit_exceeded");
}

TEST_CASE("clip.json is UTF-8, and a byte-order mark is no harm") {
  const auto with_class = [](const std::string& name) {
    return R"({"fps": 10, "label_stride": 1, "eval_classes": [0], "classes": [")" + name + "\"]}";
  };
  CHECK(parse_clip_info("\xef\xbb\xbf" + with_class("Stra\u00dfe")).classes.front() ==
        "Stra\u00dfe");
  std::string message;
  CHECK(error_of([&] { parse_clip_info(with_class("Stra\xdf"), "folder/clip.json"); }, &message) ==
        "malformed_data");
  CHECK(message.find("folder/clip.json: line 1 is not UTF-8") != std::string::npos);
  std::string wide = "\xff\xfe";
  for (const char c : with_class("a")) wide += {c, '\0'};
  CHECK(error_of([&] { parse_clip_info(wide); }, &message) == "malformed_data");
  CHECK(message.find("UTF-16") != std::string::npos);
  CHECK(error_of([&] { parse_clip_info(with_class("a\\u202eb")); }) == "malformed_data");
}

TEST_CASE("clip.json is held against the files") {
  const Scratch scratch;
  write_clip(scratch / "c");
  const std::string common = R"("classes": ["a", "b", "c"], "eval_classes": [0])";
  const auto opened = [&](const std::string& fields, std::string* message = nullptr) {
    write_json(scratch / "c", "{" + common + ", " + fields + "}");
    return error_of([&] { Clip::open(scratch / "c"); }, message);
  };
  CHECK(opened(R"("fps": 10, "label_stride": 5)") == "none");
  CHECK(Clip::open(scratch / "c").info().name == "c");
  CHECK(opened(R"("fps": 25, "label_stride": 5)") == "malformed_data");
  CHECK(opened(R"("fps": 10, "label_stride": 6)") == "malformed_data");
  CHECK(opened(R"("fps": 10, "label_stride": 5, "width": 65)") == "malformed_data");
  CHECK(opened(R"("fps": 10, "label_stride": 5, "label_height": 32)") == "malformed_data");
  CHECK(opened(R"("fps": 10, "label_stride": 5, "label_frames": 4)") == "malformed_data");
  std::string message;
  CHECK(opened(R"("fps": 10, "label_stride": 5, "frames": 24)", &message) == "malformed_data");
  CHECK(message.find("24") != std::string::npos);
  CHECK(message.find("23") != std::string::npos);

  CHECK(error_of([&] { Clip::open(scratch / "none"); }) == "io_error");
  opened(R"("fps": 10, "label_stride": 5)");
  std::filesystem::remove(scratch / "c" / "labels.mkv");
  CHECK(error_of([&] { Clip::open(scratch / "c"); }) == "io_error");
}

TEST_CASE("a clip whose video has another rate than a constant one of clip.json is refused") {
  const Scratch scratch;
  struct Case {
    std::vector<std::int64_t> milliseconds;
    double fps;
    std::vector<std::string> words;  // none: accepted
  };
  const auto even = [](int frames, double fps) {
    std::vector<std::int64_t> times;
    for (int i = 0; i < frames; ++i) times.push_back(std::llround(i * 1000 / fps));
    return times;
  };
  std::vector<std::int64_t> slower = even(15, 30);  // half a second of 30, then 6 a second
  while (slower.size() < 30) slower.push_back(slower.back() + 167);
  std::vector<std::int64_t> with_gap = even(40, 25);
  for (std::size_t i = 20; i < with_gap.size(); ++i) with_gap[i] += 40;
  std::vector<std::int64_t> jittered = even(40, 25);
  for (std::size_t i = 1; i < jittered.size(); i += 2) jittered[i] += 9;
  std::vector<std::int64_t> late = even(20, 25);
  for (std::int64_t& at : late) at += 5000;
  for (const Case& c :
       {Case{even(40, 30), 30, {}}, Case{jittered, 25, {}}, Case{late, 25, {}},
        Case{even(2, 60), 60, {}}, Case{even(1, 30), 7, {}}, Case{even(100, 29.97), 30, {}},
        Case{even(200, 59.94), 59.94, {}}, Case{even(2000, 29.97), 30, {"29.97", "\"fps\": 30"}},
        Case{even(3, 30), 25, {"29.85", "\"fps\": 25"}},
        Case{even(40, 25), 50, {"write \"fps\": 25"}},
        Case{slower, 10, {"frame 1 ", "0.033 s", "ams-label", "fps=30"}},
        Case{slower, 30, {"frame 15 ", "ams-label", "fps=30"}},
        Case{with_gap, 25, {"frame 20 ", "ams-label", "fps=25"}}}) {
    CAPTURE(c.milliseconds.size());
    CAPTURE(c.fps);
    std::vector<Picture> pictures;
    for (const std::int64_t at : c.milliseconds)
      pictures.push_back(flat_picture(64, 64, 1, 2, 3, at));
    const auto folder = scratch / "c";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    write_bare(folder / "video.mp4", {}, pictures);
    LabelTrackWriter labels(folder / "labels.mkv", 16, 16, 5);
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      labels.add(LabelMap{16, 16, std::vector<std::uint8_t>(256)});
    }
    labels.finish();
    write_json(folder, "{\"fps\": " + std::to_string(c.fps) +
                           R"(, "label_stride": 1, "classes": ["a"], "eval_classes": [0]})");
    std::string message;
    const std::string code = error_of([&] { Clip::open(folder); }, &message);
    CAPTURE(message);
    CHECK(code == (c.words.empty() ? "none" : "malformed_data"));
    for (const std::string& word : c.words) CHECK(message.find(word) != std::string::npos);
    if (code != "none") continue;
    const Clip clip = Clip::open(folder);
    CHECK(clip.info().frames == static_cast<std::int64_t>(pictures.size()));
    VideoReader video((folder / "video.mp4").string());
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      CHECK(clip.label_index(video.next()->capture_seconds) == i);
    }
  }
}

TEST_CASE("labels must reach the end of the video, but for the last label frame") {
  const Scratch scratch;
  write_clip(scratch / "c");  // 5 label frames, 23 frames
  const auto opened = [&](int label_frames, std::string* message = nullptr) {
    LabelTrackWriter labels(scratch / "c" / "labels.mkv", 32, 16, 2);
    for (int j = 0; j < label_frames; ++j) {
      labels.add(LabelMap{32, 16, std::vector<std::uint8_t>(512)});
    }
    labels.finish();
    write_json(scratch / "c", R"({"fps": 10, "label_stride": 5, "classes": ["a"],
                                  "eval_classes": [0]})");
    return error_of([&] { Clip::open(scratch / "c"); }, message);
  };
  CHECK(opened(5) == "none");
  CHECK(opened(4) == "none");
  const Clip clip = Clip::open(scratch / "c");
  CHECK(clip.label_index(2.2) == 3);  // of the last frame
  CHECK(error_of([&] { clip.label_index(2.4); }) == "invalid_argument");
  std::string message;
  CHECK(opened(3, &message) == "malformed_data");
  CHECK(message.find("label 15 of the 23 frames") != std::string::npos);
  CHECK(opened(6, &message) == "malformed_data");
}

TEST_CASE("an id that is neither a class nor the ignore_id is named, with its frame") {
  const Scratch scratch;
  write_clip(scratch / "c");
  const auto opened = [&](const std::string& fields, std::string* message = nullptr) {
    write_json(scratch / "c",
               R"({"fps": 10, "label_stride": 5, "eval_classes": [0], )" + fields + "}");
    return error_of([&] { Clip::open(scratch / "c"); }, message);
  };
  std::string message;
  CHECK(opened(R"("classes": ["a", "b"])", &message) == "malformed_data");
  CHECK(message.find("labels.mkv: label frame 0 (frame 0 of the video) has the id 2 at x = ") !=
        std::string::npos);
  CHECK(message.find("allowed are 0 to 1 (\"classes\") and 255 (\"ignore_id\")") !=
        std::string::npos);
  CHECK(opened(R"("classes": ["a", "b"], "ignore_id": 2)") == "none");

  LabelTrackWriter labels(scratch / "c" / "labels.mkv", 32, 16, 2);
  for (int j = 0; j < 5; ++j) {
    labels.add(LabelMap{32, 16, std::vector<std::uint8_t>(512, j == 4 ? 7 : 0)});
  }
  labels.finish();
  CHECK(opened(R"("classes": ["a", "b"])", &message) == "malformed_data");
  CHECK(message.find("label frame 4 (frame 20 of the video) has the id 7") != std::string::npos);

  ClipWriter writer(scratch / "d", street_info());
  CHECK(error_of(
            [&] {
              writer.add(scene(64, 32, 0), {32, 16, std::vector<std::uint8_t>(512, 3)});
            },
            &message) == "invalid_argument");
  CHECK(message.find("the id 3") != std::string::npos);
  writer.add(scene(64, 32, 0), {32, 16, std::vector<std::uint8_t>(512, 255)});
}

TEST_CASE("labels too small for a label track are enlarged, and none moves") {
  const Scratch scratch;
  Random random(3);
  struct Size {
    int width, height;
  };
  for (const Size size : {Size{16, 8}, Size{1, 1}, Size{5, 40}, Size{16, 16}}) {
    CAPTURE(size.width);
    const LabelMap coarse = random_labels(size.width, size.height, 3, random);
    const std::string name = "c" + std::to_string(size.width) + "x" + std::to_string(size.height);
    ClipWriter writer(scratch / name, street_info());
    writer.add(scene(64, 32, 0), coarse);
    writer.finish();
    const LabelMap written = LabelTrackReader(scratch / name / "labels.mkv").at(0);
    CHECK(std::min(written.width, written.height) >= 16);
    for (const Size student : {Size{64, 32}, Size{33, 47}, Size{16, 9}}) {
      CHECK(resize_nearest(written, student.width, student.height).ids ==
            resize_nearest(coarse, student.width, student.height).ids);
    }
  }
}

TEST_CASE("a clip folder is replaced when the new one is complete, and nothing else is") {
  const Scratch scratch;
  Random random(1);
  const LabelMap labels = random_labels(32, 16, 3, random);
  write_clip(scratch / "c");
  const ClipWriterOptions replacing{.replace = true};
  { ClipWriter writer(scratch / "c", street_info(), replacing); }
  CHECK(Clip::open(scratch / "c").info().frames == 23);
  ClipWriter writer(scratch / "c", street_info(), replacing);
  writer.add(scene(64, 32, 0), labels);
  writer.score_on({1});
  CHECK(error_of([&] { writer.score_on({3}); }) == "invalid_argument");
  CHECK(Clip::open(scratch / "c").info().frames == 23);
  std::filesystem::create_directory(scratch / "c.old");
  writer.finish();
  CHECK(Clip::open(scratch / "c").info().frames == 1);
  CHECK(Clip::open(scratch / "c").info().eval_classes == std::vector<std::uint8_t>{1});
  CHECK(std::filesystem::exists(scratch / "c.old"));  // it may be anybody's
  CHECK(scratch.entries() == 2);

  std::filesystem::create_directory(scratch / "other");
  std::string message;
  CHECK(error_of([&] { ClipWriter w(scratch / "other", street_info(), replacing); }, &message) ==
        "invalid_argument");
  CHECK(message.find("not a clip folder") != std::string::npos);
}

TEST_CASE("what the clip writer refuses, and that it leaves nothing unfinished") {
  const Scratch scratch;
  Random random(1);
  const LabelMap labels = random_labels(32, 16, 3, random);
  {
    ClipWriter writer(scratch / "c", street_info());
    CHECK(error_of([&] { writer.finish(); }) == "invalid_argument");
    CHECK(writer.wants_labels());
    CHECK(error_of([&] { writer.add(scene(64, 32, 0)); }) == "invalid_argument");
    CHECK(error_of([&] { writer.add(scene(63, 32, 0), labels); }) == "invalid_argument");
    CHECK(error_of([&] { writer.add(scene(64, 32, 0), LabelMap{}); }) == "invalid_argument");
    writer.add(scene(64, 32, 0), labels);
    CHECK_FALSE(writer.wants_labels());
    CHECK(error_of([&] { writer.add(scene(64, 32, 1), labels); }) == "invalid_argument");
    CHECK(error_of([&] { writer.add(scene(32, 32, 1)); }) == "invalid_argument");
    for (int i = 1; i < 5; ++i) writer.add(scene(64, 32, i));
    CHECK(error_of([&] { writer.add(scene(32, 32, 1), labels); }) == "invalid_argument");
    CHECK(error_of([&] { writer.add(scene(64, 32, 1), random_labels(16, 16, 3, random)); }) ==
          "invalid_argument");
    writer.add(scene(64, 32, 5), labels);
    CHECK_FALSE(std::filesystem::exists(scratch / "c"));
  }
  CHECK(scratch.entries() == 0);

  ClipInfo bad = street_info();
  bad.fps = 0;
  CHECK(error_of([&] { ClipWriter writer(scratch / "c", bad); }) == "invalid_argument");
  write_clip(scratch / "c");
  CHECK(error_of([&] { ClipWriter writer(scratch / "c", street_info()); }) == "invalid_argument");
  CHECK(error_of([&] { ClipWriter writer(scratch / "none" / "c", street_info()); }) == "io_error");
  write_clip(scratch / "d/");
  CHECK(Clip::open(scratch / "d").info().label_frames == 5);
}

TEST_CASE("recorded clips open (optional data)") {
  const auto data = data_folder();
  if (!data) return;
  int clips = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*data / "clips")) {
    CAPTURE(entry.path().string());
    const Clip clip = Clip::open(entry.path());
    LabelTrackReader labels(clip.labels_path());
    CHECK(labels.size() == static_cast<std::size_t>(clip.info().label_frames));
    for (const std::size_t index : {std::size_t{0}, labels.size() / 2, labels.size() - 1}) {
      for (const std::uint8_t id : labels.at(index).ids) {
        REQUIRE((id < clip.info().classes.size() || id == clip.info().ignore_id));
      }
    }
    VideoReader video(clip.video_path().string());
    for (int i = 0; i < 12; ++i) {
      const auto frame = video.next();
      REQUIRE(frame.has_value());
      CHECK(frame->capture_seconds == doctest::Approx(i / clip.info().fps).epsilon(0.001));
      CHECK(clip.label_index(frame->capture_seconds) ==
            static_cast<std::size_t>((2 * i + clip.info().label_stride) /
                                     (2 * clip.info().label_stride)));
    }
    ++clips;
  }
  CHECK(clips > 0);
}
