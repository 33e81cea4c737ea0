#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "ams/session/update_policy.hpp"

namespace ams::python {

/// A policy that is another one: sessions own their policy, and Python may hold the same.
class ForwardingPolicy : public UpdatePolicy {
 public:
  explicit ForwardingPolicy(std::shared_ptr<UpdatePolicy> policy) : policy_(std::move(policy)) {}

  void prepare(const ModelState& initial) override { policy_->prepare(initial); }
  void start(double now_seconds) override { policy_->start(now_seconds); }
  double horizon_seconds() const override { return policy_->horizon_seconds(); }
  std::size_t buffer_samples() const override { return policy_->buffer_samples(); }
  double sampling_rate_fps() const override { return policy_->sampling_rate_fps(); }
  double update_interval_seconds() const override { return policy_->update_interval_seconds(); }
  bool wants_phi() const override { return policy_->wants_phi(); }
  void on_phi(double phi) override { policy_->on_phi(phi); }
  bool rate_due(double now_seconds) const override { return policy_->rate_due(now_seconds); }
  void decide_rate(double now_seconds, double mean_phi) override {
    policy_->decide_rate(now_seconds, mean_phi);
  }
  std::optional<double> next_phase_seconds(const PhaseContext& context) const override {
    return policy_->next_phase_seconds(context);
  }
  PhasePlan plan(const PhaseContext& context, Random& random) override {
    return policy_->plan(context, random);
  }
  void on_trained(const TrainingReport& report) override { policy_->on_trained(report); }
  EncodePlan encode(double now_seconds, std::span<const double> losses) override {
    return policy_->encode(now_seconds, losses);
  }
  void on_written(const WriteReport& report) override { policy_->on_written(report); }
  void on_phase_lost() override { policy_->on_phase_lost(); }
  void on_replaced() override { policy_->on_replaced(); }
  void on_connected(double now_seconds) override { policy_->on_connected(now_seconds); }
  void on_sent(const ServerMessage& message, bool is_repeated, double now_seconds) override {
    policy_->on_sent(message, is_repeated, now_seconds);
  }
  double slowest_link_bps() const override { return policy_->slowest_link_bps(); }

 private:
  std::shared_ptr<UpdatePolicy> policy_;
};

}  // namespace ams::python
