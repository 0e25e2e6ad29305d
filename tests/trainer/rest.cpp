// SPDX-License-Identifier: Apache-2.0
// Runs, checkpoints, sessions and samplers as a user asks for them, against the embedded trainer; and where the client
// must be careful: an archive that lies elsewhere.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "../support/temporary_folder.hpp"
#include "spy.hpp"

using namespace spying;

namespace {

struct saved_run : bench {
  saved_weights state, weights;
  rest_client rest;

  saved_run() : rest(service.rest()) {
    trainer.forward_backward(supervised(), server_loss::cross_entropy{}).result();
    trainer.optim_step({.learning_rate = 1e-2}).result();
    state = trainer.save_state({.name = "one", .user_metadata = {{"why", "because"}}}).result();
    weights = trainer.save_weights_for_sampler({.name = "one-s"}).result();
  }
};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rest)

BOOST_AUTO_TEST_CASE(runs_and_their_checkpoints) {
  saved_run r;
  const auto runs = r.rest.training_runs().result();
  BOOST_REQUIRE(runs.items.size() == 1u);
  BOOST_TEST(runs.total.value() == 1);
  const auto& run = runs.items[0];
  BOOST_TEST(run.id == r.trainer.model_id());
  BOOST_TEST(run.base_model == r.server.model());
  BOOST_TEST(run.lora_rank.value() == 4);
  BOOST_TEST(run.last_checkpoint.value().path == r.state.path);
  BOOST_TEST(run.last_sampler_checkpoint.value().path == r.weights.path);
  BOOST_TEST(r.rest.training_run(run.id).result().id == run.id);

  const auto listed = r.rest.checkpoints_of(run.id).result();
  BOOST_REQUIRE(listed.items.size() == 2u);
  BOOST_TEST(listed.items[0].path == r.state.path);
  BOOST_TEST(listed.items[0].type == "training");
  BOOST_TEST((listed.items[0].user_metadata == metadata{{"why", "because"}}));
  BOOST_TEST(listed.items[0].size_bytes.value() > 0);
  BOOST_TEST(r.rest.checkpoints({.limit = 1, .offset = 1}).result().items.size() == 1u);
  BOOST_TEST(r.rest.checkpoints().result().total.value() == 2);

  const auto info = r.rest.weights_info(r.state.path).result();
  BOOST_TEST(info.base_model == r.server.model());
  BOOST_TEST(info.lora_rank.value() == 4);
  BOOST_TEST(info.train_mlp.value() == true);
  BOOST_TEST(info.optimizer == "adamw");
  must_fail(errc::status, {"404"}, [&] { r.rest.training_run("nobody").result(); });
  must_fail(errc::config, {"limit of 1"}, [&] { r.rest.checkpoints({.limit = 0}).result(); });
}

BOOST_AUTO_TEST_CASE(sessions_belong_to_projects) {
  auto how = quick();
  how.project_id = "first";
  how.display_name = "a run";
  how.user_metadata = {{"why", "because"}};
  bench b({}, how);
  auto rest = b.service.rest();
  const std::string id = rest.sessions().result().at(0);
  const auto runs = [&](const char* project) {
    return rest.training_runs({}, access_scope::owned, project).result().items.size();
  };
  BOOST_TEST(runs("first") == 1u);
  BOOST_TEST(runs("second") == 0u);
  rest.assign_session_project(id, "second").result();
  BOOST_TEST(runs("first") == 0u);
  BOOST_TEST(runs("second") == 1u);
  BOOST_TEST(rest.search_sessions({.project_ids = {"second"}}).result().at(0).project_id == "second");
  BOOST_TEST(rest.search_sessions({.project_ids = {"first"}}).result().empty());
  rest.assign_session_project(id, "a b").result();
  BOOST_TEST(runs("a b") == 1u);
  const auto told = rest.session(id, access_scope::accessible).result();
  BOOST_TEST(told.display_name == "a run");
  BOOST_TEST((told.user_metadata == metadata{{"why", "because"}}));
  rest.sessions({}, access_scope::accessible).result();
  rest.training_run(b.trainer.model_id(), access_scope::accessible).result();
  rest.training_runs({.limit = 7}, access_scope::accessible, "a b").result();
  BOOST_TEST(b.net->count("/sessions/" + id + "?access_scope=accessible") == 1u);
  BOOST_TEST(b.net->count("/sessions?limit=20&offset=0&access_scope=accessible") == 1u);
  BOOST_TEST(b.net->count("/training_runs/" + b.trainer.model_id() + "?access_scope=accessible") == 1u);
  BOOST_TEST(b.net->count("/training_runs?limit=7&offset=0&access_scope=accessible&project_id=a%20b") == 1u);
  must_fail(errc::status, {"404"}, [&] { rest.assign_session_project("nobody", "second").result(); });
}

