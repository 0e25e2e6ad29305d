// SPDX-License-Identifier: Apache-2.0
// What a row of the table of servers makes the client do when the user names it.
#include "spy.hpp"

using namespace spying;

namespace {

// The embedded trainer, which says nothing about itself, driven as `dialect`.
struct named {
  loopback::server server;
  std::shared_ptr<spy> net = std::make_shared<spy>();
  std::optional<service_client> service;

  explicit named(const char* dialect)
      : server(loopback::start({.sequence = std::string_view(dialect) == "tuft" ? loopback::sequence_policy::strict
                                                                                : loopback::sequence_policy::dedupe})) {
    answer_once("", {});
    auto how = quick();
    how.dialect = dialect;
    service = service_client::connect_through(net, server.endpoint(), how);
  }
  ~named() { net->on_request(nullptr); }

  void answer_once(std::string path, http_response answer) {
    net->on_request([path, answer, done = path.empty()](const exchange& e, http_response& reply) mutable {
      if (e.target.ends_with("/client/config")) {
        reply = {200, {{"Content-Type", "application/json"}}, "{}"};
        return fault::answer;
      }
      if (done || !e.target.ends_with(path)) return fault::none;
      done = true;
      reply = answer;
      return fault::answer;
    });
  }
  training_client trainer() {
    return service->create_training_client({.base_model = server.model(), .lora_rank = 4}).result();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(dialect_rows)

// A gateway's 502 does not say whether the step was executed. It is sent again where the server would not do it twice,
// and of the hosted services nobody has seen that.
BOOST_AUTO_TEST_CASE(a_named_row_says_what_is_sent_again) {
  for (const auto& [row, again] : {std::pair{"tuft", true},
                                   {"skyrl", true},
                                   {"gradwire", true},
                                   {"skyrl-json", false},
                                   {"tinker", false},
                                   {"fireworks", false}}) {
    named it(row);
    auto trainer = it.trainer();
    trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
    it.answer_once("/optim_step", {502, {{"Content-Type", "text/plain"}}, "bad gateway"});
    if (again) {
      BOOST_TEST(trainer.optim_step().result().metric("step") == 1, row);
    } else {
      must_fail(errc::outcome_unknown, {"execute it a second time"}, [&] { trainer.optim_step().result(); });
    }
    BOOST_TEST(it.net->count("/optim_step") == (again ? 2u : 1u), row);
  }
}

// TuFT has one folder for a state and for sampler weights of the same name, and replaces what is there.
BOOST_AUTO_TEST_CASE(where_names_are_shared_none_is_given_twice) {
  named it("tuft");
  auto trainer = it.trainer();
  trainer.save_state("x").result();
  must_fail(errc::config, {"tuft", "'x'", "a state already"},
            [&] { trainer.save_weights_for_sampler({.name = "x"}).result(); });
  must_fail(errc::config, {"'x'", "a state already"}, [&] { trainer.save_state("x").result(); });
  BOOST_TEST(it.net->operations() == 1u);
  BOOST_CHECK_NO_THROW(trainer.save_state({.name = "x", .overwrite = true}).result());
  trainer.save_weights_for_sampler({.name = "y"}).result();
  must_fail(errc::config, {"'y'", "sampler weights already"},
            [&] { trainer.save_state({.name = "y", .overwrite = true}).result(); });
  must_fail(errc::config, {"'y'"}, [&] { trainer.save_weights_for_sampler({.name = "y"}).result(); });
  BOOST_TEST(it.net->operations() == 3u);
  BOOST_CHECK_NO_THROW(it.trainer().save_state("x").result());  // another model has names of its own
}

BOOST_AUTO_TEST_CASE(a_save_that_was_refused_has_taken_no_name) {
  named it("tuft");
  auto trainer = it.trainer();
  it.answer_once("/save_weights", {422, {{"Content-Type", "application/json"}}, R"({"detail":"not now"})"});
  must_fail(errc::status, {"not now"}, [&] { trainer.save_state("x").result(); });
  BOOST_CHECK_NO_THROW(trainer.save_weights_for_sampler({.name = "x"}).result());
}

BOOST_AUTO_TEST_CASE(elsewhere_states_and_sampler_weights_have_names_of_their_own) {
  bench b;
  b.trainer.save_state("x").result();
  BOOST_CHECK_NO_THROW(b.trainer.save_weights_for_sampler({.name = "x"}).result());
}

BOOST_AUTO_TEST_SUITE_END()
