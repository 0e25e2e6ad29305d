// SPDX-License-Identifier: Apache-2.0
// Proves that a formula is a server's loss: takes it apart into a factor, a sum over tokens and the factors under it,
// and compares these with the few shapes that each loss can have. What is in none of them is not lowered.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/trainer/lower.hpp>

namespace gradwire::inline v0 {
namespace detail {

class lower_matcher {
 public:
  explicit lower_matcher(const formula::tree& formula) : formula_(formula) {}

  lowered_form match() {
    product body = summed();
    for (const auto shape : {&lower_matcher::is_cross_entropy, &lower_matcher::is_importance_sampling,
                             &lower_matcher::is_cispo, &lower_matcher::is_ppo}) {
      if (!(this->*shape)(body)) continue;
      if (!std::isfinite(form_.scale) || form_.scale == 0) refuse("its factor is 0 or not finite");
      if (form_.needs_no_negative && form_.scale < 0)
        refuse("its sign is turned round: a server's ppo is minus the minimum");
      const bool clips = form_.name == "ppo" || form_.name == "cispo";
      if (clips && !(std::isfinite(form_.low) && std::isfinite(form_.high) && form_.low <= form_.high))
        refuse("its thresholds are not two finite numbers in their order; a server's are always sent");
      return form_;
    }
    refuse("the term under its sum is none of those of cross_entropy, importance_sampling, ppo and cispo");
  }

 private:
  using node = formula::tree_node;
  using code = formula::op_code;
  using reduction = formula::reduction_kind;

  struct product {
    double factor = 1;
    std::vector<int> rest{};  // nodes that are no constants
  };
  struct clipped {
    int ratio = -1;
    double low = 0, high = 0;
  };

  [[noreturn]] static void refuse(const std::string& why) {
    throw error(errc::config, "lower(): the loss is not provably one of a server's own: " + why +
                                  ". Leave lower() out; the loss then takes two requests");
  }

  const node& at(int i) const { return formula_[i]; }
  int operand(int i, int which) const { return bare(at(i).operand[which]); }
  bool is(int i, code what) const { return at(i).is(what); }
  // Without names and lifted lints, which change no value.
  int bare(int i) const {
    while (at(i).is(code::let) || at(i).is(code::allow)) i = at(i).operand[0];
    return i;
  }
  std::optional<double> constant(int i) const {
    i = bare(i);
    if (at(i).kind == formula::node_kind::constant) return at(i).value;
    if (is(i, code::negate))
      if (const auto inner = constant(at(i).operand[0])) return -*inner;
    return std::nullopt;
  }
  bool is_constant(int i, double value) const {
    const auto found = constant(i);
    return found && *found == value;
  }
  bool is_logprobs(int i) const { return at(i).kind == formula::node_kind::field && at(i).name == "logprobs"; }
  bool is_data(int i) const {
    return at(i).kind == formula::node_kind::field && at(i).level != extent::candidate && !is_logprobs(i) &&
           at(i).name != "weights";
  }

  void multiply(int i, product& into) const {
    i = bare(i);
    if (const auto value = constant(i)) {
      into.factor *= *value;
    } else if (is(i, code::negate)) {
      into.factor = -into.factor;
      multiply(at(i).operand[0], into);
    } else if (is(i, code::multiply)) {
      multiply(at(i).operand[0], into);
      multiply(at(i).operand[1], into);
    } else if (is(i, code::divide) && constant(at(i).operand[1])) {
      into.factor /= *constant(at(i).operand[1]);
      multiply(at(i).operand[0], into);
    } else {
      into.rest.push_back(i);
    }
  }
  product factors_of(int i) const {
    product all;
    multiply(i, all);
    return all;
  }

