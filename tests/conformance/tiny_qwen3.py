#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tiny_qwen3.py FOLDER [--seed N]: a small random Qwen3 made by transformers, with a byte tokenizer, saved as a Hugging
Face checkpoint in float32. Nothing is downloaded. Run it with the interpreter of `tests/python/venv transformers`.
"""
import argparse
import os

os.environ["HF_HUB_OFFLINE"] = "1"
import tokenizers
import torch
import transformers

transformers.utils.logging.disable_progress_bar()
arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("folder")
arguments.add_argument("--seed", type=int, default=0)
arguments = arguments.parse_args()

# Every byte is a token, then the special ones: any text encodes, and no vocabulary has to be learnt.
bytes_ = tokenizers.pre_tokenizers.ByteLevel
tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={c: i for i, c in enumerate(sorted(bytes_.alphabet()))}, merges=[]))
tokenizer.pre_tokenizer = bytes_(add_prefix_space=False, use_regex=False)
tokenizer.decoder = tokenizers.decoders.ByteLevel()
tokenizer.add_special_tokens(["<|endoftext|>", "<|im_end|>"])
fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                            clean_up_tokenization_spaces=False)

torch.manual_seed(arguments.seed)
config = transformers.Qwen3Config(
    vocab_size=320, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    head_dim=16, max_position_embeddings=1024, rms_norm_eps=1e-6, tie_word_embeddings=False, attention_bias=False,
    initializer_range=0.08,  # larger than usual, so that two layers are far from uniform
    eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id, dtype="float32")
model = transformers.Qwen3ForCausalLM(config).float()
with torch.no_grad():  # norms that are 1 everywhere would hide a norm that is left out
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.uniform_(0.7, 1.3)
model.save_pretrained(arguments.folder)
fast.save_pretrained(arguments.folder)
