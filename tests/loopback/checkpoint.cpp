// SPDX-License-Identifier: Apache-2.0
// Saving and loading: bit for bit, whole or not at all, and in the formats of Hugging Face and PEFT. That transformers
// and PEFT read what is written is checked in tests/conformance.
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "../support/temporary_folder.hpp"
#include "golden_qwen3.hpp"

namespace {

using namespace gradwire::loopback;
using golden_qwen3::file;
namespace filesystem = std::filesystem;

const auto is_config = [](const gradwire::error& e) { return e.kind() == gradwire::errc::config; };

void train(training_model& model, int steps) {
  for (int i = 0; i < steps; ++i) {
    model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
    model.optim_step({.learning_rate = 0.003, .weight_decay = 0.01});
  }
}

void check_same(const training_model& a, const training_model& b) {
  const auto left = a.parameters(), right = b.parameters();
  BOOST_REQUIRE_EQUAL(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    BOOST_TEST(left[i].name == right[i].name);
    BOOST_TEST(left[i].shape == right[i].shape);
    BOOST_TEST(left[i].values == right[i].values);
  }
  BOOST_TEST(a.forward(file().examples()) == b.forward(file().examples()));
}

frozen_model golden_model(const char* name = "qwen3") {
  return frozen_model::load({.model = golden_qwen3::directory(name), .threads = 2});
}

std::size_t entries(const filesystem::path& directory) {
  return static_cast<std::size_t>(std::distance(filesystem::directory_iterator(directory), {}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoint)

BOOST_AUTO_TEST_CASE(training_goes_on_where_it_was) {
  for (const char* name : {"qwen3", "qwen3_tied"})
    for (const int rank : {0, 3}) {
      const temporary_folder temporary;
      const frozen_model base = golden_model(name);
      training_model model(base, {.rank = rank}), loaded(base, {.rank = rank, .seed = 9});
      train(model, 3);
      model.save(temporary.path / "state");
      loaded.load(temporary.path / "state", true);
      check_same(model, loaded);
      train(model, 3);
      train(loaded, 3);
      check_same(model, loaded);
      // without the optimizer it goes another way
      training_model weights_only(base, {.rank = rank});
      weights_only.load(temporary.path / "state", false);
      train(weights_only, 3);
      BOOST_TEST(weights_only.forward(file().examples()) != model.forward(file().examples()));
      BOOST_TEST(weights_only.optim_step({}).step == 4);
      BOOST_TEST(loaded.optim_step({}).step == 7);
    }
}

BOOST_AUTO_TEST_CASE(loading_drops_gradients) {
  const temporary_folder temporary;
  training_model model(golden_model(), {.rank = 0});
  model.save(temporary.path / "state");
  model.forward_backward(file().examples(), golden_qwen3::cross_entropy());
  model.load(temporary.path / "state", true);
  BOOST_TEST(model.optim_step({}).grad_norm == 0.0);
}

BOOST_AUTO_TEST_CASE(what_a_checkpoint_says) {
  const temporary_folder temporary;
  training_model model(golden_model(), {.rank = 3, .alpha = 6.5, .mlp = false, .seed = 18446744073709551615U});
  train(model, 2);
  model.save(temporary.path / "state", {.optimizer = false});
  const training_summary summary = training_model::describe(temporary.path / "state");
  BOOST_TEST(summary.base_model == golden_qwen3::directory("qwen3"));
  BOOST_TEST(summary.lora.rank == 3);
  BOOST_TEST(summary.lora.alpha == 6.5);
  BOOST_TEST(summary.lora.attention);
  BOOST_TEST(!summary.lora.mlp);
  BOOST_TEST(summary.lora.unembed);
  BOOST_TEST(summary.lora.seed == 18446744073709551615U);
  BOOST_TEST(!summary.has_optimizer);
  BOOST_TEST(summary.step == 2);
  const training_summary of_peft = training_model::describe(golden_qwen3::directory("qwen3_adapter"));
  BOOST_TEST(of_peft.lora.rank == 3);
  BOOST_TEST(of_peft.lora.alpha == 12);
  BOOST_TEST((of_peft.lora.attention && of_peft.lora.mlp && of_peft.lora.unembed));
  BOOST_TEST(training_model::describe(golden_qwen3::directory("qwen3")).lora.rank == 0);
  BOOST_CHECK_EXCEPTION(training_model::describe(temporary.path), gradwire::error, is_config);
}

BOOST_AUTO_TEST_CASE(a_state_that_does_not_fit_changes_nothing) {
  const temporary_folder temporary;
  const frozen_model base = golden_model();
  training_model model(base, {.rank = 3}), full(base, {.rank = 0}), wider(base, {.rank = 4});
  training_model part(base, {.rank = 3, .mlp = false});
  train(model, 2);
  model.save(temporary.path / "state", {.optimizer = false});
  for (training_model* other : {&full, &wider, &part}) {
    const auto before = other->forward(file().examples());
    BOOST_CHECK_EXCEPTION(other->load(temporary.path / "state", false), gradwire::error, is_config);
    BOOST_TEST(other->forward(file().examples()) == before);
  }
  const auto before = model.forward(file().examples());
  BOOST_CHECK_EXCEPTION(model.load(temporary.path / "state", true), gradwire::error, is_config);  // no optimizer in it
  BOOST_CHECK_EXCEPTION(model.load(temporary.path / "nothing", true), gradwire::error, is_config);
  filesystem::resize_file(temporary.path / "state" / "adapter_model.safetensors", 2000);
  BOOST_CHECK_EXCEPTION(model.load(temporary.path / "state", false), gradwire::error, is_config);
  BOOST_TEST(model.forward(file().examples()) == before);
}

BOOST_AUTO_TEST_CASE(an_existing_name_is_kept) {
  const temporary_folder temporary;
  training_model model(golden_model(), {.rank = 3});
  model.save(temporary.path / "state");
  const training_model first(model.snapshot(), {.rank = 0});
  train(model, 1);
  const auto names_the_place = [](const gradwire::error& e) {
    return e.kind() == gradwire::errc::config && std::string(e.what()).find("already") != std::string::npos;
  };
  BOOST_CHECK_EXCEPTION(model.save(temporary.path / "state"), gradwire::error, names_the_place);
  BOOST_CHECK_EXCEPTION(model.snapshot().save(temporary.path / "state"), gradwire::error, names_the_place);
  training_model loaded(golden_model(), {.rank = 3});
  loaded.load(temporary.path / "state", true);
  BOOST_TEST(loaded.forward(file().examples()) == first.forward(file().examples()));
  model.save(temporary.path / "state", {.overwrite = true});
  loaded.load(temporary.path / "state", true);
  check_same(loaded, model);
  BOOST_TEST(entries(temporary.path) == 1U);  // nothing left beside it
}

BOOST_AUTO_TEST_CASE(a_directory_appears_whole_or_not_at_all) {
  const temporary_folder temporary;
  {
    staged_directory staged(temporary.path / "deep" / "er" / "name", false);
    staged.write_text("a", "text");
    BOOST_TEST(!filesystem::exists(temporary.path / "deep" / "er" / "name"));
    BOOST_TEST(entries(temporary.path / "deep" / "er") == 1U);
  }  // not committed
  BOOST_TEST(entries(temporary.path / "deep" / "er") == 0U);
  {
    staged_directory one(temporary.path / "name/", false), other(temporary.path / "name", false);
    one.write_text("a", "one");
    other.write_text("a", "other");
    one.commit();
    BOOST_CHECK_EXCEPTION(other.commit(), gradwire::error, is_config);  // two writers: the first wins
  }
  BOOST_TEST(read_text(temporary.path / "name" / "a") == "one");
  BOOST_TEST(entries(temporary.path) == 2U);
  if (::geteuid() != 0) {
    filesystem::permissions(temporary.path / "deep", filesystem::perms::owner_read | filesystem::perms::owner_exec);
    BOOST_CHECK_EXCEPTION(staged_directory(temporary.path / "deep" / "no", false), gradwire::error, is_config);
    filesystem::permissions(temporary.path / "deep", filesystem::perms::owner_all);
  }
}

BOOST_AUTO_TEST_CASE(a_whole_model_and_an_adapter_over_its_base) {
  for (const char* name : {"qwen3", "qwen3_tied"})
    for (const int rank : {0, 3}) {
      const temporary_folder temporary;
      const frozen_model base = golden_model(name);
      training_model model(base, {.rank = rank});
      train(model, 3);
      const auto expected = model.forward(file().examples());
      model.snapshot().save(temporary.path / "merged");
      model.save(temporary.path / "state", {.optimizer = false});
      const frozen_model merged = frozen_model::load({.model = (temporary.path / "merged").string(), .threads = 2});
      BOOST_TEST(merged.forward(file().examples()) == expected);
      BOOST_TEST(base.with_checkpoint(temporary.path / "merged").forward(file().examples()) == expected);
      // The adapter may be merged by another product than in training; the last bits may differ.
      const auto over = base.with_checkpoint(temporary.path / "state").forward(file().examples());
      for (std::size_t i = 0; i < over.size(); ++i)
        for (std::size_t t = 0; t < over[i].size(); ++t) BOOST_TEST(std::abs(over[i][t] - expected[i][t]) < 1e-5);
      BOOST_TEST(merged.config().tie_word_embeddings == (rank == 0 && std::string(name) == "qwen3_tied"));
    }
}

BOOST_AUTO_TEST_CASE(shards) {
  const temporary_folder temporary;
  const frozen_model whole = golden_model();
  filesystem::copy(golden_qwen3::directory("qwen3"), temporary.path / "sharded");
  safetensors_file all(temporary.path / "sharded" / "model.safetensors");
  std::vector<std::vector<float>> values;
  std::vector<tensor_values> parts[2];
  std::string map;
  for (const auto& [name, entry] : all.entries()) {
    std::size_t size = 1;
    for (const std::int64_t extent : entry.shape) size *= static_cast<std::size_t>(extent);
    values.emplace_back(size);
    all.read(name, values.back());
    const std::size_t part = values.size() % 2;
    parts[part].push_back({name, entry.shape, values.back()});
    map += (map.empty() ? "" : ",") + ("\"" + name + "\":\"part-" + std::to_string(part) + ".safetensors\"");
  }
  for (int i : {0, 1})
    write_safetensors(temporary.path / "sharded" / ("part-" + std::to_string(i) + ".safetensors"), parts[i]);
  filesystem::remove(temporary.path / "sharded" / "model.safetensors");
  std::ofstream(temporary.path / "sharded" / "model.safetensors.index.json") << "{\"weight_map\":{" << map << "}}";
  const frozen_model sharded = frozen_model::load({.model = (temporary.path / "sharded").string(), .threads = 2});
  BOOST_TEST(sharded.forward(file().examples()) == whole.forward(file().examples()));
}

BOOST_AUTO_TEST_CASE(directories_that_are_no_model) {
  const temporary_folder temporary;
  const auto load = [&](const std::string& name) { frozen_model::load({.model = name, .threads = 1}); };
  const auto says = [](const std::string& words) {
    return [words](const gradwire::error& e) {
      BOOST_TEST_MESSAGE(e.what());
      return e.kind() == gradwire::errc::config && std::string(e.what()).find(words) != std::string::npos;
    };
  };
  BOOST_CHECK_EXCEPTION(load("gpt-17"), gradwire::error, says("unknown model 'gpt-17'"));
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("cannot read"));
  const std::string good = read_text(golden_qwen3::path_of_config());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    std::ofstream(temporary.path / "config.json", std::ios::trunc) << text;
  };
  const auto weights = [&](const std::string& from) {
    filesystem::copy_file(golden_qwen3::directory("qwen3") + "/" + from, temporary.path / from,
                          filesystem::copy_options::overwrite_existing);
  };
  with("\"qwen3\"", "\"qwen3\" nonsense");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("config.json: not valid JSON"));
  with("\"qwen3\"", "\"llama\"");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("model_type is 'llama'"));
  with("\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("'yarn' is not supported"));
  with("\"use_sliding_window\": false", "\"use_sliding_window\": true");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("use_sliding_window"));
  with("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("does not divide"));
  with("\"head_dim\": 12", "\"head_dim\": \"12\"");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("'head_dim' must be a number"));
  with("\"hidden_size\": 32", "\"hidden_size\": 0");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("hidden_size is 0"));
  with("\"hidden_size\": 32", "\"hidden_size\": 32");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("there is no model.safetensors"));
  weights("model.safetensors");
  load(temporary.path.string());
  with("\"hidden_size\": 32", "\"hidden_size\": 16");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("is [64, 32], the model needs [64, 16]"));
  with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
  BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("no tensor 'model.layers.2."));
  const std::string whole = read_text(temporary.path / "model.safetensors");
  with("\"hidden_size\": 32", "\"hidden_size\": 32");
  for (const std::size_t length : {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() - 1}) {
    std::ofstream(temporary.path / "model.safetensors", std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    BOOST_CHECK_EXCEPTION(load(temporary.path.string()), gradwire::error, says("model.safetensors"));
  }
}

