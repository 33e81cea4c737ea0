#pragma once

#include <vector>

#include "ams/runtime/server_host.hpp"
#include "server/flags.hpp"

namespace ams {

/// The file of --report. total: bytes of all connections; manifest: of the student. Throws
/// Error(io_error).
void write_report(const std::vector<SessionReport>& sessions, const LinkCounters& total,
                  const Manifest& manifest, const ServerFlags& flags);

}  // namespace ams
