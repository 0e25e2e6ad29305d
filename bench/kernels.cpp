// SPDX-License-Identifier: Apache-2.0
// The library's kernels and the hand-written ones in one process, asked by bench/run line by line:
//
//   make N                                   a data set of N tokens                  -> {"tokens": N, "sequences": S}
//   write FOLDER                             it, for the peers in Python             -> {}
//   time LOSS TYPE WHO THREADS MILLISECONDS  grpo sft gspo dpo; f32 f64; library free contract memory
//                                            -> {"ns": median per token, "least": …, "loss": …, "allocations": per
//                                            call}
//   check                                    largest difference between the three in loss and gradient, f64
//
// Compiled twice: for this machine, and with -march=x86-64-v3 for the AVX2 kernels.
#include <gradwire/gradient/threads.hpp>
#include <gradwire/loss.hpp>
#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/sft_nll.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

#include "data.hpp"
#include "hand.hpp"

// Counts every allocation of the process (glibc).
static std::atomic<long> allocations{0};
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) { return allocations.fetch_add(1, std::memory_order_relaxed), __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t m) {
  return allocations.fetch_add(1, std::memory_order_relaxed), __libc_calloc(n, m);
}
void* realloc(void* p, std::size_t n) {
  return allocations.fetch_add(1, std::memory_order_relaxed), __libc_realloc(p, n);
}
void* memalign(std::size_t a, std::size_t n) {
  return allocations.fetch_add(1, std::memory_order_relaxed), __libc_memalign(a, n);
}
void* aligned_alloc(std::size_t a, std::size_t n) { return memalign(a, n); }
int posix_memalign(void** p, std::size_t a, std::size_t n) { return (*p = memalign(a, n)) ? 0 : 12; }
}

namespace {

using namespace gradwire;
using namespace gradwire::fields;

constexpr bench::parameters parameters{};
constexpr int hand_bytes = native_isa::bytes;

template <class T>
auto make_batch(const bench::data_set& d) {
  const auto datum_of = [&](std::size_t s, std::size_t begin) {
    const auto part = [&](const std::vector<double>& all) {
      return std::vector<double>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                 all.begin() + static_cast<std::ptrdiff_t>(begin + d.length[s]));
    };
    return datum{prompt(std::vector<int>(d.length[s] + 1, 7)),
                 weights = part(d.mask),
                 logprobs = part(d.logprobs),
                 old_logprobs = part(d.old),
                 ref_logprobs = part(d.reference),
                 advantage = d.advantage[s]};
  };
  using group_type = decltype(group(chosen(datum_of(0, 0)), rejected(datum_of(0, 0))));
  std::vector<group_type> pairs;
  for (std::size_t s = 0, begin = 0; s < d.length.size(); s += 2) {
    const auto first = datum_of(s, begin), second = datum_of(s + 1, begin + d.length[s]);
    pairs.push_back(group(chosen(first), rejected(second)));
    begin += d.length[s] + d.length[s + 1];
  }
  return batch_of<T>(pairs);
}

template <class T>
class subject {
 public:
  explicit subject(const bench::data_set& d)
      : batch_(make_batch<T>(d)), slope_(batch_.layout_handle(), extent::token) {}

  // One call of the kernel that was asked for; empty if there is none.
  std::function<double()> kernel(const std::string& loss, const std::string& who, unsigned threads) {
    if (threads > 1 && (!executor_ || executor_->threads() != threads)) executor_.emplace(threads);
    if (who == "library") {
      if (loss == "grpo") return library(grpo{.clip = offset{parameters.clip}, .beta = parameters.beta}, threads);
      if (loss == "sft") return library(sft_nll{}, threads);
      if (loss == "gspo") return library(gspo{.clip = offset{parameters.gspo_clip}}, threads);
      if (loss == "dpo") return library(dpo{.beta = parameters.dpo_beta}, threads);
    }
    using V = bench::simd<T, hand_bytes>;
    if (who == "free") return by_hand<bench::hand<V, false>>(loss, threads);
    if (who == "contract") return by_hand<bench::hand<V, true>>(loss, threads);
    if (who == "memory") return by_hand<bench::hand<V, true>>("columns " + loss, threads);
    return {};
  }
  const writable_column<T>& slope() const { return slope_; }

