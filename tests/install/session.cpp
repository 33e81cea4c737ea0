#include <ams/session/turn_scheduler.hpp>
#include <cstdio>
#include <string>

int main() {
  ams::TurnScheduler<std::string> turns;
  turns.request("camera a");
  turns.request("camera b");
  std::printf("%s goes first\n", turns.grant()->c_str());
  return 0;
}
