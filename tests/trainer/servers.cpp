// SPDX-License-Identifier: Apache-2.0
// Servers that differ: how the client recognises them, what it sends to whom, and everything that a server may answer
// without being wrong. The answers come from a table in this file; what is not in it comes from the embedded trainer.
#include <map>

#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer/session.hpp>

using namespace spying;

namespace {

const std::string json_type = "application/json";

http_response answer_json(std::string body, int status = 200) {
  return {status, {{"Content-Type", json_type}}, std::move(body)};
}

// A server whose answers to some paths are given here; the others are the embedded trainer's.
struct staged {
  loopback::server server;
  std::shared_ptr<spy> net = std::make_shared<spy>();
  std::map<std::string, http_response> answers;
  std::vector<client_event> events;
  std::mutex mutex;

  explicit staged(std::map<std::string, http_response> given = {}, loopback::start_options how = {})
      : server(loopback::start(std::move(how))), answers(std::move(given)) {
    net->on_request([this](const exchange& e, http_response& reply) { return answered(e, reply); });
  }
  fault answered(const exchange& e, http_response& reply) const {
    for (const auto& [path, answer] : answers)
      if (e.target.ends_with(path)) {
        reply = answer;
        return fault::answer;
      }
    return fault::none;
  }
  service_client connect(connect_options how = quick()) {
    how.on_event = [this](const client_event& event) {
      std::lock_guard lock(mutex);
      events.push_back(event);
    };
    return service_client::connect_through(net, server.endpoint(), how);
  }
  std::vector<std::string> notices() {
    std::lock_guard lock(mutex);
    std::vector<std::string> texts;
    for (const auto& each : events)
      if (each.what == client_event::type::notice) texts.push_back(each.detail);
    return texts;
  }
  std::string last_body(std::string_view path) const {
    std::string body;
    for (const auto& each : net->log())
      if (each.target.ends_with(path)) body = each.body;
    return body;
  }
};

const http_response plain_config = answer_json(R"({"pjwt_auth_enabled":false})");

// What a session asks the server for, from which the row shows: creating a model sends alpha to some only.
std::string row_of(staged& it, connect_options how = quick()) {
  auto service = it.connect(std::move(how));
  try {
    service.create_training_client({.base_model = it.server.model(), .lora_rank = 0}).result();
    return "takes rank 0";
  } catch (const error& refused) {
    const std::string text = refused.what();
    const auto from = text.find("this server (");
    return from == text.npos ? text : text.substr(from + 13, text.find(')', from) - from - 13);
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(servers)

BOOST_AUTO_TEST_CASE(rows_are_recognised_from_first_answers) {
  const auto session = [](const char* id) { return answer_json(std::string(R"({"session_id":")") + id + "\"}"); };
  const char* uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
  const auto models = [](const char* more) {
    return answer_json(std::string(R"({"supported_models":[{"model_name":"q")") + more + "}]}");
  };
  for (const auto& [status, row] : {std::pair{404, "skyrl"}, std::pair{422, "skyrl-json"}}) {
    staged skyrl({{"/client/config", plain_config},
                  {"/create_session", session("session_0a1b2c3d")},
                  {"/forward", answer_json(R"({"detail":"no"})", status)}});
    BOOST_TEST(row_of(skyrl) == row);
  }
  staged tuft({{"/client/config", plain_config},
               {"/create_session", {201, {{"Content-Type", json_type}}, session(uuid).body}},
               {"/get_server_capabilities", models(R"(,"capabilities":["training"])")}});
  BOOST_TEST(row_of(tuft) == "tuft");
  staged tinker(
      {{"/client/config", plain_config}, {"/create_session", session(uuid)}, {"/get_server_capabilities", models("")}});
  BOOST_TEST(row_of(tinker) == "tinker");
  staged silent({{"/client/config", answer_json("", 404)},
                 {"/create_session", session(uuid)},
                 {"/get_server_capabilities", {500, {}, "Internal Server Error"}}});
  BOOST_TEST(row_of(silent) == "tinker");
  staged own;
  BOOST_TEST(row_of(own) == "takes rank 0");
  auto named = quick();
  named.dialect = "tuft";  // the user knows better
  staged other;
  BOOST_TEST(row_of(other, named) == "tuft");
  auto unknown = quick();
  unknown.dialect = "nobody";
  must_fail(errc::config, {"no dialect is called 'nobody'", "fireworks"}, [&] { other.connect(unknown); });
}

// A server is trusted to know a request again only when it is known to: a step whose answer is lost is otherwise not
// sent again.
BOOST_AUTO_TEST_CASE(who_is_trusted_with_a_repeat) {
  struct row {
    const char* what;
    std::map<std::string, http_response> answers;
    std::size_t sent;
    std::optional<wire::sequencing> told = {};
  };
  const auto skyrl = answer_json(R"({"session_id":"session_0a1b2c3d"})");
  const auto config = [](const char* more) {
    return answer_json(std::string(R"({"pjwt_auth_enabled":false)") + more + "}");
  };
  const std::map<std::string, http_response> silent{{"/client/config", plain_config},
                                                    {"/get_server_capabilities", {500, {}, "Internal Server Error"}}};
  const std::vector<row> rows{
      {"the embedded trainer says that it does", {}, 2},
      {"nobody knows who it is", silent, 1},
      {"… but the user does", silent, 2, wire::sequencing::dedupes},
      {"SkyRL 0.4",
       {{"/client/config", plain_config}, {"/create_session", skyrl}, {"/forward", answer_json("{}", 404)}},
       2},
      {"SkyRL 0.3",
       {{"/client/config", config(R"(,"sequence":null)")},
        {"/create_session", skyrl},
        {"/forward", answer_json("{}", 422)}},
       1},
      {"a SkyRL that does not say which",
       {{"/client/config", plain_config}, {"/create_session", skyrl}, {"/forward", answer_json("{}", 401)}},
       1},
      {"one that says so itself, whatever its row says",
       {{"/client/config", config(R"(,"sequence":"dedupe")")},
        {"/create_session", skyrl},
        {"/forward", answer_json("{}", 422)}},
       2},
  };
  for (const auto& each : rows) {
    staged it(each.answers);
    const bool is_played = each.answers.contains("/create_session");
    if (is_played) {
      it.answers["/create_model"] = it.answers["/optim_step"] = answer_json(R"({"request_id":"r"})");
      it.answers["/retrieve_future"] = answer_json(R"({"model_id":"m","metrics":{}})");
    }
    auto how = quick();
    how.order = each.told;
    auto service = it.connect(how);
    auto trainer = service.create_training_client({.base_model = it.server.model(), .lora_rank = 2}).result();
    it.net->on_request([&it, lost = false](const exchange& e, http_response& reply) mutable {
      if (!e.target.ends_with("/optim_step") || std::exchange(lost, true)) return it.answered(e, reply);
      return fault::lose_reply;
    });
    auto step = trainer.optim_step();
    if (each.sent == 2) {
      BOOST_CHECK_NO_THROW(step.result());
    } else {
      must_fail(errc::outcome_unknown, {}, [&] { step.result(); });
    }
    BOOST_TEST(it.net->count("/optim_step") == each.sent, each.what);
    if (is_played) continue;
    service.create_training_client({.base_model = it.server.model(), .lora_rank = 2}).result();  // behind the step
    BOOST_TEST(it.server.executed().optim_step == 1, each.what);
  }
}

BOOST_AUTO_TEST_CASE(the_tolerance_list) {
  // path, answer: each alone must change nothing.
  struct row {
    const char* what;
    const char* path;
    http_response answer;
  };
  const std::vector<row> rows{
      {"config of a server that has none", "/client/config", answer_json(R"({"detail":"Not Found"})", 404)},
      {"config that is answered with 501", "/client/config", answer_json("", 501)},
      {"config of another method", "/client/config", {405, {}, "Method Not Allowed"}},
      {"config without a body", "/client/config", {204, {}, ""}},
      {"config with nulls and more", "/client/config",
       answer_json(R"({"pjwt_auth_enabled":null,"fwdbwd_max_chunk_len":null,"new":{"a":[1]},"server":"gradwire"})")},
      {"config whose type is null", "/client/config", answer_json(R"({"type":null,"server":"gradwire"})")},
  };
  for (const auto& each : rows) {
    staged it({{each.path, each.answer}});
    auto service = it.connect();
    auto trainer = service.create_training_client({.base_model = it.server.model(), .lora_rank = 2}).result();
    BOOST_TEST(trainer.forward(supervised()).result().tokens == 17u, each.what);
  }
}

BOOST_AUTO_TEST_CASE(any_success_any_id_any_extra) {
  // The session's id has colons and spaces, the status is 201, members come that nobody knows, type is null.
  staged it({{"/create_session",
              {201,
               {{"Content-Type", "application/json; charset=utf-8"}},
               R"({"type":null,"session_id":"a:b c/1","info_message":"be kind","warning_message":"","more":{}})"}},
             {"/create_model",
              {202, {{"Content-Type", json_type}}, R"({"request_id":"r:1/x","model_id":null,"status":"pending"})"}}});
  int polls = 0;
  it.net->on_request([&](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/retrieve_future")) {
      if (e.body.find("r:1/x") != std::string::npos) {
        const std::string type = R"("type":"try_again","request_id":"r:1/x")";
        ++polls;
        reply = polls == 1   ? answer_json("{" + type + R"(,"queue_state":null,"queue_state_reason":null})")
                : polls == 2 ? answer_json(R"({"detail":"Timeout waiting for result"})", 408)
                : polls == 3 ? http_response{425, {}, "not yet"}
                : polls == 4 ? answer_json(R"({"status":"complete_metadata","response_payload_size":9})")
                             : answer_json(R"({"model_id":"run-1:train:0","type":null,"comms":"v2"})");
        return fault::answer;
      }
      return fault::none;
    }
    for (const auto& [path, answer] : it.answers)
      if (e.target.ends_with(path)) {
        reply = answer;
        return fault::answer;
      }
    return fault::none;
  });
  auto service = it.connect();
  auto trainer = service.create_training_client({.base_model = "any", .lora_rank = 2}).result();
  BOOST_TEST(trainer.model_id() == "run-1:train:0");
  BOOST_TEST(polls == 5);
  BOOST_TEST(it.notices() == std::vector<std::string>{"be kind"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(results_of_a_step) {
  struct row {
    const char* what;
    http_response answer;
    std::size_t metrics;
  };
  const std::vector<row> rows{
      {"no body at all", {200, {}, ""}, 0},
      {"no content", {204, {}, ""}, 0},
      {"null", answer_json("null"), 0},
      {"metrics null", answer_json(R"({"metrics":null})"), 0},
      {"nothing but unknown members", answer_json(R"({"type":null,"x":1})"), 0},
      {"metrics without a colon, and null",
       answer_json(R"({"metrics":{"skyrl.ai/grad_norm":1.5,"a:b:c":null,"t":"x"}})"), 2},
      {"text/html although JSON", {200, {{"Content-Type", "text/html"}}, R"({"metrics":{"a":1}})"}, 1},
  };
  for (const auto& each : rows) {
    bench b;
    b.trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
    std::string step_request;
    b.net->on_request([&](const exchange& e, http_response& reply) {
      if (e.target.ends_with("/optim_step")) {
        reply = answer_json(R"({"request_id":"step"})", 202);
        return fault::answer;
      }
      if (!e.target.ends_with("/retrieve_future") || e.body.find("\"step\"") == std::string::npos) return fault::none;
      reply = each.answer;
      return fault::answer;
    });
    BOOST_TEST(b.trainer.optim_step({}).result().metrics.size() == each.metrics, each.what);
  }
}

BOOST_AUTO_TEST_CASE(results_of_a_pass_in_either_encoding_whatever_was_asked_for) {
  bench b;
  const auto data = batch{sequence({1, 2}, {3, 4})};
  wire::forward_backward_reply reply{.loss_fn_output_type = "x:scalar"};
  reply.loss_fn_outputs.push_back({{"logprobs", wire::tensor(wire::array<float>{-1, -2, -3})}});
  reply.metrics = {{"no_colon", 3}, {"lr:last", 1}};
  for (const bool as_json : {false, true}) {
    b.net->on_request([&, as_json](const exchange& e, http_response& answer) {
      if (e.target.ends_with("/forward_backward")) {
        answer = answer_json(R"({"future_id":"17","status":"pending","request_id":"17"})");
        return fault::answer;
      }
      if (!e.target.ends_with("/retrieve_future") || e.body.find("\"17\"") == std::string::npos) return fault::none;
      answer = {200,
                {{"Content-Type", as_json ? "application/json" : "application/x-protobuf"}},
                as_json ? wire::to_json(reply) : wire::to_protobuf(reply)};
      return fault::answer;
    });
    const auto step = b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
    BOOST_TEST(step.metric("no_colon") == 3);
    BOOST_TEST(step.metric("lr:last") == 1);
    BOOST_TEST(step.loss == 5);  // -(-2 - 3): the weights are 0 1 1, and the server reports no loss
  }
  // Outputs may be empty maps: the loss is then not known, and nothing else is wrong.
  reply.loss_fn_outputs = {wire::named_tensors{}};
  BOOST_TEST(std::isnan(b.trainer.forward_backward(data, server_loss::cross_entropy{}).result().loss));
}

BOOST_AUTO_TEST_CASE(an_adapter_from_a_state_has_the_alpha_that_is_given) {
  auto how = quick();
  how.dialect = "fireworks";
  for (const auto& [given, sent] :
       {std::pair<std::optional<double>, const char*>{64, R"("alpha":64)"}, {std::nullopt, R"("alpha":32)"}}) {
    staged it({{"/weights_info", answer_json(R"({"base_model":"q","is_lora":true,"lora_rank":2})")},
               {"/create_model", answer_json(R"({"request_id":"r"})")},
               {"/load_weights", answer_json(R"({"request_id":"r"})")},
               {"/retrieve_future", answer_json(R"({"model_id":"m"})")}});
    auto service = it.connect(how);
    service.create_training_client_from_state({.path = "tinker://a/weights/b", .lora_alpha = given}).result();
    BOOST_TEST(it.last_body("/create_model").find(sent) != std::string::npos, it.last_body("/create_model"));
  }
}

BOOST_AUTO_TEST_CASE(another_optimizer_where_the_server_has_it) {
  staged tinker({{"/client/config", plain_config},
                 {"/create_session", answer_json(R"({"session_id":"0f8fad5b-d9cb-469f-a165-70867728950e"})")},
                 {"/get_server_capabilities", answer_json(R"({"supported_models":[{"model_name":"q"}]})")},
                 {"/create_model", answer_json(R"({"request_id":"r"})")},
                 {"/optim_step", answer_json(R"({"request_id":"r"})")},
                 {"/retrieve_future", answer_json(R"({"model_id":"m","metrics":{}})")}});
  auto service = tinker.connect();
  auto trainer = service.create_training_client({.base_model = "q", .lora_rank = 2, .optimizer = "dimuon"}).result();
  BOOST_TEST(tinker.last_body("/create_model").find(R"("optimizer_config":{"type":"dimuon","version":1})") !=
             std::string::npos);
  trainer.optim_step({.learning_rate = 0.5, .beta1 = 0.75, .grad_clip_norm = 2}).result();
  const std::string step = tinker.last_body("/optim_step");
  const char* expected = R"("optimizer_params":{"type":"dimuon","learning_rate":0.5,"grad_clip_norm":2,"beta1":0.75})";
  BOOST_TEST(step.find(expected) != std::string::npos, step);
  BOOST_TEST(step.find("adam_params") == std::string::npos);
  must_fail(errc::config, {"weight_decay is AdamW's", "dimuon"},
            [&] { trainer.optim_step({.weight_decay = 0.1}).result(); });
  auto plain = service.create_training_client({.base_model = "q", .lora_rank = 2}).result();
  BOOST_TEST(tinker.last_body("/create_model").find("optimizer_config") == std::string::npos);

  staged own;  // which says that it has AdamW only
  auto embedded = own.connect();
  must_fail(errc::status, {"422", "adamw"}, [&] {
    embedded.create_training_client({.base_model = own.server.model(), .lora_rank = 2, .optimizer = "dimuon"}).result();
  });
  auto how = quick();
  how.dialect = "skyrl";
  staged skyrl;
  auto other = skyrl.connect(how);
  must_fail(errc::config, {"skyrl", "AdamW only"},
            [&] { other.create_training_client({.base_model = "q", .lora_rank = 2, .optimizer = "dimuon"}).result(); });
}

BOOST_AUTO_TEST_CASE(a_deprecation_note_is_told_once) {
  staged it;
  auto answer = answer_json(R"({"supported_models":[]})");
  answer.headers.push_back({"x-deprecation-note", "upgrade soon"});
  answer.headers.push_back({"x-deprecation-level", "error"});
  it.answers["/get_server_capabilities"] = answer;
  auto service = it.connect();
  service.capabilities().result();
  service.capabilities().result();
  BOOST_TEST(it.notices() == std::vector<std::string>{"error, deprecated: upgrade soon"},
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_passing_key_that_has_run_out_is_renewed_and_the_call_goes_again) {
  staged it({{"/client/config", answer_json(R"({"pjwt_auth_enabled":true,"server":"gradwire"})")}});
  const std::string own = it.server.endpoint().token;
  int tokens = 0, refused = 0;
  it.net->on_request([&](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/client/config")) return reply = it.answers.begin()->second, fault::answer;
    if (e.target.ends_with("/auth/token")) {
      reply = answer_json("{\"jwt\":\"" + (++tokens == 1 ? std::string("a.b.c") : own) + "\"}");
      return fault::answer;
    }
    if (e.target.ends_with("/create_session")) return reply = answer_json(R"({"session_id":"x"})"), fault::answer;
    if (e.target.ends_with("/get_server_capabilities") && e.key == "a.b.c") {
      ++refused;
      reply = answer_json(R"({"detail":"Invalid JWT"})", 401);
      reply.headers.push_back({"WWW-Authenticate", R"(Bearer error="invalid_token")"});
      return fault::answer;
    }
    return fault::none;
  });
  auto service = it.connect();
  BOOST_TEST(service.capabilities().result().size() == 1u);
  BOOST_TEST(refused == 1);
  BOOST_TEST(tokens == 2);
}

BOOST_AUTO_TEST_CASE(a_key_that_is_refused_for_good_is_not_exchanged_for_ever) {
  staged it;
  int tokens = 0;
  it.net->on_request([&](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/client/config"))
      return reply = answer_json(R"({"pjwt_auth_enabled":true})"), fault::answer;
    if (e.target.ends_with("/auth/token")) return ++tokens, reply = answer_json(R"({"jwt":"a.b.c"})"), fault::answer;
    if (e.target.ends_with("/create_session")) return reply = answer_json(R"({"session_id":"x"})"), fault::answer;
    reply = answer_json(R"({"detail":"Invalid JWT"})", 401);
    reply.headers.push_back({"WWW-Authenticate", R"(Bearer error="invalid_token")"});
    return fault::answer;
  });
  auto service = it.connect();
  must_fail(errc::status, {"401"}, [&] { service.capabilities().result(); });
  BOOST_TEST(tokens == 2);
}

BOOST_AUTO_TEST_CASE(a_model_from_a_state_in_one_request_or_two) {
  bench b;
  const auto data = supervised();
  b.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  b.trainer.optim_step({.learning_rate = 1e-2}).result();
  const auto saved = b.trainer.save_state("one").result();
  const auto there = b.trainer.forward(data).result();
  for (const bool one_request : {true, false}) {
    auto net = std::make_shared<spy>();
    auto how = quick();
    if (!one_request) how.dialect = "skyrl";
    auto service = service_client::connect_through(net, b.server.endpoint(), how);
    auto resumed = service.create_training_client_from_state(saved.path).result();
    BOOST_TEST(net->count("/create_model") == (one_request ? 0u : 1u));
    BOOST_TEST(net->count("/load_weights") == 1u);
    BOOST_TEST(largest_difference(resumed.forward(data).result().logprobs, there.logprobs) == 0.0);
    resumed.forward_backward(data, server_loss::cross_entropy{}).result();
    BOOST_TEST(resumed.optim_step({.learning_rate = 1e-2}).result().metric("step") == 2);
  }
}

BOOST_AUTO_TEST_CASE(a_server_that_makes_no_model_by_loading_gets_two_requests) {
  bench b;
  const auto saved = b.trainer.save_state("one").result();
  auto net = std::make_shared<spy>();
  net->on_request([](const exchange& e, http_response& reply) {
    if (e.target.ends_with("/client/config")) return reply = plain_config, fault::answer;  // it is nobody we know
    if (e.target.ends_with("/load_weights") && e.body.find("\"session_id\"") != std::string::npos) {
      reply = answer_json(R"({"detail":[{"type":"missing","loc":["body","model_id"],"msg":"Field required"}]})", 422);
      return fault::answer;
    }
    return fault::none;
  });
  auto service = service_client::connect_through(net, b.server.endpoint(), quick());
  BOOST_CHECK_NO_THROW(service.create_training_client_from_state(saved.path).result());
  BOOST_TEST(net->count("/load_weights") == 2u);
  BOOST_TEST(net->count("/create_model") == 1u);
}

BOOST_AUTO_TEST_CASE(what_a_server_would_drop_in_silence_is_not_sent) {
  bench b;
  auto how = quick();
  how.dialect = "skyrl";
  auto net = std::make_shared<spy>();
  auto service = service_client::connect_through(net, b.server.endpoint(), how);
  auto trainer = service.create_training_client({.base_model = b.server.model(), .lora_rank = 2}).result();
  must_fail(errc::config, {"'mode' is text", "skyrl"}, [&] {
    trainer
        .forward_backward(
            supervised(),
            server_loss::named{"cross_entropy", {{"mode", std::string("x")}}, {"target_tokens", "weights"}})
        .result();
  });
  must_fail(errc::config, {"user_metadata"}, [&] {
    trainer.save_state({.name = "a", .user_metadata = {{"k", "v"}}}).result();
  });
  BOOST_TEST(net->operations() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
