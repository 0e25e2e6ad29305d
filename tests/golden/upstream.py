# SPDX-License-Identifier: Apache-2.0
"""Runs other projects' own functions, so that golden numbers are theirs and not ours. Nothing of their code is kept here: a function
or class is read out of a clone at a pinned commit, compiled alone, and called with the few names that it needs.

    checkouts = Checkouts(folder)                 clones (or bare repositories) named as in COMMITS, in one folder
    f = checkouts.take("verl", "verl/trainer/ppo/core_algos.py", "compute_value_loss", names)
    g = checkouts.take("trl", "trl/trainer/dpo_trainer.py", "DPOTrainer._compute_loss", names, until="per_token_entropy", then="return loss")

    h = checkouts.block("trl", "trl/trainer/rloo_trainer.py", "if self.beta != 0.0", "advantages = torch.nan_to_num")

`until` cuts a method before the first statement of its body that begins with that text (what follows is logging), and `then` is put in
its place. Decorators go; annotations are not evaluated.

The files that are written (format in golden_file.hpp): batches by name, and cases that name one. text() writes numbers so that they are
read back to the same double.
"""
import __future__

import ast
import json
import math
import pathlib
import subprocess

import torch

COMMITS = {
    "trl": "f2cd57710",
    "verl": "b178a3cd5",
    "SkyRL": "a9564572e",
    "OpenRLHF": "3c3be623",
    "open-instruct": "e6c3044aa",
    "cookbook": "76821fa1",
    "tinker-cookbook": "9dfcc3a2",
    "prime-rl": "559b44772",
    "slime": "624b824a8",
}


class Checkouts:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def read(self, project, path, commit=None):
        where = self.folder / project
        command = ["git", "-c", "safe.directory=*", "-C", str(where), "show", f"{commit or COMMITS[project]}:{path}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def take(self, project, path, name, names=None, until=None, then=None, commit=None):
        source = self.read(project, path, commit)
        scope = ast.parse(source).body
        *outer, last = name.split(".")
        for each in outer:
            scope = next(n for n in scope if isinstance(n, ast.ClassDef) and n.name == each).body
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = next(n for n in scope if isinstance(n, kinds) and n.name == last)
        found.decorator_list = []
        if until:
            at = next(i for i, n in enumerate(found.body) if ast.get_source_segment(source, n).startswith(until))
            found.body = found.body[:at] + ast.parse(f"def f():\n {then or 'pass'}").body[0].body
        module = ast.fix_missing_locations(ast.Module([found], []))
        space = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "math": math, **(names or {})}
        exec(compile(module, f"{project}/{path}", "exec", flags=__future__.annotations.compiler_flag), space)
        return space[last]


    def block(self, project, path, first, last, commit=None):
        """The statements from the one that begins with `first` to the one that begins with `last`, side by side anywhere in a file, as
        a function of the names that they read; it returns all names."""
        source = self.read(project, path, commit)
        text_of = lambda n: ast.get_source_segment(source, n) or ""
        for parent in ast.walk(ast.parse(source)):
            for body in (getattr(parent, "body", None), getattr(parent, "orelse", None)):
                starts = [text_of(n).startswith(first) for n in body] if isinstance(body, list) else []
                if True in starts:
                    begin = starts.index(True)
                    end = next(i for i in range(begin, len(body)) if text_of(body[i]).startswith(last))
                    code = compile(ast.Module(body[begin : end + 1], []), f"{project}/{path}", "exec")

                    def run(**names):
                        space = {"torch": torch, "F": torch.nn.functional, "math": math, **names}
                        exec(code, space)
                        return space

                    return run
        raise LookupError(f"{project}/{path}: no statement begins with {first!r}")


class Namespace:
    """Attributes by keyword: what a method asks of self, args or a configuration."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def get(self, name, otherwise=None):
        return getattr(self, name, otherwise)


# ---- batches -----------------------------------------------------------------------------------------------------------------------

def padded(rows, width=None):
    width = width or max(map(len, rows))
    full = torch.zeros(len(rows), width)
    for s, row in enumerate(rows):
        full[s, : len(row)] = torch.tensor(row)
    return full


def ragged(tensor, rows):
    return [tensor[s, : len(row)].tolist() for s, row in enumerate(rows)]


# ---- files -------------------------------------------------------------------------------------------------------------------------

def text(x):
    if isinstance(x, torch.Tensor):
        x = x.tolist()
    if isinstance(x, (list, tuple)):
        return "[" + ", ".join(map(text, x)) + "]"
    if isinstance(x, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {text(v)}" for k, v in x.items()) + "}"
    if isinstance(x, float):
        assert math.isfinite(x), "a golden number is finite"
        return repr(x)
    return json.dumps(x, ensure_ascii=False)


def write(path, about, batches, cases):
    assert len({case["name"] for case in cases}) == len(cases)
    lines = ['{\n"about": ' + json.dumps(about, ensure_ascii=False) + ',\n"batches": {']
    lines.append(",\n".join(f" {json.dumps(name)}: {{\n  " + ",\n  ".join(f"{json.dumps(k)}: {text(v)}" for k, v in batch.items()) + "}"
                            for name, batch in batches.items()))
    lines.append('},\n"cases": [\n' + ",\n".join(" " + text(case) for case in cases) + "\n]}")
    pathlib.Path(path).write_text("\n".join(lines) + "\n")
    print(f"{path}: {len(cases)} cases")
