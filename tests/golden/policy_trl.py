#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_trl.py CHECKOUT: policy_trl.json, from the functions of a checkout of huggingface/trl at f2cd57710
(interpreter: `tests/python/venv torch`).

GRPOTrainer._compute_loss, RLOOTrainer._compute_loss and the two experimental overrides run as they are, on an object that has
the attributes that they read; the importance weights come from the statement of _generate_and_score_completions that
computes them. The only stand-ins are for what surrounds the loss: the model's forward pass gives our logprobs, and the
accelerator of one process gathers nothing.
"""
import ast
import math
import pathlib
import sys
import types
from collections import defaultdict

import torch
from policy_cases import functions_of, golden_file

root = pathlib.Path(sys.argv[1]) / "trl"
grpo_file, rloo_file = root / "trainer" / "grpo_trainer.py", root / "trainer" / "rloo_trainer.py"
largest, smallest = (lambda x: x[~x.isnan()].max()), (lambda x: x[~x.isnan()].min())
space = lambda: {"torch": torch, "math": math, "nanmax": largest, "nanmin": smallest}
grpo = functions_of(grpo_file, ["_compute_loss", "get_off_policy_mask", "get_gamma_weights"], space())
gspo_token = functions_of(root / "experimental" / "gspo_token" / "grpo_trainer.py", ["_compute_loss"], space())
gmpo = functions_of(root / "experimental" / "gmpo" / "gmpo_trainer.py", ["_compute_loss"], space())
rloo = functions_of(rloo_file, ["_compute_loss"], space())


def statement_of_weights():
    """`if self.use_vllm and …` of _generate_and_score_completions, the one that assigns vllm_importance_sampling_ratio."""
    for node in ast.walk(ast.parse(grpo_file.read_text())):
        if isinstance(node, ast.If) and any(isinstance(x, ast.Name) and x.id == "vllm_importance_sampling_ratio"
                                            and isinstance(x.ctx, ast.Store) for x in ast.walk(node)):
            return compile(ast.Module([node], []), str(grpo_file), "exec")
    raise SystemExit("no such statement")


weights = statement_of_weights()


def trainer(t, **config):
    """An object with what _compute_loss reads; config by the names of GRPOConfig, defaults of GRPOConfig."""
    self = types.SimpleNamespace(
        loss_type="dapo", importance_sampling_level="token", epsilon=0.2, epsilon_high=None, delta=None, beta=0.0,
        use_bias_correction_kl=False, off_policy_mask_threshold=None, top_entropy_quantile=1.0, max_completion_length=512,
        vllm_importance_sampling_mode=None, vllm_importance_sampling_clip_min=None, vllm_importance_sampling_clip_max=3.0,
        sapo_temperature_pos=1.0, sapo_temperature_neg=1.05, vespo_k_pos=2.0, vespo_lambda_pos=3.0, vespo_k_neg=3.0,
        vespo_lambda_neg=2.0)
    for name, value in config.items():
        assert hasattr(self, name), name
        setattr(self, name, value)
    self.args = types.SimpleNamespace(**vars(self))
    self.epsilon_low = self.epsilon
    self.epsilon_high = self.epsilon if self.epsilon_high is None else self.epsilon_high
    self.model = types.SimpleNamespace(training=True)
    self.current_gradient_accumulation_steps = 1
    self.accelerator = types.SimpleNamespace(gather=lambda x: x, reduce=lambda x, reduction: x, num_processes=1,
                                             sync_gradients=False)
    self._metrics = {"train": defaultdict(list)}
    self.use_vllm = self.vllm_importance_sampling_mode is not None
    self.vllm_importance_sampling_correction = True
    self._entropy_bonus_enabled = self.aux_loss_enabled = False
    self._get_per_token_logps_and_entropies = lambda *a, **k: (t.logprobs, torch.zeros_like(t.logprobs), None)
    self.get_off_policy_mask, self.get_gamma_weights = grpo["get_off_policy_mask"], torch.no_grad()(grpo["get_gamma_weights"])
    return self


def inputs_of(t, self):
    ids = torch.zeros_like(t.logprobs, dtype=torch.long)
    inputs = dict(prompt_ids=ids[:, :1], prompt_mask=torch.ones_like(ids[:, :1]), completion_ids=ids,
                  completion_mask=t.weights, advantages=t.advantage, old_per_token_logps=t.old_logprobs,
                  ref_per_token_logps=t.ref_logprobs, num_items_in_batch=t.weights.sum(),
                  sampling_per_token_logps=t.sampler_logprobs)
    if self.use_vllm:
        local = {"self": self, "torch": torch, "math": math, "completion_mask": t.weights, "tool_mask": None,
                 "old_per_token_logps": t.old_logprobs, "sampling_per_token_logps": t.sampler_logprobs}
        exec(weights, local)
        inputs["importance_sampling_ratio"] = local["vllm_importance_sampling_ratio"]
    return inputs


OURS = {"kl": "kl", "clip_ratio/low_mean": "clip_low", "clip_ratio/high_mean": "clip_high",
        "clip_ratio/region_mean": "region"}


def run(function=grpo, metrics=True, of_old=False, per_token=False, **config):
    def compute(t):
        self = trainer(t, **config)
        inputs = inputs_of(t, self)
        if per_token:
            inputs["advantages"] = t.token_advantage
        if of_old:
            del inputs["sampling_per_token_logps"]
        loss = function["_compute_loss"](self, None, inputs)
        found = {OURS[k]: float(v[0]) for k, v in self._metrics["train"].items() if k in OURS}
        return loss, found if metrics else {}
    return compute


def run_rloo(t, epsilon=0.2, epsilon_high=None):
    self = trainer(t, epsilon=epsilon, epsilon_high=epsilon_high)
    inputs = inputs_of(t, self) | {"old_logps": (t.old_logprobs * t.weights).sum(1)}
    return rloo["_compute_loss"](self, None, inputs)


file = golden_file("TRL's losses: huggingface/trl, run by policy_trl.py")
whole = ("published", "holes", "wide")  # without an all-masked sequence


def add(name, names=("published", "holes", "one masked", "wide"), function=grpo, metrics=True, note="", of_old=False, per_token=False, **config):
    file.everywhere(name, run(function, metrics, of_old, per_token, **config), names=names, config=config, note=note)


for loss_type in ("grpo", "bnpo", "dapo"):
    add(loss_type, loss_type=loss_type)
add("dr_grpo", loss_type="dr_grpo", max_completion_length=16)
add("grpo beta", ("published", "holes", "one masked"), loss_type="grpo", beta=0.04)
add("dapo beta delta", ("published", "holes", "one masked"), loss_type="dapo", beta=0.1, delta=1.5, epsilon=0.1,
    epsilon_high=0.28)
add("grpo delta inside", ("published", "holes"), loss_type="grpo", delta=1.1, metrics=False,
    note="TRL counts clipped ratios after delta has capped them, here before: no metrics")
add("dapo bias-corrected", ("published", "one masked"), loss_type="dapo", beta=0.1, use_bias_correction_kl=True)
add("dr_grpo beta", ("holes",), loss_type="dr_grpo", beta=0.1, max_completion_length=9)
SEQUENCE = dict(importance_sampling_level="sequence")
add("grpo sequence", loss_type="grpo", **SEQUENCE)
add("dapo sequence", ("published", "one masked"), loss_type="dapo", **SEQUENCE)
add("grpo sequence bias-corrected", ("published", "holes"), loss_type="grpo", beta=0.1, use_bias_correction_kl=True,
    epsilon=0.01, epsilon_high=0.02, **SEQUENCE)
add("dr_grpo sequence", ("holes",), loss_type="dr_grpo", max_completion_length=16, **SEQUENCE)
add("luspo", loss_type="luspo", **SEQUENCE)
add("luspo narrow", ("published", "holes"), loss_type="luspo", epsilon=2e-3, epsilon_high=2.5e-3, **SEQUENCE)
for loss_type in ("grpo", "dapo"):
    add(f"{loss_type} sequence_token", ("published", "holes", "one masked"), function=gspo_token, loss_type=loss_type,
        importance_sampling_level="sequence_token", beta=0.04)
add("cispo", loss_type="cispo", metrics=False)
add("cispo 5", loss_type="cispo", epsilon_high=5.0, metrics=False)
add("cispo beta sequence", ("published",), loss_type="cispo", epsilon_high=1.2, beta=0.1, metrics=False, **SEQUENCE)
add("sapo", loss_type="sapo")
add("sapo 2 3 beta", ("published", "one masked"), loss_type="sapo", sapo_temperature_pos=2.0, sapo_temperature_neg=3.0,
    beta=0.1, use_bias_correction_kl=True)
add("sapo sequence", ("published", "holes"), loss_type="sapo", **SEQUENCE)
add("vespo", loss_type="vespo")
add("vespo others", ("published", "one masked"), loss_type="vespo", vespo_k_pos=1.0, vespo_lambda_pos=0.5, vespo_k_neg=2.0,
    vespo_lambda_neg=1.0, beta=0.05, use_bias_correction_kl=True)
for mode in ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"):
    for loss_type in ("grpo", "dapo"):
        add(f"{loss_type} {mode}", loss_type=loss_type, vllm_importance_sampling_mode=mode)
    add(f"dapo {mode} bounds", ("published", "holes"), loss_type="dapo", vllm_importance_sampling_mode=mode, beta=0.04,
        vllm_importance_sampling_clip_min=0.6, vllm_importance_sampling_clip_max=1.4)
    add(f"cispo {mode}", ("published", "one masked"), loss_type="cispo", epsilon_high=1.5, metrics=False,
        vllm_importance_sampling_mode=mode)
    if mode.startswith("token"):
        add(f"vespo {mode}", loss_type="vespo", vllm_importance_sampling_mode=mode)
        add(f"vespo {mode} bounds", ("published", "holes"), loss_type="vespo", vllm_importance_sampling_mode=mode,
            vllm_importance_sampling_clip_min=0.6, vllm_importance_sampling_clip_max=1.4)
add("grpo sequence sequence_mask", ("published", "holes"), loss_type="grpo", vllm_importance_sampling_mode="sequence_mask",
    **SEQUENCE)
MASK = dict(vllm_importance_sampling_mode="sequence_mask")
SOME = ("published", "holes", "one masked")
add("bnpo sequence_mask", SOME, loss_type="bnpo", **MASK)
add("dr_grpo sequence_mask", SOME, loss_type="dr_grpo", max_completion_length=16, beta=0.04, **MASK)
add("sapo sequence_mask", SOME, loss_type="sapo", **MASK)
add("sapo sequence_mask bounds", ("published", "holes"), loss_type="sapo", beta=0.1, use_bias_correction_kl=True,
    vllm_importance_sampling_clip_min=0.6, vllm_importance_sampling_clip_max=1.4, **MASK)
add("luspo sequence_mask", SOME, loss_type="luspo", **MASK, **SEQUENCE)
add("dapo sequence sequence_mask", SOME, loss_type="dapo", **MASK, **SEQUENCE)
add("dapo per token", ("turns",), loss_type="dapo", per_token=True)
add("dapo sequence per token", ("turns",), loss_type="dapo", per_token=True, metrics=False, **SEQUENCE)
add("dapo token_truncate off-policy", ("published", "holes", "wide"), loss_type="dapo",
    vllm_importance_sampling_mode="token_truncate", off_policy_mask_threshold=0.05, beta=0.04)
for loss_type in ("grpo", "dapo"):
    add(f"{loss_type} off-policy", loss_type=loss_type, off_policy_mask_threshold=0.5)
    add(f"{loss_type} off-policy narrow", ("published", "holes"), loss_type=loss_type, off_policy_mask_threshold=0.01,
        beta=0.04)
    add(f"{loss_type} off-policy of old", ("published", "holes", "one masked"), loss_type=loss_type,
        off_policy_mask_threshold=0.01, of_old=True)
add("gmpo", whole, function=gmpo, epsilon=0.4, metrics=False)
add("gmpo others", ("published", "holes"), function=gmpo, epsilon=0.1, epsilon_high=0.2, beta=0.1)
file.everywhere("rloo", run_rloo, names=whole)
file.everywhere("rloo others", lambda t: run_rloo(t, 0.5, 3.0), names=whole)
file.write("policy_trl.json")
