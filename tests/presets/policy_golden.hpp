// SPDX-License-Identifier: Apache-2.0
// The policy losses' golden files (tests/golden/policy_*.json, format in policy_cases.py), one call a case:
//   golden::policy_file file("policy_trl.json");
//   file.check("grpo", trl::grpo{});                     // every case of that name, whatever its batch
//   file.check("grpo", grpo{}, {"holes", "one masked"});  // on these, where another loss is the same on them only
// A case that no call names is an error, and so is a call that names none.
#pragma once

#include <gradwire/gradient/interpret.hpp>
#include <gradwire/loss.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>
#include "../golden/golden.hpp"

namespace golden {

inline auto policy_batch(const node& columns) {
  namespace gw = gradwire;
  std::map<std::string, rows> token;
  for (const char* name :
       {"logprobs", "old_logprobs", "sampler_logprobs", "ref_logprobs", "weights", "token_advantage"})
    fill(token[name], columns[name]);
  row advantages;
  fill(advantages, columns["advantage"]);
  const auto partition = [&](const char* name) {  // all in one part where the batch does not say
    row parts(advantages.size());
    if (const node* found = columns.find(name)) fill(parts, *found);
    return parts;
  };
  const row micro_batches = partition("micro_batch"), prompts = partition("prompt_id");
  const auto make = [&](std::size_t s) {
    std::vector<int> ids(token["weights"][s].size() + 1, 7);
    return gw::datum{gw::prompt(ids),
                     gw::fields::weights = token["weights"][s],
                     gw::fields::logprobs = token["logprobs"][s],
                     gw::fields::old_logprobs = token["old_logprobs"][s],
                     gw::fields::sampler_logprobs = token["sampler_logprobs"][s],
                     gw::fields::ref_logprobs = token["ref_logprobs"][s],
                     gw::fields::teacher_logprobs = token["ref_logprobs"][s],
                     gw::fields::token_advantage = token["token_advantage"][s],
                     gw::fields::advantage = advantages[s],
                     gw::fields::micro_batch = micro_batches[s],
                     gw::fields::prompt_id = prompts[s]};
  };
  std::vector<decltype(gw::group(make(0)))> groups;
  for (std::size_t s = 0; s < advantages.size(); ++s) groups.push_back(gw::group(make(s)));
  return gw::batch_of<double>(groups);
}

class policy_file {
 public:
  using batch = decltype(policy_batch(std::declval<const node&>()));

  explicit policy_file(const std::string& file) : root_(parse(text_of(file))) {
    for (const auto& [name, columns] : root_["batches"].fields) batches_.emplace(name, policy_batch(columns));
    for (const node& item : root_["cases"].items) unused_.insert(item["name"].text);
  }
  policy_file(const policy_file&) = delete;
  ~policy_file() {
    for (const auto& name : unused_) BOOST_ERROR("no loss was checked against the case " << name);
  }

  template <class Loss>
  void check(const std::string& name, const Loss& loss, const std::set<std::string>& only = {}) {
    std::size_t found = 0;
    for (const node& item : root_["cases"].items)
      if (item["name"].text == name + " | " + item["batch"].text &&
          (only.empty() || only.count(item["batch"].text) != 0)) {
        ++found;
        unused_.erase(item["name"].text);
        check_case(item, loss);
      }
    BOOST_CHECK_MESSAGE(found >= std::max<std::size_t>(only.size(), 1), "no case is called " << name);
  }

 private:
  // Value and gradient come from the engine, metrics from the formula's tree: the engine's code for them is large.
  template <class Loss>
  void check_case(const node& item, const Loss& loss) const {
    namespace gw = gradwire;
    const auto& data = batches_.at(item["batch"].text);
    const auto found = gw::value_and_gradient(loss, gw::wrt(gw::fields::logprobs), gw::at(data));
    compare_gradient(item, found.loss, found.slope);
    if (!item["metrics"].fields.empty())
      compare_metrics(item, gw::formula::interpreter(gw::reflect(loss), gw::formula::table_of(data)));
  }

  static double largest_slope(const node& item) {
    double largest = 0;
    for (const node& r : item["gradient"].items)
      for (const node& x : r.items) largest = std::max(largest, std::abs(x.as_double()));
    return largest;
  }
  static void compare(const node& item, const std::string& what, double expected, double found, double largest) {
    BOOST_CHECK_MESSAGE(
        std::abs(expected - found) <= item["tolerance"].as_double() * std::max(std::abs(expected), largest),
        item["name"].text << ": " << what << ' ' << found << " for " << expected);
  }
  static void compare_gradient(const node& item, double loss, const gradwire::column<double>& slope) {
    const double largest = largest_slope(item);
    compare(item, "loss", item["loss"].as_double(), loss, largest);
    rows gradient;
    fill(gradient, item["gradient"]);
    for (std::size_t s = 0; s < gradient.size(); ++s)
      for (std::size_t t = 0; t < gradient[s].size(); ++t)
        compare(item, "gradient [" + std::to_string(s) + "][" + std::to_string(t) + "]", gradient[s][t], slope[s][t],
                largest);
  }
  static void compare_metrics(const node& item, const gradwire::formula::interpreter& run) {
    const double largest = largest_slope(item);
    const auto& metrics = run.formula().metrics;
    for (const auto& [name, expected] : item["metrics"].fields) {
      std::size_t i = 0;
      while (i < metrics.size() && metrics[i].name != name) ++i;
      BOOST_REQUIRE_MESSAGE(i < metrics.size() && run.has_metric(i), item["name"].text << ": no metric " << name);
      compare(item, name, expected.as_double(), run.metric(i), largest);
    }
  }

  node root_;
  std::map<std::string, batch> batches_;
  std::set<std::string> unused_;
};

}  // namespace golden
