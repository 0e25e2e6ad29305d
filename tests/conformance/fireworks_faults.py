# SPDX-License-Identifier: Apache-2.0
"""Fireworks' own Python SDK on the embedded platform's bad days: each fault that the platform can be told to have does to
that SDK what it would do to it in the field, and is over when it is said to be over.
Started by tests/conformance/run (FIREWORKS_BASE_URL, FIREWORKS_API_KEY; GRADWIRE_SDK is the SDK's version)."""
import asyncio
import contextlib
import json
import os
import urllib.request
import warnings

from checks import check, run, url

import fireworks.training.sdk as sdk
from fireworks.training.sdk import types

warnings.simplefilter("ignore")
key = os.environ["FIREWORKS_API_KEY"]
newest = os.environ["GRADWIRE_SDK"] == "1.2.30"
base_model = "accounts/fireworks/models/qwen3-4b"
shape = "accounts/fireworks/trainingShapes/qwen3-4b-65k-h200"
at_once = {"poll_interval_s": 0.1, "timeout_s": 30}
jobs = sdk.TrainerJobManager(api_key=key, base_url=url)
deployments = sdk.DeploymentManager(api_key=key, base_url=url)


def platform(method, path, body=None):
    request = urllib.request.Request(url + "/gradwire/" + path, method=method, data=json.dumps(body).encode() if body else None,
                                     headers={"X-Api-Key": key, "Content-Type": "application/json"})
    return json.loads(urllib.request.urlopen(request, timeout=30).read() or b"{}")


@contextlib.contextmanager
def fault(name, value="", times=-1):
    platform("POST", "faults", {"name": name, "value": value, "times": times})
    try:
        yield
    finally:
        platform("DELETE", "faults")


def counts():
    return platform("GET", "counts")


def raises(kind, call, *words):
    try:
        call()
    except kind as problem:
        for word in words:
            assert word in str(problem), f"{word!r} is not in: {problem}"
        assert key not in str(problem), "the key is in an error's text"
        return str(problem)
    raise AssertionError(f"no {kind.__name__}")


def job_config(**more):
    return sdk.TrainerJobConfig(base_model=base_model, training_shape_ref=shape, **more)


def deployment_config(name, job=None):
    profile = jobs.resolve_training_profile(shape)
    return sdk.DeploymentConfig.from_training_profile(deployment_id=name, base_model=base_model, profile=profile, min_replica_count=1,
                                                      hot_load_trainer_job=job and job.job_name, for_training=True)


def ready_deployment(name, job):
    deployments.create_or_get(deployment_config(name, job))
    return deployments.wait_for_ready(name, timeout_s=30, poll_interval_s=0.1)


class it:
    """What one check makes and a later one uses."""


@check
def accounts():
    with fault("accounts", "two"):
        raises(ValueError, lambda: sdk.FireworksClient(api_key=key, base_url=url).account_id, "multiple accounts")
    with fault("accounts", "none"):
        raises(ValueError, lambda: sdk.FireworksClient(api_key=key, base_url=url).account_id, "not associated")
    assert sdk.FireworksClient(api_key=key, base_url=url).account_id


@check
def no_validated_version():
    with fault("no_validated_version"):
        raises(RuntimeError, lambda: jobs.resolve_training_profile(shape), "No latest validated")
        assert jobs.resolve_training_profile(shape + "/versions/v1").training_shape_version == shape + "/versions/v1"
    assert jobs.resolve_training_profile(shape)


@check
def create_refused_for_a_while():
    before = counts()["jobs_created"]
    with fault("refuse", "create_job:429:1", 2):
        it.job = jobs.create_and_wait(job_config(), **at_once)
    assert counts()["jobs_created"] == before + 1, counts()


