// SPDX-License-Identifier: Apache-2.0
// Outcomes of futures, error bodies of every server, metrics of chunks, checkpoint paths, and the table of servers.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 is wrong about half-made messages in braces
#include <boost/test/unit_test.hpp>
#include <cmath>

#include <gradwire/wire/dialect.hpp>
#include <gradwire/wire/metrics.hpp>
#include <gradwire/wire/outcome.hpp>
#include <gradwire/wire/path.hpp>

using namespace gradwire;
using namespace gradwire::wire;

BOOST_AUTO_TEST_SUITE(replies)

BOOST_AUTO_TEST_CASE(outcomes) {
  const char* json = "application/json";
  const auto pending = read_outcome<optim_step_reply>(
      json, R"({"type":"try_again","request_id":"1","queue_state":"paused_capacity","queue_state_reason":"busy"})");
  BOOST_TEST((pending.kind == outcome_kind::pending));
  BOOST_TEST(pending.pending.queue_state == "paused_capacity");
  BOOST_TEST(pending.pending.queue_state_reason == "busy");
  const auto failed = read_outcome<optim_step_reply>(json, R"({"error":"no","category":"user"})");
  BOOST_TEST((failed.kind == outcome_kind::failed));
  BOOST_TEST(failed.failure.message == "no");
  BOOST_TEST(failed.failure.category == "user");
  const auto object = read_outcome<optim_step_reply>(json, R"({"error":{"message":"no","code":"E7"}})");
  BOOST_TEST(object.failure.message == "no");
  BOOST_TEST(object.failure.category == "E7");
  for (const char* body : {"", "null", " \n"})
    BOOST_TEST((read_outcome<optim_step_reply>(json, body).kind == outcome_kind::empty));
  BOOST_TEST(
      (read_outcome<optim_step_reply>(json, R"({"status":"complete_metadata","response_payload_size":4})").kind ==
       outcome_kind::pending));
  const auto result = read_outcome<optim_step_reply>(json, R"({"metrics":{"grad_norm":1.5},"type":"optim_step"})");
  BOOST_TEST((result.kind == outcome_kind::result));
  BOOST_TEST(result.result.metrics.at(0).value == 1.5);
  BOOST_CHECK_THROW(read_outcome<optim_step_reply>(json, "<html>"), error);
  BOOST_CHECK_THROW(read_outcome<optim_step_reply>("application/x-protobuf", "x"), error);
}

BOOST_AUTO_TEST_CASE(results_in_either_encoding) {
  const forward_backward_reply reply{.loss_fn_output_type = "x",
                                     .loss_fn_outputs = {{{"logprobs", tensor(array<float>{-1})}}},
                                     .metrics = {{"loss:sum", 1}}};
  for (const auto& [type, body] :
       {std::pair{"application/x-protobuf; v=1", to_protobuf(reply)}, std::pair{"application/json", to_json(reply)}}) {
    const auto found = read_outcome<forward_backward_reply>(type, body);
    BOOST_TEST((found.kind == outcome_kind::result));
    BOOST_TEST((found.result.metrics == reply.metrics));
    BOOST_TEST((find(found.result.loss_fn_outputs.at(0), "logprobs")->values<float>() == array<float>{-1}));
  }
}

