// SPDX-License-Identifier: Apache-2.0
// Sampling: the prompts are run once (all but their last token), then all samples advance together, one token a pass,
// each thread with its own. A sample that ends makes room for the next. What a sample draws depends on its seed and its
// prompt, not on what else is being sampled.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <gradwire/loopback/model/head.hpp>
#include <gradwire/loopback/model/key_value_pages.hpp>
#include <gradwire/loopback/model/token_choice.hpp>
#include <gradwire/loopback/tokenizer.hpp>

namespace gradwire::inline v0 {
namespace loopback {

inline constexpr std::size_t samples_at_once = 256;  // rows of a decoding pass, for each thread

struct sampler {
  const parameter_layout& layout;
  const float* weights;
  const product_table<float>& products;
  const rotary_table<float>& rotary;
  std::span<const sample_request> requests;
  std::span<sample_result> results;           // one for each request, sequences in place
  const byte_tokenizer* tokenizer = nullptr;  // for stop strings

  struct task {  // one sample
    std::size_t request = 0, sample = 0;
    std::uint64_t seed = 0;
  };

  page_shape shape() const {
    return {layout.layers.size(), static_cast<std::size_t>(layout.config.num_key_value_heads),
            static_cast<std::size_t>(layout.config.head_dim)};
  }

  // Runs prompt[0 .. length - 1) of each request, keeps its keys and values, and answers what was asked about it.
  void run_prompts(std::span<const std::size_t> micro_batch, std::span<page_list> prompts, workspace<float>& work,
                   const team& workers) const {
    packed_batch batch;
    std::vector<buffer<float>> none;
    for (const std::size_t index : micro_batch) {
      const std::span<const std::int32_t> prompt = requests[index].prompt;
      batch.add(index, prompt.first(prompt.size() - 1));
      prompts[index].reserve(shape(), prompt.size() - 1, none);
      prompts[index].length = prompt.size() - 1;
    }
    batch.pad();
    const pass<float> p{layout, weights, products, rotary, batch, work, workers};
    forward(p, false, [&](std::size_t layer, const layer_activations<float>& activations) {
      for (const packed_sequence& sequence : batch.sequences)
        for (std::size_t t = 0; t < sequence.length; ++t) {
          const std::size_t row = sequence.row + t;
          prompts[sequence.index].write(shape(), layer, t, activations.k.data() + row * p.key_value(),
                                        activations.qkv.data() + row * p.qkv() + p.query() + p.key_value());
        }
    });
    for (const packed_sequence& sequence : batch.sequences) describe_prompt(p, sequence);
  }

  // Draws the samples of `tasks`, in order, at most samples_at_once of them at a time.
  void run_samples(std::span<const task> tasks, std::span<const page_list> prompts, workspace<float>& work) const {
    std::vector<slot> active;
    std::vector<buffer<float>> spare;
    token_chooser chooser;
    packed_batch batch;
    batch.longest = 1;
    std::vector<float> scores;
    for (std::size_t next = 0; next < tasks.size() || !active.empty();) {
      for (; next < tasks.size() && active.size() < samples_at_once; ++next) {
        const sample_request& request = requests[tasks[next].request];
        if (allowed_tokens(request) > 0)
          active.push_back({tasks[next], request.prompt.back(), random_stream(tasks[next].seed), {}, {}});
      }
      if (active.empty()) break;
      step(active, prompts, work, spare, batch, scores);
      const pass<float> p{layout, weights, products, rotary, batch, work, team()};
      const std::size_t block = head_block_rows(p);
      for (std::size_t first = 0; first < active.size(); first += block) {
        const std::size_t count = std::min(block, active.size() - first);
        head_logits(p, count, [&](std::size_t i) { return first + i; });
        for (std::size_t i = 0; i < count; ++i)
          extend(active[first + i], work.logits.data() + i * p.vocab(), p.vocab(), chooser);
      }
      std::size_t kept = 0;
      for (slot& each : active)
        if (each.done) {
          each.own.release(spare);
        } else {
          if (&active[kept] != &each) active[kept] = std::move(each);
          ++kept;
        }
      active.erase(active.begin() + static_cast<std::ptrdiff_t>(kept), active.end());
    }
  }

  std::size_t allowed_tokens(const sample_request& request) const {
    const auto longest = static_cast<std::size_t>(layout.config.max_position_embeddings);
    return request.prompt.size() >= longest ? 0 : std::min(request.options.max_tokens, longest - request.prompt.size());
  }

 private:
  struct slot {  // a sample that is being drawn
    sampler::task task;
    std::int32_t token = 0;  // not yet in the pages
    random_stream random;
    page_list own;
    std::string text;  // decoded so far, if there are stop strings
    bool done = false;
  };

