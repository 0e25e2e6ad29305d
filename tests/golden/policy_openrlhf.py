#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_openrlhf.py CHECKOUT: policy_openrlhf.json, from the functions of a checkout of OpenRLHF/OpenRLHF at 3c3be623 (interpreter:
`tests/python/venv torch`).

PolicyLoss runs as it is. OpenRLHF computes KL terms in float32: those cases have a tolerance of 1e-6, the others, in float64
throughout, of 1e-10.
"""
import pathlib
import sys

import torch
from policy_cases import functions_of, golden_file

root = pathlib.Path(sys.argv[1]) / "openrlhf" / "models"
space = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
functions_of(root / "utils.py", ["masked_mean", "compute_approx_kl"], space)
functions_of(root / "loss.py", ["aggregate_loss", "PolicyLoss"], space)

file = golden_file("OpenRLHF's losses: OpenRLHF/OpenRLHF, run by policy_openrlhf.py")
everywhere, FEW = ("published", "holes", "one masked", "wide"), ("published", "holes")


def run(metrics=True, **config):
    def compute(t):
        advantages = t.advantage[:, None].expand(t.logprobs.shape)
        loss, clip_ratio, ppo_kl, _ = space["PolicyLoss"](**config)(t.logprobs, t.old_logprobs, advantages, t.weights,
                                                                     t.sampler_logprobs)
        return loss, {"clip_frac": clip_ratio.item(), "approx_kl_k1": ppo_kl.item()} if metrics else {}
    return compute


def add(name, names=everywhere, metrics=True, note="float64", **config):
    file.everywhere(name, run(metrics, **config), names=names, config=config, note=note)


SAMPLE = dict(token_level_loss=False)
for name, config in (("ppo", {}), ("ppo_dual_clip", dict(dual_clip=3.0))):
    add(name, **config)
    add(f"{name} sample_mean", **config, **SAMPLE)
    add(f"{name} 0.1 0.3", FEW, clip_eps_low=0.1, clip_eps_high=0.3, **config)
add("ppo_dual_clip 1.5", FEW, dual_clip=1.5)
GSPO = dict(policy_loss_type="gspo")
add("gspo", **GSPO)
add("gspo narrow", FEW, clip_eps_low=3e-4, clip_eps_high=4e-4, **GSPO)
add("gspo_dual_clip 1.05", dual_clip=1.05, **GSPO)
add("gspo vllm", ("published", "holes", "one masked"), False, enable_vllm_is_correction=True, **GSPO)
WIDE = dict(enable_vllm_is_correction=True, vllm_is_truncated_threshold=[0.5, 5.0])
NARROW = dict(enable_vllm_is_correction=True, vllm_is_truncated_threshold=[0.8, 1.4])
for kind in ("tis", "icepop", "seq-mask-tis"):
    # a sequence without any mask is 0/0 in the source's geometric mean
    names = ("published", "holes", "wide") if kind == "seq-mask-tis" else everywhere
    add(f"ppo {kind}", names, vllm_is_correction_type=kind, **WIDE)
    add(f"ppo {kind} narrow", FEW, vllm_is_correction_type=kind, **NARROW)
    add(f"ppo_dual_clip {kind}", FEW, dual_clip=1.5, vllm_is_correction_type=kind, **NARROW)
    add(f"ppo {kind} sample_mean", FEW, vllm_is_correction_type=kind, **WIDE, **SAMPLE)

for kind in ("k1", "k2", "k3"):
    def term(t, sample=False, kind=kind):
        return space["aggregate_loss"](space["compute_approx_kl"](t.logprobs, t.ref_logprobs, kind), t.weights, not sample)
    NOTE = dict(tolerance=1e-6, note="computed in float32")
    file.everywhere(f"kl_{kind}", term, names=("published", "wide"), **NOTE)
    file.everywhere(f"kl_{kind} sum", lambda t: term(t) * t.weights.sum(), names=("published",), **NOTE)
    file.everywhere(f"kl_{kind} sample_mean", lambda t: term(t, True), names=("holes", "one masked"), **NOTE)
    file.everywhere(f"ppo kl_{kind}", lambda t: run(False)(t)[0] + 0.05 * term(t), names=("published", "one masked"),
                    config={"init_coef": 0.05}, **NOTE)
file.write("policy_openrlhf.json")
