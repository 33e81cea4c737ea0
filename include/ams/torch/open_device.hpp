#pragma once

#include <c10/core/Device.h>

#include <string>

#include "ams/core/error.hpp"

namespace ams {

/// name: cpu, cuda, cuda:1, ... Throws Error(unavailable) unless a tensor can be made there.
c10::Device open_device(const std::string& name);

}  // namespace ams
