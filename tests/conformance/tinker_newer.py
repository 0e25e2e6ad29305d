# SPDX-License-Identifier: Apache-2.0
"""What the Python SDK `tinker` gained between 0.25 and 0.38, unchanged, against the embedded trainer: what the trainer has
works and its numbers agree with other operations; what it does not have is refused in a sentence, never ignored.
"""
import numpy as np
import tinker
import torch
from tinker import types

from checks import check, close, made, model, run, url
from sdk import datum, logprobs_of, norm_of, raises, text

service = tinker.ServiceClient(base_url=url)
client = made(service.create_lora_training_client(base_model=model, rank=8, seed=1, user_metadata={"purpose": "a test"}))

data = [datum("2+2=", "four."), datum("sky?", "blue, usually."), datum("1", "1")]


def forward(batch=data, of=client):
    return logprobs_of(of.forward(batch, "cross_entropy").result())


def refused(call, *words):
    error = raises(Exception, call, *words)
    return f"{type(error).__name__}: {str(error)[:120]}"


zero = types.AdamParams(learning_rate=0.0)
for _ in range(3):
    client.forward_backward(data, "cross_entropy")
    client.optim_step(types.AdamParams(learning_rate=1e-2)).result()
sampler = made(client.save_weights_and_get_sampling_client())
prompt = types.ModelInput.from_ints(text("2+2=four."))


@check
def the_sdk():
    return f"tinker {tinker.__version__}"


@check
def information_names_the_optimizer():
    """asked for when the client is made; get_info() answers from that"""
    info = client.get_info()
    assert info.optimizer_config.type == "adamw", info
    assert info.model_data.model_name == model and info.lora_rank == 8, info


@check
def capabilities_say_what_can_be_done():
    (served,) = service.get_server_capabilities().supported_models
    assert served.model_name == model and served.trainable is not False and served.sampleable is not False, served


@check
def a_custom_loss_is_a_future():
    """optim_step is submitted behind it at once; loss:sum is the user's value, surrogate_loss:sum the linearised one"""
    def loss(batch, logprobs):
        value = sum(-(l * torch.tensor(d.loss_fn_inputs["weights"].data)).sum() for d, l in zip(batch, logprobs))
        return value, {"mine": 3.5}

    client.forward_backward(data, "cross_entropy").result()
    own = norm_of(client.optim_step(zero).result().metrics)
    expected = -sum((np.array(d.loss_fn_inputs["weights"].data) * l).sum() for d, l in zip(data, forward()))
    pending, step = client.forward_backward_custom(data, loss), client.optim_step(zero)
    metrics = pending.result().metrics
    close(metrics["loss:sum"], expected, 1e-5, "loss:sum")
    close(metrics["mine"], 3.5, 0, "the user's metric")
    close(metrics["surrogate_loss:sum"], expected, 1e-5, "surrogate_loss:sum")  # sum of -logprob * weight, both times
    close(norm_of(step.result().metrics), own, 1e-5, "grad norm")
    return f"loss {expected:.4f}, grad norm {own:.4f}"


@check
def a_traced_custom_loss():
    """create_custom_loss: traced by the SDK, run by it where the server does not say that it runs such losses"""
    def neg_ll(logprobs, weights):
        value = -(logprobs * weights).sum()
        return value, {"custom/neg_ll:sum": value}

    handle = service.create_custom_loss(neg_ll, input_ranks={"logprobs": 1, "weights": 1}).result()
    client.forward_backward(data, "cross_entropy").result()
    own = norm_of(client.optim_step(zero).result().metrics)
    metrics = client.forward_backward_custom(data, handle).result().metrics
    close(metrics["custom/neg_ll:sum"], metrics["loss:sum"], 1e-6, "the metric is the loss")
    close(norm_of(client.optim_step(zero).result().metrics), own, 1e-5, "grad norm")


