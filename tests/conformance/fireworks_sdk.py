# SPDX-License-Identifier: Apache-2.0
"""Fireworks' own Python SDK against the embedded platform: from a shape id to a hot-loaded deployment, as that SDK's user
walks it: profile, trainer job, full-parameter and LoRA training with custom losses, saves that can be resumed from, base and delta
snapshots, hot loads, sampling, promotion, the managed client, and the errors on the way.
Started by tests/conformance/run (FIREWORKS_BASE_URL, FIREWORKS_API_KEY; GRADWIRE_SDK is the version that it must be)."""
import asyncio
import importlib.metadata
import json
import os
import re
import time
import urllib.request
import warnings

import torch
from checks import check, close, run, url
from recording_proxy import recording

import fireworks.training.sdk as sdk
from fireworks import Fireworks
from fireworks.training.sdk import types
from fireworks.training.sdk._core.lib.comms import _CommsV2ForwardBackwardOutput
from fireworks.training.sdk.deployment import DEFAULT_CHECKSUM_FORMAT, DEFAULT_DELTA_COMPRESSION

warnings.simplefilter("ignore")
key = os.environ["FIREWORKS_API_KEY"]
base_model = "accounts/fireworks/models/qwen3-8b"
shapes = "accounts/fireworks/trainingShapes/"
policy_shape = shapes + "qwen3-8b-128k-h200"  # the page's own example
reference_shape = shapes + "qwen3-8b-128k-h200-forward-only"
lora_shape = shapes + "kimi-k2p5-80k-b300-lora"
lora_model = "accounts/fireworks/models/kimi-k2p5"
at_once = {"poll_interval_s": 0.1, "timeout_s": 60}


class it:
    """What one check makes and a later one uses."""


def raises(kind, call, *words):
    try:
        call()
    except kind as problem:
        text = str(problem)
        for word in words:
            assert re.search(word, text), f"{word!r} is not in: {text}"
        assert key not in text, "the key is in an error's text"
        return text
    raise AssertionError(f"no {kind.__name__}")


def bytes_datum(asked, answered):
    ids = list((asked + answered).encode())
    return types.Datum(model_input=types.ModelInput.from_ints(ids[:-1]), loss_fn_inputs={
        "target_tokens": ids[1:], "weights": [0.0] * (len(asked) - 1) + [1.0] * len(answered)})


lessons = [bytes_datum("2+2=", "four."), bytes_datum("sky?", "blue, usually."), bytes_datum("a", "b")]


def logprobs_of(trainer, data=None):
    return [o["logprobs"].to_torch() for o in trainer.forward(data or lessons, "cross_entropy").result().loss_fn_outputs]


def weights_of(datum):
    return datum.loss_fn_inputs["weights"].to_torch()


def nll(data, logprobs):
    value = -sum((weights_of(d) * l).sum() for d, l in zip(data, logprobs))
    return value, {"mine": value.item()}


def train(trainer, steps=1, learning_rate=1e-2):
    for _ in range(steps):
        trainer.forward_backward_custom(lessons, nll).result()
        trainer.optim_step(types.AdamParams(learning_rate=learning_rate)).result()


# ---- shapes ---------------------------------------------------------------------------------------------------------

@check
def version():
    found = importlib.metadata.version("fireworks-ai")
    assert found == os.environ["GRADWIRE_SDK"], found
    return found


@check
def account():
    it.client = sdk.FireworksClient(api_key=key, base_url=url)
    assert re.fullmatch("[a-z0-9-]+", it.client.account_id), it.client.account_id
    return it.client.account_id


@check
def profile_of_an_unversioned_shape():
    p = it.profile = it.client.resolve_training_profile(policy_shape)
    assert re.fullmatch(re.escape(policy_shape) + "/versions/[^/]+", p.training_shape_version), p.training_shape_version
    assert p.training_shape == policy_shape
    assert p.max_supported_context_length == 131072 and p.accelerator_count == 4, vars(p)
    assert p.accelerator_type == "NVIDIA_H200_141GB" and p.node_count == 1, vars(p)
    assert p.trainer_image_tag and p.trainer_mode == "POLICY_TRAINER" and not p.supports_lora, vars(p)
    assert re.fullmatch("accounts/fireworks/deploymentShapes/[^/]+/versions/[^/]+", p.deployment_shape), p.deployment_shape


@check
def profile_of_a_version():
    again = it.client.resolve_training_profile(it.profile.training_shape_version)
    assert vars(again) == vars(it.profile), (vars(again), vars(it.profile))
    older = it.client.resolve_training_profile(policy_shape + "/versions/v1")
    assert older.training_shape_version == policy_shape + "/versions/v1" != it.profile.training_shape_version


