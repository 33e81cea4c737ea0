#include "ams/core/manifest.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "ams/core/random.hpp"
#include "expect_error.hpp"

using ams::ErrorCode;
using ams::Manifest;
using ams::TensorKind;
using ams::TensorRole;
using ams::TensorSpec;
using ams::test::expect_error;

namespace {

TensorSpec tensor(std::string name, std::vector<std::int64_t> shape,
                  TensorKind kind = TensorKind::parameter) {
  TensorSpec spec;
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.kind = kind;
  return spec;
}

std::vector<TensorSpec> small_network() {
  return {tensor("stem.weight", {8, 3, 3, 3}), tensor("stem.bias", {8}),
          tensor("norm.running_mean", {8}, TensorKind::statistic), tensor("scale", {})};
}

void expect_refused(std::vector<TensorSpec> tensors, const char* word) {
  expect_error(
      ErrorCode::invalid_argument, [&] { Manifest manifest(std::move(tensors)); }, word);
}

}  // namespace

TEST_CASE("tensors lie one after another in the order given") {
  auto tensors = small_network();
  tensors[1].offset = 12345;  // the caller's are ignored
  tensors[1].size = 54321;
  const Manifest manifest(tensors);
  REQUIRE(manifest.tensors().size() == 4);
  CHECK(manifest.tensors()[0].offset == 0);
  CHECK(manifest.tensors()[0].size == 216);
  CHECK(manifest.tensors()[1].offset == 216);
  CHECK(manifest.tensors()[1].size == 8);
  CHECK(manifest.tensors()[2].offset == 224);
  CHECK(manifest.tensors()[3].offset == 232);
  CHECK(manifest.tensors()[3].size == 1);
  CHECK(manifest.dimension() == 233);
  CHECK(manifest.has_statistics());
  CHECK_FALSE(Manifest({tensor("w", {2})}).has_statistics());
}

TEST_CASE("the manifest of no tensors") {
  CHECK(Manifest().dimension() == 0);
  CHECK(Manifest().tensors().empty());
  CHECK(Manifest().digest() == Manifest(std::vector<TensorSpec>{}).digest());
  expect_error(ErrorCode::invalid_argument, [] { (void)Manifest().tensor_of(0); });
}

TEST_CASE("tensor_of against a linear search") {
  ams::Random random(5);
  std::vector<TensorSpec> tensors;
  std::vector<std::size_t> owner;
  for (std::size_t t = 0; t < 50; ++t) {
    const std::size_t size = 1 + random.below(6);
    tensors.push_back(tensor("t" + std::to_string(t), {static_cast<std::int64_t>(size)}));
    owner.insert(owner.end(), size, t);
  }
  const Manifest manifest(tensors);
  REQUIRE(manifest.dimension() == owner.size());
  for (std::size_t i = 0; i < owner.size(); ++i) CHECK(manifest.tensor_of(i) == owner[i]);
  expect_error(
      ErrorCode::invalid_argument, [&] { (void)manifest.tensor_of(owner.size()); },
      std::to_string(owner.size()));
}

TEST_CASE("the digest is that of the bytes which the header describes") {
  std::vector<std::byte> bytes;
  const auto number = [&](std::uint64_t value, int size) {
    for (; size > 0; --size, value /= 256) bytes.push_back(static_cast<std::byte>(value % 256));
  };
  const auto text = [&](const std::string& s) {
    for (const char c : s) bytes.push_back(static_cast<std::byte>(c));
  };
  number(2, 4);
  number(3, 4);
  text("a.w");
  number(0, 1);
  number(2, 1);
  number(300, 8);
  number(2, 8);
  number(1, 4);
  text("m");
  number(1, 1);
  number(0, 1);
  const Manifest manifest({tensor("a.w", {300, 2}), tensor("m", {}, TensorKind::statistic)});
  CHECK(manifest.digest() == ams::byte_digest(bytes));
  CHECK(manifest.digest() == 0xdb181148ed43903cULL);  // other machines and versions must agree
}

TEST_CASE("the digest sees names, shapes, kinds and order, and nothing else") {
  const auto reference = small_network();
  const ams::Digest digest = Manifest(reference).digest();
  const auto changed = [&](auto&& change) {
    auto tensors = reference;
    change(tensors);
    return Manifest(tensors).digest();
  };
  CHECK(changed([](auto&) {}) == digest);
  CHECK(changed([](auto& t) { t[0].offset = 9; }) == digest);
  CHECK(changed([](auto& t) { t[0].name = "stem.weighu"; }) != digest);
  CHECK(changed([](auto& t) { t[0].shape = {3, 8, 3, 3}; }) != digest);
  CHECK(changed([](auto& t) { t[0].shape = {216}; }) != digest);
  CHECK(changed([](auto& t) { t[3].shape = {1}; }) != digest);
  CHECK(changed([](auto& t) { t[2].kind = TensorKind::parameter; }) != digest);
  CHECK(changed([](auto& t) { std::swap(t[0], t[1]); }) != digest);
  CHECK(changed([](auto& t) { t.pop_back(); }) != digest);
}

