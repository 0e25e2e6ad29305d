# SPDX-License-Identifier: Apache-2.0
"""Batches, cases and files of the policy losses' golden numbers; the scripts policy_*.py beside this file use it.

Each script takes a checkout of the project that it is named after and runs that project's own functions, lifted out of their
files by name (functions_of below), so that neither the project nor its dependencies need to be installed. PyTorch, float64.

A file is {"about": text, "batches": {name: {column: rows}}, "cases": [case…]}. Columns: logprobs, old_logprobs,
sampler_logprobs, ref_logprobs, weights, token_advantage: a row per sequence, rows of equal length (padding has weight 0);
advantage: a number per sequence. A case is {"name", "batch", "config": what the source was given, "loss", "gradient":
d loss / d logprobs, "metrics": {our name: number}, "tolerance": of max(|number|, largest |gradient|), "note"}.
"""
import ast
import json
import __future__
import math
import pathlib
import random

import torch

torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).resolve().parent

COLUMNS = ["logprobs", "old_logprobs", "sampler_logprobs", "ref_logprobs", "weights"]


def functions_of(file, names, space):
    """Compiles the named functions, classes and methods of a Python file into the namespace `space`, nothing else of it."""
    found = {}
    for node in ast.walk(ast.parse(pathlib.Path(file).read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names and node.name not in found:
            node.decorator_list = [d for d in node.decorator_list
                                   if isinstance(d, ast.Name) and d.id == "dataclass"
                                   or isinstance(d, ast.Call) and getattr(d.func, "id", "") == "dataclass"]
            found[node.name] = node
    missing = set(names) - set(found)
    if missing:
        raise SystemExit(f"{file}: no {', '.join(sorted(missing))}")
    module = ast.Module([found[name] for name in names], [])
    exec(compile(module, str(file), "exec", __future__.annotations.compiler_flag), space)
    return space


def published():
    """The batch on which other people's numbers exist: 4 sequences of 5 tokens."""
    vectors = {
        "logprobs": [[-0.05, -1.3, -0.7, -1.95, -0.6], [-0.7, -1.9, -2.98, -0.45, -1.65],
                     [-0.1, -2.85, -0.88, -0.62, -0.2], [-1.95, -0.02, -0.4, -3, -1.18]],
        "old_logprobs": [[-0.5, -1.2, -0.3, -2, -0.9], [-2, -1.4, -3, -0.7, -1.5], [-0.2, -2.5, -1.1, -0.6, -0.8],
                         [-1.7, -0.05, -1.6, -2.2, -1.3]],
        "sampler_logprobs": [[-0.49, -1.4, -0.27, -2.9, -0.92], [-1.95, -0.6, -2.999, -0.6, -1.5],
                             [-0.24, -2.2, -1.08, -1.35, -0.74], [-1.6, -0.08, -3.3, -2.13, -1.35]],
        "ref_logprobs": [[-0.8, -1, -0.2, -1.6, -0.95], [-1.4, -1.6, -2.85, -0.65, -1.4],
                         [-0.18, -2.4, -1.5, -0.3, -0.55], [-2.2, -0.04, -1.25, -2.3, -1.1]],
        "weights": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 0]],
        "advantage": [1, -1, .5, -.7],
    }
    return finished(vectors)


def drawn(seed, lengths, spread=0.5, masked=(), holes=0.2, wide=0):
    """A random batch, numbers of three decimals. masked: sequences without any weight; holes: share of masked tokens inside;
    wide: how many unmasked tokens get log ratios of ±12 … ±60, outside every clamp and threshold."""
    dice = random.Random(seed)
    width = max(lengths)
    batch = {name: [] for name in COLUMNS}
    batch["advantage"] = []
    for s, length in enumerate(lengths):
        now = [-round(dice.uniform(0.01, 4), 3) for _ in range(width)]
        near = lambda: [min(-0.001, round(x + dice.gauss(0, spread), 3)) for x in now]
        keep = [1 if t < length and s not in masked and (t == 0 or dice.random() > holes) else 0 for t in range(width)]
        old, sampler, ref = near(), near(), near()
        batch["logprobs"].append(now)
        batch["old_logprobs"].append(old)
        batch["sampler_logprobs"].append(sampler)
        batch["ref_logprobs"].append(ref)
        batch["weights"].append(keep)
        batch["advantage"].append(round(dice.choice([-1, 1]) * dice.uniform(0.1, 2), 3))
    places = [(s, t) for s in range(len(lengths)) for t in range(width) if batch["weights"][s][t]]
    for s, t in dice.sample(places, wide):
        batch["logprobs"][s][t] = -round(dice.uniform(0.05, 1), 3)
        for name in ("old_logprobs", "sampler_logprobs", "ref_logprobs"):
            if dice.random() < 0.7:
                batch[name][s][t] = round(batch["logprobs"][s][t] - dice.uniform(12, 60), 3)
        if dice.random() < 0.5:
            batch["logprobs"][s][t] = round(batch["logprobs"][s][t] - dice.uniform(12, 60), 3)
    return finished(batch)


