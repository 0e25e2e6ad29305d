// SPDX-License-Identifier: Apache-2.0
// Are the old logprobs off by one against the trainer's? A column that lies one position early or late still trains,
// with every ratio wrong.
//
//   auto found = shift_check(known);                              // old_logprobs against logprobs
//   auto found = shift_check(known, sampler_logprobs, logprobs);  // or any two per-token columns, in nats
//   if (found.shifted()) std::cerr << found;
//
// The trainer's value of target t is compared with the other column's at t − 1, t and t + 1, wherever both positions
// are unmasked and both values finite. What decides is the share of positions at which a neighbour is closer than the
// value in place: a few wild values cannot outvote the rest, and sequences of a few tokens count together. Where fewer
// than `least_positions` can be compared, or no shift is clearly closer, the verdict is `unclear` and says why.
#pragma once

#include <gradwire/gradient/report.hpp>

namespace gradwire::inline v0 {

enum class shift_verdict : unsigned char {
  aligned,       // the value of target t stands at t
  late_by_one,   // it stands at t + 1
  early_by_one,  // it stands at t − 1
  unclear        // too few positions, or no shift fits clearly better than the others
};

// How well the other column fits when it is read at t + shift.
struct shift_fit {
  int shift = 0;                        // −1, 0 or +1
  std::size_t positions = 0;            // compared
  double mean_absolute_difference = 0;  // nats; nan where nothing could be compared
  double correlation = 0;               // Pearson's; nan where a column does not vary
  double closer = 0;                    // share of positions at which it is closer than shift 0, ties as ½; nan at 0
};

struct shift_report {
  using report_tag = void;
  static constexpr std::size_t least_positions = 12;
  shift_fit fit[3];  // shifts −1, 0, +1
  shift_verdict verdict = shift_verdict::unclear;
  const char* column = "";   // the one that may be shifted
  const char* against = "";  // the trainer's

  bool shifted() const { return verdict == shift_verdict::late_by_one || verdict == shift_verdict::early_by_one; }
  std::string sentence() const {
    const std::string name = column, other = against;
    const auto differ = [&](int shift) { return detail::brief(fit[1 + shift].mean_absolute_difference, 3) + " nats"; };
    switch (verdict) {
      case shift_verdict::aligned:
        return name + " is aligned with " + other + ": the value of target t stands at position t (mean |difference| " +
               differ(0) + ", off by one " + differ(-1) + " and " + differ(1) + ")";
      case shift_verdict::late_by_one:
        return name + " is shifted by +1: the value of target t stands at t + 1 (mean |difference| there " + differ(1) +
               ", at t " + differ(0) + "); move every value one position to the front";
      case shift_verdict::early_by_one:
        return name + " is shifted by -1: the value of target t stands at t - 1 (mean |difference| there " +
               differ(-1) + ", at t " + differ(0) + "); move every value one position to the back";
      default:
        break;
    }
    const std::size_t least = fit[0].positions < fit[2].positions ? fit[0].positions : fit[2].positions;
    if (least < least_positions)
      return "unclear: " + detail::how_many(least, "neighbouring position") + " of " + name + " and " + other +
             " can be compared, and a verdict takes " + detail::whole(least_positions);
    return "unclear: " + name + " fits " + other + " about equally well at t - 1, t and t + 1";
  }
  std::string text() const {
    detail::text_table table({"read at", "positions", "mean |difference|", "correlation", "closer than in place"});
    for (const shift_fit& each : fit)
      table.row({each.shift < 0   ? "t - 1"
                 : each.shift > 0 ? "t + 1"
                                  : "t",
                 detail::whole(each.positions), detail::brief(each.mean_absolute_difference, 4),
                 detail::brief(each.correlation, 4), each.shift ? detail::brief(100 * each.closer, 4) + " %" : "-"});
    return sentence() + "\n" + table.text();
  }
};

namespace detail {

template <class T>
[[gnu::noinline]] shift_fit fit_shift(const layout& shape, const T* weights, const T* column, const T* against,
                                      int shift) {
  shift_fit found{.shift = shift};
  double n = 0, apart = 0, closer = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const std::size_t begin = shape.offset[s], length = shape.length[s];
    for (std::size_t t = shift < 0 ? 1 : 0; t + (shift > 0 ? 1 : 0) < length; ++t) {
      const std::size_t here = begin + t, there = begin + t + static_cast<std::size_t>(shift);
      if (weights[here] == 0 || weights[there] == 0) continue;
      const double x = static_cast<double>(column[there]), y = static_cast<double>(against[here]);
      const double in_place = static_cast<double>(column[here]);
      if (!__builtin_isfinite(x) || !__builtin_isfinite(y) || !__builtin_isfinite(in_place)) continue;
      ++n;
      const double off = __builtin_fabs(x - y), off_in_place = __builtin_fabs(in_place - y);
      apart += off;
      closer += off < off_in_place ? 1.0 : off == off_in_place ? 0.5 : 0.0;
      const double dx = x - mean_x, dy = y - mean_y;
      mean_x += dx / n;
      mean_y += dy / n;
      xx += dx * (x - mean_x);
      yy += dy * (y - mean_y);
      xy += dx * (y - mean_y);
    }
  }
  found.positions = static_cast<std::size_t>(n);
  found.mean_absolute_difference = apart / n;
  found.correlation = xy / __builtin_sqrt(xx * yy);
  found.closer = shift ? closer / n : __builtin_nan("");
  return found;
}

// Fair coin flips reach a share 1.5/√n above one half once in 700 batches (three standard deviations); a shift has to
// be beyond that, and be closer at two positions of three.
inline bool beyond_chance(double share, double n) { return share > 0.5 + 1.5 / __builtin_sqrt(n) && share > 2.0 / 3; }
inline shift_verdict judge_shift(const shift_fit (&fit)[3]) {
  if (fit[0].positions < shift_report::least_positions || fit[2].positions < shift_report::least_positions)
    return shift_verdict::unclear;
  const double early = static_cast<double>(fit[0].positions), late = static_cast<double>(fit[2].positions);
  if (beyond_chance(fit[2].closer, late) && fit[2].closer >= fit[0].closer) return shift_verdict::late_by_one;
  if (beyond_chance(fit[0].closer, early)) return shift_verdict::early_by_one;
  if (beyond_chance(1 - fit[0].closer, early) && beyond_chance(1 - fit[2].closer, late)) return shift_verdict::aligned;
  return shift_verdict::unclear;
}

}  // namespace detail

template <class Batch, class Column = detail::plain<decltype(fields::old_logprobs)>,
          class Against = detail::plain<decltype(fields::logprobs)>>
shift_report shift_check(const Batch& data, Column column = {}, Against against = {}) {
  static_assert(Column::level == extent::token && Against::level == extent::token,
                "gradwire: shift_check compares two per-token columns");
  shift_report found;
  for (int shift : {-1, 0, 1})
    found.fit[shift + 1] =
        detail::fit_shift(data.shape(), data.data(fields::weights), data.data(column), data.data(against), shift);
  found.verdict = detail::judge_shift(found.fit);
  found.column = Column::name.data;
  found.against = Against::name.data;
  return found;
}

}  // namespace gradwire::inline v0
