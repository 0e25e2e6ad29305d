#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client under load against the Python SDK tinker 0.25.0, both against the embedded trainer with a model that computes
nothing (--no-op), in a process of its own. Prints a table in Markdown: medians of the rounds, and the ratio.

    bench/load.py [--build DIR] [--rounds 5] [--check]

DIR (default build/ of this repository) is a build of the project: examples/loopback_trainer and libgradwire_src.a are taken
from there. Rounds alternate between the two clients; a ratio is the median over rounds. --check fails where a figure is
not reached. The SDK's interpreter is that of `tests/python/venv tinker-0.25.0`.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from common import COMPILER, HERE, ROOT, interpreter, say, warn_if_busy


# --- the peer: load.py --peer WHAT COUNT MODEL -------------------------------------------------------------------------

def peer(what, count, model):
    import numpy
    import tinker
    from tinker import types

    service = tinker.ServiceClient()
    made = service.create_lora_training_client(base_model=model, rank=8)
    trainer = made.result() if hasattr(made, "result") else made
    adam = types.AdamParams()

    def big_batch():
        tokens = [((numpy.arange(4097) * 7 + s * 131) % 50000).astype(numpy.int64) for s in range(256)]
        ones = types.TensorData.from_numpy(numpy.ones(4096, numpy.float32))
        return [types.Datum(model_input=types.ModelInput.from_ints(t[:-1].tolist()), loss_fn_inputs={
            "target_tokens": types.TensorData.from_numpy(t[1:]), "weights": ones}) for t in tokens]

    def median_seconds(call):
        call()
        took = []
        for _ in range(count):
            begin = time.perf_counter()
            call()
            took.append(time.perf_counter() - begin)
        return statistics.median(took)

    if what == "steps":
        for _ in range(20):
            trainer.optim_step(adam).result()
        took, begin = [], time.perf_counter()
        for _ in range(count):
            at = time.perf_counter()
            trainer.optim_step(adam).result()
            took.append(time.perf_counter() - at)
        out = {"per_second": count / (time.perf_counter() - begin), "p99_us": 1e6 * sorted(took)[int(0.99 * (count - 1))]}
    elif what == "flight":
        trainer.optim_step(adam).result()
        begin = time.perf_counter()
        for future in [trainer.optim_step(adam) for _ in range(count)]:
            future.result()
        out = {"per_second": count / (time.perf_counter() - begin)}
    elif what == "custom":
        data = big_batch()

        def loss(batch, logprobs):
            return sum((-l * w).sum() for l, w in zip(logprobs, weights)), {}

        weights = [d.loss_fn_inputs["weights"].to_torch() for d in data]
        out = {"seconds": median_seconds(lambda: trainer.forward_backward_custom(data, loss).result())}
    else:
        data = big_batch()
        seconds = median_seconds(lambda: trainer.forward_backward(data, "cross_entropy").result())
        out = {"megabytes_per_second": 256 * 4096 * 16 / 1e6 / seconds, "seconds": seconds}
    print(json.dumps(out), flush=True)
    os._exit(0)  # the SDK's threads are not waited for


# --- both --------------------------------------------------------------------------------------------------------------

