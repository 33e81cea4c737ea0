#pragma once

#include <ATen/autocast_mode.h>

namespace ams {

/// Matrix products and convolutions on the CPU in bfloat16 while it lives, if `on`.
class Autocast {
 public:
  explicit Autocast(bool on)
      : on_(on),
        was_enabled_(at::autocast::is_autocast_enabled(at::kCPU)),
        previous_type_(at::autocast::get_autocast_dtype(at::kCPU)) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, was_enabled_);
    at::autocast::set_autocast_dtype(at::kCPU, previous_type_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
  bool was_enabled_;
  at::ScalarType previous_type_;
};

}  // namespace ams
