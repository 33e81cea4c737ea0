#pragma once

#include <functional>
#include <memory>

#include "ams/net/server.hpp"
#include "ams/runtime/executor.hpp"
#include "ams/runtime/server_host.hpp"

namespace ams {

/// The page for operators, of page.html.
extern const char operator_page[];

/// What the page and scripts ask a server for (docs/deployment.md). Answers and errors are JSON
/// (`{"error": "..."}`), pictures JPEG.
///
///     GET  /api/devices                       all devices
///     GET  /api/devices/<id>                  one, with its past in `history`
///     GET  /api/devices/<id>/<picture>.jpg    sample, teacher, adapted or no_customization
///     POST /api/devices/<id>/<command>        pause, resume, reset, roll-back or disconnect
///
/// The id is percent-encoded. Copies share their pictures. Call it from one thread at a time.
class OperatorApi {
 public:
  /// Both outlive it.
  OperatorApi(ServerHost& host, const Executor& executor);

  void operator()(const HttpRequest& request, const HttpReply& reply) const;

 private:
  struct Pictures;
  std::shared_ptr<Pictures> pictures_;
  ServerHost* host_;
  const Executor* executor_;
};

}  // namespace ams