@check
def reply_to_create_lost():
    """It is sent again with the same id, answered 409, and looked up: one job, one deployment."""
    before = counts()
    with fault("lose_reply", "create_job", 1):
        config = job_config()
        created = jobs.create(config)
    assert created.job_id == config.requested_job_id
    with fault("lose_reply", "create_deployment", 1):
        deployments.create_or_get(deployment_config("lost-reply", created))
    after = counts()
    assert after["jobs_created"] == before["jobs_created"] + 1, (before, after)
    assert after["deployments_created"] == before["deployments_created"] + 1, (before, after)
    deployments.delete("lost-reply")
    jobs.delete(created.job_id)


@check
def created_and_vanished():
    with fault("job_vanishes"):
        raises(RuntimeError, lambda: (jobs.create(job_config(requested_job_id=it.job.job_id))), "HTTP 409")


@check
def job_fails():
    """The cause is found in every place where it may stand."""
    for place in ("statusMessage", "message", "status.message", "status.statusMessage", "status.detail", "status.details", "status"):
        with fault("job_fails", place, 1):
            created = jobs.create(job_config())
            text = raises(RuntimeError, lambda: jobs.wait_for_ready(created.job_id, **at_once), "failed")
        cause = text.split("Cause: ")[1].splitlines()[0]
        assert len(cause) > 10 and cause != "unknown", f"{place}: {text}"
        jobs.delete(created.job_id)


@check
def unhealthy_gateway():
    """These releases know the gateway's route alone, so they wait in vain for a job that is healthy on its direct route only."""
    with fault("gateway_unhealthy"):
        created = jobs.create(job_config())
        raises(TimeoutError, lambda: jobs.wait_for_ready(created.job_id, poll_interval_s=0.1, timeout_s=1), "healthz")
    assert jobs.wait_for_ready(created.job_id, **at_once).base_url
    jobs.delete(created.job_id)


@check
def deployment_serves_while_creating():
    with fault("deployment_stays_creating"):
        deployments.create_or_get(deployment_config("creating", it.job))
        assert deployments.get("creating").state == "CREATING"
        assert deployments.wait_for_ready("creating", timeout_s=30, poll_interval_s=0.1).state == "READY"
    deployments.delete("creating")


@check
def deployment_fails():
    with fault("deployment_fails"):
        deployments.create_or_get(deployment_config("failing", it.job))
        raises(RuntimeError, lambda: deployments.wait_for_ready("failing", timeout_s=30, poll_interval_s=0.1), "FAILED")
    again = deployments.create_or_get(deployment_config("failing", it.job))  # deletes it and makes another
    assert again.state in ("CREATING", "READY"), again
    deployments.delete("failing")


# ---- hot load -------------------------------------------------------------------------------------------------------

@check
def hot_load_without_reset_prompt_cache():
    ready_deployment("faulty", it.job)
    service = sdk.FiretitanServiceClient(base_url=it.job.base_url, api_key=key)
    it.trainer = service.create_training_client(base_model, lora_rank=0)
    it.sync = sdk.WeightSyncer(policy_client=it.trainer, deploy_mgr=deployments, deployment_id="faulty", base_model=base_model, hotload_timeout=20)
    with fault("no_reset_prompt_cache"):
        assert it.sync.save_and_hotload("one")
        assert deployments._hotload_reset_prompt_cache_supported is False, "it was refused, sent again without, and is remembered"
    deployments._hotload_reset_prompt_cache_supported = None


def step():
    data = [types.Datum(model_input=types.ModelInput.from_ints([1, 2, 3]), loss_fn_inputs={"target_tokens": [2, 3, 4], "weights": [1.0] * 3})]
    it.trainer.forward_backward(data, "cross_entropy").result()
    it.trainer.optim_step(types.AdamParams(learning_rate=1e-2)).result()


@check
def replies_of_the_hot_load_status():
    for value in ("stale_error", "adapters", "lagging"):
        with fault("replicas", value):
            step()
            assert it.sync.save_and_hotload(value.replace("_", "-")), value
    with fault("replicas", "missing"):
        raises(RuntimeError, lambda: deployments.wait_for_hotload("faulty", base_model, "x", timeout_seconds=2), "replicas")
    with fault("replicas", "error"):
        step()
        raises(RuntimeError, lambda: it.sync.save_and_hotload("fails"), "stage=error")
    step()
    assert it.sync.save_and_hotload("base-after-it", checkpoint_type="base")


