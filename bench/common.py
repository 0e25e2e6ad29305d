# SPDX-License-Identifier: Apache-2.0
"""What the drivers of this folder share."""
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
COMPILER = os.environ.get("CXX", "g++")


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.5:
        say(f"the machine is not idle (load {load:.1f}); ratios hold better than times")


def interpreter(environment):
    """The Python of an environment of tests/python, or None, and why is said, where it cannot be installed."""
    done = subprocess.run([ROOT / "tests" / "python" / "venv", environment], capture_output=True, text=True)
    if done.returncode == 0:
        return done.stdout.strip()
    say(done.stderr.strip())
    return None


class Process:
    """A program that answers one line with one line of JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.hear(line)

    def hear(self, asked="its start"):
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args[0]} ended at: {asked}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
