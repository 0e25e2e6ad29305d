# SPDX-License-Identifier: Apache-2.0
"""The same session sent by gradwire and by the Python SDK through a recording proxy: the same calls with the same bodies,
but for the differences that docs/wire_differences.md explains. A difference that is not there fails, and so does one that
is there and does not occur. Protobuf bodies are decoded with the SDK's own descriptors.

    wire_differences.py [--show]      --show prints the differences as rows of that table, without reasons
"""
import base64
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy
import tinker
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict
from tinker.proto import tinker_public_pb2  # registers the descriptors  # noqa: F401

from recording_proxy import recording

here = pathlib.Path(__file__).resolve().parent
document = here.parent.parent / "docs" / "wire_differences.md"
nothing = "—"
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


class names:
    """Ids that the server gave, by the order in which they came: the two sessions have different ones."""

    def __init__(self):
        self.known = {}

    def learn(self, reply):
        try:
            given = json.loads(reply)
        except ValueError:
            return
        for key in ("session_id", "model_id", "sampling_session_id", "request_id") if isinstance(given, dict) else ():
            value = given.get(key)
            if isinstance(value, (str, int)) and str(value) not in self.known:
                number = sum(name.startswith(key) for name in self.known.values()) + 1
                self.known[str(value)] = f"{key} {number}"

    def replaced(self, value, key=""):
        if isinstance(value, dict):
            return {k: self.replaced(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.replaced(v) for v in value]
        if key == "request_id":
            return f"<{self.known[str(value)]}>"
        if isinstance(value, str):
            for given in sorted(self.known, key=len, reverse=True):
                if len(given) > 8:  # a request id may be a short number, which stands for other things too
                    value = value.replace(given, f"<{self.known[given]}>")
        return value


class call:
    def __init__(self, sent, ids):
        path = ids.replaced(sent.path.removeprefix("/api/v1/"))
        self.name = f"{sent.method} {path}"
        self.content_type = sent.headers.get("content-type", nothing).split(";")[0]
        self.body = ids.replaced(body_of(sent))
        self.key = "x-api-key" in sent.headers


def session_of(exchanges):
    """The calls in order; repeated polls for one result are one call, and what a clock sends is left out."""
    ids, calls = names(), []
    for sent in exchanges:
        assert sent.status < 400 or sent.status == 408, f"{sent.method} {sent.path} was answered {sent.status}: {sent.reply[:300]}"
        if not sent.path.endswith(by_a_clock):
            made = call(sent, ids)
            if not (calls and made.name.endswith("retrieve_future") and made.name == calls[-1].name and made.body == calls[-1].body):
                calls.append(made)
        ids.learn(sent.reply)
    return calls


# ---- what differs ---------------------------------------------------------------------------------------------------

def shown(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def equal(a, b):
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    return a == b  # 1 and 1.0 are the same JSON number


def differing(a, b, place="body"):
    """Rows (place, gradwire's, the SDK's) for two decoded bodies."""
    if isinstance(a, dict) and isinstance(b, dict):
        rows = []
        for key in sorted(a.keys() | b.keys()):
            at = f"{place}.{key}"
            if key not in a:
                rows.append((at, nothing, shown(b[key])))
            elif key not in b:
                rows.append((at, shown(a[key]), nothing))
            else:
                rows += differing(a[key], b[key], at)
        return rows
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and any(isinstance(x, (dict, list)) for x in a + b):
        return [row for x, y in zip(a, b) for row in differing(x, y, f"{place}[]")]
    return [] if equal(a, b) else [(place, shown(a), shown(b))]


def aligned(ours, theirs):
    """Pairs of calls of the same name in order, (call, None) and (None, call) for those that one side alone makes."""
    table = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            same = ours[i].name == theirs[j].name
            table[i][j] = max(table[i + 1][j + 1] + 1 if same else 0, table[i + 1][j], table[i][j + 1])
    i = j = 0
    while i < len(ours) or j < len(theirs):
        if i < len(ours) and j < len(theirs) and ours[i].name == theirs[j].name and table[i][j] == table[i + 1][j + 1] + 1:
            yield ours[i], theirs[j]
            i, j = i + 1, j + 1
        elif j == len(theirs) or (i < len(ours) and table[i + 1][j] >= table[i][j + 1]):
            yield ours[i], None
            i += 1
        else:
            yield None, theirs[j]
            j += 1


def differences(ours, theirs):
    rows, pairs = [], list(aligned(ours, theirs))
    for i, (a, _) in enumerate(pairs):  # a call that both make, at another place in the order
        if a is None or pairs[i][1] is not None:
            continue
        for j, (c, d) in enumerate(pairs):
            if c is None and d is not None and d.name == a.name:
                rows.append((a.name, "the order", "earlier" if i < j else "later", "earlier" if j < i else "later"))
                pairs[i], pairs[j] = (a, d), (None, None)
                break
    for a, b in pairs:
        if a is None and b is None:
            continue
        if a is None or b is None:
            rows.append(((a or b).name, "the call", nothing if a is None else "sent", nothing if b is None else "sent"))
            continue
        if a.content_type != b.content_type:
            rows.append((a.name, "Content-Type", a.content_type, b.content_type))
        if a.key != b.key:
            rows.append((a.name, "X-API-Key", str(a.key), str(b.key)))
        rows += [(a.name, *row) for row in differing(a.body, b.body)]
    return list(dict.fromkeys(rows))  # the same difference in several calls of a name is one


# ---- what the document explains -------------------------------------------------------------------------------------

def explained(version):
    rows = []
    for line in document.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 6 or cells[0] in ("call", "") or set(cells[0]) <= set("-:"):
            continue
        *row, versions, why = [cell.replace("\\|", "|") for cell in cells]
        assert why, f"a difference without a reason: {line}"
        if version in versions.split(", "):
            rows.append(tuple(cell.strip("`") for cell in row))
    assert rows, f"{document} has no table"
    return rows


def covers(row, difference):
    """… stands for anything."""
    return all(fnmatch.fnmatchcase(there, fnmatch_pattern(written)) for written, there in zip(row, difference))


def fnmatch_pattern(text):
    return re.sub(r"([\[?*])", r"[\1]", text).replace("…", "*")


def run_client(command, upstream):
    with recording(upstream) as proxy:
        environment = dict(os.environ, TINKER_BASE_URL=proxy.url, TINKER_TELEMETRY="0")
        done = subprocess.run(list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, f"{command[0]} ended with status {done.returncode}:\n" + done.stdout.decode(errors="replace")[-3000:]
        return session_of(proxy.exchanges)


def main():
    upstream, model = os.environ["TINKER_BASE_URL"], os.environ["GRADWIRE_MODEL"]
    passed = failed = 0

    def result(good, line):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)

    try:
        ours = run_client([os.environ["GRADWIRE_PROGRAM"], model], upstream)
        theirs = run_client([sys.executable, here / "wire_session.py", model], upstream)
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        print(f"FAIL the sessions: {failure}\n0 passed, 1 failed")
        return 1
    found = differences(ours, theirs)
    if "--calls" in sys.argv:
        for a, b in aligned(ours, theirs):
            for it, whose in ((a, "gradwire"), (b, "SDK")):
                print(whose, it and f"{it.name} {it.content_type} {shown(it.body)}")
        return 0
    if "--show" in sys.argv:
        for row in found:
            print("| " + " | ".join("`" + cell.replace("|", "\\|") + "`" for cell in row) + f" | {tinker.__version__} | |")
        return 0
    result(len(ours) > 15, f"both sessions ran: {len(ours)} calls by gradwire, {len(theirs)} by tinker {tinker.__version__}")
    known = explained(tinker.__version__)
    same = [a.name for a, b in aligned(ours, theirs) if a and b and not differences([a], [b])]
    result(len(same) > 0, f"{len(same)} calls are the same in both but for the order of fields")
    for difference in found:
        if not any(covers(row, difference) for row in known):
            result(False, "not explained: " + " | ".join(difference))
    for row in known:
        result(any(covers(row, difference) for difference in found), "explained" + (
            "" if any(covers(row, difference) for difference in found) else ", but does not occur") + ": " + " | ".join(row))
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
