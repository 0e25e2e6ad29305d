# SPDX-License-Identifier: Apache-2.0
"""The same session sent by gradwire and by the Python SDK through a recording proxy: the same calls with the same bodies,
but for the differences that docs/wire_differences.md explains. A difference that is not there fails, and so does one that
is there and does not occur. Protobuf bodies are decoded with the SDK's own descriptors.

    wire_differences.py --show        prints the differences as rows of that table, without reasons
    wire_differences.py --calls       prints the calls of both, side by side

These want what tests/conformance/run gives: TINKER_BASE_URL, TINKER_API_KEY, GRADWIRE_MODEL and GRADWIRE_PROGRAM, the
program wire_session.
"""
import base64
import json
import os
import pathlib
import re
import sys

import numpy
import tinker
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from tinker.proto import tinker_public_pb2  # registers the descriptors  # noqa: F401

from call_differences import call, compare, names, nothing, run_client

here = pathlib.Path(__file__).resolve().parent
document = here.parent.parent / "docs" / "wire_differences.md"
by_a_clock = ("session_heartbeat", "telemetry")  # how many of these there are depends on how long the session takes


# ---- what was sent --------------------------------------------------------------------------------------------------

def protobuf(content_type, body):
    kind = re.search(r"proto(?:Type|-type)?=\"?([\w.]+)", content_type)
    names = [kind[1]] if kind else ["tinker_public.ForwardBackwardRequest", "tinker_public.ForwardRequest"]
    pool = descriptor_pool.Default()
    for name in names:
        try:
            message = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()
        except KeyError:
            continue
        message.ParseFromString(body)
        decoded = numbers_of(message)
        for field in unknown_fields(message):  # newer than this SDK
            decoded[field] = "unknown to this SDK"
        return decoded
    raise AssertionError(f"no descriptor for {content_type}")


def unknown_fields(message):
    from google.protobuf import unknown_fields as unknown
    found = [f"({message.DESCRIPTOR.name} field {field.field_number})" for field in unknown.UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        is_map = field.message_type.GetOptions().map_entry
        parts = (value.values() if field.message_type.fields_by_name["value"].type == field.TYPE_MESSAGE else []) if is_map else \
            value if field.is_repeated else [value]
        for part in parts:
            found += unknown_fields(part)
    return found


def numbers_of(message):
    """A message as JSON, byte strings of tokens and tensors as the numbers in them."""
    plain = MessageToDict(message, preserving_proto_field_name=True, use_integers_for_enums=False)

    def walk(value):
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind = str(value.get("dtype", ""))
        out = {}
        for key, item in value.items():
            if key in ("dense", "tokens") and isinstance(item, str):
                as_type = numpy.int64 if "INT64" in kind else numpy.int32 if key == "tokens" else numpy.float32
                item = numpy.frombuffer(base64.b64decode(item), as_type).tolist()
            out[key] = walk(item)
        return out

    return walk(plain)


def body_of(sent):
    content_type = sent.headers.get("content-type", "")
    if not sent.body:
        return None
    if "json" in content_type:
        return json.loads(sent.body)
    if "proto" in content_type:
        return protobuf(content_type, sent.body)
    raise AssertionError(f"a body of type {content_type!r}")


def call_of(sent, ids):
    path = ids.replaced(sent.path.removeprefix("/api/v1/"))
    head = {"Content-Type": sent.headers.get("content-type", nothing).split(";")[0], "X-API-Key": str("x-api-key" in sent.headers)}
    return call(f"{sent.method} {path}", head, ids.replaced(body_of(sent)))


def session_of(exchanges):
    """The calls in order; repeated polls for one result are one call, and what a clock sends is left out."""
    ids, calls = names(), []
    for sent in exchanges:
        assert sent.status < 400 or sent.status == 408, f"{sent.method} {sent.path} was answered {sent.status}: {sent.reply[:300]}"
        if not sent.path.endswith(by_a_clock):
            made = call_of(sent, ids)
            if not (calls and made.name.endswith("retrieve_future") and made.name == calls[-1].name and made.body == calls[-1].body):
                calls.append(made)
        ids.learn(sent.reply)
    return calls


def main():
    upstream, model = os.environ["TINKER_BASE_URL"], os.environ["GRADWIRE_MODEL"]

    newer = ["--newer"] if hasattr(tinker.types, "PromptProvenanceSpan") else []

    def session(*command):
        return lambda: run_client([*command, model, *newer], upstream, session_of, TINKER_BASE_URL="{url}", TINKER_TELEMETRY="0")

    return compare(session(os.environ["GRADWIRE_PROGRAM"]), session(sys.executable, here / "wire_session.py"), document,
                   "tinker", tinker.__version__, 15)


if __name__ == "__main__":
    sys.exit(main())