@check
def every_sequence_has_its_name():
    result = sampler.sample(prompt, 3, types.SamplingParams(max_tokens=2, seed=1)).result()
    names = [s.sequence_id for s in result.sequences]
    again = sampler.sample(prompt, 2, types.SamplingParams(max_tokens=2, seed=1)).result()
    names += [s.sequence_id for s in again.sequences]
    assert all(names) and len(set(names)) == 5, names
    return names[0]


@check
def datums_that_say_where_their_tokens_come_from():
    """provenance spans: they change no number; those that do not cover the field are refused by their number"""
    Prompt, Sampled = types.PromptProvenanceSpan, types.SampledProvenanceSpan
    drawn = sampler.sample(prompt, 2, types.SamplingParams(max_tokens=4, seed=1)).result().sequences
    plain, said = [], []
    for sequence in drawn:
        ids, n, name = prompt.to_ints() + list(sequence.tokens), len(sequence.tokens), sequence.sequence_id
        plain.append(types.Datum(model_input=types.ModelInput.from_ints(ids[:-1]), loss_fn_inputs={
            "target_tokens": ids[1:], "weights": [0.0] * (prompt.length - 1) + [1.0] * n}))
        said.append(plain[-1].with_provenance(
            model_input=[Prompt(sequence_id=name, length=prompt.length), Sampled(sequence_id=name, length=n - 1)],
            loss_fn_inputs=[Prompt(sequence_id=name, offset=1, length=prompt.length - 1), Sampled(sequence_id=name, length=n)]))
    for a, b in zip(forward(plain), forward(said)):
        assert (a == b).all()
    spans = {"model_input_spans": said[1].model_input_spans, "loss_fn_input_spans": [Sampled(sequence_id="s", length=3)]}
    wrong = types.Datum(model_input=plain[1].model_input, loss_fn_inputs=plain[1].loss_fn_inputs, **spans)  # unchecked by the SDK
    return refused(lambda: client.forward_backward([said[0], wrong], "cross_entropy").result(),
                   "'data', 1, 'loss_fn_input_spans'", "the spans cover 3 of ")


@check
def weights_that_later_saves_replace():
    """kind="inflight": one set a model, for the clients made before the save too"""
    own = made(service.create_lora_training_client(base_model=model, rank=8, seed=3))

    def scored(of):
        return np.array(of.compute_logprobs(prompt).result()[1:])

    first = made(own.save_weights_and_get_sampling_client(kind="inflight"))
    fixed = made(own.save_weights_and_get_sampling_client())
    before = scored(fixed)
    assert (scored(first) == before).all()
    own.forward_backward(data, "cross_entropy").result()
    own.optim_step(types.AdamParams(learning_rate=3e-2)).result()
    assert (scored(first) == before).all(), "a step alone has published something"
    second = made(own.save_weights_and_get_sampling_client(kind="inflight"))
    after = scored(second)
    assert np.abs(after - before).max() > 0.01
    assert (scored(first) == after).all() and (scored(fixed) == before).all()
    expected = np.concatenate([row for row in forward([types.Datum(
        model_input=types.ModelInput.from_ints(prompt.to_ints()[:-1]), loss_fn_inputs={
            "target_tokens": prompt.to_ints()[1:], "weights": [0.0] * (prompt.length - 1)})], own)])
    close(after, expected, 1e-5, "the trainer's own logprobs")
    return f"moved by {np.abs(after - before).max():.3f}"


