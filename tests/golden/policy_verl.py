#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_verl.py CHECKOUT OLDER: policy_verl.json, from the functions of two checkouts of verl-project/verl (interpreter:
`tests/python/venv torch`): CHECKOUT at 1dda039b9 (August 2026), OLDER at b178a3cd5 (January 2026), whose
"seq-mean-token-sum-norm" does not divide by the number of sequences. Float64 throughout, so the tolerance is 1e-10.

clip_cov draws the tokens that it drops: here all that it may choose from are dropped.
"""
import pathlib
import sys
import types
import typing

import torch
from policy_cases import functions_of, golden_file

LOSSES = ["vanilla", "gspo", "sapo", "gpg", "clip_cov", "kl_cov", "geo_mean", "cispo", "reinforce"]
NEW = ["dppo_tv", "dppo_kl", "dro"]


class ActorConfig(types.SimpleNamespace):
    def get(self, name, otherwise=None):
        return getattr(self, name, otherwise)


def functions(checkout, names):
    root = pathlib.Path(checkout) / "verl"
    space = {"torch": torch, "ActorConfig": ActorConfig, "AlgoConfig": type("AlgoConfig", (), {})}
    tools = functions_of(root / "utils" / "torch_functional.py", ["masked_sum", "masked_mean"], {"torch": torch})
    space["verl_F"] = types.SimpleNamespace(masked_sum=tools["masked_sum"], masked_mean=tools["masked_mean"])
    return functions_of(root / "trainer" / "ppo" / "core_algos.py",
                        ["agg_loss", "kl_penalty", "kl_penalty_forward"] + [f"compute_policy_loss_{n}" for n in names], space)


new, old = functions(sys.argv[1], LOSSES + NEW), functions(sys.argv[2], LOSSES)
corrections = {"torch": torch, "math": __import__("math"), "Optional": typing.Optional, "Any": typing.Any, "verl_F": new["verl_F"],
               "SAFETY_BOUND": 20.0, "TOKEN_LEVEL_ROLLOUT_RS_OPTIONS": {"token_k1", "token_k2", "token_k3"}}
corrections["SUPPORTED_ROLLOUT_RS_OPTIONS"] = corrections["TOKEN_LEVEL_ROLLOUT_RS_OPTIONS"] | {
    f"seq_{how}_k{k}" for how in ("sum", "mean", "max") for k in (1, 2, 3)}
functions_of(pathlib.Path(sys.argv[1]) / "verl" / "trainer" / "ppo" / "rollout_corr_helper.py",
             ["_parse_rollout_is_threshold", "_parse_rollout_rs_thresholds", "compute_rollout_rejection_mask",
              "compute_rs_metrics", "compute_rollout_correction_weights", "compute_is_metrics"], corrections)


def config_of(clip_ratio_low=0.2, clip_ratio_high=0.2, clip_ratio_c=3.0, tau_pos=1.0, tau_neg=1.05, loss_scale_factor=None, **policy_loss):
    standard = dict(clip_cov_ratio=1.0, clip_cov_lb=1.0, clip_cov_ub=5.0, kl_cov_ratio=0.0002, ppo_kl_coef=0.1, dro_beta=None)
    info = {} if loss_scale_factor is None else {"loss_scale_factor": loss_scale_factor}
    return ActorConfig(clip_ratio=0.2, clip_ratio_low=clip_ratio_low, clip_ratio_high=clip_ratio_high, clip_ratio_c=clip_ratio_c,
                       tau_pos=tau_pos, tau_neg=tau_neg, global_batch_info=info,
                       policy_loss=types.SimpleNamespace(**(standard | policy_loss)))


OURS = {"actor/pg_clipfrac": "clip_frac", "actor/pg_clipfrac_lower": "dual_clip_frac", "actor/ppo_kl": "approx_kl_k1"}


def run(loss, mode="token-mean", metrics=(), version=new, weights=None, mask=None, behaviour="old_logprobs", threshold=None,
        per_token=False, **config):
    """weights, mask: functions of the batch, for the correction of the engine's logprobs."""
    def compute(t):
        advantages = t.token_advantage if per_token else t.advantage[:, None].expand(t.logprobs.shape)
        loss_value, found = version[f"compute_policy_loss_{loss}"](
            getattr(t, behaviour), t.logprobs, advantages, t.weights if mask is None else mask(t), mode, config_of(**config),
            None if weights is None else weights(t))
        clamped = (t.logprobs - t.old_logprobs).abs().max() > 20  # then its KL is of the clamped ratio, ours is not
        return loss_value, {OURS[k]: v for k, v in found.items() if OURS[k] in metrics and not (clamped and k == "actor/ppo_kl")}
    return compute


