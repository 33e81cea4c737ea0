#include "shared_slot.hpp"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ams::detail {

namespace {

#ifdef __ANDROID__  // which has no memory by name
int open_memory(const char*) {
  errno = ENOSYS;
  return -1;
}
void remove_memory(const char*) {}
#else
int open_memory(const char* name) {
  return ::shm_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}
void remove_memory(const char* name) {
  ::shm_unlink(name);
}
#endif

}  // namespace

SharedSlot::SharedSlot(const std::string& where, const std::string& name,
                       std::size_t max_record_bytes)
    : name_("/" + name),
      memory_(open_memory(name_.c_str())),
      bytes_(sizeof(Header) + max_record_bytes) {
  const auto refuse = [&](const char* reason) {
    throw Error(ErrorCode::io_error, "cannot write to '" + where + "': " + reason);
  };
  if (!memory_) fail_to_open(where);
  if (::flock(memory_.get(), LOCK_EX | LOCK_NB) != 0) refuse("another program writes there");
  struct stat found {};
  if (::fstat(memory_.get(), &found) != 0) fail_to_open(where);
  const auto found_bytes = static_cast<std::size_t>(found.st_size);
  char magic[4] = {};
  if (found_bytes > 0 && (::pread(memory_.get(), magic, 4, 0) != 4 ||
                          std::memcmp(magic, "AMSM", 4) != 0 || found_bytes < sizeof(Header))) {
    refuse("other shared memory has this name; choose another name");
  }
  // It never shrinks: a reader that has mapped it would die.
  bytes_ = std::max(bytes_, found_bytes);
  // Reserved now: a write that finds the memory full would end the program.
  const int reason = ::posix_fallocate(memory_.get(), 0, static_cast<off_t>(bytes_));
  if (reason != 0) fail_to_open(where, reason);
  void* const address =
      ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (address == MAP_FAILED) fail_to_open(where);
  header_ = static_cast<Header*>(address);
  std::memcpy(header_->magic, "AMSM", 4);
  header_->layout = 1;
  header_->is_alive = 1;
}

SharedSlot::~SharedSlot() {
  header_->is_alive = 0;
  ::munmap(header_, bytes_);
  remove_memory(name_.c_str());
}

bool SharedSlot::write(std::span<const std::byte> record) {
  if (record.size() > bytes_ - sizeof(Header)) return false;
  std::atomic<std::uint64_t>& sequence = header_->sequence;
  // A writer that died while it wrote has left an odd one.
  const std::uint64_t odd = sequence.load(std::memory_order_relaxed) | 1;
  sequence.store(odd, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  header_->record_bytes = record.size();
  std::memcpy(header_ + 1, record.data(), record.size());
  sequence.store(odd + 1, std::memory_order_release);
  return true;
}

}  // namespace ams::detail
