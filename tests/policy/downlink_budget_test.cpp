#include "ams/policy/budget/downlink_budget.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "ams/core/error.hpp"

namespace {

using ams::DownlinkBudget;
using ams::DownlinkBudgetOptions;

struct Sent {
  double seconds, bytes;  // with overhead
};

/// Bytes of the window that ends at `end`, when each update counts evenly over the interval before
/// it; straight from that definition, in steps of a thousandth of the interval.
double window_bytes(const std::vector<Sent>& sent, double end, double window_seconds,
                    double interval) {
  double bytes = 0;
  for (const auto& [seconds, size] : sent) {
    for (int i = 0; i < 1000; ++i) {
      const double at = seconds - interval * (i + 0.5) / 1000;
      if (at > end - window_seconds && at < end) bytes += size / 1000;
    }
  }
  return bytes;
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
      std::vector<Sent> sent;
      double total = 0;
      for (double now = interval; now < 1200; now += interval) {
        const bool changed = random() % 7 == 0;
        const std::size_t allowed = budget.allowance_bytes(now, interval, changed);
        const std::size_t wanted = random() % 4 == 0 ? allowed : random() % (allowed + 1);
        CHECK(double(allowed) + 28 <= 3 * budget_bps * interval / 8 + 29);
        if (allowed == 0) continue;
        budget.spend(now, wanted, interval);
        sent.push_back({now, double(wanted) + 28});
        total += double(wanted) + 28;
        // A third of a window in advance, paid back with half of the budget.
        CHECK(total <= budget_bps / 8 * (now + std::max(0.0, 20 - now / 2)) * (1 + 1e-9));
      }
      const double window = std::max(60.0, interval);
      for (const Sent& each : sent) {
        CHECK(window_bytes(sent, each.seconds, window, interval) <=
              budget_bps * window / 8 * 1.001);
      }
    }
  }
}

TEST_CASE("who always has something to send uses the budget, whatever T_update and when it comes") {
  std::mt19937 random(6);
  std::uniform_real_distribution<double> jitter(-0.02, 0.02);
  for (const double interval : {5.0, 7.0, 10.0, 25.0, 40.0, 45.0, 50.0, 58.0, 60.0, 61.0, 100.0}) {
    for (const bool is_late_and_early : {false, true}) {
      CAPTURE(interval);
      DownlinkBudget budget({.budget_bps = 1000});
      double total = 0, least = 1e9;
      const int updates = static_cast<int>(1200 / interval);
      for (int i = 1; i <= updates; ++i) {
        const double now = interval * i + (is_late_and_early ? jitter(random) : 0.0);
        const std::size_t bytes = budget.allowance_bytes(now, interval, false);
        budget.spend(now, bytes, interval);
        total += double(bytes) + 28;
        if (now > 60) least = std::min(least, double(bytes) + 28);
      }
      CHECK(total * 8 / (interval * updates) > 0.97 * 1000);
      CHECK(total * 8 / (interval * updates) <= 1001);
      CHECK(least > 0.9 * 1000 * interval / 8);  // none is starved
    }
  }
}

TEST_CASE("what quiet times leave goes out when the scene changes, up to what the link takes") {
  const auto after_quiet = [](double link_bps, bool changed) {
    DownlinkBudget budget({.budget_bps = 1000, .link_bps = link_bps});
    for (double now = 10; now <= 60; now += 10) budget.spend(now, 472, 10);
    return budget.allowance_bytes(70, 10, changed);
  };
  // 7500 bytes a window, 5 x 500 spent in it.
  CHECK(after_quiet(1e6, true) == 7500 - 2500 - 28);
  CHECK(after_quiet(1e6, false) == 1250 + 1875 - 28);
  CHECK(after_quiet(2000, true) == 2500 - 28);
  CHECK(after_quiet(0, true) == 5000 - 28);
}

