# SPDX-License-Identifier: Apache-2.0
"""Serves a trainer that somebody else wrote in a process group of its own, until this process is sent SIGTERM or its
standard input ends. When the trainer is up, the line of examples/loopback_trainer is printed:
  listening on http://127.0.0.1:PORT token TOKEN model NAME
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cache():
    return os.environ.get("GRADWIRE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "gradwire")


def answers(url):
    try:
        with urllib.request.urlopen(url + "/api/v1/healthz", timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


def supervise(name, command, environment, log, port, token, model, ready_word, remove):
    """Runs `command`, whose output goes to `log`; it is up when it answers on `port` and `log` holds `ready_word`."""
    url = f"http://127.0.0.1:{port}"
    log = pathlib.Path(log)
    with open(log, "w") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                  env=environment, start_new_session=True)

    def stop(code):
        # The server leads a process group of its own, which holds nothing but it and what it started.
        for signal_, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            try:
                os.killpg(server.pid, signal_)
            except ProcessLookupError:
                break
            try:
                server.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        for folder in remove:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)

    signal.signal(signal.SIGTERM, lambda *_: stop(0))
    signal.signal(signal.SIGINT, lambda *_: stop(0))

    def watch_input():
        while sys.stdin.buffer.read(65536):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch_input, daemon=True).start()
    deadline = time.monotonic() + 180
    while not (ready_word in log.read_text(errors="replace") and answers(url)):
        if server.poll() is not None or time.monotonic() > deadline:
            print(f"{name}: the server did not come up; the end of its log:", file=sys.stderr)
            print("".join(log.read_text(errors="replace").splitlines(keepends=True)[-40:]), file=sys.stderr)
            stop(1)
        time.sleep(0.2)
    print(f"listening on {url} token {token} model {model}", flush=True)
    server.wait()
    print(f"{name}: the server ended by itself", file=sys.stderr)
    stop(1)