@check
def profiles_of_the_other_roles():
    reference, lora = map(it.client.resolve_training_profile, (reference_shape, lora_shape))
    assert reference.trainer_mode == "FORWARD_ONLY" and reference.deployment_shape is None, vars(reference)
    assert lora.supports_lora and lora.max_supported_context_length == 81920, vars(lora)
    bare = it.client.resolve_training_profile(shapes + "qwen3-30b-a3b-instruct-2507-131k")
    assert bare.accelerator_type == "" and bare.accelerator_count == 8, vars(bare)  # the page names no accelerator


@check
def shapes_that_cannot_be_resolved():
    raises(ValueError, lambda: it.client.resolve_training_profile("qwen3-8b-128k-h200"), "not a valid training shape")
    raises(RuntimeError, lambda: it.client.resolve_training_profile(shapes + "no-such-shape"), "HTTP 404", "no-such-shape")
    raises(RuntimeError, lambda: it.client.resolve_training_profile(policy_shape + "/versions/none"), "HTTP 404")
    wrong = sdk.FireworksClient(api_key="fw_" + "0" * 24, base_url=url)
    raises(RuntimeError, lambda: wrong.resolve_training_profile(policy_shape), "HTTP 401")


@check
def models():
    assert it.client.model_is_moe(lora_model) is True and it.client.model_is_moe(base_model) is False
    raises(sdk.ModelDetailsUnavailableError, lambda: it.client.model_is_moe("accounts/fireworks/models/none"), "404")


# ---- trainer jobs ---------------------------------------------------------------------------------------------------

@check
def trainer_job():
    it.jobs = sdk.TrainerJobManager(api_key=key, base_url=url)
    raises(ValueError, lambda: it.jobs.create(sdk.TrainerJobConfig(
        base_model=base_model, training_shape_ref=it.profile.training_shape_version, accelerator_count=8)), "accelerator_count")
    config = sdk.TrainerJobConfig(base_model=base_model, training_shape_ref=it.profile.training_shape_version,
                                  learning_rate=1e-4, display_name="conformance")
    it.policy = it.jobs.create_and_wait(config, **at_once)
    assert it.policy.base_url == f"{url}/training/v1/rlorTrainerJobs/{it.client.account_id}/{it.policy.job_id}", it.policy
    assert it.policy.job_name == f"accounts/{it.client.account_id}/rlorTrainerJobs/{config.requested_job_id}", it.policy
    assert it.policy.max_context_length == 131072, it.policy
    job = it.jobs.get(it.policy.job_id)
    assert job["state"] == "JOB_STATE_RUNNING" and job["displayName"] == "conformance", job
    assert job["trainingConfig"]["baseModel"] == base_model and not job["trainingConfig"].get("loraRank"), job
    again = it.jobs.create(config)  # the same id: the same job, through 409 and a look
    assert (again.job_name, again.job_id) == (it.policy.job_name, it.policy.job_id)
    assert it.jobs.try_get("no-such-job") is None


@check
def trainer_job_on_the_parent_shape():
    """What the managed client sends: the shape, of which the platform takes the latest validated version."""
    created = it.jobs.create_and_wait(sdk.TrainerJobConfig(
        base_model=base_model, training_shape_ref=it.profile.training_shape), **at_once)
    it.jobs.delete(created.job_id)


@check
def trainer_jobs_refused():
    def create(**more):
        return lambda: it.jobs.create(sdk.TrainerJobConfig(base_model=base_model, **more))
    raises(RuntimeError, create(training_shape_ref=shapes + "no-such-shape"), "HTTP 404")
    raises(RuntimeError, create(training_shape_ref=shapes + "kimi-k2p5-256k-b200"), "HTTP 400", "kimi-k2p5")  # another model's
    raises(RuntimeError, create(), "HTTP 400")  # skipValidations is not for customers
    raises(RuntimeError, create(training_shape_ref=policy_shape, requested_job_id="x" * 64), "HTTP 400")
    raises(ValueError, create(training_shape_ref=policy_shape, display_name="x" * 64), "fewer than 64")


# ---- training -------------------------------------------------------------------------------------------------------

@check
def training_client():
    it.service = sdk.FiretitanServiceClient(base_url=it.policy.base_url, api_key=key)
    it.trainer = it.service.create_training_client(base_model, lora_rank=0)
    assert it.trainer.comms == "v2" and not it.trainer.supports_rdma_weight_sync