TEST_CASE("malformed tensors are refused by name") {
  expect_refused({tensor("", {1})}, "name");
  expect_refused({tensor(std::string(Manifest::max_name_bytes + 1, 'n'), {1})}, "1024");
  CHECK(Manifest({tensor(std::string(Manifest::max_name_bytes, 'n'), {1})}).dimension() == 1);
  expect_refused({tensor("w", {1}), tensor("v", {1}), tensor("w", {2})}, "two tensors");
  expect_refused({tensor("w", {3, 0})}, "tensor w has extent 0");
  expect_refused({tensor("w", {-1})}, "extent -1");
  expect_refused({tensor("w", std::vector<std::int64_t>(9, 1))}, "9 extents");
  CHECK(Manifest({tensor("w", std::vector<std::int64_t>(8, 1))}).dimension() == 1);
  expect_refused({tensor("w", {1}, static_cast<TensorKind>(2))}, "kind 2");
  TensorSpec role = tensor("w", {1});
  role.role = static_cast<TensorRole>(3);
  expect_refused({role}, "role 3");
}

TEST_CASE("roles by name") {
  std::vector<TensorSpec> tensors = {tensor("a.conv.weight", {4}), tensor("a.norm.weight", {2}),
                                     tensor("a.norm.mean", {2}, TensorKind::statistic),
                                     tensor("b.norm.weight", {2}), tensor("b.out", {3})};
  tensors[1].role = TensorRole::normalization;
  tensors[4].role = TensorRole::head;
  const Manifest manifest(tensors);
  CHECK(manifest.digest() == [&] {
    std::vector<TensorSpec> plain = tensors;
    for (TensorSpec& t : plain) t.role = TensorRole::weight;
    return Manifest(plain).digest();
  }());
  const auto roles = [&](std::vector<std::string> normalization, std::vector<std::string> head) {
    const Manifest named = manifest.with_roles({std::move(normalization), std::move(head)});
    CHECK(named.digest() == manifest.digest());
    CHECK(named.dimension() == manifest.dimension());
    std::string text;
    for (const TensorSpec& t : named.tensors()) text += "wnh"[static_cast<int>(t.role)];
    return text;
  };
  CHECK(roles({}, {}) == "wnwwh");
  CHECK(roles({"b.norm.weight"}, {}) == "wwwnh");
  CHECK(roles({"*.norm.*"}, {}) == "wnwnh");  // statistics have no role
  CHECK(roles({"?.norm.weight"}, {"b.*"}) == "wnwhh");
  CHECK(roles({}, {"a.conv.weight", "*ou?"}) == "hnwwh");
  CHECK(roles({"*"}, {}) == "nnwnn");
  CHECK(roles({"a**c*t"}, {}) == "nwwwh");
  for (const char* pattern : {"", "c*", "a.norm", "*mean", "b.out?", "a.conv.weight.*", "B.out"}) {
    ams::test::expect_error(
        ams::ErrorCode::invalid_argument, [&] { (void)roles({pattern}, {}); }, "normalization",
        pattern);
    ams::test::expect_error(
        ams::ErrorCode::invalid_argument,
        [&] {
          (void)roles({}, {"*", pattern});
        },
        "head");
  }
}

TEST_CASE("sizes beyond 32-bit coordinates are refused, also where a product would overflow") {
  constexpr auto max = static_cast<std::int64_t>(Manifest::max_dimension);
  CHECK(Manifest({tensor("w", {max})}).dimension() == Manifest::max_dimension);
  CHECK(Manifest({tensor("w", {65535, 65537})}).dimension() == Manifest::max_dimension);
  expect_refused({tensor("w", {max + 1})}, "w");
  expect_refused({tensor("w", {65536, 65536})}, "w");
  expect_refused({tensor("w", {1LL << 32, 1LL << 32})}, "w");
  expect_refused({tensor("w", {1LL << 62, 4})}, "w");
  expect_refused({tensor("w", {INT64_MAX, INT64_MAX, INT64_MAX})}, "w");
  expect_refused({tensor("w", {max}), tensor("v", {1})}, "v");
}

TEST_CASE("too many tensors are refused") {
  std::vector<TensorSpec> tensors;
  for (std::size_t i = 0; i < Manifest::max_tensors; ++i) {
    tensors.push_back(tensor(std::to_string(i), {}));
  }
  CHECK(Manifest(tensors).dimension() == Manifest::max_tensors);
  tensors.push_back(tensor("one more", {}));
  expect_refused(tensors, "65537 tensors");
}