BOOST_AUTO_TEST_CASE(half_and_double_values) {
  const temporary_folder temporary;
  const std::filesystem::path path = temporary.path / "x.safetensors";
  std::string header =
      R"({"h":{"dtype":"F16","shape":[6],"data_offsets":[0,12]},"d":{"dtype":"F64","shape":[2],"data_offsets":[12,28]},)"
      R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[28,32]},"i":{"dtype":"I64","shape":[1],"data_offsets":[32,40]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  const std::uint16_t half[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x3555, 0x0000}, brain[] = {0x3F80, 0xC049};
  const double wide[] = {0.1, -2.5};
  const std::int64_t whole[] = {7};
  std::ofstream out(path, std::ios::binary);
  const auto put = [&](const auto& value) { out.write(reinterpret_cast<const char*>(&value), sizeof(value)); };
  put(length);
  out << header;
  put(half), put(wide), put(brain), put(whole);
  out.close();
  safetensors_file file(path);
  std::vector<float> h(6), d(2), b(2), i(1);
  file.read("h", h), file.read("d", d), file.read("b", b);
  BOOST_TEST(h == (std::vector<float>{1, -2, 0x1p-24F, INFINITY, 0.333251953125F, 0}));
  BOOST_TEST(d == (std::vector<float>{0.1F, -2.5F}));
  BOOST_TEST(b == (std::vector<float>{1, -3.140625F}));
  BOOST_CHECK_EXCEPTION(file.read("i", i), gradwire::error, is_config);
}

BOOST_AUTO_TEST_SUITE_END()
