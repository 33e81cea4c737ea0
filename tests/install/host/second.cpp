#include <ams/core/update_codec.hpp>

std::size_t size_of_a_second_update();

std::size_t size_of_a_second_update() {
  auto manifest = std::make_shared<const ams::Manifest>(std::vector<ams::TensorSpec>{{"v", {4}}});
  ams::ModelState held(manifest, std::vector<float>(4, 1.0F));
  return ams::encode_update(held, std::vector<float>(4, 2.0F),
                            ams::CoordinateSet::from_sorted(4, {2}))
      .size();
}
