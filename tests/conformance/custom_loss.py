# SPDX-License-Identifier: Apache-2.0
"""One custom loss, written in torch and sent by the Python SDK, and written as a gradwire formula and sent by gradwire's
client (custom_loss.cpp), from the same checkpoint of the embedded trainer: the same loss, the same accumulated gradient,
the same new weights.

The loss is GRPO with a reference on groups of samples plus DPO on pairs (torch_losses.py), in two calls before one
optim_step.
"""
import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np
import safetensors.numpy
import tinker
import torch
from tinker import types

from checks import check, checkpoints, close, made, run, url
from sdk import norm_of
from torch_losses import column, dpo, dpo_margins, group_size, grpo, k3, pairs, samples, saved_start, wire

service = tinker.ServiceClient(base_url=url)
clip, kl_beta, dpo_beta = 0.2, 0.04, 0.1
adam = types.AdamParams(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-3)
found = {}


def folder_of(name):
    """the folder of a saved state, by its name"""
    folders = [path for path in pathlib.Path(checkpoints).rglob(name) if path.is_dir()]
    assert len(folders) == 1, folders
    return folders[0]


def grpo_with_metrics(_, logprobs):
    value = grpo(samples, logprobs, clip, kl_beta)
    weights = torch.cat([column(d, "weights") for d in samples])
    kl = torch.cat([k3(d, l) for d, l in zip(samples, logprobs)])
    ratio = torch.cat([torch.exp(l - column(d, "old_logprobs")) for d, l in zip(samples, logprobs)])
    outside = (ratio - 1).abs() > clip
    return value, {"loss": value.item(), "kl": ((kl * weights).sum() / weights.sum()).item(),
                   "out_of_band_frac": ((outside * weights).sum() / weights.sum()).item()}


def dpo_with_metrics(_, logprobs):
    value = dpo(pairs, logprobs, dpo_beta)
    return value, {"loss": value.item(), "margin": dpo_margins(pairs, logprobs, dpo_beta).mean().item()}


@check
def both_clients_train_from_one_checkpoint():
    start = saved_start(service, "custom-start")
    given = {"state": start, "save_as": "custom-gradwire", "samples": samples, "group_size": group_size, "pairs": pairs, "clip": clip,
             "kl_beta": kl_beta, "dpo_beta": dpo_beta, "learning_rate": adam.learning_rate, "beta1": adam.beta1, "beta2": adam.beta2,
             "eps": adam.eps}

    python = made(service.create_training_client_from_state(start))
    found["python"] = {"grpo": python.forward_backward_custom(wire(samples), grpo_with_metrics).result().metrics,
                       "dpo": python.forward_backward_custom(wire(pairs), dpo_with_metrics).result().metrics,
                       "optim": python.optim_step(adam).result().metrics}
    python.save_state("custom-python").result()

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given, file)
        file.flush()
        output = subprocess.run([os.environ["GRADWIRE_PROGRAM"], file.name], stdout=subprocess.PIPE, check=True, timeout=300).stdout
    found["gradwire"] = json.loads(output)
    return f"{start}, loss {found['python']['grpo']['loss']:.4f} and {found['python']['dpo']['loss']:.4f}"


@check
def the_losses_and_metrics_are_equal():
    for loss, names in (("grpo", ("loss", "kl", "out_of_band_frac")), ("dpo", ("loss", "margin"))):
        for name in names:
            close(found["gradwire"][loss][name], found["python"][loss][name], 2e-6, f"{loss} {name}")
    assert 0.1 < found["python"]["grpo"]["out_of_band_frac"] < 0.9, "the data must reach both sides of the clip"


@check
def the_norm_of_the_accumulated_gradient_is_equal():
    norms = [norm_of(found[side]["optim"]) for side in ("python", "gradwire")]
    close(norms[1] / norms[0], 1.0, 1e-5, "ratio of the norms")
    return f"{norms[0]:.6g}, {norms[1]:.6g}"


def tensors(name, file):
    return safetensors.numpy.load_file(folder_of(name) / file)


def moments(name):
    """Adam's first moment of each tensor: after one step from a fresh optimizer it is (1 - beta1) times the gradient."""
    all_ = tensors(name, "optimizer.safetensors")
    first = {key: value for key, value in all_.items() if "exp_avg" in key and "exp_avg_sq" not in key}
    assert first, f"no first moments among {sorted(all_)[:8]}"
    return first


@check
def the_gradient_of_every_tensor_is_equal():
    python, gradwire = moments("custom-python"), moments("custom-gradwire")
    assert python.keys() == gradwire.keys()
    worst, largest = ("", 0.0), 0.0
    for name, expected in python.items():
        norm = np.linalg.norm(expected.astype(np.float64))
        assert norm > 0, f"{name} has no gradient: the comparison would say nothing"
        difference = np.linalg.norm(gradwire[name].astype(np.float64) - expected) / norm
        worst, largest = max(worst, (name, difference), key=lambda x: x[1]), max(largest, norm)
        assert difference <= 1e-5, f"{name}: off by {difference:.3g} of its norm"
    return f"{len(python)} tensors, worst {worst[1]:.2g} ({worst[0]}), norms up to {largest / (1 - adam.beta1):.3g}"


@check
def the_new_weights_are_equal():
    file = "adapter_model.safetensors"
    start, python, gradwire = (tensors(name, file) for name in ("custom-start", "custom-python", "custom-gradwire"))
    worst = moved = 0.0
    for name, expected in python.items():
        worst = np.maximum(worst, np.abs(gradwire[name] - expected).max())  # a NaN stays
        moved = max(moved, np.abs(expected - start[name]).max())
    assert moved > 1e-3, f"the step moved no weight by more than {moved}: the comparison would say nothing"
    assert worst <= 1e-6, worst
    return f"largest difference {worst:.2g}, largest step {moved:.2g}"


if __name__ == "__main__":
    run()
