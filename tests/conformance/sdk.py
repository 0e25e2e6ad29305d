# SPDX-License-Identifier: Apache-2.0
"""What the programs that drive the embedded trainer with the Python SDK share: bytes as tokens, datums, refusals."""
import numpy as np
from tinker import types


def text(string):
    return list(string.encode())


def datum(prompt, answer, **columns):
    """Next-token targets; weight 1 on the answer's tokens unless the caller gives weights. Token ids, or strings."""
    prompt, answer = (text(part) if isinstance(part, str) else part for part in (prompt, answer))
    tokens = prompt + answer
    columns.setdefault("weights", [0.0] * (len(prompt) - 1) + [1.0] * len(answer))
    return types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs={"target_tokens": tokens[1:], **columns})


def logprobs_of(result):
    return [np.array(o["logprobs"].data, np.float64) for o in result.loss_fn_outputs]


def norm_of(metrics):
    return next(value for key, value in metrics.items() if "grad_norm" in key)


def raises(kinds, call, *words):
    """The exception of one of these kinds that the call raises, whose message has these words."""
    try:
        call()
    except kinds as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in the message: {error}"
        return error
    raise AssertionError(f"nothing was raised, expected {kinds}")
