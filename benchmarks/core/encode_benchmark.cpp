#include <cstdio>

#include "harness.hpp"
#include "plain_update.hpp"

// Writing an update of a random 5% of the coordinates: time, and bits per coordinate sent. The
// floor of the time is the memory traffic (trained and held values of the sent coordinates read,
// held ones written), that of the size the entropy of places and exponents.
int main() {
  using namespace ams;
  using namespace ams::benchmark;
  print_header("encode (a random 5% of n coordinates)");
  for (const std::size_t n : {2'113'043UL, 686'679UL}) {
    Task task(n, 0.05);
    std::size_t size = 0;
    Row row;
    row.what = format("encode_update, n = %.0f", static_cast<double>(n));
    row.seconds = median_seconds(
        [&] { size = encode_update(task.held, task.trained, task.coordinates).size(); });
    row.floor_seconds = 3 * task.line_bytes() / memory_bytes_per_second();
    const auto beside = [&](const char* name, auto&& write) {
      std::size_t other = 0;
      row.alternative = name;
      row.alternative_seconds = median_seconds([&] { other = write().size(); }, 5);
      row.note = format("%.2f bits each, alternative %.2f, floor %.2f", task.bits_each(size),
                        task.bits_each(other), task.floor_bits());
      print_row(row);
    };
    beside("list of u32 and fp16", [&] { return write_list(task); });
#ifdef AMS_BENCHMARK_ZLIB
    beside("bits and fp16, zlib -9 (paper)", [&] { return zlib_pack(write_bits(task), 9); });
#endif
    beside("bits and fp16, zstd -1", [&] { return zstd_pack(write_bits(task), 1); });
    beside("bits and fp16, zstd -19", [&] { return zstd_pack(write_bits(task), 19); });

    Row snapshot;
    snapshot.what = format("encode_snapshot, n = %.0f", static_cast<double>(n));
    snapshot.seconds = median_seconds([&] { size = encode_snapshot(task.held).size(); });
    Bytes floats(4 * n);
    std::memcpy(floats.data(), task.held.values().data(), floats.size());
    std::size_t other = 0;
    snapshot.alternative = "float32, zstd -1";
    snapshot.alternative_seconds = median_seconds([&] { other = zstd_pack(floats, 1).size(); }, 5);
    snapshot.floor_seconds = 4.0 * static_cast<double>(n) / memory_bytes_per_second();
    snapshot.note = format("%.2f bytes a value, alternative %.2f",
                           static_cast<double>(size) / static_cast<double>(n),
                           static_cast<double>(other) / static_cast<double>(n));
    print_row(snapshot);
  }
}