@check
def forward_and_built_in_loss():
    first = logprobs_of(it.trainer)
    assert all((l < 0).all() and l.shape == weights_of(d).shape for d, l in zip(lessons, first))
    done = it.trainer.forward_backward(lessons, "cross_entropy").result()
    close(done.metrics["loss:sum"], nll(lessons, first)[0], 1e-5, "loss:sum")
    assert done.metrics["response_tokens"] == sum((weights_of(d) != 0).sum().item() for d in lessons), done.metrics
    it.trainer.optim_step(types.AdamParams(learning_rate=0.0)).result()  # drops the gradient
    close(torch.cat(logprobs_of(it.trainer)), torch.cat(first), 0, "a step of 0")


@check
def comms_v2():
    """Offered with the model, and named by the SDK: long columns in the digits of a float, the same results as without."""
    ids = [i % 200 + 1 for i in range(300)]
    data = [types.Datum(model_input=types.ModelInput.from_ints(ids[:-1]), loss_fn_inputs={
        "target_tokens": ids[1:], "weights": torch.arange(1, 300, dtype=torch.float32) / 300})]
    results = {}
    with recording(url) as proxy:
        service = sdk.FiretitanServiceClient(base_url=it.policy.base_url.replace(url, proxy.url), api_key=key)
        trainer = service.create_training_client(base_model, lora_rank=0)
        assert trainer.comms == "v2"
        for trainer._comms in ("v2", "v1"):
            results[trainer._comms] = [call([*data], "cross_entropy").result() for call in (trainer.forward, trainer.forward_backward)]
        service.close()
    sent = [e for e in proxy.exchanges if e.path.endswith(("/api/v1/forward", "/api/v1/forward_backward"))]
    assert [json.loads(e.body).get("comms") for e in sent] == ["v2", "v2", None, None], [e.body[:80] for e in sent]
    for e, third in zip(sent, ["0.0033333334,"] * 2 + ["0.0033333334140479565"] * 2):
        assert third in e.body.decode().replace(" ", ""), e.body[-300:]
    for one, other in zip(results["v2"], results["v1"]):
        assert one.metrics == other.metrics, (one.metrics, other.metrics)
        assert (one.loss_fn_outputs[0]["logprobs"].to_torch() == other.loss_fn_outputs[0]["logprobs"].to_torch()).all()
    # The SDK asks for results as protobuf; its reader of JSON results takes what the trainer writes of the same one.
    asked = urllib.request.Request(it.policy.base_url + "/api/v1/retrieve_future", json.dumps(
        {"request_id": json.loads(sent[0].reply)["request_id"]}).encode(), {"X-API-Key": key, "Content-Type": "application/json"})
    as_json = _CommsV2ForwardBackwardOutput.model_validate(json.loads(urllib.request.urlopen(asked, timeout=30).read()))
    close(torch.tensor(as_json.loss_fn_outputs[0]["logprobs"].data), results["v2"][0].loss_fn_outputs[0]["logprobs"].to_torch(), 0, "as JSON")


@check
def custom_loss():
    before = it.trainer.forward_backward_custom(lessons, nll).result()
    close(before.metrics["mine"], before.metrics["loss:sum"], 1e-5, "the server's sum of -logprob*weight with weight = -gradient")
    it.trainer.optim_step(types.AdamParams(learning_rate=1e-2)).result()
    train(it.trainer, 3)
    after = nll(lessons, logprobs_of(it.trainer))[0]
    assert after < 0.8 * before.metrics["mine"], (before.metrics, after)
    return f"{before.metrics['mine']:.2f} to {after:.2f} in 4 steps"


@check
def custom_loss_from_a_finished_forward():
    forward = it.trainer.forward(lessons, "cross_entropy").result()
    done = it.trainer.forward_backward_custom(lessons, nll, precomputed_forward=forward).result()
    close(done.metrics["mine"], forward.metrics["loss:sum"], 1e-5, "loss")
    it.trainer.optim_step(types.AdamParams(learning_rate=0.0)).result()


def step_with(service, factor, **how):
    """Logprobs after one step on gradients times `factor`; with an eps of their size the step depends on theirs."""
    trainer = service.create_training_client(base_model, lora_rank=0)
    scaled = [types.Datum(model_input=d.model_input, loss_fn_inputs={
        "target_tokens": d.loss_fn_inputs["target_tokens"], "weights": factor * weights_of(d)}) for d in lessons]
    for datum in scaled:  # accumulated over several requests
        trainer.forward_backward([datum], "cross_entropy").result()
    trainer.optim_step(types.AdamParams(learning_rate=0.1, eps=0.1), **how).result()
    return torch.cat(logprobs_of(trainer))


