// SPDX-License-Identifier: Apache-2.0
// The gradient of a loss on your data against finite differences of an evaluation that shares no code with it:
//
//   auto found = check_gradient(my_grpo{}, at(known));                      // with respect to logprobs
//   auto found = check_gradient(value_loss{}, wrt(values), at(data), {.most = 200});
//   if (!found.ok()) std::cerr << found;
//
// Central differences with two steps and Richardson's extrapolation, in double (of the values as the batch holds them).
// What stop_gradient and every other detached value yields is held where it is, so that a straight-through estimator or
// a detached weight is no error. A value within `step` of a kink (the corner of a min, max, clamp or abs on which the
// loss depends, two neighbours of a sort) is skipped and the kink is named. Where a step leaves the domain of an
// operation (a log, a sqrt) or the two steps disagree, smaller ones are tried, down to step/32768; where the rounding
// of the loss hides the difference, the value is skipped. What this finds: a user's own operation
// whose slope is not the derivative of its value, and mistakes of the library.
//
// The error of a value is |slope − difference| / max(|slope|, |difference|, 1e-3 · the largest slope of the batch),
// after what the rounding of the loss alone makes of a difference is taken off. Throws what value_and_gradient throws.
#pragma once

#include <gradwire/gradient/formula_text.hpp>
#include <gradwire/gradient/gradient.hpp>
#include <gradwire/gradient/interpret.hpp>
#include <gradwire/gradient/report.hpp>

namespace gradwire::inline v0 {

struct check_options {
  double step = 1e-3;       // h, in the unit of the field; differences are taken over ±h and ±h/2
  std::size_t most = 4096;  // values to check; of a larger batch so many, evenly spread, unmasked ones first
};

// Values that no finite difference can judge, for one reason.
struct skipped_values {
  std::string reason{};  // "within 0.001 of a kink at min(ratio, 1.2)"
  std::size_t count = 0;
  token_place first{};
};

struct gradient_check {
  using report_tag = void;
  std::string variable{};  // the field
  std::size_t values = 0;  // of it in the batch
  std::size_t checked = 0;
  std::size_t skipped = 0;
  std::vector<skipped_values> reasons{};  // why, each once
  double loss = 0;                        // of the engine
  double plain_loss = 0;                  // of the slow evaluation, in double
  double worst_error = 0;        // relative; NaN where a slope is not finite; 0 within the rounding of the loss
  double whole_error = 0;        // the same without taking the rounding off
  double step = 0;               // h there
  token_place worst{};           // where; meaningless if nothing was checked
  double slope = 0;              // the engine's there
  double finite_difference = 0;  // and what it should be
  double tolerance = 0;          // of ok(): 1e-6 for a double batch, 5e-4 for a float one

