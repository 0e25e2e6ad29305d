# SPDX-License-Identifier: Apache-2.0
"""examples/rl_on_a_shape as its user starts it: as one command, which makes its own embedded platform, and against a platform
on another address with only address and key different. Both platforms keep a record of what they were asked (--requests);
the records must be the same but for the ids that a run makes and is given. That the record is what was sent is held to the
recording proxy, which is between the second run and its platform.

These want what tests/conformance/run gives: FIREWORKS_BASE_URL, FIREWORKS_API_KEY, GRADWIRE_REQUESTS, the record of that
platform, GRADWIRE_PROGRAM, the example, GRADWIRE_SESSION, the program platform_session, and GRADWIRE_FOLDER.
"""
import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request

import checks
from checks import check, run
from recording_proxy import recording

example = os.environ["GRADWIRE_PROGRAM"]
folder = pathlib.Path(os.environ["GRADWIRE_FOLDER"])
words = ("--steps", "5", "--hot-load-every", "2", "--save-every", "3", "--seed", "1")  # the seed of the other platform's weights
not_compared = {"host", "content-length"}  # the address, and a size that follows from the rest


class it:
    """What the checks hand on."""


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FIREWORKS_")}
    return dict(clean, **{name: str(value) for name, value in more.items()})


def started(*options, **more):
    done = subprocess.run([example, *map(str, options)], env=environment(**more), cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


def finished(*options, **more):
    status, said = started(*options, **more)
    assert status == 0, f"status {status}:\n{said}"
    return said


# ---- what was asked --------------------------------------------------------------------------------------------------

request = collections.namedtuple("request", "method target headers body")


def recorded(file):
    for line in pathlib.Path(file).read_text().splitlines():
        asked = json.loads(line)
        yield request(asked["method"], asked["target"], {name.lower(): value for name, value in asked["headers"]}, asked["body"])


def lane(asked):
    """What waits for its own answers before it asks on: a trainer's client; "" is all the rest."""
    found = re.match(r"/training/v1/rlorTrainerJobs/[^/]+/gradwire-[0-9a-f]{8}-(\w+)/", asked.target)
    return found[1] if found else ""


class same_ids:
    """Ids that are random, by their kind, their lane and the order in which that lane came to use them."""
    kinds = (("run", r"(?<=gradwire-)[0-9a-f]{8}(?=-)"), ("snapshot", r"(?<=step-)\d+-[0-9a-f]{8}\b"),
             ("session", r"session-[0-9a-f]{32}"), ("client", r"^[0-9a-f]{16}(?=-\d+$)"), ("future", r"^[0-9a-f]{8}(?=-\d+$)"))

    def __init__(self):
        self.known = collections.defaultdict(dict)

    def replaced(self, value, of):
        if isinstance(value, dict):
            return {key: self.replaced(each, of) for key, each in value.items()}
        if isinstance(value, list):
            return [self.replaced(each, of) for each in value]
        if not isinstance(value, str):
            return value
        for kind, pattern in self.kinds:
            def name(found):
                step = found[0].partition("-")[0] + " " if kind == "snapshot" else ""
                seen = self.known[kind, of if kind in ("session", "client", "future") else "", step]
                return f"<{step}{kind} {seen.setdefault(found[0], len(seen) + 1)}>"
            value = re.sub(pattern, name, value)
        return value


def comparable(asked, ids):
    of = lane(asked)
    headers = {name: value for name, value in asked.headers.items() if name not in not_compared}
    if "x-request-id" in headers:  # many are under way at once, in any order
        assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"]), headers
        headers["x-request-id"] = "(an id)"
    body = json.loads(asked.body) if asked.body else None
    told = {"target": urllib.parse.unquote(asked.target), "headers": headers, "body": body}
    return asked.method + " " + json.dumps(ids.replaced(told, of), sort_keys=True)


steps_of_a_trainer = ("forward", "forward_backward", "optim_step", "save_weights_for_sampler", "save_weights")


def begins_a_phase(asked):
    """Nothing is under way any more when it is sent, and nothing else is sent until it is answered."""
    return (asked.target.rpartition("/")[2] in steps_of_a_trainer or asked.method == "DELETE"
            or (asked.method == "POST" and asked.target.startswith("/hot_load/")))


def phases(requests):
    """The requests cut where one waits for all before it; within a phase sorted, and what is asked again and again until
    its answer changes once. What a clock sends is left out."""
    ids, found = same_ids(), [[]]
    for asked in requests:
        if asked.target.endswith("/session_heartbeat"):
            continue
        if begins_a_phase(asked):
            found.append([])
        found[-1].append((asked.method == "GET" or asked.target.endswith("/retrieve_future"), comparable(asked, ids)))
    return [sorted([line for poll, line in phase if not poll] + list({line for poll, line in phase if poll})) for phase in found]


# ---- the checks ------------------------------------------------------------------------------------------------------

@check
def one_command():
    """rl_on_a_shape and nothing else: the embedded platform is made, trained on, and all of it is deleted."""
    it.alone_said = finished(*words, "--journal", "alone.jsonl", "--requests", "alone.requests", TMPDIR=folder)
    it.alone = list(recorded(folder / "alone.requests"))
    assert it.alone_said.startswith("platform: embedded, http://127.0.0.1:"), it.alone_said
    made = {asked.target.rpartition("=")[2] for asked in it.alone if asked.method == "POST" and asked.target.startswith("/v1/")}
    gone = {asked.target.partition("?")[0].rpartition("/")[2] for asked in it.alone if asked.method == "DELETE"}
    assert len(made) == 3 and made == gone, (made, gone)
    left = [path.name for path in folder.glob("gradwire-*")]
    assert not left, f"folders are left behind: {left}"
    return f"{len(it.alone)} requests"


@check
def another_address():
    """The same words with FIREWORKS_BASE_URL and FIREWORKS_API_KEY."""
    with recording(checks.url) as proxy:
        it.there_said = finished(*words, "--journal", "there.jsonl", FIREWORKS_BASE_URL=proxy.url,
                                 FIREWORKS_API_KEY=os.environ["FIREWORKS_API_KEY"])
        it.exchanges, it.address = list(proxy.exchanges), proxy.url
    it.there = list(recorded(os.environ["GRADWIRE_REQUESTS"]))
    return f"{len(it.there)} requests"


@check
def the_record_is_what_was_sent():
    """Method, target, body and headers of each request, as the proxy saw it on its way."""
    def sorted_lines(lines):
        return sorted(json.dumps(line, sort_keys=True) for line in lines)

    def kept(headers):  # the proxy keeps no value of a header that carries a key
        return {name: "" if "key)" in value else value for name, value in headers.items()
                if name not in not_compared | {"connection", "accept-encoding"}}
    seen = sorted_lines((each.method, each.path, kept(each.headers), each.body.decode()) for each in it.exchanges)
    noted = sorted_lines((each.method, each.target, kept(each.headers), each.body) for each in it.there)
    assert seen == noted, next(pair for pair in zip(seen, noted) if pair[0] != pair[1])
    refused = [each for each in it.exchanges if each.status >= 400]
    assert not refused, refused[0]
    return f"{len(seen)} requests"


@check
def only_address_and_key_differ():
    """All requests of both runs in their order: method, address, query, headers, bodies."""
    here, there = phases(it.alone), phases(it.there)
    for number, (ours, theirs) in enumerate(zip(here, there)):
        if ours != theirs:
            one = [line for line in ours if line not in theirs] or ["nothing"]
            other = [line for line in theirs if line not in ours] or ["nothing"]
            raise AssertionError(f"phase {number}: {one[0][:1500]}\nagainst {other[0][:1500]}")
    assert len(here) == len(there), (len(here), len(there))
    own = [len({asked.headers["x-request-id"] for asked in asked_of if "x-request-id" in asked.headers}) for asked_of in (it.alone, it.there)]
    assert own == [5 * 2 * 8 * 8] * 2, own  # steps, parts, prompts, samples: an id each
    return f"{sum(map(len, here))} requests in {len(here)} phases"


def said(text):
    """Without what is random, measured, or only one of the two runs can know."""
    text = re.sub(r"^platform: .*|^(trainer job|deployment) .*: .*", "", text, flags=re.M)
    text = re.sub(r"[0-9a-f]{8}(?=[ -])|(?<=-)[0-9a-f]{8}\b", "#", text)
    text = re.sub(r" in [0-9.]+ s.*", " in # s", text)
    return [re.sub(r" +[0-9.]+k tok/s.*", "", line) for line in text.splitlines() if line]


@check
def both_say_the_same():
    """The progress line with its loss and reward, the snapshots, the end."""
    assert said(it.alone_said) == said(it.there_said), f"{it.alone_said}\nagainst\n{it.there_said}"
    progress = next(line for line in said(it.alone_said) if line.startswith("GRPO"))
    assert re.search(r"5/5  loss -?[0-9.]+  reward [0-9.]+  KL [0-9.]+", progress), progress
    return progress


def sizes_of(text, kind):
    return [int(size) for size in re.findall(rf": {kind} \S+ loaded in [0-9.]+ s, (\d+) bytes", text)]


@check
def deltas_are_small():
    """A base, then deltas; at a small learning rate a base is at least 8 times each of them."""
    told = finished("--steps", "8", "--learning-rate", "1e-6", "--journal", "small.jsonl")
    ratios = []
    for text, deltas, least in ((it.alone_said, 3, 1), (told, 2, 8)):
        (base,), sizes = sizes_of(text, "base"), sizes_of(text, "delta")
        assert len(sizes) == deltas and all(size * least < base for size in sizes), text
        ratios.append([round(base / size, 1) for size in sizes])
    return f"base / delta {ratios[0]}, at 1e-6 {ratios[1]}"


# ---- compared with Fireworks' SDK ------------------------------------------------------------------------------------

def members(value, place=""):
    if isinstance(value, dict):
        return {path for key, each in value.items() for path in members(each, f"{place}.{key}")} | {place}
    if isinstance(value, list):
        return {path for each in value for path in members(each, place + "[]")} | {place}
    return {place}


def kind_of(method, target, headers, body):
    """A request without its values: path without ids, names of query, headers and members."""
    address = urllib.parse.urlsplit(target)
    path = re.sub(r"(accounts|rlorTrainerJobs/acme|rlorTrainerJobs|deployments|models|trainingShapes)/[^/:]+", r"\1/*",
                  urllib.parse.unquote(address.path))
    query = sorted(key for key, _ in urllib.parse.parse_qsl(address.query))
    names = sorted(headers.keys() - not_compared - {"connection", "accept-encoding"})
    return json.dumps([f"{method} {path}", query, names, sorted(members(json.loads(body) if body else None))])


@check
def nothing_that_is_not_compared_with_the_sdk():
    """Each kind of request that the example sends is one of platform_session's, which platform_wire compares with the SDK's."""
    with recording(checks.url) as proxy:
        subprocess.run([os.environ["GRADWIRE_SESSION"], *(f"kinds-{each}" for each in ("job", "deployment", "model", "reference"))], check=True,
                       env=dict(os.environ, FIREWORKS_BASE_URL=proxy.url), timeout=120)
        compared = {kind_of(each.method, each.path, each.headers, each.body) for each in proxy.exchanges}
    kinds = {kind_of(*asked) for asked in it.alone if not asked.target.endswith("/session_heartbeat")}
    more = sorted(kinds - compared)
    assert not more, "not in tests/conformance/platform_session:\n" + "\n".join(more)
    return f"{len(kinds)} kinds of requests"


# ---- stopped, and wrong ----------------------------------------------------------------------------------------------

def asked(path, body=None):
    question = urllib.request.Request(checks.url + path, data=body and json.dumps(body).encode(), headers={
        "X-API-Key": os.environ["FIREWORKS_API_KEY"], "Content-Type": "application/json"})
    with urllib.request.urlopen(question, timeout=30) as reply:
        return json.load(reply)


def what_is_left():
    return [each["name"].rpartition("/")[2] for kind in ("rlorTrainerJobs", "deployments")
            for each in asked(f"/v1/accounts/acme/{kind}")[kind]]


there = {"FIREWORKS_BASE_URL": checks.url, "FIREWORKS_API_KEY": os.environ["FIREWORKS_API_KEY"]}


def stopped(*options, **more):
    """Sends SIGINT when the first weights of the run's own are served; the status and all that was said."""
    running = subprocess.Popen([example, *options], env=environment(**more), cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    told = ""
    for line in running.stdout:
        told += line
        if line.startswith("step 2:"):
            running.send_signal(signal.SIGINT)
    return running.wait(60), told


@check
def stopped_and_started_again():
    """Ctrl-C ends after the step, says what is there and how to go on; the same words go on; nothing is left."""
    assert not what_is_left(), what_is_left()
    words_here = ("--hot-load-every", "2", "--journal", "stopped.jsonl")
    status, told = stopped(*words_here, "--steps", "60", **there)
    assert status == 130 and "stopped after step" in told and "--close" in told, (status, told)
    assert len(what_is_left()) == 3, what_is_left()
    step = int(re.search(r"stopped after step (\d+)", told)[1])
    again = finished(*words_here, "--steps", str(step + 1), **there)
    assert "goes on: " in again and f"] {step + 1}/{step + 1}" in again, again
    assert not what_is_left(), what_is_left()
    status, over = started(*words_here, **there)
    assert status == 1 and "is over" in over and "--journal" in over, (status, over)


@check
def stopped_and_closed():
    """--close deletes what a stopped run has left."""
    words_here = ("--steps", "60", "--hot-load-every", "2", "--journal", "closed.jsonl")
    assert stopped(*words_here, **there)[0] == 130
    assert len(what_is_left()) == 3, what_is_left()
    assert "nothing of the run is left" in finished(*words_here, "--close", **there)
    assert not what_is_left(), what_is_left()


@check
def stopped_on_the_embedded_platform():
    """It ends with the process, and takes its folder with it."""
    status, told = stopped("--steps", "60", "--hot-load-every", "2", "--journal", "alone.jsonl", TMPDIR=folder)
    assert status == 130 and "ends with this process" in told, (status, told)
    assert not list(folder.glob("gradwire-*"))


@check
def an_error_in_the_middle():
    """What was made stays, which is said; the same words go on."""
    words_here = ("--steps", "3", "--journal", "error.jsonl")
    asked("/gradwire/faults", {"name": "refuse", "value": "trainer/optim_step:400", "times": 1})
    status, told = started(*words_here, **there)
    assert status == 1 and "the gateway is not well" in told and "the same words go on" in told, (status, told)
    assert len(what_is_left()) == 3, what_is_left()
    again = finished(*words_here, **there)
    assert "goes on: " in again and not what_is_left(), (again, what_is_left())


@check
def sentences():
    """What is wrong is said in a sentence, with status 1 and nothing made."""
    shape = "accounts/fireworks/trainingShapes/none"
    with recording(checks.url) as proxy:
        gone = proxy.url  # nobody listens there any more
    for words_here, more, expected in (
            ((), {**there, "FIREWORKS_API_KEY": "fw_wrong"}, ("401", "FIREWORKS_API_KEY")),
            ((), {"FIREWORKS_BASE_URL": checks.url}, ("FIREWORKS_API_KEY is not set",)),
            ((), {**there, "FIREWORKS_BASE_URL": gone}, (gone.removeprefix("http://"), "refused")),
            ((), {**there, "FIREWORKS_BASE_URL": "http://api.example.com"}, ("api.example.com over http", "https")),
            (("--shape", shape), there, (shape, "404")),
            (("--shape", "none"), there, ("short id", "accounts/<account>/trainingShapes/none")),
            (("--reference-shape", "accounts/fireworks/trainingShapes/qwen3-4b-65k-h200-forward-only"), there, ("qwen3-4b",)),
            (("--model", "accounts/fireworks/models/qwen3-4b"), there, ("is for accounts/fireworks/models/qwen3-8b",))):
        status, told = started(*words_here, "--journal", "wrong.jsonl", **more)
        sentence = told.strip().splitlines()[-1]
        assert status == 1 and all(word in sentence for word in expected), (words_here, status, told)
        assert "fw_" not in told, told
        assert not what_is_left(), (words_here, what_is_left())
        (folder / "wrong.jsonl").unlink(missing_ok=True)


@check
def usage():
    """What cannot be understood: the reason, the options, status 2."""
    for words_here in (("--steps", "x"), ("--steps",), ("--steps", "0"), ("--hot-load-every", "0"), ("--none",), ("word",),
                       ("--reference-shape", ""), ("--close",)):
        status, told = started(*words_here)
        assert status == 2 and "--hot-load-every" in told and "platform:" not in told, (words_here, status, told)
    status, told = started("--files", "here", **there)
    assert status == 2 and "FIREWORKS_BASE_URL" in told, (status, told)
    status, told = started("--help")
    assert status == 0 and "--journal" in told, (status, told)


if __name__ == "__main__":
    run()
