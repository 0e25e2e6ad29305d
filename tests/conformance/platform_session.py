# SPDX-License-Identifier: Apache-2.0
"""One run on a training platform through Fireworks' Python SDK, call after call: what platform_session.cpp does with gradwire.
platform_session.py JOB DEPLOYMENT MODEL REFERENCE  (ids to be made; platform and key: FIREWORKS_BASE_URL, FIREWORKS_API_KEY)"""
import asyncio
import os
import sys

import fireworks.training.sdk as sdk
from fireworks.training.sdk import types

job_id, deployment_id, model_id, reference_id = sys.argv[1:]
url, key = os.environ["FIREWORKS_BASE_URL"], os.environ["FIREWORKS_API_KEY"]
base_model = "accounts/fireworks/models/qwen3-8b"
at_once = {"poll_interval_s": 0.1, "timeout_s": 60}


def example(asked, answered):
    ids = list((asked + answered).encode())
    return types.Datum(model_input=types.ModelInput.from_ints(ids[:-1]), loss_fn_inputs={
        "target_tokens": ids[1:], "weights": [0.0] * (len(asked) - 1) + [1.0] * len(answered)})


supervised = [example("2+2=", "four."), example("sky?", "blue, usually.")]


def squares(data, logprobs):
    value = 0.0
    for d, l in zip(data, logprobs):
        value = value + (d.loss_fn_inputs["weights"].to_torch() * (0.5 * l * l - l)).sum()
    return value, {}


jobs = sdk.TrainerJobManager(api_key=key, base_url=url)
profile = jobs.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200")
endpoint = jobs.create_and_wait(sdk.TrainerJobConfig(
    base_model=base_model, training_shape_ref=profile.training_shape_version, learning_rate=1e-4, display_name="compared",
    requested_job_id=job_id), **at_once)
deployments = sdk.DeploymentManager(api_key=key, base_url=url)
deployments.create_or_get(sdk.DeploymentConfig.from_training_profile(
    deployment_id=deployment_id, base_model=base_model, profile=profile, min_replica_count=1,
    hot_load_trainer_job=endpoint.job_name, for_training=True))
deployments.wait_for_ready(deployment_id, timeout_s=60, poll_interval_s=0.1)

forward_only = jobs.resolve_training_profile("accounts/fireworks/trainingShapes/qwen3-8b-128k-h200-forward-only")
reference_endpoint = jobs.create_and_wait(sdk.TrainerJobConfig(
    base_model=base_model, training_shape_ref=forward_only.training_shape_version, display_name="compared", forward_only=True,
    requested_job_id=reference_id), **at_once)
reference = sdk.FiretitanServiceClient(base_url=reference_endpoint.base_url, api_key=key).create_training_client(base_model, lora_rank=0)
reference.forward(supervised, "cross_entropy").result()
jobs.delete(reference_id)

service = sdk.FiretitanServiceClient(base_url=endpoint.base_url, api_key=key)
trainer = service.create_training_client(base_model, lora_rank=0)
trainer.forward(supervised, "cross_entropy").result()
syncer = sdk.WeightSyncer(policy_client=trainer, deploy_mgr=deployments, deployment_id=deployment_id, base_model=base_model)
for name in ("compared-base", "compared-delta"):
    trainer.forward_backward(supervised, "cross_entropy").result()
    trainer.forward_backward_custom(supervised, squares).result()
    normalized = {"grad_accumulation_normalization": "num_loss_tokens"} if name == "compared-base" else {}
    trainer.optim_step(types.AdamParams(learning_rate=0.01, grad_clip_norm=2.0), **normalized).result()
    syncer.save_and_hotload(name)
asyncio.run(syncer.get_deployment_sampler().sample_with_prompt_tokens(
    list(b"2+2="), max_tokens=4, temperature=0.5, seed=3, logprobs=True))
trainer.save_state("compared-state").result()
promotable = next(r for r in jobs.list_checkpoints(job_id) if r.get("promotable"))
jobs.promote_checkpoint(name=promotable["name"], output_model_id=model_id, base_model=base_model)
deployments.delete(deployment_id)
jobs.delete(job_id)
sys.stdout.flush()
os._exit(0)  # the SDK's threads are not waited for
