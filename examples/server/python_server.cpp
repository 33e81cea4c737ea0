#include "server/python_server.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace ams {
namespace {

/// The value of `--name value` or `--name=value` at `arguments[i]`; null: it is another argument.
const char* value_of(const char* name, const std::vector<char*>& arguments, std::size_t i) {
  const std::string_view argument = arguments[i];
  if (argument == name) return i + 1 < arguments.size() ? arguments[i + 1] : nullptr;
  const bool is_joined = argument.starts_with(std::string(name) + "=");
  return is_joined ? arguments[i] + std::strlen(name) + 1 : nullptr;
}

}  // namespace

void become_python_server(int argc, char** argv) {
  const std::vector<char*> given(argv + 1, argv + argc);
  const char* const named = std::getenv("AMS_PYTHON");
  const char* python = named && *named ? named : "python3";
  bool is_task_of_python = false;
  std::vector<char*> kept;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (const char* value = value_of("--python", given, i)) {
      python = value;
      if (value == (i + 1 < given.size() ? given[i + 1] : nullptr)) ++i;
      continue;  // it is not the other program's
    }
    const char* const task = value_of("--task", given, i);
    is_task_of_python |= task && std::string_view(task).starts_with("python:");
    kept.push_back(given[i]);
  }
  if (!is_task_of_python) return;
  std::vector<const char*> command = {python, "-m", "ams.server"};
  command.insert(command.end(), kept.begin(), kept.end());
  command.push_back(nullptr);
  ::execvp(python, const_cast<char* const*>(command.data()));
  std::fprintf(stderr,
               "error: the interpreter '%s' cannot be started: %s; name one with --python\n",
               python, std::strerror(errno));
  std::exit(1);
}

}  // namespace ams
