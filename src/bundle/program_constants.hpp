#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ams/bundle/executorch_program.hpp"
#include "json_fields.hpp"

namespace ams {

/// The list "constants" of a bundle's ExecuTorch program, whose tensors are those of `manifest` and
/// the frozen ones: constants that lie apart in the program's bytes and are made of all tensors of
/// the manifest. Throws Error(malformed_data), which begins with `where`.
std::vector<ProgramConstant> read_constants(const JsonFields& fields, const Manifest& manifest,
                                            const Manifest& frozen, std::size_t program_bytes,
                                            const std::string& where);

}  // namespace ams
