#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_skyrl.py CHECKOUT: policy_skyrl.json, from the functions of a checkout of NovaSky-AI/SkyRL at a9564572e
(interpreter: `tests/python/venv torch`).

As its trainer does, the advantages are scaled by apply_loss_reduction_to_advantages_minibatch and the loss is a sum. SkyRL
rounds log ratios to float32 before the exponential (safe_exp_delta): those cases have a tolerance of 1e-6, the others, in
float64 throughout, of 1e-10. clip_cov draws the tokens that it drops: here all that it may choose from are dropped.
"""
import pathlib
import sys
import types

import torch
from policy_cases import functions_of, golden_file

root = pathlib.Path(sys.argv[1]) / "skyrl" / "backends" / "skyrl_train" / "utils"
space = {"torch": torch}
functions_of(root / "torch_utils.py", ["masked_mean", "safe_exp_delta"], space)
functions_of(root / "off_policy_correction_utils.py",
             ["off_policy_correction_enabled", "compute_tis_ratio", "compute_outlier_token_mask", "compute_token_mask",
              "compute_sequence_mask", "compute_off_policy_correction", "apply_off_policy_correction"], space)
functions_of(root / "ppo_utils.py",
             ["compute_approx_kl", "reduce_loss", "apply_loss_reduction_to_advantages_minibatch", "ppo_policy_loss",
              "sapo_policy_loss", "gspo_policy_loss", "compute_policy_loss_cispo", "rollout_is_policy_loss", "dppo_policy_loss",
              "compute_policy_loss_clip_cov", "compute_policy_loss_kl_cov", "importance_sampling_loss"], space)

BOUNDARIES = [(0, 2), (2, 4)]
OURS = {"ppo": {"clip_ratio": "clip_frac", "tis_token_clip_high_ratio": "tis_cap_frac"},
        "cispo": {"clip_ratio": "out_of_band_frac", "cispo/ratio_mean": "ratio_mean"}, "none": {},
        "dropped": {"clip_ratio": "dropped_frac"}}


def config_of(policy_loss_type="regular", eps_clip_low=0.2, eps_clip_high=0.2, clip_ratio_c=3.0, sapo=None, cispo=None, dppo=None,
              clip_cov=None, kl_cov=None, correction=None):
    named = lambda defaults, given: types.SimpleNamespace(**(defaults | (given or {})))
    return types.SimpleNamespace(
        policy_loss_type=policy_loss_type, eps_clip_low=eps_clip_low, eps_clip_high=eps_clip_high, clip_ratio_c=clip_ratio_c,
        loss_reduction="sequence_mean",  # read only for a warning
        sapo=named({"tau_pos": 1.0, "tau_neg": 1.05}, sapo),
        cispo=named({"cispo_eps_clip_low": 1.0, "cispo_eps_clip_high": 4.0, "cispo_anchor": "old"}, cispo),
        dppo=named({"dppo_type": "binary_tv", "delta_low": 0.2, "delta_high": 0.2}, dppo),
        clip_cov=named({"clip_ratio": 1.0, "clip_cov_lb": 1.0, "clip_cov_ub": 5.0}, clip_cov),
        kl_cov=named({"kl_cov_frac": 0.2, "ppo_kl_coef": 1.0}, kl_cov),
        off_policy_correction=named(
            {"tis_ratio_type": None, "token_tis_ratio_clip_high": 2.0, "sequence_tis_ratio_clip_high": 5.0,
             "sequence_mask_metric": None, "geo_mask_high": 1.01, "geo_mask_low": 0.99, "product_mask_high": 2.0,
             "product_mask_low": 0.5, "outlier_token_is_threshold_low": None, "outlier_token_is_threshold_high": None,
             "token_mask_is_threshold_low": None, "token_mask_is_threshold_high": None}, correction))


def run(function, reduction, metrics, per_token=False, **config):
    def compute(t):
        advantages = t.token_advantage if per_token else t.advantage[:, None].expand(t.logprobs.shape).clone()
        if reduction != "sum":
            count = t.logprobs.shape[0]
            ends = [(a, min(b, count)) for a, b in ((2 * i, 2 * i + 2) for i in range((count + 1) // 2))]
            advantages = space["apply_loss_reduction_to_advantages_minibatch"](advantages, t.weights, reduction, 2, 16, ends)
        loss, found = space[function](t.logprobs, t.old_logprobs, advantages, config_of(**config), t.weights, t.sampler_logprobs)
        wide = (t.logprobs - t.sampler_logprobs).abs().max() > 20  # then its ratios are clamped, and ours are not
        return loss, {OURS[metrics][k]: float(v) for k, v in found.items() if k in OURS[metrics] and not (wide and "/" in k)}
    return compute


file = golden_file("SkyRL's losses: NovaSky-AI/SkyRL, run by policy_skyrl.py; micro-batches and prompts of two sequences")
for batch in file.batches.values():
    batch["micro_batch"] = batch["prompt_id"] = [s // 2 for s in range(len(batch["advantage"]))]
everywhere = ("published", "holes", "one masked", "wide")
ROUNDED, EXACT = 1e-6, 1e-10
reductions = ("token_mean", "token_mean_legacy", "sequence_mean", "prompt_mean", "seq_mean_token_sum_norm")
even = {"token_mean_legacy": ("published", "wide")}  # legacy leaves a last micro-batch that is not full without a loss


def add(name, function, names=everywhere, reduction="token_mean", metrics="ppo", tolerance=ROUNDED, note="", **config):
    names = [b for b in names if reduction not in even or b in even[reduction]]
    reason = "log ratios are rounded to float32" if tolerance == ROUNDED else "float64"
    file.everywhere(name, run(function, reduction, metrics, **config), names=names, tolerance=tolerance,
                    config={"reduction": reduction, **config}, note="; ".join(filter(None, [reason, note])))


def family(name, function, first="token_mean", **options):
    add(name, function, reduction=first, **options)
    for reduction in reductions:
        if reduction != first:
            add(f"{name} {reduction}", function, ("published", "one masked"), reduction, **options)


PPO, FEW = "ppo_policy_loss", ("published", "holes")
family("regular", PPO)
add("regular 0.1 0.3", PPO, FEW, eps_clip_low=0.1, eps_clip_high=0.3)
family("dual_clip", PPO, policy_loss_type="dual_clip")
add("dual_clip 0.1 0.3 1.5", PPO, FEW, policy_loss_type="dual_clip", eps_clip_low=0.1, eps_clip_high=0.3, clip_ratio_c=1.5)
family("gspo", "gspo_policy_loss", "sequence_mean", tolerance=EXACT)
add("gspo narrow", "gspo_policy_loss", FEW, "sequence_mean", tolerance=EXACT, eps_clip_low=3e-4, eps_clip_high=4e-4)
family("sapo", "sapo_policy_loss", "sequence_mean", metrics="none", tolerance=EXACT)
add("sapo 2 3", "sapo_policy_loss", FEW, "sequence_mean", metrics="none", tolerance=EXACT, sapo={"tau_pos": 2.0, "tau_neg": 3.0})
CISPO = "compute_policy_loss_cispo"
family("cispo", CISPO, metrics="cispo")
add("cispo narrow", CISPO, FEW, metrics="cispo", cispo={"cispo_eps_clip_low": 0.2, "cispo_eps_clip_high": 0.3})
add("cispo rollout", CISPO, metrics="cispo", cispo={"cispo_anchor": "rollout"})
add("cispo rollout sequence_mean", CISPO, FEW, "sequence_mean", "cispo",
    cispo={"cispo_anchor": "rollout", "cispo_eps_clip_low": 0.5, "cispo_eps_clip_high": 0.5})
family("rollout_is", "rollout_is_policy_loss", metrics="dropped")
add("rollout_is 0.5 1.5", "rollout_is_policy_loss", FEW, metrics="dropped", eps_clip_low=0.5, eps_clip_high=1.5)
for kind in ("tv", "kl"):
    family(f"dppo_{kind}", "dppo_policy_loss", metrics="dropped", dppo={"dppo_type": f"binary_{kind}"})
    add(f"dppo_{kind} narrow", "dppo_policy_loss", FEW, metrics="dropped",
        dppo={"dppo_type": f"binary_{kind}", "delta_low": 0.05, "delta_high": 0.02})
ALL = "every eligible token is dropped (clip_ratio 1), so nothing is drawn"
COV = {"clip_cov_lb": 1e-3, "clip_cov_ub": 0.05}
family("clip_cov", "compute_policy_loss_clip_cov", metrics="dropped", tolerance=EXACT, note=ALL, clip_cov=COV)
add("clip_cov standard band", "compute_policy_loss_clip_cov", metrics="dropped", tolerance=EXACT, note=ALL)
family("kl_cov", "compute_policy_loss_kl_cov", metrics="none", tolerance=EXACT)
add("kl_cov 0.5", "compute_policy_loss_kl_cov", FEW, metrics="none", tolerance=EXACT, kl_cov={"kl_cov_frac": 0.5, "ppo_kl_coef": 0.1})
add("importance_sampling", "importance_sampling_loss", reduction="sum", metrics="none", tolerance=EXACT)
add("importance_sampling token_mean", "importance_sampling_loss", FEW, metrics="none", tolerance=EXACT)

correction = lambda **c: {"correction": c}
add("regular tis_token", PPO, **correction(tis_ratio_type="token"))
add("regular tis_token 1.2", PPO, FEW, **correction(tis_ratio_type="token", token_tis_ratio_clip_high=1.2))
add("regular tis_sequence", PPO, **correction(tis_ratio_type="sequence"))
add("regular tis_sequence 1.5", PPO, FEW, **correction(tis_ratio_type="sequence", sequence_tis_ratio_clip_high=1.5))
add("gspo tis_token", "gspo_policy_loss", FEW, "sequence_mean", **correction(tis_ratio_type="token"))
add("gspo tis_sequence", "gspo_policy_loss", FEW, "sequence_mean", **correction(tis_ratio_type="sequence"))
add("regular per token", PPO, ("turns",), metrics="none", per_token=True)
for kind in ("token", "sequence"):
    add(f"regular sequence_mean tis_{kind}", PPO, ("holes", "one masked"), "sequence_mean", **correction(tis_ratio_type=kind))
add("regular seq_mean_token_sum_norm tis_token", PPO, ("holes", "one masked"), "seq_mean_token_sum_norm",
    **correction(tis_ratio_type="token"))
add("dual_clip tis_sequence", PPO, FEW, policy_loss_type="dual_clip", **correction(tis_ratio_type="sequence"))
add("dual_clip tis_token", PPO, FEW, policy_loss_type="dual_clip", **correction(tis_ratio_type="token"))
add("sapo tis_token", "sapo_policy_loss", FEW, "sequence_mean", "none", **correction(tis_ratio_type="token"))
add("cispo tis_token", CISPO, FEW, metrics="cispo", **correction(tis_ratio_type="token"))
add("regular token_mask", PPO, **correction(token_mask_is_threshold_low=0.5, token_mask_is_threshold_high=2.0))
add("regular token_mask 0.8 1.1", PPO, FEW, **correction(token_mask_is_threshold_low=0.8, token_mask_is_threshold_high=1.1))
add("regular geometric", PPO, **correction(sequence_mask_metric="geometric"))
add("regular geometric 0.7 1.3", PPO, **correction(sequence_mask_metric="geometric", geo_mask_low=0.7, geo_mask_high=1.3))
add("regular product", PPO, **correction(sequence_mask_metric="product"))
add("regular product 0.1 20", PPO, FEW, **correction(sequence_mask_metric="product", product_mask_low=0.1, product_mask_high=20.0))
add("regular outlier", PPO, **correction(outlier_token_is_threshold_low=1e-4, outlier_token_is_threshold_high=100.0))
add("regular outlier 0.3 3", PPO, FEW, **correction(outlier_token_is_threshold_low=0.3, outlier_token_is_threshold_high=3.0))
add("regular tis_token token_mask", PPO, metrics="none", note="its share of capped weights leaves out the dropped tokens: not ours",
    **correction(tis_ratio_type="token", token_mask_is_threshold_low=0.5, token_mask_is_threshold_high=2.0))
add("regular tis_token geometric", PPO, **correction(tis_ratio_type="token", sequence_mask_metric="geometric", geo_mask_low=0.7,
                                                     geo_mask_high=1.3))

for kind in ("k1", "abs", "k2", "k3"):
    def term(t, kind=kind):
        return space["compute_approx_kl"](t.logprobs, t.ref_logprobs, t.weights, kind)
    file.everywhere(f"kl_{kind} sum", lambda t: term(t).sum(), names=("published", "wide"), note="float64; the masked sum")
    file.everywhere(f"kl_{kind}", lambda t: space["masked_mean"](term(t), t.weights, dim=-1).mean(),
                    names=("holes", "one masked"), note="float64; the mean as worker.py takes it")
    file.everywhere(f"regular kl_{kind}",
                    lambda t: run(PPO, "token_mean", "none")(t)[0] + 0.05 * space["masked_mean"](term(t), t.weights, dim=-1).mean(),
                    names=("published", "one masked"), tolerance=ROUNDED, config={"kl_loss_coef": 0.05},
                    note="log ratios are rounded to float32; added as worker.py does")
    OTHERS = {"regular sequence_mean": (PPO, "sequence_mean", {}), "gspo": ("gspo_policy_loss", "sequence_mean", {}),
              "dual_clip": (PPO, "token_mean", {"policy_loss_type": "dual_clip"})}
    for name, (function, reduction, config) in OTHERS.items() if kind in ("k1", "k3") else ():
        file.everywhere(f"{name} kl_{kind}", lambda t: run(function, reduction, "none", **config)(t)[0]
                        + 0.05 * space["masked_mean"](term(t), t.weights, dim=-1).mean(),
                        names=("one masked",), tolerance=ROUNDED, config={"kl_loss_coef": 0.05},
                        note="log ratios are rounded to float32; added as worker.py does")
file.write("policy_skyrl.json")
