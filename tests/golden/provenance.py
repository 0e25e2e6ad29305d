# SPDX-License-Identifier: Apache-2.0
"""A forward_backward request whose datums say where their tokens come from, as the Python SDK's own converter writes it.

    python tests/golden/provenance.py            prints the request and its second datum as hex
    python tests/golden/provenance.py --check    looks for them in tests/wire/provenance.hpp, which holds them

Any interpreter that has `tinker` 0.38.0 or later.
"""
import pathlib
import sys

from tinker import types
from tinker.proto.request_conv import forward_backward_request_to_proto
from tinker.types.forward_backward_request import ForwardBackwardRequest


def prompt(sequence, offset, length):
    return types.PromptProvenanceSpan(sequence_id=sequence, offset=offset, length=length)


def sampled(sequence, offset, length):
    return types.SampledProvenanceSpan(sequence_id=sequence, offset=offset, length=length)


def datum(tokens, weights, inputs, targets):
    made = types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs={
        "target_tokens": types.TensorData(data=tokens[1:], dtype="int64", shape=[len(tokens) - 1]),
        "weights": types.TensorData(data=weights, dtype="float32", shape=[len(weights)])})
    return made.with_provenance(inputs, targets)


# A prompt and one sample; and two turns, in which the first sample and the tool's answer are the second one's prompt.
REQUEST = ForwardBackwardRequest(model_id="m", seq_id=1, forward_backward_input=types.ForwardBackwardInput(loss_fn="cross_entropy", data=[
    datum([72, 105, 65, 66], [0.0, 1.0, 1.0], [prompt("one", 0, 2), sampled("one", 0, 1)], [prompt("one", 1, 1), sampled("one", 0, 2)]),
    datum([1, 2, 3, 4, 5, 6, 7, 8, 9], [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
          [prompt("one", 0, 2), sampled("one", 0, 2), prompt("two", 4, 2), sampled("two", 0, 2)],
          [prompt("one", 1, 1), sampled("one", 0, 2), prompt("two", 4, 2), sampled("two", 0, 3)])]))

written = forward_backward_request_to_proto(REQUEST)
found = {"request": written.SerializeToString(deterministic=True).hex(),
         "two_turns": written.data[1].SerializeToString(deterministic=True).hex()}
if "--check" not in sys.argv:
    for name, value in found.items():
        print(name, value)
    sys.exit()
held = "".join((pathlib.Path(__file__).resolve().parent.parent / "wire" / "provenance.hpp").read_text().split()).replace('""', "")
wrong = [name for name, value in found.items() if f'{name}="{value}"' not in held]
for name in wrong:
    print(f"{name}: tests/wire/provenance.hpp does not hold what this SDK writes, {found[name]}")
print(f"{len(found) - len(wrong)} passed, {len(wrong)} failed")
sys.exit(bool(wrong))
