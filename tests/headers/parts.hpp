#pragma once

#include <cstdint>
#include <string>

// One line of output: what was computed, and a digest of it. Equal in every build.
void report(const char* what, std::uint64_t digest);

void train();                             // training.cpp
void deliver(const std::string& golden);  // delivery.cpp; golden: the folder of the golden files
void converse();                          // conversation.cpp