BOOST_AUTO_TEST_CASE(a_checkpoint_is_made_public_expires_and_goes) {
  saved_run r;
  const auto first = [&] { return r.rest.checkpoints_of(r.trainer.model_id()).result().items.at(0); };
  BOOST_TEST(!first().is_public);
  r.rest.publish_checkpoint(r.state.path).result();
  BOOST_TEST(first().is_public);
  r.rest.unpublish_checkpoint(r.state.path).result();
  BOOST_TEST(!first().is_public);
  r.rest.set_checkpoint_ttl(r.state.path, 3600).result();
  BOOST_TEST(first().expires_at.has_value());
  BOOST_TEST((first().user_metadata == metadata{{"why", "because"}}));  // as it was
  r.rest.set_checkpoint_ttl(r.state.path, std::nullopt).result();
  BOOST_TEST(!first().expires_at.has_value());
  must_fail(errc::status, {"422", "ttl_seconds"}, [&] { r.rest.set_checkpoint_ttl(r.state.path, 0).result(); });
  r.rest.delete_checkpoint(r.state.path).result();
  BOOST_TEST(first().path == r.weights.path);
  must_fail(errc::status, {"404"}, [&] { r.rest.delete_checkpoint(r.state.path).result(); });
  must_fail(errc::config, {"no path of a checkpoint"}, [&] { r.rest.delete_checkpoint("one").result(); });
}

BOOST_AUTO_TEST_CASE(sessions_are_found_by_what_is_known_of_them) {
  saved_run r;
  auto how = quick();
  how.display_name = "Nightly GRPO run";
  how.user_metadata = {{"team", "math"}, {"try", "2"}};
  auto named = service_client::connect(r.server.endpoint(), how);
  named.create_training_client({.base_model = r.server.model(), .lora_rank = 2}).result();
  auto over = service_client::connect(r.server.endpoint(), quick());
  over.rest().sessions().result();
  over.finish_session(session_end::errored).result();

  const auto all = r.rest.search_sessions({}).result();
  BOOST_REQUIRE(all.size() == 3u);  // newest first
  BOOST_TEST(all[0].status == "client_finished");
  BOOST_TEST(all[0].finish_reason == "errored");
  BOOST_TEST(all[1].display_name == "Nightly GRPO run");
  BOOST_TEST((all[1].user_metadata == metadata{{"team", "math"}, {"try", "2"}}));
  BOOST_TEST(all[2].checkpoints == 2);
  BOOST_TEST(all[0].created_at > all[1].created_at);

  const auto ids = [&](const session_search& which, std::size_t most = 1000) {
    std::vector<std::string> made;
    for (const auto& each : r.rest.search_sessions(which, most).result()) made.push_back(each.id);
    return made;
  };
  using names = std::vector<std::string>;
  BOOST_TEST((ids({.display_name = "grpo nightly"}) == names{all[1].id}));
  BOOST_TEST(ids({.display_name = "grpo daily"}).empty());
  BOOST_TEST((ids({.id = all[2].id, .display_name = "grpo"}) == names{all[1].id, all[2].id}));
  BOOST_TEST((ids({.user_metadata = {{"team", "math"}}}) == names{all[1].id}));
  BOOST_TEST(ids({.user_metadata = {{"team", "math"}, {"try", "3"}}}).empty());
  BOOST_TEST((ids({.statuses = {"active"}}) == names{all[1].id, all[2].id}));
  BOOST_TEST((ids({.limit = 1}) == names{all[0].id, all[1].id, all[2].id}));  // three pages
  BOOST_TEST((ids({.limit = 1}, 2) == names{all[0].id, all[1].id}));
  BOOST_TEST(ids({.owner_urns = {"urn:somebody"}}).empty());
  must_fail(errc::config, {"1 to 200", "201"}, [&] { ids({.limit = 201}); });
}

BOOST_AUTO_TEST_CASE(what_has_expired_is_gone) {
  saved_run r;
  const auto notes = r.server.checkpoints() / r.trainer.model_id() / "weights" / ".one.notes";
  r.rest.set_checkpoint_ttl(r.state.path, 3600).result();
  BOOST_REQUIRE(std::filesystem::exists(notes));
  std::ofstream(notes) << R"({"public":false,"expires_at":1000000000})";  // in 2001
  BOOST_TEST(r.rest.checkpoints_of(r.trainer.model_id()).result().items.size() == 1u);
  must_fail(errc::status, {"404"}, [&] { r.trainer.load_state(r.state.path).result(); });
  BOOST_TEST(!std::filesystem::exists(notes));
}

