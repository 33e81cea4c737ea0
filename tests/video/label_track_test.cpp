#include "ams/video/label_track.hpp"

#include "support.hpp"

using namespace ams;
using namespace ams::test;

namespace {

std::vector<LabelMap> write_track(const std::filesystem::path& path, int width, int height,
                                  int count, double fps, std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<LabelMap> maps;
  LabelTrackWriter writer(path, width, height, fps);
  for (int i = 0; i < count; ++i) {
    maps.push_back(random_labels(width, height, i % 2 == 0 ? 256 : 5, random));
    writer.add(maps.back());
  }
  CHECK(writer.size() == maps.size());
  writer.finish();
  return maps;
}

void check_frame(LabelTrackReader& reader, const std::vector<LabelMap>& maps, std::size_t index) {
  const LabelMap map = reader.at(index);
  CHECK(map.width == maps[index].width);
  CHECK(map.height == maps[index].height);
  CHECK(map.ids == maps[index].ids);
}

}  // namespace

TEST_CASE("labels come back exactly, in any order") {
  const Scratch scratch;
  struct Size {
    int width, height;
  };
  for (const Size size : {Size{16, 16}, Size{17, 16}, Size{64, 64}, Size{480, 360}, Size{16, 300},
                          Size{401, 19}, Size{256, 128}}) {
    CAPTURE(size.width);
    const auto maps = write_track(scratch / "l.mkv", size.width, size.height, 6, 5);
    LabelTrackReader reader(scratch / "l.mkv");
    REQUIRE(reader.size() == maps.size());
    CHECK(reader.width() == size.width);
    CHECK(reader.height() == size.height);
    CHECK(reader.fps() == doctest::Approx(5).epsilon(0.01));
    for (const std::size_t i : {0U, 1U, 2U, 3U, 4U, 5U, 5U, 0U, 3U, 1U, 4U, 0U})
      check_frame(reader, maps, i);
    CHECK(error_of([&] { reader.at(6); }) == "invalid_argument");
    check_frame(reader, maps, 2);
  }
}

TEST_CASE("tracks whose frames lean on earlier ones are read in any order, too") {
  const Scratch scratch;
  Random random(4);
  std::vector<LabelMap> maps;
  std::vector<Picture> pictures;
  for (int i = 0; i < 12; ++i) {
    maps.push_back(random_labels(48, 32, 7, random));
    pictures.push_back({i * 200, {maps.back().ids}});
  }
  BareVideo video;
  video.format = AV_PIX_FMT_GRAY8;
  video.width = 48;
  video.height = 32;
  video.gop = 5;
  write_bare(scratch / "gop.mkv", video, pictures);
  LabelTrackReader reader(scratch / "gop.mkv");
  REQUIRE(reader.size() == 12);
  for (const std::size_t i : {11U, 0U, 4U, 6U, 5U, 9U, 10U, 3U, 11U, 1U})
    check_frame(reader, maps, i);
}

TEST_CASE("the same labels give the same file") {
  const Scratch scratch;
  write_track(scratch / "a.mkv", 40, 30, 4, 7.5);
  write_track(scratch / "b.mkv", 40, 30, 4, 7.5);
  CHECK(read_bytes(scratch / "a.mkv") == read_bytes(scratch / "b.mkv"));
}

TEST_CASE("an unfinished track leaves nothing, an old one stands until the new one is whole") {
  const Scratch scratch;
  const auto maps = write_track(scratch / "l.mkv", 16, 16, 2, 5);
  {
    Random random(9);
    LabelTrackWriter writer(scratch / "l.mkv", 16, 16, 5);
    writer.add(random_labels(16, 16, 3, random));
  }
  CHECK(scratch.entries() == 1);
  LabelTrackReader reader(scratch / "l.mkv");
  REQUIRE(reader.size() == 2);
  check_frame(reader, maps, 1);
}

