# SPDX-License-Identifier: Apache-2.0
"""A session of the field's own client, the Python SDK `tinker`, unchanged, against the embedded trainer.

Every number that the server answers is checked against the public formula of the loss, computed here from the logprobs
that the same reply carries, or against what another operation must have answered.
"""
import math
import os

import numpy as np
import tinker
import torch
from tinker import types

from checks import check, checkpoints, close, made, model, run, url
from sdk import datum, logprobs_of, norm_of, raises, text

service = tinker.ServiceClient(base_url=url)
rng = np.random.default_rng(0)
state = {}


questions = [("2+2=", "four."), ("sky?", "blue, usually."), ("1", "1"), ("a b c d e f g ", "h i j k l m n o p")]
data = [datum(q, a) for q, a in questions]


def column(d, name):
    return np.array(d.loss_fn_inputs[name].data, np.float64)


def cross_entropy_of(result, batch):
    return sum(-(column(d, "weights") * l).sum() for d, l in zip(batch, logprobs_of(result)))


def new_client(seed=1, **options):
    return made(service.create_lora_training_client(base_model=model, rank=8, seed=seed, **options))


def moved(client, steps=3):
    """Trains a little, so that LoRA's B is not zero any more."""
    for _ in range(steps):
        client.forward_backward(data, "cross_entropy").result()
        client.optim_step(types.AdamParams(learning_rate=1e-2)).result()
    return client


# ---- sessions and models -------------------------------------------------------------------------------------------

@check
def the_sdk_is_the_one_to_test():
    assert tinker.__version__ == (os.environ.get("GRADWIRE_SDK") or tinker.__version__), tinker.__version__
    return f"tinker {tinker.__version__}, torch {torch.__version__}"


@check
def capabilities():
    names = [m.model_name for m in service.get_server_capabilities().supported_models]
    assert model in names, f"{model} is not in {names}"
    return names


@check
def a_wrong_key_is_refused():
    other = tinker.ServiceClient(base_url=url, api_key="tml-" + "f" * 32)
    error = raises((tinker.AuthenticationError, tinker.PermissionDeniedError), lambda: other.get_server_capabilities())
    assert "f" * 8 not in str(error), "a key has no place in a message"


@check
def create_lora_training_client():
    state["client"] = client = new_client()
    info = client.get_info()
    assert info.model_id == client.model_id
    assert info.model_data.model_name == model
    assert info.lora_rank == 8, info
    return client.model_id


@check
def an_unknown_model_is_refused():
    raises(Exception, lambda: made(service.create_lora_training_client(base_model="no/such-model", rank=8)), "no/such-model")


@check
def the_tokenizer_of_the_model_is_found():
    """the SDK asks get_info for it and loads it with transformers, without a network"""
    tokenizer = state["client"].get_tokenizer()
    for string in ("2+2=", "Grüße, 世界\n", " two  blanks "):
        assert tokenizer.decode(tokenizer.encode(string)) == string
    return tokenizer.encode("2+2=")


# ---- forward and the server's losses -------------------------------------------------------------------------------

@check
def forward_cross_entropy():
    result = state["client"].forward(data, "cross_entropy").result()
    logprobs = logprobs_of(result)
    assert [l.shape for l in logprobs] == [column(d, "weights").shape for d in data]
    assert all((l < 0).all() and np.isfinite(l).all() for l in logprobs)
    state["before"] = logprobs
    close(result.metrics["loss:sum"], cross_entropy_of(result, data), 1e-5, "loss:sum")


@check
def forward_changes_nothing():
    again = state["client"].forward(data, "cross_entropy").result()
    for a, b in zip(logprobs_of(again), state["before"]):
        assert (a == b).all()


@check
def the_fresh_adapter_is_the_base_model():
    """LoRA's B begins at 0: two seeds give the same logprobs"""
    for a, b in zip(logprobs_of(new_client(seed=2).forward(data, "cross_entropy").result()), state["before"]):
        close(a, b, 1e-6, "logprobs")


