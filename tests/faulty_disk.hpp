#pragma once

#include <functional>

namespace ams::test {

/// What happens to one of the calls by which a program changes a disk.
enum class DiskFault {
  kill,         ///< SIGKILL before the call
  kill_within,  ///< SIGKILL when half of what is written is
  no_space,     ///< ENOSPC, when half of what is written is
  io_error,     ///< EIO, and nothing is done
  full,         ///< ENOSPC of writes, as no_space; files can be made, renamed and removed
};

/// Whoever links this has write(), pwrite(), fsync(), fdatasync(), ftruncate(), rename(), unlink()
/// and open() for writing counted, in the test program and in the libraries that it uses, and the
/// one with a number fail. One of them at a time, for the whole process.
class FaultyDisk {
 public:
  /// Counts, and nothing fails.
  FaultyDisk();

  /// From now on the call of this number fails, counted from 0, and `more` after it.
  FaultyDisk(DiskFault fault, int call, int more = 0);

  /// All is well again.
  ~FaultyDisk();

  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// Calls since it was made.
  int calls() const;
};

/// Does the work in a process of its own, on a disk whose call of this number fails. Gives the
/// signal that ended the process; 0: none did.
int signal_of(DiskFault fault, int call, const std::function<void()>& work);

}  // namespace ams::test
