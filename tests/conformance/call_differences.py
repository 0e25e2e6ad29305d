# SPDX-License-Identifier: Apache-2.0
"""Two recorded sessions, call by call: what one client sends and the other does not, and whether a document explains it."""
import fnmatch
import json
import os
import re
import subprocess
import sys

from recording_proxy import recording

nothing = "—"


class names:
    """Ids that the server gave, by the order in which they came: the two sessions have different ones."""

    def __init__(self):
        self.known = {}

    def add(self, kind, value):
        if isinstance(value, (str, int)) and str(value) not in self.known:
            number = sum(name.startswith(kind) for name in self.known.values()) + 1
            self.known[str(value)] = f"{kind} {number}"

    def learn(self, reply):
        try:
            given = json.loads(reply)
        except ValueError:
            return
        for key in ("session_id", "model_id", "sampling_session_id", "request_id") if isinstance(given, dict) else ():
            self.add(key, given.get(key))

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
    """A request: its name, what is to be compared of its head ({place: text}), its decoded body."""

    def __init__(self, name, facts, body):
        self.name, self.facts, self.body = name, facts, body


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
        for place in a.facts | b.facts:
            if (given := a.facts.get(place, nothing)) != (other := b.facts.get(place, nothing)):
                rows.append((a.name, place, given, other))
        rows += [(a.name, *row) for row in differing(a.body, b.body)]
    return list(dict.fromkeys(rows))  # the same difference in several calls of a name is one


# ---- what the document explains -------------------------------------------------------------------------------------

def explained(document, version):
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


# ---- the two clients ------------------------------------------------------------------------------------------------

def run_client(command, upstream, session_of, seconds=120, **environment):
    """Runs a client against a proxy; its environment gets what is given, with {url} filled in. The calls it made."""
    with recording(upstream) as proxy:
        told = dict(os.environ, **{k: v.format(url=proxy.url) for k, v in environment.items()})
        done = subprocess.run(list(map(str, command)), env=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
        assert done.returncode == 0, f"{command[0]} ended with status {done.returncode}:\n" + done.stdout.decode(errors="replace")[-3000:]
        return session_of(proxy.exchanges)


def compare(ours_of, theirs_of, document, sdk, version, at_least):
    """Prints what differs and whether the document has it; the exit status. --show and --calls of the command line."""
    passed = failed = 0

    def result(good, line):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)

    try:
        ours, theirs = ours_of(), theirs_of()
    except (AssertionError, subprocess.TimeoutExpired) as failure:
        print(f"FAIL the sessions: {failure}\n0 passed, 1 failed")
        return 1
    found = differences(ours, theirs)
    if "--calls" in sys.argv:
        for a, b in aligned(ours, theirs):
            for it, whose in ((a, "gradwire"), (b, "SDK")):
                print(whose, it and f"{it.name} {shown(it.facts)} {shown(it.body)}")
        return 0
    if "--show" in sys.argv:
        for row in found:
            print("| " + " | ".join("`" + cell.replace("|", "\\|") + "`" for cell in row) + f" | {version} | |")
        return 0
    result(min(len(ours), len(theirs)) > at_least, f"both sessions ran: {len(ours)} calls by gradwire, {len(theirs)} by {sdk} {version}")
    known = explained(document, version)
    same = [a.name for a, b in aligned(ours, theirs) if a and b and not differences([a], [b])]
    result(len(same) > 0, f"{len(same)} calls are the same in both but for the order of fields")
    for difference in found:
        if not any(covers(row, difference) for row in known):
            result(False, "not explained: " + " | ".join(difference))
    for row in known:
        occurs = any(covers(row, difference) for difference in found)
        result(occurs, "explained" + ("" if occurs else ", but does not occur") + ": " + " | ".join(row))
    print(f"{passed} passed, {failed} failed")
    return failed != 0