class trainer:
    def __init__(self, program):
        self.process = subprocess.Popen([program, "--port", "0", "--no-op"], stdout=subprocess.PIPE, text=True)
        words = self.process.stdout.readline().split()
        if words[:2] != ["listening", "on"]:
            sys.exit(f"{program} did not come up: {words}")
        self.model = words[6]
        self.environment = dict(os.environ, TINKER_BASE_URL=words[2], TINKER_API_KEY=words[4], TINKER_TELEMETRY="0")

    def run(self, *command):
        done = subprocess.run([*map(str, command), self.model], env=self.environment, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{command[0]} {command[1]} failed")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    build = options.build.absolute()
    library, server = build / "libgradwire_src.a", build / "examples" / "loopback_trainer"
    for needed in (library, server):
        if not needed.exists():
            sys.exit(f"{needed} does not exist; build the project, or name its build folder with --build")
    sdk = interpreter("tinker-0.25.0")
    if not sdk:
        sys.exit("bench/load.py: no interpreter for the SDK")
    warn_if_busy()

    with tempfile.TemporaryDirectory(prefix="gradwire-load-") as folder:
        client = f"{folder}/load"
        subprocess.run([COMPILER, "-std=c++20", "-O2", "-march=native", "-DGRADWIRE_SEPARATE_COMPILATION",
                        f"-I{ROOT}/include", HERE / "load.cpp", library, "-lboost_json", "-lboost_container", "-lssl", "-lcrypto",
                        "-lzstd", "-lopenblas", "-lpthread", "-o", client], check=True)
        found = {}

        def measure(name, *command):
            running = trainer(server)  # a fresh one: results that nobody asks for any more are no burden
            result = running.run(*command)
            running.close()
            for key, value in result.items():
                found.setdefault(name, {}).setdefault(key, []).append(value)

        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            for what, ours, theirs in (("steps", 4000, 300), ("flight", 1000, 1000), ("custom", 3, 2), ("upload", 3, 2)):
                measure(what, client, what, ours)
                measure(what + " sdk", sdk, __file__, "--peer", what, theirs)
            measure("raw", client, "raw", 4000)
            measure("many", client, "flight", 10000)

    def median(name, key):
        return statistics.median(found[name][key])

    def ratio(name, key, inverse=False):
        pairs = zip(found[name][key], found[name + " sdk"][key])
        return statistics.median(b / a if inverse else a / b for a, b in pairs)

    rows, missed = [], []

    def row(what, ours, theirs, times, target, good):
        rows.append(f"| {what} | {ours} | {theirs} | {times} | {target} |")
        if not good:
            missed.append(what)

    steps = ratio("steps", "per_second")
    row("optim_step, one after another", f"{median('steps', 'per_second'):,.0f}/s (p50 {median('steps', 'p50_us'):.0f} µs, p99 "
        f"{median('steps', 'p99_us'):.0f} µs)", f"{median('steps sdk', 'per_second'):,.0f}/s", f"{steps:.0f} ×", "≥ 25 ×", steps >= 25)
    row("1,000 futures in flight, results in order", f"{median('flight', 'per_second'):,.0f}/s, {median('flight', 'peak_mib'):.0f} MiB",
        f"{median('flight sdk', 'per_second'):,.0f}/s", f"{ratio('flight', 'per_second'):.0f} ×", "≥ 5,000/s, ≤ 64 MiB",
        median("flight", "per_second") >= 5000 and median("flight", "peak_mib") <= 64)
    custom = ratio("custom", "seconds", inverse=True)
    row("custom-loss round trip, 256 × 4,096 tokens", f"{median('custom', 'seconds'):.3f} s, {median('custom', 'peak_mib'):.0f} MiB",
        f"{median('custom sdk', 'seconds'):.3f} s", f"{custom:.1f} ×", "≥ 5 ×, ≤ 0.35 s",
        custom >= 5 and median("custom", "seconds") <= 0.35)
    row("forward_backward of the same batch: upload", f"{median('upload', 'megabytes_per_second'):.0f} MB/s",
        f"{median('upload sdk', 'megabytes_per_second'):.0f} MB/s", f"{ratio('upload', 'megabytes_per_second'):.1f} ×", "≥ 120 MB/s",
        median("upload", "megabytes_per_second") >= 120)
    row("10,000 futures in flight", f"{median('many', 'per_second'):,.0f}/s, {median('many', 'peak_mib'):.0f} MiB, "
        f"{median('many', 'connections'):.0f} connections", "", "", "≤ 256 MiB, ≤ 16 connections",
        median("many", "peak_mib") <= 256 and median("many", "connections") <= 16)
    overhead = statistics.median(r / s - 1 for r, s in zip(found["raw"]["per_second"], found["steps"]["per_second"]))
    row("what retries, records and checks add to a step without faults", f"{100 * overhead:.1f} %", "",
        f"bare exchanges: {median('raw', 'per_second'):,.0f}/s", "≤ 5 %", overhead <= 0.05)

    print("| what | gradwire | tinker 0.25.0 | ratio | to reach |\n|---|---|---|---|---|\n" + "\n".join(rows))
    for what in missed:
        say(f"bench/load.py: not reached: {what}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    sys.exit(main())
