#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ams/session/messages.hpp"

namespace ams {

/// Whether two secrets are equal, in a time that tells nothing about where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// An authorize callback (server.hpp) that lets in devices with one of these tokens and answers
/// others with Fault(unauthorized). Throws Error(invalid_argument) on an empty list, an empty token
/// or one of more than 1024 bytes.
std::function<std::optional<Fault>(const Hello&)> accept_tokens(std::vector<std::string> tokens);

}  // namespace ams
