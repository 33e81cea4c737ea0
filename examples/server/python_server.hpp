#pragma once

namespace ams {

/// With --task python:MODULE:FACTORY this process becomes `python -m ams.server` with the same
/// arguments: its trainer and its task are Python's. --python or AMS_PYTHON names the interpreter.
/// Returns where there is no such flag. Ends the process when the interpreter cannot be started.
void become_python_server(int argc, char** argv);

}  // namespace ams
