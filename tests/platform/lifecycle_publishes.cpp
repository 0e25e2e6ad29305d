// SPDX-License-Identifier: Apache-2.0
// The machine that brings new weights into a deployment, without a network: each rule by hand.
#include <string>

#include <gradwire/platform/lifecycle_publishing.hpp>

#include "lifecycle_actions.hpp"

using namespace acting;

namespace {

using step_kind = publishing_action::kind;

std::string text_of(const publishing_actions& actions) {
  constexpr const char* names[] = {"write", "save", "look", "pause", "load", "await", "warm_up", "finish", "fail"};
  std::string text;
  for (const publishing_action& each : actions) {
    if (!text.empty()) text += ", ";
    text += names[static_cast<unsigned>(each.what)];
    if (each.what == step_kind::write) text += " " + std::string(name_of(each.event.what)) + " " + each.event.id;
    if (each.what == step_kind::save) text += each.type == checkpoint::delta ? " delta" : " base";
    if (each.what == step_kind::load) text += " " + each.name;
    if (each.what == step_kind::look) text += " for " + each.name;
    if (each.what == step_kind::load && each.previous) text += " after " + *each.previous;
  }
  return text;
}

struct names {
  int next = 0;
  auto maker() {
    return [this] { return "s" + std::to_string(++next); };
  }
};

// What begin() leads to, where the deployment is as the chain has it.
publishing_actions begin(lifecycle_publishing& one) {
  auto next = one.begin();
  if (next.at(0).what == step_kind::look) next = one.on_status({.count = 1, .holds = next.at(0).name});
  return next;
}

// Everything goes well.
void publish_well(snapshot_chain& chain, names& named, std::int64_t step) {
  lifecycle_publishing one(chain, named.maker(), step, {}, true);
  const std::string name = begin(one).at(1).name;
  static_cast<void>(one.on_saved("path/" + name));
  static_cast<void>(one.on_accepted());
  static_cast<void>(one.on_loaded());
  BOOST_TEST(text_of(one.on_warm()) == "finish");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle_publishes)

BOOST_AUTO_TEST_CASE(a_base_first_and_a_delta_to_it_then) {
  snapshot_chain chain(0);
  names named;
  lifecycle_publishing first(chain, named.maker(), 0, {}, false);
  BOOST_TEST(text_of(first.begin()) == "write saving s1, save base");
  BOOST_TEST(text_of(first.on_saved("path/s1")) == "write saved path/s1, look for path/s1");
  BOOST_TEST(text_of(first.on_status({})) == "pause");
  BOOST_TEST(text_of(first.on_pause()) == "look for path/s1");
  BOOST_TEST(text_of(first.on_status({.count = 1})) == "write loading path/s1, load path/s1");
  BOOST_TEST(text_of(first.on_accepted()) == "await");
  BOOST_TEST(text_of(first.on_loaded()) == "write loaded path/s1, warm_up");
  BOOST_TEST(text_of(first.on_failed(step_kind::warm_up, trouble(errc::timeout, "slow"))) == "finish");
  lifecycle_publishing second(chain, named.maker(), 4, {}, true);
  BOOST_TEST(text_of(second.begin()) == "look for path/s1");
  BOOST_TEST(text_of(second.on_status({.count = 2, .holds = "path/s1"})) == "write saving s2, save delta");
  BOOST_TEST(text_of(second.on_saved("path/s2")) ==
             "write saved path/s2, write loading path/s2, load path/s2 after path/s1");
}

BOOST_AUTO_TEST_CASE(a_delta_only_if_every_replica_serves_what_was_loaded_last) {
  for (const replicas_seen& seen : {replicas_seen{.count = 2}, replicas_seen{.count = 1, .loading = "path/s1"}}) {
    snapshot_chain chain(0);
    names named;
    publish_well(chain, named, 0);
    lifecycle_publishing one(chain, named.maker(), 1, {}, true);
    BOOST_TEST(text_of(one.begin()) == "look for path/s1");
    BOOST_TEST(text_of(one.on_status(seen)) == "write unloaded path/s1, write saving s2, save base");
    BOOST_TEST(text_of(one.on_saved("path/s2")) == "write saved path/s2, write loading path/s2, load path/s2");
    static_cast<void>(one.on_accepted());
    static_cast<void>(one.on_loaded());
    BOOST_TEST(!one.fell_back());
    lifecycle_publishing next(chain, named.maker(), 2, {}, true);
    BOOST_TEST(text_of(begin(next)) == "write saving s3, save delta");  // known again
  }
}

BOOST_AUTO_TEST_CASE(without_a_replica_the_base_waits_for_one) {
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  static_cast<void>(one.begin());
  BOOST_TEST(text_of(one.on_status({})) == "write unloaded path/s1, write saving s2, save base");
  BOOST_TEST(text_of(one.on_saved("path/s2")) == "write saved path/s2, look for path/s2");
}

BOOST_AUTO_TEST_CASE(a_look_that_fails_does_not_lead_to_a_delta) {
  const auto unreadable = trouble(errc::protocol, "the answer lists no replicas");
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  static_cast<void>(one.begin());
  BOOST_TEST(text_of(one.on_failed(step_kind::look, unreadable)) == "write saving s2, save base");
  BOOST_TEST(text_of(one.on_saved("path/s2")) ==
             "write saved path/s2, look for path/s2");  // nor to a load without a replica
  static_cast<void>(one.on_status({.count = 1}));
  static_cast<void>(one.on_accepted());
  static_cast<void>(one.on_loaded());
  lifecycle_publishing insists(chain, named.maker(), 2, checkpoint::delta, true);
  BOOST_TEST(text_of(insists.begin()) == "look for path/s2");
  const auto end = insists.on_failed(step_kind::look, unreadable);
  BOOST_REQUIRE(text_of(end) == "fail");
  BOOST_TEST(what(end[0].failure).find("no delta can be saved now") != std::string::npos);
  BOOST_TEST(what(end[0].failure).find("the answer lists no replicas") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_status_that_lists_no_replicas_is_one_without_any) {
  const auto missing = std::make_exception_ptr(error(errc::status, "there is no pod", {.http_status = 404}));
  for (const auto& untold : {trouble(errc::protocol, "the answer lists no replicas"), missing}) {
    snapshot_chain chain(0);
    names named;
    lifecycle_publishing one(chain, named.maker(), 0, {}, false, 2);
    static_cast<void>(one.begin());
    static_cast<void>(one.on_saved("path/s1"));
    BOOST_TEST(text_of(one.on_failed(step_kind::look, untold)) == "pause");
    BOOST_TEST(text_of(one.on_pause()) == "look for path/s1");
    BOOST_TEST(text_of(one.on_status({.count = 1})) == "write loading path/s1, load path/s1");
    lifecycle_publishing late(chain, named.maker(), 0, {}, false, 1);
    static_cast<void>(late.begin());
    static_cast<void>(late.on_saved("path/s2"));
    const auto end = late.on_failed(step_kind::look, untold);
    BOOST_REQUIRE(text_of(end) == "fail");
    BOOST_TEST(what(end[0].failure).find("lists no replica to load path/s2") != std::string::npos);
    BOOST_TEST(what(end[0].failure).find(what(untold).substr(10)) != std::string::npos);  // without "gradwire: "
  }
  snapshot_chain chain(0);
  names named;
  lifecycle_publishing refused(chain, named.maker(), 0, {}, false);
  static_cast<void>(refused.begin());
  static_cast<void>(refused.on_saved("path/s1"));
  BOOST_TEST(text_of(refused.on_failed(step_kind::look, trouble(errc::status, "not with this key"))) == "fail");
}

BOOST_AUTO_TEST_CASE(a_base_that_was_asked_for_needs_no_look) {
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, checkpoint::base, true);
  BOOST_TEST(text_of(one.begin()) == "write saving s2, save base");
}

BOOST_AUTO_TEST_CASE(a_load_whose_answer_was_lost_is_looked_for_and_never_sent_again) {
  const auto lost = trouble(errc::outcome_unknown, "the answer was lost");
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing seen(chain, named.maker(), 1, {}, true);
  static_cast<void>(begin(seen));
  static_cast<void>(seen.on_saved("path/s2"));
  BOOST_TEST(text_of(seen.on_failed(step_kind::load, lost, true)) == "look for path/s2");
  BOOST_TEST(text_of(seen.on_status({.count = 1, .loading = "path/s2"})) == "await");
  BOOST_TEST(text_of(seen.on_loaded()) == "write loaded path/s2, warm_up");
  static_cast<void>(seen.on_warm());
  // And where it is not seen: a base, under its own name.
  lifecycle_publishing unseen(chain, named.maker(), 2, {}, true);
  BOOST_TEST(text_of(begin(unseen)) == "write saving s3, save delta");
  static_cast<void>(unseen.on_saved("path/s3"));
  static_cast<void>(unseen.on_failed(step_kind::load, lost, true));
  BOOST_TEST(text_of(unseen.on_status({.count = 1, .holds = "path/s2"})) ==
             "write unloaded path/s3, write saving s4, save base");
  BOOST_TEST(text_of(unseen.on_saved("path/s4")) == "write saved path/s4, write loading path/s4, load path/s4");
  static_cast<void>(unseen.on_failed(step_kind::load, lost, true));
  BOOST_TEST(text_of(unseen.on_failed(step_kind::look, trouble(errc::transport, "no way there"))) == "fail");
  BOOST_TEST((chain.next() == checkpoint::base));
}

BOOST_AUTO_TEST_CASE(a_refused_delta_is_followed_by_a_base_once) {
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  static_cast<void>(begin(one));
  static_cast<void>(one.on_saved("path/s2"));
  BOOST_TEST(text_of(one.on_failed(step_kind::load, trouble(errc::status, "another snapshot is loaded"))) ==
             "write unloaded path/s2, write saving s3, save base");
  static_cast<void>(one.on_saved("path/s3"));
  static_cast<void>(one.on_accepted());
  const auto end = one.on_failed(step_kind::await, trouble(errc::status, "the disk is full"));
  BOOST_REQUIRE(text_of(end) == "write unloaded path/s3, fail");
  BOOST_TEST(what(end[1].failure) == "gradwire: the disk is full");
  BOOST_TEST(one.fell_back());
}

BOOST_AUTO_TEST_CASE(a_save_that_failed_makes_the_next_one_a_base) {
  snapshot_chain chain(0);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  BOOST_TEST(text_of(begin(one)) == "write saving s2, save delta");
  BOOST_TEST(text_of(one.on_failed(step_kind::save, trouble(errc::timeout, "slow"), true)) == "fail");
  lifecycle_publishing next(chain, named.maker(), 1, {}, true);
  BOOST_TEST(text_of(next.begin()) == "write saving s3, save base");
}

BOOST_AUTO_TEST_CASE(an_adapter_is_always_a_base_and_a_delta_that_would_be_wrong_is_not_begun) {
  snapshot_chain chain(8);
  names named;
  publish_well(chain, named, 0);
  lifecycle_publishing one(chain, named.maker(), 1, {}, true);
  BOOST_TEST(text_of(one.begin()) == "write saving s2, save base");
  snapshot_chain fresh(0);
  lifecycle_publishing wrong(fresh, named.maker(), 1, checkpoint::delta, true);
  BOOST_TEST(text_of(wrong.begin()) == "fail");
}

BOOST_AUTO_TEST_CASE(without_a_replica_it_ends) {
  snapshot_chain chain(0);
  names named;
  lifecycle_publishing one(chain, named.maker(), 0, {}, false, 2);
  static_cast<void>(one.begin());
  static_cast<void>(one.on_saved("path/s1"));
  BOOST_TEST(text_of(one.on_status({})) == "pause");
  BOOST_TEST(text_of(one.on_status({})) == "fail");
}

BOOST_AUTO_TEST_SUITE_END()
