// SPDX-License-Identifier: Apache-2.0
// Which sampled sequences the tokens of a datum come from. Spans worked out by hand.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <gradwire/datum.hpp>

#include "caught.hpp"

using namespace gradwire;
using namespace gradwire::fields;

namespace {

// What a sampler gives back.
struct sample {
  std::vector<std::int32_t> tokens;
  std::vector<float> logprobs;
  std::string sequence_id;
};

struct span {
  bool sampled;
  std::string id;
  std::size_t offset, length;
  bool operator==(const span&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const span& s) {
    return out << (s.sampled ? "sampled " : "prompt ") << s.id << " " << s.offset << "+" << s.length;
  }
};
using spans = std::vector<span>;

spans listed(const detail::provenance_runs& runs) {
  spans all;
  for (const auto& run : runs) all.push_back({run.sampled, std::string(run.sequence_id()), run.offset, run.length});
  return all;
}
template <class Datum>
spans inputs(const Datum& d) {
  return listed(d.core().tokens->input_spans);
}
template <class Datum>
spans targets(const Datum& d) {
  return listed(d.core().tokens->target_spans);
}

const sample one{{3, 4}, {-1, -2}, "one"}, two{{7, 8, 9}, {-1, -2, -3}, "two"};

}  // namespace

#define CHECK_SAME(a, b) BOOST_TEST((a) == (b), boost::test_tools::per_element())

BOOST_AUTO_TEST_SUITE(provenance)

BOOST_AUTO_TEST_CASE(a_sample_and_its_prompt) {
  const datum d{prompt({1, 2}) + response(one), old_logprobs = one.logprobs, advantage = 0.5};
  CHECK_SAME(inputs(d), (spans{{false, "one", 0, 2}, {true, "one", 0, 1}}));
  CHECK_SAME(targets(d), (spans{{false, "one", 1, 1}, {true, "one", 0, 2}}));
  BOOST_TEST(d.size() == 3u);
  BOOST_TEST(d.loss_fn_inputs["weights"].data[0] == 0);
  BOOST_TEST(d.loss_fn_inputs["weights"].data[1] == 1);
}

BOOST_AUTO_TEST_CASE(what_lies_between_samples_was_in_the_prompt_of_the_next_one) {
  const datum d{prompt({1}) + prompt({2}) + response(one) + prompt({5}) + response({6}) + response(two)};
  CHECK_SAME(inputs(d), (spans{{false, "one", 0, 2}, {true, "one", 0, 2}, {false, "two", 4, 2}, {true, "two", 0, 2}}));
  CHECK_SAME(targets(d), (spans{{false, "one", 1, 1}, {true, "one", 0, 2}, {false, "two", 4, 2}, {true, "two", 0, 3}}));
}

BOOST_AUTO_TEST_CASE(a_sample_without_a_prompt_and_an_image_in_one) {
  CHECK_SAME(inputs(datum{response(one)}), (spans{{true, "one", 0, 1}}));
  CHECK_SAME(targets(datum{response(one)}), (spans{{true, "one", 1, 1}}));
  const datum seen{prompt({1}) + image(std::string("\x89PNG"), "png", 3) + response(two)};
  CHECK_SAME(inputs(seen), (spans{{false, "two", 0, 4}, {true, "two", 0, 2}}));
  CHECK_SAME(targets(seen), (spans{{false, "two", 1, 3}, {true, "two", 0, 3}}));
}

BOOST_AUTO_TEST_CASE(tokens_alone_and_samples_without_a_name_say_nothing) {
  sample nameless = one;
  nameless.sequence_id.clear();
  for (const auto& d : {datum{prompt({1}) + response(one.tokens)}, datum{prompt({1}) + response(nameless)}}) {
    BOOST_TEST(inputs(d).empty());
    BOOST_TEST(targets(d).empty());
  }
}

BOOST_AUTO_TEST_CASE(where_tokens_follow_the_last_sample_there_is_none) {
  for (const auto& d : {datum{prompt({1, 2}) + response(one) + prompt({9})}, datum{response(one) + response({9})}}) {
    BOOST_TEST(inputs(d).empty());
    BOOST_TEST(targets(d).empty());
  }
}

BOOST_AUTO_TEST_CASE(turns_of_samples) {
  struct turn {
    std::vector<int> prompt;
    sample response;
  };
  const datum d{turns(std::vector<turn>{{{1, 2}, one}, {{5, 6}, two}})};
  CHECK_SAME(inputs(d), (spans{{false, "one", 0, 2}, {true, "one", 0, 2}, {false, "two", 4, 2}, {true, "two", 0, 2}}));
}

BOOST_AUTO_TEST_CASE(said_by_hand) {
  const datum shifted{model_input({1, 2, 3, 4}), target_tokens = {2, 3, 4, 5}, advantage = 1};
  const datum d = shifted.with_provenance({prompt_span("a", 7, 3), sampled_span("a", 0, 1)}, {sampled_span("b", 2, 4)});
  CHECK_SAME(inputs(d), (spans{{false, "a", 7, 3}, {true, "a", 0, 1}}));
  CHECK_SAME(targets(d), (spans{{true, "b", 2, 4}}));
  BOOST_TEST(d.loss_fn_inputs["target_tokens"].data[3] == 5);
  BOOST_TEST(inputs(shifted).empty());  // a datum does not change
  const std::vector<provenance_span> input{prompt_span("x", 0, 3)}, output{prompt_span("x", 1, 3)};
  CHECK_SAME(inputs(datum{prompt({1, 2}) + response(one)}.with_provenance(input, output)),
             (spans{{false, "x", 0, 3}}));  // instead of what the sample says
}

BOOST_AUTO_TEST_CASE(a_batch_and_with_keep_them) {
  const datum d{prompt({1, 2}) + response(one)};
  const batch data{group(d, d)};
  const auto more = with(advantage = std::vector<double>{1, 2}, data);
  for (const auto* state : {&detail::batch_access::state(data), &detail::batch_access::state(more)})
    CHECK_SAME(listed((*state)->tokens->rows[1]->target_spans), (spans{{false, "one", 1, 1}, {true, "one", 0, 2}}));
}

BOOST_AUTO_TEST_CASE(spans_that_do_not_cover_the_field_are_named) {
  const datum d{prompt({1, 2}) + response({3, 4})};
  const auto good = prompt_span("s", 0, 3);
  const auto short_of = caught([&] { d.with_provenance({prompt_span("s", 0, 1), sampled_span("s", 0, 1)}, {good}); });
  CHECK_DATA_ERROR(short_of, -1, -1, "model_input_spans", "2");
  BOOST_TEST(says(short_of, "the spans cover 2 of 3 positions"));
  const auto too_long = caught([&] { d.with_provenance({good}, {prompt_span("s", 0, 2), sampled_span("s", 0, 2)}); });
  CHECK_DATA_ERROR(too_long, -1, -1, "loss_fn_input_spans", "2");
  BOOST_TEST(says(too_long, "span 1 covers 2 positions from 2 on, and there are 3"));
  BOOST_TEST(says(caught([&] { d.with_provenance({good}, {}); }), "the spans cover 0 of 3 positions"));
  BOOST_TEST(says(caught([&] { d.with_provenance({provenance_span()}, {good}); }), "without the id of its sequence"));
  BOOST_TEST(says(caught([] { sampled_span("", 0, 1); }), "without the id of its sequence"));
}

BOOST_AUTO_TEST_SUITE_END()