 private:
  template <class Loss>
  std::function<double()> library(Loss loss, unsigned threads) {
    return [this, loss, threads] {
      if (threads == 1)
        return value_and_gradient(loss, wrt(logprobs), at(batch_), into(slope_), with_scratch(scratch_)).loss;
      return value_and_gradient(loss, wrt(logprobs), at(batch_), into(slope_), with_scratch(scratch_), on(*executor_))
          .loss;
    };
  }
  template <class Hand>
  std::function<double()> by_hand(const std::string& loss, unsigned threads) {
    const auto& shape = batch_.shape();
    const bench::rows<T> rows{batch_.data(logprobs),
                              batch_.data(old_logprobs),
                              batch_.data(ref_logprobs),
                              batch_.data(weights),
                              batch_.data(advantage),
                              shape.offset.data(),
                              shape.length.data(),
                              batch_.weight_sum(),
                              batch_.total_weight(),
                              shape.sequences(),
                              slope_.data()};
    using function = double (*)(const bench::rows<T>&, std::size_t, std::size_t, const bench::parameters&);
    const std::pair<const char*, function> all[] = {{"grpo", &Hand::grpo},
                                                    {"sft", &Hand::sft},
                                                    {"gspo", &Hand::gspo},
                                                    {"dpo", &Hand::dpo},
                                                    {"columns grpo", &Hand::template stream<4>},
                                                    {"columns sft", &Hand::template stream<2>},
                                                    {"columns gspo", &Hand::template stream<3>},
                                                    {"columns dpo", &Hand::template stream<3>}};
    function f = nullptr;
    for (const auto& [name, made] : all)
      if (loss == name) f = made;
    if (!f) return {};
    if (threads == 1) return [=] { return f(rows, 0, rows.sequences, parameters); };
    return [=, this] {  // halves of about equal length, on whole pairs
      double parts[8] = {};
      std::size_t border[9] = {};
      for (unsigned i = 0; i < threads; ++i) {
        const std::size_t* const end = rows.offset + rows.sequences;
        const auto element = batch_.shape().padded() * (i + 1) / threads;
        border[i + 1] =
            i + 1 == threads
                ? rows.sequences
                : static_cast<std::size_t>(std::lower_bound(rows.offset, end, element) - rows.offset) / 2 * 2;
      }
      (*executor_)(threads, [&](std::size_t i) { parts[i] = f(rows, border[i], border[i + 1], parameters); });
      double sum = 0;
      for (const double part : parts) sum += part;
      return sum;
    };
  }

  decltype(make_batch<T>(bench::data_set{})) batch_;
  writable_column<T> slope_;
  workspace scratch_;
  std::optional<thread_executor> executor_;
};

double now() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string timed(const std::function<double()>& call, std::size_t tokens, double milliseconds) {
  double loss = call();
  loss = call();
  const long before = allocations.load();
  double start = now();
  loss = call();
  const double once = std::max(now() - start, 20.0);
  const long allocated = allocations.load() - before;
  const long repeats = std::max(1L, static_cast<long>(20e3 / once));  // so that reading the clock does not count
  std::vector<double> samples;
  samples.reserve(100000);
  const double end = now() + milliseconds * 1e6;
  while (samples.size() < 3 || (now() < end && samples.size() < 100000)) {
    start = now();
    for (long i = 0; i < repeats; ++i) loss = call();
    samples.push_back((now() - start) / static_cast<double>(repeats) / static_cast<double>(tokens));
  }
  std::sort(samples.begin(), samples.end());
  char text[200];
  std::snprintf(text, sizeof text, R"({"ns": %.5f, "least": %.5f, "loss": %.17g, "allocations": %ld})",
                samples[samples.size() / 2], samples.front(), loss, allocated);
  return text;
}

// How far the library and the two hand-written kernels are apart, so that nobody measures different things.
std::string check(subject<double>& s) {
  std::ostringstream out;
  out << "{";
  for (const char* const loss : {"grpo", "sft", "gspo", "dpo"}) {
    const double value = s.kernel(loss, "library", 1)();
    const std::vector<double> slope(s.slope().data(), s.slope().data() + s.slope().size());
    for (const char* const who : {"free", "contract"}) {
      const double other = s.kernel(loss, who, 1)();
      double worst = 0, largest = 0;
      for (std::size_t i = 0; i < slope.size(); ++i) {
        worst = std::max(worst, std::fabs(slope[i] - s.slope().data()[i]));
        largest = std::max(largest, std::fabs(slope[i]));
      }
      out << (out.tellp() > 1 ? ", " : "") << '"' << loss << ' ' << who << "\": [" << std::fabs(other / value - 1)
          << ", " << worst / largest << "]";
    }
  }
  out << "}";
  return out.str();
}

}  // namespace

int main() {
  bench::data_set data;
  std::optional<subject<float>> floats;
  std::optional<subject<double>> doubles;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what, loss, type, who;
    words >> what;
    if (what == "make") {
      std::size_t n = 0;
      words >> n;
      floats.reset();
      doubles.reset();
      data = bench::make_data(n);
      std::cout << "{\"tokens\": " << data.tokens() << ", \"sequences\": " << data.length.size() << "}" << std::endl;
    } else if (what == "write") {
      words >> what;
      bench::write_data(data, what);
      std::cout << "{}" << std::endl;
    } else if (what == "check") {
      if (!doubles) doubles.emplace(data);
      std::cout << check(*doubles) << std::endl;
    } else if (what == "time") {
      unsigned threads = 1;
      double milliseconds = 0;
      words >> loss >> type >> who >> threads >> milliseconds;
      std::function<double()> call;
      if (type == "f32") {
        if (!floats) floats.emplace(data);
        call = floats->kernel(loss, who, threads);
      } else {
        if (!doubles) doubles.emplace(data);
        call = doubles->kernel(loss, who, threads);
      }
      std::cout << (call ? timed(call, data.tokens(), milliseconds) : "{\"error\": \"no such kernel\"}") << std::endl;
    } else {
      std::cout << "{\"error\": \"what?\"}" << std::endl;
    }
  }
}
