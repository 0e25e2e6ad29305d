// SPDX-License-Identifier: Apache-2.0
// The catalogue against the page of training shapes: every row of the page stands here as data.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <gradwire/loopback/platform/catalogue.hpp>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../support/temporary_folder.hpp"

using namespace gradwire;
using loopback::hosting::catalogue;

BOOST_AUTO_TEST_SUITE(shapes_of_the_page)

constexpr std::int64_t k = 1024;

struct listed {
  std::string context{};                     // as the page writes it
  std::int64_t count = 0;                    // accelerators
  std::optional<std::string> accelerator{};  // nothing where the page names none
};

struct page_row {
  std::string family{}, title{}, model{};
  listed policy{};
  std::optional<listed> reference{};  // nothing: "None"
  std::optional<listed> lora{};
};

const std::vector<page_row> page = {
    {"Qwen3 (Dense)", "Qwen3 4B", "qwen3-4b", {"65k", 1, "H200"}, listed{"65k", 1, "H200"}, {}},
    {"Qwen3 (Dense)", "Qwen3 8B", "qwen3-8b", {"128k", 4, "H200"}, listed{"128k", 4, "H200"}, {}},
    {"Qwen3 (Dense)", "Qwen3 32B", "qwen3-32b", {"65k", 8, "B200"}, listed{"65k", 4, "B200"}, {}},
    {"Qwen3 (Mixture-of-Experts)",
     "Qwen3 30B A3B",
     "qwen3-30b-a3b-instruct-2507",
     {"131k", 8, {}},
     listed{"131k", 4, {}},
     {}},
    {"Qwen3 (Mixture-of-Experts)",
     "Qwen3 235B",
     "qwen3-235b-a22b-instruct-2507",
     {"128k", 8, "B200"},
     listed{"128k", 8, "B200"},
     {}},
    {"Qwen3 VL", "Qwen3 VL 8B", "qwen3-vl-8b-instruct", {"65k", 4, "H200"}, {}, {}},
    {"Llama 3", "Llama 70B", "llama-v3p3-70b-instruct", {"128k", 8, "B200"}, listed{"128k", 4, "B200"}, {}},
    {"Kimi",
     "Kimi 2.5 Text-Only",
     "kimi-k2p5",
     {"256k", 8, "B200"},
     listed{"256k", 8, "B200"},
     listed{"80k", 8, "B300"}},
};

std::int64_t tokens(const std::string& context) {
  if (context == "65k") return 64 * k;
  if (context == "80k") return 80 * k;
  if (context == "128k" || context == "131k") return 128 * k;
  if (context == "256k") return 256 * k;
  BOOST_FAIL("the page has no context '" << context << "'");
  return 0;
}

const loopback::hosting::catalogue_shape* of(const catalogue& shapes, const std::string& model, const char* role) {
  const loopback::hosting::catalogue_shape* found = nullptr;
  for (const auto& each : shapes.shapes())
    if (each.role == role && each.versions.at(0).snapshot.base_model == model) {
      BOOST_TEST(found == nullptr, model << " has two shapes for " << role);
      found = &each;
    }
  return found;
}

void check(const catalogue& shapes, const page_row& row, const char* role, const listed& wanted, const char* mode) {
  const auto* shape = of(shapes, "accounts/fireworks/models/" + row.model, role);
  BOOST_REQUIRE_MESSAGE(shape != nullptr, row.title << " has no shape for " << role);
  BOOST_TEST(shape->title == row.title);
  for (const auto& version : shape->versions) {
    const auto& has = version.snapshot;
    BOOST_TEST_CONTEXT(version.name) {
      BOOST_TEST(has.max_supported_context_length == tokens(wanted.context));
      BOOST_TEST(has.accelerator_count == wanted.count);
      BOOST_TEST(has.node_count == 1);
      BOOST_TEST(has.trainer_mode.name == mode);
      BOOST_TEST(!has.trainer_image_tag.empty());
      BOOST_TEST(has.deployment_shape_version.empty() == (std::string(role) == "reference"));
      BOOST_TEST(version.public_);
      const std::string json = wire::platform::to_json(version);
      if (wanted.accelerator) {
        const std::string type = *wanted.accelerator == "H200"   ? "NVIDIA_H200_141GB"
                                 : *wanted.accelerator == "B200" ? "NVIDIA_B200_180GB"
                                                                 : "NVIDIA_B300_288GB";
        BOOST_TEST(has.accelerator_type == type);
      } else {
        BOOST_TEST(json.find("acceleratorType") == json.npos, "the page names no accelerator here");
      }
    }
  }
}

// The page's row of that number, counted from 0, and no shape of its model that the page does not list.
void check_row(std::size_t number) {
  const catalogue shapes({});
  const page_row& row = page.at(number);
  BOOST_TEST_CONTEXT(row.title) {
    const auto& model = shapes.models().at(number);  // in the page's order
    BOOST_TEST(model.name == "accounts/fireworks/models/" + row.model);
    BOOST_TEST(model.family == row.family);
    BOOST_TEST(model.title == row.title);
    BOOST_TEST(model.has_reference == row.reference.has_value());
    check(shapes, row, "policy", row.policy, "POLICY_TRAINER");
    if (row.reference) check(shapes, row, "reference", *row.reference, "FORWARD_ONLY");
    if (row.lora) check(shapes, row, "lora", *row.lora, "LORA_TRAINER");
    std::size_t count = 0;
    for (const auto& each : shapes.shapes()) count += each.versions.at(0).snapshot.base_model == model.name;
    BOOST_TEST(count == 1u + row.reference.has_value() + row.lora.has_value());
  }
}

