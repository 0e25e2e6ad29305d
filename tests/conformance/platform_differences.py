# SPDX-License-Identifier: Apache-2.0
"""The same run on a training platform by gradwire and by Fireworks' Python SDK through a recording proxy: the same calls with
the same heads, queries and bodies, but for the differences that docs/platform_differences.md explains. A difference that is not
there fails, and so does one that is there and does not occur.

    platform_differences.py --show        prints the differences as rows of that table, without reasons
    platform_differences.py --calls       prints the calls of both, side by side

These want what tests/conformance/run gives: FIREWORKS_BASE_URL, FIREWORKS_API_KEY and GRADWIRE_PROGRAM, the program
platform_session.
"""
import importlib.metadata
import json
import os
import pathlib
import re
import sys
import urllib.parse

import numpy

from call_differences import call, compare, names, run_client

here = pathlib.Path(__file__).resolve().parent
document = here.parent.parent / "docs" / "platform_differences.md"
by_a_clock = ("session_heartbeat", "telemetry")  # how many of these there are depends on how long the session takes
heads = ("Content-Type", "X-Api-Key", "Authorization", "Accept", "X-Request-Id", "fireworks-model", "fireworks-deployment")


def head_of(sent, ids):
    facts = {}
    for name in heads:
        value = sent.headers.get(name.lower())
        if value is not None and value != "*/*":
            facts[name] = "(an id)" if name == "X-Request-Id" else ids.replaced(value)
    query = urllib.parse.urlsplit(sent.path).query
    for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        facts[f"?{key}"] = ids.replaced(value)
    return facts


def in_float32(value):
    """The numbers of float32 tensors as float32: both clients send these, in as many digits as they like."""
    if isinstance(value, list):
        return [in_float32(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("dtype") == "float32":
        return {**value, "data": numpy.asarray(value["data"], numpy.float32).tolist()}
    return {key: in_float32(item) for key, item in value.items()}


def body_of(sent, ids):
    if not sent.body:
        return None
    assert "json" in sent.headers.get("content-type", ""), f"{sent.path}: a body of type {sent.headers.get('content-type')!r}"
    return ids.replaced(in_float32(json.loads(sent.body)))


def call_of(sent, ids):
    path = ids.replaced(urllib.parse.unquote(urllib.parse.urlsplit(sent.path).path))
    facts = head_of(sent, ids)
    if trainer := re.match(r"/training/v1/rlorTrainerJobs/[^/]+/<(.+?)>/api/v1/", path):
        path, facts["the trainer of"] = "trainer: " + path[trainer.end():], trainer[1]
    return call(f"{sent.method} {path.removeprefix('/')}", facts, body_of(sent, ids))


def session_with(given):
    """The calls in order; a call that is repeated until its answer changes is one, and what a clock sends is left out."""

    def session_of(exchanges):
        ids, calls = names(), []
        for kind, value in given.items():
            ids.add(kind, value)
        for sent in exchanges:
            if sent.path.endswith(by_a_clock):
                continue
            assert sent.status < 400 or (sent.method == "GET" and sent.status == 404), \
                f"{sent.method} {sent.path} was answered {sent.status}: {sent.reply[:300]}"
            made = call_of(sent, ids)
            if sent.path.endswith("save_weights_for_sampler"):
                ids.add("snapshot", made.body["path"])
                made.body["path"] = re.sub("-[0-9a-f]{8}$", "-<8 hex digits>", made.body["path"])
            if not calls or (made.name, made.facts, made.body) != (calls[-1].name, calls[-1].facts, calls[-1].body):
                calls.append(made)
            ids.learn(sent.reply)
        return calls

    return session_of


def main():
    upstream, version = os.environ["FIREWORKS_BASE_URL"], importlib.metadata.version("fireworks-ai")

    def session(who, *command):
        given = {kind: f"compared-{kind}-{who}" for kind in ("job", "deployment", "model", "reference")}
        return lambda: run_client([*command, *given.values()], upstream, session_with(given), FIREWORKS_BASE_URL="{url}")

    return compare(session("gradwire", os.environ["GRADWIRE_PROGRAM"]),
                   session("sdk", sys.executable, here / "platform_session.py"), document, "fireworks-ai", version, 30)


if __name__ == "__main__":
    sys.exit(main())
