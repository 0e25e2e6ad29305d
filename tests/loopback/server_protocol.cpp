// SPDX-License-Identifier: Apache-2.0
// The embedded server as a client of the field sees it: every operation, in both encodings, and what it refuses.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <thread>

#include "server_driver.hpp"

BOOST_AUTO_TEST_SUITE(server_protocol)

BOOST_AUTO_TEST_CASE(cross_entropy_is_the_plain_sum_and_training_lowers_it) {
  driver it;
  const auto first = it.run(it.batch());
  const auto a = logprobs(first, 0), b = logprobs(first, 1);
  // -Σ w·logprob with weights 0 1 1 0.5 and, where none are given, 1.
  const double expected = -(double(a[1]) + double(a[2]) + 0.5 * double(a[3]) + double(b[0]) + double(b[1]));
  BOOST_TEST(*find(first.loss_fn_outputs[0], "logprobs")->shape().begin() == 4);
  BOOST_TEST(std::abs(first.metrics.at(0).value - expected) < 1e-6 * expected);
  BOOST_TEST(first.metrics[0].name == "loss:sum");
  BOOST_TEST(it.step().metrics.at(0).name == "grad_norm");
  for (int i = 0; i < 5; ++i) {
    it.run(it.batch());
    it.step();
  }
  BOOST_TEST(it.run(it.batch(true)).metrics[0].value < 0.7 * expected);
}

BOOST_AUTO_TEST_CASE(protobuf_gives_the_same_bits_as_json) {
  driver it;
  const auto json = it.run(it.batch(true));
  const auto request = it.batch(true);
  const auto submitted = it.http.send("POST", "/api/v1/forward_backward", to_protobuf(request),
                                      it.http.key() + "Content-Type: application/x-protobuf\r\n");
  BOOST_REQUIRE_EQUAL(submitted.status, 200);
  const auto reply =
      it.poll(from_json<submit_reply>(submitted.body).request_id, "application/x-protobuf, application/json");
  BOOST_TEST(contains(reply.head, "application/x-protobuf"));
  const auto binary = from_protobuf<forward_backward_reply>(reply.body);
  BOOST_TEST((logprobs(binary, 0) == logprobs(json, 0)));
  BOOST_TEST((binary.metrics == json.metrics));
  BOOST_TEST(it.executed("forward") == 2);
  BOOST_TEST(it.executed("forward_backward") == 0);
}

BOOST_AUTO_TEST_CASE(a_batch_may_have_k_targets_a_token) {
  driver it;
  forward_backward_request request{.model_id = it.model, .seq_id = 1, .forward_only = true};
  request.data.push_back({.model_input = {encoded_text{{1, 2}}},
                          .loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{3, 4, 5, 6}, {2, 2})},
                                             {"weights", tensor(array<float>{1, 0, 0, 2}, {2, 2})}}});
  const auto two = it.run(request);
  BOOST_TEST((find(two.loss_fn_outputs[0], "logprobs")->shape() == shape_type{2, 2}));
  const auto l = logprobs(two, 0);
  BOOST_TEST(std::abs(two.metrics[0].value + double(l[0]) + 2 * double(l[3])) < 1e-5);
  request.data[0].loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{4, 6})}};
  request.seq_id = 2;
  const auto one = logprobs(it.run(request), 0);
  BOOST_TEST(std::abs(one[0] - l[1]) < 1e-5F);
  BOOST_TEST(std::abs(one[1] - l[3]) < 1e-5F);
}

BOOST_AUTO_TEST_CASE(the_gradient_is_that_of_the_sum) {
  // Weights -g on cross_entropy add up: the gradient of w twice is that of 2w, and -w takes w away again.
  driver it;
  auto request = it.batch();
  it.run(request);
  const double once = it.step(0).metrics.at(0).value;
  it.run(it.batch());
  it.run(it.batch());
  BOOST_TEST(std::abs(it.step(0).metrics.at(0).value - 2 * once) < 1e-4 * once);
  it.run(it.batch());
  request = it.batch();
  request.data[0].loss_fn_inputs[1].value = tensor(array<float>{0, -1, -1, -0.5F});
  request.data[1].loss_fn_inputs.push_back({"weights", tensor(array<float>{-1, -1})});
  it.run(request);
  BOOST_TEST(it.step(0).metrics.at(0).value < 1e-4 * once);
}

