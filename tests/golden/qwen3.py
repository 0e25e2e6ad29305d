#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the golden files of the embedded trainer's decoder, from transformers, PEFT and PyTorch:

  qwen3/            a tiny random Qwen3ForCausalLM as save_pretrained writes it (separate lm_head)
  qwen3_tied/       the same with tied embeddings, one layer, in bfloat16
  qwen3_adapter/    a LoRA adapter for qwen3/ as PEFT writes it
  qwen3.json        sequences, their logprobs (float64), a summed cross-entropy, gradient norms, AdamW arrays
  qwen3_gradients.safetensors   d(cross-entropy)/d(tensor) for the three, computed in float64

Needs torch, transformers, peft, safetensors (tests/python has the versions); no network. Run: qwen3.py [OUT_DIR]
"""
import json
import os
import shutil
import sys

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

out = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(20)

LENGTHS = [1, 7, 2, 12, 23, 5]
VOCAB = 64


def make_config(layers, tied):
    return transformers.Qwen3Config(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=40, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, max_position_embeddings=256, rope_theta=10000.0, rms_norm_eps=1e-6,
        tie_word_embeddings=tied, attention_bias=False, eos_token_id=3, bos_token_id=None, pad_token_id=None)


def make_model(layers, tied, name, dtype):
    model = transformers.Qwen3ForCausalLM(make_config(layers, tied))
    with torch.no_grad():
        for key, p in model.named_parameters():  # larger than the 0.02 of the library, norms that are not 1
            p.copy_(torch.randn_like(p) * 0.3 if p.dim() == 2 else 1 + 0.2 * torch.randn_like(p))
    model = model.to(dtype)
    directory = os.path.join(out, name)
    shutil.rmtree(directory, ignore_errors=True)
    model.save_pretrained(directory)
    return transformers.Qwen3ForCausalLM.from_pretrained(directory, dtype=torch.float64, attn_implementation="eager")


sequences = []
for length in LENGTHS:
    ids = torch.randint(0, VOCAB, (length + 1,))
    sequences.append({"tokens": ids[:-1].tolist(), "targets": ids[1:].tolist(),
                      "weights": (torch.randn(length) * (torch.rand(length) < 0.7)).float().tolist()})


def evaluate(model, prefix, gradients):
    """Logprobs of every target, the loss sum of -weight * logprob, and its gradient by tensor."""
    logprobs, loss = [], 0
    for s in sequences:
        logits = model(torch.tensor([s["tokens"]])).logits[0]
        chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(s["targets"])[:, None])[:, 0]
        logprobs.append(chosen.tolist())
        loss = loss - (chosen * torch.tensor(s["weights"], dtype=torch.float64)).sum()
    model.zero_grad()
    loss.backward()
    norm = 0.0
    for key, p in model.named_parameters():
        if p.requires_grad:
            gradients[prefix + key] = p.grad.float()
            norm += p.grad.pow(2).sum().item()
    return {"logprobs": logprobs, "loss": loss.item(), "grad_norm": norm ** 0.5}


gradients = {}
golden = {"versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "peft": peft.__version__},
          "sequences": sequences}

model = make_model(2, False, "qwen3", torch.float32)
golden["qwen3"] = evaluate(model, "qwen3/", gradients)
golden["qwen3_tied"] = evaluate(make_model(1, True, "qwen3_tied", torch.bfloat16), "qwen3_tied/", gradients)

adapted = peft.get_peft_model(model, peft.LoraConfig(
    r=3, lora_alpha=12, lora_dropout=0.0, task_type="CAUSAL_LM",
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]))
with torch.no_grad():
    for key, p in adapted.named_parameters():
        if "lora_" in key:  # values that float32 holds, since PEFT saves what the gradient is taken at
            p.copy_((torch.randn_like(p) * 0.2).float().double())
directory = os.path.join(out, "qwen3_adapter")
shutil.rmtree(directory, ignore_errors=True)
adapted.float().save_pretrained(directory, save_embedding_layers=False)
adapted.double()
adapter_gradients = {}
golden["qwen3_adapter"] = evaluate(adapted, "", adapter_gradients)
for key, value in adapter_gradients.items():
    gradients["qwen3_adapter/" + key.replace(".default", "")] = value
if os.path.exists(os.path.join(directory, "README.md")):
    os.remove(os.path.join(directory, "README.md"))
with open(os.path.join(directory, "adapter_config.json")) as f:  # no path of this machine, no order of a set
    config = json.load(f)
config["base_model_name_or_path"] = "qwen3"
config["target_modules"].sort()
with open(os.path.join(directory, "adapter_config.json"), "w") as f:
    json.dump(config, f, indent=2)
    f.write("\n")

# AdamW with clipping: five steps of torch on two small parameters whose gradients are given.
steps = []
parameters = [torch.nn.Parameter(torch.randn(5)), torch.nn.Parameter(torch.randn(18))]
golden["adam"] = {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1,
                  "grad_clip_norm": 3.0, "parameters": [p.tolist() for p in parameters], "steps": steps}
optimizer = torch.optim.AdamW(parameters, lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
for i in range(5):
    given = [torch.randn_like(p) * (3.0 if i % 2 else 0.2) for p in parameters]
    for p, g in zip(parameters, given):
        p.grad = g.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, 3.0).item()
    optimizer.step()
    steps.append({"gradients": [g.tolist() for g in given], "grad_norm": norm,
                  "parameters": [p.detach().tolist() for p in parameters]})

with open(os.path.join(out, "qwen3.json"), "w") as f:
    json.dump(golden, f, separators=(",", ":"))
    f.write("\n")
save_file(gradients, os.path.join(out, "qwen3_gradients.safetensors"))
for name in ["qwen3/model", "qwen3_tied/model", "qwen3_adapter/adapter_model", "qwen3_gradients"]:
    os.chmod(os.path.join(out, name + ".safetensors"), 0o644)
