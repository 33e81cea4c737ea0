#include "ams/core/manifest_difference.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using ams::Manifest;
using ams::manifest_difference;
using ams::TensorKind;
using ams::TensorSpec;

namespace {

TensorSpec tensor(std::string name, std::vector<std::int64_t> shape,
                  TensorKind kind = TensorKind::parameter) {
  TensorSpec spec;
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.kind = kind;
  return spec;
}

}  // namespace

TEST_CASE("equal manifests do not differ, whatever their roles") {
  const Manifest one({tensor("a", {2}), tensor("b", {})});
  CHECK(manifest_difference(one, one).empty());
  CHECK(manifest_difference(one, one.with_roles({{}, {"a"}})).empty());
  CHECK(manifest_difference(Manifest(), Manifest()).empty());
}

TEST_CASE("what differs is named, and whose it is") {
  const Manifest one({tensor("stem", {8, 3}), tensor("mean", {2}), tensor("head", {4, 8})});
  const Manifest other({tensor("stem", {8, 3}), tensor("mean", {2}, TensorKind::statistic),
                        tensor("head", {5, 8}), tensor("bias", {5})});
  CHECK(manifest_difference(one, other, "the server", "the device") ==
        "only the device has 'bias'; 'mean' is [2] in the server and [2] (statistic) in the "
        "device, 'head' is [4, 8] in the server and [5, 8] in the device");
  CHECK(manifest_difference(other, one).starts_with("only the first has 'bias'; "));
  CHECK(manifest_difference(one, Manifest()) == "only the first has 'stem', 'mean', 'head'");
}

TEST_CASE("long lists are cut short") {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i < 9; ++i) tensors.push_back(tensor("t" + std::to_string(i), {1}));
  CHECK(manifest_difference(Manifest(), Manifest(tensors)) ==
        "only the second has 't0', 't1', 't2' and 6 more");
}

TEST_CASE("the order counts") {
  const Manifest one({tensor("a", {1}), tensor("b", {2}), tensor("c", {3})});
  const Manifest other({tensor("a", {1}), tensor("c", {3}), tensor("b", {2})});
  CHECK(manifest_difference(one, other) ==
        "tensor 1 is 'b' in the first and 'c' in the second");
}
