// SPDX-License-Identifier: Apache-2.0
// The numbers of the exponential and the logarithm. Made by tests/golden/minimax.py, which also says how exact they
// are.
#pragma once

namespace gradwire::inline v0 {
namespace detail {

template <class T>
struct constants;

template <>
struct constants<double> {
  static constexpr double log2_e = 0x1.71547652b82fep+0;
  static constexpr double ln2_high = 0x1.62e42fefap-1;  // 36 bits: times any exponent it is exact
  static constexpr double ln2_low = 0x1.cf79abc9e3b3ap-40;
  static constexpr double sqrt_half = 0x1.6a09e667f3bcdp-1;

  // Beyond these exp is 0 and infinity; below the third, expm1 is -1 and an exponential beside |x| is nothing.
  static constexpr double exp_least = -746, exp_greatest = 710, expm1_least = -700;

  // (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2, within 2^-51.7 and 2^-58.0
  static constexpr double exp[10] = {0x1p-1,
                                     0x1.555555555554fp-3,
                                     0x1.5555555554442p-5,
                                     0x1.1111111113ff7p-7,
                                     0x1.6c16c176e2e8p-10,
                                     0x1.a01a018c71a0bp-13,
                                     0x1.a019bdbbfcd4p-16,
                                     0x1.71de5cdd08192p-19,
                                     0x1.288d20f03a85p-22,
                                     0x1.aea1a8dedaafap-26};
  static constexpr double k3[11] = {0x1p-1,
                                    0x1.5555555555557p-3,
                                    0x1.5555555555555p-5,
                                    0x1.1111111110054p-7,
                                    0x1.6c16c16c1714cp-10,
                                    0x1.a01a01ac1c222p-13,
                                    0x1.a01a019fca5f8p-16,
                                    0x1.71de01b1c75dcp-19,
                                    0x1.27e4eef793e03p-22,
                                    0x1.af4ec38ed545bp-26,
                                    0x1.1f4f9cbc38e6dp-29};

  // The same for |r| <= ln 2 / 32, within 2^-42.9 (of a term that is then 2^-12 of the result), and 2^(j/16)
  static constexpr double exp_sixteenth[5] = {0x1p-1, 0x1.55555554dd222p-3, 0x1.55555555696b9p-5, 0x1.11120b2387924p-7,
                                              0x1.6c176107bee84p-10};
  alignas(64) static constexpr double powers[16] = {0x1p+0,
                                                    0x1.0b5586cf9890fp+0,
                                                    0x1.172b83c7d517bp+0,
                                                    0x1.2387a6e756238p+0,
                                                    0x1.306fe0a31b715p+0,
                                                    0x1.3dea64c123422p+0,
                                                    0x1.4bfdad5362a27p+0,
                                                    0x1.5ab07dd485429p+0,
                                                    0x1.6a09e667f3bcdp+0,
                                                    0x1.7a11473eb0187p+0,
                                                    0x1.8ace5422aa0dbp+0,
                                                    0x1.9c49182a3f09p+0,
                                                    0x1.ae89f995ad3adp+0,
                                                    0x1.c199bdd85529cp+0,
                                                    0x1.d5818dcfba487p+0,
                                                    0x1.ea4afa2a490dap+0};

  // (2 atanh(s) - 2 s) / s^3 as a polynomial in s^2, s = f / (2 + f), 1 + f in [sqrt 1/2, sqrt 2], within 2^-50.9
  static constexpr double log[7] = {0x1.5555555555558p-1, 0x1.9999999995311p-2, 0x1.2492492df125p-2,
                                    0x1.c71c62e3724bbp-3, 0x1.7462b587d42ap-3,  0x1.39fe3f1b9b36ep-3,
                                    0x1.2b5a06792585fp-3};
};

template <>
struct constants<float> {
  static constexpr float log2_e = 0x1.715476p+0f;
  static constexpr float ln2_high = 0x1.62e4p-1f;
  static constexpr float ln2_low = 0x1.7f7d1cp-20f;
  static constexpr float sqrt_half = 0x1.6a09e6p-1f;
  static constexpr float exp_least = -104, exp_greatest = 89, expm1_least = -80;
  static constexpr float exp[5] = {0x1p-1f, 0x1.5554dep-3f, 0x1.55556ep-5f, 0x1.120ad2p-7f,
                                   0x1.6cafaap-10f};  // 2^-22.9
  static constexpr float k3[6] = {0x1p-1f,        0x1.555556p-3f,  0x1.55550cp-5f,
                                  0x1.111054p-7f, 0x1.6d2218p-10f, 0x1.a16a84p-13f};                // 2^-27.8
  static constexpr float log[4] = {0x1.555556p-1f, 0x1.9996d8p-2f, 0x1.25653p-2f, 0x1.b06274p-3f};  // 2^-25.0
};

}  // namespace detail
}  // namespace gradwire::inline v0