@check
def reply_to_hot_load_lost():
    """This SDK sends the load again; the second one finds the snapshot loaded."""
    step()
    before = counts()["hot_loads"]
    with fault("lose_reply", "hot_load", 1):
        assert it.sync.save_and_hotload("lost")
    assert counts()["hot_loads"] == before + 2, counts()
    assert it.sync.check_deployment_state() == it.sync.base_identity


# ---- sampling -------------------------------------------------------------------------------------------------------

def sample(**how):
    sampler = sdk.DeploymentSampler(inference_url=url, model=f"accounts/{jobs.account_id}/deployments/faulty", api_key=key)
    sampler._RETRY_BASE_BACKOFF_S = 0.1
    return asyncio.run(sampler.sample_with_prompt_tokens_result([1, 2, 3], **{"max_tokens": 3, "logprobs": True, **how}))


@check
def streams_that_break_off():
    with fault("stream", "truncated", 1):
        assert sample().attempts == 2
    with fault("stream", "done_only", 1):
        if newest:
            assert sample().attempts == 2
        else:
            raises(RuntimeError, sample, "raw_output")
    with fault("refuse", "completions:503", 2):
        assert sample().attempts == 3
    with fault("refuse", "completions:425", 1):
        assert sample().attempts == 1  # waits inside of the attempt


@check
def answers_that_do_not_fit():
    with fault("echo_mismatch"):
        raises(RuntimeError, lambda: sample(echo=True), "Echo response format mismatch")
    client = it.sync.get_sampling_client()

    def drawn(temperature):
        return client.sample(types.ModelInput.from_ints([1, 2, 3]), 1, types.SamplingParams(max_tokens=3, temperature=temperature)).result()
    with fault("no_sampling_logprob"):
        assert len(drawn(1.0).sequences[0].logprobs) == 3  # the raw ones are the same at temperature 1 …
        raises(RuntimeError, lambda: drawn(0.7), "sampling_logprob")  # … and are not at another
    client.close()


# ---- promotion ------------------------------------------------------------------------------------------------------

def promote(model):
    rows = jobs.list_checkpoints(it.job.job_id)
    return jobs.promote_checkpoint(name=next(r["name"] for r in rows if r.get("promotable")), output_model_id=model, base_model=base_model)


@check
def checkpoint_pages():
    """Two rows a page, under the other key, with times of seconds and of microseconds."""
    plain = jobs.list_checkpoints(it.job.job_id)
    assert len(plain) > 2, plain
    with fault("checkpoint_page", "other_key"):
        paged = jobs.list_checkpoints(it.job.job_id)
    assert [(row["name"], row["checkpointType"]) for row in paged] == [(row["name"], row["checkpointType"]) for row in plain], paged
    assert len({len(row["createTime"]) for row in paged}) == 2, paged


@check
def promotions():
    for value in ("synchronous", "no_async"):
        with fault("promotion", value):
            assert promote("model-" + value.replace("_", "-"))["state"] == "READY"
    with fault("promotion_fails"):
        raises(RuntimeError, lambda: promote("model-failed"), "failed")


@check
def reply_to_promote_lost():
    """This SDK promotes again. The platform makes one model of it all the same; what the second call is told is its own affair."""
    before = counts()["promotions"]
    with fault("lose_reply", "promote", 1):
        try:
            promote("model-lost")
        except RuntimeError as problem:
            assert "HTTP 409" in str(problem), problem
    assert counts()["promotions"] == before + 1, counts()


@check
def the_end():
    deployments.delete("faulty")
    jobs.delete(it.job.job_id)
    assert not platform("GET", "faults").get("faults"), "a fault is left"


run()