BOOST_AUTO_TEST_CASE(a_gradient_that_is_not_finite_is_not_accumulated) {
  driver it;
  it.run(it.batch());
  const double norm = it.step(0).metrics.at(0).value;
  it.run(it.batch());
  auto request = it.batch();
  request.loss_fn = "importance_sampling";  // ratio exp(l + 2000)
  for (auto& datum : request.data) {
    datum.loss_fn_inputs.resize(1);
    const auto count = datum.loss_fn_inputs[0].value.size();
    datum.loss_fn_inputs.push_back({"logprobs", tensor(array<float>(std::vector<float>(count, -1)))});
    datum.loss_fn_inputs.push_back({"advantages", tensor(array<float>(std::vector<float>(count, 1)))});
  }
  request.data[1].loss_fn_inputs[1].value = tensor(array<float>{-1, -2000});
  const auto reply = it.outcome("forward_backward", to_json(request));
  BOOST_TEST(reply.status == 400);
  BOOST_TEST(contains(reply.body, "datum 1, token 1"), reply.body);
  BOOST_TEST(it.step(0).metrics.at(0).value == norm);
}

BOOST_AUTO_TEST_CASE(policy_losses_by_hand) {
  driver it;
  const auto now = logprobs(it.run(it.batch(true)), 0);
  auto request = it.batch(true);
  request.data.pop_back();
  auto& inputs = request.data[0].loss_fn_inputs;
  inputs = {inputs[0],
            {"logprobs", tensor(array<float>{now[0], now[1] - 0.5F, now[2] + 0.5F, now[3]})},
            {"advantages", tensor(array<float>{1, 2, -3, 0.5F})}};
  const double r1 = std::exp(0.5), r2 = std::exp(-0.5);
  const auto loss = [&](const char* name, loss_fn_config config) {
    request.loss_fn = name;
    request.loss_fn_config = std::move(config);
    request.seq_id = ++it.seq;
    return it.run(request).metrics.at(0).value;
  };
  const auto clip = [](double low, double high) {
    return loss_fn_config{config_value{"clip_low_threshold", low}, config_value{"clip_high_threshold", high}};
  };
  const auto close = [](double a, double b) { return std::abs(a - b) < 1e-5 * (1 + std::abs(b)); };
  BOOST_TEST(close(loss("importance_sampling", {}), -(1 + r1 * 2 + r2 * -3 + 0.5)));
  // r1 = 1.65 is clipped to 1.2 (gain 2.4 < 3.3); r2 = 0.61 clipped to 0.8: min(-1.82, -2.4) = -2.4.
  BOOST_TEST(close(loss("ppo", {}), -(1 + 2.4 - 2.4 + 0.5)));
  BOOST_TEST(close(loss("ppo", clip(0.5, 2)), -(1 + r1 * 2 + r2 * -3 + 0.5)));
  BOOST_TEST(close(loss("cispo", clip(0.9, 1.1)),
                   -(double(now[0]) + 1.1 * 2 * double(now[1]) + 0.9 * -3 * double(now[2]) + 0.5 * double(now[3]))));
  BOOST_TEST(
      close(loss("dro", {config_value{"beta", 0.1}}),
            -(double(now[0]) + 2 * double(now[1]) - 3 * double(now[2]) + 0.5 * double(now[3]) - 0.05 * (0.25 + 0.25))));
}

