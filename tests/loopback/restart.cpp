// SPDX-License-Identifier: Apache-2.0
// A trainer with a state folder that ends and is started again: what it knows then, and what it refuses.
#include <sys/resource.h>
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <fstream>
#include <random>

#include <gradwire/loopback/files/text_file.hpp>

#include "../support/temporary_folder.hpp"
#include "server_driver.hpp"

namespace {

loopback::start_options kept_in(const temporary_folder& at, int commit_every = 1) {
  loopback::start_options options;
  options.threads = 1;
  options.state = at.path / "state";
  options.commit_every = commit_every;
  return options;
}

// A driver whose server can be ended and started again on the same folder.
struct trainer {
  loopback::start_options options;
  std::unique_ptr<driver> it;

  explicit trainer(loopback::start_options given) : options(std::move(given)), it(std::make_unique<driver>(options)) {}

  driver* operator->() const { return it.get(); }
  void restart() {
    const std::string session = it->session, model = it->model;
    const std::int64_t seq = it->seq;
    it.reset();
    it = std::make_unique<driver>(options, session, model, seq);
  }
  void expect(const raw_reply& reply, int status, std::string_view part) const {
    BOOST_TEST(reply.status == status, reply.body);
    BOOST_TEST(contains(reply.body, part), reply.body);
  }
};

std::string optim_body(const driver& it, std::int64_t seq_id) {
  return to_json(optim_step_request{.model_id = it.model, .seq_id = seq_id, .adam_params = {.learning_rate = 1e-2}});
}

// Bits of the logprobs of two datums, without a seq_id.
std::vector<float> bits(trainer& of) {
  auto request = of->batch(true);
  --of->seq;
  request.seq_id.reset();
  request.model_id = of->model;
  std::vector<float> all;
  const auto reply = of->run(request);
  for (std::size_t datum : {0, 1})
    for (const float value : logprobs(reply, datum)) all.push_back(value);
  return all;
}

void flip_a_byte(const std::filesystem::path& file, std::size_t place) {
  std::string text = loopback::read_text(file);
  text[place % text.size()] = static_cast<char>(text[place % text.size()] ^ 1);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(restart)

BOOST_AUTO_TEST_CASE(training_goes_on_bit_for_bit_with_what_was_accumulated) {
  const temporary_folder at, other;
  trainer broken(kept_in(at)), whole(kept_in(other));
  for (trainer* each : {&whole, &broken}) {
    (*each)->run((*each)->batch());
    (*each)->step();
    (*each)->run((*each)->batch());  // a gradient waits
    if (each == &broken) broken.restart();
    (*each)->run((*each)->batch());
    (*each)->step();
    if (each == &broken) broken.restart();
    (*each)->run((*each)->batch());
  }
  const auto a = whole->step().metrics, b = broken->step().metrics;
  BOOST_TEST((a == b));
  BOOST_TEST(a.at(5).value == 3);  // Adam's step
  BOOST_TEST(bits(whole) == bits(broken), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_request_that_comes_again_after_the_restart_is_recognised) {
  const temporary_folder at;
  trainer it(kept_in(at));
  const auto batch = it->batch();
  const auto first = it->run(batch);
  const auto id = it->ok<submit_reply>("forward_backward", to_json(batch)).request_id;
  const std::string step = optim_body(*it.it, ++it->seq);
  const auto stepped = it->result<optim_step_reply>("optim_step", step);
  it.restart();
  BOOST_TEST(it->ok<submit_reply>("forward_backward", to_json(batch)).request_id == id);
  BOOST_TEST(it->poll(id).body == to_json(first));
  BOOST_TEST((it->result<optim_step_reply>("optim_step", step).metrics == stepped.metrics));
  BOOST_TEST(it->server.executed().forward_backward == 0);
  BOOST_TEST(it->server.executed().optim_step == 0);
  auto otherwise = batch;
  otherwise.data.pop_back();
  it.expect(it->http.post("forward_backward", to_json(otherwise)), 409, "reused with another body");
  // create_model too
  const std::string create = to_json(create_model_request{.session_id = it->session,
                                                          .model_seq_id = 0,
                                                          .base_model = "gradwire/tiny",
                                                          .lora_config = lora_config{.rank = 4, .seed = 1},
                                                          .optimizer_config = optimizer_config{}});
  BOOST_TEST(it->result<create_model_reply>("create_model", create).model_id == it->model);
  BOOST_TEST(it->server.executed().create_model == 0);
  // and a new one has another id and goes its own way
  BOOST_TEST(it->create(1) != it->model);
}

BOOST_AUTO_TEST_CASE(what_was_not_written_is_lost_and_the_model_says_so) {
  const temporary_folder at;
  trainer it(kept_in(at, 3));
  it->run(it->batch());  // 1
  it->step();            // 2
  it->run(it->batch());  // 3: written
  it->step();            // 4
  const auto saved_step = optim_body(*it.it, 5);
  it.restart();
  it.expect(it->http.post("optim_step", saved_step), 412,
            "has this model as it was after operation 3; those up to 4 are lost. Load a saved state");
  BOOST_TEST(it->server.executed().optim_step == 0);
  // The one that is next is welcome, and then those after it.
  it->seq = 3;
  it->step();
  it->run(it->batch());
  BOOST_TEST(it->server.executed().optim_step == 1);
}

BOOST_AUTO_TEST_CASE(a_load_goes_on_from_anywhere) {
  const temporary_folder at;
  trainer it(kept_in(at, 0));
  it->run(it->batch());
  it->step();
  const auto saved = it->result<save_weights_reply>(
      "save_weights", to_json(save_weights_request{.model_id = it->model, .path = "s", .seq_id = ++it->seq}));
  const auto then = bits(it);
  it->run(it->batch());
  it->step();
  it.restart();
  it.expect(it->http.post("optim_step", optim_body(*it.it, it->seq + 1)), 412, "Load a saved state");
  it->result<load_weights_reply>(
      "load_weights",
      to_json(load_weights_request{.model_id = it->model, .seq_id = ++it->seq, .path = saved.path, .optimizer = true}));
  BOOST_TEST(bits(it) == then, boost::test_tools::per_element());
  it->run(it->batch());
  BOOST_TEST(it->step().metrics.at(5).value == 2);
}

BOOST_AUTO_TEST_CASE(strict_numbers_go_on) {
  const temporary_folder at;
  auto options = kept_in(at);
  options.sequence = loopback::sequence_policy::strict;
  trainer it(options);
  const auto batch = it->batch();
  it->run(batch);
  it.restart();
  it.expect(it->outcome("forward_backward", to_json(batch)), 409, "Sequence conflict: expected 2, got 1.");
  it->run(it->batch());
}

BOOST_AUTO_TEST_CASE(a_save_that_comes_again_is_the_same_save) {
  const temporary_folder at;
  trainer it(kept_in(at));
  it->run(it->batch());
  const std::string save =
      to_json(save_weights_request{.model_id = it->model, .path = "s", .seq_id = ++it->seq, .overwrite = false});
  const auto path = it->result<save_weights_reply>("save_weights", save).path;
  // As if the trainer had ended after the checkpoint and before it was written down that it had been made: the state of
  // before is put back.
  const auto folder = at.path / "state" / "models";
  const std::string session = it->session, model = it->model;
  it.it.reset();
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(folder)) files.push_back(file.path());
  BOOST_REQUIRE(files.size() == 2U);
  const auto generation = [](const std::filesystem::path& file) { return loopback::read_text(file).at(16); };
  std::filesystem::remove(generation(files[0]) > generation(files[1]) ? files[0] : files[1]);
  it.it = std::make_unique<driver>(it.options, session, model, 2);
  BOOST_TEST(it->result<save_weights_reply>("save_weights", save).path == path);
  const std::string other = to_json(save_weights_request{.model_id = model, .path = "s", .seq_id = ++it->seq});
  it.expect(it->outcome("save_weights", other), 409, "already exists");
}

BOOST_AUTO_TEST_CASE(two_saves_without_a_number_are_two_saves) {
  const temporary_folder at;
  trainer it(kept_in(at));
  const std::string save = to_json(save_weights_request{.model_id = it->model, .path = "s", .overwrite = true});
  std::string path;
  for (int i = 0; i < 2; ++i) {
    it->run(it->batch());
    it->step();
    path = it->result<save_weights_reply>("save_weights", save).path;
  }
  const auto now = bits(it);
  it->result<load_weights_reply>(
      "load_weights", to_json(load_weights_request{.model_id = it->model, .seq_id = ++it->seq, .path = path}));
  BOOST_TEST(bits(it) == now, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_damaged_state_gives_way_to_the_one_before) {
  const temporary_folder at;
  trainer it(kept_in(at));
  it->run(it->batch());
  it->step();
  it->run(it->batch());
  const auto stepped = it->step().metrics;
  const auto folder = at.path / "state" / "models";
  const std::string session = it->session, model = it->model;
  it.it.reset();
  std::filesystem::path newest;
  char generation = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder))
    if (const char found = loopback::read_text(file.path()).at(16); found > generation)
      generation = found, newest = file.path();
  flip_a_byte(newest, 5000);
  it.it = std::make_unique<driver>(it.options, session, model, 3);
  BOOST_REQUIRE(it->server.notices().size() == 1U);
  BOOST_TEST(contains(it->server.notices()[0], "is damaged: its content does not fit its checksum"),
             it->server.notices()[0]);
  BOOST_TEST((it->step().metrics == stepped));  // 4 comes again: the one before had 3
  it.it.reset();
  for (const auto& file : std::filesystem::directory_iterator(folder)) flip_a_byte(file.path(), 20);
  BOOST_CHECK_EXCEPTION(loopback::server{it.options}, error, [](const error& e) {
    return contains(e.what(), "its header does not fit its checksum") && contains(e.what(), "nothing older is left");
  });
}

BOOST_AUTO_TEST_CASE(another_base_model_is_refused) {
  const temporary_folder at;
  auto options = kept_in(at);
  trainer it(options);
  it.it.reset();
  options.seed = 7;
  BOOST_CHECK_EXCEPTION(loopback::server{options}, error,
                        [](const error& e) { return contains(e.what(), "Start it with the same model and seed"); });
}

BOOST_AUTO_TEST_CASE(two_trainers_do_not_share_a_folder) {
  const temporary_folder at;
  const trainer it(kept_in(at));
  BOOST_CHECK_EXCEPTION(loopback::server{it.options}, error,
                        [](const error& e) { return contains(e.what(), "in use by another trainer"); });
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_not_kept) {
  const temporary_folder at;
  trainer it(kept_in(at));
  it->run(it->batch());
  it->step();
  const auto good = bits(it);
  it.restart();
  std::string said;
  for (int i = 0; i < 20 && said.empty(); ++i) {  // w -= rate · decay · w, until it overflows
    const auto reply = it->outcome(
        "optim_step",
        to_json(optim_step_request{
            .model_id = it->model, .seq_id = ++it->seq, .adam_params = {.learning_rate = 1e5, .weight_decay = 1e5}}));
    if (reply.status != 200) said = reply.body;
  }
  BOOST_TEST(contains(said, "not kept for a restart"), said);
  BOOST_TEST(contains(said, "lora_"), said);
  it.expect(it->outcome("save_weights",
                        to_json(save_weights_request{.model_id = it->model, .path = "bad", .seq_id = ++it->seq})),
            400, "not saved: ");
  it.restart();  // what is kept is finite: the trainer starts, and says from where
  BOOST_TEST(it->server.notices().empty());
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_507_and_what_was_saved_before_still_loads) {
  const temporary_folder at;
  trainer it(kept_in(at));
  it->run(it->batch());
  it->step();
  const auto save = [&](bool overwrite) {
    return it->outcome(
        "save_weights",
        to_json(save_weights_request{.model_id = it->model, .path = "s", .seq_id = ++it->seq, .overwrite = overwrite}));
  };
  const auto path = from_json<save_weights_reply>(save(false).body).path;
  const auto then = bits(it);
  it->run(it->batch());
  it->step();
  ::rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const ::rlimit small{4096, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto saved = save(true);
  const auto stepped = it->outcome("optim_step", optim_body(*it.it, ++it->seq));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  it.expect(saved, 507, "File too large");
  it.expect(stepped, 507, "this operation was executed, but not kept for a restart: ");
  const auto folder = it->server.checkpoints() / it->model / "weights";
  BOOST_TEST(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);  // nothing half-made is left
  it->result<load_weights_reply>(
      "load_weights",
      to_json(load_weights_request{.model_id = it->model, .seq_id = ++it->seq, .path = path, .optimizer = true}));
  BOOST_TEST(bits(it) == then, boost::test_tools::per_element());
  it.restart();
  BOOST_TEST(bits(it) == then, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(folders_and_files_are_the_owners_alone) {
  const temporary_folder at;
  trainer it(kept_in(at));
  it->result<save_weights_reply>(
      "save_weights", to_json(save_weights_request{.model_id = it->model, .path = "s", .seq_id = ++it->seq}));
  int folders = 0, files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(at.path)) {
    if (entry.path().string().find("/tokenizer/") != std::string::npos) continue;  // public, and not of a run
    struct ::stat info {};
    BOOST_REQUIRE(::stat(entry.path().c_str(), &info) == 0);
    BOOST_TEST((info.st_mode & 0777) == (entry.is_directory() ? 0700U : 0600U), entry.path());
    ++(entry.is_directory() ? folders : files);
  }
  BOOST_TEST(folders >= 6);
  BOOST_TEST(files >= 7);
}

BOOST_AUTO_TEST_CASE(unloaded_models_and_finished_sessions_are_forgotten) {
  const temporary_folder at;
  trainer it(kept_in(at));
  const std::string second = it->create(1);
  it->outcome("unload_model", "{\"model_id\":\"" + it->model + "\"}");
  it.restart();
  BOOST_TEST(it->http.post("get_info", "{\"model_id\":\"" + it->model + "\"}").status == 404);
  BOOST_TEST(it->http.post("get_info", "{\"model_id\":\"" + second + "\"}").status == 200);
  BOOST_TEST(it->http.post("sessions/" + it->session + "/finish", "").status == 200);
  it.restart();
  BOOST_TEST(it->http.post("get_info", "{\"model_id\":\"" + second + "\"}").status == 404);
  BOOST_TEST(it->http.post("session_heartbeat", to_json(session_heartbeat_request{it->session})).status == 404);
}

// The trainer ended between the answer to "finish" and the removal of the session's models.
BOOST_AUTO_TEST_CASE(a_model_whose_session_was_finished_is_forgotten_though_its_file_is_there) {
  const temporary_folder at;
  trainer it(kept_in(at));
  BOOST_TEST(it->http.post("get_info", "{\"model_id\":\"" + it->model + "\"}").status == 200);
  const auto files_of = [&](const std::string& id) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(at.path))
      if (entry.is_regular_file() && entry.path().stem() == id) found.push_back(entry.path());
    return found;
  };
  const auto session = files_of(it->session);
  BOOST_TEST(!session.empty());
  BOOST_TEST(!files_of(it->model).empty());
  for (const auto& file : session) std::filesystem::remove(file);
  it.restart();
  BOOST_TEST(it->http.post("get_info", "{\"model_id\":\"" + it->model + "\"}").status == 404);
  BOOST_TEST(files_of(it->model).empty());
}

BOOST_AUTO_TEST_CASE(a_saved_state_with_any_byte_changed_is_refused_by_name) {
  const temporary_folder at;
  trainer it(kept_in(at));
  it->run(it->batch());
  it->step();
  const auto path = it->result<save_weights_reply>(
      "save_weights", to_json(save_weights_request{.model_id = it->model, .path = "s", .seq_id = ++it->seq}));
  const auto folder = it->server.checkpoints() / it->model / "weights" / "s";
  std::mt19937 random(3);
  const auto load = [&] {
    return it->outcome("load_weights",
                       to_json(load_weights_request{
                           .model_id = it->model, .seq_id = ++it->seq, .path = path.path, .optimizer = true}));
  };
  const auto good = bits(it);
  for (const char* name : {"adapter_model.safetensors", "optimizer.safetensors", "training.json", "adapter_config.json",
                           "checksums.txt"}) {
    const auto file = folder / name;
    const std::size_t size = std::filesystem::file_size(file);
    std::vector<std::size_t> places{0, 1, 7, 8, size - 1};
    for (int i = 0; i < 10; ++i) places.push_back(random() % size);
    for (const std::size_t place : places) {
      flip_a_byte(file, place);
      const auto reply = load();
      BOOST_TEST(reply.status == 400);
      BOOST_TEST(contains(reply.body, std::string("is damaged: ") + name), name << " " << place << " " << reply.body);
      flip_a_byte(file, place);
    }
  }
  BOOST_TEST(bits(it) == good, boost::test_tools::per_element());
  BOOST_TEST(load().status == 200);
  std::filesystem::remove(folder / "optimizer.safetensors");
  it.expect(load(), 400, "optimizer.safetensors is missing");
}

BOOST_AUTO_TEST_SUITE_END()