TEST_CASE("a budget begins with an advance, paid back by half of the budget before a minute") {
  DownlinkBudget budget({.budget_bps = 800}, 100);
  CHECK(budget.steady_bytes(10) == doctest::Approx(972));
  CHECK(budget.steady_bytes(0.01) == 0);
  CHECK(budget.allowance_bytes(100, 10, false) == 2000 - 28);  // of a third of a window
  CHECK(budget.allowance_bytes(110, 10, false) == 2500 - 28);
  CHECK(budget.allowance_bytes(130, 10, true) == 3500 - 28);
  CHECK(budget.allowance_bytes(140, 10, true) == 4000 - 28);  // nothing in advance any more
  budget.spend(110, 2500 - 28, 10);
  std::vector<std::size_t> next;
  for (double now = 120; now <= 200; now += 10) {
    next.push_back(budget.allowance_bytes(now, 10, true));
    budget.spend(now, next.back(), 10);
  }
  // No echo when the large one leaves the window.
  CHECK(next == std::vector<std::size_t>{472, 472, 472, 972, 972, 972, 972, 972, 972});
}

TEST_CASE("what is owed is paid back evenly in half a window, and updates go on") {
  DownlinkBudget budget({.budget_bps = 800});  // 6000 bytes a window
  budget.owe(0, 1500);
  // The advance, 50 bytes a second until 40 s, is smaller by what is owed till then.
  CHECK(budget.allowance_bytes(10, 10, true) == 1000 - 500 + 500 - 28);
  CHECK(budget.allowance_bytes(20, 10, true) == 2000 - 1000 + 500 - 28);
  CHECK(budget.allowance_bytes(30, 10, true) == 3000 - 1500 + 500 - 28);
  CHECK(budget.allowance_bytes(60, 60, true) == 6000 - 1500 - 28);
  CHECK(budget.allowance_bytes(75, 60, true) == 6000 - 750 - 28);
  CHECK(budget.allowance_bytes(90, 60, true) == 6000 - 28);
}

TEST_CASE("what is owed is paid back whatever it is, with half of the budget") {
  DownlinkBudget budget({.budget_bps = 800});
  const double owed = 60000;  // ten windows
  budget.owe(0, static_cast<std::size_t>(owed));
  double total = owed;
  for (double now = 10; now <= 1200; now += 10) {
    const std::size_t bytes = budget.allowance_bytes(now, 10, false);
    CHECK(bytes > 400);
    budget.spend(now, bytes, 10);
    total += double(bytes) + 28;
  }
  CHECK(total == doctest::Approx(100 * 1200).epsilon(0.01));
}

TEST_CASE("several debts take no more than half of the budget either, and none is forgiven") {
  std::mt19937 random(8);
  for (const int debts : {2, 4, 300}) {
    for (const double apart_seconds : {0.0, 0.01, 0.3, 7.0}) {
      CAPTURE(debts);
      CAPTURE(apart_seconds);
      DownlinkBudget budget({.budget_bps = 8000});  // 1000 bytes a second
      double owed = 0, sent = 0, now = 10;
      int debt = 0;
      const auto owe_until = [&](double time) {
        for (; debt < debts && debt * apart_seconds <= time; ++debt) {
          const std::size_t bytes = 1 + random() % (400000 / static_cast<std::size_t>(debts));
          budget.owe(debt * apart_seconds, bytes);
          owed += double(bytes);
        }
      };
      // Who takes all that is allowed gets about half of the budget meanwhile, and all of it in the
      // end.
      for (; now < debts * apart_seconds + 2 * owed / 1000 + 100; now += 10) {
        owe_until(now);
        const std::size_t bytes = budget.allowance_bytes(now, 10, false);
        CHECK(bytes >= 0.4 * 10000);
        budget.spend(now, bytes, 10);
        sent += double(bytes) + 28;
      }
      CHECK(debt == debts);
      CHECK(sent + owed <= 1000 * now);
      CHECK(sent + owed >= 1000 * (now - 20));
    }
  }
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
  CHECK_THROWS_AS(DownlinkBudget({}, std::nan("")), ams::Error);
  CHECK_THROWS_AS(DownlinkBudget({}, -INFINITY), ams::Error);
  const DownlinkBudget budget({});
  CHECK_THROWS_AS(budget.allowance_bytes(0, 0, false), ams::Error);
  CHECK_THROWS_AS(budget.allowance_bytes(0, std::nan(""), false), ams::Error);
  CHECK_THROWS_AS(budget.allowance_bytes(INFINITY, 1, false), ams::Error);
  DownlinkBudget spent({});
  CHECK_THROWS_AS(spent.spend(1, 100, 0), ams::Error);
  CHECK_THROWS_AS(spent.owe(std::nan(""), 100), ams::Error);
  CHECK_THROWS_AS(spent.spend(1, 100, std::nan("")), ams::Error);
}
