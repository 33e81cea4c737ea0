#include <ams/runtime/thread_executor.hpp>
#include <cstdio>
#include <optional>

int main() {
  int done = 0;
  ams::ThreadExecutor executor;
  executor.submit({ams::WorkKind::save, "camera",
                   [&]() -> std::optional<ams::WorkCost> {
                     ++done;
                     return ams::WorkCost{};
                   },
                   [&] { ++done; }});
  executor.stop();
  std::printf("%d parts of a piece of work\n", done);
  return done == 2 ? 0 : 1;
}
