// SPDX-License-Identifier: Apache-2.0
// How probe.hpp works: a few gradients of a fresh adapter, compared by their size.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/gradient_gauge.hpp>
#include <gradwire/trainer/impl/probe_link.hpp>
#include <gradwire/trainer/impl/probe_text.hpp>
#include <gradwire/trainer/probe.hpp>
#include <gradwire/transport/server_text.hpp>

namespace gradwire::inline v0 {
namespace detail {

struct service_access {
  static const session_owner& owner(const service_client& service) noexcept { return service.owner_; }
};

class trainer_probe {
 public:
  trainer_probe(probe_link link, server_traits& found, const probe_options& options)
      : link_(std::move(link)), found_(found), options_(options) {}

  void run() {
    outputs();
    if (!found_.gradient_seen_by.empty()) {
      attempt("what cross_entropy is divided by", [this] { reductions(); });
      attempt("whether gradients add up", [this] { accumulation(); });
      attempt("whether gradients are clipped", [this] { clipping(); });
    } else {
      found_.notes.push_back(
          "gradients are not observable: optim_step reports no gradient norm, and a step with a large eps moves no "
          "logprob. The state of the optimizer, if it can be read where the server runs, would show them");
    }
    attempt("ppo's clip defaults", [this] { clip_default("ppo", found_.ppo); });
    attempt("cispo's clip defaults", [this] { clip_default("cispo", found_.cispo); });
    attempt("the other encoding", [this] { encodings(); });
    attempt("a repeated seq_id", [this] { repetition_of_a_number(); });
    attempt("a skipped seq_id", [this] { gap_in_numbers(); });
  }

 private:
  template <class Work>
  void attempt(const char* what, Work work) {
    try {
      work();
    } catch (const error& failed) {
      found_.notes.push_back(std::string(what) + ": not found out, " + sentence_of(failed.what()));
      clear();
    }
  }

  // Whatever was accumulated is stepped away with a learning rate of 0.
  void clear() {
    try {
      link_.step({.learning_rate = 0});
    } catch (const error&) {
    }
  }

  void outputs() {
    const auto reply = link_.pass(link_.body({gradient_gauge::sequence(1)})).outputs();
    found_.output_type = reply.loss_fn_output_type;
    if (!reply.loss_fn_outputs.empty())
      for (const auto& each : reply.loss_fn_outputs.front()) found_.outputs.push_back(each.name);
    for (const auto& each : reply.metrics) found_.metrics.push_back(each.name);
    const auto stepped = link_.step({.learning_rate = 0}).step_metrics();
    for (const auto& each : stepped) {
      found_.metrics.push_back(each.name);
      const bool norm = each.name.find("grad_norm") != std::string::npos && each.name.find("clip") == std::string::npos;
      if (norm && found_.gradient_seen_by.empty() && std::isfinite(each.value) && each.value > 0)
        found_.gradient_seen_by = each.name;
    }
    gauge_.use_norm(found_.gradient_seen_by);
    if (!gauge_.has_norm() && gauge_.find_step()) found_.gradient_seen_by = "the effect of a step on logprobs";
  }

  void reductions() {
    const double one = gauge_.size({link_.body({gradient_gauge::sequence(1)})});
    if (!(one > 0)) throw error(errc::data, "the gradient of a sequence is 0");
    auto padded = gradient_gauge::sequence(1);
    padded.tokens.insert(padded.tokens.end(), {31, 37, 41, 43, 47});
    padded.weights.resize(10, 0);
    found_.of_double_weights = gauge_.size({link_.body({gradient_gauge::sequence(2)})}) / one;
    found_.of_the_sequence_twice =
        gauge_.size({link_.body({gradient_gauge::sequence(1), gradient_gauge::sequence(1)})}) / one;
    found_.of_a_padded_sequence = gauge_.size({link_.body({padded})}) / one;
    found_.of_negative_weights = gauge_.size({link_.body({gradient_gauge::sequence(-1)})}) / one;
    const bool linear = about(*found_.of_double_weights, 2), normalised = about(*found_.of_double_weights, 1);
    const bool adds = about(*found_.of_the_sequence_twice, 2), averages = about(*found_.of_the_sequence_twice, 1);
    const bool unpadded = about(*found_.of_a_padded_sequence, 1);
    const bool negates = about(*found_.of_negative_weights, 1);
    if (linear && !unpadded) found_.cross_entropy = reduction::token_count;
    if (linear && unpadded && adds && negates) found_.cross_entropy = reduction::sum;
    if (linear && unpadded && averages) found_.cross_entropy = reduction::sequence_count;
    if (normalised && unpadded && adds) found_.cross_entropy = reduction::sequence_mean_sum;
    if (normalised && unpadded && averages) found_.cross_entropy = reduction::sequence_mean_mean;
  }

