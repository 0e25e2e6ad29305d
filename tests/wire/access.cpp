// SPDX-License-Identifier: Apache-2.0
// The messages of checkpoints that leave the server, of newer servers' settings and of sampling's additions: the text
// that servers expect, and what is tolerated when it comes back.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include <boost/test/unit_test.hpp>

#include <gradwire/wire/check_body.hpp>
#include <gradwire/wire/dialect.hpp>
#include <gradwire/wire/json_codec.hpp>
#include <gradwire/wire/path.hpp>
#include <gradwire/wire/protobuf.hpp>

using namespace gradwire;
using namespace gradwire::wire;

BOOST_AUTO_TEST_SUITE(checkpoints_and_servers)

BOOST_AUTO_TEST_CASE(requests) {
  BOOST_TEST(to_json(checkpoint_ttl_request{3600}) == R"({"ttl_seconds":3600})");
  BOOST_TEST(to_json(checkpoint_ttl_request{}) == R"({"ttl_seconds":null})");
  BOOST_TEST(to_json(save_weights_external_request{.model_id = "m", .path = "hf", .seq_id = 4}) ==
             R"({"model_id":"m","path":"hf","seq_id":4,"type":"save_weights_external"})");
  BOOST_TEST(to_json(copy_weights_request{.source_path = "tinker://a/weights/b", .destination_project_id = "p"}) ==
             R"({"source_path":"tinker://a/weights/b","destination_project_id":"p"})");
  BOOST_TEST(to_json(retrieve_futures_request{.sampling_session_id = "s", .retrieved_request_ids = {"1"}}) ==
             R"({"target":{"type":"sampling_session","sampling_session_id":"s","cloned_sampler_id":0},"prev_cursor":0,)"
             R"("retrieved_request_ids":["1"]})");
  BOOST_TEST(to_json(join_sampling_session_request{"s"}) ==
             R"({"sampling_session_id":"s","type":"join_sampling_session"})");
  const create_custom_loss_request loss{.session_id = "s",
                                        .name = "mine",
                                        .inputs = {{"logprobs", 1}, {"weights", 1}},
                                        .graph = R"({"format":1,"nodes":[]})"};
  BOOST_TEST(to_json(loss) ==
             R"({"session_id":"s","custom_loss_seq_id":0,"name":"mine","inputs":[{"name":"logprobs","rank":1},)"
             R"({"name":"weights","rank":1}],"graph":{"format":1,"nodes":[]},"type":"create_custom_loss"})");
  auto broken = loss;
  broken.graph = "{";
  BOOST_CHECK_THROW(to_json(broken), error);
}

BOOST_AUTO_TEST_CASE(replies) {
  const auto urls = from_json<external_weights_urls_reply>(
      R"({"urls":{"config.json":"https://x/1","model.safetensors":"https://x/2"},"expires":"2026-01-01T00:00:00Z"})");
  BOOST_TEST(urls.urls.at(1).first == "model.safetensors");
  BOOST_TEST(from_json<copy_weights_reply>(R"({"tinker_path":"tinker://a/weights/b"})").tinker_path ==
             "tinker://a/weights/b");
  const auto futures = from_json<retrieve_futures_reply>(
      R"({"completions":[{"state":"finished","request_id":"7","response_payload_uncompressed_size":12},{"state":"failed","request_id":"8"}],"cursor":2})");
  BOOST_TEST(futures.completions.at(1).state == "failed");
  BOOST_TEST(futures.cursor == 2);
  BOOST_TEST(from_json<dynamic_config_reply>(R"({"refresh_interval_sec":60,"new":1})").refresh_interval_sec == 60);
  const auto checkpoint = from_json<checkpoint_info>(
      R"({"checkpoint_id":"external_weights/a","checkpoint_type":"external","time":"t","tinker_path":"p","user_metadata":{"a":"b"},"size_bytes":null})");
  BOOST_TEST(checkpoint.user_metadata.value().at(0).second == "b");
}

BOOST_AUTO_TEST_CASE(loss_settings_of_three_kinds) {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.loss_fn_config = {{"beta", 0.5}, {"mode", std::string("x")}, {"center", true}};
  BOOST_TEST(to_json(request).find(R"("loss_fn_config":{"beta":0.5,"mode":"x","center":true})") != std::string::npos);
  const auto json = from_json<forward_backward_request>(to_json(request));
  BOOST_TEST(std::get<bool>(json.loss_fn_config.at(2).value) == true);
  for (const bool twice : {false, true}) {  // protobuf has numbers and text
    const auto read = from_protobuf<forward_backward_request>(to_protobuf(request, {.loss_fn_config_v2 = twice}));
    BOOST_TEST(read.loss_fn_config.size() == 3u);
    for (const auto& item : read.loss_fn_config) {
      if (item.name == "beta") BOOST_TEST(std::get<double>(item.value) == 0.5);
      if (item.name == "mode") BOOST_TEST(std::get<std::string>(item.value) == "x");
      if (item.name == "center") BOOST_TEST(std::get<double>(item.value) == 1.0);
    }
  }
  BOOST_CHECK_NO_THROW(check_body(request, *find_dialect("tinker")));
  BOOST_CHECK_NO_THROW(check_body(request, *find_dialect("fireworks")));
  for (const char* server : {"skyrl", "skyrl-json", "tuft"})
    BOOST_CHECK_EXCEPTION(check_body(request, *find_dialect(server)), error,
                          [](const error& e) { return e.kind() == errc::config; });
}

BOOST_AUTO_TEST_CASE(candidates_where_a_server_would_flatten_them) {
  forward_backward_request request{.model_id = "m", .seq_id = 1};
  request.data.push_back({.loss_fn_inputs = {{"target_tokens", tensor(array<std::int64_t>{1, 2, 3, 4}, {2, 2})}}});
  BOOST_CHECK_NO_THROW(check_body(request, *find_dialect("gradwire")));
  BOOST_CHECK_EXCEPTION(check_body(request, *find_dialect("tuft")), error,
                        [](const error& e) { return e.kind() == errc::config && e.details().datum == 0; });
}

BOOST_AUTO_TEST_CASE(ids_in_urls) {
  BOOST_TEST(url_segment("session:train:0") == "session:train:0");
  BOOST_TEST(url_segment("a/b c?%") == "a%2Fb%20c%3F%25");
  BOOST_TEST(url_segment("\xc3\xa9\n") == "%C3%A9%0A");
}

// ---- which server is it? ----

BOOST_AUTO_TEST_CASE(servers_are_recognised_by_what_they_say) {
  const auto name = [](const server_evidence& seen) {
    const auto* row = recognise(seen);
    return row ? std::string(row->name) : "?";
  };
  const auto own = from_json<client_config_reply>(R"({"server":"gradwire","sequence":"strict"})");
  BOOST_TEST(own.sequence.value() == "strict");
  BOOST_TEST(name({.config = &own}) == "gradwire");
  BOOST_TEST(name({.base_url = "https://api.fireworks.ai/training/v1/serverless/"}) == "fireworks");
  BOOST_TEST(name({.session_id = "ts-0a1b2c"}) == "fireworks");
  BOOST_TEST(name({.session_id = "session_0a1b2c3d"}) == "skyrl");
  BOOST_TEST(name({.session_id = "session_0a1b2c3"}) == "?");
  BOOST_TEST(name({.session_id = "session_0a1b2c3z"}) == "?");
  const std::string_view uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  BOOST_TEST(name({.session_id = uuid}) == "?");
  const auto tuft = from_json<server_capabilities_reply>(
      R"({"supported_models":[{"model_name":"q","max_context_length":8,"capabilities":["training","sampling"]}]})");
  BOOST_TEST(name({.session_id = uuid, .capabilities = &tuft}) == "tuft");
  const auto newer = from_json<server_capabilities_reply>(
      R"({"supported_models":[{"model_name":"q","trainable":true,"sampleable":null}]})");
  BOOST_TEST(name({.session_id = uuid, .capabilities = &newer}) == "?");
}

BOOST_AUTO_TEST_CASE(tinker_and_fireworks_have_parted) {
  const auto &tinker = *find_dialect("tinker"), &fireworks = *find_dialect("fireworks");
  BOOST_TEST((tinker.body == encoding::protobuf && fireworks.body == encoding::json));
  BOOST_TEST((tinker.config_v2 && !fireworks.config_v2));
  BOOST_TEST((tinker.create_via_load && !fireworks.create_via_load));
  BOOST_TEST((!tinker.checkpoint_type && fireworks.checkpoint_type));
  BOOST_TEST((!tinker.lora_alpha && fireworks.default_alpha == 32));
  BOOST_TEST((tinker.asample && !fireworks.asample));
}

BOOST_AUTO_TEST_SUITE_END()
