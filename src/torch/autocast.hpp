#pragma once

#include <ATen/autocast_mode.h>

namespace ams {

/// Matrix products and convolutions on this kind of device in bfloat16 while it lives, if `on`.
class Autocast {
 public:
  explicit Autocast(bool on, at::Device device = at::kCPU)
      : on_(on),
        device_(device.type()),
        was_enabled_(at::autocast::is_autocast_enabled(device_)),
        previous_type_(at::autocast::get_autocast_dtype(device_)) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, was_enabled_);
    at::autocast::set_autocast_dtype(device_, previous_type_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool on_;
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType previous_type_;
};

}  // namespace ams
