// Reads odd files of --config. Whatever is in them, a program gets flags and sections or an error.
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/program.hpp"
#include "scratch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto file = scratch() / "config.toml";
  write_file(file, std::as_bytes(std::span(data, size)));
  CLI::App app;
  std::string text;
  double number = 0;
  int count = 0;
  bool is_on = false;
  std::vector<int> list;
  auto* const group = app.add_option_group("Group");
  group->add_option("--text", text);
  group->add_option("--list", list)->delimiter(',');
  app.add_option("--number", number)->check(CLI::Range(0.0, 1.0));
  app.add_option("--count", count);
  app.add_flag("--on,!--off", is_on);
  std::map<std::string, ams::options::Section> sections;
  ams::options::take_sections("device", sections);
  ams::options::add_common(app);
  try {
    app.parse({file.string(), "--config"});  // the last one first
  } catch (const std::exception&) {  // what run() makes a line and an exit status of
    return 0;
  }
  if (!(number >= 0 && number <= 1)) std::abort();
  return 0;
}
