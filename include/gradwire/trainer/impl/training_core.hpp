// SPDX-License-Identifier: Apache-2.0
// How training_core.hpp works: each call is a job in the model's row.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include <gradwire/trainer/impl/pass.hpp>
#include <gradwire/trainer/training_core.hpp>
#include <gradwire/transport/server_text.hpp>
#include <gradwire/wire/metrics.hpp>
#include <gradwire/wire/path.hpp>

namespace gradwire::inline v0 {
namespace detail {

// A call from the outside: its promise and its time.
template <class T>
struct client_call {
  promise<T> ended;
  std::shared_ptr<model> on;
  time_point begun;
  call_deadline deadline;

  client_call(const std::shared_ptr<model>& of, network& net)
      : on(of),
        begun(net.now()),
        deadline(begun + in_seconds(of->of()->options().operation_timeout_seconds), std::make_shared<cancellation>()) {}
  double elapsed() const { return std::chrono::duration<double>(on->of()->net().now() - begun).count(); }
  double left() const {
    return std::max(0.0, std::chrono::duration<double>(deadline.at - on->of()->net().now()).count());
  }
};

template <class T>
std::shared_ptr<client_call<T>> begin_call(const std::shared_ptr<model>& of) {
  auto call = std::make_shared<client_call<T>>(of, of->of()->net());
  call->ended.on_cancel([gone = std::weak_ptr(call)] {
    const auto alive = gone.lock();
    if (alive) alive->on->of()->net().post([alive] { alive->ended.set_error(alive->deadline.cancel->cancel()); });
  });
  return call;
}

GRADWIRE_DECL void check_name(const std::string& name) {
  if (wire::is_checkpoint_name(name)) return;
  throw error(errc::config,
              "'" + printable(name, 80) +
                  "' cannot be the name of a checkpoint: 1 to 128 letters, digits, '_', '-' and '.', "
                  "not beginning with '.'",
              {.value = printable(name, 80)});
}

inline std::vector<named_value> copy_metrics(const wire::metrics& from) {
  std::vector<named_value> values;
  for (const auto& m : from) values.push_back({m.name, m.value});
  return values;
}

inline void set_metric(std::vector<named_value>& values, const std::string& name, double value) {
  for (auto& v : values) {
    if (v.name == name) {
      v.value = value;
      return;
    }
  }
  values.push_back({name, value});
}

inline shared<block> new_rows(const plain_batch& data) {
  return allocate_rows(data.shape(), data.level(), sizeof(float), result_slot);
}

// Reads the logprobs of all chunks; an empty handle when the server sent none and they are not needed.
inline shared<block> logprobs_of(const plain_batch& data, const std::vector<chunk_range>& chunks,
                                 const std::vector<wire::forward_backward_reply>& replies, bool needed) {
  shared<block> rows = new_rows(data);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto& outputs = replies[i].loss_fn_outputs;
    if (!needed && (outputs.empty() || !wire::find(outputs.front(), "logprobs"))) return {};
    read_logprobs(data, chunks[i], replies[i], *rows);
  }
  return rows;
}

inline pass_request make_pass(const std::shared_ptr<model>& on, const plain_batch& data, call_deadline deadline,
                              std::string name) {
  const session& of = *on->of();
  pass_request pass;
  pass.on = on;
  pass.name = std::move(name);
  pass.chunks = plan_chunks(data, of.max_chunk_datums(),
                            of.encoding() == wire::encoding::json ? of.max_chunk_bytes() / 4 : of.max_chunk_bytes());
  pass.tokens = data.shape().tokens() * data.width();
  pass.tokens_of = [data](chunk_range part) {
    std::size_t sum = 0;
    for (std::size_t s = part.begin; s < part.end; ++s) sum += data.shape().length[s];
    return sum;
  };
  pass.deadline = deadline;
  return pass;
}

// A forward as every custom loss and every reference begins: cross_entropy with weights 0.
inline pass_request forward_pass(const std::shared_ptr<model>& on, const plain_batch& data, call_deadline deadline) {
  auto pass = make_pass(on, data, deadline, "forward");
  pass.forward_only = true;
  pass.datums = [data](chunk_range range) { return datums_with_zero_weights(data, range); };
  return pass;
}

GRADWIRE_DECL const std::string& training_core::model_id() const { return model_->id(); }
GRADWIRE_DECL std::string training_core::trainer_boot_id() const { return owner_->get()->boot_id(); }

// Frees a model's place on the server, behind the calls made so far. Best effort: the session's end does it too.
inline void free_model(const std::shared_ptr<model>& on) {
  on->enqueue([on](const model::release_type& release) {
    if (on->of()->is_closed()) return release();
    auto record = on->of()->record("unload_model", "/api/v1/unload_model",
                                   wire::to_json(wire::unload_model_request{on->id()}), effect::reads);
    record.time_limit_seconds = 60;
    on->of()->run(std::move(record), traffic::submit, release, [release](const operation_outcome&) { release(); });
  });
}

GRADWIRE_DECL training_core::~training_core() {
  if (!unload_) return;
  try {
    owner_->net().post([on = model_] { free_model(on); });
  } catch (const std::exception&) {  // no memory, or another process after fork(): the session's end does it
  }
}

GRADWIRE_DECL future<forward_result> training_core::forward(plain_batch data) {
  auto call = begin_call<forward_result>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, data = std::move(data)] {
    call->on->enqueue([call, data](model::release_type release) {
      auto pass = forward_pass(call->on, data, call->deadline);
      run_pass(std::move(pass), release, [call, data, release](pass_outcome outcome) {
        try {
          if (outcome.failure) std::rethrow_exception(outcome.failure);
          forward_result ready;
          ready.logprobs = column<float>(logprobs_of(data, outcome.chunks, outcome.replies, true), data.layout_handle(),
                                         data.level());
          ready.tokens = data.shape().tokens();
          ready.elapsed_seconds = call->elapsed();
          call->ended.set_value(std::move(ready));
        } catch (...) {
          call->ended.set_error(std::current_exception());
        }
        release();
      });
    });
  });
  return result;
}