@check
def gradient_accumulation_normalization():
    tokens = sum((weights_of(d) != 0).sum().item() for d in lessons)
    services = [sdk.FiretitanServiceClient(base_url=it.policy.base_url, api_key=key) for _ in range(4)]
    plain = step_with(services[0], 1.0)
    by_tokens = step_with(services[1], 1.0, grad_accumulation_normalization=sdk.GradAccNormalization.NUM_LOSS_TOKENS)
    by_sequences = step_with(services[2], 1.0, grad_accumulation_normalization="num_sequences")
    divided = step_with(services[3], 1 / tokens, emit_grad_norm_metrics=True)
    close(by_tokens, divided, 1e-4, "num_loss_tokens against weights divided by hand")
    assert (plain - by_tokens).abs().max() > 0.01 and (plain - by_sequences).abs().max() > 0.01, "the steps do not differ"
    for service in services:
        service.close()


@check
def parallel_chunks():
    """More than 1024 datums are several requests that are under way at once."""
    many = [types.Datum(model_input=types.ModelInput.from_ints([i % 200 + 1, 2]), loss_fn_inputs={
        "target_tokens": [2, 3], "weights": [1.0, i / 1100]}) for i in range(1100)]
    whole = it.trainer.forward(many, "cross_entropy").result()
    halves = [it.trainer.forward(part, "cross_entropy").result() for part in (many[:550], many[550:])]
    one = torch.cat([o["logprobs"].to_torch() for o in whole.loss_fn_outputs])
    two = torch.cat([o["logprobs"].to_torch() for half in halves for o in half.loss_fn_outputs])
    close(one, two, 1e-5, "logprobs in order")
    done = it.trainer.forward_backward(many, "cross_entropy").result()
    close(done.metrics["loss:sum"], whole.metrics["loss:sum"], 1e-6, "loss:sum")
    it.trainer.optim_step(types.AdamParams(learning_rate=0.0)).result()


@check
def states():
    here = torch.cat(logprobs_of(it.trainer))
    saved = it.trainer.save_state("state-1").result()
    train(it.trainer)
    next_step = torch.cat(logprobs_of(it.trainer))
    assert (next_step - here).abs().max() > 0.01
    assert "state-1" in it.trainer.list_checkpoints(), it.trainer.list_checkpoints()
    it.trainer.load_state_with_optimizer(it.trainer.resolve_checkpoint_path(saved.path)).result()
    close(torch.cat(logprobs_of(it.trainer)), here, 0, "after loading")
    train(it.trainer)
    close(torch.cat(logprobs_of(it.trainer)), next_step, 1e-5, "the same step again, moments included")
    it.trainer.load_state("state-1").result()  # by the name alone, without moments
    close(torch.cat(logprobs_of(it.trainer)), here, 0, "after loading by name")


@check
def state_of_another_job():
    job = it.jobs.create_and_wait(sdk.TrainerJobConfig(base_model=base_model, training_shape_ref=policy_shape), **at_once)
    service = sdk.FiretitanServiceClient(base_url=job.base_url, api_key=key)
    trainer = service.create_training_client(base_model, lora_rank=0)
    trainer.load_state_with_optimizer(trainer.resolve_checkpoint_path("state-1", source_job_id=it.policy.job_id)).result()
    close(torch.cat(logprobs_of(trainer)), torch.cat(logprobs_of(it.trainer)), 0, "the other job's state")
    service.close()
    it.other_job = job


@check
def reference_on_a_forward_only_shape():
    profile = it.client.resolve_training_profile(reference_shape)
    job = it.jobs.create_and_wait(sdk.TrainerJobConfig(
        base_model=base_model, training_shape_ref=profile.training_shape_version, forward_only=True), **at_once)
    service = sdk.FiretitanServiceClient(base_url=job.base_url, api_key=key)
    reference = service.create_base_training_client(base_model)
    frozen = torch.cat(logprobs_of(reference))
    assert torch.isfinite(frozen).all() and (frozen - torch.cat(logprobs_of(it.trainer))).abs().max() > 0.01
    raises(Exception, lambda: reference.forward_backward(lessons, "cross_entropy").result())
    service.close()
    it.jobs.delete(job.job_id)


# ---- deployment, snapshots, hot load --------------------------------------------------------------------------------

