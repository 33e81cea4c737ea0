#pragma once

namespace ams {

/// Version of the library, semantic versioning. The update format and the wire protocol carry
/// versions of their own (docs/format.md, docs/protocol.md).
inline constexpr const char* version_string = "0.2.0";

}  // namespace ams
