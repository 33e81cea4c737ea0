#pragma once

#include <exception>

#include "ams/core/error.hpp"

namespace ams::detail {

/// What is being handled, as an Error of the library. For a catch block.
inline Error current_error() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return Error(ErrorCode::unavailable, error.what());
  } catch (...) {
    return Error(ErrorCode::unavailable, "an unknown exception");
  }
}

}  // namespace ams::detail