@check
def deployment():
    it.deployments = sdk.DeploymentManager(api_key=key, base_url=url)
    config = sdk.DeploymentConfig.from_training_profile(
        deployment_id="conformance", base_model=base_model, profile=it.profile, min_replica_count=1, max_replica_count=1,
        hot_load_trainer_job=it.policy.job_name, for_training=True)
    assert it.deployments.get("conformance") is None
    created = it.deployments.create_or_get(config)
    assert created.name == f"accounts/{it.client.account_id}/deployments/conformance", created
    ready = it.deployments.wait_for_ready("conformance", timeout_s=60, poll_interval_s=0.1)
    assert ready.state == "READY" and ready.hot_load_trainer_job == it.policy.job_name, ready
    assert ready.deployment_shape_version == it.profile.deployment_shape and ready.base_model == base_model, ready
    assert it.deployments.create_or_get(config).name == created.name
    other = sdk.DeploymentConfig(deployment_id="conformance-2", base_model=base_model, deployment_shape="accounts/fireworks/deploymentShapes/none")
    raises(Exception, lambda: it.deployments.create_or_get(other), "40[04]")


def sampler(**more):
    return sdk.DeploymentSampler(inference_url=url, model=f"accounts/{it.client.account_id}/deployments/conformance", api_key=key, **more)


prompt = list(b"2+2=")


def served_logprobs():
    """The lessons' logprobs under the weights that the deployment serves."""
    client = sdk.FiretitanSamplingClient(sampler())
    found = []
    for datum in lessons:
        tokens = datum.model_input.to_ints() + datum.loss_fn_inputs["target_tokens"].tolist()[-1:]
        given = client.compute_logprobs(types.ModelInput.from_ints(tokens)).result()
        assert given[0] is None and len(given) == len(tokens), given
        found.append(torch.tensor(given[1:]))
    client.close()
    return torch.cat(found)


def holds(trainer, what):
    """The deployment has the trainer's weights, as far as bfloat16 keeps them."""
    return close(served_logprobs(), torch.cat(logprobs_of(trainer)), 0.03, what)


def syncer(trainer, **more):
    return sdk.WeightSyncer(policy_client=trainer, deploy_mgr=it.deployments, deployment_id="conformance",
                            base_model=base_model, hotload_timeout=30, **more)


def row(snapshot):
    return next(r for r in it.jobs.list_checkpoints(it.policy.job_id) if r["name"].endswith("/" + snapshot))


@check
def base_then_deltas():
    sync = it.syncer = syncer(it.trainer)
    train(it.trainer)
    it.base = sync.save_and_hotload("step-1")
    assert row(it.base)["checkpointType"] == "CHECKPOINT_TYPE_INFERENCE_BASE" and row(it.base)["promotable"], row(it.base)
    worst = [holds(it.trainer, "base")]
    for step in (2, 3):
        before = served_logprobs()
        train(it.trainer)
        it.delta = sync.save_and_hotload(f"step-{step}")
        assert row(it.delta)["checkpointType"] == "CHECKPOINT_TYPE_INFERENCE_ARC_V2" and not row(it.delta).get("promotable"), row(it.delta)
        assert sync.check_deployment_state() == it.delta == sync.base_identity
        assert (served_logprobs() - before).abs().max() > 0.1, "the weights that are served have not changed"
        worst.append(holds(it.trainer, f"delta {step}"))
    return f"served and trained logprobs differ by at most {max(worst):.4f}"


@check
def split_save_and_load():
    train(it.trainer)
    saved = it.syncer.save_only("split")
    before = served_logprobs()
    assert it.syncer.check_deployment_state() == it.delta, "a save alone loads nothing"
    assert it.syncer.hotload(saved, "delta") and (served_logprobs() - before).abs().max() > 0.01
    it.held = saved
    holds(it.trainer, "after the load")


def is_refused(identity, previous):
    """A hot load that must fail, and leaves what is served as it was."""
    before = served_logprobs()
    metadata = {"previous_snapshot_identity": previous, "compression_format": DEFAULT_DELTA_COMPRESSION,
                "checksum_format": DEFAULT_CHECKSUM_FORMAT} if previous else None
    try:
        loaded = it.deployments.hotload_and_wait("conformance", base_model, identity, metadata, timeout_seconds=20)
    except Exception as problem:  # an answer of 4xx
        assert "40" in str(problem) or "HTTP" in str(problem), problem
        loaded = False
    assert loaded is False, f"{identity} was loaded on top of {previous}"
    close(served_logprobs(), before, 0, "what is served after a refusal")


@check
def loads_that_would_corrupt():
    """An unknown snapshot, a delta on another snapshot than its own, a delta sent as a full snapshot."""
    is_refused("no-such-snapshot", None)
    is_refused(it.delta, it.base)
    is_refused(it.delta, None)
    train(it.trainer)
    fresh = syncer(it.trainer)  # it finds a snapshot in the deployment and loads the first one without metadata
    raises(RuntimeError, lambda: fresh.save_and_hotload("not-a-base", checkpoint_type="delta"))
    it.held = syncer(it.trainer).save_and_hotload("step-4", checkpoint_type="base")
    holds(it.trainer, "a base again")


