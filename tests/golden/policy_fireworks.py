#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_fireworks.py CHECKOUT: policy_fireworks.json, from the functions of a checkout of fw-ai/cookbook at 76821fa1 (interpreter:
`tests/python/venv torch`). The modules of training/utils/rl are imported from the checkout; `tinker`, which they import for
annotations only, is an empty module, and packages are not initialised. prompt_len is 1, so that every position is response,
except on the batch "prompts"."""
import importlib
import pathlib
import sys
import types

import torch
from policy_cases import golden_file

root = pathlib.Path(sys.argv[1])
for name in ("training", "training.utils", "training.utils.rl"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(root / name.replace(".", "/"))]
sys.modules["tinker"] = types.ModuleType("tinker")
sys.modules["tinker"].Datum = object
part = lambda name: importlib.import_module(f"training.utils.rl.{name}")
TISConfig = part("tis").TISConfig


def data_of(t):
    return [types.SimpleNamespace(loss_fn_inputs={"weights": types.SimpleNamespace(data=row.tolist())}) for row in t.weights]


def common(t, per_token=False):
    return dict(advantages=(t.token_advantage if per_token else t.advantage).tolist(), ref_logprobs=t.ref_logprobs.tolist(),
                inf_logprobs=t.sampler_logprobs.tolist(), old_policy_logprobs=t.old_logprobs.tolist())


def run(make, tis=None, prompt_lens="prompt_len", length=1, per_token=False, **config):
    def compute(t):
        arguments = common(t, per_token) | {prompt_lens: length, "tis_config": TISConfig(**(tis or {}))} | config
        return make(**arguments)(data_of(t), list(t.logprobs))[0]
    return compute


file = golden_file("Fireworks' client-side losses: fw-ai/cookbook, run by policy_fireworks.py")
grpo, dapo, gspo, cispo = part("grpo"), part("dapo"), part("gspo"), part("cispo")
importance, dro, reinforce, igpo = part("is_loss"), part("dro"), part("reinforce"), part("igpo")
every = ("published", "holes", "one masked", "wide", "fractions")
some = ("published", "holes", "one masked", "fractions")


def add(name, make, names=every, tis=None, config=None, shown=None, **options):
    file.everywhere(name, run(make, tis, **(config or {}), **options), names=names, config={**(shown or {}), "tis": tis or {}},
                    note="float64 throughout; prompt_len 1")


SEQUENCE, ICEPOP, LOW = dict(level="sequence"), dict(icepop_threshold=1.5), dict(cap=1.2)
for label, tis in (("", None), (" tis sequence", SEQUENCE), (" icepop", ICEPOP), (" cap", LOW)):
    names = every if label in ("", " icepop") else some
    names = [b for b in names if b != "fractions" or label != " cap"]
    add(f"grpo{label}", grpo.make_grpo_loss_fn, names, tis)
    add(f"dapo{label}", dapo.make_dapo_loss_fn, names, tis)
    add(f"gspo{label}", gspo.make_gspo_loss_fn, names, tis)
    add(f"cispo{label}", cispo.make_cispo_loss_fn, names, tis)
    add(f"importance_sampling{label}", importance.make_is_loss_fn, names, tis)
    add(f"dro{label}", dro.make_dro_loss_fn, names, tis)
add("grpo per token", grpo.make_grpo_loss_fn, ("turns",), per_token=True)
file.everywhere("gspo after prompt", run(gspo.make_gspo_loss_fn, length=3), names=("prompts",), note="prompt_len 3")
others = dict(kl_beta=0.1, eps_clip=0.1, eps_clip_high=0.4)
add("grpo others", grpo.make_grpo_loss_fn, some, config=others, shown=others)
clips = dict(eps_clip=0.1, eps_clip_high=0.5, eps_clip_c=1.6, ratio_log_cap=0.9)
add("dapo others", dapo.make_dapo_loss_fn, config=dict(dapo_config=dapo.DAPOConfig(**clips)), shown=clips)
dual = dict(eps_clip_c=3.0)
add("dapo dual", dapo.make_dapo_loss_fn, config=dict(dapo_config=dapo.DAPOConfig(**dual)), shown=dual)
clips = dict(clip_ratio_low=0.01, clip_ratio_high=0.02, seq_ratio_log_cap=0.1)
add("gspo others", gspo.make_gspo_loss_fn, config=dict(gspo_config=gspo.GSPOConfig(**clips)), shown=clips)
clips = dict(eps_low=0.5, eps_high=2.0, ratio_log_cap=0.5)
add("cispo others", cispo.make_cispo_loss_fn, config=dict(cispo_config=cispo.CISPOConfig(**clips)), shown=clips)
clips = dict(ratio_log_cap=0.5)
add("importance_sampling others", importance.make_is_loss_fn, config=clips, shown=clips)
clips = dict(beta=0.7)
add("dro others", dro.make_dro_loss_fn, config=dict(dro_config=dro.DROConfig(**clips)), shown=clips)
add("reinforce", reinforce.make_reinforce_loss_fn, prompt_lens="prompt_lens")
clips = dict(kl_beta=0.3)
add("reinforce beta", reinforce.make_reinforce_loss_fn, prompt_lens="prompt_lens", config=clips, shown=clips)


def run_igpo(**config):
    def compute(t):
        return igpo.make_igpo_loss_fn(t.token_advantage.tolist(), t.ref_logprobs.tolist(), [1] * len(t.weights),
                                      t.sampler_logprobs.tolist(), t.old_logprobs.tolist(), **config)(
            data_of(t), list(t.logprobs))[0]
    return compute


file.everywhere("igpo", run_igpo(), names=every + ("turns",))
others = dict(kl_beta=0.2, eps_clip=0.05)
file.everywhere("igpo others", run_igpo(**others), names=some + ("turns",), config=others)
file.write("policy_fireworks.json")
