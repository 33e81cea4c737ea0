// The names of libc, defined once more: a program's own definition comes before a library's. They
// go to the kernel themselves.
#include "faulty_disk.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstddef>
#include <system_error>

namespace {

using ams::test::DiskFault;

std::atomic<bool> armed = false;
std::atomic<int> calls = 0;
DiskFault fault = DiskFault::kill;
int first = 0;
int last = 0;

/// Whether this call fails, with errno set. Does not come back when it kills.
bool fails(bool has_half = false) {
  if (!armed) return false;
  const int call = calls++;
  if (call < first || call > last) return false;
  if (fault == DiskFault::full && !has_half) return false;
  if (fault == DiskFault::kill || (fault == DiskFault::kill_within && !has_half)) raise(SIGKILL);
  errno = fault == DiskFault::io_error ? EIO : ENOSPC;
  return true;
}

template <class... Arguments>
int change(long number, Arguments... arguments) {
  return fails() ? -1 : static_cast<int>(syscall(number, arguments...));
}

/// write_part(size) writes so many bytes.
template <class Write>
ssize_t write_some(std::size_t size, Write&& write_part) {
  if (!fails(true)) return write_part(size);
  const int reason = errno;
  if (fault != DiskFault::io_error && size > 1) {
    const ssize_t half = write_part(size / 2);
    if (fault == DiskFault::kill_within) raise(SIGKILL);
    if (half > 0) {  // who writes the rest is told
      if (last < INT_MAX) last = std::max(last, calls.load());
      return half;
    }
  }
  errno = reason;
  return -1;
}

}  // namespace

namespace ams::test {

FaultyDisk::FaultyDisk() : FaultyDisk(DiskFault::kill, INT_MAX) {}

FaultyDisk::FaultyDisk(DiskFault kind, int call, int more) {
  fault = kind;
  first = call;
  last = more > INT_MAX - call ? INT_MAX : call + more;
  ::calls = 0;
  armed = true;
}
FaultyDisk::~FaultyDisk() {
  armed = false;
}
int FaultyDisk::calls() const {
  return ::calls;
}

int signal_of(DiskFault kind, int call, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    const FaultyDisk disk(kind, call);
    work();
    ::_exit(0);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) {
    throw std::system_error(errno, std::generic_category(), "a process of its own");
  }
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace ams::test

extern "C" {

ssize_t write(int file, const void* data, std::size_t size) {
  return write_some(size, [&](std::size_t n) { return syscall(SYS_write, file, data, n); });
}
ssize_t pwrite64(int file, const void* data, std::size_t size, off_t offset) {
  return write_some(size,
                    [&](std::size_t n) { return syscall(SYS_pwrite64, file, data, n, offset); });
}
int fsync(int file) {
  return change(SYS_fsync, file);
}
int fdatasync(int file) {
  return change(SYS_fdatasync, file);
}
int ftruncate64(int file, off_t size) noexcept {
  return change(SYS_ftruncate, file, size);
}
int rename(const char* from, const char* to) noexcept {
  return change(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int unlink(const char* path) noexcept {
  return change(SYS_unlinkat, AT_FDCWD, path, 0);
}
int open64(const char* path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  if ((flags & O_CREAT) && fails()) return -1;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

// Where off_t has 64 bits these are other names of the same.
ssize_t pwrite(int file, const void* data, std::size_t size, off_t offset) {
  return pwrite64(file, data, size, offset);
}
int ftruncate(int file, off_t size) noexcept {
  return ftruncate64(file, size);
}
int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  return open64(path, flags, mode);
}
}