# ---- sampling -------------------------------------------------------------------------------------------------------

def completions(**how):
    return asyncio.run(sampler().sample_with_prompt_tokens(prompt, **{"max_tokens": 6, "logprobs": True, **how}))


@check
def sampling():
    for temperature, more in ((1.0, {}), (0.7, {}), (1.0, {"top_k": 5}), (1.0, {"top_p": 0.5})):
        for c in completions(n=3, temperature=temperature, seed=7, **more):
            new = c.full_tokens[c.prompt_len:]
            assert c.full_tokens[:c.prompt_len] == prompt and c.completion_len == len(new) <= 6, c
            assert c.finish_reason == ("length" if len(new) == 6 else "stop"), c
            assert len(c.inference_logprobs) == len(c.sampling_logprobs) == len(new), c
            assert all(l <= 0 for l in c.sampling_logprobs)
            datum = types.Datum(model_input=types.ModelInput.from_ints(c.full_tokens[:-1]), loss_fn_inputs={
                "target_tokens": c.full_tokens[1:], "weights": [1.0] * (len(c.full_tokens) - 1)})
            trained = logprobs_of(it.trainer, [datum])[0][len(prompt) - 1:]
            close(c.inference_logprobs, trained, 0.05, "raw logprobs of the sampled tokens")
            if temperature == 1.0 and not more:
                close(c.sampling_logprobs, c.inference_logprobs, 1e-5, "without truncation they are the same")
            else:
                assert c.sampling_logprobs != c.inference_logprobs


@check
def greedy_sampling():
    one, two = completions(temperature=0.0), completions(temperature=0.0)
    assert one[0].full_tokens == two[0].full_tokens
    first = one[0].full_tokens[len(prompt)]
    every = [types.Datum(model_input=types.ModelInput.from_ints(prompt), loss_fn_inputs={
        "target_tokens": prompt[1:] + [token], "weights": [0.0] * (len(prompt) - 1) + [1.0]}) for token in range(320)]
    last = torch.stack([l[-1] for l in logprobs_of(it.trainer, every)])
    assert last[first] > last.max() - 0.05, f"token {first} has {last[first]}, the best is {last.argmax()} with {last.max()}"


@check
def stop_echo_and_seed():
    whole = completions(n=1, temperature=1.0, seed=11, max_tokens=8)[0]
    assert whole.full_tokens == completions(n=1, temperature=1.0, seed=11, max_tokens=8)[0].full_tokens, "the same seed"
    third = bytes(whole.full_tokens[len(prompt) + 2:len(prompt) + 3]).decode("latin-1")
    if third.isascii() and third.isprintable() and third not in whole.text[:2]:
        cut = completions(n=1, temperature=1.0, seed=11, max_tokens=8, stop=[third])[0]
        assert cut.finish_reason == "stop" and third not in cut.text and len(cut.text) == 2, cut
    echoed = completions(n=1, temperature=1.0, seed=11, max_tokens=8, echo=True)[0]
    assert echoed.logprobs_echoed and echoed.full_tokens == whole.full_tokens, echoed
    assert len(echoed.inference_logprobs) == len(prompt) + 8 - 1
    close(echoed.inference_logprobs[len(prompt) - 1:], whole.inference_logprobs, 1e-5, "the completion's part of the echo")


@check
def tinker_shaped_sampling():
    client = it.syncer.get_sampling_client()
    answer = client.sample(types.ModelInput.from_ints(prompt), 2, types.SamplingParams(max_tokens=5, temperature=1.0, seed=3),
                           include_prompt_logprobs=True).result()
    assert len(answer.sequences) == 2 and len(answer.prompt_logprobs) == len(prompt) and answer.prompt_logprobs[0] is None
    for s in answer.sequences:
        assert len(s.tokens) == len(s.logprobs) <= 5 and s.stop_reason in ("length", "stop"), s
    client.close()


@check
def metrics_of_a_request():
    it_samples = sampler()
    result = asyncio.run(it_samples.sample_with_prompt_tokens_result(prompt, max_tokens=3, logprobs=True))
    assert result.attempts == 1 and result.server_metrics.http_status_code == 200, result
    assert result.server_metrics.num_concurrent_requests is not None, "perf_metrics of the last chunk"


# ---- checkpoints ----------------------------------------------------------------------------------------------------

