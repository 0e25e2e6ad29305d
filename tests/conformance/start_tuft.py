# SPDX-License-Identifier: Apache-2.0
"""Serves TuFT's Tinker-compatible API from the installed package, unchanged; called by start_tuft.

Its training actor wants one GPU of Ray and clears CUDA's memory statistics; here it gets none and leaves them. Ray's
processes listen on 127.0.0.1 as far as Ray lets one choose, and end with the server.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

file = os.path.abspath(__file__)
name = "Qwen/Qwen3-0.6B"  # TuFT takes the architecture from the last part of the model's path, so the name is a known one
token = "tml-" + "0" * 32


def run_package(port, folder, ray_folder):
    import ray
    import torch
    import tuft.backends.hf_training_model as backend
    import tuft.config
    import tuft.server
    import uvicorn

    class on_cpu(backend.HFTrainingModel):
        def __init__(self, config):
            torch.cuda.reset_peak_memory_stats = lambda *_: None
            torch.set_num_threads(1)
            super().__init__(config)

    backend.HFTrainingModel.get_actor = classmethod(
        lambda cls, config: ray.remote(on_cpu).options(name="trained", num_gpus=0).remote(config))
    ray._private.services.resolve_ip_for_localhost = lambda host: host  # else Ray would take an address of the network
    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=ray_folder,
             object_store_memory=100 << 20, logging_level="warning")
    config = tuft.config.AppConfig(
        checkpoint_dir=pathlib.Path(folder) / "checkpoints", authorized_users={token: "user"},
        supported_models=[tuft.config.ModelConfig(
            model_name=name, model_path=pathlib.Path(folder) / "models" / "Qwen3-0.6B", max_model_len=1024,
            capabilities=["training"], max_lora_rank=16, max_loras=32)])
    config.ensure_directories()
    uvicorn.run(tuft.server.create_root_app(config), host="127.0.0.1", port=int(port), log_level="info")


def main():
    import argparse
    import supervisor
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    folder = pathlib.Path(arguments.folder or tempfile.mkdtemp(prefix="gradwire-tuft-")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "models" / "Qwen3-0.6B"
    if not (model / "config.json").exists():
        subprocess.run([sys.executable, os.path.join(os.path.dirname(file), "tiny_qwen3.py"), str(model)], check=True,
                       stdout=sys.stderr)
    ray_folder = tempfile.mkdtemp(prefix="gwray-")  # short: Ray puts sockets into it, whose paths have 107 characters
    port = supervisor.free_port()
    environment = dict(os.environ, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", CUDA_VISIBLE_DEVICES="",
                       RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0", TUFT_HOME=str(folder),
                       OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore::FutureWarning")
    supervisor.supervise("start_tuft", [sys.executable, file, "serve", str(port), str(folder), ray_folder], environment,
                         folder / "server.log", port, token, name, "Application startup complete",
                         [ray_folder] if arguments.folder else [ray_folder, folder])


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        run_package(*sys.argv[2:])
    else:
        main()