BOOST_AUTO_TEST_CASE(sessions_and_samplers) {
  saved_run r;
  const auto sessions = r.rest.sessions().result();
  BOOST_REQUIRE(sessions.size() == 1u);
  const auto sampler = r.service.create_sampling_client(r.weights).result();
  const auto session = r.rest.session(sessions[0]).result();
  BOOST_REQUIRE(session.training_run_ids.size() == 1u);
  BOOST_REQUIRE(session.sampler_ids.size() == 1u);
  const auto described = r.rest.sampler(session.sampler_ids[0]).result();
  BOOST_TEST(described.base_model == r.server.model());
  BOOST_TEST(described.model_path == r.weights.path);
}

BOOST_AUTO_TEST_CASE(a_model_describes_itself_and_goes) {
  bench b;
  const auto info = b.trainer.get_info().result();
  BOOST_TEST(info.base_model == b.server.model());
  BOOST_TEST(info.lora_rank.value() == 4);
  BOOST_TEST(info.optimizer == "adamw");
  b.trainer.unload().result();
  must_fail(errc::closed, {"Model not found"}, [&] { b.trainer.forward(supervised()).result(); });
}

BOOST_AUTO_TEST_CASE(health_needs_no_session) {
  bench b;
  auto service = service_client::connect_through(b.net, b.server.endpoint(), quick());
  const auto before = b.net->count("/create_session");
  BOOST_TEST(service.health().result().status == "ok");
  BOOST_TEST(b.net->count("/create_session") == before);
}

BOOST_AUTO_TEST_CASE(a_session_is_finished) {
  bench b;
  b.service.finish_session(session_end::errored, "enough").result();
  must_fail(errc::closed, {"finished"}, [&] { b.service.capabilities().result(); });
  bool said = false;
  for (const auto& each : b.net->log())
    if (each.target.ends_with("/finish")) said = each.body == R"({"reason":{"type":"errored"},"detail":"enough"})";
  BOOST_TEST(said);
}

BOOST_AUTO_TEST_CASE(a_server_without_finish_is_no_error) {
  bench b;
  b.net->on_request([](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/finish")) return fault::none;
    reply = {404, {{"Content-Type", "application/json"}}, R"({"detail":"Not Found"})"};
    return fault::answer;
  });
  BOOST_CHECK_NO_THROW(b.service.finish_session().result());
}

// ---- exports, copies, archives ----

BOOST_AUTO_TEST_CASE(weights_are_exported_and_copied) {
  saved_run r;
  const auto exported = r.trainer.save_weights_external({.name = "hf"}).result();
  BOOST_TEST(exported.path == "tinker://" + r.trainer.model_id() + "/external_weights/hf");
  BOOST_TEST(exported.size_bytes.value() > 0);
  const auto urls = r.rest.external_weights_urls(exported.path).result();
  std::vector<std::string> names;
  for (const auto& [name, address] : urls.urls) names.push_back(name);
  for (const char* file : {"config.json", "model.safetensors"})
    BOOST_TEST((std::find(names.begin(), names.end(), file) != names.end()), file);
  must_fail(errc::status, {"encrypt"}, [&] {
    r.trainer.save_weights_external({.name = "secret", .age_encryption_recipients = {"age1x"}}).result();
  });
  // The next operation has the next number: nothing was lost.
  BOOST_CHECK_NO_THROW(r.trainer.forward(supervised()).result());

  const auto copy = r.rest.copy_weights({.path = r.state.path}).result();
  BOOST_TEST(copy != r.state.path);
  auto resumed = r.service.create_training_client_from_state(copy).result();
  BOOST_TEST(largest_difference(resumed.forward(supervised()).result().logprobs,
                                r.trainer.forward(supervised()).result().logprobs) == 0.0);
}

BOOST_AUTO_TEST_CASE(a_copy_is_made_once_though_its_answer_is_lost) {
  saved_run r;
  int tries = 0;
  r.net->on_request([&](const exchange& e, http_response&) {
    if (!e.target.ends_with("/copy_weights")) return fault::none;
    return ++tries == 1 ? fault::lose_reply : fault::none;
  });
  // Nothing says that every server looks at the key: the client does not send it again, and says so.
  must_fail(errc::outcome_unknown, {}, [&] { r.rest.copy_weights({.path = r.state.path}).result(); });
  BOOST_TEST(tries == 1);
}

