#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <vector>

#include "ams/runtime/server_host.hpp"
#include "server/flags.hpp"

namespace ams {

/// What --report gets. total: bytes of all connections; parameters: of the student.
nlohmann::json server_report(const std::vector<SessionReport>& sessions, const LinkCounters& total,
                             std::size_t parameters, const ServerFlags& flags);

}  // namespace ams
