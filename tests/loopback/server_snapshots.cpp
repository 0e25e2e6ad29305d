// SPDX-License-Identifier: Apache-2.0
// Snapshots through the protocol: save_weights_for_sampler with a checkpoint_type, the chain over a restart, and what a
// hot load finds by name.
#include <boost/test/unit_test.hpp>
#include <filesystem>

#include <gradwire/loopback/loaded_snapshot.hpp>
#include <gradwire/loopback/service/snapshot_api.hpp>

#include "../support/temporary_folder.hpp"
#include "server_driver.hpp"

namespace {

using loopback::detail::checkpoint_store;

// A server with a model of full parameters beside the driver's own adapter.
struct full_driver : driver {
  explicit full_driver(loopback::start_options options = {.threads = 1, .debug = true}) : driver(std::move(options)) {
    model = create(1, 0);
  }
  full_driver(loopback::start_options options, const full_driver& before)
      : driver(std::move(options), before.session, before.model, before.seq) {}

  std::string body(const std::string& name, std::optional<std::string> type) {
    return to_json(save_weights_for_sampler_request{
        .model_id = model, .path = name, .seq_id = ++seq, .checkpoint_type = std::move(type)});
  }
  std::string save(const std::string& name, std::optional<std::string> type) {
    return result<save_weights_for_sampler_reply>("save_weights_for_sampler", body(name, std::move(type))).path.value();
  }
  raw_reply refused(const std::string& name, std::optional<std::string> type) {
    return outcome("save_weights_for_sampler", body(name, std::move(type)));
  }
  void train() {
    run(batch());
    step(1e-4);
  }
  std::filesystem::path folder(const std::string& name) const {
    return server.checkpoints() / model / "sampler_weights" / name;
  }