file = golden_file("verl's losses: verl-project/verl, run by policy_verl.py")
everywhere, FEW = ("published", "holes", "one masked", "wide"), ("published", "holes")


def add(name, *arguments, names=everywhere, note="", **config):
    shown = {k: v for k, v in config.items() if k not in ("version", "weights", "mask", "metrics")}
    file.everywhere(name, run(*arguments, **config), names=names, config=shown, note="; ".join(filter(None, ["float64", note])))


def family(name, metrics=(), note="", version=new, **config):
    add(name, name, metrics=metrics, note=note, **config)
    for mode in ("seq-mean-token-sum", "seq-mean-token-mean"):
        add(f"{name} {mode}", name, mode, names=("published", "one masked"), note=note, **config)
    norm = "seq-mean-token-sum-norm"
    by_batch = f"{name} {norm}" if name in NEW else f"{name} {norm} by batch"
    add(by_batch, name, norm, names=("holes",), note=note or "divided by the sequences and the padded width", **config)
    add(f"{by_batch} 16", name, norm, names=("one masked",), note=note, loss_scale_factor=16, **config)
    if name not in NEW:
        add(f"{name} {norm}", name, norm, names=FEW, version=old, note=note or "divided by the padded width", **config)
        add(f"{name} {norm} 16", name, norm, names=("one masked",), version=old, note=note, loss_scale_factor=16, **config)


PPO = ("clip_frac", "dual_clip_frac", "approx_kl_k1")
family("vanilla", PPO)
add("vanilla 0.1 0.3 1.5", "vanilla", names=FEW, metrics=PPO, clip_ratio_low=0.1, clip_ratio_high=0.3, clip_ratio_c=1.5)
add("vanilla token-sum", "vanilla", "token-sum", names=FEW)
add("vanilla per token", "vanilla", names=("turns",), metrics=PPO, per_token=True)
add("gspo per token", "gspo", names=("turns",), per_token=True)
add("clip_cov per token", "clip_cov", names=("turns",), per_token=True, clip_cov_lb=1e-2, clip_cov_ub=0.5)
KL = ("approx_kl_k1",)
add("gspo", "gspo", metrics=("clip_frac", "approx_kl_k1"))
add("gspo narrow", "gspo", names=FEW, metrics=("clip_frac",), clip_ratio_low=3e-4, clip_ratio_high=4e-4)
add("sapo", "sapo", metrics=KL)
add("sapo 2 3", "sapo", names=FEW, tau_pos=2.0, tau_neg=3.0)
family("gpg")
ALL = "every eligible token is dropped (clip_cov_ratio 1), so nothing is drawn"
family("clip_cov", KL, ALL, clip_cov_lb=1e-2, clip_cov_ub=0.5)
add("clip_cov standard band", "clip_cov", metrics=KL, note=ALL)
family("kl_cov")
add("kl_cov 0.5", "kl_cov", names=FEW, kl_cov_ratio=0.5, ppo_kl_coef=1.0)
add("geo_mean", "geo_mean", metrics=KL)
add("geo_mean 0.4 0.5", "geo_mean", names=FEW, clip_ratio_low=0.4, clip_ratio_high=0.5)
family("cispo", KL)
add("cispo wide", "cispo", names=FEW, clip_ratio_low=1.0, clip_ratio_high=4.0)
family("dppo_tv", KL)
add("dppo_tv narrow", "dppo_tv", names=FEW, clip_ratio_low=0.05, clip_ratio_high=0.02, clip_ratio_c=1.1)
family("dppo_kl", KL)
add("dppo_kl narrow", "dppo_kl", names=FEW, clip_ratio_low=0.05, clip_ratio_high=0.02, clip_ratio_c=1.1)
family("dro", KL, dro_beta=0.05)


