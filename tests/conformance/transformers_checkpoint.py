# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the embedded trainer, read by Hugging Face transformers and peft without a network: the same logprobs
and token ids. Run once with the built-in model and once with a checkpoint that transformers made.
"""
import pathlib

import numpy as np
import tinker
import torch
import transformers
from tinker import types

from checks import check, checkpoints, made, model, run, url

transformers.utils.logging.disable_progress_bar()
service = tinker.ServiceClient(base_url=url)
rng = np.random.default_rng(2)
sequences = [rng.integers(0, 256, n).tolist() for n in (2, 15, 16, 17, 60)]
state = {}


def wire(tokens):
    return types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]),
                       loss_fn_inputs={"target_tokens": tokens[1:], "weights": [1.0] * (len(tokens) - 1)})


def served(client):
    result = client.forward([wire(tokens) for tokens in sequences], "cross_entropy").result()
    return [np.array(o["logprobs"].data, np.float64) for o in result.loss_fn_outputs]


@torch.no_grad()
def loaded(network):
    rows = []
    for tokens in sequences:
        logprobs = torch.log_softmax(network(torch.tensor([tokens])).logits[0].double(), -1)
        rows.append(logprobs[:-1].gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].numpy())
    return rows


def compare(found, expected, tolerance):
    worst = np.max([np.abs(a - b).max() for a, b in zip(found, expected)])  # a NaN stays
    assert worst <= tolerance, f"off by {worst:.3g}"
    return f"largest difference {worst:.2g}"


def folder_of(name, file):
    folders = [path.parent for path in pathlib.Path(checkpoints).rglob(file) if name in path.parts]
    assert len(folders) == 1, (name, file, [str(p) for p in pathlib.Path(checkpoints).rglob("*")])
    return folders[0]


def trained(client):
    for _ in range(3):
        client.forward_backward([wire(tokens) for tokens in sequences], "cross_entropy").result()
        client.optim_step(types.AdamParams(learning_rate=5e-3)).result()
    return client


@check
def a_full_checkpoint_is_a_hugging_face_model():
    """every parameter trained (rank 0), saved, loaded by AutoModelForCausalLM"""
    client = trained(made(service.create_lora_training_client(base_model=model, rank=0)))
    client.save_state("full").result()
    folder = folder_of("full", "config.json")
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    assert type(network).__name__ == "Qwen3ForCausalLM"
    state["full"] = folder
    return compare(loaded(network), served(client), 1e-5)


@check
def a_weight_less_would_be_noticed():
    """transformers fills what a file lacks with random numbers and only warns: nothing may be lacking or left over"""
    _, info = transformers.AutoModelForCausalLM.from_pretrained(state["full"], local_files_only=True, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info.get("mismatched_keys"), info


@check
def an_adapter_is_a_peft_adapter():
    import peft
    client = trained(made(service.create_lora_training_client(base_model=model, rank=8, seed=3)))
    client.save_state("adapter").result()
    fresh = made(service.create_lora_training_client(base_model=model, rank=0))
    fresh.save_state("base").result()        # the base model as transformers reads it
    network = transformers.AutoModelForCausalLM.from_pretrained(folder_of("base", "config.json"), dtype=torch.float32,
                                                                local_files_only=True).eval()
    apart = max(np.abs(a - b).max() for a, b in zip(loaded(network), served(client)))
    assert apart > 1e-2, f"the adapter changes logprobs by {apart} only: the comparison would say nothing"
    network = peft.PeftModel.from_pretrained(network, folder_of("adapter", "adapter_config.json")).eval()
    return compare(loaded(network), served(client), 2e-5)


@check
def the_tokenizer_is_a_hugging_face_tokenizer():
    if model == "gradwire/tiny":
        tokenizer = transformers.AutoTokenizer.from_pretrained(state["full"], local_files_only=True)
        for string in ("2+2=", "Grüße, 世界 🙂\n", " two  blanks ", "\x00\x7f"):
            assert tokenizer.encode(string, add_special_tokens=False) == list(string.encode()), string
            assert tokenizer.decode(tokenizer.encode(string, add_special_tokens=False)) == string
        special = tokenizer.get_added_vocab()
        assert len(special) == 4 and all(256 <= i < 320 for i in special.values()), special
        assert tokenizer.eos_token in special and tokenizer.pad_token in special
        for token, i in special.items():
            assert tokenizer.encode("a" + token, add_special_tokens=False) == [ord("a"), i]
        return special
    theirs = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
    ours = transformers.AutoTokenizer.from_pretrained(state["full"], local_files_only=True)
    for string in ("2+2=", "Grüße, 世界 🙂\n", " two  blanks ", "a<|im_end|>b"):
        assert ours.encode(string) == theirs.encode(string), string


@check
def greedy_generation_is_equal():
    """transformers' own generate, with its key-value cache, against the server's sampler"""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder_of("base", "config.json"), dtype=torch.float32,
                                                                local_files_only=True).eval()
    sampler = made(service.create_sampling_client(base_model=model))
    for tokens in sequences:
        ours = sampler.sample(types.ModelInput.from_ints(tokens), 1, types.SamplingParams(max_tokens=24, temperature=0.0)).result()
        theirs = network.generate(torch.tensor([tokens]), max_new_tokens=24, do_sample=False)[0, len(tokens):].tolist()
        found = list(ours.sequences[0].tokens)
        assert theirs[:len(found)] == found, (found, theirs)


if __name__ == "__main__":
    run()
