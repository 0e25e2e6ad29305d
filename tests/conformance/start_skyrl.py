# SPDX-License-Identifier: Apache-2.0
"""Serves SkyRL's own Tinker-compatible API (JAX backend, CPU) from the installed package, unchanged; called by start_skyrl.

Three processes run this file: the supervisor (below), and with the first argument `api` or `engine` what the package
runs as `skyrl.tinker.api` and `skyrl.tinker.engine`. Three things of the package do not fit here and are stepped around:
the API starts its engine through `uv run`, where this runs the same interpreter; it is declared for Python 3.12
because pydantic refuses typing.TypedDict before that, so the equal class of typing_extensions stands in on 3.11; and
it unpacks its own checkpoints with tarfile's `filter`, which Debian 12's Python 3.11.2 does not know yet.
"""
import argparse
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

file = os.path.abspath(__file__)


def run_package(role):
    if sys.version_info < (3, 12):
        import typing
        import typing_extensions
        typing.TypedDict = typing_extensions.TypedDict
    import tarfile
    if not hasattr(tarfile, "data_filter"):
        extract = tarfile.TarFile.extractall
        tarfile.TarFile.extractall = lambda self, *args, filter=None, **named: extract(self, *args, **named)
    if role == "engine":
        runpy.run_module("skyrl.tinker.engine", run_name="__main__", alter_sys=True)
        return
    import uvicorn
    from skyrl.tinker import api, config
    api._build_uv_run_cmd_engine = lambda _parent, engine: [sys.executable, file, "engine", *config.config_to_argv(engine)]
    parser = argparse.ArgumentParser()
    config.add_model(parser, config.EngineConfig)
    parser.add_argument("--port", type=int)
    options = vars(parser.parse_args())
    port = options.pop("port")
    api.app.state.engine_config = config.EngineConfig.model_validate(options)
    uvicorn.run(api.app, host="127.0.0.1", port=port, log_config=api.get_uvicorn_log_config(),
                timeout_keep_alive=getattr(api, "HTTP_KEEP_ALIVE_TIMEOUT_SECONDS", 5))  # 0.3.0 does not say


def supervise():
    import supervisor
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="gradwire-skyrl-")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    model = pathlib.Path(arguments.model or folder / "model").absolute()
    if not (model / "config.json").exists():
        subprocess.run([sys.executable, os.path.join(os.path.dirname(file), "tiny_qwen3.py"), str(model)], check=True, stdout=sys.stderr)
    environment = dict(
        os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="",
        JAX_COMPILATION_CACHE_DIR=os.path.join(supervisor.cache(), "jax-compiled"),  # later starts and first steps are much quicker
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0", JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="0")
    port = supervisor.free_port()
    futures = tempfile.mkdtemp(prefix="futures-", dir=folder)  # of this run alone: an earlier one's could only confuse
    command = [sys.executable, file, "api", "--port", str(port), "--base-model", str(model), "--backend", "jax",
               "--backend-config", json.dumps({"max_lora_adapters": 8, "max_lora_rank": 8}),
               "--database-url", f"sqlite:///{futures}/futures.db", "--checkpoints-base", str(folder / "checkpoints"),
               "--session-timeout-sec", "-1"]
    # /healthz is answered well before the engine is up, so the engine's own word is awaited too.
    supervisor.supervise("start_skyrl", command, environment, folder / "server.log", port, f"tml-{'0' * 32}", model,
                         "Initialized TinkerEngine", [futures] if arguments.folder else [folder])


if __name__ == "__main__":
    if sys.argv[1:2] in (["api"], ["engine"]):
        role = sys.argv.pop(1)
        run_package(role)
    else:
        supervise()
