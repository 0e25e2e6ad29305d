#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden numbers of gradwire's losses, from PyTorch's float64 autograd.

    losses.py            writes sft_nll.json grpo.json gspo.json dpo.json topk_distillation.json beside this file
    losses.py --check    recomputes them and exits 1 if a number in a file differs by more than 1e-13 (relative)
Both also recompute vectors.json, whose numbers came from other people's code, with the formulas below.
Run it with the interpreter of `tests/python/venv torch`.

The formulas are written here a second time, on padded tensors and by selection, and share nothing with the library.
Notation: l = logprobs (the only differentiated column), o = old_logprobs, f = ref_logprobs, A = advantage, w = weights;
sums over tokens run over w != 0 only.

  sft_nll            - sum(w l) / sum(w) over the whole batch; option reduction "sum": - sum(w l)
  grpo               mean over sequences of mean over tokens (sum(w x) / sum(w)) of x = beta kl - gain,
                     r = exp(l - o), gain = min(r A, clamp(r, 1 - clip, 1 + clip) A), kl = exp(d) - d - 1, d = f - l.
                     Metrics kl and out_of_band_frac (|r - 1| > clip): means over all tokens of the batch.
                     beta = 0 leaves the kl out: then there is no column ref_logprobs.
  gspo               s = exp(mean over tokens of (l - o)); mean over sequences of - min(s A, clamp(s, 1 -+ clip) A).
                     Metric out_of_band_frac: mean over sequences of |s - 1| > clip.
                     Option form "token": s_t = detach(s) exp(l - detach(l)), mean over tokens, then mean over
                     sequences; the advantage may then be per token (token_advantage).
  dpo                z = beta ((sum w l_c - sum w f_c) - (sum w l_r - sum w f_r)), mean over pairs of
                     - (1 - e) log sigmoid(z) - e log sigmoid(-z), e = label_smoothing.
                     Metrics margin (mean of z) and accuracy (share of z > 0).
  topk_distillation  - sum_k p_k c_k, mean over all tokens; c = candidate_logprobs (differentiated), p = exp(teacher)
                     divided by its sum over the K candidates, teacher = candidate_teacher_logprobs.

A sequence whose weights are all 0 is not counted by "mean over sequences". If nothing in the batch has a weight, value
and slope are 0 and no metric exists. Values are more than 1e-6 away from every kink (clip edges, z = 0).

Format. A file is an object {"about": text, "cases": [case…]}; a case is
  name          unique in its file
  loss          one of the names above, or (vectors.json only) "formula"
  parameters    {name: number}, by the names above
  options       {name: text}; absent options are "": reduction, form
  group_sizes   [n…]: sequences of each group, in the order of the rows; sums to the number of sequences
  pairs         true: every group is (chosen, rejected)
  candidates    K, 0 if there is no column per candidate
  token         {column: [[number per target] per sequence]}, always with "weights"
  sequence      {column: [number per sequence]}
  candidate     {column: [[[number per candidate] per target] per sequence]}
  wrt           the differentiated column
  value         the loss
  slope         d value / d wrt, in the shape of that column (per target, or per target and candidate)
  metrics       {name: number}
  tolerance     relative to the larger of the two numbers, and absolute below 1
  note          where it comes from, what is peculiar
Columns have the library's names. null stands for NaN, "inf" and "-inf" for the infinities (only ever where the weight is 0).
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).resolve().parent


# ---- the formulas, on padded [S, T] tensors ------------------------------------------------------------------------

def number(x):
    return math.nan if x is None else float(x)


