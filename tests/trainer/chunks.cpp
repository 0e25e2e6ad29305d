// SPDX-License-Identifier: Apache-2.0
// How a batch is cut into requests and written from its columns, and that cutting does not change what is computed.
#include <cmath>

#include "spy.hpp"

#include <gradwire/loss/grpo.hpp>
#include <gradwire/loss/sft_nll.hpp>
#include <gradwire/trainer/impl/batch_messages.hpp>

using namespace spying;
using namespace gradwire::fields;

namespace {

// Groups of these sizes; every sequence has two prompt and `length` response tokens.
auto grouped(const std::vector<int>& sizes, int length) {
  std::vector<datum_group<field_list<>>> groups;
  int n = 0;
  for (int size : sizes) {
    std::vector<datum<field_list<>>> members;
    for (int i = 0; i < size; ++i, ++n) {
      std::vector<int> answer;
      for (int t = 0; t < length; ++t) answer.push_back((n * 31 + t * 7) % 256);
      members.push_back(sequence({n % 256, (n * 3) % 256}, answer));
    }
    groups.push_back(group(members));
  }
  return batch(groups);
}

// A server whose answer to client/config allows few datums in a request.
void limit_datums(spy& net, int datums) {
  net.on_request([datums](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/client/config")) return fault::none;
    reply = {200,
             {{"Content-Type", "application/json"}},
             "{\"fwdbwd_max_chunk_len\":" + std::to_string(datums) + ",\"server\":\"gradwire\"}"};
    return fault::answer;
  });
}

struct small_requests {
  loopback::server server = loopback::start();
  std::shared_ptr<spy> net = std::make_shared<spy>();
  service_client service = service_client::connect_through(net, server.endpoint(), quick());
  training_client trainer;
  explicit small_requests(int datums) {
    limit_datums(*net, datums);
    trainer = service.create_training_client({.base_model = server.model(), .lora_rank = 4, .seed = 7}).result();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(chunks)

BOOST_AUTO_TEST_CASE(a_group_is_never_split) {
  const auto data = grouped({3, 2, 4, 1, 1, 5}, 4);
  const auto plain = detail::erase_type(data);
  const auto cut = [&](std::size_t datums, std::size_t bytes) {
    std::vector<std::size_t> ends;
    std::size_t last = 0;
    for (const auto& c : detail::plan_chunks(plain, datums, bytes)) {
      BOOST_TEST(c.begin == last);
      last = c.end;
      ends.push_back(c.end);
    }
    BOOST_TEST(last == 16u);
    return ends;
  };
  using ends = std::vector<std::size_t>;
  BOOST_TEST(cut(1024, 5'000'000) == (ends{16}), boost::test_tools::per_element());
  BOOST_TEST(cut(5, 5'000'000) == (ends{5, 10, 11, 16}), boost::test_tools::per_element());  // 3+2 | 4+1 | 1 | 5
  BOOST_TEST(cut(1, 5'000'000) == (ends{3, 5, 9, 10, 11, 16}),
             boost::test_tools::per_element());  // one over the limit goes alone
  // each sequence has 5 targets of 16 bytes, and names and shapes of 64: 144 bytes
  BOOST_TEST(cut(1024, 1440) == (ends{10, 16}), boost::test_tools::per_element());  // 3+2+4+1 = 1440 bytes | 1+5
}

BOOST_AUTO_TEST_CASE(parts_begin_requests_of_their_own) {
  const auto a = grouped({2, 1}, 4), b = grouped({1}, 4), c = grouped({2}, 4);
  const auto plain = detail::erase_type(accumulate(a, b, c));
  const auto cut = detail::plan_chunks(plain, 1024, 5'000'000);
  BOOST_REQUIRE(cut.size() == 3u);
  BOOST_TEST(cut[0].end == 3u);
  BOOST_TEST(cut[1].end == 4u);
  BOOST_TEST(cut[2].end == 6u);
}

BOOST_AUTO_TEST_CASE(joined_batches_are_the_batch_that_could_have_been_made_at_once) {
  const auto add = [](const auto& data, double first) {
    std::vector<double> values;
    for (std::size_t s = 0; s < data.size(); ++s) values.push_back(first + static_cast<double>(s));
    return with(advantage = values, data);
  };
  const auto a = add(grouped({2, 1}, 4), 1), b = add(grouped({3}, 4), 4);
  const auto joined = accumulate(a, b).whole;
  BOOST_TEST(joined.size() == 6u);
  BOOST_TEST(joined.shape().groups() == 3u);
  BOOST_TEST(joined.total_count() == a.total_count() + b.total_count());
  for (std::size_t s = 0; s < 6; ++s) {
    BOOST_TEST(joined.data(advantage)[s] == static_cast<float>(s + 1));
    const auto from = s < 3 ? a.target_tokens(s) : b.target_tokens(s - 3);
    const auto here = joined.target_tokens(s);
    BOOST_TEST(std::vector<int>(here.begin(), here.end()) == std::vector<int>(from.begin(), from.end()),
               boost::test_tools::per_element());
    BOOST_TEST(joined.weight_sum()[s] == 4);
  }
}

BOOST_AUTO_TEST_CASE(many_requests_give_what_one_gives) {
  small_requests few(4);
  bench one;
  const auto plain = grouped({3, 2, 4, 1, 1, 5}, 4);
  std::vector<double> advantages;
  for (int s = 0; s < 16; ++s) advantages.push_back(0.1 * s - 0.8);
  const auto now = one.trainer.forward(plain).result();
  const auto data = with(old_logprobs = now, ref_logprobs = now, advantage = advantages, plain);
  const auto x = few.trainer.forward_backward_custom(data, grpo{}).result();
  const auto y = one.trainer.forward_backward_custom(data, grpo{}).result();
  BOOST_TEST(few.net->count("/forward_backward") == 2 * 5u);  // 3 | 2 | 4 | 1+1 | 5, forward and back
  BOOST_TEST(std::abs(x.loss - y.loss) < 1e-6);
  BOOST_TEST(x.metric("surrogate_loss:sum") == y.metric("surrogate_loss:sum"), boost::test_tools::tolerance(1e-4));
  BOOST_TEST(largest_difference(x.logprobs, y.logprobs) < 1e-5);
  BOOST_TEST(few.trainer.optim_step(linear_step).result().metric("grad_norm") ==
                 one.trainer.optim_step(linear_step).result().metric("grad_norm"),
             boost::test_tools::tolerance(1e-4));
}

BOOST_AUTO_TEST_CASE(one_two_and_seven_requests_give_one_gradient) {
  const auto plain = grouped(std::vector<int>(7, 2), 5);
  std::vector<double> advantages;
  for (int s = 0; s < 14; ++s) advantages.push_back(0.3 * s - 1.9);
  struct outcome {
    double loss, norm;
    column<float> before, after;
  };
  const auto train = [&](int datums, std::size_t requests) {
    small_requests some(datums);
    some.trainer.forward_backward(plain, server_loss::cross_entropy{}).result();  // LoRA's B leaves zero
    some.trainer.optim_step({.learning_rate = 1e-2}).result();
    const auto now = some.trainer.forward(plain).result();
    std::vector<std::vector<float>> old;
    for (std::size_t s = 0; s < now.size(); ++s) {
      old.emplace_back(now[s].begin(), now[s].end());
      for (std::size_t t = 0; t < old[s].size(); ++t) old[s][t] += 0.1f * static_cast<float>((s + t) % 5) - 0.2f;
    }
    const auto data = with(old_logprobs = old, ref_logprobs = now, advantage = advantages, plain);
    const std::size_t before = some.net->count("/forward_backward");
    const auto step = some.trainer.forward_backward_custom(data, grpo{.beta = 0.1}).result();
    BOOST_TEST(some.net->count("/forward_backward") - before == 2 * requests);
    const double norm = some.trainer.optim_step(linear_step).result().metric("grad_norm");
    return outcome{step.loss, norm, step.logprobs, some.trainer.forward(plain).result().logprobs};
  };
  const outcome one = train(14, 1);
  BOOST_TEST(largest_difference(one.before, one.after) > 1e-3);
  for (const auto& [datums, requests] : {std::pair{8, std::size_t{2}}, std::pair{2, std::size_t{7}}}) {
    const outcome some = train(datums, requests);
    BOOST_TEST(some.loss == one.loss, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(some.norm == one.norm, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(largest_difference(some.before, one.before) < 1e-6);
    BOOST_TEST(largest_difference(some.after, one.after) < 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(a_part_that_fails_for_good_stops_the_rest_and_taints_the_model) {
  small_requests few(4);
  const auto data = grouped({3, 2, 4}, 4);
  int batches = 0;
  few.net->on_request([&](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/forward_backward") || ++batches != 2) return fault::none;
    reply = {422, {{"Content-Type", "application/json"}}, R"({"detail":"not this one"})"};
    return fault::answer;
  });
  auto pass = few.trainer.forward_backward(data, server_loss::cross_entropy{});
  must_fail(errc::status, {"not this one"}, [&] { pass.result(); });
  BOOST_TEST(batches == 2);  // the third was not sent
  for (int i = 0; i < 2; ++i)
    must_fail(errc::closed, {"holds a part of the gradients", "not this one"},
              [&] { few.trainer.optim_step().result(); });
  BOOST_TEST(few.net->count("/optim_step") == 0u);
  // a loaded state ends it
  const auto state = few.trainer.save_state("clean").result();
  few.trainer.load_state(state.path).result();
  few.net->on_request(nullptr);
  few.trainer.forward_backward(data, server_loss::cross_entropy{}).result();
  BOOST_TEST(few.trainer.optim_step().result().metric("step") == 1);
}

BOOST_AUTO_TEST_CASE(a_large_batch_goes_in_many_requests) {
  bench b;
  const auto data = grouped(std::vector<int>(40, 32), 60);  // 1280 sequences: over the protocol's 1024
  const auto run = b.trainer.forward(data).result();
  BOOST_TEST(run.size() == 1280u);
  BOOST_TEST(b.net->count("/forward_backward") == 2u);
}

BOOST_AUTO_TEST_SUITE_END()
