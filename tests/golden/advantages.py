#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Golden numbers of advantage estimators and reward shaping, from the projects' own code (upstream.py).

    advantages.py CHECKOUTS       writes advantages.json beside this file

Run it with the interpreter of `tests/python/venv torch`. float64, unless a note says that the source computes in float32. Only the values
at unmasked tokens are compared.
"""
import asyncio
import pathlib
import random
import sys
import types
from collections import defaultdict

import numpy as np
import torch

from upstream import COMMITS, Checkouts, Namespace, padded, ragged, write

torch.set_default_dtype(torch.float64)
here = pathlib.Path(__file__).resolve().parent


# ---- batches -----------------------------------------------------------------------------------------------------------------------

def drawn(seed, group_sizes, equal):
    """Groups of sequences with holes; the group `equal` has one reward for all. Numbers are exact in float32."""
    r = random.Random(seed)
    number = lambda low, high: round(r.uniform(low, high) * 256) / 256
    lengths = [r.randint(3, 7) for _ in range(sum(group_sizes))]
    rows = lambda low, high: [[number(low, high) for _ in range(n)] for n in lengths]
    groups = [g for g, size in enumerate(group_sizes) for _ in range(size)]
    return {
        "group_sizes": group_sizes,
        "weights": [[1.0 if t in (0, n // 2) or r.random() < 0.7 else 0.0 for t in range(n)] for n in lengths],
        "values": rows(-1, 1), "token_reward": rows(-0.5, 0.5), "old_logprobs": rows(-3, -0.1), "sampler_logprobs": rows(-3, -0.1),
        "ref_logprobs": rows(-3, -0.1), "teacher_logprobs": rows(-3, -0.1), "sum_pi_squared": rows(0.1, 0.9), "information_gain": rows(-1, 1),
        "reward": [0.5 if g == equal else number(-1, 2) for g in groups],
        "reward_baseline": [number(0, 1) for _ in groups],
    }


vectors = {
    "group_sizes": [4, 2],
    "weights": [[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 0]],
    "values": [[0.3, 0.4, 0.6], [0.2, 0.1, 0.0], [0.5, 0.5, 0.5], [0.7, 0.0, 0.0], [0.1, 0.2, 0.3], [0.6, 0.8, 0.0]],
    "reward": [1.0, 0.0, 0.5, 1.0, 0.2, 0.9],
}
for name, low in (("old_logprobs", 3), ("sampler_logprobs", 2), ("ref_logprobs", 4), ("teacher_logprobs", 5)):
    vectors[name] = [[-(1 + (s * low + t * 3) % 7) / 8 for t in range(3)] for s in range(6)]
vectors["token_reward"] = [[0.0] * 3 for _ in range(6)]
vectors["sum_pi_squared"] = [[(2 + (s + t) % 5) / 8 for t in range(3)] for s in range(6)]
vectors["information_gain"] = [[(s - t) / 8 for t in range(3)] for s in range(6)]
vectors["reward_baseline"] = [0.5, 0.25, 0.75, 0.5, 0.125, 1.0]

batches = {"vectors": vectors, "even": drawn(5, [4, 4, 4], 1), "mixed": drawn(6, [4, 1, 3], 2)}
cases = []


class Batch:
    def __init__(self, name):
        self.name, self.raw = name, batches[name]
        self.rows = self.raw["weights"]
        self.mask = padded(self.rows)
        self.reward = torch.tensor(self.raw["reward"])
        self.sizes = self.raw["group_sizes"]
        self.index = np.array([g for g, size in enumerate(self.sizes) for _ in range(size)])
        self.values = padded(self.raw["values"])

    def __getitem__(self, name):
        return padded(self.raw[name])

    def token_rewards(self, dense):
        """reward on the last unmasked token, and the column token_reward if `dense`"""
        result = self["token_reward"].clone() if dense else torch.zeros_like(self.mask)
        for s, row in enumerate(self.rows):
            result[s, max(t for t, w in enumerate(row) if w)] += self.reward[s]
        return result


def add(name, estimator, b, advantages, parameters=None, dense=False, tolerance=1e-10, note=""):
    """advantages: [sequences] or [sequences, tokens]"""
    a = torch.as_tensor(np.asarray(advantages, dtype=float)) if not isinstance(advantages, torch.Tensor) else advantages.double()
    if a.dim() == 1:
        a = a[:, None] * b.mask
    cases.append({"name": f"{name} ({b.name}{', dense' if dense else ''})", "loss": estimator, "batch": b.name, "parameters": {**(parameters or {}), "dense": int(dense)},
                  "wrt": "", "value": 0.0, "slope": ragged(a * b.mask, b.rows), "metrics": {}, "tolerance": tolerance, "note": note})


# ---- verl --------------------------------------------------------------------------------------------------------------------------

def verl(upstream):
    path = "verl/trainer/ppo/core_algos.py"
    functional = {}
    for f in ("masked_sum", "masked_mean", "masked_var", "masked_whiten"):
        functional[f] = upstream.take("verl", "verl/utils/torch_functional.py", f, functional)
    names = {"verl_F": Namespace(**functional), "np": np, "defaultdict": defaultdict,
             "as_torch_index": lambda index, device=None: torch.as_tensor(index), "_resolve_device": lambda d: d or "cpu"}
    names["group_mean_std"] = upstream.take("verl", "verl/utils/groupwise.py", "group_mean_std", names)
    take = lambda f: upstream.take("verl", path, f, names)
    note = f"verl@{COMMITS['verl']} {path} "
    for name in batches:
        b = Batch(name)
        plain = lambda f, **k: take(f)(b.token_rewards(False), b.mask, b.index, **k)[0]
        for scaled in (True, False):
            p = {"norm_adv_by_std_in_grpo": int(scaled)}
            add(f"verl grpo {scaled}", "verl::grpo", b, plain("compute_grpo_outcome_advantage", norm_adv_by_std_in_grpo=scaled), p, note=note + "compute_grpo_outcome_advantage")
            add(f"verl grpo_vectorized {scaled}", "verl::grpo_vectorized", b, plain("compute_grpo_vectorized_outcome_advantage", norm_adv_by_std_in_grpo=scaled), p,
                tolerance=1e-6, note=note + "compute_grpo_vectorized_outcome_advantage; float32")
            if name != "mixed":
                add(f"verl grpo_passk {scaled}", "verl::grpo_passk", b, plain("compute_grpo_passk_outcome_advantage", config=p), p, note=note + "compute_grpo_passk_outcome_advantage")
        for f, estimator in (("rloo", "rloo"), ("rloo_vectorized", "rloo_vectorized"), ("opo", "opo"), ("gpg", "gpg"), ("reinforce_plus_plus_baseline", "reinforce_plus_plus_baseline")):
            add(f"verl {f}", f"verl::{estimator}", b, plain(f"compute_{f}_outcome_advantage"), note=note + f"compute_{f}_outcome_advantage")
        for dense in (False, True):
            r = b.token_rewards(dense)
            for gamma in (1.0, 0.9):
                add(f"verl reinforce_plus_plus {gamma}", "verl::reinforce_plus_plus", b,
                    take("compute_reinforce_plus_plus_outcome_advantage")(r, b.mask, Namespace(gamma=gamma))[0], {"gamma": gamma}, dense, note=note + "compute_reinforce_plus_plus_outcome_advantage")
                p = {"gamma": gamma, "lam": 0.95 if gamma < 1 else 1.0}
                a, returns = take("compute_gae_advantage_return")(r, b.values, b.mask, p["gamma"], p["lam"])
                add(f"verl gae {gamma}", "verl::gae", b, a, p, dense, note=note + "compute_gae_advantage_return")
                add(f"verl gae returns {gamma}", "verl::gae returns", b, returns, p, dense, note=note + "compute_gae_advantage_return")
            add("verl remax", "verl::remax", b, take("compute_remax_outcome_advantage")(r, torch.tensor(b.raw["reward_baseline"]), b.mask)[0], {}, dense,
                note=note + "compute_remax_outcome_advantage")
            for tail in (False, True):
                add(f"verl optimal_token_baseline {tail}", "verl::optimal_token_baseline", b,
                    take("compute_optimal_token_baseline_advantage")(r, b.mask, b.index, b["old_logprobs"], b["sum_pi_squared"], handle_zero_tail=tail)[0],
                    {"handle_zero_tail": int(tail)}, dense, note=note + "compute_optimal_token_baseline_advantage")
                add(f"verl tir_optimal_token_baseline {tail}", "verl::tir_optimal_token_baseline", b,
                    take("compute_multi_turn_optimal_token_baseline_advantage")(r, b.mask, b.index, b["old_logprobs"], b["sum_pi_squared"], handle_zero_tail=tail)[0],
                    {"handle_zero_tail": int(tail)}, dense, note=note + "compute_multi_turn_optimal_token_baseline_advantage")
            weights = torch.exp(b["old_logprobs"] - b["sampler_logprobs"]).clamp(max=1.5)
            add("verl optimal_token_baseline with weights", "verl::optimal_token_baseline_with_tis", b,
                take("compute_optimal_token_baseline_advantage")(r, b.mask, b.index, b["old_logprobs"], b["sum_pi_squared"], weights)[0],
                {"rollout_is_threshold": 1.5}, dense, note=note + "compute_optimal_token_baseline_advantage; rollout weights min(ρ, 1.5)")


# ---- SkyRL -------------------------------------------------------------------------------------------------------------------------

def skyrl(upstream):
    path = "skyrl/backends/skyrl_train/utils/ppo_utils.py"
    sys.modules["loguru"] = types.SimpleNamespace(logger=types.SimpleNamespace(warning=lambda *_: None))
    names = {"np": np, "defaultdict": defaultdict, "masked_mean": upstream.take("SkyRL", "skyrl/backends/skyrl_train/utils/torch_utils.py", "masked_mean")}
    for f in ("masked_var", "masked_whiten"):
        names[f] = upstream.take("SkyRL", path, f, names)
    take = lambda f: upstream.take("SkyRL", path, f, names)
    note = f"SkyRL@{COMMITS['SkyRL']} {path} "
    for name in batches:
        b = Batch(name)
        for scaled in (True, False):
            add(f"skyrl grpo {scaled}", "skyrl::grpo", b, take("compute_grpo_outcome_advantage")(b.token_rewards(False), b.mask, b.index, grpo_norm_by_std=scaled)[0],
                {"grpo_norm_by_std": int(scaled)}, note=note + "compute_grpo_outcome_advantage")
        for f, estimator in (("compute_rloo_outcome_advantage", "rloo"), ("compute_maxrl_advantage", "maxrl")):
            add(f"skyrl {estimator}", f"skyrl::{estimator}", b, take(f)(b.token_rewards(False), b.mask, b.index)[0], note=note + f)
        for dense in (False, True):
            r = b.token_rewards(dense)
            for gamma, lambd in ((1.0, 1.0), (0.99, 0.95)):
                a, returns = take("compute_gae_advantage_return")(r, b.values, b.mask, gamma, lambd)
                p = {"gamma": gamma, "lambd": lambd}
                add(f"skyrl gae {gamma}", "skyrl::gae", b, a, p, dense, note=note + "compute_gae_advantage_return")
                add(f"skyrl gae returns {gamma}", "skyrl::gae returns", b, returns, p, dense, note=note + "compute_gae_advantage_return")
                add(f"skyrl reinforce_plus_plus {gamma}", "skyrl::reinforce_plus_plus", b, take("compute_reinforce_plus_plus_outcome_advantage")(r, b.mask, gamma)[0],
                    {"gamma": gamma}, dense, note=note + "compute_reinforce_plus_plus_outcome_advantage")


# ---- TRL, OpenRLHF, slime, open-instruct --------------------------------------------------------------------------------------------

def trl(upstream):
    nanstd = upstream.take("trl", "trl/trainer/utils.py", "nanstd")
    path = "trl/trainer/grpo_trainer.py"
    grpo = upstream.block("trl", path, 'if self.multi_objective_aggregation == "sum_then_normalize"', "advantages = torch.nan_to_num")
    rloo_path = "trl/trainer/rloo_trainer.py"
    rloo = upstream.block("trl", rloo_path, "if self.beta != 0.0:\n            # RLOO uses", "advantages = torch.nan_to_num")
    for name in ("even",):  # groups of one size
        b = Batch(name)
        for scale, estimator in (("group", "grpo"), ("batch", "grpo_by_batch"), ("none", "grpo_unscaled")):
            trainer = Namespace(multi_objective_aggregation="sum_then_normalize", reward_weights=torch.ones(1), scale_rewards=scale)
            found = grpo(self=trainer, rewards_per_func=b.reward[:, None], device="cpu", num_generations=4, unscorable_mask=torch.zeros(len(b.reward), dtype=torch.bool), nanstd=nanstd)
            add(f"trl grpo {scale}", f"trl::{estimator}", b, found["advantages"], note=f"TRL@{COMMITS['trl']} {path}, the block that computes advantages")
        for beta, normal in ((0.05, False), (0.05, True), (0.0, False), (0.0, True)):
            found = rloo(self=Namespace(beta=beta, normalize_advantages=normal), old_per_token_logps=b["old_logprobs"], ref_per_token_logps=b["ref_logprobs"],
                         completion_mask=b.mask, gather=lambda x: x, rewards=b.reward, num_generations=4, nanstd=nanstd)
            add(f"trl rloo beta {beta} {normal}", "trl::rloo" if beta else "trl::rloo_without_kl", b, found["advantages"],
                {**({"beta": beta} if beta else {}), "normalize_advantages": int(normal)}, note=f"TRL@{COMMITS['trl']} {rloo_path}, the block that computes advantages")


def openrlhf(upstream):
    path = "openrlhf/trainer/ppo_utils/experience_maker.py"
    itertools = __import__("itertools")
    names = {"itertools": itertools, "apply_length_penalties": lambda *_: None, "compute_reward": upstream.take("OpenRLHF", "openrlhf/models/utils.py", "compute_reward")}
    maker = {m: upstream.take("OpenRLHF", path, f"RemoteExperienceMaker.{m}", names) for m in
             ("compute_advantages_and_returns", "get_advantages_and_returns", "get_cumulative_returns")}
    note = f"OpenRLHF@{COMMITS['OpenRLHF']} {path} compute_advantages_and_returns"

    def run(b, estimator, kl_coef=0.0, gamma=1.0, lambd=1.0, no_std_norm=False, dense=False):
        args = Namespace(rollout=Namespace(n_samples_per_prompt=4), reward=Namespace(clip_range=(-10, 10)),
                         algo=Namespace(advantage=Namespace(estimator=estimator, gamma=gamma, lambd=lambd, no_std_norm=no_std_norm)))
        this = Namespace(strategy=Namespace(args=args), kl_ctl=Namespace(value=kl_coef), advantage_estimator=estimator)
        for m in ("get_advantages_and_returns", "get_cumulative_returns"):
            setattr(this, m, (lambda f: lambda *a: f(this, *a))(maker[m]))
        kl = -b["token_reward"] if dense else (b["old_logprobs"] - b["ref_logprobs"]) * b.mask
        e = Namespace(index=list(range(len(b.rows))), rewards=b.reward, kl=kl, action_mask=b.mask, values=b.values.clone(), info={})
        experience = maker["compute_advantages_and_returns"](this, [e])[0]
        return experience.advantages, experience.returns

    b = Batch("even")
    for estimator, ours in (("group_norm", "group_norm"), ("rloo", "rloo"), ("dr_grpo", "dr_grpo"), ("reinforce_baseline", "reinforce_baseline")):
        add(f"openrlhf {estimator}", f"openrlhf::{ours}", b, run(b, estimator)[0], note=note + ("; float32" if "reinforce" in estimator else ""), tolerance=1e-6 if "reinforce" in estimator else 1e-10)
    for dense in (False, True):
        kl = 1.0 if dense else 0.0
        for gamma, lambd, mean_only in ((1.0, 1.0, False), (0.9, 0.8, False), (0.9, 0.8, True)):
            p = {"gamma": gamma, "no_std_norm": int(mean_only)}
            add(f"openrlhf reinforce {gamma} {mean_only}", "openrlhf::reinforce", b, run(b, "reinforce", kl, gamma, lambd, mean_only, dense)[0], p, dense, 1e-6, note + "; whitens in float32")
            a, returns = run(b, "gae", kl, gamma, lambd, mean_only, dense)
            add(f"openrlhf gae {gamma} {mean_only}", "openrlhf::gae", b, a, {**p, "lambd": lambd}, dense, 1e-6, note + "; whitens in float32")
            add(f"openrlhf gae returns {gamma} {mean_only}", "openrlhf::gae returns", b, returns, {**p, "lambd": lambd}, dense, note=note)
    add("openrlhf reinforce with KL", "openrlhf::reinforce of kl_shaped", b, run(b, "reinforce", 0.01)[0], {"coefficient": 0.01}, tolerance=1e-6,
        note=note + "; k1 in the reward, whitens in float32")


def slime(upstream):
    mpu = types.SimpleNamespace(get_context_parallel_world_size=lambda: 1)
    sys.modules["megatron"] = types.SimpleNamespace(core=None)
    sys.modules["megatron.core"] = types.SimpleNamespace(mpu=mpu)
    post = upstream.take("slime", "slime/ray/rollout.py", "RolloutManager._post_process_rewards")
    path = "slime/utils/ppo_utils.py"
    names = {}
    for f in ("chunked_discounted_returns", "vanilla_gae", "chunked_gae", "get_reinforce_plus_plus_returns", "get_advantages_and_returns_batch", "get_reinforce_plus_plus_baseline_advantages"):
        names[f] = upstream.take("slime", path, f, names)
    whiten = upstream.take("slime", "slime/utils/distributed_utils.py", "distributed_masked_whiten", {"dist": Namespace(all_reduce=lambda *_, **__: None)})
    note = f"slime@{COMMITS['slime']} "
    b = Batch("even")

    def rewards(estimator, scaled=True):
        args = Namespace(advantage_estimator=estimator, rewards_normalization=True, n_samples_per_prompt=4, rollout_batch_size=3, grpo_std_normalization=scaled)
        samples = [Namespace(get_reward_value=lambda _, r=r: r) for r in b.raw["reward"]]
        return torch.tensor(post(Namespace(args=args, custom_reward_post_process_func=None), samples)[1])

    for scaled in (True, False):
        add(f"slime grpo {scaled}", "slime::grpo", b, rewards("grpo", scaled), {"grpo_std_normalization": int(scaled)}, tolerance=1e-6, note=note + "slime/ray/rollout.py _post_process_rewards; float32")
    flat = lambda x: [x[s, : len(row)] for s, row in enumerate(b.rows)]
    masks, lengths = flat(b.mask), [len(row) for row in b.rows]
    white = lambda parts: padded([p.tolist() for p in torch.split(whiten(torch.cat(parts), torch.cat(masks)), lengths)])
    zeros = [torch.zeros(n) for n in lengths]
    base = names["get_reinforce_plus_plus_baseline_advantages"](rewards("reinforce_plus_plus_baseline"), zeros, masks, 0.0)
    add("slime reinforce_plus_plus_baseline", "slime::reinforce_plus_plus_baseline", b, white(base), {"normalize_advantages": 1}, tolerance=1e-6, note=note + f"{path}; float32")
    add("slime reinforce_plus_plus_baseline raw", "slime::reinforce_plus_plus_baseline", b, padded([x.tolist() for x in base]), {"normalize_advantages": 0}, tolerance=1e-6, note=note + f"{path}; float32")
    for gamma in (1.0, 0.9):
        kl = [-x * m for x, m in zip(flat(b["token_reward"]), masks)]
        for dense in (False, True):
            back = names["get_reinforce_plus_plus_returns"](b.reward, kl, masks, lengths, lengths, 1.0 if dense else 0.0, gamma)
            add(f"slime reinforce_plus_plus {gamma}", "slime::reinforce_plus_plus", b, white(back), {"gamma": gamma, "normalize_advantages": 1}, dense, 1e-6, note + f"{path} get_reinforce_plus_plus_returns; whitens in float32")
            add(f"slime reinforce_plus_plus {gamma} raw", "slime::reinforce_plus_plus", b, padded([x.tolist() for x in back]), {"gamma": gamma, "normalize_advantages": 0}, dense, note=note + f"{path} get_reinforce_plus_plus_returns")
        for dense in (False, True):
            for chunked in (True, False):
                a, _ = names["get_advantages_and_returns_batch"](lengths, lengths, flat(b.values), flat(b.token_rewards(dense)), gamma, 0.95, chunked)
                add(f"slime ppo {gamma} chunked {chunked}", "slime::ppo", b, padded([x.tolist() for x in a]), {"gamma": gamma, "lambd": 0.95, "normalize_advantages": 0}, dense,
                    note=note + f"{path} get_advantages_and_returns_batch")


def open_instruct(upstream):
    path = "open_instruct/data_loader.py"
    block = upstream.block("open-instruct", path, "scores = np.array(batch.scores)", "if self.config.advantage_normalization_type")
    b = Batch("even")
    for kind in ("standard", "centered"):
        this = Namespace(config=Namespace(num_samples_per_prompt_rollout=4, advantage_normalization_type=kind))
        found = block(self=this, batch=Namespace(scores=b.raw["reward"]), np=np)
        add(f"open-instruct {kind}", f"open_instruct::{kind}", b, found["advantages"], note=f"open-instruct@{COMMITS['open-instruct']} {path}, the block that computes advantages")


# ---- prime-rl, Tinker, Fireworks ------------------------------------------------------------------------------------------------------

def prime_rl(upstream):
    def run(b, path, name, **attributes):
        score = upstream.take("prime-rl", f"src/prime_rl/orchestrator/algo/{path}", f"{name}.score_group",
                              {"iter_trainable_traces": lambda episodes: [(None, e) for e in episodes], "assign_advantages": lambda t, a: setattr(t, "advantage", a)})
        result, first = [], 0
        for size in b.sizes:
            traces = []
            for s in range(first, first + size):
                row = b.rows[s]
                turns = sum(1 for t, w in enumerate(row) if w and (t == 0 or not row[t - 1]))
                traces.append(Namespace(reward=b.raw["reward"][s], num_output_tokens=int(sum(row)), num_total_tokens=len(row) + 1, num_turns=turns))
            asyncio.run(score(Namespace(**attributes), traces))
            result += [t.advantage for t in traces]
            first += size
        return result

    note = f"prime-rl@{COMMITS['prime-rl']} src/prime_rl/orchestrator/algo, score_group; float32"
    for name in batches:
        b = Batch(name)
        add("prime-rl grpo", "prime_rl::grpo", b, run(b, "grpo.py", "GRPOAlgorithm", length_penalty=None), tolerance=1e-6, note=note)
        p = {"num_output_tokens_weight": 0.25, "num_input_tokens_weight": 0.1, "num_turns_weight": 0.1}
        add("prime-rl grpo length penalty", "prime_rl::grpo_with_length_penalty", b, run(b, "grpo.py", "GRPOAlgorithm", length_penalty=Namespace(**p)), p, tolerance=1e-6, note=note)
        add("prime-rl max_rl", "prime_rl::max_rl", b, run(b, "max_rl.py", "MaxRLAlgorithm"), tolerance=1e-6, note=note)


def tinker(upstream):
    names = {"asyncio": asyncio, "cast": lambda _, x: x, "safezip": zip,
             "tinker": Namespace(TensorData=Namespace(from_torch=lambda x: Namespace(data=x.tolist(), to_torch=lambda: x)))}
    advantages = upstream.take("tinker-cookbook", "tinker_cookbook/rl/data_processing.py", "compute_advantages", names)
    discounted = {"discounted_future_sum_vectorized": upstream.take("tinker-cookbook", "tinker_cookbook/rl/metrics.py", "discounted_future_sum_vectorized")}
    kl = upstream.take("tinker-cookbook", "tinker_cookbook/rl/metrics.py", "incorporate_kl_penalty", {**names, **discounted})
    opd = upstream.take("tinker-cookbook", "tinker_cookbook/distillation/train_on_policy.py", "incorporate_kl_penalty", {**names, **discounted})
    note = f"tinker-cookbook@{COMMITS['tinker-cookbook']} tinker_cookbook/"

    class Client:
        def __init__(self, rows):
            self.rows, self.calls = rows, 0

        async def compute_logprobs_async(self, _):
            self.calls += 1
            return [0.0] + self.rows[self.calls - 1]

    for name in batches:
        b = Batch(name)
        groups, first = [], 0
        for size in b.sizes:
            groups.append(Namespace(get_total_rewards=lambda r=b.raw["reward"][first : first + size]: r))
            first += size
        centred = torch.cat(advantages(groups))
        add("tinker centered", "tinker::centered", b, centred, note=note + "rl/data_processing.py compute_advantages")

        def datums(a):
            tensor = lambda x: Namespace(data=x, to_torch=lambda: torch.tensor(x))
            return [Namespace(model_input=Namespace(append_int=lambda _: None), loss_fn_inputs={
                "target_tokens": Namespace(data=[0] * len(row)), "logprobs": tensor(b.raw["sampler_logprobs"][s]), "mask": tensor(row),
                "advantages": tensor([float(a[s])] * len(row))}) for s, row in enumerate(b.rows)]

        out = lambda data: padded([d.loss_fn_inputs["advantages"].data for d in data])
        for coef, gamma in ((0.125, 0.0), (0.25, 0.9)):  # exact in float32, the type of the source's masks
            data = datums(centred)
            asyncio.run(kl(data, Client(b.raw["ref_logprobs"]), coef, gamma))
            add(f"tinker centered_with_kl {gamma}", "tinker::centered_with_kl", b, out(data), {"kl_penalty_coef": coef, "kl_discount_factor": gamma}, note=note + "rl/metrics.py incorporate_kl_penalty")
            data = datums(torch.zeros(len(b.rows)))
            clients = [Client([row]) for row in b.raw["teacher_logprobs"]]
            asyncio.run(opd(data, clients, [0] * len(data), coef, gamma))
            add(f"tinker opd {gamma}", "tinker::opd", b, out(data), {"kl_penalty_coef": coef, "kl_discount_factor": gamma}, note=note + "distillation/train_on_policy.py incorporate_kl_penalty")


def fireworks(upstream):
    grpo = upstream.take("cookbook", "training/utils/data.py", "compute_advantages")
    names = {"_z_normalize_group": upstream.take("cookbook", "training/utils/rl/igpo.py", "_z_normalize_group")}
    igpo = upstream.take("cookbook", "training/utils/rl/igpo.py", "compute_turn_advantages", names)
    note = f"fw-ai/cookbook@{COMMITS['cookbook']} "
    for name in batches:
        b = Batch(name)
        result, first = [], 0
        for size in b.sizes:
            r = b.raw["reward"][first : first + size]
            result += grpo(r) if size > 1 else [0.0]
            first += size
        add("fireworks grpo", "fireworks::grpo", b, result, tolerance=1e-6, note=note + "training/utils/data.py compute_advantages; float32; a group of one, NaN there, is 0 here")
        for gamma in (0.95, 0.99):
            r = b.token_rewards(True)
            rows = torch.zeros_like(b.mask)
            first = 0
            for size in b.sizes:
                spans, gains, outcomes = [], [], []
                for s in range(first, first + size):
                    row, turns = b.rows[s], []
                    for t, w in enumerate(row):
                        if w and (t == 0 or not row[t - 1]):
                            turns.append([])
                        if w:
                            turns[-1].append(t)
                    spans.append(turns)
                    gains.append([sum(b.raw["information_gain"][s][t] for t in turn) for turn in turns])
                    outcomes.append([sum(float(r[s, t]) for t in turn) for turn in turns])
                for s, (turns, found) in enumerate(zip(spans, igpo(gains, outcomes, gamma))):
                    for turn, a in zip(turns, found):
                        rows[first + s, turn] = a
                first += size
            add(f"fireworks igpo {gamma}", "fireworks::igpo", b, rows, {"gamma": gamma}, True, note=note + "training/utils/rl/igpo.py compute_turn_advantages")


# ---- length shaping ---------------------------------------------------------------------------------------------------------------------

def shaping(upstream):
    soft = upstream.take("trl", "trl/rewards/other_rewards.py", "_SoftOverlongPunishment")
    overlong = upstream.take("OpenRLHF", "openrlhf/trainer/ppo_utils/length_penalty.py", "apply_overlong_penalty")
    dapo = upstream.block("verl", "verl/experimental/reward_loop/reward_manager/dapo.py", "overlong_buffer_len = self", "overlong_reward = min")
    b = Batch("even")
    length = [int(sum(row)) for row in b.rows]
    p = {"max_length": 4.0, "cache": 3.0}
    add("trl soft overlong", "soft_overlong", b, soft(4, 3)([[0] * n for n in length]), p, note=f"TRL@{COMMITS['trl']} trl/rewards/other_rewards.py")
    e = Namespace(rewards=torch.zeros(len(length)), response_length=torch.tensor(length))
    overlong([e], 4, 3, 1.0)
    add("openrlhf overlong", "soft_overlong", b, e.rewards, p, note=f"OpenRLHF@{COMMITS['OpenRLHF']} openrlhf/trainer/ppo_utils/length_penalty.py")
    p = {"max_length": 3.0, "cache": 1.0}
    this = Namespace(max_resp_len=3, overlong_buffer_cfg=Namespace(len=1, penalty_factor=1.0))
    add("verl overlong", "soft_overlong_unbounded", b, [dapo(self=this, valid_response_length=n)["overlong_reward"] for n in length], p,
        note=f"verl@{COMMITS['verl']} verl/experimental/reward_loop/reward_manager/dapo.py")


def main():
    upstream = Checkouts(sys.argv[1])
    for each in (verl, skyrl, trl, openrlhf, slime, open_instruct, prime_rl, tinker, fireworks, shaping):
        each(upstream)
    write(here / "advantages.json", "made by advantages.py from the projects' own code; slope: the advantage of each token", batches, cases)


if __name__ == "__main__":
    main()