class padded:
    """Columns of a case as tensors; `keep` is w != 0. Unkept values are replaced before any arithmetic."""

    def __init__(self, case):
        weights = case["token"]["weights"]
        self.lengths = [len(row) for row in weights]
        self.rows, self.width = len(weights), max(self.lengths)
        self.weights = self.pad(weights)
        self.keep = self.weights != 0
        self.column = {}
        for name, values in case["token"].items():
            self.column[name] = torch.where(self.keep, self.pad(values), 0.0)
        for name, values in case["sequence"].items():
            self.column[name] = torch.tensor(values)[:, None]
        for name, values in case["candidate"].items():
            full = torch.zeros(self.rows, self.width, case["candidates"])
            for s, row in enumerate(values):
                full[s, :len(row)] = torch.tensor([[number(x) for x in token] for token in row])
            self.column[name] = torch.where(self.keep[:, :, None], full, 0.0)
        self.variable = self.column[case["wrt"]].clone().requires_grad_()
        self.column[case["wrt"]] = self.variable
        self.group_begin = np.cumsum([0] + case["group_sizes"])

    def pad(self, rows):
        full = torch.zeros(self.rows, self.width)
        for s, row in enumerate(rows):
            full[s, :len(row)] = torch.tensor([number(x) for x in row])
        return full

    def __getitem__(self, name):
        return self.column[name]

    def total(self, x):                      # sum over all tokens of w x
        return torch.where(self.keep, self.weights * x, 0.0).sum()

    def all_tokens(self, x):                 # sum(w x) / sum(w) over the batch
        return self.total(x) / self.total(torch.ones_like(self.weights))

    def token_sum(self, x):                  # [S]
        return torch.where(self.keep, self.weights * x, 0.0).sum(1)

    def tokens(self, x):                     # [S], counted sequences only
        counted = self.keep.any(1)
        return self.token_sum(x)[counted] / self.token_sum(torch.ones_like(self.weights))[counted]

    def counted(self, per_sequence):         # [S, 1] -> [counted]
        return per_sequence[self.keep.any(1), 0]


def sft_nll(b, parameters, options):
    nll = -b["logprobs"]
    return (b.total(nll) if options.get("reduction") == "sum" else b.all_tokens(nll)), {}


def grpo(b, parameters, options):
    clip, beta = parameters["clip"], parameters["beta"]
    ratio = torch.exp(b["logprobs"] - b["old_logprobs"])
    gain = torch.minimum(ratio * b["advantage"], ratio.clamp(1 - clip, 1 + clip) * b["advantage"])
    metrics = {"out_of_band_frac": b.all_tokens(((ratio - 1).abs() > clip).double())}
    loss = -gain
    if "ref_logprobs" in b.column:
        d = b["ref_logprobs"] - b["logprobs"]
        kl = torch.expm1(d) - d
        metrics["kl"] = b.all_tokens(kl)
        loss = beta * kl - gain
    reduce = {"": lambda x: b.tokens(x).mean(), "mean_over_all_tokens": b.all_tokens,
              "mean_over_sequences(sum_over_tokens)": lambda x: b.token_sum(x)[b.keep.any(1)].mean()}
    return reduce[options.get("reduction", "")](loss), metrics


def gspo(b, parameters, options):
    clip = parameters["clip"]
    s = torch.exp(b.tokens(b["logprobs"] - b["old_logprobs"]))
    out_of_band_frac = ((s - 1).abs() > clip).double().mean()
    if options.get("form") != "token":
        advantage = b.counted(b["advantage"])
        return -torch.minimum(s * advantage, s.clamp(1 - clip, 1 + clip) * advantage).mean(), {"out_of_band_frac": out_of_band_frac}
    everywhere = torch.ones(b.rows)
    everywhere[b.keep.any(1)] = s.detach()
    token = everywhere[:, None] * torch.exp(b["logprobs"] - b["logprobs"].detach())
    advantage = b["token_advantage"] if "token_advantage" in b.column else b["advantage"]
    gain = torch.minimum(token * advantage, token.clamp(1 - clip, 1 + clip) * advantage)
    return b.tokens(-gain).mean(), {"out_of_band_frac": out_of_band_frac}


def dpo(b, parameters, options):
    beta, e = parameters["beta"], parameters.get("label_smoothing", 0.0)
    gain = b.token_sum(b["logprobs"]) - b.token_sum(b["ref_logprobs"])
    z = beta * (gain[0::2] - gain[1::2])
    log_sigmoid = torch.nn.functional.logsigmoid
    loss = (-(1 - e) * log_sigmoid(z) - e * log_sigmoid(-z)).mean()
    return loss, {"margin": z.mean(), "accuracy": (z > 0).double().mean()}