  // One pass over the last token of every active sample, up to work.final.
  void step(std::vector<slot>& active, std::span<const page_list> prompts, workspace<float>& work,
            std::vector<buffer<float>>& spare, packed_batch& batch, std::vector<float>& scores) const {
    batch.tokens.clear();
    batch.positions.clear();
    for (slot& each : active) {
      batch.tokens.push_back(each.token);
      const page_list& prompt = prompts[each.task.request];
      batch.positions.push_back(static_cast<std::uint32_t>(prompt.length + each.own.length));
      each.own.reserve(shape(), each.own.length + 1, spare);
      const std::size_t needed = prompt.length + each.own.length + 1 + 2 * page_positions;
      if (scores.size() < needed) scores.resize(2 * needed);
    }
    batch.used = active.size();
    batch.pad();
    const pass<float> p{layout, weights, products, rotary, batch, work, team()};
    work.prepare_forward(layout.config, batch, false, 1);
    layer_activations<float>& layer = work.layers[0];
    const std::size_t hidden = p.hidden(), rows = p.rows(), d = p.head_dim(), group = p.heads() / p.key_value_heads();
    for (std::size_t r = 0; r < rows; ++r)
      std::copy_n(weights + layout.embed + static_cast<std::size_t>(batch.tokens[r]) * hidden, hidden,
                  layer.input.data() + r * hidden);
    std::fill_n(layer.attention.data() + batch.used * p.query(), (rows - batch.used) * p.query(), 0.0F);
    for (std::size_t i = 0; i < layout.layers.size(); ++i) {
      forward_queries(p, layout.layers[i], layer, 0, rows);
      for (std::size_t r = 0; r < active.size(); ++r) {
        page_list& own = active[r].own;
        own.write(shape(), i, own.length, layer.k.data() + r * p.key_value(),
                  layer.qkv.data() + r * p.qkv() + p.query() + p.key_value());
        for (std::size_t head = 0; head < p.key_value_heads(); ++head) {
          const std::size_t at = r * p.query() + head * group * d;
          attend(shape(), i, head, prompts[active[r].task.request], own, own.length + 1, layer.q.data() + at, group,
                 layer.attention.data() + at, scores.data());
        }
      }
      const bool last = i + 1 == layout.layers.size();
      forward_mlp(p, layout.layers[i], layer, last ? work.output.data() : layer.input.data(), 0, rows);
    }
    for (slot& each : active) ++each.own.length;
    for (std::size_t r = 0; r < rows; ++r)
      rms_norm(work.output.data() + r * hidden, weights + layout.norm, work.final.data() + r * hidden, hidden, p.eps());
  }

  void extend(slot& each, const float* logits, std::size_t vocab, token_chooser& chooser) const {
    const sample_request& request = requests[each.task.request];
    const sample_options& options = request.options;
    sampled_sequence& sequence = results[each.task.request].sequences[each.task.sample];
    const token_chooser::choice choice = chooser.choose(logits, vocab, options, each.random);
    if (options.topk_sample_logprobs > 0)
      sequence.topk_logprobs.push_back(chooser.top(logits, vocab, options.topk_sample_logprobs));
    sequence.tokens.push_back(choice.token);
    sequence.logprobs.push_back(choice.logprob);
    each.token = choice.token;
    if (stops(each, options)) {
      sequence.reason = stop_reason::stop;
      each.done = true;
    } else if (sequence.tokens.size() >= allowed_tokens(request)) {
      each.done = true;
    }
  }

  bool stops(slot& each, const sample_options& options) const {
    const auto among = [&](const std::vector<std::int32_t>& tokens) {
      return std::find(tokens.begin(), tokens.end(), each.token) != tokens.end();
    };
    if (among(options.stop_tokens) || (options.stop_at_end && among(layout.config.eos_token_ids))) return true;
    if (options.stop_strings.empty() || !tokenizer) return false;
    const std::size_t before = each.text.size();
    each.text += tokenizer->decode({&each.token, 1});
    for (const std::string& stop : options.stop_strings) {
      const std::size_t from = before + 1 > stop.size() ? before + 1 - stop.size() : 0;
      if (!stop.empty() && each.text.find(stop, from) != std::string::npos) return true;
    }
    return false;
  }

  void describe_prompt(const pass<float>& p, const packed_sequence& sequence) const {
    const sample_options& options = requests[sequence.index].options;
    sample_result& result = results[sequence.index];
    const std::span<const std::int32_t> prompt = requests[sequence.index].prompt;
    if (options.topk_prompt_logprobs == 0 && !options.prompt_logprobs) return;
    token_chooser chooser;
    const std::size_t block = head_block_rows(p);
    for (std::size_t first = 0; first < sequence.length; first += block) {
      const std::size_t count = std::min(block, sequence.length - first);
      head_logits(p, count, [&](std::size_t i) { return sequence.row + first + i; });
      for (std::size_t i = 0; i < count; ++i) {
        const float* logits = p.work.logits.data() + i * p.vocab();
        if (options.topk_prompt_logprobs > 0)
          result.topk_prompt_logprobs[first + i + 1] = chooser.top(logits, p.vocab(), options.topk_prompt_logprobs);
        if (options.prompt_logprobs)
          result.prompt_logprobs[first + i + 1] =
              chooser.logprob(logits, p.vocab(), static_cast<std::size_t>(prompt[first + i + 1]));
      }
    }
  }
};

}  // namespace loopback
}  // namespace gradwire::inline v0
