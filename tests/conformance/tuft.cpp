// SPDX-License-Identifier: Apache-2.0
// The gradwire client trains on a real TuFT server (start_tuft): protobuf only, strict seq_id, Ray and Hugging Face
// underneath.
//   tuft URL TOKEN MODEL      a training session with checks
//   tuft DATA.json            gradwire's half of tuft_truth.py: one custom loss after another, each from the state that
//                             DATA.json names, saved after a step with learning rate 0 (TINKER_BASE_URL,
//                             TINKER_API_KEY)
#include "../support/larger.hpp"
#include "checks.hpp"
#include "given.hpp"
#include "questions.hpp"

#include <gradwire/loss/dpo.hpp>
#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/gspo.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/loss/tinker/cispo.hpp>
#include <gradwire/loss/tinker/importance_sampling.hpp>
#include <gradwire/loss/tinker/ppo.hpp>
#include <gradwire/trainer.hpp>

#include <cmath>
#include <mutex>
#include <optional>
#include <string_view>

using namespace gradwire;
using namespace gradwire::fields;
using checks::check;
using checks::require;
using checks::text_of;
using questions::bytes;
using questions::question;

namespace {

// ---- DATA.json ----

void cause_gradients(const golden::node& data) {
  const auto samples = given::samples_of(data);
  const auto pairs = given::pairs_of(data);
  auto service = service_client::connect();
  std::string separator = "{";
  const auto step_and_save = [&](const char* name, const auto& sent, const auto& loss) {
    auto trainer =
        service.create_training_client_from_state({.path = data["state"].text, .with_optimizer = false}).result();
    const training_step step = trainer.forward_backward_custom(sent, loss).result();
    trainer.optim_step({.learning_rate = 0, .beta1 = data["beta1"].as_double()}).result();
    const saved_weights saved = trainer.save_state(std::string("gradwire-") + name).result();
    std::printf("%s\n\"%s\": {\"loss\": %.17g, \"path\": \"%s\"}", separator.c_str(), name, step.loss,
                saved.path.c_str());
    separator = ",";
  };
  step_and_save("sft", samples, sft_nll{});
  step_and_save("grpo", samples, grpo{.clip = offset{0.2}, .beta = 0.04});
  step_and_save("gspo", samples, gspo{.clip = offset{0.2}});
  step_and_save("dpo", pairs, dpo{.beta = 0.1});
  std::printf("}\n");
}

// ---- the session ----

double largest_difference(const column<float>& a, const column<float>& b) {
  double worst = 0;
  for (std::size_t s = 0; s < a.shape().sequences(); ++s)
    for (std::size_t t = 0; t < a[s].size(); ++t)
      worst = larger(worst, std::abs(static_cast<double>(a[s][t]) - static_cast<double>(b[s][t])));
  return worst;
}

// The seq_ids that were sent, and what the server said to them.
struct watch {
  std::mutex mutex;
  std::string lines;
  void operator()(const client_event& event) {
    if (event.seq_id < 0 || (event.what != client_event::type::sent && event.what != client_event::type::failed))
      return;
    const std::lock_guard lock(mutex);
    lines += event.name + "#" + std::to_string(event.seq_id) +
             (event.what == client_event::type::failed ? " failed; " : " sent; ");
  }
  std::string take() {
    const std::lock_guard lock(mutex);
    return std::exchange(lines, {});
  }
};

template <class Call>
std::optional<error> refusal(Call&& call) {
  try {
    call();
  } catch (const error& failure) {
    return failure;
  }
  return std::nullopt;
}

int session(const std::string& url, const std::string& token, const std::string& model) {
  const batch data{question("Q: two plus two? A:", " four."), question("Q: sky? A:", " blue, usually."),
                   question("Q: one? A:", " 1"), question("a b c d e f g", " h i j k l m n o p q r s t u v w x y z")};
  const auto seen = std::make_shared<watch>();
  std::optional<service_client> tuft;
  std::optional<training_client> trainer;
  const training_client_options adapter{.base_model = model, .lora_rank = 8, .seed = 1};

  const bool connected = check("the server lists its model and makes a LoRA client", [&] {
    tuft = service_client::connect(endpoint{.url = url, .token = token},
                                   {.on_event = [seen](const client_event& event) { (*seen)(event); }});
    const auto models = tuft->capabilities().result();
    require(models.size() == 1 && models[0].name == model, "another model");
    trainer = tuft->create_training_client(adapter).result();
    return std::string{};
  });
  if (!connected) return checks::conclude();

  check("a wrong key is refused by a typed error without the key in it", [&] {
    const std::string wrong = "tml-not-the-key";
    const auto refused = refusal([&] {
      service_client::connect(endpoint{.url = url, .token = wrong}).create_training_client(adapter).result();
    });
    require(refused && refused->kind() == errc::status, "it was accepted");
    require(std::string_view(refused->what()).find(wrong) == std::string_view::npos, "the key is in the text");
    return std::string(refused->what());
  });

  check("8 steps of the server's cross_entropy lower the loss, whose value is the sum over the tokens", [&] {
    std::string line;
    double first = 0, last = 0;
    for (int i = 0; i < 8; ++i) {
      auto step = trainer->forward_backward(data, server_loss::cross_entropy{});
      auto optim = trainer->optim_step({.learning_rate = 1e-2});
      const training_step done = step.result();
      optim.result();
      double sum = 0;
      for (std::size_t s = 0; s < data.size(); ++s)
        for (std::size_t t = 0; t < done.logprobs[s].size(); ++t)
          sum -= static_cast<double>(data.data(weights)[data.shape().offset[s] + t]) *
                 static_cast<double>(done.logprobs[s][t]);
      require(std::abs(done.loss / sum - 1) < 1e-5,
              "the server says " + text_of(done.loss) + ", it is " + text_of(sum));
      last = done.loss;
      if (i == 0) first = last;
      line += (i != 0 ? " " : "") + text_of(last);
    }
    require(last < 0.8 * first, line);
    return line;
  });

  check("a custom loss with weights of both signs does what it says", [&] {
    auto client = tuft->create_training_client(adapter).result();
    const auto pair = [&](std::string_view asked, std::string_view good, std::string_view bad) {
      return group(chosen(question(asked, good)), rejected(question(asked, bad)));
    };
    const batch pairs{pair("Q: two plus two? A:", " four.", " five."), pair("Q: sky? A:", " blue.", " green.")};
    const auto untrained = with(ref_logprobs = client.forward(pairs).result(), pairs);
    double first = 0, last = 0;
    for (int i = 0; i < 6; ++i) {
      auto step = client.forward_backward_custom(untrained, dpo{.beta = 0.1});
      client.optim_step({.learning_rate = 5e-3}).result();
      last = step.result().loss;
      if (i == 0) first = last;
    }
    require(std::abs(first - std::log(2.0)) < 1e-4, "the first loss must be log 2, it is " + text_of(first));
    require(last < 0.7 * first, "loss " + text_of(first) + " -> " + text_of(last));
    return "loss " + text_of(first) + " -> " + text_of(last);
  });

  std::string state;
  check("a saved state gives the same logprobs in a new model and in this one, later", [&] {
    const forward_result before = trainer->forward(data).result();
    state = trainer->save_state("after-8-steps").result().path;
    auto restored = tuft->create_training_client_from_state({.path = state}).result();
    require(largest_difference(before.logprobs, restored.forward(data).result().logprobs) < 1e-5,
            "the new model differs");
    trainer->forward_backward(data, server_loss::cross_entropy{}).result();
    trainer->optim_step({.learning_rate = 1e-2}).result();
    require(largest_difference(before.logprobs, trainer->forward(data).result().logprobs) > 1e-3,
            "a step changed nothing");
    trainer->load_state(state).result();
    require(largest_difference(before.logprobs, trainer->forward(data).result().logprobs) < 1e-5, "load_state differs");
    trainer->save_weights_for_sampler({.name = "for-sampling"}).result();
    return state;
  });

  check("operations that fail do not advance the server's count, and the client follows: nothing is lost or done twice",
        [&] {
          auto troubled = tuft->create_training_client_from_state({.path = state}).result();
          auto calm = tuft->create_training_client_from_state({.path = state}).result();
          seen->take();
          const auto lost = refusal([&] { troubled.load_state("tinker://no-such-run/weights/none").result(); });
          require(lost && (lost->kind() == errc::status || lost->kind() == errc::config), "a missing state was loaded");
          const auto unknown = refusal([&] {
            troubled.forward_backward(data, server_loss::named{"no_such_loss", {}, {"target_tokens", "weights"}})
                .result();
          });
          require(unknown && unknown->kind() == errc::status, "an unknown loss was accepted");
          const batch outside{datum{prompt(bytes("ab")) + response(std::vector<std::int32_t>{100000})}};
          const auto no_token =
              refusal([&] { troubled.forward_backward(outside, server_loss::cross_entropy{}).result(); });
          require(no_token.has_value(), "a token outside the vocabulary was accepted");
          refusal([&] { troubled.optim_step().result(); });  // not stepped: a call before it failed
          const std::string failing = seen->take();
          for (training_client* client : {&troubled, &calm}) {
            auto step = client->forward_backward_custom(data, sft_nll{});
            auto optim = client->optim_step({.learning_rate = 1e-2});
            step.result();
            optim.result();
          }
          const std::string followed = seen->take();
          const double apart =
              largest_difference(troubled.forward(data).result().logprobs, calm.forward(data).result().logprobs);
          require(apart < 1e-5,
                  "the two models differ by " + text_of(apart) + " after " + failing + "then " + followed);
          return failing + "then " + followed;
        });

  check("lower() gives in one request what two give: value, logprobs and step", [&] {
    auto reference = tuft->create_training_client_from_state({.path = state}).result();
    const forward_result now = reference.forward(data).result();
    std::vector<std::vector<float>> before;
    for (std::size_t s = 0; s < data.size(); ++s) {
      before.emplace_back(now[s].begin(), now[s].end());
      for (std::size_t t = 0; t < before[s].size(); ++t) before[s][t] += 0.1F * static_cast<float>((s + t) % 7) - 0.3F;
    }
    const auto sampled = with(old_logprobs = before, advantage = std::vector<double>{1, -0.6, 0.4, -1.2}, data);
    std::string line;
    const auto compare = [&](const char* name, const auto& loss) {
      // With eps far above the gradient the step is lr / eps times the gradient.
      const optim_step_options linear{.learning_rate = 1e3, .eps = 1e5};
      auto two = tuft->create_training_client_from_state({.path = state, .with_optimizer = false}).result();
      auto one = tuft->create_training_client_from_state({.path = state, .with_optimizer = false}).result();
      const training_step expected = two.forward_backward_custom(sampled, loss).result();
      seen->take();
      const training_step found = one.forward_backward_custom(sampled, lower(loss)).result();
      const std::string sent = seen->take();
      two.optim_step(linear).result();
      one.optim_step(linear).result();
      const column<float> a = two.forward(data).result().logprobs, b = one.forward(data).result().logprobs;
      require(sent.find("forward#") == std::string::npos, std::string(name) + " took " + sent);
      require(std::abs(found.loss - expected.loss) <= 1e-5 * std::abs(expected.loss),
              std::string(name) + ": " + text_of(found.loss) + ", not " + text_of(expected.loss));
      const double reported = found.metric("surrogate_loss:sum");
      require(std::abs(reported - expected.loss) <= 1e-4 * std::abs(expected.loss),
              std::string(name) + ": the server says " + text_of(reported) + ", not " + text_of(expected.loss));
      const double moved = largest_difference(a, now.logprobs), apart = largest_difference(a, b);
      require(moved > 1e-2 && apart < 1e-4 * std::max(1.0, moved),
              std::string(name) + ": the steps differ by " + text_of(apart) + " after moving " + text_of(moved));
      line += (line.empty() ? "" : ", ") + std::string(name) + " " + text_of(found.loss) + " apart " + text_of(apart);
      two.unload().result();
      one.unload().result();
    };
    compare("cross_entropy", sft_nll_sum{});
    compare("importance_sampling", tinker::importance_sampling{});
    compare("ppo", tinker::ppo{});
    compare("cispo", tinker::cispo{});
    return line;
  });

  check("sampling, which this server does not do, is refused by a typed error", [&] {
    const auto refused = refusal([&] {
      auto sampler = tuft->create_sampling_client({.base_model = model}).result();
      sampler.sample(bytes("a"), {.max_tokens = 2}).result();
    });
    require(refused.has_value(), "it was accepted");
    return std::string(refused->what());
  });
  return checks::conclude();
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 4) return session(arguments[1], arguments[2], arguments[3]);
  if (count != 2) {
    std::fprintf(stderr, "usage: tuft URL TOKEN MODEL | tuft DATA.json\n");
    return 2;
  }
  try {
    cause_gradients(given::read(arguments[1]));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "tuft: %s\n", failure.what());
    return 1;
  }
}
