// SPDX-License-Identifier: Apache-2.0
// The larger of two numbers, for the worst of many differences. std::max forgets a NaN; here it is larger than all, and
// no tolerance allows it.
#pragma once

inline double larger(double so_far, double next) { return next > so_far || next != next ? next : so_far; }
