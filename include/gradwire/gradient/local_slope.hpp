// SPDX-License-Identifier: Apache-2.0
// The derivative of each operation by each of its operands, as a formula.
#pragma once

#include <gradwire/gradient/symbols.hpp>

namespace gradwire::inline v0 {
namespace formula {

// adjoint · d(node) / d(operand `which`)
inline int times_slope(symbols& s, const tree& formula, int adjoint, int node, int which) {
  const tree_node n = formula[node];
  const int a = n.operand[0], b = n.operand[1], c = n.operand[2];
  const auto zero = [&] { return s.constant(0); };
  const auto one = [&] { return s.constant(1); };
  const auto times = [&](int slope) { return s.multiply(adjoint, slope); };
  switch (n.op->code) {
    case op_code::add:
    case op_code::let:
    case op_code::allow:
    case op_code::k1:
    case op_code::straight_through:
      return adjoint;
    case op_code::subtract:
      return which == 0 ? adjoint : s.negate(adjoint);
    case op_code::negate:
      return s.negate(adjoint);
    case op_code::multiply:
      return times(which == 0 ? b : a);
    case op_code::divide:
      return which == 0 ? s.divide(adjoint, b) : s.divide(s.negate(times(node)), b);
    case op_code::divide_or_zero:
      return which == 0 ? s.divide_or_zero(adjoint, b) : s.divide_or_zero(s.negate(times(node)), b);
    case op_code::exp:
      return times(node);
    case op_code::expm1:
      return times(s.make<exp_op, false>({a}));
    case op_code::log:
      return s.divide(adjoint, a);
    case op_code::log1p:
      return s.divide(adjoint, s.add(s.constant(1), a));
    case op_code::sqrt:
      return s.divide(adjoint, s.multiply(s.constant(2), node));
    case op_code::abs:
      return times(s.where(s.less(a, zero()), s.constant(-1), s.where(s.less(zero(), a), one(), zero())));
    case op_code::square:
      return times(s.multiply(s.constant(2), a));
    case op_code::sigmoid:
      return times(s.multiply(node, s.make<sigmoid_op, false>({s.negate(a)})));
    case op_code::log_sigmoid:
      return times(s.make<sigmoid_op, false>({s.negate(a)}));
    case op_code::log1mexp:
      return s.divide(s.negate(adjoint), s.make<expm1_op, false>({s.negate(a)}));
    case op_code::k3:
      return times(s.make<expm1_op, false>({a}));
    case op_code::minimum:
      return times(which == 0 ? s.where(s.less(b, a), zero(), one()) : s.where(s.less(b, a), one(), zero()));
    case op_code::maximum:
      return times(which == 0 ? s.where(s.less(a, b), zero(), one()) : s.where(s.less(a, b), one(), zero()));
    case op_code::clamp:
      if (which == 1) return times(s.where(s.less(a, b), one(), zero()));
      if (which == 2) return times(s.where(s.less(c, a), one(), zero()));
      return times(s.where(s.make<or_op, true, true>({s.less(a, b), s.less(c, a)}), zero(), one()));
    case op_code::where:
      return times(which == 1 ? s.where(a, one(), zero()) : s.where(a, zero(), one()));
    default:
      break;
  }
  return times(s.own_slope(n, which));
}

}  // namespace formula
}  // namespace gradwire::inline v0