@check
def top_k_of_sampled_tokens():
    result = sampler.sample(prompt, 2, types.SamplingParams(max_tokens=6, seed=3), topk_sample_logprobs=4).result()
    for sequence in result.sequences:
        rows = forward([types.Datum(model_input=types.ModelInput.from_ints((prompt.to_ints() + sequence.tokens)[:-1]), loss_fn_inputs={
            "target_tokens": types.TensorData.from_numpy(np.repeat(np.array((prompt.to_ints() + sequence.tokens)[1:])[:, None], 2, 1)),
            "weights": types.TensorData.from_numpy(np.zeros((prompt.length + len(sequence.tokens) - 1, 2), np.float32))})])[0]
        own = rows.reshape(-1, 2)[-len(sequence.tokens):, 0]
        assert len(sequence.topk_logprobs) == len(sequence.tokens)
        for token, logprob, candidates in zip(sequence.tokens, own, sequence.topk_logprobs):
            values = [l for _, l in candidates]
            assert len(candidates) == 4 and values == sorted(values, reverse=True), candidates
            assert logprob <= values[0] + 1e-4
            if token in dict(candidates):
                close(dict(candidates)[token], logprob, 1e-4, "the token's own logprob")


@check
def logprobs_of_named_prompt_tokens():
    """dense and sparse; -1 asks for nothing"""
    tokens = prompt.to_ints()
    ids = np.full((len(tokens) - 1, 3), -1, np.int64)
    ids[:, 0] = tokens[1:]
    ids[2, 1], ids[5, 2] = 65, 66
    asked = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=1), include_prompt_logprobs=True,
                           target_prompt_logprobs=types.TensorData.from_numpy(ids)).result()
    found = asked.target_prompt_logprobs.to_numpy()
    close(found[:, 0], asked.prompt_logprobs[1:], 1e-5, "the prompt's own tokens")
    assert found.shape == ids.shape and found[2, 1] < 0 and found[5, 2] < 0
    assert (found[ids == -1] == 0).all(), found
    direct = forward([types.Datum(model_input=types.ModelInput.from_ints(tokens[:3]), loss_fn_inputs={
        "target_tokens": [0, 0, 65], "weights": [0.0, 0.0, 0.0]})])[0]
    close(found[2, 1], direct[2], 1e-4, "another token's logprob")


@check
def logprobs_of_the_last_tokens_only():
    whole = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=1), include_prompt_logprobs=True).result().prompt_logprobs
    part = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=1), include_prompt_logprobs=True,
                          prompt_logprobs_last_n=3).result().prompt_logprobs
    assert len(part) == len(whole) and part[:-3] == [None] * (len(whole) - 3), part
    close(part[-3:], whole[-3:], 1e-5, "the last three")


@check
def other_tokens_drawn_at_every_prompt_position():
    tokens = prompt.to_ints()
    drawn = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=1, seed=5), prompt_alt_tokens_k=3).result().prompt_alt_tokens
    ids, logprobs = drawn.tokens.to_numpy(), drawn.logprobs.to_numpy()
    assert ids.shape == logprobs.shape == (len(tokens) - 1, 3), (ids.shape, logprobs.shape)
    asked = sampler.sample(prompt, 1, types.SamplingParams(max_tokens=1),
                           target_prompt_logprobs=types.TensorData.from_numpy(ids.astype(np.int64))).result()
    close(logprobs, asked.target_prompt_logprobs.to_numpy(), 1e-5, "logprobs of the tokens that were drawn")


@check
def weights_for_other_programs():
    """save_weights_external: the files of a PEFT adapter or a model, behind links"""
    path = client.save_weights_external("for-others").result().path
    assert "/external_weights/for-others" in path, path
    return path


@check
def an_empty_stop_list_means_no_stop():
    """not even the model's end-of-text token; without the list it stops there"""
    eos = 256  # <|endoftext|> of gradwire/tiny
    ender = made(service.create_lora_training_client(base_model=model, rank=8, seed=2))
    tokens = text("z") + [eos] * 3
    ending = types.Datum(model_input=types.ModelInput.from_ints(tokens[:-1]), loss_fn_inputs={
        "target_tokens": tokens[1:], "weights": [1.0] * 3})
    for _ in range(40):
        loss = ender.forward_backward([ending], "cross_entropy").result().metrics["loss:sum"]
        ender.optim_step(types.AdamParams(learning_rate=1e-2)).result()
    assert loss < 0.3, loss
    greedy = made(ender.save_weights_and_get_sampling_client())

    def lengths(**stop):
        parameters = types.SamplingParams(max_tokens=6, temperature=0.0, **stop)
        sequence = greedy.sample(types.ModelInput.from_ints(text("z")), 1, parameters).result().sequences[0]
        return len(sequence.tokens), sequence.stop_reason

    assert lengths() == (1, "stop"), lengths()
    assert lengths(stop=[]) == (6, "length"), lengths(stop=[])


