// SPDX-License-Identifier: Apache-2.0
// Sampling: greedy is the argmax, draws follow the exact probabilities (chi-square), the cache gives the logprobs of
// the forward pass, seeds reproduce whatever else is sampled, and every way to stop.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <gradwire/loopback/model/token_choice.hpp>

#include "golden_qwen3.hpp"

namespace {

using namespace gradwire::loopback;
using golden_qwen3::file;

using tokens = std::vector<std::int32_t>;

const frozen_model& golden_model(const char* name = "qwen3", linear_algebra backend = linear_algebra::eigen) {
  static std::map<std::pair<std::string, linear_algebra>, frozen_model> models;
  const auto key = std::pair{std::string(name), backend};
  if (!models.contains(key))
    models.emplace(
        key, frozen_model::load({.model = golden_qwen3::directory(name), .threads = 2, .linear_algebra = backend}));
  return models.at(key);
}

sample_result sample(const frozen_model& model, const tokens& prompt, const sample_options& options) {
  const sample_request request{prompt, options};
  return model.sample({&request, 1})[0];
}

// log p(next | sequence) for the whole vocabulary, after each token, by the forward pass.
std::vector<std::vector<float>> all_logprobs(const frozen_model& model, const tokens& sequence) {
  const auto vocab = static_cast<std::size_t>(model.config().vocab_size);
  std::vector<std::int64_t> targets(sequence.size() * vocab);
  for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = std::int64_t(i % vocab);
  const example given{sequence, targets, vocab};
  const std::vector<float> flat = model.forward({&given, 1})[0];
  std::vector<std::vector<float>> rows;
  for (std::size_t t = 0; t < sequence.size(); ++t)
    rows.emplace_back(flat.begin() + std::ptrdiff_t(t * vocab), flat.begin() + std::ptrdiff_t((t + 1) * vocab));
  return rows;
}

// Probability that a chi-square variable with k degrees of freedom is larger (Wilson and Hilferty).
double chi_square_tail(double value, double k) {
  const double z = (std::cbrt(value / k) - (1 - 2 / (9 * k))) / std::sqrt(2 / (9 * k));
  return 0.5 * std::erfc(z / std::sqrt(2.0));
}

// Draws first tokens and compares their counts with the probabilities.
void check_draws(const frozen_model& model, const tokens& prompt, sample_options options,
                 const std::vector<double>& probabilities) {
  options.num_samples = 20000;
  options.max_tokens = 1;
  options.stop_at_end = false;
  const sample_result result = sample(model, prompt, options);
  std::vector<double> counts(probabilities.size(), 0);
  for (const sampled_sequence& each : result.sequences) ++counts[std::size_t(each.tokens[0])];
  double statistic = 0, degrees = -1, rest = 0, rest_expected = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = 20000 * probabilities[i];
    if (expected == 0) BOOST_TEST(counts[i] == 0, "token " << i);
    if (expected < 8) {
      rest += counts[i], rest_expected += expected;
    } else {
      statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
      ++degrees;
    }
  }
  if (rest_expected > 8) statistic += (rest - rest_expected) * (rest - rest_expected) / rest_expected, ++degrees;
  BOOST_TEST(degrees > 1);
  const double tail = chi_square_tail(statistic, degrees);
  BOOST_TEST((tail > 1e-4 && tail < 1 - 1e-4), "chi-square " << statistic << " of " << degrees << ": " << tail);
}

std::vector<double> softmax(const std::vector<float>& logprobs, double temperature) {
  std::vector<double> p;
  for (const float each : logprobs) p.push_back(std::exp(double(each) / temperature));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& each : p) each /= total;
  return p;
}

// What is left by a filter on tokens in order of probability, renormalised.
std::vector<double> keep_best(std::vector<double> p, std::size_t top_k, double top_p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
  double kept = 0;
  for (std::size_t i = 0; i < std::min(top_k, order.size()); ++i) kept += p[order[i]];
  std::vector<double> result(p.size(), 0.0);
  double reached = 0;
  for (std::size_t i = 0; i < std::min(top_k, order.size()) && reached < top_p * kept; ++i)
    reached += result[order[i]] = p[order[i]];
  for (double& each : result) each /= reached;
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sampling)

