# SPDX-License-Identifier: Apache-2.0
"""One training session through the Python SDK, call after call: what wire_session.cpp does with gradwire.
wire_session.py MODEL [--newer]            (server and key: TINKER_BASE_URL, TINKER_API_KEY)"""
import os
import sys

import tinker
import torch
from tinker import types

from checks import made

model = sys.argv[1]


def tokens(asked, answered):
    ids = list((asked + answered).encode())
    return types.ModelInput.from_ints(ids[:-1]), ids[1:], [0.0] * (len(asked) - 1), len(answered)


def example(asked, answered):
    prompt, targets, before, n = tokens(asked, answered)
    return types.Datum(model_input=prompt, loss_fn_inputs={"target_tokens": targets, "weights": before + [1.0] * n})


def rollout(asked, answered, advantage):
    prompt, targets, before, n = tokens(asked, answered)
    return types.Datum(model_input=prompt, loss_fn_inputs={
        "target_tokens": targets, "logprobs": before + [-1.5] * n, "advantages": before + [advantage] * n})


supervised = [example("2+2=", "four."), example("sky?", "blue, usually.")]
rollouts = [rollout("2+2=", "four.", 0.5), rollout("sky?", "blue.", -0.25)]


def with_its_origin(asked, sequence):
    ids, n, name = list(asked) + list(sequence.tokens), len(sequence.tokens), sequence.sequence_id
    made_of = types.Datum(model_input=types.ModelInput.from_ints(ids[:-1]), loss_fn_inputs={
        "target_tokens": ids[1:], "weights": [0.0] * (len(asked) - 1) + [1.0] * n})
    return made_of.with_provenance(
        model_input=[types.PromptProvenanceSpan(sequence_id=name, length=len(asked)),
                     types.SampledProvenanceSpan(sequence_id=name, length=n - 1)],
        loss_fn_inputs=[types.PromptProvenanceSpan(sequence_id=name, offset=1, length=len(asked) - 1),
                        types.SampledProvenanceSpan(sequence_id=name, length=n)])


def squares(data, logprobs):
    value = 0.0
    for d, l in zip(data, logprobs):
        value = value + (torch.tensor(d.loss_fn_inputs["weights"].data) * (0.5 * l * l - l)).sum()
    return value, {}


service = tinker.ServiceClient()
service.get_server_capabilities()
trainer = made(service.create_lora_training_client(base_model=model, rank=8, seed=7))
trainer.forward(supervised, "cross_entropy").result()
trainer.forward_backward(supervised, "cross_entropy").result()
trainer.optim_step(types.AdamParams(learning_rate=0.01)).result()
trainer.forward_backward(rollouts, "ppo", loss_fn_config={"clip_low_threshold": 0.5, "clip_high_threshold": 1.5}).result()
trainer.forward_backward_custom(supervised, squares).result()
trainer.optim_step(types.AdamParams(learning_rate=0.01, weight_decay=0.125, grad_clip_norm=2.0)).result()
state = trainer.save_state("compared").result()
sampled = trainer.save_weights_for_sampler("compared-sampler").result()
sampler = made(service.create_sampling_client(model_path=sampled.path))
drawn = sampler.sample(types.ModelInput.from_ints(list(b"2+2=")), 2,
                       types.SamplingParams(max_tokens=4, temperature=0.5, seed=3)).result()
made(trainer.save_weights_and_get_sampling_client())
if "--newer" in sys.argv:
    trainer.forward_backward([with_its_origin(b"2+2=", sequence) for sequence in drawn.sequences], "cross_entropy").result()
    made(trainer.save_weights_and_get_sampling_client(kind="inflight"))
trainer.load_state_with_optimizer(state.path).result()
trainer.forward(supervised, "cross_entropy").result()
if hasattr(service, "close"):
    service.close("success").result()
sys.stdout.flush()
os._exit(0)  # the SDK's threads are not waited for