TEST_CASE("what the writer refuses") {
  const Scratch scratch;
  CHECK(error_of([&] { LabelTrackWriter w(scratch / "x.mkv", 0, 16, 5); }) == "invalid_argument");
  CHECK(error_of([&] { LabelTrackWriter w(scratch / "x.mkv", 16, 5000, 5); }) ==
        "invalid_argument");
  CHECK(error_of([&] { LabelTrackWriter w(scratch / "x.mkv", 16, 16, 0); }) == "invalid_argument");
  CHECK(error_of([&] { LabelTrackWriter w(scratch / "none" / "x.mkv", 16, 16, 5); }) != "none");
  Random random(1);
  LabelTrackWriter writer(scratch / "x.mkv", 16, 16, 5);
  CHECK(error_of([&] { writer.finish(); }) == "invalid_argument");
  CHECK(error_of([&] { writer.add(random_labels(17, 16, 3, random)); }) == "invalid_argument");
  CHECK(error_of([&] { writer.add(LabelMap{16, 16, {1, 2, 3}}); }) == "invalid_argument");
  writer.add(random_labels(16, 16, 3, random));
  writer.finish();
  CHECK(error_of([&] { writer.finish(); }) == "invalid_argument");
  CHECK(error_of([&] { writer.add(random_labels(16, 16, 3, random)); }) == "invalid_argument");
  CHECK(LabelTrackReader(scratch / "x.mkv").size() == 1);
}

TEST_CASE("what the reader refuses") {
  const Scratch scratch;
  CHECK(error_of([&] { LabelTrackReader r(scratch / "none.mkv"); }) == "io_error");
  write_bytes(scratch / "text.mkv", std::string(500, 'x'));
  CHECK(error_of([&] { LabelTrackReader r(scratch / "text.mkv"); }) == "malformed_data");

  BareVideo wrong_codec;
  wrong_codec.codec = AV_CODEC_ID_MPEG4;
  write_bare(scratch / "mpeg4.mkv", wrong_codec, {flat_picture(64, 64, 1, 2, 3)});
  std::string message;
  CHECK(error_of([&] { LabelTrackReader r(scratch / "mpeg4.mkv"); }, &message) == "malformed_data");
  CHECK(message.find("FFV1") != std::string::npos);
  CHECK(message.find("mpeg4") != std::string::npos);
  write_bare(scratch / "colour.mkv", {}, {flat_picture(64, 64, 1, 2, 3)});
  CHECK(error_of([&] { LabelTrackReader r(scratch / "colour.mkv"); }) == "malformed_data");

  write_track(scratch / "l.mkv", 32, 32, 3, 5);
  const auto limited = [&](LabelTrackLimits limits) {
    return error_of([&] { LabelTrackReader r(scratch / "l.mkv", limits); });
  };
  CHECK(limited({}) == "none");
  CHECK(limited({.max_width = 31}) == "limit_exceeded");
  CHECK(limited({.max_height = 31}) == "limit_exceeded");
  CHECK(limited({.max_frames = 2}) == "limit_exceeded");
  CHECK(limited({.max_compressed_bytes = 100}) == "limit_exceeded");
}

TEST_CASE("damaged tracks give an error or labels, and never a crash; damaged labels are noticed") {
  const Scratch scratch;
  const auto maps = write_track(scratch / "l.mkv", 32, 32, 4, 5);
  const auto whole = read_bytes(scratch / "l.mkv");
  Random random(2);
  int wrong = 0;
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    auto bytes = whole;
    if (round % 4 == 0)
      bytes.resize(random.below(bytes.size()));
    else
      bytes[random.below(bytes.size())] ^= static_cast<std::byte>(1U << random.below(8));
    write_bytes(scratch / "d.mkv", bytes);
    try {
      LabelTrackReader reader(scratch / "d.mkv");
      for (std::size_t i = 0; i < std::min(reader.size(), maps.size()); ++i) {
        if (reader.size() == maps.size() && reader.at(i).ids != maps[i].ids) ++wrong;
      }
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 100);
  CHECK(wrong == 0);  // every slice has its own checksum
}