  void accumulation() {
    const auto first = link_.body({gradient_gauge::sequence(1)}),
               second = link_.body({gradient_gauge::other_sequence()});
    const double together = gauge_.size({link_.body({gradient_gauge::sequence(1), gradient_gauge::other_sequence()})});
    const double one_after_the_other = gauge_.size({first, second}), last_only = gauge_.size({second});
    if (about(one_after_the_other / together, 1)) found_.accumulates = answer::yes;
    if (about(one_after_the_other / last_only, 1) && !about(together / last_only, 1)) found_.accumulates = answer::no;
  }

  void clipping() {
    const gradient_gauge::batches gradient{link_.body({gradient_gauge::sequence(1)})};
    const double norm = gauge_.has_norm() ? gauge_.size(gradient) : 0;
    if (gauge_.has_norm() && !gauge_.find_step()) throw error(errc::data, "a step with a large eps moves no logprob");
    const double free = gauge_.by_step(gradient, 0);
    // Without a norm at hand, one that no gradient is below.
    const double clipped = gauge_.by_step(gradient, norm > 0 ? norm / 2 : 1e-6);
    const double expected = norm > 0 ? 0.5 : 0;
    if (clipped < (expected + 0.1) * free) found_.clips_gradients = answer::yes;
    if (about(clipped / free, 1)) found_.clips_gradients = answer::no;
  }

  // The loss of one token whose ratio to the old policy is far outside: it shows the bound. By elementwise_loss, or by
  // the sum that is reported; every other token has advantage 0.
  std::optional<double> bound(const std::string& loss, float ratio, float advantage,
                              const wire::loss_fn_config& config) {
    const auto now = gauge_.logprobs();
    if (now.size() < 3) throw error(errc::data, "the server gives no logprobs");
    probe_datum datum = gradient_gauge::sequence(0);
    datum.weights.clear();
    datum.logprobs.assign(now.begin(), now.begin() + 5);
    datum.advantages.assign(5, 0.0F);
    datum.logprobs[2] -= std::log(ratio);
    datum.advantages[2] = advantage;
    const auto reply = link_.pass(link_.body({datum}, loss, config)).outputs();
    clear();
    double value = 0;
    const auto* const each =
        reply.loss_fn_outputs.empty() ? nullptr : wire::find(reply.loss_fn_outputs.front(), "elementwise_loss");
    if (each != nullptr) {
      value = static_cast<double>(wire::dense_values<float>(*each)[2]);
    } else if (const double* const sum = wire::find(reply.metrics, "loss:sum")) {
      value = *sum;
    } else {
      return {};
    }
    if (loss == "cispo") value /= -static_cast<double>(now[2]) * static_cast<double>(advantage);
    return std::abs(value);
  }

