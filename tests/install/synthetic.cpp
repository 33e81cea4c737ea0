#include <ams/synthetic/street.hpp>
#include <cstdio>

int main() {
  ams::StreetOptions options;
  options.width = 64;
  options.height = 32;
  const auto [frame, labels] = ams::Street(options).render(0);
  std::printf("a street of %u x %u pixels\n", unsigned(labels.width), unsigned(labels.height));
  return 0;
}
