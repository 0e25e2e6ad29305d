#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_prime_rl.py CHECKOUT OLD: policy_prime_rl.json, from the functions of a checkout of PrimeIntellect-ai/prime-rl at 559b44772
(interpreter: `tests/python/venv torch`); OLD is its src/prime_rl/trainer/rl/loss.py at bf71516c9, before "default" became
DPPO. compute_loss runs default_loss_fn and ipo_loss_fn over the sequences and divides by the number of unmasked tokens;
ref_kl_loss_fn is its third component, with weight 1 on the loss mask."""
import pathlib
import sys
import types
from dataclasses import dataclass, field

import torch
from policy_cases import functions_of, golden_file

names = ["LossInputs", "LossOutputs", "_safe_mean", "compute_importance_ratio_and_mismatch_kl", "default_loss_fn", "ipo_loss_fn",
         "ref_kl_loss_fn", "ce_loss_fn", "compute_loss"]
prime = functions_of(pathlib.Path(sys.argv[1]) / "src/prime_rl/trainer/rl/loss.py", names,
                     {"torch": torch, "dataclass": dataclass, "field": field, "Tensor": torch.Tensor})


def over_batch(metrics, masks, kept):
    """prime-rl's metrics are one a sequence; over the tokens of the batch they are sums of them times what each averages."""
    dropped = [m.sum() - k for m, k in zip(masks, kept)]
    total = lambda values, counts: (sum(v * c for v, c in zip(values, counts)) / sum(counts)).item()
    found = {"is_masked": total(metrics["is_masked"], [m.sum() for m in masks])}
    if sum(dropped) > 0:
        found["masked_mismatch_kl"] = total(metrics["masked_mismatch_kl"], dropped)
    found["unmasked_mismatch_kl"] = total(metrics["unmasked_mismatch_kl"], kept)
    return found


def run(function, **config):
    config = types.SimpleNamespace(**config)

    def compute(t):
        masks = [row.bool() for row in t.weights]
        count = int(t.weights.sum())
        advantages = [a.expand(len(m)) for a, m in zip(t.advantage, masks)]
        rl = function != "ref_kl_loss_fn"
        none = [torch.zeros(len(m)) for m in masks]
        loss, metrics = prime["compute_loss"](
            list(t.logprobs), list(t.sampler_logprobs), list(t.ref_logprobs), advantages, masks, None if rl else none, None,
            None if rl else list(t.weights), lambda inputs: prime[function](inputs, config), count, 1, count)
        metrics = {k.removeprefix("ref_kl/"): v for k, v in metrics.items()}
        if not rl:  # sequences without a token are left out there
            masks = [m for m in masks if m.any()]
        kept = [(1 - share) * m.sum() for share, m in zip(metrics["is_masked"].double(), masks)]
        kept = [k.round() for k in kept]
        return loss, over_batch(metrics, masks, kept)
    return compute


file = golden_file("prime-rl's losses: PrimeIntellect-ai/prime-rl, run by policy_prime_rl.py")
NOTE = "metrics: prime-rl's, one a sequence, combined over the tokens of the batch; float32 shares"


def add(name, function, batches=("published", "holes", "one masked", "wide"), tolerance=1e-10, **config):
    file.everywhere(name, run(function, **config), names=batches, config=config, note=NOTE, tolerance=tolerance)


default = dict(dppo_mask_low=0.2, dppo_mask_high=0.2, adv_tau=1.0, kl_tau=1e-3)
add("dppo", "default_loss_fn", **default)
add("dppo narrow", "default_loss_fn", **default | dict(dppo_mask_low=0.05, dppo_mask_high=0.02))
add("dppo wide", "default_loss_fn", ("published", "holes"), **default | dict(dppo_mask_low=0.9, dppo_mask_high=0.6))
add("dppo tau", "default_loss_fn", ("published", "holes"), **default | dict(adv_tau=0.5, kl_tau=0.1))
ipo = dict(ipo_threshold=0.1, adv_tau=1.0, kl_tau=1e-3)
add("ipo", "ipo_loss_fn", **ipo)
add("ipo narrow", "ipo_loss_fn", ("published", "holes"), **ipo | dict(ipo_threshold=0.03, adv_tau=2.0, kl_tau=0.0))
add("ref_kl", "ref_kl_loss_fn")


def run_ce(t):
    weights = list(t.weights)
    none = [torch.zeros(len(w), dtype=torch.bool) for w in weights]
    return prime["compute_loss"](list(t.logprobs), list(t.sampler_logprobs), None, [torch.zeros(len(w)) for w in weights], none, weights,
                                 weights, None, lambda inputs: None, 1, int((t.weights != 0).sum()), 1)[0]


file.everywhere("ce", run_ce, names=("published", "one masked", "fractions"), note="float64; ce_weights alone")

old = functions_of(sys.argv[2], ["LossInputs", "LossOutputs", "_safe_mean", "default_loss_fn"],
                   {"torch": torch, "dataclass": dataclass, "field": field, "Tensor": torch.Tensor})


def run_old(**changed):
    config = types.SimpleNamespace(**dict(
        ratio_type="token", token_mask_high=8.0, token_mask_low=0.125, sequence_clip_high=10.0, geo_mask_high=10.0,
        geo_mask_low=0.1, sequence_mask_low=0.0, sequence_mask_high=100.0, adv_tau=1.0, teacher_tau=0.0, kl_tau=0.0) | changed)

    def compute(t):
        scale = t.weights.sum() if config.ratio_type == "token" else len(t.weights)  # train.py's loss_scale
        return sum(old["default_loss_fn"](old["LossInputs"](now, sampler, None, a.expand(len(now)), w.bool()), config).loss
                   for now, sampler, a, w in zip(t.logprobs, t.sampler_logprobs, t.advantage, t.weights)) / scale
    return compute


for ratio_type in ("token", "sequence"):
    for label, changed in (("", {}),
                           (" masks", dict(token_mask_low=0.6, token_mask_high=1.6, geo_mask_low=0.7, geo_mask_high=1.2,
                                           sequence_mask_low=0.2, sequence_mask_high=4.0)),
                           (" tau", dict(adv_tau=0.5, kl_tau=0.3, sequence_clip_high=1.1))):
        file.everywhere(f"masked {ratio_type}{label}", run_old(ratio_type=ratio_type, **changed), config=changed,
                        note="at bf71516c9")
file.write("policy_prime_rl.json")
