#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_open_instruct.py CHECKOUT: policy_open_instruct.json, from the functions of a checkout of allenai/open-instruct
at e6c3044aa (interpreter: `tests/python/venv torch`). The trainer's own few lines between them (the ratio, loss = masked_mean(pg_loss + beta * kl))
are written out here, because they stand inside its training loop; grpo_fast.py, "Calculate the policy's loss"."""
import enum
import pathlib
import sys
import types
from dataclasses import dataclass, field

import torch
from policy_cases import functions_of, golden_file

root = pathlib.Path(sys.argv[1]) / "open_instruct"
space = {"torch": torch, "enum": enum, "dataclass": dataclass, "field": field}
space["model_utils"] = types.SimpleNamespace(**functions_of(root / "model_utils.py", ["estimate_kl"], {"torch": torch}))
functions_of(root / "rl_utils.py", ["masked_mean"], space)
functions_of(root / "grpo_utils.py", ["GRPOLossType", "RhoCorrection", "_rho_drop_masks", "_sequence_level_mean",
                                      "compute_rho_correction", "compute_grpo_loss"], space)
DEFAULTS = dict(loss_fn="dapo", clip_lower=0.2, clip_higher=0.272, beta=0.05, kl_estimator=2, use_rho_correction=True,
                rho_clamp_lower_bound=0.0, rho_clamp_upper_bound=2.0, rho_mask_lower_bound=0.0, rho_mask_upper_bound=0.0,
                rho_mask_sequence_level=False, rho_mask_tv_divergence=False, loss_denominator="token")


def run(**changed):
    config = types.SimpleNamespace(**DEFAULTS | changed)

    def compute(t):
        mask = t.weights.bool()
        advantages = t.advantage.unsqueeze(1).expand_as(t.logprobs)
        ratio = torch.exp(t.logprobs - t.old_logprobs)
        rho = space["compute_rho_correction"](t.old_logprobs, t.sampler_logprobs, mask, advantages, config)
        pg_loss, clip_frac, kl = space["compute_grpo_loss"](
            new_logprobs=t.logprobs, ratio=ratio, advantages=advantages, ref_logprobs=t.ref_logprobs, config=config,
            rho_weights=rho.weights)
        mean = space["masked_mean"]
        divisor = t.weights.sum() if config.loss_denominator == "token" else config.loss_denominator
        loss = mean(pg_loss + config.beta * kl, mask, None, divisor)
        metrics = {"kl": mean(kl, mask).item()}
        if config.use_rho_correction:
            metrics["tis_mean"] = mean(rho.weights, mask).item()
        if config.loss_fn == "dapo" and (rho.weights != 0)[mask].all():
            metrics["clip_frac"] = mean(clip_frac.double(), mask).item()
        return loss, metrics
    return compute


file = golden_file("open-instruct's losses: allenai/open-instruct, run by policy_open_instruct.py")


def add(name, names=("published", "holes", "one masked", "wide"), **config):
    file.everywhere(name, run(**config), names=names, config=config,
                    note="float64 throughout; clip_frac left out where rho drops tokens: they are not clipped there")


some = ("published", "holes", "one masked")
for loss_fn in ("dapo", "cispo"):
    add(loss_fn, loss_fn=loss_fn)
    for estimator in (0, 1, 3):
        add(f"{loss_fn} estimator {estimator}", ("published", "wide") if estimator == 3 else ("published", "holes"),
            loss_fn=loss_fn, kl_estimator=estimator, beta=0.1)
    add(f"{loss_fn} denominator", some, loss_fn=loss_fn, loss_denominator=7.0, clip_higher=0.1)
    add(f"{loss_fn} masks", loss_fn=loss_fn, rho_clamp_lower_bound=0.5, rho_clamp_upper_bound=0.0, rho_mask_lower_bound=0.4,
        rho_mask_upper_bound=1.5)
    add(f"{loss_fn} sequence", loss_fn=loss_fn, rho_mask_sequence_level=True, rho_clamp_lower_bound=0.95,
        rho_clamp_upper_bound=1.1, rho_mask_lower_bound=0.8, rho_mask_upper_bound=1.2)
    add(f"{loss_fn} sequence defaults", some, loss_fn=loss_fn, rho_mask_sequence_level=True)
    add(f"{loss_fn} tv", loss_fn=loss_fn, rho_mask_tv_divergence=True, rho_mask_lower_bound=0.1, rho_mask_upper_bound=1.01)
    add(f"{loss_fn} tv low", some, loss_fn=loss_fn, rho_mask_tv_divergence=True, rho_mask_lower_bound=0.5)
    add(f"{loss_fn} without rho", loss_fn=loss_fn, use_rho_correction=False)
    add(f"{loss_fn} without rho, others", some, loss_fn=loss_fn, use_rho_correction=False, kl_estimator=3, beta=0.2,
        clip_higher=0.05)
add("dapo clip", some, clip_lower=0.1, clip_higher=0.3)
file.write("policy_open_instruct.json")
