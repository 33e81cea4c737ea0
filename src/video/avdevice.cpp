#include "avdevice.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

extern "C" {
#include <libavdevice/version.h>
}

#include "ams/core/error.hpp"

namespace ams::libav {
namespace {

#ifdef __APPLE__
constexpr const char* name_pattern = "libavdevice.{}.dylib";
#else
constexpr const char* name_pattern = "libavdevice.so.{}";
#endif

using Register = void (*)();

/// Null where the library of the version that goes with this libavformat is not there.
Register load(const std::string& name) {
  void* const library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr
                            : reinterpret_cast<Register>(::dlsym(library, "avdevice_register_all"));
}

}  // namespace

void register_devices(const std::string& what) {
  static const std::string name =
      fmt::format(fmt::runtime(name_pattern), LIBAVDEVICE_VERSION_MAJOR);
  static const Register all = load(name);  // and kept: libavformat knows what is in it
  if (all == nullptr) {
    throw Error(ErrorCode::unavailable,
                fmt::format("{} needs {}, which cannot be loaded; Debian has it in libavdevice{}",
                            what, name, LIBAVDEVICE_VERSION_MAJOR));
  }
  all();
}

}  // namespace ams::libav
