#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

namespace ams {

/// Two copies of a model, of which readers use the active one while the next version is made in the
/// inactive one (section 3, "Edge device"). Inference never waits for an update and never sees half
/// of one.
///
/// Any number of threads may read and update at the same time; updates run one after another.
///
///     DoubleBufferedHolder<std::vector<float>> holder(initial_parameters);
///     // inference thread, for every frame:
///     {
///       const auto model = holder.read();
///       infer(frame, *model);
///     }
///     // network thread, for every update:
///     holder.modify([&](std::vector<float>& values) { apply(update, values); });
///
/// Progress:
/// - read() and the guard's end are wait-free: one atomic addition each, whatever other threads do.
/// - update() waits for nobody but other updates and those readers that still use the copy which
///   it is about to write: they began to read before the active copy was published. Readers of the
///   active copy, however slow, do not hold it up. It polls, so that readers need not wake it.
///
/// A guard pins its copy: hold it for one inference. A thread that keeps one while it calls
/// update() twice waits for itself forever. All guards must have ended before the holder is
/// destroyed.
///
/// Guards give const access, and several may do so at once. A model whose use changes it (a
/// predictor behind a std::unique_ptr, with scratch memory of its own) may be read by one thread
/// only.
///
/// How it works: one 64-bit word holds which copy is active (top bit) and how many readers have
/// entered it since it was published (the rest). A reader adds one, which tells it the active copy
/// and registers it there in a single step; on leaving it adds one to that copy's count of
/// departures. Publishing exchanges the word, which yields the final number of entries to the old
/// copy; that copy is free when as many have departed. Ordering: the exchange releases what the
/// update wrote, and entering acquires it (entries in between are read-modify-write operations, so
/// they carry the release on). Departing releases what the reader read, and the next update
/// acquires all departures before it writes. Nothing needs sequential consistency.
template <class Model>
class DoubleBufferedHolder {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
                "the holder needs lock-free 64-bit atomics");
  struct Slot;

 public:
  /// Access to the active copy while it lives. Movable; a moved-from guard may only be destroyed or
  /// assigned.
  class ReadGuard {
   public:
    ReadGuard(ReadGuard&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
    ReadGuard& operator=(ReadGuard&& other) noexcept {
      ReadGuard taken(std::move(other));
      std::swap(slot_, taken.slot_);
      return *this;
    }
    ReadGuard(const ReadGuard&) = delete;
    ReadGuard& operator=(const ReadGuard&) = delete;
    ~ReadGuard() {
      if (slot_ != nullptr) slot_->departures.fetch_add(1, std::memory_order_release);
    }

    const Model& operator*() const noexcept { return slot_->model; }
    const Model* operator->() const noexcept { return &slot_->model; }

    /// How many updates had been published when this copy became active.
    std::uint64_t generation() const noexcept { return slot_->generation; }

   private:
    friend class DoubleBufferedHolder;
    explicit ReadGuard(Slot* slot) noexcept : slot_(slot) {}

    Slot* slot_;
  };

  /// Two copies of one value.
  explicit DoubleBufferedHolder(const Model& initial) requires std::copy_constructible<Model>
      : slots_{Slot(initial), Slot(initial)} {}

  /// For models that cannot be copied. Readers see `active` first; `inactive` is only written to.
  DoubleBufferedHolder(Model active, Model inactive)
      : slots_{Slot(std::move(active)), Slot(std::move(inactive))} {}

  DoubleBufferedHolder(const DoubleBufferedHolder&) = delete;
  DoubleBufferedHolder& operator=(const DoubleBufferedHolder&) = delete;
  DoubleBufferedHolder(DoubleBufferedHolder&&) = delete;
  DoubleBufferedHolder& operator=(DoubleBufferedHolder&&) = delete;
  ~DoubleBufferedHolder() = default;

  /// The active copy. Wait-free.
  [[nodiscard]] ReadGuard read() const noexcept {
    const std::uint64_t word = word_.fetch_add(1, std::memory_order_acquire);
    return ReadGuard(&slots_[word >> active_shift]);
  }

  /// Makes the next version: runs f(Model& inactive, const Model& active), then publishes
  /// `inactive` to readers that come after, and returns its generation. f must give `inactive` a
  /// whole new value and rely on nothing in it: what it finds there is a version before the active
  /// one, or what is left of an update that failed. (modify() does this for models that can be
  /// copied.)
  ///
  /// When f throws, nothing is published, the active copy goes on serving, the exception passes on,
  /// and the next update is as good as any. f must not call update() or modify() of the same
  /// holder.
  ///
  /// on_wait() is called again and again while readers of the inactive copy are waited for; when it
  /// throws, nothing has happened.
  template <class F, std::invocable OnWait = void (*)()>
  requires std::invocable<F, Model&, const Model&> std::uint64_t update(
      F&& f, OnWait&& on_wait = [] {}) {
    const std::lock_guard lock(writers_);
    const std::size_t active = word_.load(std::memory_order_relaxed) >> active_shift;
    Slot& from = slots_[active];
    Slot& to = slots_[1 - active];
    wait_until_unused(to, on_wait);

    std::forward<F>(f)(to.model, std::as_const(from.model));

    to.generation = from.generation + 1;
    to.departures.store(0, std::memory_order_relaxed);
    const std::uint64_t old =
        word_.exchange(std::uint64_t{1 - active} << active_shift, std::memory_order_release);
    from.entries = old & entries_mask;
    return to.generation;
  }

  /// As update(), where the inactive copy is first assigned the active one: f(Model&) changes in
  /// place what readers will see when it has returned.
  template <class F>
  requires std::invocable<F, Model&> && std::is_copy_assignable_v<Model> std::uint64_t modify(
      F&& f) {
    return update([&](Model& inactive, const Model& active) {
      inactive = active;
      std::forward<F>(f)(inactive);
    });
  }

 private:
  static constexpr int active_shift = 63;
  static constexpr std::uint64_t entries_mask = (std::uint64_t{1} << active_shift) - 1;
  static constexpr std::size_t cache_line = 64;

  // Departures have a cache line to themselves: readers write it, and they read the model.
  struct Slot {  // NOLINT(clang-analyzer-optin.performance.Padding)
    explicit Slot(const Model& value) : model(value) {}
    explicit Slot(Model&& value) : model(std::move(value)) {}

    Model model;
    std::uint64_t generation = 0;
    std::uint64_t entries = 0;  // readers that entered in all; known once the slot is inactive
    alignas(cache_line) std::atomic<std::uint64_t> departures{0};
  };

  template <class OnWait>
  static void wait_until_unused(const Slot& slot, OnWait& on_wait) {
    int polls = 0;
    while (slot.departures.load(std::memory_order_acquire) != slot.entries) {
      if (polls < 64) {
        ++polls;
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        on_wait();
      }
    }
  }

  mutable std::array<Slot, 2> slots_;
  alignas(cache_line) mutable std::atomic<std::uint64_t> word_{0};
  alignas(cache_line) std::mutex writers_;
};

}  // namespace ams
