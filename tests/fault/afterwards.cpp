// SPDX-License-Identifier: Apache-2.0
// What the client allows after a request whose fate it does not know, or that failed: no step over gradients that may
// be there twice or not at all, and none refused once a load has made everything new.
#include "scene.hpp"

using namespace faults;

namespace {

constexpr const char* pass_path = "/forward_backward";

faults::rule lost(const char* path) { return {.what = fault::reset, .path = path, .attempt = {1}}; }

faults::rule refuse_again(int status) {
  return {.what = fault::respond,
          .path = pass_path,
          .attempt = {2},
          .deliver = false,
          .status = status,
          .body = R"({"detail":"no"})"};
}

const faults::rule refuse_first{.what = fault::respond,
                                .path = pass_path,
                                .nth = {1},
                                .deliver = false,
                                .status = 400,
                                .body = R"({"detail":"no"})"};
const faults::rule no_config{.what = fault::respond, .path = "/client/config", .deliver = false, .status = 200};

verdict pass_of(scene& s) {
  return verdict_of([&] { s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{}).result(); });
}
verdict step_of(scene& s) {
  return verdict_of([&] { s.trainer.optim_step().result(); });
}

// The trainer has it, and answers the question for its result with this, each time.
faults::rule no_result(int status) {
  return {.what = fault::respond,
          .path = "/retrieve_future",
          .deliver = false,
          .status = status,
          .headers = {{"Content-Type", "application/json"}},
          .body = R"({"detail":"no"})"};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(afterwards)

BOOST_AUTO_TEST_CASE(a_pass_refused_after_a_lost_attempt_may_have_been_executed) {
  for (const int status : {401, 413, 422}) {
    scene s({lost(pass_path), refuse_again(status)});
    must_be(pass_of(s), errc::outcome_unknown, {"may have been executed"});
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (s.passes() == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();  // it computes still
    BOOST_TEST(s.passes() == 1);  // as it was
    must_be(step_of(s), errc::closed, {"not stepped", "cannot be taken back"});
    BOOST_TEST(s.steps() == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_pass_whose_result_cannot_be_had_may_have_been_executed) {
  for (const int status : {401, 500}) {
    scene s({no_result(status)});
    BOOST_TEST(pass_of(s).kind.has_value());
    s.proxy.set({});
    must_be(step_of(s), errc::closed, {"not stepped", "cannot be taken back"});
    BOOST_TEST(s.steps() == 0);
  }
}

BOOST_AUTO_TEST_CASE(a_step_whose_result_cannot_be_had_is_not_followed_by_another) {
  for (const int status : {401, 500}) {
    scene s;
    must_be(pass_of(s), {});
    s.proxy.set({no_result(status)});
    BOOST_TEST(step_of(s).kind.has_value());
    s.proxy.set({});
    must_be(pass_of(s), {});
    must_be(step_of(s), errc::closed, {"not stepped", "nobody knows"});
    BOOST_TEST(s.steps() == 1);
  }
}

// The second of three chunks fails while the third is on its way; the step was asked for before.
BOOST_AUTO_TEST_CASE(a_step_does_not_overtake_a_chunk_that_failed) {
  auto one_datum_each = no_config;
  one_datum_each.body = R"({"server":"gradwire","fwdbwd_max_chunk_len":1})";
  auto second = refuse_first;
  second.nth = {2};
  scene s({one_datum_each, second}, impatient(), shared_server(), true);
  auto pass = s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{});
  auto step = s.trainer.optim_step();
  must_be(verdict_of([&] { pass.result(); }), errc::status);
  must_be(verdict_of([&] { step.result(); }), errc::closed, {"not stepped"});
  BOOST_TEST(s.steps() == 0);
}

BOOST_AUTO_TEST_CASE(a_load_makes_everything_new) {
  scene s;
  must_be(pass_of(s), {});
  const auto saved = s.trainer.save_state("afterwards").result();
  s.proxy.set({refuse_first});
  must_be(pass_of(s), errc::status);
  must_be(step_of(s), errc::closed, {"repeat the failed call"});
  must_be(verdict_of([&] { s.trainer.load_state({.path = saved.path}).result(); }), {});
  must_be(pass_of(s), {});
  must_be(step_of(s), {});
  BOOST_TEST(s.steps() == 1);
  // the same asked for at once, without waiting for any of them
  s.proxy.set({refuse_first});
  auto failing = s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{});
  auto load = s.trainer.load_state({.path = saved.path});
  auto good = s.trainer.forward_backward(small_batch(), server_loss::cross_entropy{});
  auto step = s.trainer.optim_step();
  must_be(verdict_of([&] { failing.result(); }), errc::status);
  must_be(verdict_of([&] { load.result(); }), {});
  must_be(verdict_of([&] { good.result(); }), {});
  must_be(verdict_of([&] { step.result(); }), {});
  BOOST_TEST(s.steps() == 2);
}

// A load that fails leaves what was there: so does its window.
BOOST_AUTO_TEST_CASE(a_load_that_fails_forgets_nothing) {
  scene s({refuse_first});
  must_be(pass_of(s), errc::status);
  BOOST_TEST(
      verdict_of([&] { s.trainer.load_state({.path = "tinker://none/weights/none"}).result(); }).kind.has_value());
  must_be(step_of(s), errc::closed, {"repeat the failed call"});
  BOOST_TEST(s.steps() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
