#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ams/core/adam.hpp"
#include "ams/session/server_session.hpp"

/// How the parts of a SessionRecord are written into columns.
namespace ams::store_detail {

/// Name and value of every counter, for people and for newer versions: "updates 12\n...".
std::string write_counters(const SessionCounters& counters);

/// What it knows of the names; others are left out.
SessionCounters read_counters(const std::string& text);

/// Both moments, compressed: of coordinates that no strategy trains they are zero.
std::vector<std::byte> write_moments(const AdamState& adam);

/// Throws Error(malformed_data) unless they are of `dimension` values.
AdamState read_moments(std::span<const std::byte> bytes, std::int64_t step_count,
                       std::size_t dimension);

/// A batch of samples, with a digest.
std::vector<std::byte> write_batch(const LabelledBatch& batch);

/// Throws Error(malformed_data) unless write_batch() wrote it.
LabelledBatch read_batch(std::uint64_t batch_id, std::vector<std::byte> bytes);

}  // namespace ams::store_detail