@check
def the_sampler_knows_its_base_model():
    path = client.save_weights_for_sampler("named", user_metadata={"step": "3"}).result().path
    assert made(service.create_sampling_client(model_path=path)).get_base_model() == model


@check
def metadata_is_kept():
    path = client.save_state("with-metadata", user_metadata={"step": "3", "note": "a \"quoted\" ü"}).result().path
    rest = service.create_rest_client()
    found = [c for c in rest.list_checkpoints(client.model_id).result().checkpoints if c.tinker_path == path]
    assert len(found) == 1 and found[0].user_metadata == {"step": "3", "note": "a \"quoted\" ü"}, found
    assert rest.get_training_run(client.model_id).result().user_metadata == {"purpose": "a test"}


@check
def a_state_may_be_overwritten_on_request():
    refused(lambda: client.save_state("with-metadata").result(), "with-metadata")
    path = client.save_state("with-metadata", overwrite=True).result().path
    for a, b in zip(forward(of=made(service.create_training_client_from_state(path))), forward()):
        assert (a == b).all()


@check
def a_client_made_from_a_state_keeps_the_optimizer():
    path = client.save_state("optimizer").result().path
    second = made(service.create_training_client_from_state_with_optimizer(path))
    assert second.get_info().optimizer_config.type == "adamw"
    for it in (client, second):
        it.forward_backward(data, "cross_entropy").result()
        it.optim_step(types.AdamParams(learning_rate=1e-3)).result()
    for a, b in zip(forward(), forward(of=second)):
        close(b, a, 1e-6, "logprobs after going on")


@check
def what_is_not_here_is_refused():
    """in a sentence, before anything changes"""
    before = forward()
    said = [
        refused(lambda: made(service.create_lora_training_client(base_model=model, rank=8, optimizer=types.DimuonOptimizerConfig())), "adamw"),
        refused(lambda: client.forward_backward(data, "gspo").result(), "cross_entropy"),
        refused(lambda: client.forward_backward(data, "stable_reinforce").result(), "cross_entropy"),
        refused(lambda: made(client.save_weights_and_get_sampling_client(record_stability_info=True)).sample(
            prompt, 1, types.SamplingParams(max_tokens=1)).result(), "stable_reinforce"),
        refused(lambda: client.forward_backward([datum("2+2=", "4", logprobs=[0.0] * 4, advantages=[1.0] * 4)], "ppo",
                                                loss_fn_config={"clip_low_threshold": "low"}).result(), "clip_low_threshold"),
    ]
    client.optim_step(zero).result()
    for a, b in zip(forward(), before):
        assert (a == b).all()
    return "; ".join(said)


@check
def a_closed_session_is_finished():
    other = tinker.ServiceClient(base_url=url)
    closed = made(other.create_lora_training_client(base_model=model, rank=8))
    other.close("success", detail="done").result()
    again = service.create_rest_client()
    assert again.list_sessions().result().sessions is not None
    over = again.search_sessions(types.SessionSearchRequest(
        statuses=[types.ClientFinishedSessionStatusQuery(reasons=["success"])], limit=1)).result()
    assert over.sessions[0].status.reason.type == "success", over
    page = again.search_sessions(types.SessionSearchRequest(limit=1)).result()
    rest = again.search_sessions(types.SessionSearchRequest(cursor=page.next_cursor)).result()
    assert page.sessions[0].created_at > max(each.created_at for each in rest.sessions), (page, rest)
    return refused(lambda: closed.forward(data, "cross_entropy").result(timeout=20))


if __name__ == "__main__":
    run()