def weights_of(level, threshold=2.0, normalise=False):
    return lambda t: corrections["compute_rollout_correction_weights"](t.old_logprobs - t.sampler_logprobs, t.weights, level,
                                                                       threshold, normalise)[0]


add("vanilla tis_token", "vanilla", weights=weights_of("token"))
add("vanilla tis_token 1.2", "vanilla", names=FEW, weights=weights_of("token", 1.2))
add("vanilla tis_sequence", "vanilla", weights=weights_of("sequence"))
add("vanilla tis_sequence 5", "vanilla", names=FEW, weights=weights_of("sequence", 5.0))
add("vanilla tis_token normalized", "vanilla", weights=weights_of("token", normalise=True))
add("vanilla tis_sequence normalized", "vanilla", weights=weights_of("sequence", normalise=True))
add("vanilla icepop", "vanilla", weights=weights_of("token", "0.5_2.0"))
for level in ("token", "sequence"):
    add(f"gspo tis_{level}", "gspo", names=FEW, weights=weights_of(level))
    add(f"sapo tis_{level}", "sapo", names=FEW, weights=weights_of(level))
    for mode in ("seq-mean-token-sum", "seq-mean-token-mean"):
        add(f"vanilla {mode} tis_{level}", "vanilla", mode, names=("holes", "one masked"), weights=weights_of(level))


def mask_of(option, threshold):
    return lambda t: corrections["compute_rollout_rejection_mask"](t.old_logprobs - t.sampler_logprobs, t.weights, option, threshold)[0]


THRESHOLDS = {"token_k1": "0.7_1.6", "token_k2": 0.05, "token_k3": 0.04, "seq_sum_k1": "0.3_3.0", "seq_sum_k2": 0.4,
              "seq_sum_k3": 0.5, "seq_mean_k1": "0.7_1.6", "seq_mean_k2": 0.1, "seq_mean_k3": 0.118, "seq_max_k2": 0.35,
              "seq_max_k3": 0.45}
for option, threshold in THRESHOLDS.items():
    names = ("published", "holes", "one masked", "wide") if option.startswith("token") else FEW
    add(f"vanilla {option}", "vanilla", names=names, mask=mask_of(option, threshold), threshold=threshold)


def bypass(level):
    def of_current(t):  # the ratio of the current policy to the engine
        with torch.no_grad():
            return corrections["compute_rollout_correction_weights"](t.logprobs - t.sampler_logprobs, t.weights, level, 2.0)[0]
    return of_current


SUM = "seq-mean-token-sum"
add("reinforce", "reinforce", SUM, behaviour="sampler_logprobs")
add("reinforce token-mean", "reinforce", names=FEW, behaviour="sampler_logprobs")
for level in ("token", "sequence"):
    add(f"reinforce tis_{level}", "reinforce", behaviour="sampler_logprobs", weights=bypass(level))
    add(f"reinforce {SUM} tis_{level}", "reinforce", SUM, behaviour="sampler_logprobs", weights=bypass(level))
add("bypass ppo_clip", "vanilla", behaviour="sampler_logprobs")

for kind, ours in (("kl", "k1"), ("abs", "abs"), ("mse", "k2"), ("low_var_kl", "k3"), ("k3+", "k3_plus")):
    def aggregated(t, mode, kind=kind):
        return new["agg_loss"](new["kl_penalty"](t.logprobs, t.ref_logprobs, kind), t.weights, mode)
    file.everywhere(f"kl_{ours}", lambda t: aggregated(t, "token-mean"), names=("holes", "wide"), note="float64")
    file.everywhere(f"kl_{ours} sum", lambda t: aggregated(t, "token-sum"), names=("published",), note="float64")
    file.everywhere(f"vanilla kl_{ours}", lambda t: run("vanilla")(t)[0] + 0.05 * aggregated(t, "token-mean"),
                    names=("published", "one masked"), config={"kl_loss_coef": 0.05}, note="float64")
    for mode in ("seq-mean-token-sum", "seq-mean-token-mean") if ours in ("k1", "k3") else ():
        file.everywhere(f"vanilla {mode} kl_{ours}", lambda t: run("vanilla", mode)(t)[0] + 0.05 * aggregated(t, mode),
                        names=("one masked",), config={"kl_loss_coef": 0.05}, note="float64; both in that mode")
file.write("policy_verl.json")
