#include "ams/segmentation/prediction_record.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace ams;

namespace {

const LabelMap labels{4, 2, {8, 8, 8, 0, 8, 255, 0, 8}};
const PredictionInfo info{.frame = 17,
                          .capture_seconds = 0.5,
                          .unix_seconds = 1760000000.25,
                          .latency_seconds = 0.0125,
                          .model_version = 3};

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("a line names the classes that are seen, with their shares") {
  CHECK(text(write_prediction(PredictionFormat::jsonl, info, labels)) ==
        "{\"frame\":17,\"seconds\":0.500000,\"unix_seconds\":1760000000.250000,"
        "\"latency_seconds\":0.012500,\"model_version\":3,\"width\":4,\"height\":2,"
        "\"classes\":{\"0\":0.250000,\"8\":0.625000,\"255\":0.125000}}\n");
}

TEST_CASE("a label map stands behind a header") {
  const auto record = write_prediction(PredictionFormat::labels, info, labels);
  REQUIRE(record.size() == prediction_record_bytes(4, 2));
  CHECK(text(record).substr(0, 4) == "AMSL");
  const auto whole = [&](std::size_t offset, auto value) {
    return detail::load_le<decltype(value)>(record.data() + offset);
  };
  const auto real = [&](std::size_t offset) {
    return std::bit_cast<double>(whole(offset, std::uint64_t{}));
  };
  CHECK(whole(4, std::uint16_t{}) == 1);
  CHECK(whole(6, std::uint16_t{}) == 64);
  CHECK(whole(8, std::uint64_t{}) == 17);
  CHECK(real(16) == 0.5);
  CHECK(real(24) == 1760000000.25);
  CHECK(real(32) == 0.0125);
  CHECK(whole(40, std::uint32_t{}) == 3);
  CHECK(whole(44, std::uint32_t{}) == 4);
  CHECK(whole(48, std::uint32_t{}) == 2);
  CHECK(whole(52, std::uint32_t{}) == 8);
  CHECK(whole(56, std::uint64_t{}) == 0);
  for (std::size_t i = 0; i < labels.ids.size(); ++i) {
    CHECK(std::to_integer<int>(record[64 + i]) == labels.ids[i]);
  }
}

TEST_CASE("formats have names, and label maps their size") {
  CHECK(parse_prediction_format("jsonl") == PredictionFormat::jsonl);
  CHECK(parse_prediction_format("labels") == PredictionFormat::labels);
  CHECK_THROWS_WITH_AS(parse_prediction_format("xml"),
                       "prediction format 'xml' is not one of jsonl, labels", Error);
  for (const LabelMap& wrong : {LabelMap{}, LabelMap{2, 2, {1, 2, 3}}}) {
    CHECK_THROWS_AS(write_prediction(PredictionFormat::labels, info, wrong), Error);
    CHECK_THROWS_AS(write_prediction(PredictionFormat::jsonl, info, wrong), Error);
  }
}
