#include "compact_state.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ams/core/error.hpp"
#include "byte_io.hpp"

namespace ams::detail {
namespace {

constexpr std::size_t context_count =
    SharedContexts::count + tensor_class_count * ClassContexts::count;
constexpr std::size_t context_bytes = 10;
constexpr std::size_t tensor_bytes = 2;
constexpr std::uint8_t largest_magnitude_class = 5;

/// Contexts and tensors, in this order.
void append_memory(std::vector<std::byte>& bytes, const CompactState& state) {
  std::size_t at = bytes.size();
  bytes.resize(at + context_bytes * state.contexts.size() + tensor_bytes * state.tensors.size());
  for (const AdaptiveBit& context : state.contexts) {
    store_le(bytes.data() + at, context.fast);
    store_le(bytes.data() + at + 4, context.slow);
    store_le(bytes.data() + at + 8, static_cast<std::uint16_t>(context.seen));
    at += context_bytes;
  }
  for (const CompactState::Tensor& tensor : state.tensors) {
    store_le(bytes.data() + at, static_cast<std::uint8_t>(tensor.step_exponent));
    store_le(bytes.data() + at + 1,
             static_cast<std::uint8_t>((tensor.known ? 1 : 0) | (tensor.took_part ? 2 : 0)));
    at += tensor_bytes;
  }
}

Digest history_digest(std::size_t index, std::span<const std::uint8_t> history) {
  if (std::all_of(history.begin(), history.end(), [](std::uint8_t h) { return h == 0; })) return 0;
  return mix64(index ^ byte_digest(std::as_bytes(history)));
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::malformed_data, message);
}

}  // namespace

TensorClass tensor_class(const TensorSpec& tensor) {
  return tensor.kind == TensorKind::statistic ? TensorClass::statistic
         : tensor.shape.size() <= 1           ? TensorClass::vector
                                              : TensorClass::matrix;
}

CompactState::CompactState(const Manifest& manifest)
    : history(manifest.dimension()),
      tensors(manifest.tensors().size()),
      contexts(context_count),
      history_digests_(manifest.tensors().size()) {}

void CompactState::update_digest(const Manifest& manifest) {
  std::vector<std::byte> memory;
  append_memory(memory, *this);
  digest_ = byte_digest(memory);
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const TensorSpec& spec = manifest.tensors()[t];
    if (tensors[t].took_part) {
      history_digests_[t] = history_digest(t, std::span(history).subspan(spec.offset, spec.size));
    }
    digest_ += history_digests_[t];
  }
}

std::size_t CompactState::serialised_bytes(const Manifest& manifest) {
  return context_bytes * context_count + tensor_bytes * manifest.tensors().size() +
         manifest.dimension();
}

std::vector<std::byte> CompactState::serialise() const {
  std::vector<std::byte> bytes;
  append_memory(bytes, *this);
  const auto bytes_of_history = std::as_bytes(std::span(history));
  bytes.insert(bytes.end(), bytes_of_history.begin(), bytes_of_history.end());
  return bytes;
}

CompactState CompactState::parse(std::span<const std::byte> bytes, const Manifest& manifest) {
  CompactState state(manifest);
  if (bytes.size() != serialised_bytes(manifest)) {
    refuse(fmt::format("a codec state of {} bytes came; this model's has {}", bytes.size(),
                       serialised_bytes(manifest)));
  }
  const std::byte* p = bytes.data();
  for (AdaptiveBit& context : state.contexts) {
    context = {load_le<std::uint32_t>(p), load_le<std::uint32_t>(p + 4),
               load_le<std::uint16_t>(p + 8)};
    if (context.seen > AdaptiveBit::max_seen) {
      refuse(fmt::format("a context of the codec state has seen {} bits; at most {} are counted",
                         context.seen, AdaptiveBit::max_seen));
    }
    p += context_bytes;
  }
  for (Tensor& tensor : state.tensors) {
    const auto flags = load_le<std::uint8_t>(p + 1);
    tensor = {static_cast<std::int8_t>(load_le<std::uint8_t>(p)), (flags & 1) != 0,
              (flags & 2) != 0};
    if (flags > 3 || flags == 2 || tensor.step_exponent < min_step_exponent ||
        tensor.step_exponent > max_step_exponent || (!tensor.known && tensor.step_exponent != 0)) {
      refuse(fmt::format("a tensor of the codec state has flags {} and step exponent {}", flags,
                         tensor.step_exponent));
    }
    p += tensor_bytes;
  }
  std::transform(p, p + state.history.size(), state.history.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  for (const std::uint8_t h : state.history) {
    const unsigned magnitude = (h >> 1) & 7U;
    if (magnitude > largest_magnitude_class || (magnitude == 0 && h != 0)) {
      refuse(fmt::format("a history of the codec state is {:#04x}, which none can become", h));
    }
  }
  // Every history counts once; afterwards only those that change.
  for (std::size_t t = 0; t < state.tensors.size(); ++t) {
    const TensorSpec& spec = manifest.tensors()[t];
    state.history_digests_[t] =
        history_digest(t, std::span(state.history).subspan(spec.offset, spec.size));
  }
  state.update_digest(manifest);
  return state;
}

}  // namespace ams::detail