BOOST_AUTO_TEST_CASE(greedy_is_the_argmax_and_the_cache_is_the_forward_pass) {
  for (const linear_algebra backend : {linear_algebra::eigen, linear_algebra::xtensor_blas})
    for (const char* name : {"qwen3", "qwen3_tied"}) {
      const frozen_model& model = golden_model(name, backend);
      for (const golden_qwen3::sequence& sequence : file().sequences) {
        const sample_result result =
            sample(model, sequence.tokens,
                   {.max_tokens = 40, .temperature = 0, .stop_at_end = false, .prompt_logprobs = true});
        tokens whole = sequence.tokens;
        whole.insert(whole.end(), result.sequences[0].tokens.begin(), result.sequences[0].tokens.end());
        BOOST_TEST(result.sequences[0].tokens.size() == 40U);
        BOOST_TEST((result.sequences[0].reason == stop_reason::length));
        const auto rows = all_logprobs(model, whole);
        for (std::size_t t = 1; t < whole.size(); ++t) {
          const std::vector<float>& row = rows[t - 1];
          const float expected = row[std::size_t(whole[t])];
          if (t < sequence.tokens.size()) {
            BOOST_TEST(std::abs(result.prompt_logprobs[t] - expected) < 1e-5);
          } else {
            BOOST_TEST(std::abs(result.sequences[0].logprobs[t - sequence.tokens.size()] - expected) < 1e-5);
            BOOST_TEST(expected > *std::max_element(row.begin(), row.end()) - 1e-5F);
          }
        }
        BOOST_TEST(std::isnan(result.prompt_logprobs[0]));
      }
    }
}

