#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <vector>

#include "ams/runtime/server_host.hpp"
#include "server/flags.hpp"

namespace ams {

/// What --report gets. total: bytes of all connections; manifest: of the student.
nlohmann::json server_report(const std::vector<SessionReport>& sessions, const LinkCounters& total,
                             const Manifest& manifest, const ServerFlags& flags);

}  // namespace ams
