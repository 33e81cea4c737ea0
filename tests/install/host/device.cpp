#include <ams/policy/paper.hpp>
#include <ams/runtime/thread_executor.hpp>
#include <optional>

int pieces_of_work();

int pieces_of_work() {
  int done = 0;
  ams::ThreadExecutor executor;
  executor.submit({ams::WorkKind::save, "camera",
                   [&]() -> std::optional<ams::WorkCost> {
                     ++done;
                     return ams::WorkCost{};
                   },
                   [&] { ++done; }});
  executor.stop();
  return done;
}
