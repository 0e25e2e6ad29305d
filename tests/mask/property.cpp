// SPDX-License-Identifier: Apache-2.0
// Random conversations: every mask equals what a plain loop over the list of tokens says.
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <random>
#include <vector>

#include <gradwire/datum.hpp>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

struct spoken {  // one token, described from outside the library
  int id = 0;
  bool answer = false;
  int part = 0;
  int inside = 0;  // its number inside the part
  int part_size = 0;
  int turn = -1;
};

struct conversation {
  token_sequence parts;
  std::vector<spoken> tokens;
  int part_count = 0;
  int turn_count = 0;
};

conversation random_conversation(std::mt19937& random) {
  for (;;) {
    conversation result;
    result.part_count = 1 + int(random() % 6);
    bool answering = false;
    for (int part = 0; part < result.part_count; ++part) {
      const bool answer = random() % 2;
      if (answer && !answering) ++result.turn_count;
      answering = answer;
      const int size = int(random() % 5);  // parts may be empty
      std::vector<std::int64_t> ids;
      for (int i = 0; i < size; ++i) {
        const int id = int(random() % 7);
        ids.push_back(id);
        result.tokens.push_back({id, answer, part, i, size, answer ? result.turn_count - 1 : -1});
      }
      result.parts += answer ? response(ids) : prompt(ids);
    }
    if (result.tokens.size() >= 2) return result;
  }
}

template <class Mask, class Plain>
void compare(const conversation& from, const Mask& mask, Plain&& plain) {
  const datum d{from.parts, weights = mask};
  const auto found = d.loss_fn_inputs["weights"].data;
  const std::size_t targets = from.tokens.size() - 1;
  BOOST_REQUIRE(found.size() == targets);
  for (std::size_t t = 0; t < targets; ++t)
    BOOST_TEST(found[t] == double(plain(from.tokens[t + 1], int(t), int(targets))));

  // The same mask over a batch that holds this conversation among others.
  const datum other{prompt({1, 2, 3})};
  const auto data = with(weights = mask, batch_of<double>(other, datum{from.parts}, other));
  const auto again = data.column(weights)[1];
  for (std::size_t t = 0; t < targets; ++t) BOOST_TEST(again[t] == found[t]);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mask_property)

BOOST_AUTO_TEST_CASE(masks_equal_a_plain_loop) {
  std::mt19937 random(20261121);
  for (int round = 0; round < 400; ++round) {
    const auto c = random_conversation(random);
    const int k = int(random() % 8) - 4, n = int(random() % 12), id = int(random() % 7), other_id = int(random() % 7);
    const double w = double(random() % 1000) / 250 - 2, v = double(random() % 1000) / 250 - 2;
    const auto part_of = [&](int number) { return number < 0 ? c.part_count + number : number; };
    const auto turn_of = [&](int number) { return number < 0 ? c.turn_count + number : number; };
    const auto in_turn = [&](const spoken& x, int number) { return x.answer && x.turn == turn_of(number); };

    compare(c, response_only, [](const spoken& x, int, int) { return x.answer; });
    compare(c, last_turn && !is_token(id), [&](const spoken& x, int, int) { return in_turn(x, -1) && x.id != id; });
    compare(c, turn(k) || part(k), [&](const spoken& x, int, int) { return in_turn(x, k) || x.part == part_of(k); });
    compare(c, is_token(id, other_id) && prompt_only,
            [&](const spoken& x, int, int) { return (x.id == id || x.id == other_id) && !x.answer; });
    compare(c, position < n || position >= length - n,
            [&](const spoken&, int t, int size) { return t < n || t >= size - n; });
    compare(c, (part_position * 2 < part_length) && !(token_id > id),
            [&](const spoken& x, int, int) { return x.inside * 2 < x.part_size && x.id <= id; });
    compare(c, position % (n + 1) != 0 && n <= length,
            [&](const spoken&, int t, int size) { return t % (n + 1) != 0 && n <= size; });
    compare(c, w * response_only + v * is_token(id),
            [&](const spoken& x, int, int) { return (x.answer ? w : 0) + (x.id == id ? v : 0); });
    compare(c, w * (turn(k) && position > n) - prompt_only * v,
            [&](const spoken& x, int t, int) { return (in_turn(x, k) && t > n ? w : 0) + -1.0 * (x.answer ? 0 : v); });
    compare(c, !(!all_tokens || (part(0) && !part(-1))),
            [&](const spoken& x, int, int) { return !(x.part == 0 && x.part != c.part_count - 1); });
  }
}

BOOST_AUTO_TEST_SUITE_END()
