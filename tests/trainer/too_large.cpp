// SPDX-License-Identifier: Apache-2.0
// 413: what is too large goes in parts, and what a session has learnt from it hinders no small datum.
#include "spy.hpp"

#include <gradwire/loss/sft_nll.hpp>

using namespace spying;

namespace {

// A trainer behind something that lets bodies of at most `limit` bytes through.
struct narrow {
  loopback::server server = loopback::start();
  std::shared_ptr<spy> net = std::make_shared<spy>();
  std::atomic<std::size_t> limit = 3000, passed = 0, refused = 0;
  std::optional<service_client> service;
  training_client trainer;

  explicit narrow(wire_format encoding = wire_format::protobuf) {
    net->on_request([this](const exchange& e, http_response& reply) {
      if (!e.target.ends_with("/forward_backward") && !e.target.ends_with("/forward")) return fault::none;
      if (e.body.size() <= limit) {
        ++passed;
        return fault::none;
      }
      ++refused;
      reply = {413, {{"Content-Type", "application/json"}}, R"({"detail":"too large"})"};
      return fault::answer;
    });
    auto how = quick();
    how.wire = encoding;
    service = service_client::connect_through(net, server.endpoint(), how);
    trainer = service->create_training_client({.base_model = server.model(), .lora_rank = 4}).result();
  }
  ~narrow() { net->on_request(nullptr); }

  // How many requests went through, and how many did not.
  template <class F>
  std::pair<std::size_t, std::size_t> requests(F&& call) {
    passed = refused = 0;
    call();
    return {passed, refused};
  }
};

batch<float> of_length(std::size_t datums, int targets) {
  std::vector<datum<field_list<>>> made;
  for (std::size_t i = 0; i < datums; ++i)
    made.push_back(sequence({static_cast<int>(i % 256)}, std::vector<int>(static_cast<std::size_t>(targets), 7)));
  return batch(made);
}

using count = std::pair<std::size_t, std::size_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(too_large)

BOOST_AUTO_TEST_CASE(short_datums_go_together_after_long_ones) {
  for (const auto encoding : {wire_format::protobuf, wire_format::json}) {
    narrow it(encoding);
    if (encoding == wire_format::json) it.limit = 4000;  // two of 400 targets have over 5000 bytes, eight of two 2500
    const auto forward = [&](const auto& data) { return it.requests([&] { it.trainer.forward(data).result(); }); };
    BOOST_TEST((forward(of_length(2, encoding == wire_format::json ? 400 : 150)) == count{2, 1}));
    BOOST_TEST((forward(of_length(8, 2)) == count{1, 0}));
    BOOST_TEST(
        (it.requests([&] { it.trainer.forward_backward_custom(of_length(8, 2), sft_nll{}).result(); }) == count{2, 0}));
    BOOST_TEST((forward(of_length(2, encoding == wire_format::json ? 400 : 150)) == count{2, 0}));  // it is remembered
  }
}

BOOST_AUTO_TEST_CASE(a_thousand_short_datums_fill_their_requests) {
  narrow it;
  it.trainer.forward(of_length(2, 150)).result();
  const auto [passed, refused] = it.requests([&] { it.trainer.forward(of_length(1024, 2)).result(); });
  BOOST_TEST(refused == 0u);
  BOOST_TEST(passed < 60u);  // 1024 of about 100 bytes
}

BOOST_AUTO_TEST_CASE(longer_datums_go_together_after_many_short_ones) {
  narrow it;
  const auto [passed, refused] = it.requests([&] { it.trainer.forward(of_length(256, 2)).result(); });
  BOOST_TEST(refused > 0u);
  BOOST_TEST(passed < 20u);
  const auto [longer, again] = it.requests([&] { it.trainer.forward(of_length(8, 40)).result(); });
  BOOST_TEST(again == 0u);
  BOOST_TEST(longer <= 4u);  // 700 bytes each
}

BOOST_AUTO_TEST_CASE(a_single_datum_ends_in_an_error_and_hinders_nobody) {
  narrow it;
  const auto small = sequence({1}, {2, 3});
  const auto large = sequence({1}, std::vector<int>(1000, 7));
  const error e = must_fail(errc::data, {"413", "datum 1 alone", "bytes"}, [&] {
    it.trainer.forward(batch{small, large, small, small, small, small, small, small}).result();
  });
  BOOST_TEST(e.details().datum == 1);
  BOOST_TEST(e.details().http_status == 413);
  BOOST_TEST((it.requests([&] { it.trainer.forward(of_length(8, 2)).result(); }) == count{1, 0}));
}

BOOST_AUTO_TEST_SUITE_END()
