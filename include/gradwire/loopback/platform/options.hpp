// SPDX-License-Identifier: Apache-2.0
// How the embedded platform is started: accounts, delays, quotas, faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/loopback/server.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// Seconds of the platform's clock, which platform::advance() moves on.
struct platform_delays {
  double job_pending = 0;             // in JOB_STATE_PENDING, …
  double job_creating = 0.05;         // … then in JOB_STATE_CREATING, …
  double job_unhealthy = 0;           // … then RUNNING, but its health check still fails
  double job_resuming = 0;            // after :resume the state from before is told for this long
  double deployment_creating = 0.05;  // in CREATING, and in UPDATING where new pods are needed
  double deployment_deleting = 0;     // in DELETING
  double hot_load = 0;                // until loaded weights are told of
  double promotion = 0.05;            // of an asynchronous promotion
};

// What one account may have at a time; more is answered 429 with google.rpc.Status details.
struct platform_quotas {
  std::int64_t trainer_jobs = 64;
  std::int64_t deployments = 64;
  std::int64_t accelerators = 4096;  // of running trainer jobs, as their shapes count them
};

// A behaviour that the hosted platform has on a bad day (faults.hpp lists them).
struct platform_fault {
  std::string name{};
  std::string value{};  // what some of them need
  int times = -1;       // how often it happens; -1: until it is cleared
};

struct platform_options {
  std::uint16_t port = 0;                 // 0: any free one
  std::string address = "127.0.0.1";      // as in start_options
  bool allow_other_machines = false;      // …
  std::vector<std::string> host_names{};  // …
  std::string token{};                    // "": a new one, fw_ and 32 random hexadecimal digits
  std::string inference_token{};          // a key that may only sample; "": there is none
  std::string account = "acme";           // the key's account
  bool superuser = false;                 // the key may skip validations
  platform_delays delays{};
  platform_quotas quotas{};
  std::vector<platform_fault> faults{};
  std::filesystem::path catalogue{};    // JSON file of training shapes; "": training_shapes.hpp
  std::filesystem::path files{};        // checkpoints and models; "": a temporary folder, removed at the end
  std::filesystem::path requests{};     // file that gets a line of JSON for each request; "": none is kept
  std::string model = "gradwire/tiny";  // what every base model of the catalogue really is
  std::uint64_t seed = 0;               // of its weights
  int threads = 0;                      // of each trainer and each deployment; 0: as many as the machine has
  sequence_policy sequence = sequence_policy::dedupe;  // of the trainers
  double hold_seconds = 30;                            // …
  bool try_again = true;                               // …
  bool debug = false;                                  // …
  std::size_t body_limit = std::size_t{256} << 20;     // bytes of a request
  std::size_t max_connections = 1024;
  double head_timeout_seconds = 10;
};

// What was executed since the start. A request that is refused, or answered from what is there, is not counted.
struct platform_counts {
  std::int64_t jobs_created = 0, jobs_deleted = 0, jobs_resumed = 0;
  std::int64_t deployments_created = 0, deployments_updated = 0, deployments_deleted = 0;
  std::int64_t hot_loads = 0;  // begun
  std::int64_t promotions = 0;
  std::int64_t completions = 0;
};

}  // namespace loopback
}  // namespace gradwire::inline v0
