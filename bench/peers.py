#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same losses in PyTorch and JAX, asked by bench/run line by line (see kernels.cpp for the protocol):

    peers.py PEER THREADS      PEER: eager, compile (torch.compile), jax (jax.jit)

    load FOLDER N              data that kernels wrote              -> {}
    time LOSS TYPE MS          loss and gradient per token          -> {"ns": median, "least": …, "loss": …}

The layout is the best case for the peers: tokens one after another without padding, segment ids, and for GRPO the weight
of every token, mask / (count · sequences), made beforehand.
"""
import json
import os
import sys
import time

peer, threads = sys.argv[1], int(sys.argv[2])
if peer == "jax":  # JAX takes its thread count from the cores it may use
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_ENABLE_X64"] = "1"
else:
    os.environ["OMP_NUM_THREADS"] = str(threads)

import numpy as np  # noqa: E402

CLIP, BETA, GSPO_CLIP, DPO_BETA = 0.2, 0.04, 0.003, 0.1


def load(folder, n):
    read = lambda name: np.fromfile(f"{folder}/{n}.{name}")
    data = {name: read(name) for name in ("logprobs", "old", "reference", "mask", "advantage")}
    length = read("length").astype(np.int64)
    data["segment"] = np.repeat(np.arange(len(length)), length)
    data["count"] = np.add.reduceat(data["mask"], np.concatenate(([0], np.cumsum(length)[:-1])))
    data["token_weight"] = data["mask"] / (data["count"] * len(length))[data["segment"]]
    data["token_advantage"] = data["advantage"][data["segment"]]
    return data


def formulas(exp, minimum, clip, log_sigmoid, segment_sum):
    """Each loss as a function of the logprobs and the other columns."""

    def grpo(x, old, reference, weight, advantage):
        ratio, d = exp(x - old), reference - x
        gain = minimum(ratio * advantage, clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)
        return (weight * (BETA * (exp(d) - d - 1) - gain)).sum()

    def sft(x, mask, total):
        return -(mask * x).sum() / total

    def gspo(x, old, mask, segment, count, advantage):
        ratio = exp(segment_sum(mask * (x - old), segment, count) / count)
        return -minimum(ratio * advantage, clip(ratio, 1 - GSPO_CLIP, 1 + GSPO_CLIP) * advantage).mean()

    def dpo(x, reference, mask, segment, count):
        u = segment_sum(mask * (x - reference), segment, count)
        return -log_sigmoid(DPO_BETA * (u[0::2] - u[1::2])).mean()

    return {"grpo": (grpo, ("old", "reference", "token_weight", "token_advantage")),
            "sft": (sft, ("mask", "total")),
            "gspo": (gspo, ("old", "mask", "segment", "count", "advantage")),
            "dpo": (dpo, ("reference", "mask", "segment", "count"))}


def columns_of(data, names, kind):
    out = []
    for name in names:
        if name == "total":
            out.append(float(data["mask"].sum()))
        elif name == "segment":
            out.append(data[name])
        else:
            out.append(data[name].astype(kind))
    return out


if peer == "jax":
    import jax
    import jax.numpy as jnp

    table = formulas(jnp.exp, jnp.minimum, jnp.clip, jax.nn.log_sigmoid,
                     lambda x, segment, count: jax.ops.segment_sum(x, segment, count.shape[0], indices_are_sorted=True))

    def prepare(loss, kind, data):
        function, names = table[loss]
        x = jnp.asarray(data["logprobs"].astype(kind))
        rest = [jnp.asarray(c) if isinstance(c, np.ndarray) else c for c in columns_of(data, names, kind)]
        step = jax.jit(jax.value_and_grad(function))

        def call():
            value, gradient = step(x, *rest)
            gradient.block_until_ready()
            return value

        return call
else:
    import torch

    torch.set_num_threads(threads)
    torch._dynamo.config.recompile_limit = 1000  # every size and type is compiled, none falls back to eager
    table = formulas(torch.exp, torch.minimum, torch.clamp, torch.nn.functional.logsigmoid,
                     lambda x, segment, count: torch.zeros_like(count).index_add(0, segment, x))

    def prepare(loss, kind, data):
        function, names = table[loss]
        x = torch.from_numpy(data["logprobs"].astype(kind)).requires_grad_()
        rest = [torch.from_numpy(c) if isinstance(c, np.ndarray) else c for c in columns_of(data, names, kind)]
        run = torch.compile(function, dynamic=False) if peer == "compile" else function

        def call():
            value = run(x, *rest)
            torch.autograd.grad(value, x)
            return value.detach()

        return call


def timed(call, tokens, milliseconds):
    for _ in range(3):
        loss = call()
    start = time.perf_counter_ns()
    call()
    repeats = max(1, int(20e3 / max(1, time.perf_counter_ns() - start)))
    samples, end = [], time.perf_counter_ns() + milliseconds * 1e6
    while len(samples) < 3 or time.perf_counter_ns() < end:
        start = time.perf_counter_ns()
        for _ in range(repeats):
            call()
        samples.append((time.perf_counter_ns() - start) / repeats / tokens)
    samples.sort()
    return {"ns": samples[len(samples) // 2], "least": samples[0], "loss": float(loss)}


data, size, prepared = None, 0, {}
for line in sys.stdin:
    words = line.split()
    try:
        if words[0] == "load":
            size, prepared = int(words[2]), {}
            data = load(words[1], size)
            answer = {}
        else:
            loss, kind, milliseconds = words[1], {"f32": np.float32, "f64": np.float64}[words[2]], float(words[3])
            if (loss, kind) not in prepared:
                prepared = {(loss, kind): prepare(loss, kind, data)}
            answer = timed(prepared[loss, kind], size, milliseconds)
    except Exception as problem:  # the table shows a gap, and why
        answer = {"error": f"{type(problem).__name__}: {problem}"[:300]}
    print(json.dumps(answer), flush=True)
