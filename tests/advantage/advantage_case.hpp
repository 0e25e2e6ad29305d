// SPDX-License-Identifier: Apache-2.0
// A golden case of an advantage estimator as a batch, and what the estimator makes of it, at unmasked tokens.
#pragma once

#include <gradwire/gradient/gradient.hpp>

#include <functional>
#include "../golden/golden_file.hpp"
#include "../loss/golden_case.hpp"

namespace golden {

namespace fields = gradwire::fields;
using estimate = std::function<rows(const golden_case&)>;

template <class F>
using plain_type = std::remove_const_t<F>;

// With token_reward only where the case wants dense rewards; without it the reward falls on the last unmasked token.
inline auto advantage_batch(golden_case c) {
  c.token["logprobs"] = c.token.at("old_logprobs");
  if (c.parameter("dense") == 0)
    for (row& each : c.token.at("token_reward")) each.assign(each.size(), 0.0);
  return batch_of_case<plain_type<decltype(fields::logprobs)>, plain_type<decltype(fields::reward)>,
                       plain_type<decltype(fields::token_reward)>, plain_type<decltype(fields::values)>,
                       plain_type<decltype(fields::old_logprobs)>, plain_type<decltype(fields::sampler_logprobs)>,
                       plain_type<decltype(fields::ref_logprobs)>, plain_type<decltype(fields::teacher_logprobs)>,
                       plain_type<decltype(fields::sum_pi_squared)>, plain_type<decltype(fields::information_gain)>,
                       plain_type<decltype(fields::reward_baseline)>>(c);
}

template <class Column>
rows rows_of(const Column& column) {
  rows result;
  for (std::size_t s = 0; s < column.shape().sequences(); ++s) result.emplace_back(column[s].begin(), column[s].end());
  return result;
}

// A formula of data at every unmasked token: the slope of Σ logprob·A.
template <class Formula, class Batch>
rows rows_of_formula(const Formula& advantage, const Batch& data) {
  const auto loss = gradwire::sum_over_sequences(gradwire::sum_over_tokens_unweighted(fields::logprobs * advantage));
  return rows_of(gradwire::value_and_gradient(loss, gradwire::wrt(fields::logprobs), gradwire::at(data)).slope);
}

template <class Estimator, class Batch>
rows advantages_of(const Estimator& estimator, const Batch& data) {
  if constexpr (requires { estimator(); })
    return rows_of_formula(estimator(), data);
  else
    return rows_of(estimator(data));
}

template <class Make>
estimate by(Make make) {
  return [make](const golden_case& c) { return advantages_of(make(c), advantage_batch(c)); };
}
template <class Make>
estimate returns_by(Make make) {
  return [make](const golden_case& c) { return rows_of(make(c).returns(advantage_batch(c))); };
}

inline void check_advantages(const golden_case& c, const rows& found) {
  const double scale = largest(c.slope);
  for (std::size_t s = 0; s < c.slope.size(); ++s) {
    for (std::size_t t = 0; t < c.slope[s].size(); ++t) {
      if (c.token.at("weights")[s][t] == 0) continue;
      BOOST_CHECK_MESSAGE(size_of(found[s][t] - c.slope[s][t]) <= c.tolerance * scale,
                          c.name << ": sequence " << s << ", token " << t << ": " << found[s][t] << " for "
                                 << c.slope[s][t] << " (" << c.note << ')');
    }
  }
}

}  // namespace golden
