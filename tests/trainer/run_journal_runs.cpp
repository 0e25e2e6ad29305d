// SPDX-License-Identifier: Apache-2.0
// run_journal::run against the embedded trainer: what it goes back for, what comes out of it, and what is saved.
#include <gradwire/trainer/run_journal.hpp>

#include "../support/temporary_folder.hpp"
#include "spy.hpp"

using namespace spying;

namespace {

struct journaled : bench {
  temporary_folder folder;
  run_journal journal{(folder.path / "journal.jsonl").string()};
  int opened = 0;
  std::vector<std::string> notices;

  template <class Step>
  void run(std::size_t batches, Step step, run_options options = {.save_every = 1}) {
    options.on_notice = [this](const std::string& text) { notices.push_back(text); };
    journal.run(
        batches, [this](const std::string&) { return ++opened, another(); }, step, options);
  }

  // A step that asks for the optimizer's result first, so that it is told second-hand why a pass failed.
  template <class Loss>
  static journal_entry step(training_client& on, Loss loss) {
    auto done = on.forward_backward_custom(supervised(), loss);
    auto updated = on.optim_step();
    updated.result();
    return {.loss = done.result().loss};
  }
};

using given = ragged_view<const float>;
using slopes = ragged_view<float>;

}  // namespace

BOOST_AUTO_TEST_SUITE(run_journal_runs)

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_comes_out_unchanged) {
  journaled j;
  must_fail(errc::closed, {"not stepped", "nan"}, [&] {
    j.run(3, [](training_client& on, std::size_t batch) {
      return journaled::step(on,
                             [batch](const auto&, given, slopes) -> double { return batch == 1 ? std::nan("") : 1; });
    });
  });
  BOOST_TEST(j.opened == 1);
  BOOST_TEST(j.journal.next_batch() == 1u);
}

BOOST_AUTO_TEST_CASE(so_does_what_a_loss_threw) {
  journaled j;
  must_fail(errc::closed, {"not stepped"}, [&] {
    j.run(1, [](training_client& on, std::size_t) {
      return journaled::step(on, [](const auto&, given, slopes) -> double { throw 17; });
    });
  });
  BOOST_TEST(j.opened == 1);
}

BOOST_AUTO_TEST_CASE(a_step_that_a_lost_connection_stopped_goes_back) {
  journaled j;
  bool lose = true;
  j.net->on_request([&](const exchange& e, http_response&) {
    return lose && e.target.ends_with("/forward_backward") ? fault::refuse : fault::none;
  });
  j.run(2, [&](training_client& on, std::size_t batch) {
    lose = batch == 1 && j.opened == 1;
    return journaled::step(on, [](const auto&, given, slopes) -> double { return 1; });
  });
  BOOST_TEST(j.opened == 2);
  BOOST_REQUIRE(j.notices.size() == 1u);
  BOOST_TEST(j.notices[0].find("not stepped") != std::string::npos, j.notices[0]);
}

BOOST_AUTO_TEST_CASE(a_trainer_that_is_lost_again_and_again_is_opened_with_pauses) {
  journaled j;
  const auto begun = j.net->now();
  must_fail(errc::transport, {"gone"}, [&] {
    j.run(1, [](training_client&, std::size_t) -> journal_entry { throw error(errc::transport, "gone"); },
          {.restarts = 3});
  });
  BOOST_TEST(j.opened == 4);
  BOOST_TEST(std::chrono::duration<double>(j.net->now() - begun).count() >= 0.1 + 0.2 + 0.4);
}

BOOST_AUTO_TEST_CASE(without_a_number_of_steps_the_last_one_is_saved) {
  journaled j;
  j.run(3, [](training_client&, std::size_t) { return journal_entry{}; }, {.save_every = 0});
  BOOST_TEST(j.net->count("/save_weights") == 1u);
  BOOST_TEST(j.journal.next_batch() == 3u);
  BOOST_TEST(j.journal.entries().at(1).state.empty());
  BOOST_TEST(!j.journal.entries().at(2).state.empty());
}

BOOST_AUTO_TEST_SUITE_END()
