// SPDX-License-Identifier: Apache-2.0
// The embedded trainer: a real model behind the public training protocol, in this process.
//
//   auto server = loopback::start();                          // lives as long as this variable
//   auto service = service_client::connect(server.endpoint());
//
// It listens on 127.0.0.1 only, unless it is told otherwise, and wants its token with every request. The field's own
// clients work against it unchanged: JSON and protobuf, sessions, LoRA (rank 0: full-parameter) models, forward,
// forward_backward with cross_entropy (the plain sum of -logprob * weight), importance_sampling, ppo, cispo and dro,
// optim_step, checkpoints, sampling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gradwire/transport/config.hpp>
#include <gradwire/transport/endpoint.hpp>

namespace gradwire::inline v0 {
namespace loopback {

// What the server does with an operation's seq_id, its place among the operations of one model.
enum class sequence_policy : unsigned char {
  dedupe,  // a number that was seen, with the same body: the same future again; with another body: 409. Gaps are fine
  strict,  // must be the next one, else the future fails with 409; a failed operation does not advance it
  none     // not looked at
};

struct start_options {
  std::uint16_t port = 0;                 // 0: any free one
  std::string address = "127.0.0.1";      // "::1", or with allow_other_machines and a token another of this machine's
  bool allow_other_machines = false;      // plain http: whoever is on the way reads the token; a tunnel is better
  std::vector<std::string> host_names{};  // by which other machines may call this one
  std::string token{};                    // "": a new one, tml- and 32 random hexadecimal digits
  std::string model = "gradwire/tiny";    // or a directory in Hugging Face's Qwen3 format
  std::filesystem::path checkpoints{};    // "": in .state, else a new temporary folder, removed at the end
  std::uint64_t seed = 0;                 // of the built-in model's weights and of new adapters
  int threads = 0;                        // of the model; 0: as many as the machine has
  sequence_policy sequence = sequence_policy::dedupe;
  std::size_t body_limit = std::size_t{256} << 20;  // bytes of a request, also after decompression
  std::size_t max_connections = 1024;               // more are answered with 503
  double head_timeout_seconds = 10;                 // for the head of a request, from its first byte on
  double hold_seconds = 30;                         // a poll for a pending result is answered after this time …
  bool try_again = false;                           // … with 408, or with 200 and {"type": "try_again"}
  bool debug = false;                               // GET /api/v1/debug/counters tells what was executed
  std::string name{};                               // what clients call the model; "": as `model`
  std::filesystem::path state{};  // "": a restart forgets all; else what was trained is kept here, and is there again
  int commit_every = 1;  // operations of a model between two writes of its state; 0: only when it is saved or loaded
  bool no_op = false;    // takes everything, computes nothing: logprobs are -1, sampled tokens 0; to measure transports
};

// Operations that were executed since the server started, those that failed in the middle included. A request that is
// refused, or recognised as a re-send, is not executed.
struct operation_counts {
  std::int64_t create_model = 0, forward = 0, forward_backward = 0, optim_step = 0;
  std::int64_t save_weights = 0, save_weights_for_sampler = 0, load_weights = 0, sample = 0;
};

class server {
 public:
  // errc::config for a model, token or folder that cannot be used, errc::transport for a port that is taken.
  GRADWIRE_DECL explicit server(start_options options = {});
  GRADWIRE_DECL ~server();  // waits for the operation that is running; those behind it are dropped
  GRADWIRE_DECL server(server&&) noexcept;
  GRADWIRE_DECL server& operator=(server&&) noexcept;

  GRADWIRE_DECL gradwire::endpoint endpoint() const;  // http://127.0.0.1:PORT and the token
  GRADWIRE_DECL const std::string& model() const;     // the base model's name
  GRADWIRE_DECL const std::filesystem::path& checkpoints() const;
  GRADWIRE_DECL operation_counts executed() const;
  GRADWIRE_DECL const std::vector<std::string>& notices()
      const;                                         // what was found damaged in .state, and what replaced it
  GRADWIRE_DECL const std::string& boot_id() const;  // another one each time; X-Trainer-Boot of all replies

 private:
  struct state;
  std::unique_ptr<state> state_;
};

inline server start(start_options options = {}) { return server(std::move(options)); }

}  // namespace loopback
}  // namespace gradwire::inline v0

#ifndef GRADWIRE_SEPARATE_COMPILATION
#include <gradwire/loopback/impl/server.hpp>
#endif
