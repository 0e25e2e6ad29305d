# SPDX-License-Identifier: Apache-2.0
"""Data for losses whose gradient is compared with gradwire's, and these losses in torch: samples in groups and pairs, of
ragged lengths, masks with holes, ratios in and out of the clip, advantages and pair weights of both signs.
"""
import numpy as np
import torch
from tinker import types

from checks import made, model

rng = np.random.default_rng(1)
group_size = 3


def random_datums(lengths):
    return [{"tokens": rng.integers(0, 256, n + 1).tolist(), "weights": [float(rng.random() < 0.7) for _ in range(n - 1)] + [1.0]}
            for n in lengths]


samples, pairs = random_datums([24, 9, 33, 16, 17, 40]), random_datums([12, 20, 31, 7])


def wire(datums):
    return [types.Datum(model_input=types.ModelInput.from_ints(d["tokens"][:-1]),
                        loss_fn_inputs={"target_tokens": d["tokens"][1:], "weights": d["weights"]}) for d in datums]


def new_client(service):
    return made(service.create_lora_training_client(base_model=model, rank=8, seed=11))


def saved_start(service, name):
    """The path of a saved state to start from; samples and pairs get columns near its logprobs."""
    client = new_client(service)
    for _ in range(4):  # LoRA's B leaves zero, so that both of its factors have a gradient
        client.forward_backward(wire(samples), "cross_entropy").result()
        client.optim_step(types.AdamParams(learning_rate=5e-3)).result()
    for datums in (samples, pairs):
        for d, output in zip(datums, client.forward(wire(datums), "cross_entropy").result().loss_fn_outputs):
            present = np.array(output["logprobs"].data, np.float32)
            d["old_logprobs"] = (present + rng.normal(0, 0.3, present.shape)).astype(np.float32).tolist()
            d["ref_logprobs"] = (present + rng.normal(0, 0.5, present.shape)).astype(np.float32).tolist()
            d["advantage"] = round(float(rng.uniform(-2, 2)), 3)
    return client.save_state(name).result().path


def column(d, name):
    return torch.tensor(d[name])


def masked_mean(x, w):
    return (x * w).sum() / w.sum()


def clip_loss(ratio, advantage, clip):
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def k3(d, logprobs):
    apart = column(d, "ref_logprobs") - logprobs
    return torch.expm1(apart) - apart


def sft(datums, logprobs):
    total = sum((column(d, "weights") * l).sum() for d, l in zip(datums, logprobs))
    return -total / sum(column(d, "weights").sum() for d in datums)


def grpo(datums, logprobs, clip=0.2, beta=0.04):
    return torch.stack([
        masked_mean(beta * k3(d, l) + clip_loss(torch.exp(l - column(d, "old_logprobs")), d["advantage"], clip), column(d, "weights"))
        for d, l in zip(datums, logprobs)]).mean()


def gspo(datums, logprobs, clip=0.2):
    ratios = [torch.exp(masked_mean(l - column(d, "old_logprobs"), column(d, "weights"))) for d, l in zip(datums, logprobs)]
    return torch.stack([clip_loss(ratio, d["advantage"], clip) for d, ratio in zip(datums, ratios)]).mean()


def dpo_margins(datums, logprobs, beta=0.1):
    gain = [((l - column(d, "ref_logprobs")) * column(d, "weights")).sum() for d, l in zip(datums, logprobs)]
    return beta * torch.stack([c - r for c, r in zip(gain[0::2], gain[1::2])])


def dpo(datums, logprobs, beta=0.1):
    return -torch.nn.functional.logsigmoid(dpo_margins(datums, logprobs, beta)).mean()
