#include "ams/video/label_file_teacher.hpp"

#include "support.hpp"

using namespace ams;
using namespace ams::test;

TEST_CASE("the teacher gives the label map nearest in time, and none outside the clip") {
  const Scratch scratch;
  ClipInfo info;
  info.fps = 4;
  info.label_stride = 2;
  info.classes = {"road", "sky"};
  info.eval_classes = {0, 1};
  Random random(1);
  std::vector<LabelMap> labels;
  ClipWriter writer(scratch / "c", info);
  for (int i = 0; i < 8; ++i) {
    if (i % 2 == 0) {
      labels.push_back(random_labels(16, 16, 2, random));
      writer.add(scene(32, 32, i), labels.back());
    } else {
      writer.add(scene(32, 32, i));
    }
  }
  writer.finish();

  LabelFileTeacher file_teacher(Clip::open(scratch / "c"));
  Teacher& teacher = file_teacher;
  const Handle frame = Handle::make(scene(32, 32, 0));
  struct Case {
    double seconds;
    std::size_t index;
  };
  for (const Case& c : {Case{1.5, 3}, Case{0, 0}, Case{0.5, 1}, Case{1.0, 2}, Case{0.6, 1},
                        Case{1.75, 3}, Case{0, 0}}) {
    CAPTURE(c.seconds);
    CHECK(teacher.label(frame, c.seconds).as<LabelMap>().ids == labels[c.index].ids);
  }
  for (const double seconds : {-1.0, 3.0, std::nan("")}) {
    CHECK(error_of([&] { teacher.label(frame, seconds); }) == "invalid_argument");
  }
}
