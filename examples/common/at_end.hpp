#pragma once

namespace ams {

/// Calls a function at the end of its scope, however that ends.
template <class Function>
struct AtEnd {
  Function function;
  ~AtEnd() { function(); }
};
template <class Function>
AtEnd(Function) -> AtEnd<Function>;

}  // namespace ams
