#pragma once

#include "ams/net/websocket_transport.hpp"
#include "ams/runtime/server_host.hpp"
#include "ams/runtime/thread_executor.hpp"

namespace ams {

/// Ends a server within about 5 s, whatever is being trained or labelled. The update of a phase
/// that ends soon still goes out, and connections end in order. False: the phase is still running,
/// on a thread that uses host and executor, so that neither may be destroyed.
bool shut_down(ServerHost& host, ThreadExecutor& executor, WebSocketServerTransport& network);

}  // namespace ams
