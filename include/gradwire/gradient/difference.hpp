// SPDX-License-Identifier: Apache-2.0
// Two losses on one batch: how far apart are the values, and do the gradients pull the same way?
//
//   std::cout << difference(my_grpo{}, trl::grpo{}, wrt(logprobs), at(data));
//   auto d = difference(a, b, wrt(logprobs), at(data), {.worst = 20});
//
// The gradients are compared as vectors over every value of the field (masked ones too, where both should be 0), in
// double. Throws what value_and_gradient throws.
#pragma once

#include <gradwire/gradient/gradient.hpp>
#include <gradwire/gradient/report.hpp>

namespace gradwire::inline v0 {

struct difference_options {
  std::size_t worst = 5;  // tokens to list
};

struct slope_pair {
  token_place at{};
  double first = 0;   // dL/dx of the first loss
  double second = 0;  // and of the second
};

struct loss_difference {
  using report_tag = void;
  double first = 0, second = 0;            // the two losses
  double first_norm = 0, second_norm = 0;  // ‖dL/dx‖₂ over the batch
  double cosine = 0;                       // of the angle between the gradients; nan where one of them is 0
  double residual = 0;     // ‖g₂ − c·g₁‖ / ‖g₂‖ for the best factor c; 0: the same up to that factor
  double factor = 0;       // that c, nan where the first gradient is 0
  std::size_t values = 0;  // of the field
  std::size_t sign_flips = 0;                   // values that the two losses push in opposite directions
  std::size_t only_first = 0, only_second = 0;  // values with a slope in one loss and exactly 0 in the other
  std::vector<slope_pair> worst{};              // by |second − first|, the largest first; NaN before all

  double change() const { return second - first; }
  double norm_ratio() const { return second_norm / first_norm; }  // inf or nan where the first gradient is 0
  // One sentence: what the numbers mean.
  std::string verdict() const {
    if (cosine != cosine) {
      if (first_norm == 0 && second_norm == 0) return "both gradients are 0";
      if (first_norm == 0) return "the gradient of the first loss is 0, that of the second is not";
      if (second_norm == 0) return "the gradient of the second loss is 0, that of the first is not";
      return "a gradient is not finite";
    }
    const bool same = residual < 1e-5;  // a float's rounding over a batch stays below
    if (same && factor > 0 && factor > 1 - 1e-5 && factor < 1 + 1e-5) return "the gradients are the same";
    if (same)
      return "the second gradient is " + detail::brief(factor) + " × the first: " +
             (factor > 0 ? "another divisor, the same step direction" : "the opposite step direction");
    return "the gradients differ by more than a factor";
  }
  std::string text() const {
    using namespace detail;
    const auto pad = [](std::string cell) { return cell.insert(0, cell.size() < 14 ? 14 - cell.size() : 0, ' '); };
    std::string all = verdict() + "\n                     first        second        change\n  loss      ";
    all += pad(brief(first)) + pad(brief(second)) + pad(brief(change())) + "\n  ‖slope‖   ";
    all += pad(brief(first_norm)) + pad(brief(second_norm)) + pad("× " + brief(norm_ratio(), 4));
    all += "\n  cosine " + brief(cosine) + ", " + whole(sign_flips) + " of " + how_many(values, "value") +
           " pushed in opposite directions, " + whole(only_first) + " moved by the first only, " + whole(only_second) +
           " by the second only\n";
    if (worst.empty()) return all;
    auto head = place_head(worst[0].at);
    for (const char* each : {"first slope", "second slope", "difference"}) head.emplace_back(each);
    text_table table(std::move(head));
    for (const slope_pair& each : worst) {
      auto cells = place_cells(each.at);
      for (double x : {each.first, each.second, each.second - each.first}) cells.push_back(brief(x));
      table.row(std::move(cells));
    }
    return all + table.text();
  }
};

namespace detail {

// Keeps the `most` largest by `size`, in order; NaN counts as the largest.
template <class Item, class Size>
void keep_largest(std::vector<Item>& kept, const Item& item, std::size_t most, Size&& size) {
  const auto above = [&](const Item& a, const Item& b) {
    const double x = size(a), y = size(b);
    return y == y && (x != x || x > y);
  };
  std::size_t place = kept.size();
  while (place > 0 && above(item, kept[place - 1])) --place;
  if (place >= most) return;
  if (kept.size() == most) kept.pop_back();
  kept.insert(kept.begin() + static_cast<std::ptrdiff_t>(place), item);
}

}  // namespace detail

// Two evaluations of one batch that are already there: (loss, slope) of each.
template <class Batch>
loss_difference difference(double first, const column<typename Batch::value_type>& first_slope, double second,
                           const column<typename Batch::value_type>& second_slope, at_t<Batch> at,
                           const difference_options& options = {}) {
  loss_difference found;
  found.first = first;
  found.second = second;
  double xx = 0, yy = 0, xy = 0;
  detail::for_each_value(at.batch, first_slope.level(), [&](const token_place& place, std::size_t element) {
    const double x = static_cast<double>(first_slope.data()[element]);
    const double y = static_cast<double>(second_slope.data()[element]);
    xx += x * x;
    yy += y * y;
    xy += x * y;
    ++found.values;
    found.sign_flips += (x < 0 && y > 0) || (x > 0 && y < 0);
    found.only_first += x != 0 && y == 0;
    found.only_second += x == 0 && y != 0;
    if (x == y) return;
    detail::keep_largest(found.worst, {place, x, y}, options.worst,
                         [](const slope_pair& each) { return __builtin_fabs(each.second - each.first); });
  });
  found.first_norm = __builtin_sqrt(xx);
  found.second_norm = __builtin_sqrt(yy);
  found.cosine = xy / (found.first_norm * found.second_norm);
  found.factor = xy / xx;
  // Without the difference of squares, which would leave rounding of 1e-8 where the gradients agree.
  double left = 0;
  detail::for_each_value(at.batch, first_slope.level(), [&](const token_place&, std::size_t element) {
    const double off = static_cast<double>(second_slope.data()[element]) -
                       found.factor * static_cast<double>(first_slope.data()[element]);
    left += off * off;
  });
  found.residual = __builtin_sqrt(left / yy);
  return found;
}

template <class First, class Second, class Variable, class Batch>
loss_difference difference(const First& first, const Second& second, wrt_t<Variable> variable, at_t<Batch> at,
                           const difference_options& options = {}) {
  const auto a = value_and_gradient(first, variable, at);
  const auto b = value_and_gradient(second, variable, at);
  return difference(a.loss, a.slope, b.loss, b.slope, at, options);
}

}  // namespace gradwire::inline v0