def topk_distillation(b, parameters, options):
    p = torch.softmax(b["candidate_teacher_logprobs"], -1)     # exp(t) / sum exp(t)
    return b.all_tokens(-(p * b["candidate_logprobs"]).sum(-1)), {}


def formula(b, parameters, options):
    d = b["logprobs"] - b["ref_logprobs"]
    x = {"k1": d, "k2": d * d / 2, "k3": torch.exp(-d) + d - 1}[options["expression"]]
    return b.total(x), {}


losses = {f.__name__: f for f in (sft_nll, grpo, gspo, dpo, topk_distillation, formula)}


def evaluate(case):
    """value, slope in the shape of the case's own column, metrics"""
    b = padded(case)
    if not b.keep.any():
        value, metrics, gradient = 0.0, {}, torch.zeros_like(b.variable)
    else:
        scale = case["parameters"].get("scale", 1.0)
        loss, metrics = losses[case["loss"]](b, case["parameters"], case["options"])
        loss = scale * loss
        loss.backward()
        value, gradient = loss.item(), b.variable.grad
        metrics = {name: x.item() for name, x in sorted(metrics.items())}
    assert not gradient[~b.keep].any()
    slope = [gradient[s, :n].tolist() for s, n in enumerate(b.lengths)]
    return value, plain(slope), metrics


def plain(x):                                # -0.0 -> 0.0, so that the files do not depend on a sign of nothing
    return [plain(y) for y in x] if isinstance(x, list) else x + 0.0


# ---- the data ------------------------------------------------------------------------------------------------------

