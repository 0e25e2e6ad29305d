# SPDX-License-Identifier: Apache-2.0
"""One custom loss, written in torch and sent by the Python SDK, and written as a gradwire formula and sent by gradwire's
client (custom_loss.cpp), from the same checkpoint of the embedded trainer: the same loss, the same accumulated gradient,
the same new weights.

The loss is GRPO with a reference on groups of samples plus DPO on pairs, in two calls before one optim_step: ratios in
and out of the clip, advantages and pair weights of both signs, masks with holes, ragged lengths.
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

from checks import check, checkpoints, close, made, model, run, url

service = tinker.ServiceClient(base_url=url)
rng = np.random.default_rng(1)
adam = types.AdamParams(learning_rate=1e-2, beta1=0.9, beta2=0.95, eps=1e-3)
found = {}


def folder_of(name):
    """the folder of a saved state, by its name"""
    folders = [path for path in pathlib.Path(checkpoints).rglob(name) if path.is_dir()]
    assert len(folders) == 1, folders
    return folders[0]


def random_datums(lengths):
    return [{"tokens": rng.integers(0, 256, n + 1).tolist(), "weights": [float(rng.random() < 0.7) for _ in range(n - 1)] + [1.0]}
            for n in lengths]


def wire(d):
    return types.Datum(model_input=types.ModelInput.from_ints(d["tokens"][:-1]),
                       loss_fn_inputs={"target_tokens": d["tokens"][1:], "weights": d["weights"]})


def present(client, datums):
    result = client.forward([wire(d) for d in datums], "cross_entropy").result()
    return [np.array(o["logprobs"].data, np.float32) for o in result.loss_fn_outputs]


def masked_mean(x, w):
    return (x * w).sum() / w.sum()


def grpo(datums, clip, beta):
    def loss(batch, logprobs):
        values, kls, clipped, weights = [], 0.0, 0.0, 0.0
        for d, l in zip(datums, logprobs):
            w = torch.tensor(d["weights"])
            old, ref = torch.tensor(d["old_logprobs"]), torch.tensor(d["ref_logprobs"])
            ratio = torch.exp(l - old)
            gain = torch.minimum(ratio * d["advantage"], ratio.clamp(1 - clip, 1 + clip) * d["advantage"])
            kl = torch.expm1(ref - l) - (ref - l)
            values.append(masked_mean(beta * kl - gain, w))
            kls, clipped, weights = kls + (kl * w).sum(), clipped + (((ratio - 1).abs() > clip) * w).sum(), weights + w.sum()
        value = torch.stack(values).mean()
        return value, {"loss": value.item(), "kl": (kls / weights).item(), "out_of_band_frac": (clipped / weights).item()}
    return loss


def dpo(datums, beta):
    def loss(batch, logprobs):
        gain = [((l - torch.tensor(d["ref_logprobs"])) * torch.tensor(d["weights"])).sum() for d, l in zip(datums, logprobs)]
        margin = beta * torch.stack([c - r for c, r in zip(gain[0::2], gain[1::2])])
        value = -torch.nn.functional.logsigmoid(margin).mean()
        return value, {"loss": value.item(), "margin": margin.mean().item()}
    return loss


@check
def both_clients_train_from_one_checkpoint():
    client = made(service.create_lora_training_client(base_model=model, rank=8, seed=11))
    samples, pairs = random_datums([24, 9, 33, 16, 17, 40]), random_datums([12, 20, 31, 7])
    for _ in range(4):  # LoRA's B leaves zero, so that both of its factors have a gradient
        client.forward_backward([wire(d) for d in samples], "cross_entropy").result()
        client.optim_step(types.AdamParams(learning_rate=5e-3)).result()
    start = client.save_state("custom-start").result().path
    for datums in (samples, pairs):
        for d, l in zip(datums, present(client, datums)):
            d["old_logprobs"] = (l + rng.normal(0, 0.3, l.shape)).astype(np.float32).tolist()
            d["ref_logprobs"] = (l + rng.normal(0, 0.5, l.shape)).astype(np.float32).tolist()
            d["advantage"] = round(float(rng.uniform(-2, 2)), 3)
    given = {"state": start, "save_as": "custom-gradwire", "samples": samples, "group_size": 3, "pairs": pairs, "clip": 0.2,
             "kl_beta": 0.04, "dpo_beta": 0.1, "learning_rate": adam.learning_rate, "beta1": adam.beta1, "beta2": adam.beta2,
             "eps": adam.eps}

    python = made(service.create_training_client_from_state(start))
    found["python"] = {"grpo": python.forward_backward_custom([wire(d) for d in samples], grpo(samples, 0.2, 0.04)).result().metrics,
                       "dpo": python.forward_backward_custom([wire(d) for d in pairs], dpo(pairs, 0.1)).result().metrics,
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
    norms = []
    for side in ("python", "gradwire"):
        norms.append(next(value for key, value in found[side]["optim"].items() if "grad_norm" in key))
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
        worst = max(worst, np.abs(gradwire[name] - expected).max())
        moved = max(moved, np.abs(expected - start[name]).max())
    assert moved > 1e-3, f"the step moved no weight by more than {moved}: the comparison would say nothing"
    assert worst <= 1e-6, worst
    return f"largest difference {worst:.2g}, largest step {moved:.2g}"


if __name__ == "__main__":
    run()
