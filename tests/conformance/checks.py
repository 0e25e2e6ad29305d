# SPDX-License-Identifier: Apache-2.0
"""What the Python conformance programs share: checks that run in the order in which they are written, and the server
that tests/conformance/run started, from the environment."""
import os
import sys
import time
import traceback

url = os.environ.get("TINKER_BASE_URL") or os.environ.get("FIREWORKS_BASE_URL")
if not url:
    sys.exit("TINKER_BASE_URL or FIREWORKS_BASE_URL is not set: start this program with tests/conformance/run")
model = os.environ.get("GRADWIRE_MODEL", "")              # name or folder of the model that the server serves
checkpoints = os.environ.get("GRADWIRE_CHECKPOINTS", "")  # the folder that the server saves to

_checks = []


def check(function):
    """Registers a check. Its docstring's first line, or its name, is what is printed; an exception is a failure."""
    _checks.append(function)
    return function


def run():
    """Runs the checks (those whose name contains an argument of the command line, if there is one), ends the process."""
    wanted = sys.argv[1:]
    passed = failed = 0
    for function in _checks:
        if wanted and not any(word in function.__name__ for word in wanted):
            continue
        started = time.monotonic()
        try:
            detail = function()
            passed += 1
            print(f"ok   {function.__name__}{': ' + str(detail) if detail else ''} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {function.__name__} ({time.monotonic() - started:.1f} s)\n" + traceback.format_exc(), flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.stdout.flush()
    os._exit(failed != 0)  # the SDK's threads are not waited for


def made(client):
    """The client itself: calls that create one give it at once (tinker 0.25) or as a future (later releases)."""
    return client.result() if hasattr(client, "result") else client


def close(found, expected, tolerance, what):
    """|found - expected| <= tolerance * max(1, |expected|), for numbers and arrays."""
    import numpy
    found, expected = numpy.asarray(found, numpy.float64), numpy.asarray(expected, numpy.float64)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    worst = (numpy.abs(found - expected) / numpy.maximum(1, numpy.abs(expected))).max(initial=0)
    assert worst <= tolerance, f"{what}: off by {worst:.3g}, allowed {tolerance:.3g}; found {found}, expected {expected}"
    return worst