  // The sum over tokens: in one go, or over sequences and groups of sums.
  product summed() {
    product outer = factors_of(formula_.loss);
    double factor = outer.factor;
    for (;;) {
      if (outer.rest.size() != 1 || at(outer.rest[0]).kind != formula::node_kind::reduction)
        refuse("it is no single sum over tokens (a mean, or a sum of several terms, is none)");
      const node& sum = at(outer.rest[0]);
      const bool of_tokens = sum.from == extent::token;
      const bool adds = of_tokens ? sum.is(reduction::weighted_sum) || sum.is(reduction::unit_sum)
                                  : sum.is(reduction::counted_sum) || sum.is(reduction::plain_sum);
      if (!adds) refuse("it is no plain sum over the tokens whose weight is not 0");
      product inner = factors_of(sum.operand[0]);
      factor *= inner.factor;
      outer = std::move(inner);
      if (!of_tokens) continue;
      form_.counts_weights = sum.is(reduction::weighted_sum);
      outer.factor = factor;
      return outer;
    }
  }

  // exp(logprobs − old)
  bool is_ratio(int i) {
    i = bare(i);
    if (!is(i, code::exp) || !is(operand(i, 0), code::subtract)) return false;
    const int difference = operand(i, 0), old = operand(difference, 1);
    if (!is_logprobs(operand(difference, 0)) || !is_data(old) || at(old).level != extent::token) return false;
    form_.old_field = at(old).name;
    return true;
  }
  bool is_advantage(int i) {
    if (!is_data(i)) return false;
    form_.advantage = at(i).name;
    return true;
  }
  bool split(const product& all, int& other, auto&& is_first) {  // two factors, the first of which is known
    if (all.rest.size() != 2) return false;
    for (const int k : {0, 1}) {
      other = all.rest[static_cast<std::size_t>(1 - k)];
      if (is_first(all.rest[static_cast<std::size_t>(k)])) return true;
    }
    return false;
  }

  bool is_bound(int i, code what, int& inner, double& bound) const {  // min(x, number) or max(x, number)
    if (!is(i, what)) return false;
    for (const int k : {0, 1}) {
      const auto value = constant(at(i).operand[k]);
      if (!value) continue;
      inner = operand(i, 1 - k);
      bound = *value;
      return true;
    }
    return false;
  }
  std::optional<clipped> clip_of(int i) {
    i = bare(i);
    clipped found;
    int inner = -1;
    if (is(i, code::clamp)) {
      const auto low = constant(at(i).operand[1]), high = constant(at(i).operand[2]);
      if (!low || !high) return std::nullopt;
      found = {operand(i, 0), *low, *high};
    } else if (is_bound(i, code::minimum, inner, found.high)) {
      if (!is_bound(inner, code::maximum, found.ratio, found.low)) found.ratio = inner;  // a ratio is never below 0
    } else if (is_bound(i, code::maximum, inner, found.low)) {
      if (!is_bound(inner, code::minimum, found.ratio, found.high)) return std::nullopt;
    } else {
      return std::nullopt;
    }
    return is_ratio(found.ratio) ? std::optional(found) : std::nullopt;
  }
  void take(const clipped& bounds) {
    form_.low = bounds.low;
    form_.high = bounds.high;
  }

  bool is_cross_entropy(const product& body) {
    if (body.rest.size() != 1 || !is_logprobs(body.rest[0])) return false;
    form_.name = "cross_entropy";
    form_.scale = -body.factor;
    return true;
  }

  bool is_importance_sampling(const product& body) {
    int weight = -1;
    if (!split(body, weight, [&](int i) { return is_advantage(i); })) return false;
    // r, or r where A is not 0, which is the same: the product is 0 there.
    if (is(weight, code::where) && is(operand(weight, 0), code::equal) && is_constant(at(weight).operand[1], 0)) {
      const int equal = operand(weight, 0);
      const bool of_advantage =
          (at(operand(equal, 0)).name == form_.advantage && is_constant(at(equal).operand[1], 0)) ||
          (at(operand(equal, 1)).name == form_.advantage && is_constant(at(equal).operand[0], 0));
      if (!of_advantage) return false;
      weight = operand(weight, 2);
    }
    if (!is_ratio(weight)) return false;
    form_.name = "importance_sampling";
    form_.scale = -body.factor;
    return true;
  }

