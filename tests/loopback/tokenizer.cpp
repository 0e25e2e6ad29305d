// SPDX-License-Identifier: Apache-2.0
// The byte tokenizer, the model's configuration and the built-in model. That transformers gives the same ids is checked
// in tests/conformance.
#include <boost/test/unit_test.hpp>

#include <cmath>

#include <gradwire/loopback/training.hpp>

namespace {
using namespace gradwire::loopback;
}

BOOST_AUTO_TEST_SUITE(tokenizer)

BOOST_AUTO_TEST_CASE(bytes_are_their_own_ids) {
  const byte_tokenizer tokenizer;
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::vector<std::int32_t> ids = tokenizer.encode(every);
  for (int byte = 0; byte < 256; ++byte) BOOST_TEST(ids[std::size_t(byte)] == byte);
  BOOST_TEST(tokenizer.decode(ids) == every);
  BOOST_TEST(tokenizer.encode("\xC3\xA4") == (std::vector<std::int32_t>{0xC3, 0xA4}));
  BOOST_TEST(tokenizer.encode("").empty());
}

BOOST_AUTO_TEST_CASE(special_tokens) {
  const byte_tokenizer tokenizer;
  BOOST_TEST(tokenizer.encode("a<|im_end|>b<|endoftext|>") == (std::vector<std::int32_t>{'a', 258, 'b', 256}));
  BOOST_TEST(tokenizer.encode("<|im_en").size() == 7U);
  BOOST_TEST(tokenizer.id("<|im_start|>") == 257);
  BOOST_TEST(tokenizer.id("<|pad|>") == 259);
  BOOST_TEST(tokenizer.id("<|no|>") == -1);
  const std::vector<std::int32_t> ids{'x', 257, 'y', 300, -1, 258};
  BOOST_TEST(tokenizer.decode(ids) == "x<|im_start|>y<|im_end|>");
  BOOST_TEST(tokenizer.decode(ids, true) == "xy");
}

BOOST_AUTO_TEST_CASE(its_file_is_read_back) {
  const byte_tokenizer tokenizer;
  const auto parsed = byte_tokenizer::parse(tokenizer.tokenizer_json());
  BOOST_REQUIRE(parsed.has_value());
  BOOST_TEST((parsed->special_tokens() == tokenizer.special_tokens()));
  BOOST_TEST(parsed->tokenizer_json() == tokenizer.tokenizer_json());
  // other tokenizers are not taken for it
  std::string swapped = tokenizer.tokenizer_json();
  const std::size_t at = swapped.find("\"a\":97");
  BOOST_REQUIRE(at != std::string::npos);
  swapped.replace(at, 6, "\"a\":98");
  BOOST_TEST(!byte_tokenizer::parse(swapped).has_value());
  std::string merged = tokenizer.tokenizer_json();
  merged.replace(merged.find("\"merges\":["), 10, "\"merges\":[\"a b\"");
  BOOST_TEST(!byte_tokenizer::parse(merged).has_value());
  BOOST_TEST(!byte_tokenizer::parse(R"({"model":{"type":"WordPiece","vocab":{}},"added_tokens":[]})").has_value());
}

BOOST_AUTO_TEST_CASE(configuration_is_read_back) {
  model_config config = tiny_config();
  config.rope_theta = 1e6;
  config.rms_norm_eps = 1e-5;
  config.tie_word_embeddings = true;
  const model_config read = parse_model_config(to_json(config));
  BOOST_TEST(to_json(read) == to_json(config));
  BOOST_TEST(read.rope_theta == 1e6);
  BOOST_TEST(read.rms_norm_eps == 1e-5);
  BOOST_TEST(read.tie_word_embeddings);
  BOOST_TEST(read.eos_token_ids == config.eos_token_ids);
}

BOOST_AUTO_TEST_CASE(the_built_in_model) {
  const frozen_model a = frozen_model::load({.seed = 1, .threads = 1}),
                     b = frozen_model::load({.seed = 1, .threads = 2});
  const frozen_model c = frozen_model::load({.seed = 2, .threads = 1});
  BOOST_TEST(a.name() == "gradwire/tiny");
  BOOST_TEST(a.threads() == 1);
  BOOST_TEST(b.threads() == 2);
  BOOST_TEST((a.linear_algebra() == linear_algebra::eigen || a.linear_algebra() == linear_algebra::xtensor_blas));
  BOOST_TEST(a.config().vocab_size >= 260);
  BOOST_TEST(a.config().eos_token_ids == (std::vector<std::int32_t>{258, 256}));
  const std::vector<std::int32_t> ids = a.tokenizer().encode("2+2=4<|im_end|>");
  const std::vector<std::int64_t> targets(ids.size(), '4');
  const example given{ids, targets};
  BOOST_TEST(a.forward({&given, 1}) == b.forward({&given, 1}));
  BOOST_TEST(a.forward({&given, 1}) != c.forward({&given, 1}));
  // nearly uniform at first
  const example_logprobs logprobs = a.forward({&given, 1});
  for (const float logprob : logprobs[0]) BOOST_TEST(std::abs(logprob + std::log(float(a.config().vocab_size))) < 1.5F);
}

BOOST_AUTO_TEST_SUITE_END()