  // Logprobs of a text under a checkpoint, as the server samples from it, and as this process reads it.
  std::vector<float> served(const std::string& path) {
    const auto reply =
        result<sample_reply>("asample", to_json(sample_request{.model_path = path,
                                                               .prompt = {{encoded_text{{72, 101, 108}}}},
                                                               .sampling_params = {.max_tokens = 1},
                                                               .prompt_logprobs = true}));
    return {reply.prompt_logprobs->begin() + 1, reply.prompt_logprobs->end()};
  }
  static std::vector<float> scored(const loopback::frozen_model& model) {
    const std::vector<std::int32_t> prompt{72, 101, 108};
    const loopback::sample_request one{prompt, {.max_tokens = 1, .prompt_logprobs = true}};
    const auto result = model.sample({&one, 1});
    return {result[0].prompt_logprobs.begin() + 1, result[0].prompt_logprobs.end()};
  }
};

loopback::frozen_model base_model() { return loopback::frozen_model::load({.threads = 1}); }

loopback::start_options kept_in(const temporary_folder& at) {
  loopback::start_options options;
  options.threads = 1;
  options.state = at.path / "state";
  return options;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(server_snapshots)

BOOST_AUTO_TEST_CASE(a_base_and_deltas) {
  full_driver it;
  const auto base = base_model();
  loopback::loaded_snapshot held(base);
  std::optional<std::string> before;
  for (const char* name : {"s0", "s1", "s2"}) {
    it.train();
    const std::string path = it.save(name, before ? "delta" : "base");
    BOOST_TEST(path == "tinker://" + it.model + "/sampler_weights/" + name);
    held = held.load(it.folder(name), path, before);
    BOOST_TEST(it.served(path) == full_driver::scored(held.weights()));  // of a delta too
    BOOST_TEST(held.description().base_model == "gradwire/tiny");
    before = path;
  }
  BOOST_TEST(std::filesystem::file_size(it.folder("s2") / "delta.zst") * 4 <
             std::filesystem::file_size(it.folder("s0") / "model.safetensors"));
  // saves without a type are float32, and no part of the chain
  it.train();
  const std::string plain = it.save("plain", {});
  BOOST_TEST(!std::filesystem::exists(it.folder("plain") / "snapshot.json"));
  BOOST_TEST(it.served(plain) != full_driver::scored(held.weights()));
  it.save("s3", "delta");
  held = held.load(it.folder("s3"), "s3", "s2");
  // and all of them are checkpoints as others are
  const auto listed = from_json<checkpoints_reply>(it.http.get("training_runs/" + it.model + "/checkpoints").body);
  BOOST_TEST(listed.checkpoints.size() == 5u);
  BOOST_TEST(
      !from_json<weights_info_reply>(
           it.http.post("weights_info", to_json(weights_info_request{"tinker://" + it.model + "/sampler_weights/s2"}))
               .body)
           .is_lora.value());
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  full_driver it;
  const auto expect = [](const raw_reply& reply, int status, const char* part) {
    BOOST_TEST(reply.status == status, reply.body);
    BOOST_TEST(contains(reply.body, part), reply.body);
  };
  expect(it.refused("first", "delta"), 400, "snapshot 'first' cannot be a delta: no snapshot of this model");
  expect(it.refused("merged", "merged_base"), 400, "trains every parameter");
  expect(it.http.post("save_weights_for_sampler", it.body("x", "diff")), 422, "checkpoint_type");
  it.save("a", "base");
  expect(it.refused("a", "base"), 409, "already exists");
  expect(it.refused("a", "delta"), 409, "already exists");
  const std::string path = it.save("b", "delta");
  expect(
      it.http.post("copy_weights", to_json(copy_weights_request{.source_path = path, .destination_project_id = "p"})),
      400, "is a delta");
  // the same request again is the same save
  const std::string body = it.body("c", "delta");
  BOOST_TEST(it.result<save_weights_for_sampler_reply>("save_weights_for_sampler", body).path.value() ==
             it.result<save_weights_for_sampler_reply>("save_weights_for_sampler", body).path.value());
  BOOST_TEST(it.executed("save_weights_for_sampler") == 7);  // those that began; the one of 422 did not
  it.model = it.create(2, 4);
  it.seq = 0;
  expect(it.refused("lora", "delta"), 400, "of a LoRA model only a base is saved");
  it.save("lora", "base");
  it.save("merged", "merged_base");
  it.model = it.create(3, 4, true);
  it.seq = 0;
  expect(it.refused("frozen", "base"), 400, "base_only");
}

BOOST_AUTO_TEST_CASE(the_chain_goes_on_after_a_restart) {
  const temporary_folder at;
  const auto base = base_model();
  auto before = std::make_unique<full_driver>(kept_in(at));
  before->train();
  before->save("s0", "base");
  before->train();
  before->save("s1", "delta");
  before->train();
  const auto again = [&] {
    const auto old = std::move(before);
    full_driver copy = std::move(*old);
    { const auto ended = std::move(copy.server); }
    before = std::make_unique<full_driver>(kept_in(at), copy);
  };
  again();
  before->save("s2", "delta");
  const auto held = loopback::load_snapshot_chain(base, before->folder("s2"));
  BOOST_TEST(held.description().previous_identity == "s1");
  BOOST_TEST(before->served("tinker://" + before->model + "/sampler_weights/s2") ==
             full_driver::scored(held.weights()));
  again();
  std::filesystem::remove_all(before->folder("s1"));
  const auto reply = before->refused("s3", "delta");
  BOOST_TEST(reply.status == 400);
  BOOST_TEST(contains(reply.body, "'s1' is missing"), reply.body);
  before->save("s4", "base");
  before->save("s5", "delta");
  BOOST_TEST(loopback::load_snapshot_chain(base, before->folder("s5")).description().previous_identity == "s4");
}

BOOST_AUTO_TEST_CASE(a_snapshot_is_found_by_name_and_by_path) {
  const temporary_folder at;
  full_driver it({.checkpoints = at.path / "c", .threads = 1});
  const std::string path = it.save("one", "base");
  it.save("both", "base");
  it.model = it.create(2, 4);
  it.seq = 0;
  it.save("both", "base");
  const checkpoint_store store(at.path / "c");
  const auto status = [&](std::string_view identity) {
    try {
      find_snapshot(store, identity);
      return 200;
    } catch (const loopback::detail::refusal& refused) {
      return refused.status;
    }
  };
  BOOST_TEST(find_snapshot(store, "one") == store.root() / (it.session + ":train:1") / "sampler_weights" / "one");
  BOOST_TEST(find_snapshot(store, path) == find_snapshot(store, "one"));
  BOOST_TEST(status("both") == 409);
  BOOST_TEST(status("tinker://" + it.model + "/sampler_weights/both") == 200);
  for (const char* name : {"none", "", "..", ".", "o%6ee"}) BOOST_TEST(status(name) == 404, name);
  for (const char* name : {"../one", "/etc/passwd", "tinker://../sampler_weights/one", "a/b"})
    BOOST_TEST(status(name) == 400, name);
  BOOST_TEST(status("tinker://" + it.model + "/sampler_weights/none") == 404);
}

// The accumulated gradient is divided before it is clipped: by positions whose slope is not 0, by sequences with such.
BOOST_AUTO_TEST_CASE(gradients_are_divided_by_a_count) {
  const temporary_folder at;
  auto it = std::make_unique<full_driver>(kept_in(at));
  const auto norm = [&](std::optional<std::string> by, double clip = 0) {
    const auto reply = it->result<optim_step_reply>(
        "optim_step", to_json(optim_step_request{.model_id = it->model,
                                                 .seq_id = ++it->seq,
                                                 .adam_params = {.learning_rate = 0, .grad_clip_norm = clip},
                                                 .grad_accumulation_normalization = std::move(by)}));
    return std::pair(reply.metrics.at(0).value, reply.metrics.at(1).value);
  };
  // two sequences: three targets with a weight of the first, two of the second
  const auto accumulate = [&] { it->run(it->batch()), it->run(it->batch()); };
  accumulate();
  const double sum = norm({}).first;
  accumulate();
  BOOST_TEST(norm("none").first == sum, boost::test_tools::tolerance(1e-6));
  accumulate();
  BOOST_TEST(norm("num_loss_tokens").first == sum / 10, boost::test_tools::tolerance(1e-6));
  accumulate();
  BOOST_TEST(norm("num_sequences").first == sum / 4, boost::test_tools::tolerance(1e-6));
  accumulate();
  const auto [whole, clipped] = norm("num_loss_tokens", sum / 20);
  BOOST_TEST(whole == sum / 10, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(clipped == sum / 20, boost::test_tools::tolerance(1e-4));
  BOOST_TEST(norm("num_loss_tokens").first == 0);  // nothing accumulated, nothing to divide by
  // a sequence without a weight is not counted; a forward counts nothing; the counts outlive a restart
  auto silent = it->batch();
  silent.data[0].loss_fn_inputs[1].value = tensor(array<float>{0, 0, 0, 0});
  it->run(silent);
  const double one = norm({}).first;
  silent.seq_id = ++it->seq;
  it->run(silent);
  it->run(it->batch(true));
  full_driver old = std::move(*it);
  it.reset();
  { const auto ended = std::move(old.server); }
  it = std::make_unique<full_driver>(kept_in(at), old);
  BOOST_TEST(norm("num_sequences").first == one, boost::test_tools::tolerance(1e-6));
  const auto refused = it->http.post(
      "optim_step",
      to_json(optim_step_request{.model_id = it->model, .seq_id = 99, .grad_accumulation_normalization = "num_words"}));
  BOOST_TEST(refused.status == 422);
  BOOST_TEST(contains(refused.body, "num_loss_tokens"), refused.body);
}

BOOST_AUTO_TEST_SUITE_END()
