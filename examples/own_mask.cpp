// SPDX-License-Identifier: Apache-2.0
// A mask of one's own: every response counts as much as every other, however long it is, and its end-of-turn token half
// a response more. A mask is a struct with a call that takes one target token; it joins with && || ! * + like the
// others.
#include <gradwire/datum.hpp>

#include <cstdio>
#include <vector>

using namespace gradwire;
using namespace gradwire::fields;

struct per_part {  // 1 / tokens of the part that the target belongs to
  using mask_tag = void;
  double operator()(const token_context& token) const { return 1.0 / static_cast<double>(token.part_length); }
};

int main() {
  constexpr int end_of_turn = 2;
  const std::vector<int> question{11, 12, 13}, first{21, 22, end_of_turn}, more{31}, last{41, end_of_turn};
  const auto conversation = prompt(question) + response(first) + prompt(more) + response(last);

  const datum d{conversation, weights = per_part{} * response_only + 0.5 * is_token(end_of_turn)};

  const auto targets = d.loss_fn_inputs["target_tokens"].data;
  const auto weight = d.loss_fn_inputs["weights"].data;
  for (std::size_t t = 0; t < d.size(); ++t) std::printf("target %2.0f  weight %.3f\n", targets[t], weight[t]);

  // The usual ones need no struct: the last answer only, without its end-of-turn token.
  const batch data{datum{conversation, weights = last_turn && !is_token(end_of_turn)}};
  std::printf("%.0f of %zu targets count\n", data.total_count(), data.shape().tokens());
}