@check
def cross_entropy_training_lowers_the_loss():
    client, losses = state["client"], []
    for _ in range(10):
        step = client.forward_backward(data, "cross_entropy")   # both in flight, in this order
        optim = client.optim_step(types.AdamParams(learning_rate=1e-2))
        result = step.result()
        optim.result()
        losses.append(result.metrics["loss:sum"])
        close(losses[-1], cross_entropy_of(result, data), 1e-5, "loss:sum")
    assert losses[-1] < 0.6 * losses[0], losses
    return " ".join(f"{x:.2f}" for x in losses)


def policy_data(client):
    """Old logprobs near the present ones, so that ratios lie inside and outside of every clip bound; both signs."""
    present = logprobs_of(client.forward(data, "cross_entropy").result())
    batch = []
    for d, l in zip(data, present):
        mask = column(d, "weights")
        batch.append(types.Datum(model_input=d.model_input, loss_fn_inputs={
            "target_tokens": d.loss_fn_inputs["target_tokens"],
            "logprobs": types.TensorData.from_numpy((l + rng.uniform(-0.6, 0.6, l.shape)).astype(np.float32)),
            "advantages": types.TensorData.from_numpy((mask * rng.uniform(-2, 2)).astype(np.float32))}))
    return batch


def policy_loss(name, result, batch, low=None, high=None):
    total = 0.0
    for d, l in zip(batch, logprobs_of(result)):
        ratio, a = np.exp(l - column(d, "logprobs")), column(d, "advantages")
        if name == "importance_sampling":
            total -= (ratio * a).sum()
        elif name == "ppo":
            total -= np.minimum(ratio * a, ratio.clip(low, high) * a).sum()
        elif name == "cispo":
            total -= (ratio.clip(low, high) * a * l).sum()
    return total


@check
def policy_losses_have_the_public_formula():
    client = state["client"]
    for name, config, bounds in (("importance_sampling", None, {}), ("ppo", None, {"low": 0.8, "high": 1.2}),
                                 ("ppo", {"clip_low_threshold": 0.9, "clip_high_threshold": 1.05}, {"low": 0.9, "high": 1.05}),
                                 ("cispo", {"clip_low_threshold": 0.7, "clip_high_threshold": 1.3}, {"low": 0.7, "high": 1.3})):
        batch = policy_data(client)
        result = client.forward_backward(batch, name, loss_fn_config=config).result()
        close(result.metrics["loss:sum"], policy_loss(name, result, batch, **bounds), 1e-5, f"{name} {config}")
    client.optim_step(types.AdamParams(learning_rate=0.0)).result()


@check
def the_gradients_of_policy_losses_are_those_of_their_formulas():
    """the same accumulated gradient, by its norm and by what the step does, as the torch formula sent as a custom loss"""
    def torch_loss(name, low, high):
        def loss(batch_, logprobs):
            total = 0.0
            for d, l in zip(policy, logprobs):
                old, a = torch.tensor(d.loss_fn_inputs["logprobs"].data), torch.tensor(d.loss_fn_inputs["advantages"].data)
                ratio = torch.exp(l - old)
                if name == "importance_sampling":
                    total = total - (ratio * a).sum()
                elif name == "ppo":
                    total = total - torch.minimum(ratio * a, ratio.clamp(low, high) * a).sum()
                else:
                    total = total - (ratio.clamp(low, high).detach() * a * l).sum()
            return total, {}
        return loss

    start = moved(new_client(seed=3)).save_state("policy-gradients").result().path
    bare = [types.Datum(model_input=d.model_input, loss_fn_inputs={"target_tokens": d.loss_fn_inputs["target_tokens"]}) for d in data]
    found = []
    for name in ("importance_sampling", "ppo", "cispo"):
        first = made(service.create_training_client_from_state(start))
        second = made(service.create_training_client_from_state(start))
        policy = policy_data(first)
        config = None if name == "importance_sampling" else {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}
        first.forward_backward(policy, name, loss_fn_config=config).result()
        second.forward_backward_custom(bare, torch_loss(name, 0.8, 1.2)).result()
        step = types.AdamParams(learning_rate=1e-3, eps=1e-3)
        one, two = first.optim_step(step).result().metrics, second.optim_step(step).result().metrics
        close(norm_of(two), norm_of(one), 1e-5, f"{name}: grad norm")
        for a, b in zip(*(logprobs_of(c.forward(data, "cross_entropy").result()) for c in (first, second))):
            close(b, a, 1e-5, f"{name}: logprobs after the step")
        found.append(f"{name} {norm_of(one):.4g}")
    return ", ".join(found)


