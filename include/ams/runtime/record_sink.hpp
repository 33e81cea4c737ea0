#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "ams/core/bytes.hpp"
#include "ams/core/error.hpp"
#include "ams/runtime/log_sink.hpp"

namespace ams {

/// How a RecordSink treats what it is given.
struct RecordSinkOptions {
  /// Records that wait for one reader or for the disk. One more takes the place of the oldest.
  std::size_t max_waiting_records = 32;  ///< >= 1

  /// Largest record; what shared memory is made for. Needed for `shm:` alone.
  std::size_t max_record_bytes = 0;

  /// What each reader of a socket gets before its first record, e.g. an HTTP header.
  std::string greeting = {};

  /// How long finish() waits for readers that are slow.
  double finish_seconds = 1;  ///< 0 to 3600
};

struct RecordSinkCounters {
  std::uint64_t records = 0;  ///< put
  std::uint64_t written = 0;  ///< written whole; of a socket, once for each reader
  /// Replaced by newer ones, or failed to be written; of a socket, once for each reader. A record
  /// that comes while nobody reads a socket or a named pipe is not lost.
  std::uint64_t lost = 0;
  std::size_t readers = 0;  ///< of a socket, now
};

/// Throws Error(invalid_argument), naming what is allowed, unless `where` is one of the places of
/// RecordSink. Opens nothing.
void require_record_place(const std::string& where);

/// Takes records (byte strings that say themselves where they end) to where others read them. A
/// thread of its own writes; put() never waits. `where` is one of
///
/// - a path: a file, made anew, its folder too. A record that cannot be written (a full disk) is
///   taken back whole and lost; later ones are tried again. A named pipe (FIFO) is opened whenever
///   somebody reads it.
/// - `-`: standard output. Once its reader has closed it, closed() is true and nothing more is
///   written.
/// - `unix:PATH`: a local socket. The sink listens; up to 64 readers may connect and leave at any
///   time. Each gets the records from then on. A reader who is slower than the records loses the
///   oldest that wait for it and holds up nobody. What readers send is thrown away. A socket that
///   a dead program has left at PATH is replaced; PATH is removed at the end.
/// - `tcp:HOST:PORT`: the same for other machines. HOST is a numeric address ([::1] for IPv6), PORT
///   0 takes any free port. Neither encrypted nor guarded by a secret.
/// - `shm:NAME`: POSIX shared memory (on Linux /dev/shm/NAME) that holds the newest record:
///
///       offset  bytes  (integers in the machine's byte order, little-endian on x86 and ARM)
///       0       4      "AMSM"
///       4       4      layout, 1
///       8       8      sequence: odd while a record is being written, else even; 0: none yet
///       16      8      size of the record, bytes
///       24      4      1 while the sink lives, 0 after it has ended
///       28      36     0
///       64      ...    the record
///
///   To read: take the sequence; if it is even and not 0, copy size and record; take the sequence
///   again; the copy is good if it is the same. Every record adds 2. A reader maps again when the
///   size is beyond its mapping. What a dead program has left under NAME is used on; NAME is
///   removed at the end. Two programs cannot write one NAME.
///
/// Files, sockets and shared memory get the permissions that the umask leaves. Readers of a file, a
/// pipe or a socket find every record whole, except that the last one may be cut off when the sink
/// ends with a slow reader or the program is killed.
///
/// The first failure to write is told to the log ("output_failed"), all are counted. Thread-safe.
class RecordSink {
 public:
  /// Opens `where`. log outlives the sink; null: none. Throws Error: invalid_argument (another
  /// `where`, options out of range), io_error (it cannot be opened, or another program has it).
  explicit RecordSink(const std::string& where, RecordSinkOptions options = {},
                      LogSink* log = nullptr);

  /// finish().
  ~RecordSink();
  RecordSink(const RecordSink&) = delete;
  RecordSink& operator=(const RecordSink&) = delete;

  /// Never waits.
  void put(Bytes record);

  /// Writes what waits, for finish_seconds at most if a reader is slow, and leaves `where`. What is
  /// put later is lost.
  void finish();

  /// Whether the reader of standard output has closed it.
  bool closed() const;

  RecordSinkCounters counters() const;

  /// As given, but for the port that `tcp:` has got.
  const std::string& where() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ams
