// SPDX-License-Identifier: Apache-2.0
// An operation of the language at run time: its name, and its value and slope as functions of doubles. They call the
// operation's own `value`, `slope`, `derivative` or `value_and_derivative`, so a user's function is like the library's;
// its printed name is that of its type: softplus_op is `softplus`. A truth value is 1 or 0.
#pragma once

#include <gradwire/expression/conditional.hpp>
#include <gradwire/expression/objective.hpp>
#include <gradwire/expression/scalar.hpp>
#include <string_view>
#include <utility>

namespace gradwire::inline v0 {
namespace formula {

// Which operation of the library it is; `own` is a user's.
// clang-format off
enum class op_code : unsigned char {
  own, add, subtract, negate, multiply, divide, less, less_equal, equal, logical_and, logical_or, logical_not, as_number,
  exp, expm1, log, log1p, sqrt, abs, square, sigmoid, log_sigmoid, log1mexp, k1, k3, minimum, maximum, clamp, where,
  divide_or_zero, mean_where, stop_gradient, straight_through, let, allow
};
template <class Op> inline constexpr op_code code_of = op_code::own;
template <> inline constexpr op_code code_of<add_op> = op_code::add;
template <> inline constexpr op_code code_of<subtract_op> = op_code::subtract;
template <> inline constexpr op_code code_of<role_difference_op> = op_code::subtract;
template <> inline constexpr op_code code_of<negate_op> = op_code::negate;
template <> inline constexpr op_code code_of<multiply_op> = op_code::multiply;
template <> inline constexpr op_code code_of<divide_op> = op_code::divide;
template <> inline constexpr op_code code_of<less_op> = op_code::less;
template <> inline constexpr op_code code_of<less_equal_op> = op_code::less_equal;
template <> inline constexpr op_code code_of<equal_op> = op_code::equal;
template <> inline constexpr op_code code_of<and_op> = op_code::logical_and;
template <> inline constexpr op_code code_of<or_op> = op_code::logical_or;
template <> inline constexpr op_code code_of<not_op> = op_code::logical_not;
template <> inline constexpr op_code code_of<as_number_op> = op_code::as_number;
template <> inline constexpr op_code code_of<exp_op> = op_code::exp;
template <> inline constexpr op_code code_of<expm1_op> = op_code::expm1;
template <> inline constexpr op_code code_of<log_op> = op_code::log;
template <> inline constexpr op_code code_of<log1p_op> = op_code::log1p;
template <> inline constexpr op_code code_of<sqrt_op> = op_code::sqrt;
template <> inline constexpr op_code code_of<abs_op> = op_code::abs;
template <> inline constexpr op_code code_of<square_op> = op_code::square;
template <> inline constexpr op_code code_of<sigmoid_op> = op_code::sigmoid;
template <> inline constexpr op_code code_of<log_sigmoid_op> = op_code::log_sigmoid;
template <> inline constexpr op_code code_of<log1mexp_op> = op_code::log1mexp;
template <> inline constexpr op_code code_of<k1_op> = op_code::k1;
template <> inline constexpr op_code code_of<k3_op> = op_code::k3;
template <> inline constexpr op_code code_of<minimum_op> = op_code::minimum;
template <> inline constexpr op_code code_of<maximum_op> = op_code::maximum;
template <> inline constexpr op_code code_of<clamp_op> = op_code::clamp;
template <> inline constexpr op_code code_of<where_op> = op_code::where;
template <> inline constexpr op_code code_of<divide_or_zero_op> = op_code::divide_or_zero;
template <> inline constexpr op_code code_of<mean_where_op> = op_code::mean_where;  // in metrics only
template <> inline constexpr op_code code_of<stop_gradient_op> = op_code::stop_gradient;
template <> inline constexpr op_code code_of<straight_through_op> = op_code::straight_through;
template <fixed_string Name> inline constexpr op_code code_of<let_op<Name>> = op_code::let;
template <lint Lint> inline constexpr op_code code_of<allow_op<Lint>> = op_code::allow;  // and whatever is its operand
template <role Role> inline constexpr op_code code_of<as_role_op<Role>> = op_code::allow;
// clang-format on

struct op_info {
  std::string_view name;  // "exp", "minimum", "softplus"
  op_code code = op_code::own;
  int arity = 1;
  bool truth = false;            // its value is 1 or 0
  bool detached = false;         // no gradient passes
  bool slope_of_second = false;  // the gradient passes through the second operand only
  double (*value)(const double* operands) = nullptr;
  // Derivative with respect to operand `which`, at operands of that value; 0 where none passes.
  double (*slope)(const double* operands, double value, int which) = nullptr;
};

// softplus_op of `some::space::softplus_op<3>`, as the compiler spells it, without the _op.
template <class Op>
constexpr std::string_view op_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("Op = ") + 5);
  std::size_t begin = 0, end = 0, depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (depth == 0 && (c == ';' || c == ']' || c == ',')) break;
    if (c == ':' && depth == 0) begin = i + 1;
    if (c == '<' || c == '(' || c == '{') ++depth;
    if (c == '>' || c == ')' || c == '}') --depth;
    if (depth == 0 && c != '>') end = i + 1;
    if (depth == 1 && c == '<') end = i;
  }
  text = text.substr(begin, end - begin);
  if (text.size() > 3 && text.substr(text.size() - 3) == "_op") text.remove_suffix(3);
  return text;
}

