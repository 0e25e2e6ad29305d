#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A training step (forward, backward, AdamW) of the embedded trainer against PyTorch on the CPU: the same weights, batch,
threads and loss, which is compared first. Prints a table in Markdown: milliseconds, tokens/s, and the ratio to ours.

    bench/train_step.py                        both sizes, LoRA and full, eager and compiled
    bench/train_step.py --sizes tiny --ranks 0 --threads 1 --peers eager --rounds 5

Rounds alternate between the programs, a ratio is the median over rounds. The PyTorch model is as lean as it gets: q, k, v
and gate, up fused, scaled_dot_product_attention, F.rms_norm, fused AdamW, one dense batch. `transformers` is what most
people run: Qwen3ForCausalLM (with PEFT's LoRA), eager. Interpreter: that of `tests/python/venv transformers`.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from common import COMPILER, HERE, ROOT, Process, interpreter, say, warn_if_busy

# --- the peer: train_step.py --peer KIND FOLDER RANK THREADS ----------------------------------------------------------


def peer(kind, folder, rank, threads):
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = json.load(open(f"{folder}/config.json"))
    heads, groups, dim = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    hidden, inner, eps = config["hidden_size"], config["intermediate_size"], config["rms_norm_eps"]

    class Linear(torch.nn.Module):
        """x Wᵀ, with LoRA factors for each of the matrices that are stacked in W."""

        def __init__(self, *weights):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.cat(weights))
            self.sizes = [w.shape[0] for w in weights]
            self.scale = 32 / rank if rank else 0
            if rank:
                self.weight.requires_grad_(False)
                width = weights[0].shape[1]
                self.a = torch.nn.Parameter(torch.empty(rank * len(weights), width).uniform_(-1, 1) / width**0.5)
                self.b = torch.nn.ParameterList(torch.zeros(size, rank) for size in self.sizes)

        def forward(self, x):
            y = F.linear(x, self.weight)
            if rank:
                u = F.linear(x, self.a) * self.scale
                y = y + torch.cat([F.linear(part, b) for part, b in zip(u.split(rank, -1), self.b)], -1)
            return y

    class Norm(torch.nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = torch.nn.Parameter(weight.clone(), requires_grad=not rank)

        def forward(self, x):
            return F.rms_norm(x, self.weight.shape, self.weight, eps)

    def rotate(x, cos, sin):
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    class Layer(torch.nn.Module):
        def __init__(self, w, i):
            super().__init__()
            get = lambda name: w[f"model.layers.{i}.{name}.weight"]
            self.input_norm, self.post_norm = Norm(get("input_layernorm")), Norm(get("post_attention_layernorm"))
            self.q_norm, self.k_norm = Norm(get("self_attn.q_norm")), Norm(get("self_attn.k_norm"))
            self.qkv = Linear(*(get(f"self_attn.{n}_proj") for n in "qkv"))
            self.o, self.down = Linear(get("self_attn.o_proj")), Linear(get("mlp.down_proj"))
            self.gate_up = Linear(get("mlp.gate_proj"), get("mlp.up_proj"))

        def forward(self, x, cos, sin):
            q, k, v = self.qkv(self.input_norm(x)).split([heads * dim, groups * dim, groups * dim], -1)
            q = rotate(self.q_norm(q.unflatten(-1, (heads, dim))).transpose(1, 2), cos, sin)
            k = rotate(self.k_norm(k.unflatten(-1, (groups, dim))).transpose(1, 2), cos, sin)
            v = v.unflatten(-1, (groups, dim)).transpose(1, 2)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            x = x + self.o(y.transpose(1, 2).flatten(2))
            gate, up = self.gate_up(self.post_norm(x)).split(inner, -1)
            return x + self.down(F.silu(gate) * up)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            w = load_file(f"{folder}/model.safetensors")
            self.embed = torch.nn.Parameter(w["model.embed_tokens.weight"], requires_grad=not rank)
            self.layers = torch.nn.ModuleList(Layer(w, i) for i in range(config["num_hidden_layers"]))
            self.norm = Norm(w["model.norm.weight"])
            self.head = Linear(w.get("lm_head.weight", w["model.embed_tokens.weight"]))
            if config["tie_word_embeddings"] and not rank:
                self.head.weight = self.embed
            frequency = 1 / config["rope_theta"] ** (torch.arange(0, dim, 2) / dim)
            angle = torch.arange(config["max_position_embeddings"])[:, None] * frequency
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())

        def forward(self, tokens, targets):
            x = F.embedding(tokens, self.embed)
            cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
            for layer in self.layers:
                x = layer(x, cos, sin)
            return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten(), reduction="sum")

    if kind == "transformers":
        import transformers
        whole = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        if rank:
            import peft
            names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]
            whole = peft.get_peft_model(whole, peft.LoraConfig(r=rank, lora_alpha=32, target_modules=names))
        parameters = whole.parameters()
        run = lambda tokens, targets: F.cross_entropy(whole(tokens, use_cache=False).logits.flatten(0, 1), targets.flatten(),
                                                      reduction="sum")
    else:
        whole = Model()
        parameters = whole.parameters()
        run = torch.compile(whole) if kind == "compile" else whole
    optimizer = torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=1e-5, betas=(0.9, 0.95), eps=1e-8,
                                  weight_decay=0, fused=True)

    def make_batch(sequences, length):  # as in train_step.cpp
        state, tokens, targets = 12345, [], []
        for _ in range(sequences):
            for into in (tokens, targets):
                for _ in range(length):
                    state = (state * 1664525 + 1013904223) % 2**32
                    into.append((state >> 8) % config["vocab_size"])
        shape = (sequences, length)
        return torch.tensor(tokens).reshape(shape), torch.tensor(targets).reshape(shape)

    batch = None
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        word, *arguments = line.split()
        if word == "batch":
            batch = make_batch(*map(int, arguments))
            print("{}", flush=True)
        elif word == "step":
            first, count = None, int(arguments[0])
            begin = time.perf_counter()
            for _ in range(count):
                loss = run(*batch)
                (loss * 1e-3).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                first = loss if first is None else first
            milliseconds = (time.perf_counter() - begin) * 1000 / count
            print(json.dumps({"ms": milliseconds, "loss": first.item()}), flush=True)


