// SPDX-License-Identifier: Apache-2.0
// Names of checkpoints, and links in the way of them: everything stays in the folder of checkpoints.
#include <sys/stat.h>

#include "trainer.hpp"

using namespace security;

namespace {

std::string member(const std::string& json, const std::string& name) {
  const std::string before = "\"" + name + "\":\"";
  const auto at = json.find(before);
  return at == json.npos ? ""
                         : json.substr(at + before.size(), json.find('"', at + before.size()) - at - before.size());
}

std::string model_on(const trainer& at) {
  const std::string session = member(at.post("create_session", R"({"tags":[],"sdk_version":"x"})").body, "session_id");
  const auto made =
      at.post("create_model", R"({"session_id":")" + session +
                                  R"(","model_seq_id":0,"base_model":"gradwire/tiny","lora_config":{"rank":1}})");
  const std::string request = member(made.body, "request_id");
  BOOST_TEST(at.post("retrieve_future", R"({"request_id":")" + request + "\"}").status == 200);
  return session + ":train:0";
}

// The answer to an operation: a refusal, or what its future becomes.
answer outcome_of(const trainer& at, const std::string& name, const std::string& json) {
  auto submitted = at.post(name, json);
  if (submitted.status != 200) return submitted;
  return at.post("retrieve_future", R"({"request_id":")" + member(submitted.body, "request_id") + "\"}");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoint_names)

SECURITY_TEST(K05, names_of_checkpoints) {
  const temporary_folder folder;
  const auto root = folder.path / "checkpoints";
  const trainer it({.token = canary("k05"), .checkpoints = root, .threads = 1});
  const std::string model = model_on(it);
  int seq = 0;
  const auto save = [&](const char* call, const std::string& name) {
    return outcome_of(
        it, call, R"({"model_id":")" + model + R"(","path":")" + name + R"(","seq_id":)" + std::to_string(++seq) + "}");
  };
  for (const std::string& name :
       {std::string("../x"),     std::string("/etc/x"), std::string("a/b"),     std::string("a\\u0000b"),
        std::string("..%2f"),    std::string(256, 'a'), std::string(129, 'a'),  std::string("CON"),
        std::string("nul.txt"),  std::string("com1"),   std::string(),          std::string("."),
        std::string(".."),       std::string("..."),    std::string(".hidden"), std::string("a..b"),
        std::string("a b"),      std::string("a\\\\b"), std::string("a:b"),     std::string("a\\nb"),
        std::string("\\u00e4"),  std::string("~root"),  std::string("-rf*"),    std::string("$HOME"),
        std::string("a\\u202eb")}) {
    for (const char* call : {"save_weights", "save_weights_for_sampler"}) {
      const auto reply = save(call, name);
      BOOST_TEST(reply.status == 422, call << " '" << name << "' " << reply.body);
    }
    for (const char* call : {"load_weights", "weights_info"}) {
      const std::string path = "tinker://" + model + "/weights/" + name;
      const auto reply = outcome_of(it, call,
                                    R"({"model_id":")" + model + R"(","path":")" + path + R"(","tinker_path":")" +
                                        path + R"(","optimizer":false,"seq_id":)" + std::to_string(++seq) + "}");
      BOOST_TEST((reply.status == 400 || reply.status == 404 || reply.status == 422),
                 call << " '" << name << "' " << reply.status);
    }
  }
  for (const char* path :
       {"/weights/..%2f..", "/weights/%2e%2e", "/weights/a%00", "/weights%2f../x", "/../weights/x", "/weights/"})
    BOOST_TEST(it.ask("DELETE", "/api/v1/training_runs/" + model + "/checkpoints" + path, it.key()).status >= 400,
               path);
  for (const char* run : {"..", ".", "%2e%2e", "..%2f..", "a%2fb", "%2fetc"})
    BOOST_TEST(it.get(std::string("training_runs/") + run + "/checkpoints").status == 404, run);
  // The longest that is allowed, and the folders that it made.
  const std::string longest(128, 'a');
  BOOST_TEST(save("save_weights", longest).status == 200);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path)) {
    struct ::stat info {};
    BOOST_REQUIRE(::lstat(entry.path().c_str(), &info) == 0);
    BOOST_TEST(!S_ISLNK(info.st_mode));
    if (S_ISDIR(info.st_mode)) BOOST_TEST((info.st_mode & 0777) == 0700u, entry.path());
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path))
    BOOST_TEST(entry.path().filename().string() == "checkpoints");
}

SECURITY_TEST(K05, symbolic_links_lead_nowhere) {
  namespace fs = std::filesystem;
  const temporary_folder folder;
  const auto root = folder.path / "checkpoints", outside = folder.path / "outside";
  const trainer it({.token = canary("k05-links"), .checkpoints = root, .threads = 1});
  const std::string model = model_on(it);
  int seq = 0;
  const auto number = [&] { return R"(,"seq_id":)" + std::to_string(++seq) + "}"; };
  const auto save = [&](const std::string& name) {
    return outcome_of(it, "save_weights", R"({"model_id":")" + model + R"(","path":")" + name + "\"" + number()).body;
  };
  const auto is_saved = [&](const std::string& name) { return contains(save(name), "tinker://"); };
  const auto is_loaded = [&](const std::string& name) {
    const auto reply = outcome_of(it, "load_weights",
                                  R"({"model_id":")" + model + R"(","path":"tinker://)" + model + "/weights/" + name +
                                      R"(","optimizer":true)" + number());
    return reply.status == 200 && !contains(reply.body, "error");
  };
  BOOST_REQUIRE(is_saved("good"));
  BOOST_REQUIRE(is_loaded("good"));
  const auto weights = root / model / "weights";
  fs::create_directories(outside / "weights");
  fs::copy(weights / "good", outside / "weights" / "taken", fs::copy_options::recursive);
  const auto files_outside = [&] {
    return std::distance(fs::recursive_directory_iterator(outside), fs::recursive_directory_iterator());
  };
  const auto before = files_outside();

  fs::create_directory_symlink(outside / "weights" / "taken", weights / "linked");  // the checkpoint
  BOOST_TEST(!is_loaded("linked"));
  BOOST_TEST(!is_saved("linked"));
  fs::create_directory_symlink(outside / "nothing-yet", weights / "dangling");
  BOOST_TEST(!is_saved("dangling"));
  BOOST_TEST(it.ask("DELETE", "/api/v1/training_runs/" + model + "/checkpoints/weights/linked", it.key()).status ==
             404);

  BOOST_REQUIRE(is_saved("inside"));  // a file of the checkpoint
  for (const auto& file : fs::directory_iterator(weights / "inside")) {
    const auto place = file.path();
    fs::rename(place, folder.path / "moved");
    fs::create_symlink(folder.path / "moved", place);
    BOOST_TEST(!is_loaded("inside"), place.filename());
    fs::remove(place);
    fs::rename(folder.path / "moved", place);
    BOOST_TEST(is_loaded("inside"), place.filename());
  }

  fs::rename(weights, root / model / "old");  // the folder above
  fs::create_directory_symlink(outside / "weights", weights);
  BOOST_TEST(!is_saved("through"));
  BOOST_TEST(!is_loaded("taken"));
  fs::remove(weights);

  fs::rename(root / model, root / "old-run");  // and the one above that
  fs::create_directory_symlink(outside, root / model);
  BOOST_TEST(!is_saved("through"));
  BOOST_TEST(!is_loaded("taken"));
  BOOST_TEST(files_outside() == before);
}

BOOST_AUTO_TEST_SUITE_END()
