#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_slime.py CHECKOUT: policy_slime.json, from the functions of a checkout of THUDM/slime at 624b824a8
(interpreter: `tests/python/venv torch`).

policy_loss_function runs as it is; the only stand-ins are for what surrounds the loss: the model's forward pass gives our
logprobs, and there is one process. slime computes KL terms in float32: those cases have a tolerance of 1e-6, the others, in
float64 throughout, of 1e-10.
"""
import pathlib
import sys
import types

import torch
from policy_cases import functions_of, golden_file

root = pathlib.Path(sys.argv[1]) / "slime"
space = {"torch": torch, "mpu": types.SimpleNamespace(get_context_parallel_world_size=lambda: 1),
         "all_gather_with_cp": lambda x, *lengths: x, "get_rollout_top_p_logprob_kwargs": lambda *a: {},
         "_maybe_capture_log_probs": lambda *a: None}
functions_of(root / "backends" / "megatron_utils" / "cp_utils.py", ["get_sum_of_sample_mean"], space)
functions_of(root / "utils" / "ppo_utils.py",
             ["compute_approx_kl", "compute_opsm_mask", "compute_gspo_kl", "compute_policy_loss", "compute_cispo_loss"], space)
functions_of(root / "backends" / "megatron_utils" / "loss.py",
             ["vanilla_tis_function", "icepop_function", "policy_loss_function"], space)
space["load_function"] = space.__getitem__


def run(per_token=False, icepop=False, token_advantages=False, **config):
    """config by the names of slime's arguments, defaults of slime's arguments."""
    args = types.SimpleNamespace(
        advantage_estimator="grpo", use_rollout_logprobs=False, use_opsm=False, opsm_delta=1e-4, eps_clip=0.2, eps_clip_high=None,
        eps_clip_c=None, get_mismatch_metrics=False, use_tis=False, tis_clip=2.0, tis_clip_low=0.0,
        custom_tis_function_path="icepop_function" if icepop else None, calculate_per_token_loss=per_token, entropy_coef=0.0,
        use_kl_loss=False, use_unbiased_kl=False, kl_loss_type="k1", kl_loss_coef=0.0)
    for name, value in config.items():
        assert hasattr(args, name), name
        setattr(args, name, value)
    args.eps_clip_high = args.eps_clip if args.eps_clip_high is None else args.eps_clip_high

    def compute(t):
        rows, width = t.logprobs.shape
        masks = list(t.weights)
        batch = {"advantages": list(t.token_advantage) if token_advantages else [a.expand(width) for a in t.advantage],
                 "log_probs": list(t.old_logprobs),
                 "rollout_log_probs": list(t.sampler_logprobs), "ref_log_probs": list(t.ref_logprobs), "loss_masks": masks,
                 "response_lengths": [width] * rows, "total_lengths": [width + 1] * rows, "unconcat_tokens": None,
                 "rollout_mask_sums": [m.sum() for m in masks]}
        space["get_log_probs_and_entropy"] = lambda *a, **k: (
            None, {"log_probs": list(t.logprobs), "entropy": [torch.zeros(width)] * rows})
        reduce = space["get_sum_of_sample_mean"](batch["total_lengths"], batch["response_lengths"], masks,
                                                 batch["rollout_mask_sums"], per_token)
        return space["policy_loss_function"](args, batch, None, reduce)[0]
    return compute


file = golden_file("slime's losses: THUDM/slime, run by policy_slime.py")
everywhere, FEW = ("published", "holes", "one masked", "wide"), ("published", "holes")


def add(name, names=everywhere, tolerance=1e-10, note="float64", **config):
    file.everywhere(name, run(**config), names=names, tolerance=tolerance, config=config, note=note)


GSPO, CISPO = dict(advantage_estimator="gspo"), dict(advantage_estimator="cispo")
for name, config in (("ppo", {}), ("ppo_dual_clip", dict(eps_clip_c=3.0)), ("gspo", GSPO), ("cispo", CISPO)):
    add(name, **config)
    add(f"{name} per_token", ("published", "one masked"), per_token=True, **config)
    add(f"{name} 0.1 0.3", FEW, eps_clip=0.1, eps_clip_high=0.3, **config)
add("ppo 0.3", FEW, eps_clip=0.3, note="float64; eps_clip_high follows eps_clip")
add("ppo_dual_clip 1.5", FEW, eps_clip_c=1.5)
add("gspo narrow", FEW, eps_clip=3e-4, eps_clip_high=4e-4, **GSPO)
add("cispo canonical", FEW, eps_clip=1.0, eps_clip_high=4.0, **CISPO)
for name, config in (("ppo", {}), ("gspo", GSPO), ("cispo", CISPO)):
    add(f"{name} tis", use_tis=True, **config)
    add(f"{name} tis 0.5 1.2", FEW, use_tis=True, tis_clip_low=0.5, tis_clip=1.2, **config)
    add(f"{name} icepop", ("published", "holes", "one masked"), use_tis=True, icepop=True, **config)
    add(f"{name} icepop 0.5 1.2", FEW, use_tis=True, icepop=True, tis_clip_low=0.5, tis_clip=1.2, **config)
    add(f"{name} opsm", use_opsm=True, **config)
    add(f"{name} opsm 0.1", FEW, use_opsm=True, opsm_delta=0.1, **config)
add("ppo kl k1", ("published", "one masked"), 1e-6, "the KL is computed in float32", use_kl_loss=True, kl_loss_coef=0.05)
add("ppo per token", ("turns",), token_advantages=True)
add("gspo per token", ("turns",), token_advantages=True, **GSPO)
add("ppo opsm per token", ("turns",), token_advantages=True, use_opsm=True, opsm_delta=0.01)
for name, config in (("ppo", {}), ("gspo", GSPO)):
    add(f"{name} opsm tis", FEW, use_opsm=True, opsm_delta=0.01, use_tis=True, tis_clip_low=0.5, tis_clip=1.2, **config)
for name, config in (("gspo", GSPO), ("cispo", CISPO)):
    for kind in ("k1", "low_var_kl"):
        add(f"{name} kl {kind}", ("published", "one masked"), 1e-6, "the KL is computed in float32", use_kl_loss=True,
            kl_loss_type=kind, kl_loss_coef=0.05, **config)
for kind in ("k2", "k3", "low_var_kl"):
    add(f"ppo kl {kind}", ("published", "one masked"), 1e-6, "the KL is computed in float32", use_kl_loss=True, kl_loss_type=kind,
        kl_loss_coef=0.05)
add("ppo kl low_var_kl unbiased", FEW, 1e-6, "the KL is computed in float32", use_kl_loss=True, kl_loss_type="low_var_kl",
    kl_loss_coef=0.05, use_unbiased_kl=True)


def kl(kind, per_token, unbiased):
    def compute(t):
        ratio = torch.exp(t.logprobs - t.old_logprobs).reshape(-1) if unbiased else None
        values = space["compute_approx_kl"](t.logprobs.reshape(-1), t.ref_logprobs.reshape(-1), kind, ratio)
        rows, width = t.logprobs.shape
        return space["get_sum_of_sample_mean"]([width + 1] * rows, [width] * rows, list(t.weights), None, per_token)(values)
    return compute


for kind in ("k1", "k2", "k3", "low_var_kl"):
    file.everywhere(f"kl {kind}", kl(kind, False, False), names=FEW, tolerance=1e-6, note="computed in float32")
    file.everywhere(f"kl {kind} per_token", kl(kind, True, False), names=("published",), tolerance=1e-6, note="computed in float32")
    file.everywhere(f"kl {kind} unbiased", kl(kind, False, True), names=FEW, tolerance=1e-6, note="computed in float32")
file.everywhere("kl low_var_kl clamped", kl("low_var_kl", False, False), names=("wide",), tolerance=1e-6, note="computed in float32")
file.write("policy_slime.json")
