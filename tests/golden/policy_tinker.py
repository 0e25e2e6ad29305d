#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_tinker.py CHECKOUT: policy_tinker.json, from the functions of a checkout of agentscope-ai/TuFT at 102eefd (interpreter:
`tests/python/venv torch`), an open server of Tinker's API. Its losses take no mask: the datum's advantages are 0 at masked tokens.
Tinker's own server is closed; the cases "tinker/…" are TuFT's functions with the thresholds that Tinker documents as its
defaults (tinker-cookbook tutorials/202_loss_functions.py)."""
import pathlib
import sys

import torch
from policy_cases import functions_of, golden_file

root = pathlib.Path(sys.argv[1]) / "src" / "tuft" / "loss_fn"
losses = {}
for name in ("cross_entropy", "importance_sampling", "ppo", "cispo", "dro"):
    losses[name] = functions_of(root / f"{name}.py", [f"{name}_loss"],
                                {"torch": torch, "_check_loss_fn_inputs": lambda *a, **k: None})[f"{name}_loss"]


def run(name, **config):
    def compute(t):
        inputs = {"target_logprobs": t.logprobs, "logprobs": t.old_logprobs, "weights": t.weights,
                  "advantages": t.advantage.unsqueeze(1) * t.weights}
        return losses[name](inputs, config)[0]
    return compute


file = golden_file("Losses of Tinker's API: agentscope-ai/TuFT, run by policy_tinker.py")


def add(label, name, names=("published", "holes", "one masked", "wide"), **config):
    file.everywhere(label, run(name, **config), names=names, config=config, note="advantages multiplied by the mask beforehand")


add("cross_entropy", "cross_entropy")
add("importance_sampling", "importance_sampling")
add("tuft/ppo", "ppo")
add("tuft/cispo", "cispo")
add("tuft/dro", "dro")
add("tinker/ppo", "ppo", clip_low_threshold=0.8, clip_high_threshold=1.2)
add("tinker/cispo", "cispo", clip_low_threshold=0.0, clip_high_threshold=4.0)
add("tinker/dro", "dro", beta=0.05)
add("ppo others", "ppo", ("published", "holes"), clip_low_threshold=0.5, clip_high_threshold=3.0)
add("cispo others", "cispo", ("published", "holes"), clip_low_threshold=0.7, clip_high_threshold=1.05)
add("dro others", "dro", ("published", "holes"), beta=1.5)
file.write("policy_tinker.json")