BOOST_AUTO_TEST_CASE(requests_that_are_wrong_are_refused_before_anything_runs) {
  driver it;
  const auto refused = [&](const forward_backward_request& request, int status, std::string_view part) {
    const auto reply = it.http.post("forward_backward", to_json(request));
    BOOST_TEST(reply.status == status);
    BOOST_TEST(contains(reply.body, part), reply.body);
  };
  auto request = it.batch();
  request.model_id = "nobody";
  refused(request, 404, R"({"detail":"Model not found"})");
  request = it.batch();
  request.loss_fn = "gspo";
  refused(request, 422, R"({"detail":[{"type":"literal_error","loc":["body","forward_backward_input","loss_fn"])");
  request = it.batch();
  request.data.clear();
  refused(request, 422, "at least one datum");
  request = it.batch();
  request.data[1].loss_fn_inputs.clear();
  refused(request, 422, R"("loc":["body","forward_backward_input","data",1,"loss_fn_inputs","target_tokens"])");
  request = it.batch();
  request.data[0].loss_fn_inputs[1].value = tensor(array<float>{1, 2});
  refused(request, 422, "2 values for 4 targets");
  request = it.batch();
  request.data[0].loss_fn_inputs[0].value = tensor(array<std::int64_t>{1, 2, 99999, 4});
  refused(request, 422, "value 2 is 99999");
  request.data[0].loss_fn_inputs[0].value = tensor(array<std::int64_t>{1, 2, -1, 4});
  refused(request, 422, "value 2 is -1");
  request.data[0].loss_fn_inputs[0].value = tensor(array<std::int64_t>{1, 2, 3});
  refused(request, 422, "one row for each of the 4");
  request = it.batch();
  request.data[0].model_input = {encoded_text{{-5}}};
  refused(request, 422, "token 0 is -5");
  request.data[0].model_input = {encoded_text{}};
  refused(request, 422, "at least one token");
  request.data[0].model_input = {encoded_text{std::vector<std::int32_t>(100'000, 1)}};
  refused(request, 422, "100000 tokens");
  request.data[0].model_input = {image{.data = "x", .format = "png"}};
  refused(request, 422, "text only");
  request = it.batch();
  request.loss_fn_config = {{"x", 1.0}};
  refused(request, 422, "not a setting of cross_entropy");
  request = it.batch();
  request.loss_fn = "ppo";
  refused(request, 422, R"("loss_fn_inputs","logprobs"],"msg":"Field required")");
  request = it.batch();
  auto body = to_protobuf(request);
  const auto nan_weight = std::string("\x00\x00\xc0\x7f", 4);
  body.replace(body.find(std::string("\x00\x00\x80\x3f", 4)), 4, nan_weight);
  const auto reply = it.http.send("POST", "/api/v1/forward_backward", body,
                                  it.http.key() + "Content-Type: application/x-protobuf\r\n");
  BOOST_TEST(reply.status == 422);
  BOOST_TEST(contains(reply.body, "value 1 is not finite"), reply.body);
  for (const char* adam : {R"({"learning_rate":-1})", R"({"beta1":1})", R"({"eps":0})", R"({"learning_rate":"x"})"})
    BOOST_TEST(it.http.post("optim_step", R"({"model_id":")" + it.model + R"(","adam_params":)" + adam + "}").status ==
               422);
  BOOST_TEST(it.executed("forward_backward") == 0);
  BOOST_TEST(it.executed("optim_step") == 0);
}

BOOST_AUTO_TEST_CASE(a_seq_id_with_the_same_body_is_run_once) {
  driver it;
  const auto body = to_json(it.batch());
  const auto first = it.ok<submit_reply>("forward_backward", body).request_id;
  BOOST_TEST(it.ok<submit_reply>("forward_backward", body).request_id == first);
  it.poll(first);
  BOOST_TEST(it.ok<submit_reply>("forward_backward", body).request_id == first);
  BOOST_TEST(it.poll(first).body == it.poll(first).body);
  auto other = it.batch();
  other.seq_id = 1;
  other.loss_fn_config = {};
  other.data.pop_back();
  const auto reply = it.http.post("forward_backward", to_json(other));
  BOOST_TEST(reply.status == 409);
  BOOST_TEST(contains(reply.body, "was reused"));
  BOOST_TEST(it.executed("forward_backward") == 1);
  const auto create = to_json(create_model_request{.session_id = it.session,
                                                   .model_seq_id = 5,
                                                   .base_model = "gradwire/tiny",
                                                   .lora_config = lora_config{.rank = 2}});
  BOOST_TEST(it.ok<submit_reply>("create_model", create).request_id ==
             it.ok<submit_reply>("create_model", create).request_id);
}

BOOST_AUTO_TEST_CASE(strict_sequences) {
  driver it({.threads = 1, .sequence = loopback::sequence_policy::strict, .debug = true});
  it.run(it.batch());
  auto late = it.batch();
  late.seq_id = 7;
  const auto reply = it.outcome("forward_backward", to_json(late));
  BOOST_TEST(reply.status == 409);
  BOOST_TEST(contains(reply.body, "Sequence conflict: expected 2, got 7."), reply.body);
  late.seq_id = 2;
  it.run(late);
  BOOST_TEST(it.executed("forward_backward") == 2);
}

BOOST_AUTO_TEST_CASE(state_is_saved_and_comes_back) {
  driver it;
  it.run(it.batch());
  it.step();
  const auto saved = it.result<save_weights_reply>(
      "save_weights", to_json(save_weights_request{.model_id = it.model, .path = "step-1.a", .seq_id = ++it.seq}));
  BOOST_TEST(saved.path == "tinker://" + it.model + "/weights/step-1.a");
  const auto before = logprobs(it.run(it.batch(true)), 0);
  const auto again = it.outcome(
      "save_weights", to_json(save_weights_request{.model_id = it.model, .path = "step-1.a", .seq_id = ++it.seq}));
  BOOST_TEST(again.status == 409);
  BOOST_TEST(contains(again.body, "already exists"));
  it.result<save_weights_reply>(
      "save_weights",
      to_json(save_weights_request{.model_id = it.model, .path = "step-1.a", .seq_id = ++it.seq, .overwrite = true}));
  it.run(it.batch());
  it.step();
  BOOST_TEST(!(logprobs(it.run(it.batch(true)), 0) == before));
  it.result<load_weights_reply>(
      "load_weights",
      to_json(load_weights_request{.model_id = it.model, .seq_id = ++it.seq, .path = saved.path, .optimizer = true}));
  BOOST_TEST((logprobs(it.run(it.batch(true)), 0) == before));

  const auto made = it.result<load_weights_reply>(
      "load_weights", to_json(load_weights_request{
                          .path = saved.path, .optimizer = true, .session_id = it.session, .model_seq_id = 9}));
  BOOST_TEST(made.model_id.value() == it.session + ":train:9");
  auto request = it.batch(true);
  request.model_id = *made.model_id;
  BOOST_TEST((logprobs(it.run(request), 0) == before));

  const auto info = it.ok<weights_info_reply>("weights_info", to_json(weights_info_request{saved.path}));
  BOOST_TEST(info.base_model == "gradwire/tiny");
  BOOST_TEST(info.lora_rank.value() == 4);
  const auto listed = from_json<checkpoints_reply>(it.http.get("training_runs/" + it.model + "/checkpoints").body);
  BOOST_REQUIRE(listed.checkpoints.size() == 1);
  BOOST_TEST(listed.checkpoints[0].tinker_path == saved.path);
  BOOST_TEST(listed.checkpoints[0].size_bytes.value() > 0);
  BOOST_TEST(from_json<checkpoints_reply>(it.http.get("checkpoints?limit=1").body).cursor->total_count == 1);
  BOOST_TEST(
      it.http.send("DELETE", "/api/v1/training_runs/" + it.model + "/checkpoints/weights/step-1.a", "", it.http.key())
          .status == 204);
  BOOST_TEST(it.http.post("weights_info", to_json(weights_info_request{saved.path})).status == 404);
}

BOOST_AUTO_TEST_CASE(names_of_checkpoints_stay_in_their_folder) {
  driver it;
  const std::vector<std::string> names{"../x", "/etc/x", "a/b", "..",    ".",           ".x",
                                       "a..b", "",       "a b", "..%2f", "caf\xc3\xa9", std::string(129, 'a')};
  for (const auto& name : names) {
    for (const char* operation : {"save_weights", "save_weights_for_sampler"}) {
      const auto reply = it.http.post(
          operation, to_json(save_weights_request{.model_id = it.model, .path = name, .seq_id = ++it.seq}));
      BOOST_TEST(reply.status == 422, name);
      BOOST_TEST(contains(reply.body, "no name for a checkpoint"), reply.body);
    }
  }
  for (const char* path :
       {"tinker://../weights/x", "tinker://a/weights/../x", "/etc/passwd", "file:///etc", "tinker://a/b/c", ""})
    BOOST_TEST(it.http.post("load_weights",
                            to_json(load_weights_request{.model_id = it.model, .seq_id = ++it.seq, .path = path}))
                       .status == 400,
               path);
  BOOST_TEST(it.http
                 .post("load_weights", to_json(load_weights_request{
                                           .model_id = it.model, .seq_id = ++it.seq, .path = "tinker://a/weights/x"}))
                 .status == 404);
  // A symbolic link where a checkpoint should be is not followed.
  const auto root = it.server.checkpoints();
  std::filesystem::create_directories(root / "run" / "weights");
  std::filesystem::create_directory_symlink("/tmp", root / "run" / "weights" / "x");
  BOOST_TEST(it.http.post("weights_info", to_json(weights_info_request{"tinker://run/weights/x"})).status == 404);
  BOOST_TEST(it.http.send("DELETE", "/api/v1/training_runs/run/checkpoints/weights/x", "", it.http.key()).status ==
             404);
  const auto permissions = std::filesystem::status(root).permissions();
  BOOST_TEST((permissions == std::filesystem::perms::owner_all));
}

BOOST_AUTO_TEST_CASE(samples) {
  driver it;
  const auto saved = it.result<save_weights_for_sampler_reply>(
      "save_weights_for_sampler", to_json(save_weights_for_sampler_request{
                                      .model_id = it.model, .path = "s", .seq_id = ++it.seq, .kind = "snapshot"}));
  const auto sampler = it.ok<create_sampling_session_reply>(
      "create_sampling_session",
      to_json(create_sampling_session_request{.session_id = it.session, .model_path = saved.path}));
  BOOST_TEST(sampler.sampling_session_id == it.session + ":sample:0");
  const auto info = from_json<sampler_info_reply>(it.http.get("samplers/" + sampler.sampling_session_id).body);
  BOOST_TEST(info.base_model == "gradwire/tiny");
  BOOST_TEST(info.model_path.value() == saved.path.value());

  sample_request request{.sampling_session_id = sampler.sampling_session_id,
                         .seq_id = 0,
                         .num_samples = 3,
                         .prompt = {{encoded_text{{72, 105}}}},
                         .sampling_params = {.max_tokens = 5, .seed = 7},
                         .prompt_logprobs = true,
                         .topk_prompt_logprobs = 2,
                         .topk_sample_logprobs = 3};
  const auto submitted = it.ok<submit_reply>("asample", to_json(request));
  BOOST_TEST(submitted.sample_sequence_ids.size() == 3);
  const auto reply = it.poll(submitted.request_id, "application/x-protobuf");
  BOOST_TEST(reply.status == 200);
  const auto sampled = from_protobuf<sample_reply>(reply.body);
  BOOST_REQUIRE(sampled.sequences.size() == 3);
  BOOST_TEST(sampled.sequences[0].tokens.size() <= 5);
  BOOST_TEST(sampled.sequences[0].logprobs->size() == sampled.sequences[0].tokens.size());
  BOOST_TEST(sampled.sequences[0].topk_sampled_logprobs->k == 3);
  BOOST_TEST(std::isnan((*sampled.prompt_logprobs)[0]));
  BOOST_TEST((*sampled.prompt_logprobs)[1] < 0);
  BOOST_TEST(sampled.topk_prompt_logprobs->length == 2);
  const auto json = from_json<sample_reply>(it.poll(submitted.request_id).body);
  BOOST_TEST((json.sequences[2].tokens == sampled.sequences[2].tokens));
  BOOST_TEST((*json.sequences[2].logprobs == *sampled.sequences[2].logprobs));
  BOOST_TEST(std::isnan((*json.prompt_logprobs)[0]));
  request.seq_id = 1;
  BOOST_TEST((it.result<sample_reply>("asample", to_json(request)).sequences[1].tokens == sampled.sequences[1].tokens));

  // The logprob of a given next token, and the same through target_prompt_logprobs.
  const sample_request scoring{.base_model = "gradwire/tiny",
                               .prompt = {{encoded_text{{72, 105, 33}}}},
                               .sampling_params = {.max_tokens = 1},
                               .prompt_logprobs = true,
                               .prompt_logprobs_last_n = 1,
                               .target_prompt_logprobs = tensor(array<std::int64_t>{105, -1, 4, 33}, {2, 2})};
  const auto scored = it.result<sample_reply>("asample", to_json(scoring));
  BOOST_TEST(std::isnan((*scored.prompt_logprobs)[1]));
  const auto targets = scored.target_prompt_logprobs.value().values<float>();
  BOOST_TEST(std::abs(targets[3] - (*scored.prompt_logprobs)[2]) < 1e-5F);
  BOOST_TEST(targets[1] == 0);
}

BOOST_AUTO_TEST_CASE(a_sampler_keeps_the_weights_of_its_moment) {
  driver it;
  const auto session_of_now = [&](std::int64_t number) {
    return it
        .result<save_weights_for_sampler_reply>(
            "save_weights_for_sampler",
            to_json(save_weights_for_sampler_request{
                .model_id = it.model, .seq_id = ++it.seq, .sampling_session_seq_id = number}))
        .sampling_session_id.value();
  };
  const auto score = [&](const std::string& sampler) {
    return (
        *it.result<sample_reply>("asample", to_json(sample_request{.sampling_session_id = sampler,
                                                                   .prompt = {{encoded_text{{72, 101, 108, 108, 111}}}},
                                                                   .sampling_params = {.max_tokens = 1},
                                                                   .prompt_logprobs = true}))
             .prompt_logprobs)[4];
  };
  const auto before = session_of_now(0);
  const float first = score(before);
  for (int i = 0; i < 3; ++i) {
    it.run(it.batch());
    it.step(3e-2);
  }
  const auto after = session_of_now(1);
  BOOST_TEST(score(before) == first);
  BOOST_TEST(score(after) > first + 0.5F);
  BOOST_TEST(it.http
                 .post("create_sampling_session",
                       to_json(create_sampling_session_request{
                           .session_id = it.session, .sampling_session_seq_id = 1, .base_model = "gradwire/tiny"}))
                 .status == 409);
}

BOOST_AUTO_TEST_CASE(wrong_samples_are_refused) {
  driver it;
  const auto refused = [&](sample_request request, int status, std::string_view part) {
    if (request.prompt.chunks.empty()) request.prompt = {{encoded_text{{1}}}};
    const auto reply = it.http.post("asample", to_json(request));
    BOOST_TEST(reply.status == status);
    BOOST_TEST(contains(reply.body, part), reply.body);
  };
  refused({.sampling_session_id = "none"}, 404, "Sampling session not found");
  refused({}, 422, "sampling_session_id");
  refused({.base_model = "other/model"}, 404, "Unknown model: other/model");
  refused({.base_model = "gradwire/tiny", .sampling_params = {.max_tokens = 0}}, 422, "max_tokens");
  refused({.base_model = "gradwire/tiny", .sampling_params = {.max_tokens = 1'000'000}}, 400,
          "are more than the model's");
  refused({.base_model = "gradwire/tiny", .num_samples = 0}, 422, "num_samples");
  refused({.base_model = "gradwire/tiny", .sampling_params = {.temperature = -1}}, 422, "temperature");
  refused({.base_model = "gradwire/tiny", .sampling_params = {.top_p = 0}}, 422, "top_p");
  refused({.base_model = "gradwire/tiny", .prompt = {{encoded_text{{-1}}}}}, 422, "token 0 is -1");
  refused({.base_model = "gradwire/tiny", .prompt_alt_tokens_k = 2}, 422, "prompt_alt_tokens_k");
  refused({.model_path = "tinker://x/sampler_weights/y"}, 404, "Checkpoint not found");
}

BOOST_AUTO_TEST_CASE(full_parameter_and_frozen_models) {
  driver it;
  it.model = it.create(1, 0);
  const auto first = it.run(it.batch()).metrics.at(0).value;
  it.step();
  BOOST_TEST(it.run(it.batch(true)).metrics.at(0).value < first);
  const auto info = it.ok<get_info_reply>("get_info", to_json(get_info_request{it.model}));
  BOOST_TEST(!info.is_lora.value());
  BOOST_TEST(!info.lora_rank);
  BOOST_TEST(std::filesystem::exists(std::filesystem::path(info.tokenizer_id) / "tokenizer.json"));
  const auto saved = it.result<save_weights_reply>(
      "save_weights", to_json(save_weights_request{.model_id = it.model, .path = "full", .seq_id = ++it.seq}));
  const auto trained = logprobs(it.run(it.batch(true)), 0);

  it.model = it.create(2, 0, true);
  BOOST_TEST(it.run(it.batch(true)).metrics.at(0).value == first);
  const auto refused = it.outcome("forward_backward", to_json(it.batch()));
  BOOST_TEST(refused.status == 400);
  BOOST_TEST(contains(refused.body, "base_only"));
  it.result<load_weights_reply>(
      "load_weights", to_json(load_weights_request{.model_id = it.model, .seq_id = ++it.seq, .path = saved.path}));
  BOOST_TEST((logprobs(it.run(it.batch(true)), 0) == trained));
}

BOOST_AUTO_TEST_CASE(sessions_and_models_end) {
  driver it;
  BOOST_TEST(it.http.post("session_heartbeat", to_json(session_heartbeat_request{it.session})).status == 200);
  BOOST_TEST(it.http.post("session_heartbeat", to_json(session_heartbeat_request{"none"})).status == 404);
  const auto wrong = it.http.post(
      "create_model",
      to_json(create_model_request{
          .session_id = it.session, .model_seq_id = 3, .base_model = "x/y", .lora_config = lora_config{}}));
  BOOST_TEST(wrong.status == 404);
  BOOST_TEST(contains(wrong.body, "Unknown model: x/y; this server has gradwire/tiny"));
  BOOST_TEST(from_json<session_info_reply>(it.http.get("sessions/" + it.session).body).training_run_ids.at(0) ==
             it.model);
  BOOST_TEST(from_json<training_runs_reply>(it.http.get("training_runs").body).training_runs.at(0).training_run_id ==
             it.model);
  it.result<unload_model_reply>("unload_model", to_json(unload_model_request{it.model}));
  BOOST_TEST(it.http.post("unload_model", to_json(unload_model_request{it.model})).status == 404);
  BOOST_TEST(it.http.post("forward_backward", to_json(it.batch())).status == 404);
  it.model = it.create(1);
  BOOST_TEST(it.http.post("sessions/" + it.session + "/finish", to_json(session_finish_request{})).status == 200);
  BOOST_TEST(it.http.post("session_heartbeat", to_json(session_heartbeat_request{it.session})).status == 410);
  BOOST_TEST(it.http.post("forward_backward", to_json(it.batch())).status == 404);
}

BOOST_AUTO_TEST_CASE(a_pending_result_is_polled_for) {
  for (const bool try_again : {false, true}) {
    driver it({.threads = 1, .hold_seconds = 0.02, .try_again = try_again});
    auto request = it.batch();
    std::vector<std::int32_t> tokens(2000, 5);
    request.data.assign(4, {.model_input = {encoded_text{tokens}},
                            .loss_fn_inputs = {{"target_tokens", tensor(array<std::int32_t>(tokens))}}});
    const auto id = it.ok<submit_reply>("forward_backward", to_json(request)).request_id;
    const auto first = it.poll(id);
    BOOST_TEST(first.status == (try_again ? 200 : 408));
    BOOST_TEST(contains(first.body, R"("queue_state":"active")"));
    if (try_again)
      BOOST_TEST((read_outcome<forward_backward_reply>("application/json", first.body).kind == outcome_kind::pending));
    raw_reply reply = first;
    while (reply.status == 408 || contains(reply.body, "try_again")) reply = it.poll(id);
    BOOST_TEST(from_json<forward_backward_reply>(reply.body).loss_fn_outputs.size() == 4);
    BOOST_TEST(it.poll("12345").status == 404);
  }
}

BOOST_AUTO_TEST_CASE(the_server_ends_while_it_works) {
  driver it;
  auto request = it.batch();
  std::vector<std::int32_t> tokens(1500, 5);
  request.data.assign(4, {.model_input = {encoded_text{tokens}},
                          .loss_fn_inputs = {{"target_tokens", tensor(array<std::int32_t>(tokens))}}});
  for (int i = 0; i < 20; ++i) {
    request.seq_id = ++it.seq;
    it.ok<submit_reply>("forward_backward", to_json(request));
  }
}  // 20 operations are queued; the destructor waits for one

BOOST_AUTO_TEST_SUITE_END()