  void clip_default(const std::string& loss, clip_defaults& into) {
    constexpr float far_above = 1e4F, far_below = 1e-4F;
    const wire::loss_fn_config set{{"clip_low_threshold", 0.625}, {"clip_high_threshold", 3.5}};
    const auto low_set = bound(loss, far_below, -1, set), high_set = bound(loss, far_above, 1, set);
    if (!low_set || !high_set) {
      found_.notes.push_back(loss +
                             "'s clip bounds are not observable: no loss is reported, per token or summed. Send "
                             "both thresholds");
      return;
    }
    into.settable = about(*low_set, 0.625) && about(*high_set, 3.5) ? answer::yes : answer::no;
    into.low = bound(loss, far_below, -1, {});
    into.high = bound(loss, far_above, 1, {});
    if (into.low && about(*into.low, static_cast<double>(far_below))) into.low = 0;  // what is left of the ratio itself
    if (into.high && about(*into.high, static_cast<double>(far_above))) {
      into.high.reset();
      found_.notes.push_back(loss + " has no upper bound by default");
    }
  }

  // The encoding in use works; the other one is tried with a pass that computes no gradient.
  void encodings() {
    const bool json = link_.encoding() == wire::encoding::json;
    (json ? found_.json : found_.protobuf) = answer::yes;
    const auto tried = [&](bool as_json, bool at_forward) {
      auto request = link_.body({gradient_gauge::sequence(0)});
      request.forward_only = at_forward || !as_json;
      const auto seen =
          link_.send(request, link_.next(), as_json ? wire::encoding::json : wire::encoding::protobuf, at_forward);
      if (seen.succeeded || !seen.request_id.empty()) link_.set_next(link_.next() + 1);
      return seen.succeeded ? answer::yes : answer::no;
    };
    found_.forward_endpoint = tried(true, true);
    found_.forward_flag = json ? tried(false, false) : answer::yes;
    (json ? found_.protobuf : found_.json) = json ? found_.forward_flag : tried(true, false);
    clear();
  }

  void repetition_of_a_number() {
    const auto request = link_.body({gradient_gauge::sequence(1)});
    const auto number = link_.next();
    const auto first = link_.send(request, number, link_.encoding());
    if (!first.succeeded) throw error(errc::status, first.text);
    link_.set_next(number + 1);
    const auto second = link_.send(request, number, link_.encoding());
    if (second.succeeded)
      found_.repeated = second.request_id == first.request_id ? repetition::recognised : repetition::executed_again;
    else if (second.status == 409)
      found_.repeated = repetition::refused;
    clear();
  }

  // Last: a server that waits for the number in between does nothing more for this model.
  void gap_in_numbers() {
    link_.limit(options_.seconds_for_a_gap);
    auto request = link_.body({gradient_gauge::sequence(0)});
    request.forward_only = true;
    const auto seen =
        link_.send(request, link_.next() + 10, link_.encoding(), link_.encoding() == wire::encoding::json);
    found_.skipped = seen.succeeded       ? gap::accepted
                     : seen.late          ? gap::waited_for
                     : seen.status == 409 ? gap::refused
                                          : gap::unknown;
  }

  probe_link link_;
  server_traits& found_;
  const probe_options& options_;
  gradient_gauge gauge_{link_};
};

}  // namespace detail

GRADWIRE_DECL server_traits probe(const service_client& given, const probe_options& options) {
  service_client service = given;
  server_traits found;
  found.model = options.base_model;
  if (found.model.empty()) {
    const auto models = service.capabilities().result();
    if (models.empty()) throw error(errc::config, "the server offers no model; name one as base_model");
    found.model = models.front().name;
  }
  auto trainer =
      service.create_training_client({.base_model = found.model, .lora_rank = options.lora_rank, .seed = 1}).result();
  const auto unload = [&] {
    try {
      trainer.unload().result();
    } catch (const error& failed) {
      found.notes.push_back(std::string("the model could not be unloaded: ") + failed.what());
    }
  };
  try {
    trainer.forward(batch{datum{prompt({11, 7}) + response({23, 5})}}).result();  // settles the encoding
    const auto& owner = detail::service_access::owner(service);
    found.dialect = owner->get()->dialect().name;
    found.recognised = owner->get()->is_recognised();
    detail::probe_link link(owner, trainer.handle()->trained(), options.seconds_per_call);
    detail::trainer_probe(std::move(link), found, options).run();
  } catch (...) {
    unload();
    throw;
  }
  unload();
  return found;
}

}  // namespace gradwire::inline v0