class source:
    """Random columns, rounded to few decimals so that a file is exact and readable."""

    def __init__(self, seed, lengths, group_sizes, weights="response", masked=(), decimals=4):
        self.rng, self.lengths, self.group_sizes, self.decimals = np.random.default_rng(seed), lengths, group_sizes, decimals
        assert sum(group_sizes) == len(lengths)
        self.weights = [self.row_of_weights(weights, n) for n in lengths]
        for s in masked:
            self.weights[s] = [0.0] * lengths[s]

    def row_of_weights(self, kind, n):
        if kind == "ones":
            return [1.0] * n
        prompt = int(self.rng.integers(0, max(1, n // 2) + 1)) if n > 1 else 0
        row = [0.0] * prompt + [1.0] * (n - prompt)
        if kind == "holes":                   # several turns: zeros inside
            row = [x if self.rng.random() > 0.35 else 0.0 for x in row]
            row[-1] = 1.0
        if kind == "fractional":
            row = [round(x * float(self.rng.uniform(0.05, 2.0)), 3) for x in row]
        if kind == "signed":                  # the sum stays positive
            row = [x * (1.5 if self.rng.random() > 0.3 else -0.5) for x in row]
            row[-1] = 2.0 + abs(sum(row))
        return row

    def uniform(self, low, high):
        return round(float(self.rng.uniform(low, high)), self.decimals)

    def logprobs(self, low=-4.0, high=-0.02):
        return [[self.uniform(low, high) for _ in range(n)] for n in self.lengths]

    def near(self, rows, spread):             # another policy's logprobs of the same tokens
        return [[min(-1e-4, round(x + float(self.rng.normal(0, spread)), self.decimals)) for x in row] for row in rows]

    def advantages(self):
        return [self.uniform(-1.5, 1.5) for _ in self.lengths]

    def candidates(self, k):                  # k of a vocabulary's logprobs: their exponentials sum to less than 1
        def token():
            p = self.rng.dirichlet(np.ones(k + 1))[:k]
            return [round(float(x), self.decimals) for x in np.log(np.maximum(p, 1e-6))]
        return [[token() for _ in range(n)] for n in self.lengths]

    def case(self, name, loss, parameters, token, sequence=None, candidate=None, candidates=0, options=None, pairs=False,
             wrt="logprobs", note=""):
        return {"name": name, "loss": loss, "parameters": parameters, "options": options or {},
                "group_sizes": self.group_sizes, "pairs": pairs, "candidates": candidates,
                "token": {"weights": self.weights, **token}, "sequence": sequence or {}, "candidate": candidate or {},
                "wrt": wrt, "tolerance": 1e-12, "note": note}


small = ([5, 3, 4, 6], [2, 2])
ragged = ([1, 2, 15, 16, 17, 31, 32, 33, 7, 48], [4, 1, 5])       # around the borders of lane blocks
pairs = ([5, 3, 4, 6, 16, 33], [2, 2, 2])


def shapes(base=small, with_fractional=True):
    """name, source: the batches that every loss is asked about"""
    yield "small", source(1, *base)
    yield "no prompt", source(2, *base, weights="ones")
    yield "ragged", source(3, *ragged)
    yield "ragged, other seed", source(4, *ragged)
    yield "several turns", source(5, *ragged, weights="holes")
    yield "one sequence all masked", source(6, *base, masked=[1])
    yield "first and last sequence all masked", source(7, *ragged, masked=[0, 9])
    if with_fractional:
        yield "fractional weights", source(8, *base, weights="fractional")
        yield "fractional weights, ragged", source(9, *ragged, weights="fractional", masked=[3])
    yield "one token", source(10, [1], [1])
    yield "nothing counts", source(11, *base, masked=range(4))


def spoil(case):
    """NaN and infinity at masked tokens of every column per token: must change nothing."""
    bad = [None, math.inf, -math.inf]
    count = 0
    for name, rows in case["token"].items():
        for s, row in enumerate(rows):
            for t, w in enumerate(case["token"]["weights"][s]):
                if name != "weights" and w == 0:
                    row[t] = bad[count % 3]
                    count += 1
    assert count
    return case


def sft_cases():
    for name, s in shapes():
        yield s.case(name, "sft_nll", {}, {"logprobs": s.logprobs()})
    for name, s in shapes():
        yield s.case(name + ", sum", "sft_nll", {}, {"logprobs": s.logprobs()}, options={"reduction": "sum"})
    s = source(20, *ragged, weights="signed")
    yield s.case("weights of both signs", "sft_nll", {}, {"logprobs": s.logprobs()})
    s = source(21, *small)
    yield spoil(s.case("not finite where masked", "sft_nll", {}, {"logprobs": s.logprobs()}))


def policy(s, spread, reference=True, advantage="advantage"):
    token = {"logprobs": s.logprobs()}
    token["old_logprobs"] = s.near(token["logprobs"], spread)
    if reference:
        token["ref_logprobs"] = s.near(token["logprobs"], 0.5)
    if advantage == "token_advantage":
        token["token_advantage"] = [[s.uniform(-1.5, 1.5) for _ in range(n)] for n in s.lengths]
        return token, {}
    return token, {"advantage": s.advantages()}


def grpo_cases():
    for name, s in shapes():
        token, sequence = policy(s, 0.3)
        yield s.case(name, "grpo", {"clip": 0.2, "beta": 0.04}, token, sequence)
    for seed, clip, beta, spread in ((30, 0.2, 0.0, 0.3), (31, 0.1, 1.0, 0.2), (32, 0.3, 0.04, 1.5), (33, 0.01, 0.01, 0.02)):
        s = source(seed, *ragged, decimals=6 if spread < 0.1 else 4)
        token, sequence = policy(s, spread, reference=beta != 0)
        yield s.case(f"clip {clip}, beta {beta}, spread {spread}", "grpo", {"clip": clip, "beta": beta}, token, sequence)
    s = source(34, *small)
    token, sequence = policy(s, 0.3)
    token["old_logprobs"] = [list(row) for row in token["logprobs"]]
    token["ref_logprobs"] = [list(row) for row in token["logprobs"]]
    yield s.case("on policy", "grpo", {"clip": 0.2, "beta": 0.04}, token, sequence, note="ratio 1 and d = 0 everywhere")
    s = source(35, *small)
    token, sequence = policy(s, 0.3)
    sequence["advantage"] = [0.0, 0.0, 1.0, -1.0]
    yield s.case("a group without advantage", "grpo", {"clip": 0.2, "beta": 0.04}, token, sequence)
    s = source(36, *small)
    token, sequence = policy(s, 0.3)
    yield spoil(s.case("not finite where masked", "grpo", {"clip": 0.2, "beta": 0.04}, token, sequence))


def gspo_cases():
    for name, s in shapes():
        token, sequence = policy(s, 0.6, reference=False)
        yield s.case(name, "gspo", {"clip": 0.2}, token, sequence)
    for name, s in shapes():
        token, sequence = policy(s, 0.6, reference=False)
        yield s.case(name + ", token form", "gspo", {"clip": 0.2}, token, sequence, options={"form": "token"})
    s = source(40, *ragged, weights="fractional")
    token, sequence = policy(s, 0.6, reference=False, advantage="token_advantage")
    yield s.case("token form, advantage per token", "gspo", {"clip": 0.2}, token, sequence, options={"form": "token"})
    s = source(41, *ragged, decimals=6)
    token, sequence = policy(s, 0.002, reference=False)
    yield s.case("the paper's clip 3e-4", "gspo", {"clip": 3e-4}, token, sequence)
    s = source(42, *small)
    token, sequence = policy(s, 0.6, reference=False)
    yield spoil(s.case("not finite where masked", "gspo", {"clip": 0.2}, token, sequence))


def dpo_cases():
    for seed, weights, beta, e, spread in ((50, "response", 0.1, 0.0, 0.5), (51, "ones", 0.1, 0.0, 0.5), (52, "holes", 0.1, 0.1, 0.5),
                                           (53, "fractional", 0.5, 0.0, 0.5), (54, "response", 5.0, 0.0, 2.0),
                                           (55, "response", 0.1, 0.3, 4.0), (56, "signed", 0.1, 0.0, 0.5)):
        s = source(seed, *pairs, weights=weights)
        token = {"logprobs": s.logprobs()}
        token["ref_logprobs"] = s.near(token["logprobs"], spread)
        yield s.case(f"weights {weights}, beta {beta}, smoothing {e}, spread {spread}", "dpo", {"beta": beta, "label_smoothing": e}, token,
                     pairs=True)
    s = source(57, [4, 4], [2])
    token = {"logprobs": s.logprobs()}
    token["ref_logprobs"] = s.near(token["logprobs"], 0.5)
    yield s.case("one pair", "dpo", {"beta": 0.1, "label_smoothing": 0.0}, token, pairs=True)
    s = source(58, *pairs)
    token = {"logprobs": s.logprobs()}
    token["ref_logprobs"] = s.near(token["logprobs"], 0.5)
    yield spoil(s.case("not finite where masked", "dpo", {"beta": 0.1, "label_smoothing": 0.0}, token, pairs=True))


def topk_cases():
    for name, s in shapes():
        candidate = {"candidate_logprobs": s.candidates(4), "candidate_teacher_logprobs": s.candidates(4)}
        yield s.case(name, "topk_distillation", {}, {}, candidate=candidate, candidates=4, wrt="candidate_logprobs")
    s = source(60, *small)
    candidate = {"candidate_logprobs": s.candidates(1), "candidate_teacher_logprobs": s.candidates(1)}
    yield s.case("one candidate", "topk_distillation", {}, {}, candidate=candidate, candidates=1, wrt="candidate_logprobs",
                 note="K = 1 is sft_nll on that candidate")
    s = source(61, *ragged)
    candidate = {"candidate_logprobs": s.candidates(20), "candidate_teacher_logprobs": s.candidates(20)}
    s.lengths, s.weights = s.lengths[:4], s.weights[:4]
    s.group_sizes = [4]
    candidate = {name: rows[:4] for name, rows in candidate.items()}
    yield s.case("twenty candidates", "topk_distillation", {}, {}, candidate=candidate, candidates=20, wrt="candidate_logprobs")


def away_from_kinks(case):
    b = padded(case)
    clip = case["parameters"].get("clip")
    with torch.no_grad():
        if case["loss"] == "grpo" and b.keep.any():
            x = torch.exp(b["logprobs"] - b["old_logprobs"])[b.keep]
        elif case["loss"] == "gspo" and b.keep.any():
            x = torch.exp(b.tokens(b["logprobs"] - b["old_logprobs"]))
        else:
            return
        for edge in (1 - clip, 1 + clip):
            assert (x - edge).abs().min() > 1e-6, (case["name"], "is at a kink")


# ---- files ---------------------------------------------------------------------------------------------------------

def text_of(x):
    if x is None:
        return "null"
    if isinstance(x, float) and math.isinf(x):
        return '"inf"' if x > 0 else '"-inf"'
    if isinstance(x, list):
        return "[" + ", ".join(map(text_of, x)) + "]"
    return json.dumps(x, ensure_ascii=False)


def write(path, about, cases):
    out = ['{\n"about": ' + json.dumps(about) + ',\n"cases": [']
    for i, case in enumerate(cases):
        out.append("," if i else "")
        out.append("\n{")
        for j, (key, value) in enumerate(case.items()):
            out.append(",\n " if j else "")
            if isinstance(value, dict) and key in ("token", "sequence", "candidate"):
                rows = [json.dumps(name) + ": " + text_of(v) for name, v in value.items()]
                out.append(json.dumps(key) + ": {" + ",\n  ".join(rows) + "}")
            else:
                out.append(json.dumps(key) + ": " + (text_of(value) if not isinstance(value, dict) else json.dumps(value)))
        out.append("}")
    path.write_text("".join(out) + "\n]}\n")


def differ(a, b, tolerance):
    if isinstance(a, list):
        return len(a) != len(b) or any(differ(x, y, tolerance) for x, y in zip(a, b))
    return abs(a - b) > tolerance * max(1.0, abs(a), abs(b))


def wrong(case, tolerance):
    """what in a case of a file differs from what the formulas above give"""
    value, slope, metrics = evaluate(case)
    if differ(case["value"], value, tolerance):
        return f"value {case['value']!r} here {value!r}"
    if differ(case["slope"], slope, tolerance):
        return "slope"
    for name, x in case["metrics"].items():
        if name not in metrics or differ(x, metrics[name], tolerance):
            return f"metric {name} {x!r} here {metrics.get(name)!r}"
    return None


def main():
    check = sys.argv[1:] == ["--check"]
    failures = total = 0
    makers = {"sft_nll": sft_cases, "grpo": grpo_cases, "gspo": gspo_cases, "dpo": dpo_cases, "topk_distillation": topk_cases}
    for loss, make in makers.items():
        cases = []
        for case in make():
            away_from_kinks(case)
            case["value"], case["slope"], case["metrics"] = evaluate(case)
            case["tolerance"], case["note"] = case.pop("tolerance"), case.pop("note")
            cases.append(case)
        assert len({case["name"] for case in cases}) == len(cases)
        path = here / f"{loss}.json"
        if not check:
            write(path, "PyTorch float64 autograd; made by losses.py, which describes the format", cases)
        found = json.loads(path.read_text())["cases"]
        if [c["name"] for c in found] != [c["name"] for c in cases]:
            print(f"{path.name}: not the cases that losses.py makes")
            failures += 1
        for case in found:
            total += 1
            if what := wrong(case, 1e-13):
                print(f"{path.name}: {case['name']}: {what}")
                failures += 1
    for case in json.loads((here / "vectors.json").read_text())["cases"]:
        total += 1
        if what := wrong(case, case["tolerance"]):
            print(f"vectors.json: {case['name']}: {what}")
            failures += 1
    print(f"golden: {total - failures} passed, {failures} failed")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
