#include <cstdio>

#include "ams/bundle/student_bundle.hpp"
#include "ams/core/error.hpp"

int main() {
  try {
    ams::open_student_bundle("none.bundle");
  } catch (const ams::Error& error) {
    std::puts(error.what());
    return 0;
  }
  return 1;
}
