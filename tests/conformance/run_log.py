#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What gradwire writes of a run, read by the programs that it is written for: the event file by TensorBoard's own reader
and by its server's loader, the trace as the JSON array of Chrome's format."""
import json
import math
import os
import pathlib
import subprocess
import tempfile

from checks import check, run

folder = pathlib.Path(tempfile.mkdtemp(prefix="gradwire-run-log-"))
subprocess.run([os.environ["GRADWIRE_PROGRAM"], str(folder)], check=True)
lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@check
def metrics_are_a_line_a_step():
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5], lines
    assert all(line["not_a_number"] is None for line in lines)
    assert lines[4]["loss"] < lines[0]["loss"] and all(line["tokens"] == 8 for line in lines), lines
    return f"loss {lines[0]['loss']:.3f} -> {lines[4]['loss']:.3f}"


def same_as_the_lines(scalars):
    for tag, found in scalars.items():
        assert [step for step, _ in found] == [1, 2, 3, 4, 5], (tag, found)
        for (_, value), line in zip(found, lines):
            expected = line[tag]
            assert math.isnan(value) if expected is None else abs(value - expected) <= 1e-6 * max(1, abs(expected)), (tag, value, expected)
    assert set(scalars) == set(lines[0]) - {"step", "time"}, (set(scalars), set(lines[0]))


@check
def tensorboard_reads_every_scalar():
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    reader = EventAccumulator(str(folder)).Reload()
    tensors = reader.Tags()["tensors"], reader.Tags()["scalars"]
    scalars = {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in tensors[1]}
    same_as_the_lines(scalars)
    return f"{len(scalars)} tags"


@check
def tensorboard_checks_the_sums_of_every_record():
    from tensorboard.backend.event_processing import event_file_loader
    (events,) = folder.glob("events.out.tfevents.*")
    assert len(list(event_file_loader.EventFileLoader(str(events)).Load())) == 6  # the version and five steps
    whole = events.read_bytes()
    flipped = folder / "flipped" / events.name
    flipped.parent.mkdir()
    middle = len(whole) // 2
    flipped.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
    assert len(list(event_file_loader.EventFileLoader(str(flipped)).Load())) < 6


@check
def the_trace_is_chromes_format():
    entries = [entry for entry in json.loads((folder / "trace.json").read_text()) if entry]
    begun, ended = {}, []
    for entry in entries:
        assert {"ph", "name", "ts", "pid", "tid"} <= set(entry), entry
        if entry["ph"] == "b":
            begun[(entry["id"], entry["name"])] = entry["ts"]
        elif entry["ph"] == "e":
            assert entry["ts"] >= begun.pop((entry["id"], entry["name"])), entry
            ended.append(entry["name"])
    assert not begun, f"never ended: {begun}"
    assert ended.count("optim_step") == 5 and ended.count("forward") == 5 and ended.count("forward_backward") == 5, ended
    assert sum(entry["ph"] == "X" and entry["name"] == "loss" and entry["dur"] > 0 for entry in entries) == 5
    assert sum(entry["ph"] == "i" for entry in entries) == 5
    return f"{len(entries)} entries"


@check
def the_ledger_counts_every_call_once():
    rows = {line.split()[0]: [float(cell) for cell in line.split()[1:]] for line in (folder / "ledger.txt").read_text().splitlines()[1:]}
    for name in ("forward", "forward_backward"):
        assert rows[name][:4] == [5, 5, 0, 40], rows
    assert rows["optim_step"][:3] == [5, 5, 0], rows
    assert rows["total"][0] == sum(row[0] for name, row in rows.items() if name != "total"), rows


if __name__ == "__main__":
    run()
