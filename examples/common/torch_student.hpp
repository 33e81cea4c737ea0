#pragma once

#include <memory>

#include "ams/torch/student_spec.hpp"
#include "common/options.hpp"

namespace ams {

/// A student that libtorch has opened.
struct TorchStudent {
  StudentSpec spec;
  StudentValues values;
  std::shared_ptr<const void> files;  ///< those of a bundle, which `spec` names: they go with it
};

/// `spec` is what flags.spec() gives, perhaps with more in it. Throws Error as
/// load_student_values(), io_error, and manifest_mismatch for a bundle whose network is not the
/// student that it says.
TorchStudent load_torch_student(const options::StudentFlags& flags, StudentSpec spec);

}  // namespace ams