@check
def checkpoints_and_promotion():
    rows = it.jobs.list_checkpoints(it.policy.job_id, page_size=2)
    names = [r["name"] for r in rows]
    assert len(set(names)) == len(names) >= 5, names
    assert all(n.startswith(it.policy.job_name + "/checkpoints/") for n in names), names
    assert any(r["checkpointType"].endswith("TRAINING") for r in rows), rows
    times = [r["createTime"] for r in rows]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", t) for t in times), times
    model = it.client.promote_checkpoint(name=row(it.base)["name"], output_model_id="conformance-model", base_model=base_model)
    assert model["state"] == "READY" and model["kind"] == "HF_BASE_MODEL", model
    raises(RuntimeError, lambda: it.client.promote_checkpoint(
        name=row(it.delta)["name"], output_model_id="conformance-delta", base_model=base_model), "HTTP 400")
    raises(RuntimeError, lambda: it.client.promote_checkpoint(
        name=it.policy.job_name + "/checkpoints/none", output_model_id="conformance-none", base_model=base_model), "HTTP 404")
    raises(ValueError, lambda: it.client.promote_checkpoint(
        name=row(it.base)["name"], output_model_id="x" * 64, base_model=base_model), "63")


# ---- LoRA -----------------------------------------------------------------------------------------------------------

@check
def lora():
    job = it.jobs.create_and_wait(sdk.TrainerJobConfig(
        base_model=lora_model, lora_rank=8, training_shape_ref=it.client.resolve_training_profile(lora_shape).training_shape_version), **at_once)
    service = sdk.FiretitanServiceClient(base_url=job.base_url, api_key=key)
    trainer = service.create_lora_training_client(lora_model, rank=8, seed=5)
    shared = service.create_reference_client(lora_model)  # the base model in the same session
    start = torch.cat(logprobs_of(trainer))
    close(start, torch.cat(logprobs_of(shared)), 1e-6, "a fresh adapter is the base model")
    train(trainer, 2)
    assert (torch.cat(logprobs_of(trainer)) - start).abs().max() > 0.01
    close(torch.cat(logprobs_of(shared)), start, 0, "the reference does not move")
    for _ in range(2):  # always base
        saved = trainer.save_weights_for_sampler_ext(f"adapter-{_}")
    row = next(r for r in it.jobs.list_checkpoints(job.job_id) if r["name"].endswith("/" + saved.snapshot_name))
    assert row["checkpointType"] == "CHECKPOINT_TYPE_INFERENCE_LORA" and row["promotable"], row
    model = it.client.promote_checkpoint(name=row["name"], output_model_id="conformance-lora", base_model=lora_model)
    assert model["kind"] == "HF_PEFT_ADDON" and model["peftDetails"]["r"] == 8, model
    trainer.unload_model().result()
    service.close()
    it.lora_job = job


# ---- the managed client ---------------------------------------------------------------------------------------------

@check
def managed_full_parameter_run():
    """from_firetitan_config: policy, reference and deployment side by side, and all of it gone at the end."""
    service = sdk.FiretitanServiceClient.from_firetitan_config(
        api_key=key, base_url=url, base_model=base_model, training_shape_id=policy_shape,
        reference_training_shape_id=reference_shape, reference_required=True, cleanup_trainer_on_close=True,
        cleanup_deployment_on_close="delete", reattach_poll_interval_s=0.1)
    trainer = service.create_training_client()
    reference = service.create_reference_client()
    start = torch.cat(logprobs_of(reference))
    close(torch.cat(logprobs_of(trainer)), start, 1e-6, "policy and reference begin alike")
    worst = 0
    for step in range(3):
        train(trainer)
        path = trainer.save_weights_for_sampler(f"managed-{step}").result().path
        client = trainer.create_sampling_client(path)
        tokens = lessons[1].model_input.to_ints()
        served = client.compute_logprobs(types.ModelInput.from_ints(tokens)).result()[1:]
        worst = max(worst, close(served, logprobs_of(trainer, [lessons[1]])[0][:len(tokens) - 1], 0.03, f"step {step}"))
        client.close()
    close(torch.cat(logprobs_of(reference)), start, 0, "the reference does not move")
    assert service.managed_max_context_length == 131072
    jobs, where = (service.trainer_job_id, service.reference_job_id), service.deployment_id
    service.close()
    assert all(it.jobs.get(j)["state"] == "JOB_STATE_DELETED" for j in jobs), [it.jobs.get(j) for j in jobs]
    gone = it.deployments.get(where)
    assert gone is None or gone.state == "DELETED", gone
    return f"at most {worst:.4f}"


# ---- the rest of the lifecycle --------------------------------------------------------------------------------------