# ---- custom losses -------------------------------------------------------------------------------------------------

@check
def a_custom_loss_is_trained():
    """a pair loss, weights of both signs: the chosen answer rises, the rejected one falls"""
    client = new_client(seed=4)
    pair = [datum("2+2=", "four."), datum("2+2=", "seven")]

    def loss(batch, logprobs):
        chosen, rejected = ((l * torch.tensor(d.loss_fn_inputs["weights"].data)).sum() for d, l in zip(batch, logprobs))
        value = -torch.nn.functional.logsigmoid(0.1 * (chosen - rejected))
        return value, {"chosen": chosen.item(), "rejected": rejected.item(), "value": value.item()}

    seen = []
    for _ in range(8):
        seen.append(client.forward_backward_custom(pair, loss).result().metrics)
        client.optim_step(types.AdamParams(learning_rate=3e-3)).result()
    first, last = seen[0], seen[-1]
    assert last["value"] < 0.7 * first["value"] and last["chosen"] > first["chosen"] and last["rejected"] < first["rejected"], seen
    return f"loss {first['value']:.3f} -> {last['value']:.3f}"


@check
def the_custom_gradient_is_linear():
    """the norm of the gradient of -3 L is 3 times that of L = summed cross entropy, which is the server's own"""
    client = moved(new_client(seed=5))

    def summed(factor):
        def loss(batch, logprobs):
            value = factor * sum(-(l * torch.tensor(d.loss_fn_inputs["weights"].data)).sum() for d, l in zip(batch, logprobs))
            return value, {}
        return loss

    def norm():
        return norm_of(client.optim_step(types.AdamParams(learning_rate=0.0)).result().metrics)

    client.forward_backward(data, "cross_entropy").result()
    own = norm()
    client.forward_backward_custom(data, summed(1.0)).result()
    close(norm(), own, 1e-5, "grad norm of the same loss")
    client.forward_backward_custom(data, summed(-3.0)).result()
    close(norm(), 3 * own, 1e-5, "grad norm of -3 L")
    for d in data:                                             # four calls accumulate to one
        client.forward_backward_custom([d], summed(1.0)).result()
    close(norm(), own, 1e-5, "grad norm of four calls")
    client.forward_backward_custom(data, summed(1.0)).result()
    client.forward_backward_custom(data, summed(-1.0)).result()
    assert norm() < 1e-4 * own
    return f"{own:.4g}"


@check
def candidates_are_trained():
    """2-D targets: three candidates a token, a teacher's distribution over them"""
    client = new_client(seed=6)
    tokens = text("distil me")
    targets = np.array([[t, 65 + i, 97 + i] for i, t in enumerate(tokens[1:])])
    teacher = np.tile([0.7, 0.2, 0.1], (len(tokens) - 1, 1))
    d = types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs={
        "target_tokens": types.TensorData.from_numpy(targets), "weights": types.TensorData.from_numpy(teacher.astype(np.float32))})
    losses = []
    for _ in range(8):
        result = client.forward_backward([d], "cross_entropy").result()
        logprobs = result.loss_fn_outputs[0]["logprobs"]
        assert list(logprobs.shape) == [len(tokens) - 1, 3], logprobs.shape
        losses.append(result.metrics["loss:sum"])
        close(losses[-1], -(teacher.reshape(-1) * np.array(logprobs.data)).sum(), 1e-5, "loss:sum")
        client.optim_step(types.AdamParams(learning_rate=1e-2)).result()
    assert losses[-1] < 0.9 * losses[0], losses


