#pragma once

#include <optional>
#include <string>

#include "ams/session/server_session.hpp"

namespace ams {

/// Where a server keeps the sessions of its devices. A host asks it when a device comes that it
/// does not know, and tells it before an update leaves.
///
/// Called from any thread, one call at a time for one device. May throw Error:
///
/// - save(): the update is not sent, and the device keeps its model. The next phase trains in its
///   place and is saved anew.
/// - load() with unavailable or io_error: the device is told to come back later. With any other
///   code what was kept is lost, and its session begins anew.
class SessionStore {
 public:
  virtual ~SessionStore() = default;

  /// What was kept last, or nothing.
  virtual std::optional<SessionRecord> load(const std::string& device_id) = 0;

  /// Keeps this in place of what was kept before. The update leaves when it returns. Also called
  /// with a model that was kept already, for what else has changed.
  virtual void save(const SessionRecord& record) = 0;

  /// Whether save() keeps anything. Otherwise the host makes no records.
  virtual bool keeps() const { return true; }

  virtual void erase(const std::string& device_id) = 0;
};

/// Keeps nothing: sessions live as long as their host.
class NoStore final : public SessionStore {
 public:
  std::optional<SessionRecord> load(const std::string&) override { return std::nullopt; }
  void save(const SessionRecord&) override {}
  bool keeps() const override { return false; }
  void erase(const std::string&) override {}
};

}  // namespace ams
