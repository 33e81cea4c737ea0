#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// What every program has, whatever it does.
namespace ams::options {

/// "256x128" -> {256, 128}. Throws CLI::ValidationError unless both are in [smallest, largest].
std::pair<int, int> parse_size(const std::string& text, int smallest = 16, int largest = 8192);

/// For CLI::Option::check: parse_size() as a validator.
CLI::Validator size_between(int smallest, int largest);

/// What stands in a section of the file of --config: names and values, in order.
using Section = std::vector<std::pair<std::string, std::string>>;

/// Sections [<name>.<id>] of the file of --config go here, by id, and are no flags. Before parsing;
/// `sections` lives as long.
void take_sections(const std::string& name, std::map<std::string, Section>& sections);

/// Flags of every program: --config --log-level --log-format --version. Applies logging on parse; a
/// config file with an unknown name is refused.
void add_common(CLI::App& app);

/// As many open files as the system allows: a server needs one for each device, and services begin
/// with 1024.
void allow_many_files();

/// Parses, runs `body`, and turns every failure into one line on stderr and a non-zero exit status.
/// Stopped (signals.hpp) gives a shell's status for its signal.
int run(CLI::App& app, int argc, char** argv, int (*body)());

}  // namespace ams::options
