// SPDX-License-Identifier: Apache-2.0
// Sends the gradients that were held for an optimizer step, all of them as one pass: either all are on the trainer when
// the step goes, or the step does not go.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/impl/training_core.hpp>

namespace gradwire::inline v0 {
namespace detail {

// Several batches, numbered through, as one pass.
struct held_pass {
  std::vector<held_gradient> list;
  std::vector<std::size_t> first;  // the number of each batch's first sequence
  double sequences = 0;

  std::pair<std::size_t, chunk_range> place(chunk_range range) const {
    const auto after = std::upper_bound(first.begin(), first.end(), range.begin);
    const auto index = static_cast<std::size_t>(after - first.begin()) - 1;
    return {index, {range.begin - first[index], range.end - first[index]}};
  }
  std::vector<wire::datum> datums(chunk_range range) const {
    const auto [index, part] = place(range);
    const held_gradient& each = list[index];
    return datums_with_scaled_slope(each.data, part, *each.slope, *each.logprobs, sequences);
  }
};

inline pass_request pass_of_held(const std::shared_ptr<model>& on, call_deadline deadline) {
  auto all = std::make_shared<held_pass>();
  all->list = on->held().list;
  all->sequences = static_cast<double>(on->held().sequences());
  pass_request pass;
  std::vector<std::function<std::size_t(chunk_range)>> tokens_of;
  std::size_t begin = 0;
  for (const held_gradient& each : all->list) {
    auto part = make_pass(on, each.data, deadline, "forward_backward");
    for (const chunk_range chunk : part.chunks) pass.chunks.push_back({begin + chunk.begin, begin + chunk.end});
    pass.tokens += part.tokens;
    tokens_of.push_back(std::move(part.tokens_of));
    all->first.push_back(begin);
    begin += each.data.shape().sequences();
  }
  pass.on = on;
  pass.name = "forward_backward";
  pass.loss = "importance_sampling";
  pass.deadline = deadline;
  pass.datums = [all](chunk_range range) { return all->datums(range); };
  pass.tokens_of = [all, tokens_of = std::move(tokens_of)](chunk_range range) {
    const auto [index, part] = all->place(range);
    return tokens_of[index](part);
  };
  return pass;
}

// Throws error{data} where an advantage does not fit into the wire's float.
inline void check_scaled_slope(const plain_batch& data, const block& slope, double sequences) {
  const layout& shape = data.shape();
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const double scale = static_cast<double>(shape.length[s]) * sequences;
    for (std::size_t t = 0; t < shape.length[s]; ++t) {
      const double value = value_at(slope.data, data.state->kind, shape.offset[s] + t);
      if (std::isfinite(static_cast<float>(value * scale))) continue;
      throw error(errc::data,
                  "the gradient of the loss at datum " + std::to_string(s) + ", token " + std::to_string(t) +
                      " is too large: times the datum's targets and the step's sequences, as this server needs it, it "
                      "does not fit into the wire's float",
                  {.datum = static_cast<std::int64_t>(s),
                   .token = static_cast<std::int64_t>(t),
                   .column = "gradient",
                   .value = std::to_string(value)});
    }
  }
}

// The failure of held gradients is told by the step: the calls that made them have ended already.
inline std::exception_ptr held_failure(const std::exception_ptr& cause, bool partly, bool kept) {
  const std::string text =
      "optim_step: not stepped: the gradients that were held for it could not be sent (" + text_of_error(cause) +
      "). " +
      (partly ? "The trainer holds a part of them or may hold it, which cannot be taken back: load a saved state and "
                "repeat what came after it"
       : kept ? "None of them was executed and all are still held: call optim_step again"
              : "None of them was executed and all were dropped: repeat the forward_backward_custom calls");
  try {
    std::rethrow_exception(cause);
  } catch (const error& known) {
    return std::make_exception_ptr(error(known.kind(), text, known.details()));
  } catch (...) {
    return std::make_exception_ptr(error(errc::closed, text, {.operation = "optim_step"}));
  }
}

// A server that refuses them would refuse them again; one that was not asked, or not reached, might take them.
inline bool may_succeed_later(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const error& known) {
    return known.kind() == errc::transport || known.kind() == errc::timeout || known.kind() == errc::closed;
  } catch (...) {
    return false;
  }
}

// Why gradients of custom losses may not be added now; empty when they may.
inline std::string held_obstacle(const held_gradients& held) {
  if (held.on_trainer.scaled)
    return "the trainer already holds gradients that were sent for a step which was then not executed, and their scale "
           "is fixed by their number of sequences. Call optim_step before the next forward_backward_custom";
  if (held.on_trainer.sequences > 0)
    return "this server divides the gradients of a step by all of its sequences, those of its own losses included, so "
           "a "
           "custom loss and a server's loss in one step would scale each other. Call optim_step between them";
  return {};
}

GRADWIRE_DECL void send_held(const std::shared_ptr<model>& on, call_deadline deadline,
                             std::function<void(std::exception_ptr)> then) {
  held_gradients& held = on->held();
  if (held.list.empty()) return then(nullptr);
  if (held.on_trainer) {
    return then(std::make_exception_ptr(
        error(errc::config, "optim_step: not stepped: " + held_obstacle(held), {.operation = "optim_step"})));
  }
  try {
    for (const held_gradient& each : held.list)
      check_scaled_slope(each.data, *each.slope, static_cast<double>(held.sequences()));
  } catch (...) {
    held.list.clear();
    return then(held_failure(std::current_exception(), false, false));
  }
  run_pass(pass_of_held(on, deadline), nullptr, [on, then = std::move(then)](pass_outcome outcome) {
    held_gradients& sent = on->held();
    if (outcome.failure) {
      const bool kept = !outcome.partly && may_succeed_later(outcome.failure);
      if (!kept) sent.list.clear();
      if (outcome.partly) {
        on->taint("the trainer holds a part of the gradients of a step that failed (" + text_of_error(outcome.failure) +
                  ")");
      }
      return then(held_failure(outcome.failure, outcome.partly, kept));
    }
    sent.list.clear();
    sent.on_trainer.scaled = true;
    then(nullptr);
  });
}

}  // namespace detail
}  // namespace gradwire::inline v0