BOOST_AUTO_TEST_CASE(error_bodies_of_every_server) {
  BOOST_TEST(read_error_body(R"({"detail":"Model not found"})").message == "Model not found");
  const auto list = read_error_body(
      R"({"detail":[{"type":"missing","loc":["body","data",0,"x"],"msg":"Field required","input":{"big":[1,2]}},{"type":"t","loc":[],"msg":"m"}]})");
  BOOST_TEST(list.message == "body.data.0.x: Field required; : m");
  BOOST_TEST(list.issues.at(0).type == "missing");
  BOOST_TEST(read_error_body(R"({"error":{"message":"quota","code":"E1","type":"t"}})").message == "quota");
  BOOST_TEST(read_error_body(R"({"error":"bad","category":"user"})").code == "user");
  BOOST_TEST(read_error_body(R"({"message":"m"})").message == "m");
  BOOST_TEST(read_error_body("Internal Server Error").message == "Internal Server Error");
  BOOST_TEST(read_error_body("").message == "");
  BOOST_TEST(read_error_body(std::string(10'000, 'x')).message.size() == 500);
  BOOST_TEST(read_error_body(R"({"queue_state":"paused_rate_limit","queue_state_reason":"r"})").queue_state_reason ==
             "r");
}

BOOST_AUTO_TEST_CASE(metrics_of_chunks) {
  // Two chunks of 1 and 3 datums. By hand: mean (1·2 + 3·6)/4 = 5; slack 6 - 5 = 1.
  std::vector<forward_backward_reply> chunks(2);
  chunks[0].loss_fn_outputs.resize(1);
  chunks[1].loss_fn_outputs.resize(3);
  chunks[0].metrics = {{"loss:sum", 2},  {"m:mean", 2},   {"lo:min", 2},   {"hi:max", 2},
                       {"s:slack", 2},   {"u:unique", 2}, {"h:hash2", -1}, {"gone:sum", 1},
                       {"grad_norm", 2}, {"lr:last", 2},  {"a:b:c", 2},    {"n:sum", NAN}};
  chunks[1].metrics = {{"loss:sum", 6}, {"m:mean", 6},   {"lo:min", 6},  {"hi:max", 6},
                       {"s:slack", 6},  {"u:unique", 6}, {"h:hash2", 3}, {"grad_norm", 6},
                       {"lr:last", 6},  {"a:b:c", 6},    {"n:sum", 1},   {"new:sum", 1}};
  const auto merged = merge_metrics(chunks);
  const auto value = [&](const char* name) { return *find(merged.values, name); };
  BOOST_TEST(value("loss:sum") == 8);
  BOOST_TEST(value("m:mean") == 5);
  BOOST_TEST(value("lo:min") == 2);
  BOOST_TEST(value("hi:max") == 6);
  BOOST_TEST(value("s:slack") == 1);
  BOOST_TEST(value("u:unique") == 2);
  BOOST_TEST(value("u:unique_1") == 6);
  BOOST_TEST(value("h:hash2") == 2);  // 2^64 - 1 + 3 modulo 2^64
  BOOST_TEST(value("grad_norm") == 2);
  BOOST_TEST(value("lr:last") == 2);
  BOOST_TEST(value("a:b:c") == 2);
  BOOST_TEST(std::isnan(value("n:sum")));
  BOOST_TEST((find(merged.values, "gone:sum") == nullptr));
  BOOST_TEST((find(merged.values, "new:sum") == nullptr));
  BOOST_TEST(merged.unmerged == (std::vector<std::string>{"grad_norm", "lr:last", "a:b:c"}),
             boost::test_tools::per_element());
  BOOST_TEST(merge_metrics({}).values.empty());
}

BOOST_AUTO_TEST_CASE(paths) {
  const auto path = parse_tinker_path("tinker://a:train:0/sampler_weights/step-1").value();
  BOOST_TEST(path.run == "a:train:0");
  BOOST_TEST((path.kind == checkpoint_kind::sampler));
  BOOST_TEST(path.name == "step-1");
  BOOST_TEST(to_string(path) == "tinker://a:train:0/sampler_weights/step-1");
  BOOST_TEST(to_string(parse_tinker_path("tinker://model_1/x").value()) == "tinker://model_1/x");
  for (const char* bad : {"", "tinker://", "tinker://a", "tinker://a/", "tinker:///x", "tinker://a/weights/",
                          "tinker://a/b/c", "tinker://a/weights/b/c", "http://a/weights/b", "a/weights/b"})
    BOOST_TEST(!parse_tinker_path(bad), bad);
  for (const char* good : {"a", "step-1", "A_b.c-3", "x.y"}) BOOST_TEST(is_checkpoint_name(good), good);
  for (const std::string bad :
       {"", "../x", "..", ".", ".hidden", "a/b", "a..b", "/etc/x", "a b", "\xc3\xa9", "a\\b", "..%2f"})
    BOOST_TEST(!is_checkpoint_name(bad), bad);
  BOOST_TEST(!is_checkpoint_name(std::string("a\0b", 3)));
  BOOST_TEST(!is_checkpoint_name(std::string(129, 'a')));
}

BOOST_AUTO_TEST_CASE(servers) {
  BOOST_TEST((find_dialect("fireworks")->body == encoding::json));
  BOOST_TEST((find_dialect("nobody") == nullptr));
  for (const auto& row : dialects) BOOST_TEST(find_dialect(row.name) == &row);
}

BOOST_AUTO_TEST_SUITE_END()