inline double reported_loss(const wire::metrics& metrics) {
  for (const char* name : {"loss:sum", "total_loss:sum"}) {
    if (const double* const value = wire::find(metrics, name)) return *value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

GRADWIRE_DECL future<training_step> training_core::forward_backward(plain_batch data, server_loss::named loss) {
  try {
    check_inputs(data, loss);
  } catch (const error&) {  // the step behind it hears of it, as of every pass that fails
    const auto failure = std::current_exception();
    owner_->net().post([on = model_, failure] { on->end_pass(on->begin_pass(), failure, false); });
    return failed_future<training_step>(failure);
  }
  auto call = begin_call<training_step>(model_);
  auto result = call->ended.get_future();
  owner_->net().post([call, data = std::move(data), loss = std::move(loss)] {
    auto window = call->on->begin_pass();
    call->on->enqueue([call, data, loss, window](model::release_type release) {
      if (!call->on->held().list.empty()) {
        const auto refused = std::make_exception_ptr(error(
            errc::config,
            "forward_backward: this server divides the gradients of a step by all of its sequences, so a server's "
            "loss and a custom loss in one step would scale each other. Call optim_step between them",
            {.operation = "forward_backward"}));
        call->on->end_pass(window, refused, false);
        call->ended.set_error(refused);
        return release();
      }
      call->on->held().on_trainer.sequences += data.shape().sequences();
      auto pass = make_pass(call->on, data, call->deadline, "forward_backward");
      pass.loss = loss.name;
      pass.config = loss.config;
      pass.datums = [data, loss](chunk_range range) { return datums_for_loss(data, range, loss); };
      run_pass(std::move(pass), release, [call, data, loss, window, release](pass_outcome outcome) {
        training_step step;
        try {
          if (outcome.failure) std::rethrow_exception(outcome.failure);
          auto logprobs = logprobs_of(data, outcome.chunks, outcome.replies, false);
          const auto metrics = wire::merge_metrics(outcome.replies).values;
          step.metrics = copy_metrics(metrics);
          step.loss = reported_loss(metrics);
          if (std::isnan(step.loss) && loss.name == "cross_entropy" && logprobs && data.width() == 1)
            step.loss = plain_cross_entropy(data, *logprobs);
          if (logprobs) step.logprobs = column<float>(std::move(logprobs), data.layout_handle(), data.level());
          step.tokens = data.shape().tokens();
          step.counted_tokens = count_of_weights(data);
          step.elapsed_seconds = call->elapsed();
        } catch (...) {
          outcome.partly = outcome.partly || !outcome.failure;  // executed, and its answer is not to be used
          outcome.failure = std::current_exception();
        }
        call->on->end_pass(window, outcome.failure, outcome.partly);
        if (outcome.failure && !outcome.partly) call->on->held().forget(data.shape().sequences());
        if (outcome.failure) {
          call->ended.set_error(outcome.failure);
        } else {
          call->ended.set_value(std::move(step));
        }
        release();
      });
    });
  });
  return result;
}

}  // namespace detail
}  // namespace gradwire::inline v0
