// SPDX-License-Identifier: Apache-2.0
// One run on a training platform through the public client, call after call: what platform_session.py does with
// Fireworks' Python SDK.
//   platform_session JOB DEPLOYMENT MODEL REFERENCE
//                                              (ids to be made; platform and key: FIREWORKS_BASE_URL, FIREWORKS_API_KEY)
#include <gradwire/platform.hpp>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

std::vector<std::int32_t> bytes(std::string_view text) {
  std::vector<std::int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

auto example(std::string_view asked, std::string_view answered) {
  return datum{prompt(bytes(asked)) + response(bytes(answered))};
}

// Σ w·(l²/2 − l): the gradient is one rounding of w·(l − 1), in float32 here as in the other client.
template <class Batch>
double squares(const Batch& data, ragged_view<const float> logprobs, ragged_view<float> gradients) {
  double value = 0;
  for (std::size_t s = 0; s < data.size(); ++s) {
    const float* weight = data.data(weights) + data.shape().offset[s];
    for (std::size_t t = 0; t < logprobs[s].size(); ++t) {
      const float l = logprobs[s][t], w = weight[t];
      value += static_cast<double>(w * (0.5F * l * l - l));
      gradients[s][t] = w * (l - 1);
    }
  }
  return value;
}

void session(const std::string& job_id, const std::string& deployment_id, const std::string& model_id,
             const std::string& reference_id) {
  const std::string base_model = "accounts/fireworks/models/qwen3-8b";
  const batch supervised{example("2+2=", "four."), example("sky?", "blue, usually.")};

  const auto client = platform::client::from_environment();
  const auto jobs = client.trainer_jobs();
  const auto deployments = client.deployments();
  const auto profile = client.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200").result();
  auto job = jobs.create({.base_model = base_model,
                          .training_shape_ref = profile.training_shape_version,
                          .learning_rate = 1e-4,
                          .display_name = "compared",
                          .job_id = job_id})
                 .result();
  job = jobs.wait(job, {.poll_seconds = 0.1}).result();
  deployments
      .create_or_get({.deployment_id = deployment_id,
                      .base_model = base_model,
                      .linked_shape = profile.deployment_shape_version,
                      .min_replica_count = 1,
                      .hot_load_trainer_job = job.name()},
                     {.poll_seconds = 0.1})
      .result();
  deployments.wait(deployment_id, {.poll_seconds = 0.1}).result();

  const auto forward_only =
      client.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only").result();
  auto reference = jobs.create_reference({.base_model = base_model,
                                          .training_shape_ref = forward_only.training_shape_version,
                                          .display_name = "compared",
                                          .job_id = reference_id})
                       .result();
  reference = jobs.wait(reference, {.poll_seconds = 0.1}).result();
  reference.reference_client().result().forward(supervised).result();
  jobs.remove(reference_id).result();

  auto trainer = job.training_client().result();
  trainer.forward(supervised).result();
  platform::snapshot_chain chain(0);
  for (const std::string name : {"compared-base", "compared-delta"}) {
    trainer.forward_backward(supervised, server_loss::cross_entropy{}).result();
    trainer.forward_backward_custom(supervised, [](const auto& data, auto l, auto g) { return squares(data, l, g); })
        .result();
    optim_step_options step{.learning_rate = 0.01, .grad_clip_norm = 2};
    if (name == "compared-base") step.grad_accumulation_normalization = grad_normalization::num_loss_tokens;
    trainer.optim_step(step).result();
    const auto save = chain.begin_save();
    chain.saved(save, name, trainer.save_weights_for_sampler({.name = name, .type = save.type()}).result().path);
    const auto load = chain.begin_load(name);
    deployments.hot_load(deployment_id, load).result();
    deployments.wait_hot_load(deployment_id, name, {.poll_seconds = 0.1}).result();
    chain.loaded(load);
    deployments.warm_up(deployment_id).result();
  }
  deployments.sampler(deployment_id)
      .result()
      .sample(bytes("2+2="), {.max_tokens = 4, .temperature = 0.5, .seed = 3})
      .result();
  trainer.save_state("compared-state").result();
  for (const auto& saved : client.checkpoints().list(job_id).result()) {
    if (!saved.promotable) continue;
    client.checkpoints()
        .promote({.checkpoint = saved.resource_name, .output_model = model_id, .base_model = base_model},
                 {.poll_seconds = 0.1})
        .result();
    break;
  }
  deployments.remove(deployment_id).result();
  jobs.remove(job_id).result();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: platform_session JOB DEPLOYMENT MODEL REFERENCE\n");
    return 2;
  }
  try {
    session(arguments[1], arguments[2], arguments[3], arguments[4]);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 1;
  }
}
