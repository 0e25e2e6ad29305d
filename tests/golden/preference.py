#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden numbers of preference, SFT, value and reward-model losses, from the projects' own code (upstream.py).

    preference.py CHECKOUTS       writes preference_cases.json beside this file

Run it with the interpreter of `tests/python/venv torch`. float64, unless a note says otherwise. The logits that a trainer wants are made
so that the log softmax at the target is the batch's logprob: [l, log((1 - e^l) q), log((1 - e^l) (1 - q))], and the gradient is taken
with respect to l through them.
"""
import pathlib
import random
import sys

import torch
import torch.nn.functional as F

from upstream import COMMITS, Checkouts, Namespace, padded, ragged, write

torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).resolve().parent
split = 0.3  # q


# ---- batches ---------------------------------------------------------------------------------------------------------------------

def fixed():
    """The batch that all projects are compared on: rows 0 > 1 and 2 > 3 are pairs."""
    return {
        "group_sizes": [2, 2],
        "logprobs": [[-0.05, -1.3, -0.7, -1.95, -0.6], [-0.7, -1.9, -2.98, -0.45, -1.65], [-0.1, -2.85, -0.88, -0.62, -0.2],
                     [-1.95, -0.02, -0.4, -3.0, -1.18]],
        "ref_logprobs": [[-0.8, -1.0, -0.2, -1.6, -0.95], [-1.4, -1.6, -2.85, -0.65, -1.4], [-0.18, -2.4, -1.5, -0.3, -0.55],
                         [-2.2, -0.04, -1.25, -2.3, -1.1]],
        "weights": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 0]],
        "values": [[0.1, 0.4, 0.9, 0.2, 0.6], [0.3, 0.8, 0.5, 0.4, 0.1], [0.7, 0.2, 0.6, 0.9, 0.3], [0.5, 0.1, 0.8, 0.35, 0.2]],
        "old_values": [[0.2, 0.3, 0.3, 0.25, 0.05], [0.9, 0.7, 0.45, 0.3, 0.2], [0.1, 0.3, 0.65, 0.2, 0.3], [0.45, 0.75, 0.7, 0.3, 0.1]],
        "returns": [[0.6, 0.1, 0.5, 0.7, 0.93], [0.1, 0.2, 0.9, 0.5, 0.4], [0.57, 0.8, 0.1, 0.4, 0.6], [0.9, 0.6, 0.2, 0.75, 0.3]],
        "desirable": [1, 0, 1, 0],
        "score": [0.8, 0.3, -0.2, 0.4],
        "micro_batch": [0, 0, 1, 1],
    }


def drawn(seed, lengths):
    r = random.Random(seed)
    number = lambda low, high: round(r.uniform(low, high) * 1024) / 1024  # exact in float32
    logprobs = [[number(-3, -0.02) for _ in range(n)] for n in lengths]
    values = [[number(-1, 1) for _ in range(n)] for n in lengths]
    weights = [[1.0 if t == n // 2 or r.random() < 0.75 else 0.0 for t in range(n)] for n in lengths]
    return {
        "group_sizes": [2] * (len(lengths) // 2),
        "logprobs": logprobs,
        "ref_logprobs": [[min(-1 / 128, x + number(-0.6, 0.6)) for x in row] for row in logprobs],
        "weights": weights,
        "values": values,
        "old_values": [[x + number(-0.7, 0.7) for x in row] for row in values],
        "returns": [[number(-1, 1) for _ in row] for row in values],
        "desirable": [1 - s % 2 for s in range(len(lengths))],
        "score": [number(-1, 1) for _ in lengths],
        "micro_batch": [0, 0] + [1] * (len(lengths) - 2),
    }


batches = {"fixed": fixed(), "ragged": drawn(11, [4, 6, 3, 7, 5, 5])}
for each in list(batches):
    ones = dict(batches[each])
    ones["weights"] = [[1] * len(row) for row in ones["weights"]]
    batches[each + ", no mask"] = ones
for each in batches.values():  # Σ π² of the logits above
    each["sum_pi_squared"] = [[torch.tensor(l).exp().item() ** 2 + (1 - torch.tensor(l).exp().item()) ** 2 * (split**2 + (1 - split) ** 2)
                               for l in row] for row in each["logprobs"]]


class Batch:
    def __init__(self, name, dtype=torch.float64):
        self.name, self.raw = name, batches[name]
        self.rows = self.raw["logprobs"]
        self.mask = padded(self.raw["weights"]).to(dtype)
        self.logp = (padded(self.rows).to(dtype) + torch.where(padded([[1] * len(r) for r in self.rows]) == 0, -1.0, 0.0).to(dtype))
        self.logp.requires_grad_()
        self.ref = padded(self.raw["ref_logprobs"]).to(dtype)
        self.score = torch.tensor(self.raw["score"], dtype=dtype, requires_grad=True)
        self.values = padded(self.raw["values"]).to(dtype).requires_grad_()
        self.old_values, self.returns = padded(self.raw["old_values"]), padded(self.raw["returns"])
        self.variable = self.logp
        self.chosen, self.rejected = list(range(0, len(self.rows), 2)), list(range(1, len(self.rows), 2))
        self.order = self.chosen + self.rejected

    def sums(self):
        return (self.logp * self.mask).sum(1)

    def means(self):
        return self.sums() / self.mask.sum(1)

    def ref_sums(self):
        return (self.ref * self.mask).sum(1)

    def logits(self, rows):
        l = self.logp[rows]
        rest = torch.log(-torch.expm1(l))
        full = torch.stack([l, rest + torch.log(torch.tensor(split)), rest + torch.log(torch.tensor(1 - split))], -1)
        return torch.cat([full, torch.zeros_like(full[:, :1])], 1)  # the last position predicts nothing

    def shifted_mask(self, rows):
        return torch.cat([torch.zeros(len(rows), 1), self.mask[rows]], 1)

    def ids(self, rows):
        return torch.zeros(len(rows), self.logp.shape[1] + 1, dtype=torch.long)  # the target is token 0


def selective_log_softmax(logits, index):
    return torch.log_softmax(logits, -1).gather(-1, index.unsqueeze(-1)).squeeze(-1)


class Recorded(dict):
    def __missing__(self, key):
        self[key] = Recorded() if key in ("train", "eval") else []
        return self[key]


accelerator = Namespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)
cases = []


# Shares that the sources average in float32 or divide by N + 1e-8: the k/n that is meant.
shares = {"accuracy": lambda b: len(b.chosen), "clipfrac": lambda b: int(b.mask.sum()), "vf_clipfrac": lambda b: int(b.mask.sum())}


def share_of(x, n):
    assert abs(round(x * n) - x * n) < 1e-5
    return round(x * n) / n


def add(name, loss, batch, value, parameters=None, metrics=None, tolerance=1e-10, note="", wrt="logprobs", scale=1.0):
    (slope,) = torch.autograd.grad(value, batch.variable)
    cases.append({
        "name": f"{name} ({batch.name})", "loss": loss, "batch": batch.name, "parameters": parameters or {}, "wrt": wrt,
        "value": float(value) * scale, "slope": [x * scale for x in slope.tolist()] if wrt == "score" else
        [[x * scale for x in row] for row in ragged(slope.double(), batch.rows)],
        "metrics": {k: float(v) if k not in shares else share_of(float(v), shares[k](batch)) for k, v in (metrics or {}).items()},
        "tolerance": tolerance, "note": note})


# ---- TRL -------------------------------------------------------------------------------------------------------------------------

def trl(upstream):
    dpo = upstream.take("trl", "trl/trainer/dpo_trainer.py", "DPOTrainer._compute_loss",
                        {"selective_log_softmax": selective_log_softmax}, until="per_token_entropy", then="return loss")

    def run_dpo(b, loss_type, divergence="reverse_kl", weighting=False, weights=(1.0,), **p):
        trainer = Namespace(
            model=Namespace(training=True), accelerator=accelerator, aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True,
            f_divergence_type=divergence, f_alpha_divergence_coef=p.get("f_alpha_divergence_coef", 0.5),
            loss_types=loss_type if isinstance(loss_type, list) else [loss_type], loss_weights=list(weights), beta=p.get("beta", 0.1),
            label_smoothing=p.get("label_smoothing", 0.0), args=Namespace(discopop_tau=p.get("discopop_tau", 0.05)),
            use_weighting=weighting)
        mask = b.shifted_mask(b.order)
        ref = b.ref_sums()
        inputs = {"input_ids": b.ids(b.order), "completion_mask": mask, "ref_chosen_logps": ref[b.chosen], "ref_rejected_logps": ref[b.rejected]}
        return dpo(trainer, lambda **_: Namespace(logits=b.logits(b.order)), inputs, False)

    where = f"TRL@{COMMITS['trl']} trl/trainer/dpo_trainer.py DPOTrainer._compute_loss"

    def rewards(b, beta):
        r = beta * (b.sums() - b.ref_sums()).detach()
        return {"chosen_reward": r[b.chosen].mean(), "rejected_reward": r[b.rejected].mean(), "margin": (r[b.chosen] - r[b.rejected]).mean(),
                "accuracy": (r[b.chosen] > r[b.rejected]).double().mean()}

    kinds = {"sigmoid": "dpo", "hinge": "dpo_hinge", "ipo": "dpo_ipo", "nca_pair": "dpo_nca_pair", "bco_pair": "dpo_bco_pair",
             "sppo_hard": "dpo_sppo_hard", "apo_zero": "dpo_apo_zero", "apo_down": "dpo_apo_down", "sigmoid_norm": "dpo_sigmoid_norm"}
    for name in ("fixed", "ragged"):
        for kind, preset in kinds.items():
            beta = 0.1 if name == "fixed" else 0.35
            b = Batch(name)
            add(f"trl dpo {kind}", f"trl::{preset}", b, run_dpo(b, kind, beta=beta), {"beta": beta}, rewards(b, beta), note=where)
        for kind, preset, p in (("robust", "dpo_robust", {"beta": 0.1, "label_smoothing": 0.1}),
                                ("exo_pair", "dpo_exo_pair", {"beta": 0.1, "label_smoothing": 1e-3}),
                                ("aot", "dpo_aot", {"beta": 0.1, "label_smoothing": 0.2}),
                                ("aot_unpaired", "dpo_aot_unpaired", {"beta": 0.4, "label_smoothing": 0.0}),
                                ("discopop", "dpo_discopop", {"beta": 0.1, "discopop_tau": 0.05})):
            b = Batch(name)
            add(f"trl dpo {kind}", f"trl::{preset}", b, run_dpo(b, kind, **p), p, note=where)
        for kind, preset in (("forward_kl", "dpo_with_forward_kl"), ("js_divergence", "dpo_with_js_divergence")):
            b = Batch(name)
            add(f"trl dpo {kind}", f"trl::{preset}", b, run_dpo(b, "sigmoid", kind), {"beta": 0.1}, note=where)
        b = Batch(name, torch.float32)
        p = {"beta": 0.1, "f_alpha_divergence_coef": 0.5}
        add("trl dpo alpha_divergence", "trl::dpo_with_alpha_divergence", b, run_dpo(b, "sigmoid", "alpha_divergence", **p), p,
            tolerance=1e-6, note=where + "; float32, because the source has no clamp for float64")
        b = Batch(name)
        add("trl dpo wpo", "trl::dpo_with_wpo", b, run_dpo(b, "sigmoid", weighting=True), {"beta": 0.1}, note=where + ", use_weighting")
        b = Batch(name)
        add("trl dpo sft", "trl::dpo_sft", b, run_dpo(b, "sft"), note=where)
        b = Batch(name)
        add("trl dpo mixed", "trl::dpo + 0.5 dpo_sft + 0.25 dpo_bco_pair", b,
            run_dpo(b, ["sigmoid", "sft", "bco_pair"], weights=(1.0, 0.5, 0.25)), {"beta": 0.1}, note=where + ", three loss types")

    kto = upstream.take("trl", "trl/trainer/kto_trainer.py", "KTOTrainer._compute_loss", {"selective_log_softmax": selective_log_softmax},
                        until="per_token_entropy", then="return losses.nanmean()")
    where = f"TRL@{COMMITS['trl']} trl/trainer/kto_trainer.py KTOTrainer._compute_loss"
    for name, loss_type, preset, kl in (("fixed", "kto", "kto", 0.05), ("ragged", "kto", "kto", 0.2),
                                        ("fixed", "apo_zero_unpaired", "kto_apo_zero_unpaired", None),
                                        ("ragged", "apo_zero_unpaired", "kto_apo_zero_unpaired", None)):
        b = Batch(name)
        p = {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0} if name == "fixed" else \
            {"beta": 0.3, "desirable_weight": 0.7, "undesirable_weight": 1.4}
        trainer = Namespace(model=Namespace(training=True), accelerator=accelerator, aux_loss_enabled=False, precompute_ref_logps=True,
                            calculate_KL=kl is not None, loss_type=loss_type, _metrics=Recorded(),
                            _compute_kl_logps=lambda *_: torch.full((3,), (kl or 0) - 1.0), **p)
        everyone = list(range(len(b.rows)))
        inputs = {"input_ids": b.ids(everyone), "completion_mask": b.shifted_mask(everyone), "ref_logps": b.ref_sums(),
                  "ref_KL_logps": torch.full((3,), -1.0), "label": torch.tensor(b.raw["desirable"])}
        value = kto(trainer, lambda **_: Namespace(logits=b.logits(everyone)), inputs, False)
        r = p["beta"] * (b.sums() - b.ref_sums()).detach()
        add(f"trl {loss_type}", f"trl::{preset}", b, value, {**p, **({"kl": kl} if kl is not None else {})},
            {"chosen_reward": r[b.chosen].mean(), "rejected_reward": r[b.rejected].mean()}, note=where)

    bco = upstream.take("trl", "trl/experimental/bco/bco_trainer.py", "BCOTrainer.bco_loss")
    for name in ("fixed", "ragged"):
        b = Batch(name)
        trainer = Namespace(beta=0.1, running=Namespace(mean=0.03), match_underlying_distribution=False)
        u, f = b.sums(), b.ref_sums()
        losses = bco(trainer, u[b.chosen], u[b.rejected], f[b.chosen], f[b.rejected], None, None, do_train=False)[0]
        add("trl bco", "trl::bco", b, losses.mean(), {"beta": 0.1, "delta": 0.03},
            note=f"TRL@{COMMITS['trl']} trl/experimental/bco/bco_trainer.py bco_loss, mean of its losses")

    log1mexp = lambda x: torch.log(-torch.expm1(x))  # trl/experimental/utils.py, away from its branch
    pad_to_length = lambda x, length, pad_value: F.pad(x, (0, length - x.shape[1]), value=pad_value)
    for trainer_file, trainer_name, loss_name in (("cpo/cpo_trainer.py", "CPOTrainer", "cpo_loss"), ("orpo/orpo_trainer.py", "ORPOTrainer", "odds_ratio_loss")):
        path = f"trl/experimental/{trainer_file}"
        names = {"selective_log_softmax": selective_log_softmax, "pad_to_length": pad_to_length, "log1mexp": log1mexp,
                 "is_torch_xla_available": lambda: False}
        method = {m: upstream.take("trl", path, f"{trainer_name}.{m}", names)
                  for m in ("concatenated_inputs", loss_name, "get_batch_logps", "concatenated_forward", "get_batch_loss_metrics")}

        def run(b, **p):
            trainer = Namespace(accelerator=accelerator, aux_loss_enabled=False, is_encoder_decoder=False, pad_token_id=0, padding_value=0,
                                label_smoothing=0.0, alpha=0.0, **p)
            trainer.get_batch_logps, trainer.concatenated_inputs = method["get_batch_logps"], method["concatenated_inputs"]
            for m in (loss_name, "concatenated_forward"):
                setattr(trainer, m, (lambda f: lambda *a, **k: f(trainer, *a, **k))(method[m]))
            inputs = {}
            for side, rows in (("chosen", b.chosen), ("rejected", b.rejected)):
                mask = b.shifted_mask(rows)
                inputs[f"{side}_input_ids"] = b.ids(rows)
                inputs[f"{side}_attention_mask"] = mask.long()
                inputs[f"{side}_labels"] = torch.where(mask == 1, 0, -100)
            return method["get_batch_loss_metrics"](trainer, lambda *_, **__: Namespace(logits=b.logits(b.order)), inputs)

        where = f"TRL@{COMMITS['trl']} {path} get_batch_loss_metrics"
        for name in ("fixed", "ragged"):
            if loss_name == "cpo_loss":
                for loss_type, preset, p in (("sigmoid", "cpo", {"beta": 0.1, "cpo_alpha": 1.0}), ("hinge", "cpo_hinge", {"beta": 0.3, "cpo_alpha": 0.5}),
                                             ("ipo", "cpo_ipo", {"beta": 0.1, "cpo_alpha": 1.0}), ("simpo", "simpo", {"beta": 0.1, "simpo_gamma": 0.5, "cpo_alpha": 0.0}),
                                             ("simpo", "simpo", {"beta": 2.0, "simpo_gamma": 0.9, "cpo_alpha": 1.0})):
                    b = Batch(name)
                    value, found = run(b, loss_type=loss_type, **{"simpo_gamma": 0.5, **p})
                    add(f"trl cpo {loss_type} beta {p['beta']}", f"trl::{preset}", b, value, p,
                        {"chosen_reward": found["rewards/chosen"], "rejected_reward": found["rewards/rejected"],
                         "margin": found["rewards/margins"], "accuracy": found["rewards/accuracies"]}, note=where)
                b = Batch(name)
                trainer = Namespace(accelerator=accelerator, alpha=0.0, loss_type="ipo", beta=0.1, label_smoothing=0.0)
                losses = method["cpo_loss"](trainer, b.sums()[b.chosen], b.sums()[b.rejected])[0]
                add("trl cpo_loss ipo given sums", "trl::cpo_ipo_of_sums", b, losses.mean(), {"beta": 0.1, "cpo_alpha": 0.0},
                    note=f"TRL@{COMMITS['trl']} {path} cpo_loss, mean of its losses")
            else:
                for beta in (0.1, 0.5):
                    b = Batch(name, torch.float32)
                    value, found = run(b, beta=beta)
                    add(f"trl orpo beta {beta}", "trl::orpo", b, value, {"beta": beta},
                        {"nll": found["nll_loss"], "log_odds_ratio": found["log_odds_chosen"], "chosen_reward": found["rewards/chosen"]},
                        tolerance=1e-6, note=where + "; the source computes the odds in float32; attention mask = weights, so no prompt tokens")

    dft = upstream.take("trl", "trl/trainer/sft_trainer.py", "dft_loss", {"selective_log_softmax": selective_log_softmax})
    for name in ("fixed", "ragged"):
        b = Batch(name)
        everyone = list(range(len(b.rows)))
        labels = torch.where(b.shifted_mask(everyone) == 1, 0, -100)
        add("trl dft", "trl::dft", b, dft(Namespace(logits=b.logits(everyone)), labels),
            note=f"TRL@{COMMITS['trl']} trl/trainer/sft_trainer.py dft_loss")

    reward = upstream.take("trl", "trl/trainer/reward_trainer.py", "RewardTrainer.compute_loss", until='if mode == "train"', then="return loss")
    for name, margin, c in (("fixed", 0.0, 0.0), ("ragged", 0.25, 0.01)):
        b = Batch(name)
        b.variable = b.score
        trainer = Namespace(model=Namespace(training=True), args=Namespace(center_rewards_coefficient=c or None), accelerator=accelerator)
        inputs = {"margin": torch.full((len(b.chosen),), margin)} if margin else {}
        value = reward(trainer, lambda **_: Namespace(logits=b.score[b.order].unsqueeze(-1)), inputs)
        add("trl reward", "trl::reward", b, value, {"margin": margin, "center_rewards_coefficient": c}, wrt="score",
            note=f"TRL@{COMMITS['trl']} trl/trainer/reward_trainer.py RewardTrainer.compute_loss")


# ---- OpenRLHF, open-instruct -----------------------------------------------------------------------------------------------------

def openrlhf(upstream):
    path = "openrlhf/models/loss.py"
    names = {"masked_mean": upstream.take("OpenRLHF", "openrlhf/models/utils.py", "masked_mean")}
    names["aggregate_loss"] = upstream.take("OpenRLHF", path, "aggregate_loss", names)
    take = lambda what, commit=None: upstream.take("OpenRLHF", path, what, names, commit=commit)
    at = f"OpenRLHF@{COMMITS['OpenRLHF']} {path}"
    before = "6a981c8c^"  # the last commit that has KTO

    for name in ("fixed", "ragged"):
        for ipo, preset, p in ((False, "dpo", {"beta": 0.1, "label_smoothing": 0.0}), (False, "dpo", {"beta": 0.4, "label_smoothing": 0.15}), (True, "ipo", {"beta": 0.1})):
            b = Batch(name)
            u, f = b.sums(), b.ref_sums()
            value, r_c, r_j = take("DPOLoss")(p["beta"], p.get("label_smoothing", 0.0), ipo)(u[b.chosen], u[b.rejected], f[b.chosen], f[b.rejected])
            add(f"openrlhf {preset} beta {p['beta']}", f"openrlhf::{preset}", b, value, p,
                {"chosen_reward": r_c.mean(), "rejected_reward": r_j.mean()}, note=f"{at} DPOLoss")
        b = Batch(name)
        u, f = b.sums(), b.ref_sums()
        value = take("VanillaKTOLoss", before)(0.3)(u[b.chosen], u[b.rejected], f[b.chosen], f[b.rejected])[0]
        add("openrlhf vanilla_kto", "openrlhf::vanilla_kto", b, value, {"beta": 0.3}, note=f"OpenRLHF@{before} {path} VanillaKTOLoss")
        b = Batch(name)
        u, f = b.sums(), b.ref_sums()
        names["dist"] = Namespace(all_reduce=lambda *_, **__: None, ReduceOp=Namespace(SUM=0))
        loss = take("KTOLoss", before)(0.2, 0.8, 1.3, 1, "cpu")
        value = loss(u[b.chosen], u[b.rejected], torch.tensor([-1.0]), f[b.chosen], f[b.rejected], torch.tensor([-1.1]))[0]
        add("openrlhf kto", "openrlhf::kto", b, value, {"beta": 0.2, "desirable_weight": 0.8, "undesirable_weight": 1.3, "kl": 0.1},
            note=f"OpenRLHF@{before} {path} KTOLoss, KL −1 − (−1.1)")
        for level, preset in ((True, "sft"), (False, "sft_sample_mean")):
            b = Batch(name)
            add(f"openrlhf {preset}", f"openrlhf::{preset}", b, take("SFTLoss")(level)(b.logp, b.mask), note=f"{at} SFTLoss")
        for clip, preset in ((0.5, "value"), (0.2, "value"), (None, "value_unclipped")):
            b = Batch(name)
            b.variable = b.values
            value = take("ValueLoss")(clip)(b.values, b.old_values, b.returns, b.mask)
            add(f"openrlhf {preset} {clip or ''}", f"openrlhf::{preset}", b, value, {"clip_eps": clip} if clip else {}, wrt="values", note=f"{at} ValueLoss")
        for margin in (0.0, 0.2):
            b = Batch(name)
            b.variable = b.score
            value = take("PairWiseLoss")()(b.score[b.chosen], b.score[b.rejected], torch.full((len(b.chosen),), margin) if margin else None)
            add(f"openrlhf reward margin {margin}", "openrlhf::reward", b, value, {"margin": margin}, wrt="score", note=f"{at} PairWiseLoss")
        b = Batch(name)
        b.variable = b.score
        add("openrlhf log_exp", "openrlhf::reward", b, take("LogExpLoss")()(b.score[b.chosen], b.score[b.rejected]), {"margin": 0.0}, wrt="score", note=f"{at} LogExpLoss")


def open_instruct(upstream):
    path = "open_instruct/dpo_utils.py"
    at = f"open-instruct@{COMMITS['open-instruct']} {path}"
    dpo, simpo = (upstream.take("open-instruct", path, f) for f in ("dpo_loss", "simpo_loss"))
    for name in ("fixed", "ragged"):
        for preset, p in (("dpo", {"beta": 0.1, "label_smoothing": 0.0}), ("dpo", {"beta": 5.0, "label_smoothing": 0.1}),
                          ("dpo_norm", {"beta": 5.0, "label_smoothing": 0.0}), ("simpo", {"beta": 5.0, "gamma_beta_ratio": 0.3, "label_smoothing": 0.0})):
            b = Batch(name)
            x, f = (b.sums(), b.ref_sums()) if preset == "dpo" else (b.means(), b.ref_sums() / b.mask.sum(1))
            losses, r_c, r_j = simpo(x[b.chosen], x[b.rejected], p["beta"], p["gamma_beta_ratio"], p["label_smoothing"]) if preset == "simpo" else \
                dpo(x[b.chosen], x[b.rejected], f[b.chosen], f[b.rejected], p["beta"], label_smoothing=p["label_smoothing"])
            add(f"open-instruct {preset} beta {p['beta']}", f"open_instruct::{preset}", b, losses.mean(), p,
                {"chosen_reward": r_c.mean(), "rejected_reward": r_j.mean()}, note=f"{at} {'simpo_loss' if preset == 'simpo' else 'dpo_loss'}, mean of its losses")
        b = Batch(name)
        x = b.sums()
        losses = dpo(x[b.chosen], x[b.rejected], torch.tensor(0.0), torch.tensor(0.0), 0.1, reference_free=True, label_smoothing=0.1)[0]
        add("open-instruct dpo reference_free", "open_instruct::dpo_reference_free", b, losses.mean(), {"beta": 0.1, "label_smoothing": 0.1},
            note=f"{at} dpo_loss, mean of its losses")


# ---- Fireworks, Tinker -------------------------------------------------------------------------------------------------------------

def fireworks(upstream):
    path = "training/utils/losses.py"
    at = f"fw-ai/cookbook@{COMMITS['cookbook']} {path}"
    names = {}
    for helper in ("perplexity_from_nll", "_zero_loss", "_validate_microbatch_sizes", "_log1mexp"):
        names[helper] = upstream.take("cookbook", path, helper, names)
    take = lambda what: upstream.take("cookbook", path, what, names)
    for name in ("fixed, no mask", "ragged, no mask"):
        def logprobs(b):
            return [b.logp[s, : len(row)] for s, row in enumerate(b.rows)]

        b = Batch(name)
        refs = [b.raw["ref_logprobs"][s] for s in range(len(b.rows))]
        no_prefix = [0] * len(b.chosen)
        exact = name.startswith("ragged")  # its reference is exact in float32
        for sizes, preset in ((None, "dpo"), ([1, len(b.chosen) - 1], "dpo_in_microbatches")):
            b = Batch(name)
            value, found = take("make_batch_dpo_loss_fn")(refs[0::2], refs[1::2], no_prefix, 0.1, sizes)(None, logprobs(b))
            add(f"fireworks {preset}", f"fireworks::{preset}", b, value, {"beta": 0.1},
                {k: found[k] for k in ("margin", "accuracy", "chosen_reward", "rejected_reward")} if not sizes and exact else {},
                tolerance=1e-10 if exact else 1e-6,
                note=f"{at} make_batch_dpo_loss_fn" + ("" if exact else "; the source keeps the reference in float32"))
        for l in (1.0, 0.25):
            b = Batch(name)
            value, found = take("make_batch_orpo_loss_fn")(no_prefix, l)(None, logprobs(b))
            add(f"fireworks orpo lambda {l}", "fireworks::orpo", b, value, {"orpo_lambda": l},
                {k: found[k] for k in ("sft_loss", "or_loss", "log_odds_ratio", "chosen_avg_lp", "rejected_avg_lp", "accuracy")},
                note=f"{at} make_batch_orpo_loss_fn")
        b = Batch(name)
        value, found = take("make_batch_sft_loss_fn")([0] * len(b.rows))(b.rows, logprobs(b))
        add("fireworks batch_sft", "fireworks::batch_sft", b, value, metrics={"nll": found["ce_loss"], "ppl": found["ppl"]}, note=f"{at} make_batch_sft_loss_fn")

    for name in ("fixed", "ragged"):
        for sizes, preset in ((None, "weighted_sft"), (True, "weighted_sft_in_microbatches")):
            b = Batch(name)
            sizes = sizes and [2, len(b.rows) - 2]
            data = [Namespace(loss_fn_inputs={"weights": Namespace(to_torch=lambda s=s: b.mask[s, : len(row)])}) for s, row in enumerate(b.rows)]
            for s, row in enumerate(b.rows):
                data[s].loss_fn_inputs["weights"].to_torch = lambda s=s, n=len(row): b.mask[s, :n]
            value, found = take("make_batch_weighted_sft_loss_fn")(sizes)(data, [b.logp[s, : len(row)] for s, row in enumerate(b.rows)])
            add(f"fireworks {preset}", f"fireworks::{preset}", b, value, metrics={"nll": found["ce_loss"], "ppl": found["ppl"]},
                note=f"{at} make_batch_weighted_sft_loss_fn")


def tinker(upstream):
    path = "tinker_cookbook/preference/train_dpo.py"
    dpo = upstream.take("tinker-cookbook", path, "compute_dpo_loss")
    for name in ("fixed", "ragged"):
        b = Batch(name)
        u, f = b.sums(), b.ref_sums()
        value, found = dpo(list(u[b.chosen]), list(u[b.rejected]), list(f[b.chosen]), list(f[b.rejected]), 0.1)
        add("tinker dpo", "tinker::dpo", b, value, {"dpo_beta": 0.1}, {k: found[k] for k in ("accuracy", "margin", "chosen_reward", "rejected_reward")},
            note=f"tinker-cookbook@{COMMITS['tinker-cookbook']} {path} compute_dpo_loss")


# ---- critics ------------------------------------------------------------------------------------------------------------------------

def critics(upstream):
    functional = "verl/utils/torch_functional.py"
    verl = {f: upstream.take("verl", functional, f) for f in ("masked_sum",)}
    verl["masked_mean"] = upstream.take("verl", functional, "masked_mean", dict(verl))
    verl["clip_by_value"] = upstream.take("verl", functional, "clip_by_value")
    path = "verl/trainer/ppo/core_algos.py"
    names = {"verl_F": Namespace(**verl)}
    names["agg_loss"] = upstream.take("verl", path, "agg_loss", names)
    value_loss = upstream.take("verl", path, "compute_value_loss", names)
    skyrl_mean = upstream.take("SkyRL", "skyrl/backends/skyrl_train/utils/torch_utils.py", "masked_mean")
    skyrl = upstream.take("SkyRL", "skyrl/backends/skyrl_train/utils/ppo_utils.py", "ppo_critic_loss", {"masked_mean": skyrl_mean})
    slime = upstream.take("slime", "slime/backends/megatron_utils/loss.py", "value_loss_function",
                          {"get_values": lambda *_, **k: (None, {"values": k["args"].found})})
    for name in ("fixed", "ragged"):
        for mode, preset in (("token-mean", "value"), ("seq-mean-token-sum", "value_seq_mean_token_sum")):
            for clip in (0.5, 0.2):
                b = Batch(name)
                b.variable = b.values
                value, found = value_loss(b.values, b.returns, b.old_values, b.mask, clip, mode)
                add(f"verl {mode} clip {clip}", f"verl::{preset}", b, value, {"cliprange_value": clip}, {"vf_clipfrac": found}, wrt="values",
                    tolerance=1e-6 if mode != "token-mean" else 1e-10,
                    note=f"verl@{COMMITS['verl']} {path} compute_value_loss" + ("; its sequence mask is float32" if mode != "token-mean" else ""))
        b = Batch(name)
        b.variable = b.values
        value, found = skyrl(b.values, b.old_values, b.returns, Namespace(value_clip=0.2), b.mask)
        add("skyrl value", "skyrl::value", b, value, {"value_clip": 0.2}, {"clipfrac": found}, wrt="values",
            note=f"SkyRL@{COMMITS['SkyRL']} skyrl/backends/skyrl_train/utils/ppo_utils.py ppo_critic_loss")
        b = Batch(name)
        b.variable = b.values
        flat = lambda x: [x[s, : len(row)] for s, row in enumerate(b.rows)]
        args = Namespace(value_clip=0.2, found=flat(b.values))
        inputs = {"values": flat(b.old_values), "returns": flat(b.returns), "unconcat_tokens": None, "total_lengths": None, "response_lengths": None}
        masks = flat(b.mask)

        def sum_of_sample_mean(x):
            parts = x.split([len(row) for row in b.rows])
            return sum((p * m).sum() / m.sum() for p, m in zip(parts, masks))

        value, _ = slime(args, inputs, None, sum_of_sample_mean)
        add("slime value", "slime::value", b, value, {"value_clip": 0.2}, wrt="values",
            note=f"slime@{COMMITS['slime']} slime/backends/megatron_utils/loss.py value_loss_function; its reduction transcribed: Σ of sample means")
        b = Batch(name)
        masks = [b.mask[s, : len(row)] for s, row in enumerate(b.rows)]
        add("slime sft", "slime::sft", b, -sum_of_sample_mean(torch.cat([b.logp[s, : len(row)] for s, row in enumerate(b.rows)])),
            note=f"slime@{COMMITS['slime']} sft_loss_function, one line, transcribed: −Σ of sample means")
        b = Batch(name)
        add("cross entropy", "tinker::cross_entropy", b, -(b.logp * b.mask).sum(), note="Σ −w·logprob, as the service documents it; SkyRL cross_entropy the same")


def main():
    upstream = Checkouts(sys.argv[1])
    for each in (trl, openrlhf, open_instruct, fireworks, tinker, critics):
        each(upstream)
    write(here / "preference_cases.json", "made by preference.py from the projects' own code", batches, cases)


if __name__ == "__main__":
    main()