  double loss_error() const {
    const double off = __builtin_fabs(loss - plain_loss), size = __builtin_fabs(plain_loss);
    return off / (size > 1e-3 ? size : 1e-3);
  }
  // Something was checked, and it and the loss are right.
  bool ok(double within) const { return checked > 0 && worst_error <= within && loss_error() <= within; }
  bool ok() const { return ok(tolerance); }
  // One sentence: what was found.
  std::string verdict() const {
    using namespace detail;
    if (loss - loss != 0 || plain_loss - plain_loss != 0)
      return "the loss is " + brief(loss) + ", which has no differences; find_culprit names the place";
    if (worst_error != worst_error)
      return "the gradient is not finite: " + brief(slope) + " at " + describe(worst) + "; find_culprit says why";
    if (checked == 0) return "the gradient cannot be judged: nothing could be checked of " + how_many(values, "value");
    return (worst_error > tolerance    ? "THE GRADIENT IS WRONG: "
            : loss_error() > tolerance ? "THE LOSS IS WRONG: "
                                       : "the gradient is right: ") +
           how_many(checked, "value") + " of " + whole(values) + " of dL/d(" + variable +
           ") compared with finite differences over ±" + brief(step) + " and ±" + brief(step / 2) +
           ", largest relative error " + brief(whole_error, 2) +
           (worst_error == 0 && whole_error > 0 ? ", as small as the rounding of the loss makes it" : "");
  }
  std::string text() const {
    using namespace detail;
    std::string all = verdict();
    all += "\n  loss                " + brief(loss, 12) + "   in double " + brief(plain_loss, 12);
    if (checked)
      all += "\n  worst value         " + describe(worst) + "\n    dL/d(" + variable + ")" +
             std::string(variable.size() < 11 ? 11 - variable.size() : 0, ' ') + "  " + brief(slope, 12) +
             "\n    finite difference  " + brief(finite_difference, 12);
    for (const skipped_values& each : reasons)
      all += "\n  " + whole(each.count) + " skipped: " + each.reason + ", first at " + describe(each.first);
    return all + "\n";
  }
};

namespace detail {

// `most` of the places, evenly spread: first among those that are `wanted`, the rest among the others.
inline std::vector<std::size_t> spread(const std::vector<bool>& wanted, std::size_t most) {
  std::vector<std::size_t> all[2], picked;
  for (std::size_t i = 0; i < wanted.size(); ++i) all[wanted[i] ? 0 : 1].push_back(i);
  for (const auto& from : all) {
    const std::size_t n = from.size() < most ? from.size() : most;
    for (std::size_t i = 0; i < n; ++i) picked.push_back(from[i * from.size() / n]);
    most -= n;
  }
  return picked;
}

struct checked_value {
  token_place at;
  std::size_t element;  // of the field
  double slope;         // the engine's
  bool counts;          // w ≠ 0
};

inline void skip_value(gradient_check& to, const token_place& at, std::string reason) {
  ++to.skipped;
  for (skipped_values& each : to.reasons)
    if (each.reason == reason) return void(++each.count);
  to.reasons.push_back({std::move(reason), 1, at});
}

struct judgement {
  double error = 0;      // relative
  double whole = 0;      // with what rounding makes of it
  double expected = 0;   // the finite difference
  std::string reason{};  // why there is none
  bool again = true;     // a smaller step may do
};

// The slope of one value against the differences over ±h and ±h/2.
inline judgement judge(formula::interpreter& run, int field, const checked_value& at, double h, double largest,
                       const gradient_check& found) {
  double loss[4] = {found.plain_loss, found.plain_loss, found.plain_loss, found.plain_loss};
  const double steps[4] = {h, -h, h / 2, -h / 2};
  for (int k = 0; field >= 0 && k < 4; ++k) {
    const auto trial = run.perturbed(field, at.element, steps[k]);
    loss[k] = trial.loss;
    if (trial.loss - trial.loss != 0) {
      const std::string what = trial.lost < 0 ? std::string("the loss") : formula::text(run.formula(), trial.lost);
      return {.reason = "a step of " + brief(h) + " leaves the domain of " + what};
    }
    if (trial.kink >= 0)
      return {.reason = "within " + brief(h) + " of a kink at " + formula::text(run.formula(), trial.kink),
              .again = false};
  }
  const double coarse = (loss[0] - loss[1]) / (2 * h), fine = (loss[2] - loss[3]) / h;
  const double expected = (4 * fine - coarse) / 3, wrong = __builtin_fabs(at.slope - expected);
  double size = 1e-3 * largest;
  for (const double x : {__builtin_fabs(at.slope), __builtin_fabs(expected)}) size = x > size ? x : size;
  const double rounding = 4 * 4e-16 * __builtin_fabs(found.plain_loss) / h, off = wrong - rounding;
  if (size > 0 && rounding > 0.01 * size)
    return {
        .reason = "a difference over ±" + brief(h) + " drowns in the rounding of a loss of " + brief(found.plain_loss),
        .again = false};
  const double error = off > 0 ? off / size : off != off ? off : 0.0;
  const double apart_by = size > 0 ? wrong / size : wrong;
  if (error <= found.tolerance) return {.error = error, .whole = apart_by, .expected = expected, .again = false};
  // Where the two steps disagree, the value bends too much for them or is beside a kink of a user's own operation,
  // which is unknown here. On such a kink the second difference does not shrink with the step.
  const double bend = __builtin_fabs(loss[0] + loss[1] - 2 * found.plain_loss) / h;
  const double half_bend = __builtin_fabs(loss[2] + loss[3] - 2 * found.plain_loss) / (h / 2);
  const double apart = __builtin_fabs(coarse - fine);
  const bool disagree = apart > 0.1 * wrong || apart > 0.01 * __builtin_fabs(fine);
  if (disagree || (half_bend > wrong && half_bend > 0.75 * bend))
    return {.reason = "within " + brief(h) + " of what looks like a kink of an operation of your own",
            .again = disagree};
  return {.error = error, .whole = apart_by, .expected = expected, .again = false};
}

[[gnu::noinline]] inline void check_values(formula::interpreter run, const std::vector<checked_value>& values,
                                           const check_options& options, gradient_check& found) {
  found.values = values.size();
  found.plain_loss = run.loss();
  const int field = run.formula().find_field(found.variable);
  if (found.loss - found.loss != 0 || found.plain_loss - found.plain_loss != 0) {
    found.worst_error = __builtin_nan("");
    return;
  }
  double largest = 0;
  std::vector<bool> counts;
  for (const checked_value& each : values) {
    const double size = __builtin_fabs(each.slope);
    if (size > largest) largest = size;
    counts.push_back(each.counts);
  }
  for (const std::size_t i : spread(counts, options.most)) {
    const checked_value& at = values[i];
    judgement judged;
    if (at.slope - at.slope != 0) judged = {.error = __builtin_nan(""), .again = false};
    double step = options.step;
    for (int attempt = 0; attempt < 6 && judged.again; ++attempt) {
      if (attempt > 0) step /= 8;
      judged = judge(run, field, at, step, largest, found);
    }
    if (!judged.reason.empty()) {
      skip_value(found, at.at, std::move(judged.reason));
      continue;
    }
    ++found.checked;
    if (found.worst_error != found.worst_error) continue;
    const bool worse = judged.error > found.worst_error || judged.error != judged.error ||
                       (judged.error == found.worst_error && judged.whole > found.whole_error);
    if (found.checked > 1 && !worse) continue;
    found.worst_error = judged.error;
    found.whole_error = judged.whole;
    found.step = step;
    found.worst = at.at;
    found.slope = at.slope;
    found.finite_difference = judged.expected;
  }
}

}  // namespace detail

// For a loss that is known at run time: its tree, and what the engine found for this batch and the field of that name.
template <class Batch>
gradient_check check_gradient(const formula::tree& loss, double value, const column<typename Batch::value_type>& slope,
                              std::string_view variable, at_t<Batch> at, const check_options& options = {}) {
  gradient_check found;
  found.variable = variable;
  found.loss = value;
  found.tolerance = sizeof(typename Batch::value_type) == 4 ? 5e-4 : 1e-6;
  std::vector<detail::checked_value> values;
  const auto* const weights = at.batch.data(fields::weights);
  detail::for_each_value(at.batch, slope.level(), [&](const token_place& place, std::size_t element) {
    values.push_back(
        {place, element, static_cast<double>(slope.data()[element]),
         place.token < 0 ? at.batch.weight_count()[element] != 0 : weights[element % at.batch.shape().padded()] != 0});
  });
  detail::check_values(formula::interpreter(loss, formula::table_of(at.batch)), values, options, found);
  return found;
}

template <class Loss, class Variable, class Batch>
gradient_check check_gradient(const Loss& loss, wrt_t<Variable> variable, at_t<Batch> at,
                              const check_options& options = {}) {
  const auto found = value_and_gradient(loss, variable, at);
  return check_gradient(reflect(loss), found.loss, found.slope, Variable::name.view(), at, options);
}
template <class Loss, class Batch>
gradient_check check_gradient(const Loss& loss, at_t<Batch> at, const check_options& options = {}) {
  return check_gradient(loss, wrt(fields::logprobs), at, options);
}

}  // namespace gradwire::inline v0
