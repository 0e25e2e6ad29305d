// SPDX-License-Identifier: Apache-2.0
// What can be made to go wrong on the embedded platform, by platform_options::faults, platform::set_fault() or the
// administrator's address /gradwire/faults. Every fault is a thing that the hosted platform was seen to do.
#pragma once

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gradwire/error.hpp>
#include <gradwire/loopback/platform/options.hpp>

namespace gradwire::inline v0 {
namespace loopback {

struct fault_description {
  std::string_view name{};
  std::string_view values{};  // "": it takes none; "a|b": one of these; "<…>": free
  std::string_view what{};
};

inline constexpr fault_description known_faults[] = {
    {"accounts", "none|two", "the key belongs to no account, or to two"},
    {"no_validated_version", "", "no training shape has a validated version"},
    {"refuse", "<operation>:<status>[:<retry after>]", "answers that status; nothing is executed"},
    {"lose_reply", "<operation>[:<status>]", "executes, and answers that status (502) instead of the result"},
    {"job_fails", "statusMessage|message|status.message|status.statusMessage|status.detail|status.details|status",
     "a new job ends in JOB_STATE_FAILED and says why in that place"},
    {"job_vanishes", "", "a job is not found by GET after its creation was answered 409"},
    {"gateway_unhealthy", "", "a job's health check fails on the gateway and answers on its direct route"},
    {"deployment_stays_creating", "", "a deployment serves, and still says CREATING"},
    {"deployment_fails", "", "a new deployment ends in FAILED"},
    {"no_reset_prompt_cache", "", "a hot load with reset_prompt_cache is refused with 400"},
    {"replicas", "missing|empty|stale_error|error|adapters|lagging",
     "the hot load status has no list, no replica, an old error, this load's error, adapters, or a slow second one"},
    {"checkpoint_page", "other_key", "as rlorTrainerJobCheckpoints, two a page, every other time in whole seconds"},
    {"promotion", "synchronous|no_async", "answers the model at once; async_promotion is refused or ignored"},
    {"promotion_fails", "", "the operation of a promotion ends in an error"},
    {"stream", "truncated|done_only", "a stream ends without an end, or is nothing but its end"},
    {"echo_mismatch", "", "an echo is not the prompt"},
    {"no_sampling_logprob", "", "tokens are answered with sampling_logprob null"},
};

namespace hosting {

// What refuse and lose_reply may name; refuse also takes trainer and trainer/<last segment of the path>.
inline constexpr std::string_view known_operations[] = {"list_accounts",
                                                        "get_account",
                                                        "list_models",
                                                        "get_model",
                                                        "list_shapes",
                                                        "get_shape",
                                                        "list_shape_versions",
                                                        "get_shape_version",
                                                        "list_deployment_shapes",
                                                        "get_deployment_shape",
                                                        "match_deployment_shapes",
                                                        "create_job",
                                                        "list_jobs",
                                                        "get_job",
                                                        "delete_job",
                                                        "resume_job",
                                                        "cancel_job",
                                                        "execute_train_step",
                                                        "list_checkpoints",
                                                        "promote",
                                                        "get_operation",
                                                        "create_deployment",
                                                        "list_deployments",
                                                        "get_deployment",
                                                        "update_deployment",
                                                        "scale_deployment",
                                                        "delete_deployment",
                                                        "hot_load",
                                                        "hot_load_status",
                                                        "completions"};

class fault_table {
 public:
  // errc::config for what is not known.
  static void check(const platform_fault& fault) {
    for (const auto& known : known_faults) {
      if (known.name != fault.name) continue;
      if (known.values.empty() != fault.value.empty())
        throw error(errc::config, "the fault '" + fault.name + "' takes " +
                                      (known.values.empty() ? "no value" : "a value: " + std::string(known.values)));
      const std::string all = "|" + std::string(known.values) + "|";
      if (!known.values.empty() && known.values[0] != '<' && all.find("|" + fault.value + "|") == all.npos)
        throw error(errc::config, "the fault '" + fault.name + "' takes " + std::string(known.values) + ", not '" +
                                      fault.value + "'");
      if (known.values.starts_with("<operation>")) check_operation(fault);
      return;
    }
    std::string names;
    for (const auto& known : known_faults) names += (names.empty() ? "" : ", ") + std::string(known.name);
    throw error(errc::config, "there is no fault '" + fault.name + "'; there are: " + names);
  }

  void set(const platform_fault& fault) {
    check(fault);
    if (fault.times != 0) faults_.push_back(fault);
  }
  void clear() { faults_.clear(); }
  const std::vector<platform_fault>& all() const noexcept { return faults_; }

  // The value of the fault, which thereby happens once more; nothing where it is not set.
  std::optional<std::string> happens(std::string_view name) { return take(name, {}); }
  bool happens(std::string_view name, std::string_view value) { return take(name, value).has_value(); }

  struct refusal {
    int status = 503;
    std::string retry_after{};
  };
  // refuse and lose_reply, for one operation.
  std::optional<refusal> strikes(std::string_view name, std::string_view operation) {
    for (auto it = faults_.begin(); it != faults_.end(); ++it) {
      if (it->name != name) continue;
      const std::string_view text = it->value;
      const auto first = text.find(':');
      if (text.substr(0, first) != operation) continue;
      refusal made{.status = name == "lose_reply" ? 502 : 503};
      if (first != text.npos) {
        const auto second = text.find(':', first + 1);
        const std::string_view number = text.substr(first + 1, second == text.npos ? second : second - first - 1);
        std::from_chars(number.data(), number.data() + number.size(), made.status);
        if (second != text.npos) made.retry_after = text.substr(second + 1);
      }
      use(it);
      return made;
    }
    return {};
  }

 private:
  // <operation>[:<status>[:<retry after>]]; what names no operation would never strike.
  static void check_operation(const platform_fault& fault) {
    const std::string_view text = fault.value;
    const auto first = text.find(':');
    const std::string_view operation = text.substr(0, first);
    const bool of_trainer = operation == "trainer" || (operation.starts_with("trainer/") && operation.size() > 8);
    if (std::ranges::find(known_operations, operation) == std::end(known_operations) &&
        !(fault.name == "refuse" && of_trainer)) {
      std::string names;
      for (const auto known : known_operations) names += std::string(known) + ", ";
      throw error(errc::config, "the fault '" + fault.name + "' knows no operation '" + std::string(operation) +
                                    "'; there are: " + names + "and for refuse trainer and trainer/<name>");
    }
    if (first == text.npos) return;
    const std::string_view number = text.substr(first + 1, text.find(':', first + 1) - first - 1);
    int status = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), status);
    if (parsed.ptr != number.data() + number.size() || status < 400 || status > 599)
      throw error(errc::config,
                  "the fault '" + fault.name + "' takes a status from 400 to 599, not '" + std::string(number) + "'");
  }

  std::optional<std::string> take(std::string_view name, std::string_view value) {
    for (auto it = faults_.begin(); it != faults_.end(); ++it) {
      if (it->name != name || (!value.empty() && it->value != value)) continue;
      std::string found = it->value;
      use(it);
      return found;
    }
    return {};
  }

  void use(std::vector<platform_fault>::iterator it) {
    if (it->times > 0 && --it->times == 0) faults_.erase(it);
  }

  std::vector<platform_fault> faults_;
};

}  // namespace hosting
}  // namespace loopback
}  // namespace gradwire::inline v0