BOOST_AUTO_TEST_CASE(an_archive_is_fetched_from_the_trainer_itself) {
  saved_run r;
  const temporary_folder here;
  const auto file = (here.path / "one.tar").string();
  const auto address = r.rest.checkpoint_archive_url(r.state.path).result();
  BOOST_TEST(address.url.starts_with(r.server.endpoint().url + "/api/v1/downloads/"));
  const auto got = r.rest.download_checkpoint_archive(r.state.path, file).result();
  BOOST_TEST(got.bytes == std::filesystem::file_size(file));
  const std::string tar = text_of(file);
  BOOST_TEST(tar.substr(0, 4) == "one/");
  BOOST_TEST(tar.substr(257, 5) == "ustar");
  BOOST_TEST(tar.size() % 512 == 0u);
  BOOST_TEST(tar.find("adapter_model.safetensors") != std::string::npos);
}

// The trainer sends elsewhere: what is asked there, and with which key.
struct elsewhere : saved_run {
  loopback::server other = loopback::start({.token = "tml-other"});
  temporary_folder here;
  std::string file = (here.path / "x.tar").string();

  void sends_to(const std::string& location) {
    net->on_request([location, this](const exchange& e, http_response& reply) {
      if (e.target.ends_with("/archive")) {
        reply = {302, {{"Location", location}}, ""};
        return fault::answer;
      }
      if (e.target.starts_with("/bucket")) {
        reply = {200, {{"Content-Type", "application/x-tar"}}, "bytes"};
        return fault::answer;
      }
      if (e.target.starts_with("/again")) {
        reply = {302, {{"Location", "/bucket"}}, ""};
        return fault::answer;
      }
      return fault::none;
    });
  }
  std::string key_of(const std::string& target) const {
    for (const auto& each : net->log())
      if (each.target.starts_with(target)) return each.key;
    return "not asked";
  }
};

BOOST_AUTO_TEST_CASE(another_host_or_port_gets_no_key) {
  elsewhere e;
  e.sends_to(e.other.endpoint().url + "/bucket/x?signature=1");
  BOOST_TEST(e.rest.download_checkpoint_archive(e.state.path, e.file).result().bytes == 5u);
  BOOST_TEST(e.key_of("/bucket/x?signature=1") == "");
  BOOST_TEST(text_of(e.file) == "bytes");
}

BOOST_AUTO_TEST_CASE(the_same_server_gets_it) {
  elsewhere e;
  e.sends_to(e.server.endpoint().url + "/bucket/y");
  e.rest.download_checkpoint_archive(e.state.path, e.file).result();
  BOOST_TEST(e.key_of("/bucket/y") == e.server.endpoint().token);
  elsewhere relative;
  relative.sends_to("/bucket/z");
  relative.rest.download_checkpoint_archive(relative.state.path, relative.file).result();
  BOOST_TEST(relative.key_of("/bucket/z") == relative.server.endpoint().token);
}

BOOST_AUTO_TEST_CASE(a_second_redirect_stays_without_a_key) {
  elsewhere e;
  e.sends_to(e.other.endpoint().url + "/again");
  e.rest.download_checkpoint_archive(e.state.path, e.file).result();
  BOOST_TEST(e.key_of("/again") == "");
  BOOST_TEST(e.key_of("/bucket") == "");
}

BOOST_AUTO_TEST_CASE(what_is_no_web_address_is_refused) {
  for (const char* location : {"file:///etc/passwd", "ftp://x/y", "//evil.example/x", "javascript:1", "data:,x"}) {
    elsewhere e;
    e.sends_to(location);
    must_fail(errc::protocol, {"neither http nor https", "nothing was fetched"},
              [&] { e.rest.download_checkpoint_archive(e.state.path, e.file).result(); });
    must_fail(errc::protocol, {"neither http nor https"},
              [&] { e.rest.checkpoint_archive_url(e.state.path).result(); });
    BOOST_TEST(!std::filesystem::exists(e.file));
  }
}

BOOST_AUTO_TEST_CASE(an_address_in_json_is_as_good) {
  saved_run r;
  r.net->on_request([](const exchange& e, http_response& reply) {
    if (!e.target.ends_with("/archive")) return fault::none;
    reply = {200,
             {{"Content-Type", "application/json"}},
             R"({"url":"https://x.example/a","expires":"2026-01-01T00:00:00Z"})"};
    return fault::answer;
  });
  const auto found = r.rest.checkpoint_archive_url(r.state.path).result();
  BOOST_TEST(found.url == "https://x.example/a");
  BOOST_TEST(found.expires == "2026-01-01T00:00:00Z");
}

BOOST_AUTO_TEST_CASE(a_loss_graph_is_refused_with_the_way_out) {
  bench b;
  must_fail(errc::status, {"400", "forward_backward_custom"},
            [&] { b.service.create_custom_loss({.name = "mine", .graph = R"({"format":1,"nodes":[]})"}).result(); });
  must_fail(errc::data, {"not JSON"}, [&] { b.service.create_custom_loss({.name = "mine", .graph = "x"}).result(); });
}

BOOST_AUTO_TEST_SUITE_END()