# --- the driver -------------------------------------------------------------------------------------------------------


def build(folder):
    program = os.path.join(folder, "train_step")
    say("building train_step.cpp")
    subprocess.run([COMPILER, "-std=c++20", "-O3", "-march=native", "-DNDEBUG", "-pthread", f"-I{ROOT}/include",
                    "-isystem", "/usr/include/eigen3", f"{HERE}/train_step.cpp", "-o", program, "-lopenblas",
                    "-lboost_json", "-lboost_container"], check=True)
    return program


def main():
    words = lambda text: text.split(",") if text else []
    numbers = lambda text: [int(x) for x in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=words, default=["tiny", "20m"])
    parser.add_argument("--ranks", type=numbers, default=[0, 16], help="0: full training")
    parser.add_argument("--threads", type=numbers, default=[2])
    parser.add_argument("--batches", type=words, help="SEQUENCESxLENGTH, default 8x256 and for tiny also 128x16")
    parser.add_argument("--peers", type=words, default=["eager", "compile", "transformers"])
    parser.add_argument("--algebra", type=words, default=["fastest"], help="of: fastest eigen xtensor-blas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=float, default=300, help="of one measurement, at least one step")
    parser.add_argument("--program", help="a train_step that is built already")
    options = parser.parse_args()
    python = interpreter("transformers") if options.peers else None
    if options.peers and not python:
        sys.exit("bench/train_step.py: no interpreter for the peers; --peers '' measures without them")
    warn_if_busy()
    names = {"eager": "PyTorch eager", "compile": "torch.compile", "transformers": "transformers"}
    with tempfile.TemporaryDirectory(prefix="gradwire-bench-") as folder:
        program = options.program or build(folder)
        print("| model | training | batch | threads | algebra | ms/step | tokens/s | "
              + " | ".join(f"{names[p]} ms | / ours" for p in options.peers) + " |")
        print("|---|---|---|---:|---|---:|---:|" + "---:|---:|" * len(options.peers))
        for size in options.sizes:
            model = os.path.join(folder, size)
            maker = Process(program)
            maker.ask(f"make {model} {size}")
            maker.close()
            for rank in options.ranks:
                for threads in options.threads:
                    for batch in options.batches or (["8x256", "128x16"] if size == "tiny" else ["8x256"]):
                        for algebra in options.algebra:
                            measure(program, python, model, size, rank, threads, batch, algebra, options)


def measure(program, python, model, size, rank, threads, batch, algebra, options):
    """One row of the table."""
    sequences, length = map(int, batch.split("x"))
    everyone = {"ours": Process(program)}
    name = everyone["ours"].ask(f"load {model} {rank} {threads} {algebra}")["algebra"]
    for p in options.peers:
        everyone[p] = Process(python, __file__, "--peer", p, model, rank, threads)
        everyone[p].hear()
    counts, losses = {}, {}
    for who, process in everyone.items():
        process.ask(f"batch {sequences} {length}")
        losses[who] = process.ask("step 1")["loss"]  # also compiles
        process.ask("step 2")
        counts[who] = max(1, round(options.milliseconds / process.ask("step 1")["ms"]))
        if abs(losses[who] - losses["ours"]) > 1e-4 * abs(losses["ours"]):
            sys.exit(f"{who} has another loss: {losses[who]}, ours {losses['ours']}")
    rounds = [{who: process.ask(f"step {counts[who]}")["ms"] for who, process in everyone.items()}
              for _ in range(options.rounds)]
    for process in everyone.values():
        process.close()
    ms = statistics.median(r["ours"] for r in rounds)
    cells = [f"{statistics.median(r[p] for r in rounds):.1f} | {statistics.median(r[p] / r['ours'] for r in rounds):.2f} ×"
             for p in options.peers]
    kind = f"LoRA {rank}" if rank else "full"
    print(f"| {size} | {kind} | {batch} | {threads} | {name} | {ms:.1f} | {sequences * length / ms * 1000:,.0f} | "
          + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        peer(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
