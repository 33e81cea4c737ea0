#pragma once

#include <functional>
#include <memory>
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

/// The same, with tokens that may be exchanged while a server runs. A copy shares them, so that a
/// server may be given one. Every function may be called from every thread.
class ReplaceableTokens {
 public:
  /// Both throw as accept_tokens().
  explicit ReplaceableTokens(std::vector<std::string> tokens);
  void replace(std::vector<std::string> tokens);

  std::optional<Fault> operator()(const Hello& hello) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ams