  bool is_cispo(const product& body) {
    if (body.rest.size() != 3) return false;
    std::optional<clipped> bounds;
    int logprobs = 0, advantages = 0;
    for (const int i : body.rest) {
      if (is_logprobs(i)) {
        ++logprobs;
      } else if (is(i, code::stop_gradient)) {
        bounds = clip_of(at(i).operand[0]);
      } else {
        advantages += is_advantage(i);
      }
    }
    if (!bounds || logprobs != 1 || advantages != 1) return false;
    take(*bounds);
    form_.name = "cispo";
    form_.scale = -body.factor;
    return true;
  }

  bool is_ppo(const product& body) {
    form_.name = "ppo";
    form_.needs_no_negative = true;
    return body.rest.size() == 1 ? is_minimum(body) : is_sided(body);
  }
  // min(r·A, clamp(r)·A), or max(−r·A, −clamp(r)·A)
  bool is_minimum(const product& body) {
    const int i = body.rest[0];
    if (!is(i, code::minimum) && !is(i, code::maximum)) return false;
    const product sides[] = {factors_of(at(i).operand[0]), factors_of(at(i).operand[1])};
    if (sides[0].factor != sides[1].factor || (sides[0].factor > 0) != is(i, code::minimum)) return false;
    for (const int k : {0, 1}) {
      int clip = -1, ratio = -1;
      if (!split(sides[k], clip, [&](int each) { return is_advantage(each); })) continue;
      const std::string_view advantage = form_.advantage;
      const auto bounds = clip_of(clip);
      if (!bounds) continue;
      const auto is_same = [&](int each) { return is_advantage(each) && at(each).name == advantage; };
      if (!split(sides[1 - k], ratio, is_same) || bare(ratio) != bounds->ratio) continue;
      take(*bounds);
      form_.scale = -body.factor * sides[0].factor;
      return true;
    }
    return false;
  }
  // (A < 0 ? max(r, low) : min(r, high))·A, or clamp(r, A < 0 ? low : −∞, A < 0 ? ∞ : high)·A: the same, side by side
  bool is_sided(const product& body) {
    int chosen = -1;
    if (!split(body, chosen, [&](int i) { return is_advantage(i); })) return false;
    clipped bounds;
    if (is(chosen, code::where)) {
      const auto [below, above] = sides_of(chosen);
      int ratio = -1;
      if (below < 0 || !is_bound(bare(below), code::maximum, bounds.ratio, bounds.low) ||
          !is_bound(bare(above), code::minimum, ratio, bounds.high) || ratio != bounds.ratio)
        return false;
    } else if (is(chosen, code::clamp)) {
      bounds.ratio = operand(chosen, 0);
      const auto [low, no_low] = sides_of(operand(chosen, 1));
      const auto [no_high, high] = sides_of(operand(chosen, 2));
      if (low < 0 || no_high < 0 || !constant(low) || !constant(high) || !is_constant(no_low, -HUGE_VAL) ||
          !is_constant(no_high, HUGE_VAL))
        return false;
      bounds.low = *constant(low);
      bounds.high = *constant(high);
    } else {
      return false;
    }
    if (!is_ratio(bounds.ratio)) return false;
    take(bounds);
    form_.scale = -body.factor;
    return true;
  }
  // What where(A < 0, x, y) or where(A > 0, y, x) chooses below 0 and above; −1 for another condition.
  std::pair<int, int> sides_of(int i) const {
    if (!is(i, code::where) || !is(operand(i, 0), code::less)) return {-1, -1};
    const int less = operand(i, 0);
    if (at(operand(less, 0)).name == form_.advantage && is_constant(at(less).operand[1], 0))
      return {at(i).operand[1], at(i).operand[2]};
    if (at(operand(less, 1)).name == form_.advantage && is_constant(at(less).operand[0], 0))
      return {at(i).operand[2], at(i).operand[1]};
    return {-1, -1};
  }

  const formula::tree& formula_;
  lowered_form form_;
};

GRADWIRE_DECL lowered_form match_server_loss(const formula::tree& formula) { return lower_matcher(formula).match(); }

}  // namespace detail
}  // namespace gradwire::inline v0
