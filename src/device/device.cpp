#include "ams/device/device.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "ams/core/digest.hpp"

namespace ams {
namespace {

std::optional<ModelJournal> make_journal(const DeviceOptions& options,
                                         std::shared_ptr<const Manifest> manifest, LogSink& log) {
  const std::filesystem::path& path = options.state;
  if (path.empty()) return std::nullopt;
  ModelJournalOptions journal{.student_fingerprint = options.client.student_fingerprint};
  journal.on_damaged = [&log, path](const std::filesystem::path& moved_to,
                                    const std::string& reason) {
    log.warning("state_damaged", {{"state", path.string()},
                                  {"reason", reason},
                                  {"moved_to", moved_to.empty() ? "nowhere" : moved_to.string()},
                                  {"message", "the pre-trained student starts"}});
  };
  return std::make_optional<ModelJournal>(path, std::move(manifest), std::move(journal));
}

ModelState starting_state(std::optional<ModelJournal>& journal, ModelState initial, LogSink& log) {
  if (!journal) return initial;
  std::optional<ModelState> state;
  try {
    state = journal->load();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::manifest_mismatch) throw;
    throw Error(error.code(), std::string(error.what()) +
                                  ": start with the student and the settings that it was saved "
                                  "with, or name another file");
  }
  if (!state) return initial;
  log.info("resuming", {{"state", journal->path().string()}, {"version", state->version().number}});
  return std::move(*state);
}

ClientOptions client_options(const DeviceOptions& options) {
  ClientOptions client = options.client;
  client.seed = mix64(client.seed ^ byte_digest(std::as_bytes(std::span(client.device_id))));
  const SampleDecoderLimits& decoder = options.codec.decoder;
  const std::size_t rgb_bytes = std::size_t{3} *
                                static_cast<std::size_t>(std::max(1, options.codec.max_width)) *
                                static_cast<std::size_t>(std::max(1, options.codec.max_height));
  client.max_frames_per_batch = std::min(
      {client.max_frames_per_batch, decoder.max_frames, decoder.max_rgb_bytes / rgb_bytes});
  return client;
}

}  // namespace

Device::Device(DeviceParts parts, DeviceOptions options, LogSink& log)
    : journal_(make_journal(options, parts.initial.manifest_ptr(), log)),
      executor_(&log),
      link_(options.link, executor_) {
  if (!can_encode_samples()) {
    throw Error(ErrorCode::unavailable,
                "this libams was built without an H.264 encoder, so a device cannot send its "
                "samples: configure with -DAMS_WITH_X264=ON (needs x264, GPL)");
  }
  parts.initial = starting_state(journal_, std::move(parts.initial), log);
  parts.codec = std::make_shared<H264Encoder>(options.codec);
  if (journal_) {
    parts.save = [this](const ModelState& state, std::span<const Bytes> updates) {
      journal_->save(state, updates);
    };
  }
  host_.emplace(std::move(parts), client_options(options), executor_, link_, &log);
}

Device::~Device() {
  close("the device has ended", 0);
}

void Device::start() {
  const std::lock_guard lock(mutex_);
  if (is_started_ || is_closed_) {
    throw Error(ErrorCode::invalid_argument,
                is_closed_ ? "Device::start() after close()" : "Device::start() a second time");
  }
  is_started_ = true;
  executor_.set_tick([this] { host_->on_time(); });
  link_.start(*host_);
  host_->start();
}

void Device::close(const std::string& reason, double timeout_seconds) {
  const std::lock_guard lock(mutex_);
  if (is_closed_) return;
  if (is_started_) {
    host_->leave(reason);
    host_->wait_until_left(timeout_seconds);
  }
  link_.stop();
  executor_.stop();
  is_closed_ = true;
}

}  // namespace ams
