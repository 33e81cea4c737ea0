#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ams/runtime/transport.hpp"

namespace ams {

/// For tests: passes everything on, and flips one bit of the n-th Update (from 1; 0: of none).
class DamagingTransport final : public ServerTransport {
 public:
  DamagingTransport(ServerTransport& inner, std::uint64_t number)
      : inner_(inner), number_(number) {}

  void send(ConnectionId connection, ServerMessage message) override {
    if (auto* update = std::get_if<Update>(&message); update && ++updates_ == number_) {
      std::vector<std::byte> bytes = update->bytes.to_vector();
      bytes.at(bytes.size() / 2) ^= std::byte{1};
      update->bytes = std::move(bytes);
    }
    inner_.send(connection, std::move(message));
  }
  void close(ConnectionId connection, const std::string& reason) override {
    inner_.close(connection, reason);
  }
  LinkCounters counters(ConnectionId connection) const override {
    return inner_.counters(connection);
  }

 private:
  ServerTransport& inner_;
  const std::uint64_t number_;
  std::uint64_t updates_ = 0;  // the host sends one message at a time
};

}  // namespace ams