@check
def reattach():
    deployment = it.deployments.reattach_trainer("conformance", base_model=base_model, trainer_job_name=it.other_job.job_name,
                                                 timeout_s=30, poll_interval_s=0.1, hot_load_transition_type="SYNC")
    assert deployment.hot_load_trainer_job == it.other_job.job_name and deployment.hot_load_transition_type == "SYNC", deployment
    assert deployment.deployment_shape_version == it.profile.deployment_shape, "a PATCH with a mask leaves the rest"
    service = sdk.FiretitanServiceClient(base_url=it.other_job.base_url, api_key=key)
    trainer = service.create_training_client(base_model, lora_rank=0)
    train(trainer)
    sync = syncer(trainer)
    sync.reset_delta_chain()
    assert sync.save_and_hotload("moved")
    holds(trainer, "the other trainer's weights")
    service.close()


@check
def scale_and_update():
    it.deployments.update("conformance", {"maxReplicaCount": 2}, ["max_replica_count"])
    seen = it.deployments._get_deployment("conformance")
    assert seen["maxReplicaCount"] == 2 and seen["minReplicaCount"] == 1, seen
    it.deployments.scale_to_zero("conformance")
    seen = it.deployments._get_deployment("conformance")
    assert not seen.get("maxReplicaCount") and not seen.get("minReplicaCount"), seen
    assert seen["deploymentShape"] == it.profile.deployment_shape, seen


@check
def generated_client():
    """The part of the SDK that is generated from the public API description: lists, get, cancel."""
    client = Fireworks(api_key=key, base_url=url, account_id=it.client.account_id, max_retries=0)
    listed = {j.name for j in client.reinforcement_fine_tuning_steps.list(page_size=2)}
    assert it.policy.job_name in listed and len(listed) >= 3, listed
    assert client.reinforcement_fine_tuning_steps.get(it.policy.job_id).state == "JOB_STATE_RUNNING"
    assert any(d.name and d.name.endswith("/conformance") for d in client.deployments.list())
    assert client.deployments.get("conformance").base_model == base_model
    client.reinforcement_fine_tuning_steps.cancel(it.other_job.job_id, body={})
    end = time.monotonic() + 20
    while (state := it.jobs.get(it.other_job.job_id)["state"]) == "JOB_STATE_CANCELLING" and time.monotonic() < end:
        pass
    assert state == "JOB_STATE_CANCELLED", state


@check
def resume_and_reconnect():
    back = it.jobs.reconnect_and_wait(it.other_job.job_id, **at_once)  # it was cancelled
    assert back.base_url == it.other_job.base_url
    service = sdk.FiretitanServiceClient(base_url=back.base_url, api_key=key)
    trainer = service.create_training_client(base_model, lora_rank=0)
    assert torch.isfinite(torch.cat(logprobs_of(trainer))).all()
    service.close()
    assert it.jobs.reconnect_and_wait(it.policy.job_id, **at_once).job_id == it.policy.job_id  # it runs


@check
def wrong_keys_everywhere():
    wrong = "fw_" + "1" * 24
    deployments = sdk.DeploymentManager(api_key=wrong, base_url=url)
    deployments._account_id = it.client.account_id
    raises(Exception, lambda: deployments.hotload("conformance", base_model, it.held), "40[13]")
    raises(Exception, lambda: deployments.hotload_check_status("conformance", base_model), "40[13]")
    raises(Exception, lambda: deployments.get("conformance"), "40[13]")
    model = f"accounts/{it.client.account_id}/deployments/conformance"
    stranger = sdk.DeploymentSampler(inference_url=url, model=model, api_key=wrong)
    raises(Exception, lambda: asyncio.run(stranger.sample_with_prompt_tokens(prompt, max_tokens=1)), "40[13]")
    raises(Exception, lambda: sdk.FiretitanServiceClient(base_url=it.policy.base_url, api_key=wrong), "40[13]")


@check
def deletion():
    it.deployments.delete("conformance")
    gone = it.deployments.get("conformance")
    assert gone is None or gone.state in ("DELETING", "DELETED"), gone
    it.service.close()
    for job in (it.policy, it.other_job, it.lora_job):
        it.jobs.delete(job.job_id)
        it.jobs.delete(job.job_id)  # a second time changes nothing
        assert it.jobs.get(job.job_id)["state"] == "JOB_STATE_DELETED"
    assert row(it.base)["promotable"], "checkpoints outlive their job"
    promoted = it.client.promote_checkpoint(name=row(it.base)["name"], output_model_id="conformance-late", base_model=base_model)
    assert promoted["state"] == "READY", promoted
    raises(RuntimeError, lambda: it.jobs.create(sdk.TrainerJobConfig(
        base_model=base_model, training_shape_ref=policy_shape, requested_job_id=it.policy.job_id)), "archived")
    raises(RuntimeError, lambda: it.jobs.wait_for_existing(it.policy.job_id, **at_once), "archived")


run()