// Op over operands of which those marked true are truth values.
template <class Op, bool... Truth>
struct op_functions {
  using number = scalar<native_isa>;
  static constexpr int arity = sizeof...(Truth);
  static constexpr bool truths[] = {Truth...};
  static constexpr bool keeps_truth = requires { requires Op::keeps_truth; };
  static constexpr bool is_truth = requires { typename Op::boolean; }
  || (keeps_truth && truths[0]);

  template <std::size_t I>
  static auto operand(const double* x) {
    if constexpr (truths[I])
      return x[I] != 0;
    else
      return number{x[I]};
  }
  static double plain(number x) { return x.v; }
  static double plain(bool x) { return x ? 1 : 0; }

  template <std::size_t... I>
  static double value_of(const double* x, std::index_sequence<I...>) {
    if constexpr (arity == 1 && truths[0] && !is_truth)
      return plain(Op::template value<number>(operand<I>(x)...));
    else
      return plain(Op::value(operand<I>(x)...));
  }
  static double value(const double* x) { return value_of(x, std::make_index_sequence<sizeof...(Truth)>{}); }

  template <std::size_t Which, std::size_t... I>
  static double slope_in(const double* x, double y, std::index_sequence<I...>) {
    if constexpr (truths[Which]) {
      return 0;
    } else if constexpr (arity == 1 && requires(number v) { Op::value_and_derivative(v); }) {
      return plain(Op::value_and_derivative(number{x[0]}).derivative);
    } else if constexpr (arity == 1 && requires(number v) { Op::derivative(v, v); }) {
      return plain(Op::derivative(number{x[0]}, number{y}));
    } else {
      return plain(Op::template slope<(I == Which)...>(operand<I>(x)..., number{y}, number{I == Which ? 1.0 : 0.0}...));
    }
  }
  template <std::size_t... I>
  static double slope_of(const double* x, double y, int which, std::index_sequence<I...> all) {
    double result = 0;
    ((static_cast<int>(I) == which ? (void)(result = slope_in<I>(x, y, all)) : (void)0), ...);
    return result;
  }
  static double slope(const double* x, double y, int which) {
    if constexpr (is_truth || is_detached<Op>)
      return 0;
    else if constexpr (requires { Op::slope_of_second; })
      return which == 1 ? slope_in<1>(x, y, std::make_index_sequence<sizeof...(Truth)>{}) : 0.0;
    else
      return slope_of(x, y, which, std::make_index_sequence<sizeof...(Truth)>{});
  }

  static constexpr bool of_second = requires { Op::slope_of_second; };
  static constexpr op_info info{op_name<Op>(), code_of<Op>, arity, is_truth, is_detached<Op>, of_second, value, slope};
};

}  // namespace formula
}  // namespace gradwire::inline v0