def finished(batch):
    batch = {name: [[float(x) for x in row] for row in rows] if name != "advantage" else [float(x) for x in rows]
             for name, rows in batch.items()}
    batch["token_advantage"] = [[a * w for w in row] for a, row in zip(batch["advantage"], batch["weights"])]
    return batch


def batches():
    result = {
        "published": published(),
        "holes": drawn(11, [7, 4, 1, 6, 5], holes=0.3),
        "one masked": drawn(12, [4, 6, 3], masked=(1,), spread=0.3),
        "wide": drawn(13, [6, 6, 5, 4], spread=1.0, wide=6),
    }
    result["turns"] = dict(result["holes"])  # an advantage of its own at each unmasked token
    dice = random.Random(14)
    result["turns"]["token_advantage"] = [[w * round(dice.gauss(0, 1), 3) for w in row]
                                          for row in result["holes"]["weights"]]
    result["fractions"] = dict(result["holes"])  # weights on both sides of a half, one sequence with none above it
    dice = random.Random(16)
    result["fractions"]["weights"] = [[w * dice.choice([0.3, 0.5, 0.6, 0.9, 1, 1.7]) for w in row]
                                      for row in result["holes"]["weights"]]
    result["fractions"]["weights"][2][0] = 0.4
    result["prompts"] = drawn(15, [7, 6, 7, 5], holes=0.3)  # two positions of prompt, then an unmasked token
    result["prompts"]["weights"] = [[0.0, 0.0, 1.0] + row[3:] for row in result["prompts"]["weights"]]
    return result


class tensors:
    """The columns of a batch as float64 tensors; logprobs carries the gradient."""

    def __init__(self, batch):
        for name, values in batch.items():
            setattr(self, name, torch.tensor(values))
        self.logprobs.requires_grad_(True)


class golden_file:
    def __init__(self, about):
        self.about, self.batches, self.cases = about, batches(), []

    def case(self, name, batch, compute, config=None, tolerance=1e-10, note="", forbidden=()):
        """compute(tensors) -> loss or (loss, {metric: number}); the loss is differentiated in logprobs."""
        t = tensors(self.batches[batch])
        result = compute(t)
        loss, metrics = result if isinstance(result, tuple) else (result, {})
        loss.backward()
        gradient = (t.logprobs.grad + 0.0).tolist()
        numbers = [loss.item(), *metrics.values(), *(x for row in gradient for x in row)]
        if not all(math.isfinite(x) for x in numbers):
            raise SystemExit(f"{name} on {batch}: not finite")
        self.cases.append({"name": f"{name} | {batch}", "batch": batch, "config": config or {}, "loss": loss.item(),
                           "gradient": gradient, "metrics": metrics, "tolerance": tolerance, "note": note})

    def everywhere(self, name, compute, names=("published", "holes", "one masked", "wide"), **options):
        for batch in names:
            self.case(name, batch, compute, **options)

    def write(self, name):
        used = {case["batch"] for case in self.cases}
        line = lambda value: json.dumps(value, ensure_ascii=False)
        with open(here / name, "w") as out:
            out.write('{\n"about": ' + line(self.about) + ',\n"batches": {\n')
            out.write(",\n".join(f' {line(b)}: {{\n' + ",\n".join(f'  {line(c)}: {line(v)}' for c, v in columns.items()) + '}'
                                 for b, columns in self.batches.items() if b in used))
            out.write('\n},\n"cases": [\n' + ",\n".join(line(case) for case in self.cases) + "\n]\n}\n")
        print(f"{name}: {len(self.cases)} cases, {(here / name).stat().st_size} bytes")
