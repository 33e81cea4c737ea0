#include "ams/core/downlink_budget.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "ams/core/error.hpp"

namespace {

using ams::DownlinkBudget;
using ams::DownlinkBudgetOptions;

/// Most bytes, with overhead, that went out within any window; straight from its definition.
double busiest_window(const std::vector<std::pair<double, double>>& sent, double window_seconds) {
  double most = 0;
  for (const auto& [begin, unused] : sent) {
    double bytes = 0;
    for (const auto& [seconds, size] : sent) {
      if (seconds >= begin && seconds < begin + window_seconds) bytes += size;
    }
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace

TEST_CASE("whatever there is to send, no window is over budget and no update over the link") {
  std::mt19937 random(5);
  for (const double interval : {2.0, 5.0, 10.0, 40.0, 90.0}) {
    for (const double budget_bps : {300.0, 2000.0, 50000.0}) {
      CAPTURE(interval);
      CAPTURE(budget_bps);
      const DownlinkBudgetOptions options{.budget_bps = budget_bps, .link_bps = 3 * budget_bps};
      DownlinkBudget budget(options);
      std::vector<std::pair<double, double>> sent;
      for (double now = interval; now < 1200; now += interval) {
        const bool changed = random() % 7 == 0;
        const std::size_t allowed = budget.allowance_bytes(now, interval, changed);
        const std::size_t wanted = random() % 4 == 0 ? allowed : random() % (allowed + 1);
        CHECK(double(allowed) + 28 <= 3 * budget_bps * interval / 8 + 29);
        if (allowed == 0) continue;
        budget.spend(now, wanted);
        sent.emplace_back(now, double(wanted) + 28);
      }
      const double window = std::max(60.0, interval);
      CHECK(busiest_window(sent, window) <= budget_bps * window / 8 * (1 + 1e-9));
    }
  }
}

TEST_CASE("who always has something to send uses all of the budget") {
  DownlinkBudget budget({.budget_bps = 1000});
  double total = 0;
  for (double now = 10; now <= 600; now += 10) {
    // Steps of a power of two: what fits is rarely all that is allowed.
    const std::size_t bytes = budget.allowance_bytes(now, 10, false) * 4 / 5;
    budget.spend(now, bytes);
    total += double(bytes) + 28;
  }
  CHECK(total * 8 / 600 > 0.94 * 1000);
  CHECK(total * 8 / 600 <= 1000);
}

TEST_CASE("what quiet times leave goes out when the scene changes, up to what the link takes") {
  const auto after_quiet = [](double link_bps, bool changed) {
    DownlinkBudget budget({.budget_bps = 1000, .link_bps = link_bps});
    for (double now = 10; now <= 60; now += 10) budget.spend(now, 472);
    return budget.allowance_bytes(70, 10, changed);
  };
  // 7500 bytes a window, 5 x 500 spent in it.
  CHECK(after_quiet(1e6, true) == 7500 - 2500 - 28);
  CHECK(after_quiet(1e6, false) == 1250 + 2812 - 28);
  CHECK(after_quiet(2000, true) == 2500 - 28);
  CHECK(after_quiet(0, true) == 5000 - 28);
}

TEST_CASE("a budget begins empty") {
  const DownlinkBudget budget({.budget_bps = 800}, 100);
  CHECK(budget.allowance_bytes(100, 10, true) == 0);
  CHECK(budget.allowance_bytes(110, 10, true) == 1000 - 28);
  CHECK(budget.allowance_bytes(130, 10, true) == 3000 - 28);
  CHECK(budget.steady_bytes(10) == doctest::Approx(972));
  CHECK(budget.steady_bytes(0.01) == 0);
}

TEST_CASE("what is owed is paid back evenly in half a window, and updates go on") {
  DownlinkBudget budget({.budget_bps = 800});  // 6000 bytes a window
  budget.owe(0, 1500);
  CHECK(budget.allowance_bytes(10, 10, true) == 1000 - 500 - 28);
  CHECK(budget.allowance_bytes(20, 10, true) == 2000 - 1000 - 28);
  CHECK(budget.allowance_bytes(30, 10, true) == 3000 - 1500 - 28);
  CHECK(budget.allowance_bytes(60, 60, true) == 6000 - 1500 - 28);
  CHECK(budget.allowance_bytes(70, 60, true) == 6000 - 1000 - 28);
  CHECK(budget.allowance_bytes(90, 60, true) == 6000 - 28);

  // Who sends all that is allowed has kept to the budget by then, what was owed included.
  double total = 1500;
  DownlinkBudget spent({.budget_bps = 800});
  spent.owe(0, 1500);
  for (double now = 5; now <= 60; now += 5) {
    const std::size_t bytes = spent.allowance_bytes(now, 5, false);
    if (bytes == 0) continue;
    spent.spend(now, bytes);
    total += double(bytes) + 28;
    if (now >= 30) CHECK(total <= 100 * now);
  }
  CHECK(total > 0.9 * 6000);
}

TEST_CASE("options and arguments out of range are refused") {
  for (const DownlinkBudgetOptions& options :
       std::vector<DownlinkBudgetOptions>{{.budget_bps = 0},
                                          {.budget_bps = std::nan("")},
                                          {.budget_bps = 2e9},
                                          {.budget_bps = 1000, .link_bps = 999},
                                          {.budget_bps = 1000, .link_bps = INFINITY},
                                          {.window_seconds = 0},
                                          {.overhead_bytes = -1}}) {
    CHECK_THROWS_AS(DownlinkBudget{options}, ams::Error);
  }
  const DownlinkBudget budget({});
  CHECK_THROWS_AS(budget.allowance_bytes(0, 0, false), ams::Error);
  CHECK_THROWS_AS(budget.allowance_bytes(0, std::nan(""), false), ams::Error);
  CHECK_THROWS_AS(budget.allowance_bytes(INFINITY, 1, false), ams::Error);
}
