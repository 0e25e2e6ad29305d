#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden numbers of distillation losses, from the projects' own code (upstream.py).

    distillation.py CHECKOUTS     writes distillation_cases.json beside this file

Run it with the interpreter of `tests/python/venv torch`. float64. A function that takes logits over the vocabulary gets the logprobs of
the K candidates: its softmax then is the renormalisation over the K.
"""
import pathlib
import random
import sys

import torch

from upstream import COMMITS, Checkouts, Namespace, padded, ragged, write

torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).resolve().parent


def candidates(seed, lengths, k):
    r = random.Random(seed)
    number = lambda low, high: round(r.uniform(low, high) * 1024) / 1024
    draw = lambda low: [[[number(low, -0.05) for _ in range(k)] for _ in range(n)] for n in lengths]
    return {"group_sizes": [len(lengths)], "candidates": k,
            "weights": [[1.0 if t == 0 or r.random() < 0.7 else 0.0 for t in range(n)] for n in lengths],
            "candidate_logprobs": draw(-4), "candidate_teacher_logprobs": draw(-5)}


def samples(seed, lengths):
    r = random.Random(seed)
    number = lambda low, high: round(r.uniform(low, high) * 1024) / 1024
    rows = lambda f: [[f() for _ in range(n)] for n in lengths]
    return {"group_sizes": [len(lengths)], "weights": rows(lambda: float(r.random() < 0.8)), "logprobs": rows(lambda: number(-3, -0.05)),
            "sampler_logprobs": rows(lambda: number(-3, -0.05)), "teacher_logprobs": rows(lambda: number(-3, -0.05))}


batches = {"K 4": candidates(1, [3, 5, 2], 4), "K 2": candidates(2, [2, 3], 2), "K 7": candidates(3, [6, 1], 7), "sampled": samples(4, [5, 3, 4]),
           "fixed": {"group_sizes": [4], "weights": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 0]],
                     "logprobs": [[-0.05, -1.3, -0.7, -1.95, -0.6], [-0.7, -1.9, -2.98, -0.45, -1.65], [-0.1, -2.85, -0.88, -0.62, -0.2],
                                  [-1.95, -0.02, -0.4, -3.0, -1.18]],
                     "sampler_logprobs": [[-0.49, -1.4, -0.27, -2.9, -0.92], [-1.95, -0.6, -2.999, -0.6, -1.5], [-0.24, -2.2, -1.08, -1.35, -0.74],
                                          [-1.6, -0.08, -3.3, -2.13, -1.35]],
                     "teacher_logprobs": [[-0.8, -1.0, -0.2, -1.6, -0.95], [-1.4, -1.6, -2.85, -0.65, -1.4], [-0.18, -2.4, -1.5, -0.3, -0.55],
                                          [-2.2, -0.04, -1.25, -2.3, -1.1]]}}
cases = []


class Batch:
    def __init__(self, name, wrt="candidate_logprobs"):
        self.name, self.wrt, self.raw = name, wrt, batches[name]
        self.rows = self.raw["weights"]
        self.mask = padded(self.rows)
        if wrt == "logprobs":
            self.variable, self.sampler, self.teacher = (padded(self.raw[f"{x}logprobs"]) for x in ("", "sampler_", "teacher_"))
        else:
            width, k = self.mask.shape[1], self.raw["candidates"]
            full = lambda rows: torch.tensor([row + [[0.0] * k] * (width - len(row)) for row in rows])
            self.variable, self.teacher = full(self.raw["candidate_logprobs"]), full(self.raw["candidate_teacher_logprobs"])
        self.variable.requires_grad_()


def add(name, loss, b, value, parameters=None, metrics=None, tolerance=1e-10, note=""):
    (slope,) = torch.autograd.grad(value, b.variable)
    cases.append({"name": f"{name} ({b.name})", "loss": loss, "batch": b.name, "parameters": parameters or {}, "wrt": b.wrt, "value": float(value.detach()),
                  "slope": ragged(slope, b.rows), "metrics": metrics or {}, "tolerance": tolerance, "note": note})


def trl(upstream):
    jsd = upstream.take("trl", "trl/experimental/gkd/gkd_trainer.py", "GKDTrainer.generalized_jsd_loss")
    names = {}
    divergence = upstream.take("trl", "trl/experimental/sdft/loss_utils.py", "compute_divergence", names)
    for name in ("K 4", "K 2", "K 7"):
        for beta, temperature in ((0.5, 1.0), (0.0, 1.0), (1.0, 1.0), (0.1, 0.9), (0.7, 2.0)):
            b = Batch(name)
            labels = torch.where(b.mask == 1, 0, -100)
            add(f"trl gkd beta {beta} T {temperature}", "trl::gkd", b, jsd(b.variable, b.teacher, labels, beta, temperature),
                {"beta": beta, "temperature": temperature}, note=f"TRL@{COMMITS['trl']} trl/experimental/gkd/gkd_trainer.py generalized_jsd_loss")
        for alpha in (0.0, 0.3, 1.0):
            b = Batch(name)
            per_token = divergence(torch.log_softmax(b.variable, -1), torch.log_softmax(b.teacher, -1), alpha)
            add(f"trl sdft alpha {alpha}", "jsd", b, (per_token * b.mask).sum() / b.mask.sum(), {"beta": alpha},
                note=f"TRL@{COMMITS['trl']} trl/experimental/sdft/loss_utils.py compute_divergence on renormalised top-k, token mean")


def fireworks(upstream):
    path = "training/utils/distillation/__init__.py"
    where = f"fw-ai/cookbook@{COMMITS['cookbook']} {path}"
    names = {"tinker": Namespace(Datum=Namespace, TensorData=Namespace)}
    for helper in ("_renormalize_topk", "_pad_or_trim", "_loss_mask_for_datum", "_require_lengths_match", "_require_active_logprobs"):
        names[helper] = upstream.take("cookbook", path, helper, names)
    names["TopKDist"] = Namespace
    from dataclasses import dataclass
    names["OPDInputMetrics"] = dataclass(upstream.take("cookbook", path, "OPDInputMetrics", names))
    build_topk = upstream.take("cookbook", path, "build_topk_datum", names)
    build_opd = upstream.take("cookbook", path, "build_opd_server_datums", names)

    for name in ("K 4", "K 7"):
        for loss in ("fireworks::sdft", "tinker::sdft"):
            b = Batch(name)
            k = b.raw["candidates"]
            total = torch.zeros(())
            for s, row in enumerate(b.rows):
                dists = [Namespace(token_ids=list(range(k)), logprobs=b.raw["candidate_teacher_logprobs"][s][t]) if w else None for t, w in enumerate(row)]
                datum = build_topk(None, dists, target_len=len(row), prompt_len=0, top_k=k)
                ids = torch.tensor(datum.loss_fn_inputs["target_tokens"].data).view(len(row), k)
                weights = torch.tensor(datum.loss_fn_inputs["weights"].data).view(len(row), k)
                total = total - (b.variable[s, : len(row)].gather(-1, ids) * weights).sum()
            add(loss.replace("::", " "), loss, b, total, note=f"{where} build_topk_datum, then cross_entropy −Σ weights·logprob"
                + ("" if loss.startswith("fire") else "; tinker-cookbook's sdft.py makes the same weights"))
        b = Batch(name)
        weights = torch.tensor([[names["_renormalize_topk"](Namespace(token_ids=[], logprobs=d))[1] for d in row] + [[0.0] * b.raw["candidates"]] * (b.mask.shape[1] - len(row))
                                for row in b.raw["candidate_teacher_logprobs"]])
        add("topk_distillation", "topk_distillation", b, -((weights * b.variable).sum(-1) * b.mask).sum() / b.mask.sum(), note=f"{where} _renormalize_topk, token mean")

    for name in ("sampled", "fixed"):
        for scale in (1.0, 0.25):
            b = Batch(name, "logprobs")
            data = [Namespace(model_input=None, loss_fn_inputs={"target_tokens": Namespace(data=[0] * len(row)), "loss_mask": Namespace(data=row)}) for row in b.rows]
            datums, found = build_opd(data, b.raw["teacher_logprobs"], b.raw["sampler_logprobs"], [0] * len(data), loss_scale=scale)
            total = torch.zeros(())
            for s, d in enumerate(datums):
                q, a = (torch.tensor(d.loss_fn_inputs[x].data) for x in ("logprobs", "advantages"))
                total = total - (torch.exp((b.variable[s, : len(q)] - q).clamp(-20, 20)) * a).sum()
            metrics = {k: found[k] for k in ("opd_sampled_reverse_kl", "opd_advantage", "opd_abs_logprob_gap", "opd_teacher_nll", "opd_sampling_nll")}
            add(f"fireworks opd scale {scale}", "fireworks::opd", b, total, {"loss_scale": scale}, metrics,
                note=f"{where} build_opd_server_datums, then importance_sampling −Σ e^clamp(l − q, ±20)·advantage")
            if scale == 1.0:
                b = Batch(name, "logprobs")
                total = -(torch.exp(b.variable - b.sampler) * (b.teacher - b.sampler) * b.mask).sum()
                add("tinker opd", "tinker::opd", b, total, {"kl_penalty_coef": 1.0},
                    note="tinker-cookbook distillation/train_on_policy.py adds −c·(sampler − teacher) to the advantages inside a coroutine: one line, transcribed; "
                         "then importance_sampling")


def main():
    upstream = Checkouts(sys.argv[1])
    trl(upstream)
    fireworks(upstream)
    write(here / "distillation_cases.json", "made by distillation.py from the projects' own code", batches, cases)


if __name__ == "__main__":
    main()
