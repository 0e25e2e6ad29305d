// SPDX-License-Identifier: Apache-2.0
// A formula::tree with its derivative in it, and the question through which nodes a gradient flows.
#pragma once

#include <gradwire/gradient/tree_node.hpp>

namespace gradwire::inline v0 {
namespace formula {

struct named_adjoint {
  int let = -1;       // the node called g1, g2, …; its operand is the formula
  int value = -1;     // the node of which it is the adjoint
  double number = 1;  // … but for this factor
};
struct derivation {
  tree formula;                      // the tree that was given, and the derivative's nodes after it
  int variable = -1;                 // the field's node; -1 if the loss does not read it
  int slope = -1;                    // dL/d(field), per element of the field; the constant 0 if nothing flows
  std::vector<named_adjoint> names;  // each before what reads it
};

// Does a gradient with respect to `field` flow through the nodes? One answer a node.
inline std::vector<bool> carries_gradient(const tree& formula, int field) {
  std::vector<bool> active(formula.nodes.size(), false);
  for (int i = 0; i < formula.size(); ++i) {
    const tree_node& n = formula[i];
    bool any = i == field;
    const bool second = n.kind == node_kind::operation && n.op->slope_of_second;
    const int operands = n.kind == node_kind::reduction ? 1 : n.operands;
    for (int j = second ? 1 : 0; j < operands && !n.detached; ++j)
      any = any || active[static_cast<std::size_t>(n.operand[j])];
    active[static_cast<std::size_t>(i)] = any;
  }
  return active;
}

}  // namespace formula
}  // namespace gradwire::inline v0
