# SPDX-License-Identifier: Apache-2.0
"""tinker-cookbook's sl_loop and rl_loop, unmodified, train on the embedded trainer: supervised until the model answers
with a digit in a box, then by reinforcement until it is the digit that the rows ask for.

What stands in here for things that would be downloaded: a byte tokenizer, registered under the name of the model that the
server serves, and rows made below instead of the two data sets. The second loop goes on from the checkpoint of the first,
because both have the same log folder: that is how a user of these loops goes on.
"""
import contextlib
import importlib.metadata
import json
import os
import pathlib
import random
import tempfile

import datasets
from tinker_cookbook import renderers, tokenizer_utils
from tinker_cookbook.recipes import rl_loop, sl_loop

from checks import check, model, run, url

rng = random.Random(0)
log = pathlib.Path(tempfile.mkdtemp(prefix="cookbook-", dir=os.environ["GRADWIRE_CHECKPOINTS"]))
supervised = dict(batch_size=16, steps=48)
reinforced = dict(batch_size=4, group_size=8, steps=30)
wanted = "7"

# The conversation that rl_loop puts before its questions, so that the supervised rows look like its prompts.
suffix = " Provide a numerical answer without units, written inside \\boxed{}."
subjects = ["apples", "boats", "cats", "days", "eggs", "figs", "goats", "hats"]


def question():
    return f"How many {rng.choice(subjects)}?"


def no_robots():
    rows = []
    for _ in range(supervised["batch_size"] * supervised["steps"]):
        rows.append({"messages": [{"role": "user", "content": question() + suffix},
                                  {"role": "assistant", "content": "\\boxed{%d}" % rng.randrange(10)}]})
    return rows


def gsm8k():
    # The loop resumes at the batch after the supervised ones, so the rows before it are never read.
    count = reinforced["batch_size"] * (supervised["steps"] + reinforced["steps"])
    return [{"question": question(), "answer": f"That many.\n#### {wanted}"} for _ in range(count)]


asked = []


def load_dataset(name, *configuration):
    asked.append(name)
    rows = {"HuggingFaceH4/no_robots": no_robots, "openai/gsm8k": gsm8k}[name]()
    return datasets.DatasetDict(train=datasets.Dataset.from_list(rows))


datasets.load_dataset = load_dataset


class byte_tokenizer:
    """That of the server's model: a byte is its own id, 256 ends a text."""
    name_or_path = model
    bos_token, eos_token, eos_token_id, all_special_ids = None, "<|endoftext|>", 256, [256]

    def encode(self, text, add_special_tokens=False):
        return list(text.encode())

    def decode(self, tokens, skip_special_tokens=False):
        return bytes(token for token in tokens if token < 256).decode(errors="replace")


tokenizer_utils.register_tokenizer(model, byte_tokenizer)


def quietly(loop, **settings):
    """What the loop prints goes to a file; it comes out if the loop fails."""
    said = log / f"{loop.__name__.rsplit('.', 1)[1]}.log"
    with open(said, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            loop.main(loop.Config(base_url=url, log_path=str(log), model_name=model, lora_rank=16, save_every=20, **settings))
        except Exception as error:
            raise AssertionError(said.read_text()[-2000:]) from error


def logged(key):
    with open(log / "metrics.jsonl") as lines:
        return [row[key] for row in map(json.loads, lines) if key in row]


def mean(values):
    return sum(values) / len(values)


@check
def the_loops_are_the_released_ones():
    for loop in (sl_loop, rl_loop):
        assert "site-packages" in loop.__file__, loop.__file__
    return f"tinker-cookbook {importlib.metadata.version('tinker-cookbook')}, tinker {importlib.metadata.version('tinker')}"


@check
def sl_loop_lowers_the_loss():
    quietly(sl_loop, batch_size=supervised["batch_size"], learning_rate=1e-2, max_length=1024,
            train_on_what=renderers.TrainOnWhat.LAST_ASSISTANT_MESSAGE)
    nll = logged("train_mean_nll")
    assert len(nll) == supervised["steps"], len(nll)
    # of the answer's bytes and those of the stop sequence only the digit stays open: log(10) over some 18 tokens
    assert mean(nll[-5:]) < 0.1 * mean(nll[:3]), nll
    return f"mean NLL {mean(nll[:3]):.2f} -> {mean(nll[-5:]):.3f}"


@check
def rl_loop_raises_the_reward():
    quietly(rl_loop, batch_size=reinforced["batch_size"], group_size=reinforced["group_size"], learning_rate=3e-3, max_tokens=24)
    reward = logged("reward/total")
    assert len(reward) == reinforced["steps"], len(reward)
    first, last = mean(reward[:5]), mean(reward[-5:])
    assert last > first + 0.3 and last > 0.5, reward
    return f"reward {first:.2f} -> {last:.2f}"


@check
def the_loops_left_their_checkpoints():
    with open(log / "checkpoints.jsonl") as lines:
        records = [json.loads(line) for line in lines]
    assert [r["name"] for r in records].count("final") == 2, records
    assert all(r["state_path"].startswith("tinker://") for r in records), records
    assert asked == ["HuggingFaceH4/no_robots", "openai/gsm8k"], asked
    return f"{len(records)} checkpoints"


if __name__ == "__main__":
    run()