@check
def more_datums_than_one_request_holds():
    """the SDK cuts at 1024 datums: the merged reply is in order and sums over all"""
    client = new_client(seed=7)
    many = [datum([1 + i % 200, 2], [3 + i % 100]) for i in range(1100)]
    result = client.forward_backward(many, "cross_entropy").result()
    assert len(result.loss_fn_outputs) == 1100
    close(result.metrics["loss:sum"], cross_entropy_of(result, many), 1e-5, "loss:sum")
    alone = client.forward([many[1050]], "cross_entropy").result()
    close(logprobs_of(alone)[0], logprobs_of(result)[1050], 1e-5, "logprobs of datum 1050")


# ---- optimizer -----------------------------------------------------------------------------------------------------

@check
def gradient_clipping_and_weight_decay():
    start = moved(new_client(seed=8)).save_state("clipping").result().path

    def after(**options):
        client = made(service.create_training_client_from_state(start))
        client.forward_backward(data, "cross_entropy").result()
        metrics = client.optim_step(types.AdamParams(learning_rate=1e-2, eps=1.0, **options)).result().metrics
        return metrics, np.concatenate(logprobs_of(client.forward(data, "cross_entropy").result()))

    free, unclipped = after()
    norm = norm_of(free)
    _, wide = after(grad_clip_norm=2 * norm)
    _, narrow = after(grad_clip_norm=norm / 100)
    _, decayed = after(weight_decay=0.5)
    assert (wide == unclipped).all(), "a clip above the norm must change nothing"
    assert not np.allclose(narrow, unclipped, atol=1e-4), "a clip below the norm must shorten the step"
    assert not np.allclose(decayed, unclipped, atol=1e-4), "weight decay must change the step"


# ---- checkpoints ---------------------------------------------------------------------------------------------------

@check
def save_and_load_state():
    client = state["client"]
    path = client.save_state("saved").result().path
    assert path.startswith("tinker://"), path
    state["saved"] = path
    before = logprobs_of(client.forward(data, "cross_entropy").result())
    restored = made(service.create_training_client_from_state(path))
    for a, b in zip(logprobs_of(restored.forward(data, "cross_entropy").result()), before):
        assert (a == b).all()
    moved(client)
    assert any((a != b).any() for a, b in zip(logprobs_of(client.forward(data, "cross_entropy").result()), before))
    client.load_state(path).result()
    for a, b in zip(logprobs_of(client.forward(data, "cross_entropy").result()), before):
        assert (a == b).all()
    return path


@check
def the_optimizer_is_restored():
    """stop, load with the optimizer, go on: the same as without the stop; without the optimizer it is not"""
    client = moved(new_client(seed=9), steps=3)
    path = client.save_state("with-optimizer").result().path
    straight = logprobs_of(moved(client, 2).forward(data, "cross_entropy").result())
    resumed = made(service.create_training_client_from_state_with_optimizer(path))
    for a, b in zip(logprobs_of(moved(resumed, 2).forward(data, "cross_entropy").result()), straight):
        close(a, b, 1e-6, "logprobs after going on")
    fresh = made(service.create_training_client_from_state(path))
    apart = logprobs_of(moved(fresh, 2).forward(data, "cross_entropy").result())
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(apart, straight))


@check
def an_existing_name_is_refused():
    client = state["client"]
    error = raises(Exception, lambda: client.save_state("saved").result(), "saved")
    restored = made(service.create_training_client_from_state(state["saved"]))
    for a, b in zip(logprobs_of(restored.forward(data, "cross_entropy").result()),
                    logprobs_of(client.forward(data, "cross_entropy").result())):
        assert (a == b).all()
    return type(error).__name__


@check
def a_name_with_a_path_is_refused():
    before = {os.path.join(d, f) for d, _, files in os.walk(os.path.dirname(os.path.abspath(checkpoints))) for f in files}
    raises(Exception, lambda: state["client"].save_state("../escaped").result(), "name")
    after = {os.path.join(d, f) for d, _, files in os.walk(os.path.dirname(os.path.abspath(checkpoints))) for f in files}
    assert before == after, after - before


@check
def a_missing_checkpoint_is_refused():
    missing = state["saved"].rsplit("/", 1)[0] + "/never-saved"
    raises(Exception, lambda: state["client"].load_state(missing).result(), "never-saved")