BOOST_AUTO_TEST_CASE(A34_qwen3_4b) { check_row(0); }
BOOST_AUTO_TEST_CASE(A35_qwen3_8b) { check_row(1); }
BOOST_AUTO_TEST_CASE(A36_qwen3_32b) { check_row(2); }
BOOST_AUTO_TEST_CASE(A37_qwen3_30b_a3b_without_an_accelerator) { check_row(3); }
BOOST_AUTO_TEST_CASE(A38_qwen3_235b) { check_row(4); }
BOOST_AUTO_TEST_CASE(A39_qwen3_vl_8b_without_a_reference) {
  check_row(5);
  BOOST_TEST((of(catalogue({}), "accounts/fireworks/models/qwen3-vl-8b-instruct", "reference") == nullptr));
}
BOOST_AUTO_TEST_CASE(A40_llama_70b) { check_row(6); }
BOOST_AUTO_TEST_CASE(A41_kimi_policy_and_reference) { check_row(7); }
BOOST_AUTO_TEST_CASE(A42_kimi_has_a_lora_trainer_too) {
  const catalogue shapes({});
  const auto* lora = of(shapes, "accounts/fireworks/models/kimi-k2p5", "lora");
  BOOST_REQUIRE(lora != nullptr);
  check(shapes, page.at(7), "lora", *page.at(7).lora, "LORA_TRAINER");
  BOOST_TEST(lora->versions.at(0).snapshot.max_supported_context_length == 81920);
}

BOOST_AUTO_TEST_CASE(the_whole_page_and_nothing_else) {
  const catalogue shapes({});
  BOOST_TEST(shapes.models().size() == page.size());
  BOOST_TEST(shapes.shapes().size() == 16u);  // 8 policies, 7 references, 1 LoRA trainer
}

BOOST_AUTO_TEST_CASE(the_page_names_one_id_and_the_others_are_marked_as_ours) {
  const catalogue shapes({});
  std::set<std::string> of_the_page;
  for (const auto& each : shapes.shapes())
    if (each.page_id) of_the_page.insert(each.name);
  BOOST_TEST((of_the_page == std::set<std::string>{"accounts/fireworks/trainingShapes/qwen3-8b-128k-h200"}));
}

BOOST_AUTO_TEST_CASE(a_shape_has_one_latest_validated_version) {
  const catalogue shapes({});
  for (const auto& each : shapes.shapes()) {
    int latest = 0;
    for (const auto& version : each.versions) {
      latest += version.latest_validated;
      BOOST_TEST((!version.latest_validated || version.validated));
    }
    BOOST_TEST(latest == 1, each.name);
    BOOST_TEST(shapes.find_version(each.name)->latest_validated);
  }
  const std::string name = "accounts/fireworks/trainingShapes/qwen3-8b-128k-h200";
  BOOST_TEST(shapes.find_version(name)->name == name + "/versions/v2");  // v3 is not validated
  BOOST_TEST(shapes.find_version(name + "/versions/v3")->snapshot.deployment_shape_version.ends_with("/versions/v3"));
}

BOOST_AUTO_TEST_CASE(the_file_is_what_the_platform_has_built_in) {
  std::ifstream file(GRADWIRE_TEST_DATA "/../../examples/support/training_shapes.json", std::ios::binary);
  BOOST_REQUIRE(file.good());
  const std::string text(std::istreambuf_iterator<char>(file), {});
  BOOST_TEST((text == loopback::training_shapes_json), "loopback_platform --print-catalogue writes the file anew");
}

BOOST_AUTO_TEST_CASE(a_catalogue_of_ones_own) {
  const temporary_folder folder;
  const auto path = folder.path / "mine.json";
  const auto with = [&](const std::string& text) {
    std::ofstream(path) << text;
    return catalogue(path);
  };
  const auto mine = with(R"({"account":"me","versions":[{"id":"a","validated":true}],"models":[{"title":"M",
      "model":"accounts/me/models/m","policy":{"id":"m-1k","maxSupportedContextLength":1024,"acceleratorCount":2},
      "reference":null}]})");
  BOOST_TEST(mine.shapes().size() == 1u);
  BOOST_TEST(mine.find_version("accounts/me/trainingShapes/m-1k")->name ==
             "accounts/me/trainingShapes/m-1k/versions/a");
  const auto said = [&](const std::string& text) -> std::string {
    try {
      with(text);
    } catch (const error& wrong) {
      BOOST_TEST((wrong.kind() == errc::config));
      return wrong.what();
    }
    return {};
  };
  BOOST_TEST(said("{}").find("models") != std::string::npos);
  BOOST_TEST(said("[").find("mine.json") != std::string::npos);
  BOOST_TEST(said(R"({"models":[{"model":"m"}]})").find("'m' is no name") != std::string::npos);
  BOOST_TEST(said(R"({"models":[{"model":"accounts/a/models/m","policy":{"id":"Big"}}]})").find("'Big'") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
