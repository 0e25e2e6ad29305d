# SPDX-License-Identifier: Apache-2.0
"""A forward_backward request with images, as the Python SDK's own converter and descriptors write it.

    python tests/golden/image_chunk.py            prints protobuf as hex and the chunks as JSON
    python tests/golden/image_chunk.py --check    looks for them in tests/wire/image.cpp, which holds them

Any interpreter that has `tinker` 0.25.0 or later; all of them write the same bytes.
"""
import json
import pathlib
import sys

from tinker import types
from tinker.proto.request_conv import forward_backward_request_to_proto
from tinker.types.forward_backward_request import ForwardBackwardRequest

PICTURE = bytes([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0xFF])
INPUT = types.ModelInput(chunks=[
    types.EncodedTextChunk(tokens=[5, 6]),
    types.ImageChunk(data=PICTURE, format="png", expected_tokens=3),
    types.EncodedTextChunk(tokens=[7]),
    types.ImageChunk(data=PICTURE[:4], format="jpeg", expected_tokens=1),
    types.EncodedTextChunk(tokens=[8]),
])
DATUM = types.Datum(model_input=INPUT, loss_fn_inputs={
    "target_tokens": types.TensorData(data=[6, 0, 0, 0, 7, 0, 8, 9], dtype="int64", shape=[8]),
    "weights": types.TensorData(data=[0.0] * 7 + [1.0], dtype="float32", shape=[8])})
REQUEST = ForwardBackwardRequest(model_id="m", seq_id=1,
                                 forward_backward_input=types.ForwardBackwardInput(data=[DATUM], loss_fn="cross_entropy"))

found = {"protobuf": forward_backward_request_to_proto(REQUEST).SerializeToString(deterministic=True).hex(),
         "chunks": json.dumps([json.loads(chunk.model_dump_json(exclude_none=True)) for chunk in INPUT.chunks], separators=(",", ":"))}
if "--check" not in sys.argv:
    for name, value in found.items():
        print(name, value)
    sys.exit()
held = "".join((pathlib.Path(__file__).resolve().parent.parent / "wire" / "image.cpp").read_text().split())
held = held.replace('")""', "").replace('""', "").replace(')"R"(', "")
wrong = [name for name, value in found.items() if value.replace(" ", "") not in held]
for name in wrong:
    print(f"{name}: tests/wire/image.cpp does not hold what this SDK writes, {found[name]}")
print(f"{len(found) - len(wrong)} passed, {len(wrong)} failed")
sys.exit(bool(wrong))
