#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Polynomial coefficients of include/gradwire/expression/lanes_constants.hpp.

Prints every constant of that header as C++ hexadecimal literals, with the largest relative error of each polynomial
after its coefficients have been rounded to the lane's type. Needs mpmath (PyPI) and nothing else; runs in seconds.

Method: a nearly minimax fit of the RELATIVE error in 60 digits; the coefficients are rounded one after the other from
the lowest power up, and after each rounding the remaining ones are fitted again, so that a rounded coefficient's error
is taken up by its neighbours.
"""
from mpmath import mp, mpf, matrix, lu_solve, expm1, log, log1p, sqrt, cos, pi, floor, frexp, ldexp

mp.dps = 60


def exponential_tail(r):
    """(exp(r) - 1 - r) / r^2, whose value at 0 is 1/2."""
    if abs(r) < mpf(10) ** -8:
        return sum(r**i / mp.factorial(i + 2) for i in range(8))
    return (expm1(r) - r) / r**2


def logarithm_tail(z):
    """(2 atanh(s) - 2 s) / s^3 as a function of z = s^2, whose value at 0 is 2/3."""
    if z < mpf(10) ** -10:
        return sum(2 * z**i / (2 * i + 3) for i in range(8))
    s = sqrt(z)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def rounded(x, bits):
    """x rounded to nearest with that many significant bits."""
    if x == 0:
        return x
    mantissa, exponent = frexp(x)
    return ldexp(floor(mantissa * 2**bits + mpf(1) / 2), int(exponent) - bits)


def lawson(f, low, high, first_power, terms):
    """c so that sum c[i] x^(first_power + i) approximates f with nearly the least maximum of |error / full(x)|; f
    returns (value to approximate, full value that the error is relative to). Lawson's iteration (least squares whose
    weights grow where the error is large) because the powers left after a rounding all vanish at 0, where the exchange
    of Remez breaks down."""
    n = 12 * terms
    nodes = [(low + high) / 2 - (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    values = [f(x) for x in nodes]
    rows = [[x ** (first_power + i) / full for i in range(terms)] for x, (_, full) in zip(nodes, values)]
    wanted = [value / full for value, full in values]
    weights, best, least = [mpf(1) / n] * n, None, None
    for _ in range(12):
        normal = matrix(terms, terms)
        right = matrix(terms, 1)
        for row, want, weight in zip(rows, wanted, weights):
            for i in range(terms):
                right[i] += weight * row[i] * want
                for j in range(terms):
                    normal[i, j] += weight * row[i] * row[j]
        solution = lu_solve(normal, right)
        errors = [abs(sum(solution[i] * row[i] for i in range(terms)) - want) for row, want in zip(rows, wanted)]
        worst = max(errors)
        if least is None or worst < least:
            best, least = [solution[i] for i in range(terms)], worst
        if worst == 0:
            break
        weights = [weight * (error + worst / 1000) for weight, error in zip(weights, errors)]
        total = sum(weights)
        weights = [weight / total for weight in weights]
    return best


def fit(function, low, high, terms, bits, exact=()):
    """Rounded coefficients, and the maximal relative error with them."""
    fixed = list(exact)
    while len(fixed) < terms:
        def rest(x):
            full = function(x)
            return full - sum(c * x**i for i, c in enumerate(fixed)), full

        fixed.append(rounded(lawson(rest, low, high, len(fixed), terms - len(fixed))[0], bits))
    worst = mpf(0)
    for i in range(2001):
        x = low + (high - low) * i / 2000
        full = function(x)
        worst = max(worst, abs(sum(c * x**i for i, c in enumerate(fixed)) / full - 1))
    return fixed, worst


def literal(x, bits):
    digits, exponent = float(x).hex().split("p")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return digits + "p" + exponent + ("f" if bits == 24 else "")


def show(name, values, bits, error=None):
    note = "" if error is None else f"  // relative error {mp.nstr(error, 3)} = 2^{mp.nstr(log(error, 2), 4)}"
    print(f"{name}: " + ", ".join(literal(v, bits) for v in values) + note, flush=True)


def main():
    half_step = log(mpf(2)) / 2 * (1 + mpf(2) ** -12)  # a little wider: the reduced argument is itself rounded
    z_high = ((sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)) ** 2 * (1 + mpf(2) ** -12)
    for bits, high_bits, exponential, k3, logarithm in ((53, 36, 10, 11, 7), (24, 15, 5, 6, 4)):
        print(f"--- {bits} bits")
        ln2_high = rounded(log(mpf(2)), high_bits)
        show("log2(e)", [rounded(1 / log(mpf(2)), bits)], bits)
        show("ln2 high, low", [ln2_high, rounded(log(mpf(2)) - ln2_high, bits)], bits)
        half = mpf(1) / 2
        show("exponential", *interleave(fit(exponential_tail, -half_step, half_step, exponential, bits, [half]), bits))
        show("k3", *interleave(fit(exponential_tail, -half_step, half_step, k3, bits, [half]), bits))
        show("logarithm", *interleave(fit(logarithm_tail, mpf(0), z_high, logarithm, bits), bits))
    step = log(mpf(2)) / 32 * (1 + mpf(2) ** -12)
    print("--- 53 bits, sixteenths")
    show("exponential", *interleave(fit(exponential_tail, -step, step, 5, 53, [mpf(1) / 2]), 53))
    show("2^(j/16)", [rounded(mpf(2) ** (mpf(j) / 16), 53) for j in range(16)], 53)


def interleave(fitted, bits):
    coefficients, error = fitted
    return coefficients, bits, error


if __name__ == "__main__":
    main()