# ---- sampling ------------------------------------------------------------------------------------------------------

def prompt(string):
    return types.ModelInput.from_ints(text(string))


@check
def save_weights_for_sampler_and_sample():
    client = state["client"]
    for step in range(200):                   # until it knows the four answers by heart
        loss = client.forward_backward(data, "cross_entropy").result().metrics["loss:sum"]
        if loss < 2:
            break
        client.optim_step(types.AdamParams(learning_rate=1e-2 if loss > 5 else 2e-3)).result()
    assert loss < 2, loss
    path = client.save_weights_for_sampler("sampler").result().path
    state["sampler"] = sampler = made(service.create_sampling_client(model_path=path))
    result = sampler.sample(prompt("2+2="), 1, types.SamplingParams(max_tokens=5, temperature=0.0)).result()
    answer = bytes(result.sequences[0].tokens).decode(errors="replace")
    assert answer == "four.", answer
    assert result.sequences[0].stop_reason == "length"
    return path


@check
def sampled_logprobs_are_those_of_forward():
    result = state["sampler"].sample(prompt("sky?"), 3, types.SamplingParams(max_tokens=12, temperature=1.0, seed=5)).result()
    assert len(result.sequences) == 3
    for sequence in result.sequences:
        tokens = list(sequence.tokens)
        assert 0 < len(tokens) <= 12 and len(sequence.logprobs) == len(tokens)
        forward = state["client"].forward([datum("sky?", tokens)], "cross_entropy").result()
        close(sequence.logprobs, logprobs_of(forward)[0][-len(tokens):], 1e-4, "logprobs of the sampled tokens")


@check
def a_seed_repeats_a_sample():
    def tokens(seed):
        parameters = types.SamplingParams(max_tokens=24, temperature=1.0, seed=seed)
        return [list(s.tokens) for s in state["sampler"].sample(prompt("zzz"), 4, parameters).result().sequences]
    assert tokens(7) == tokens(7)
    assert tokens(7) != tokens(8)
    assert len({tuple(t) for t in tokens(7)}) > 1, "the samples of one request must differ"


@check
def stop_ends_a_sample():
    def answer(stop):
        parameters = types.SamplingParams(max_tokens=30, temperature=0.0, stop=stop)
        return state["sampler"].sample(prompt("sky?"), 1, parameters).result().sequences[0]
    by_text, by_token = answer([","]), answer([ord(",")])
    assert by_text.stop_reason == "stop" and by_token.stop_reason == "stop"
    assert bytes(by_text.tokens).startswith(b"blue") and len(by_text.tokens) <= 5, by_text
    return bytes(by_text.tokens)


@check
def top_k_one_is_greedy():
    greedy = state["sampler"].sample(prompt("zzz"), 1, types.SamplingParams(max_tokens=16, temperature=0.0)).result()
    narrow = state["sampler"].sample(prompt("zzz"), 1, types.SamplingParams(max_tokens=16, temperature=1.0, top_k=1)).result()
    nucleus = state["sampler"].sample(prompt("zzz"), 1, types.SamplingParams(max_tokens=16, temperature=1.0, top_p=1e-6)).result()
    assert list(greedy.sequences[0].tokens) == list(narrow.sequences[0].tokens) == list(nucleus.sequences[0].tokens)


@check
def samples_follow_the_distribution():
    """the first token of 2000 samples against the model's own probabilities (chi-square, 6 sigma)"""
    parameters = types.SamplingParams(max_tokens=1, temperature=3.0, seed=11)
    result = state["sampler"].sample(prompt("zzz"), 2000, parameters, topk_prompt_logprobs=0).result()
    first = [s.tokens[0] for s in result.sequences]
    ids = sorted(set(first))
    base = state["client"].forward([datum("zzz", [i]) for i in range(256)], "cross_entropy").result()
    p = np.exp(np.array([l[-1] for l in logprobs_of(base)]) / 3.0)
    p = p / p.sum()                            # among the bytes; the special tokens are left out on both sides
    counts = np.array([sum(t == i for t in first) for i in range(256)], float)
    n = counts.sum()
    big = p * n > 5
    chi = ((counts[big] - p[big] * n) ** 2 / (p[big] * n)).sum()
    assert n > 1000 and big.sum() > 3, (n, big.sum())
    assert chi < big.sum() + 6 * math.sqrt(2 * big.sum()), (chi, big.sum())
    return f"chi-square {chi:.1f} for {big.sum()} tokens, {len(ids)} seen"