BOOST_AUTO_TEST_CASE(sampled_logprobs_are_those_of_the_model_not_of_the_temperature) {
  const tokens prompt{3, 14, 15};
  const sample_result result = sample(golden_model(), prompt,
                                      {.max_tokens = 20,
                                       .num_samples = 3,
                                       .temperature = 2.5,
                                       .top_k = 20,
                                       .top_p = 0.9,
                                       .seed = 4,
                                       .stop_at_end = false,
                                       .topk_sample_logprobs = 5});
  for (const sampled_sequence& sequence : result.sequences) {
    tokens whole = prompt;
    whole.insert(whole.end(), sequence.tokens.begin(), sequence.tokens.end());
    const auto rows = all_logprobs(golden_model(), whole);
    for (std::size_t t = 0; t < sequence.tokens.size(); ++t) {
      const std::vector<float>& row = rows[prompt.size() - 1 + t];
      BOOST_TEST(std::abs(sequence.logprobs[t] - row[std::size_t(sequence.tokens[t])]) < 1e-5);
      std::vector<float> sorted = row;
      std::sort(sorted.rbegin(), sorted.rend());
      BOOST_TEST(sequence.topk_logprobs[t].size() == 5U);
      for (std::size_t k = 0; k < 5; ++k) {
        const auto [token, logprob] = sequence.topk_logprobs[t][k];
        BOOST_TEST(std::abs(logprob - sorted[k]) < 1e-5);
        BOOST_TEST(std::abs(logprob - row[std::size_t(token)]) < 1e-5);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(prompt_logprobs_and_their_best) {
  const tokens& prompt = file().sequences[4].tokens;
  const auto rows = all_logprobs(golden_model(), prompt);
  const sample_result result = sample(golden_model(), prompt, {.max_tokens = 1, .topk_prompt_logprobs = 3});
  BOOST_TEST(result.prompt_logprobs.empty());
  BOOST_TEST(result.topk_prompt_logprobs.size() == prompt.size());
  BOOST_TEST(result.topk_prompt_logprobs[0].empty());
  for (std::size_t t = 1; t < prompt.size(); ++t) {
    std::vector<float> sorted = rows[t - 1];
    std::sort(sorted.rbegin(), sorted.rend());
    BOOST_TEST(result.topk_prompt_logprobs[t].size() == 3U);
    for (std::size_t k = 0; k < 3; ++k)
      BOOST_TEST(std::abs(result.topk_prompt_logprobs[t][k].second - sorted[k]) < 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(draws_follow_the_probabilities) {
  const tokens prompt{7, 8, 9, 10};
  const std::vector<float> row = all_logprobs(golden_model(), prompt).back();
  check_draws(golden_model(), prompt, {.seed = 1}, softmax(row, 1));
  check_draws(golden_model(), prompt, {.temperature = 0.6, .seed = 2}, softmax(row, 0.6));
  check_draws(golden_model(), prompt, {.temperature = 1.7, .seed = 3}, softmax(row, 1.7));
  check_draws(golden_model(), prompt, {.top_k = 7, .seed = 4}, keep_best(softmax(row, 1), 7, 1));
  check_draws(golden_model(), prompt, {.top_p = 0.8, .seed = 5}, keep_best(softmax(row, 1), 64, 0.8));
  check_draws(golden_model(), prompt, {.temperature = 1.5, .top_k = 12, .top_p = 0.7, .seed = 6},
              keep_best(softmax(row, 1.5), 12, 0.7));
}

BOOST_AUTO_TEST_CASE(seeds) {
  const tokens prompt{1, 2, 3, 4, 5}, other{9, 8}, single{30};
  const sample_options options{.max_tokens = 12, .num_samples = 4, .seed = 100, .stop_at_end = false};
  for (const frozen_model& model :
       {golden_model(), golden_model("qwen3_tied"), golden_model("qwen3", linear_algebra::fastest)}) {
    const sample_result first = sample(model, prompt, options);
    std::set<tokens> distinct;
    for (std::size_t i = 0; i < 4; ++i) {
      distinct.insert(first.sequences[i].tokens);
      // sample i uses seed + i, alone or with others
      sample_options alone = options;
      alone.num_samples = 1, *alone.seed += i;
      const sample_result one = sample(model, prompt, alone);
      BOOST_TEST(one.sequences[0].tokens == first.sequences[i].tokens);
      BOOST_TEST(one.sequences[0].logprobs == first.sequences[i].logprobs);  // to the bit
    }
    BOOST_TEST(distinct.size() == 4U);
    // among requests of other lengths, counts and options, more than fit into one pass
    std::vector<sample_request> crowd;
    crowd.push_back({other, {.max_tokens = 3, .num_samples = 301, .temperature = 0.5}});
    crowd.push_back({single, {.max_tokens = 30, .num_samples = 2, .top_k = 3, .prompt_logprobs = true}});
    crowd.push_back({prompt, options});
    crowd.push_back({other, {.max_tokens = 17, .num_samples = 350}});
    const std::vector<sample_result> results = model.sample(crowd);
    for (std::size_t i = 0; i < 4; ++i) {
      BOOST_TEST(results[2].sequences[i].tokens == first.sequences[i].tokens);
      BOOST_TEST(results[2].sequences[i].logprobs == first.sequences[i].logprobs);
    }
    BOOST_TEST(results[0].sequences.size() == 301U);
    for (const sampled_sequence& each : results[3].sequences) BOOST_TEST(each.tokens.size() <= 17U);
    BOOST_TEST(results[1].prompt_logprobs.size() == 1U);
  }
  sample_options unseeded = options;
  unseeded.seed.reset();
  BOOST_TEST(sample(golden_model(), prompt, unseeded).sequences[0].tokens !=
             sample(golden_model(), prompt, unseeded).sequences[0].tokens);
}

BOOST_AUTO_TEST_CASE(every_way_to_stop) {
  const frozen_model& model = golden_model();
  const tokens prompt{5, 6};
  const tokens free = sample(model, prompt, {.max_tokens = 60, .seed = 8, .stop_at_end = false}).sequences[0].tokens;
  const auto run = [&](sample_options options) {
    options.max_tokens = 60, options.seed = 8;
    return sample(model, prompt, options).sequences[0];
  };
  // a stop token: the sample is the same up to and with it
  const std::int32_t at_ten = free[10];
  const sampled_sequence stopped = run({.stop_at_end = false, .stop_tokens = {63, at_ten}});
  const auto first = std::find_if(free.begin(), free.end(), [&](auto t) { return t == at_ten || t == 63; });
  BOOST_TEST(stopped.tokens == tokens(free.begin(), first + 1));
  BOOST_TEST((stopped.reason == stop_reason::stop));
  BOOST_TEST(stopped.logprobs.size() == stopped.tokens.size());
  // the model's own end of text (config.json says 3)
  const auto end = std::find(free.begin(), free.end(), 3);
  const sampled_sequence ended = run({});
  BOOST_TEST(ended.tokens == tokens(free.begin(), end == free.end() ? end : end + 1));
  // no tokens at all, and the longest sequence that the model takes (256)
  BOOST_TEST(sample(model, prompt, {.max_tokens = 0}).sequences[0].tokens.empty());
  const sampled_sequence longest = sample(model, prompt, {.max_tokens = 9999, .stop_at_end = false}).sequences[0];
  BOOST_TEST(longest.tokens.size() == 254U);
  BOOST_TEST((longest.reason == stop_reason::length));
}

BOOST_AUTO_TEST_CASE(stop_strings) {
  const frozen_model model = frozen_model::load({.seed = 5, .threads = 2});
  const tokens prompt = model.tokenizer().encode("abc");
  // A stop string that really occurs: three tokens in the middle of a free sample that are plain bytes.
  const tokens free = sample(model, prompt, {.max_tokens = 200, .seed = 2, .stop_at_end = false}).sequences[0].tokens;
  std::size_t at = 20;
  const auto plain = [&](std::size_t i) { return free[i] < 128 && free[i] > 0; };
  while (!(plain(at) && plain(at + 1) && plain(at + 2))) ++at;
  BOOST_REQUIRE(at + 3 < free.size());
  const std::string stop = model.tokenizer().decode(std::span(free).subspan(at, 3));
  const sampled_sequence stopped =
      sample(model, prompt,
             {.max_tokens = 200, .seed = 2, .stop_at_end = false, .stop_strings = {"no such text", stop}})
          .sequences[0];
  BOOST_TEST((stopped.reason == stop_reason::stop));
  BOOST_TEST(stopped.tokens.size() <= at + 3);
  BOOST_TEST(model.tokenizer().decode(stopped.tokens).ends_with(stop));
  BOOST_CHECK_EXCEPTION(sample(golden_model(), {1}, {.stop_strings = {"x"}}), gradwire::error, [](const auto& e) {
    return e.kind() == gradwire::errc::config && std::string(e.what()).find("send token ids") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(bad_requests) {
  const auto refused = [](const tokens& prompt, const sample_options& options) {
    BOOST_CHECK_EXCEPTION(sample(golden_model(), prompt, options), gradwire::error,
                          [](const auto& e) { return e.kind() == gradwire::errc::data; });
  };
  refused({}, {});
  refused({64}, {});
  refused({-1}, {});
  refused({1}, {.temperature = -1});
  refused({1}, {.temperature = NAN});
  refused({1}, {.top_p = 0});
  refused({1}, {.top_p = 1.1});
  refused({1}, {.top_k = -2});
  refused(tokens(257, 1), {});
}

BOOST_AUTO_TEST_CASE(ties_and_extremes_of_one_row) {
  token_chooser chooser;
  random_stream random(1);
  const std::vector<float> tied{1, 5, 5, -2, 5};
  BOOST_TEST(chooser.choose(tied.data(), 5, {.temperature = 0}, random).token == 1);
  BOOST_TEST(std::abs(chooser.choose(tied.data(), 5, {.temperature = 0}, random).logprob -
                      float(-std::log(3 + std::exp(-4.0) + std::exp(-7.0)))) < 1e-6);
  const std::vector<token_logprob> best = chooser.top(tied.data(), 5, 2);
  BOOST_TEST(best[0].first == 1);
  BOOST_TEST(best[1].first == 2);
  const std::vector<float> certain{-200, 0, -INFINITY, -90};
  for (int i = 0; i < 100; ++i)
    for (const double top_p : {1.0, 0.5})
      BOOST_TEST(chooser.choose(certain.data(), 4, {.top_p = top_p}, random).token == 1);
  for (int i = 0; i < 100; ++i)
    BOOST_TEST(chooser.choose(tied.data(), 5, {.top_k = 1}, random).token == 1);  // of equals the smallest id
  const std::vector<float> broken{1, NAN, 2};
  BOOST_CHECK_EXCEPTION(chooser.choose(broken.data(), 3, {}, random), gradwire::error, [](const auto& e) {
    return e.kind() == gradwire::errc::data && std::string(e.what()).find("diverged") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
