// SPDX-License-Identifier: Apache-2.0
// The catalogue of training shapes that the embedded platform offers unless it is given another one: the text of
// examples/support/training_shapes.json, here so that a program finds it wherever it runs. The client has none.
#pragma once

#include <string_view>

namespace gradwire::inline v0 {
namespace loopback {

// clang-format off
inline constexpr std::string_view training_shapes_json = R"json({
 "account": "fireworks",
 "about": "What the page of training shapes lists. idFrom says whose id it is: the page names one of them, gradwire the others. The page names no accelerator for Qwen3 30B A3B and no reference for Qwen3 VL 8B. Versions, image tags, node counts, deployment shapes, model types and parameter counts are gradwire's.",
 "trainerImageTag": "gradwire-loopback",
 "nodeCount": 1,
 "versions": [{"id": "v1", "validated": true, "createTime": "2026-03-02T08:00:00Z"}],
 "models": [
  {"family": "Qwen3 (Dense)", "title": "Qwen3 4B", "model": "accounts/fireworks/models/qwen3-4b", "modelType": "qwen3", "parameterCount": 4022468096, "moe": false,
   "policy": {"id": "qwen3-4b-65k-h200", "idFrom": "gradwire", "maxSupportedContextLength": 65536, "acceleratorType": "NVIDIA_H200_141GB", "acceleratorCount": 1, "trainerMode": "POLICY_TRAINER", "deploymentShape": "qwen3-4b-65k-h200-rollout"},
   "reference": {"id": "qwen3-4b-65k-h200-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 65536, "acceleratorType": "NVIDIA_H200_141GB", "acceleratorCount": 1, "trainerMode": "FORWARD_ONLY", "deploymentShape": null}},
  {"family": "Qwen3 (Dense)", "title": "Qwen3 8B", "model": "accounts/fireworks/models/qwen3-8b", "modelType": "qwen3", "parameterCount": 8190735360, "moe": false,
   "policy": {"id": "qwen3-8b-128k-h200", "idFrom": "page", "maxSupportedContextLength": 131072, "acceleratorType": "NVIDIA_H200_141GB", "acceleratorCount": 4, "trainerMode": "POLICY_TRAINER", "deploymentShape": "qwen3-8b-128k-h200-rollout", "versions": [{"id": "v3", "validated": false, "createTime": "2026-04-20T08:00:00Z"}, {"id": "v2", "validated": true, "createTime": "2026-04-02T08:00:00.250000Z"}, {"id": "v1", "validated": true, "createTime": "2026-03-02T08:00:00Z"}]},
   "reference": {"id": "qwen3-8b-128k-h200-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorType": "NVIDIA_H200_141GB", "acceleratorCount": 4, "trainerMode": "FORWARD_ONLY", "deploymentShape": null}},
  {"family": "Qwen3 (Dense)", "title": "Qwen3 32B", "model": "accounts/fireworks/models/qwen3-32b", "modelType": "qwen3", "parameterCount": 32762123264, "moe": false,
   "policy": {"id": "qwen3-32b-65k-b200", "idFrom": "gradwire", "maxSupportedContextLength": 65536, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 8, "trainerMode": "POLICY_TRAINER", "deploymentShape": "qwen3-32b-65k-b200-rollout"},
   "reference": {"id": "qwen3-32b-65k-b200-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 65536, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 4, "trainerMode": "FORWARD_ONLY", "deploymentShape": null}},
  {"family": "Qwen3 (Mixture-of-Experts)", "title": "Qwen3 30B A3B", "model": "accounts/fireworks/models/qwen3-30b-a3b-instruct-2507", "modelType": "qwen3_moe", "parameterCount": 30532122624, "moe": true,
   "policy": {"id": "qwen3-30b-a3b-instruct-2507-131k", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorCount": 8, "trainerMode": "POLICY_TRAINER", "deploymentShape": "qwen3-30b-a3b-instruct-2507-131k-rollout"},
   "reference": {"id": "qwen3-30b-a3b-instruct-2507-131k-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorCount": 4, "trainerMode": "FORWARD_ONLY", "deploymentShape": null}},
  {"family": "Qwen3 (Mixture-of-Experts)", "title": "Qwen3 235B", "model": "accounts/fireworks/models/qwen3-235b-a22b-instruct-2507", "modelType": "qwen3_moe", "parameterCount": 235093634560, "moe": true,
   "policy": {"id": "qwen3-235b-a22b-instruct-2507-128k-b200", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 8, "trainerMode": "POLICY_TRAINER", "deploymentShape": "qwen3-235b-a22b-instruct-2507-128k-b200-rollout"},
   "reference": {"id": "qwen3-235b-a22b-instruct-2507-128k-b200-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 8, "trainerMode": "FORWARD_ONLY", "deploymentShape": null}},
  {"family": "Qwen3 VL", "title": "Qwen3 VL 8B", "model": "accounts/fireworks/models/qwen3-vl-8b-instruct", "modelType": "qwen3_vl", "parameterCount": 8767123696, "moe": false,
   "policy": {"id": "qwen3-vl-8b-instruct-65k-h200", "idFrom": "gradwire", "maxSupportedContextLength": 65536, "acceleratorType": "NVIDIA_H200_141GB", "acceleratorCount": 4, "trainerMode": "POLICY_TRAINER", "deploymentShape": "qwen3-vl-8b-instruct-65k-h200-rollout"},
   "reference": null},
  {"family": "Llama 3", "title": "Llama 70B", "model": "accounts/fireworks/models/llama-v3p3-70b-instruct", "modelType": "llama", "parameterCount": 70553706496, "moe": false,
   "policy": {"id": "llama-v3p3-70b-instruct-128k-b200", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 8, "trainerMode": "POLICY_TRAINER", "deploymentShape": "llama-v3p3-70b-instruct-128k-b200-rollout"},
   "reference": {"id": "llama-v3p3-70b-instruct-128k-b200-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 131072, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 4, "trainerMode": "FORWARD_ONLY", "deploymentShape": null}},
  {"family": "Kimi", "title": "Kimi 2.5 Text-Only", "model": "accounts/fireworks/models/kimi-k2p5", "modelType": "kimi_k25", "parameterCount": 1026000000000, "moe": true,
   "policy": {"id": "kimi-k2p5-256k-b200", "idFrom": "gradwire", "maxSupportedContextLength": 262144, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 8, "trainerMode": "POLICY_TRAINER", "deploymentShape": "kimi-k2p5-256k-b200-rollout"},
   "reference": {"id": "kimi-k2p5-256k-b200-forward-only", "idFrom": "gradwire", "maxSupportedContextLength": 262144, "acceleratorType": "NVIDIA_B200_180GB", "acceleratorCount": 8, "trainerMode": "FORWARD_ONLY", "deploymentShape": null},
   "lora": {"id": "kimi-k2p5-80k-b300-lora", "idFrom": "gradwire", "maxSupportedContextLength": 81920, "acceleratorType": "NVIDIA_B300_288GB", "acceleratorCount": 8, "trainerMode": "LORA_TRAINER", "deploymentShape": "kimi-k2p5-80k-b300-lora-rollout"}}
 ]
}
)json";
// clang-format on

}  // namespace loopback
}  // namespace gradwire::inline v0
