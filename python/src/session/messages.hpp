#pragma once

#include <array>
#include <utility>

#include "ams/session/messages.hpp"
#include "fields.hpp"

namespace ams::python {

template <>
struct EnumWords<ErrorCode> {
  static constexpr std::array words{
      std::pair{"invalid_argument", ErrorCode::invalid_argument},
      std::pair{"malformed_data", ErrorCode::malformed_data},
      std::pair{"unsupported_version", ErrorCode::unsupported_version},
      std::pair{"manifest_mismatch", ErrorCode::manifest_mismatch},
      std::pair{"base_version_mismatch", ErrorCode::base_version_mismatch},
      std::pair{"digest_mismatch", ErrorCode::digest_mismatch},
      std::pair{"limit_exceeded", ErrorCode::limit_exceeded},
      std::pair{"io_error", ErrorCode::io_error},
      std::pair{"unavailable", ErrorCode::unavailable},
      std::pair{"unauthorized", ErrorCode::unauthorized},
      std::pair{"protocol_violation", ErrorCode::protocol_violation}};
};
template <>
struct EnumWords<Resume> {
  static constexpr std::array words{std::pair{"in_step", Resume::in_step},
                                    std::pair{"updates", Resume::updates},
                                    std::pair{"snapshot", Resume::snapshot}};
};

}  // namespace ams::python
