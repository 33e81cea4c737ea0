#include <cstdio>

#include "harness.hpp"
#include "plain_update.hpp"

// Checking and applying an update of a random 5% of the coordinates, in place. The alternatives
// check nothing. The floor is the memory traffic: the held values of the sent coordinates read and
// written.
int main() {
  using namespace ams;
  using namespace ams::benchmark;
  print_header("decode and apply (a random 5% of n coordinates)");
  for (const std::size_t n : {2'113'043UL, 686'679UL}) {
    Task task(n, 0.05);
    const ModelState first = task.held;
    std::vector<Bytes> updates;
    for (int i = 0; i < 100; ++i) {
      updates.push_back(encode_update(task.held, task.trained, task.coordinates));
    }
    ModelState device = first;
    Row row;
    row.what = format("apply_update, n = %.0f", static_cast<double>(n));
    std::size_t next = 0;
    row.seconds = median_seconds([&] {
      if (next ==
          updates.size()) {  // one call in a hundred starts over; the median does not see it
        device = first;
        next = 0;
      }
      apply_update(updates[next++], device);
    });
    row.floor_seconds = 2 * task.line_bytes() / memory_bytes_per_second();
    row.note = format("%.0f bytes", static_cast<double>(updates[0].size()));

    std::vector<float> values(first.values().begin(), first.values().end());
    const auto beside = [&](const char* name, auto&& apply) {
      row.alternative = name;
      row.alternative_seconds = median_seconds([&] { apply(); });
      print_row(row);
    };
    const Bytes list = write_list(task);
    const Bytes bits = write_bits(task);
    const Bytes zstd = zstd_pack(bits, 19);
    beside("list of u32 and fp16", [&] { apply_list(list, values); });
#ifdef AMS_BENCHMARK_ZLIB
    const Bytes zlib = zlib_pack(bits, 9);
    beside("bits and fp16, zlib -9 (paper)",
           [&] { apply_bits(zlib_unpack(zlib, bits.size()), values); });
#endif
    beside("bits and fp16, zstd -19", [&] { apply_bits(zstd_unpack(zstd, bits.size()), values); });
    keep(values.data());

    const Bytes snapshot = encode_snapshot(first);
    Row whole;
    whole.what = format("decode_snapshot, n = %.0f", static_cast<double>(n));
    whole.seconds = median_seconds(
        [&] { keep(decode_snapshot(snapshot, first.manifest_ptr()).values().data()); });
    Bytes floats(4 * n);
    std::memcpy(floats.data(), first.values().data(), floats.size());
    const Bytes packed = zstd_pack(floats, 1);
    whole.alternative = "float32, zstd -1";
    whole.alternative_seconds =
        median_seconds([&] { keep(zstd_unpack(packed, floats.size()).data()); });
    whole.floor_seconds = 4.0 * static_cast<double>(n) / memory_bytes_per_second();
    whole.note = format("%.0f bytes", static_cast<double>(snapshot.size()));
    print_row(whole);
  }
}
