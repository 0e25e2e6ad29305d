# SPDX-License-Identifier: Apache-2.0
"""The gradient of a custom loss, in the parameters, on a real TuFT server: caused by the gradwire client (tuft.cpp), by
the Python SDK 0.25.0 with the same loss in torch, and by PyTorch's autograd on the same saved adapter. The first two are
read back from the optimizer state that TuFT saves: after one step of AdamW from nothing, exp_avg = (1 - beta1) * gradient.

The losses are SFT, GRPO with a reference, GSPO and DPO (torch_losses.py).
"""
import json
import os
import pathlib
import subprocess
import tempfile

import numpy
import peft
import tinker
import torch
import transformers
from tinker import types

from checks import check, checkpoints, run, url
from torch_losses import dpo, group_size, grpo, gspo, new_client, pairs, samples, saved_start, sft, wire

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
service = tinker.ServiceClient(base_url=url)
beta1 = 0.9
allowed = 1e-5
state = {}


losses = {"sft": (sft, samples), "grpo": (grpo, samples), "gspo": (gspo, samples), "dpo": (dpo, pairs)}


def folder_of(path):
    run_id, _, name = path.removeprefix("tinker://").split("/")
    folder = pathlib.Path(checkpoints) / run_id / name
    assert folder.is_dir(), folder
    return folder


def saved_gradient(path):
    saved = torch.load(folder_of(path) / "optimizer" / "optimizer.pt", weights_only=True, map_location="cpu")["state"]
    assert all(float(entry["step"]) == 1 for entry in saved.values()), "the optimizer did not begin at nothing"
    return [saved[i]["exp_avg"].double() / (1 - beta1) for i in sorted(saved)]


def worst(found, expected):
    """The largest relative difference of a tensor, and its number."""
    assert len(found) == len(expected) and len(found) > 0
    differences = [((f - e).norm() / e.norm()).item() for f, e in zip(found, expected)]
    return numpy.max(differences), len(differences)  # a NaN stays


@check
def a_trained_adapter_is_saved_to_start_from():
    state["start"] = saved_start(service, "truth-start")
    return state["start"]


@check
def the_python_sdk_causes_its_gradients():
    for name, (loss, datums) in losses.items():
        client = new_client(service)
        client.load_state(state["start"]).result()

        def custom(_, logprobs):
            value = loss(datums, logprobs)
            return value, {"loss": value.item()}
        result = client.forward_backward_custom(wire(datums), custom).result()
        client.optim_step(types.AdamParams(learning_rate=0, beta1=beta1)).result()
        state["python", name] = (result.metrics["loss"], saved_gradient(client.save_state("python-" + name).result().path))


@check
def gradwire_causes_its_gradients():
    given = {"state": state["start"], "samples": samples, "pairs": pairs, "group_size": group_size, "beta1": beta1}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given, file)
        file.flush()
        output = subprocess.run([os.environ["GRADWIRE_PROGRAM"], file.name], stdout=subprocess.PIPE, check=True, timeout=300).stdout
    for name, found in json.loads(output).items():
        state["gradwire", name] = (found["loss"], saved_gradient(found["path"]))


@check
def pytorch_differentiates_the_same_losses():
    base = transformers.AutoModelForCausalLM.from_pretrained(os.environ["GRADWIRE_MODEL_FOLDER"], dtype=torch.float32)
    adapted = peft.PeftModel.from_pretrained(base, folder_of(state["start"]) / "adapter", is_trainable=True).eval()
    parameters = [p for p in adapted.parameters() if p.requires_grad]
    for name, (loss, datums) in losses.items():
        logprobs = []
        for d in datums:
            logits = adapted(input_ids=torch.tensor([d["tokens"][:-1]])).logits[0]
            logprobs.append(torch.log_softmax(logits, -1).gather(-1, torch.tensor(d["tokens"][1:])[:, None])[:, 0])
        value = loss(datums, logprobs)
        state["torch", name] = (value.item(), [g.double() for g in torch.autograd.grad(value, parameters)])


def agrees(name):
    line = []
    for other in ("python", "torch"):
        found, count = worst(state["gradwire", name][1], state[other, name][1])
        assert found <= allowed, f"{name}: {found:.3g} from {other} in one of {count} tensors, allowed {allowed:.0e}"
        off = abs(state["gradwire", name][0] - state[other, name][0])
        assert off <= 1e-5 * max(1, abs(state[other, name][0])), f"{name}: the losses differ by {off:.3g}"
        line.append(f"{found:.2g} from {other}")
    size = torch.stack([g.norm() for g in state["torch", name][1]])
    assert (size > 0).all(), "a tensor has no gradient"
    return f"loss {state['gradwire', name][0]:.5f}, worst of {count} tensors {' and '.join(line)}"


@check
def sft_has_the_true_gradient():
    return agrees("sft")


@check
def grpo_has_the_true_gradient():
    return agrees("grpo")


@check
def gspo_has_the_true_gradient():
    return agrees("gspo")


@check
def dpo_has_the_true_gradient():
    return agrees("dpo")


run()