@check
def compute_logprobs():
    tokens = text("2+2=four.")
    found = state["sampler"].compute_logprobs(types.ModelInput.from_ints(tokens)).result()
    forward = state["client"].forward([datum(tokens[:1], tokens[1:])], "cross_entropy").result()
    assert len(found) == len(tokens) and found[0] is None, found
    close(found[1:], logprobs_of(forward)[0], 1e-4, "logprobs of the prompt")


@check
def top_prompt_logprobs():
    tokens = text("2+2=four.")
    result = state["sampler"].sample(types.ModelInput.from_ints(tokens), 1, types.SamplingParams(max_tokens=1), include_prompt_logprobs=True,
                                     topk_prompt_logprobs=3).result()
    top = result.topk_prompt_logprobs
    assert len(top) == len(tokens) and top[0] is None
    for token, logprob, candidates in zip(tokens[1:], result.prompt_logprobs[1:], top[1:]):
        values = [l for _, l in candidates]
        assert len(candidates) == 3 and values == sorted(values, reverse=True)
        assert logprob <= values[0] + 1e-6
        if token in dict(candidates):
            close(dict(candidates)[token], logprob, 1e-6, "the token's own logprob")


@check
def weights_straight_into_a_sampling_client():
    sampler = made(state["client"].save_weights_and_get_sampling_client())
    result = sampler.sample(prompt("1"), 1, types.SamplingParams(max_tokens=1, temperature=0.0)).result()
    assert list(result.sequences[0].tokens) == text("1")


@check
def the_base_model_is_sampled():
    sampler = made(service.create_sampling_client(base_model=model))
    found = sampler.compute_logprobs(types.ModelInput.from_ints(text("2+2=four."))).result()
    forward = new_client(seed=10).forward([datum("2", "+2=four.")], "cross_entropy").result()
    close(found[1:], logprobs_of(forward)[0], 1e-4, "logprobs of the base model")


# ---- bad input -----------------------------------------------------------------------------------------------------

def refused(make, *words):
    client = state["client"]
    before = logprobs_of(client.forward(data, "cross_entropy").result())
    error = raises(Exception, lambda: client.forward_backward([data[0], make()], "cross_entropy").result(), *words)
    client.optim_step(types.AdamParams(learning_rate=0.0)).result()
    for a, b in zip(logprobs_of(client.forward(data, "cross_entropy").result()), before):
        assert (a == b).all(), "the model must be as it was"
    return str(error).splitlines()[0][:160]


@check
def a_token_outside_the_vocabulary_is_refused():
    return refused(lambda: datum([1, 2, 99999], [3, 4]), "99999")


@check
def a_negative_token_is_refused():
    return refused(lambda: datum([1, 2, 3], [-7, 4]), "-7")


@check
def columns_of_different_lengths_are_refused():
    return refused(lambda: datum([1, 2, 3], [3, 4], weights=[1.0, 1.0]))


@check
def weights_that_are_not_finite_are_refused():
    return refused(lambda: datum([1, 2, 3], [3, 4], weights=[1.0, math.nan, 1.0, 1.0]))


@check
def an_unknown_loss_is_refused():
    raises(Exception, lambda: state["client"].forward_backward(data, "no_such_loss").result())


@check
def the_session_goes_on_after_errors():
    client = state["client"]
    first = client.forward_backward(data, "cross_entropy").result().metrics["loss:sum"]
    for _ in range(5):
        client.optim_step(types.AdamParams(learning_rate=1e-3)).result()
        last = client.forward_backward(data, "cross_entropy").result().metrics["loss:sum"]
    assert last < first, (first, last)


if __name__ == "__main__":
    run()
