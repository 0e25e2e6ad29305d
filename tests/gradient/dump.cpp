// SPDX-License-Identifier: Apache-2.0
// The table of a loss's tokens, read back: every column against numbers worked out by hand.
#include <gradwire/gradient/dump.hpp>
#include <gradwire/loss.hpp>

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>

using namespace gradwire;
using namespace gradwire::fields;

namespace {

using doubles = std::vector<double>;
using table = std::vector<std::map<std::string, std::string>>;

table read_csv(const std::string& text) {
  std::istringstream lines(text);
  std::string line, cell;
  std::vector<std::string> head;
  std::getline(lines, line);
  for (std::istringstream cells(line); std::getline(cells, cell, ',');) head.push_back(cell);
  table rows;
  while (std::getline(lines, line)) {
    rows.emplace_back();
    std::size_t i = 0;
    for (std::istringstream cells(line); std::getline(cells, cell, ','); ++i) rows.back()[head.at(i)] = cell;
    BOOST_TEST(i == head.size());
  }
  return rows;
}
double read_number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

struct small_loss {
  constexpr auto operator()() const {
    auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
    auto gain = let<"gain">(ratio * advantage);
    auto spread = square(logprobs - old_logprobs);
    return objective(mean_over_sequences(mean_over_tokens(-gain)) + 0.5 * mean_over_all_tokens(spread),
                     metric<"ratio">(mean_over_all_tokens(ratio)),
                     metric<"far">(mean_over_all_tokens(abs(ratio - 1) > 0.2)),
                     metric<"length">(mean_over_sequences(sum_over_tokens(1.0))));
  }
};

// Two sequences of a group and one of another; the second token of the first is masked.
template <class T>
auto three_rows() {
  datum a{prompt({100, 101, 102}), weights = {1.0, 0.0}, logprobs = {-1.5, -2.0}, old_logprobs = {-1.0, -1.0},
          advantage = 1.0};
  datum b{prompt({200, 201}), weights = {2.0}, logprobs = {-0.25}, old_logprobs = {-0.25}, advantage = -0.5};
  datum c{prompt({300, 301}), weights = {1.0}, logprobs = {-0.1}, old_logprobs = {-0.1}, advantage = 3.0};
  return batch_of<T>(std::vector{group(a, b), group(c)});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dump_of_tokens)

BOOST_AUTO_TEST_CASE(csv_has_every_token_and_every_name) {
  const std::string text = dump(small_loss{}, at(three_rows<double>()), dump_format::csv);
  BOOST_TEST(text.substr(0, text.find('\n')) ==
             "datum,group,position,token,weight,logprobs,old_logprobs,advantage,ratio,gain,loss,loss.2,metric.ratio,"
             "metric.far,metric.length,gradient");
  const auto rows = read_csv(text);
  BOOST_REQUIRE(rows.size() == 4u);
  const auto is = [&](std::size_t i, const char* name, double expected) {
    BOOST_TEST_CONTEXT("row " << i << ", " << name)
    BOOST_TEST(read_number(rows[i].at(name)) == expected, boost::test_tools::tolerance(1e-14));
  };
  const doubles datums{0, 0, 1, 2}, groups{0, 0, 0, 1}, positions{0, 1, 0, 0}, ids{101, 102, 201, 301},
      masks{1, 0, 2, 1}, differences{-0.5, -1, 0, 0}, advantages{1, 1, -0.5, 3};
  // dL/dl = −r·A/3 (one counted token a sequence, three sequences) + w·(l − old)/4, masked: 0
  const doubles slopes{-std::exp(-0.5) / 3 - 0.125, 0, 0.5 / 3, -1};
  for (std::size_t i = 0; i < 4; ++i) {
    is(i, "datum", datums[i]);
    is(i, "group", groups[i]);
    is(i, "position", positions[i]);
    is(i, "token", ids[i]);
    is(i, "weight", masks[i]);
    is(i, "advantage", advantages[i]);
    is(i, "ratio", std::exp(differences[i]));
    is(i, "gain", std::exp(differences[i]) * advantages[i]);
    is(i, "loss", -std::exp(differences[i]) * advantages[i]);
    is(i, "loss.2", differences[i] * differences[i]);
    is(i, "metric.ratio", std::exp(differences[i]));
    is(i, "metric.far", differences[i] < 0);
    is(i, "metric.length", 1);
    is(i, "gradient", slopes[i]);
  }
}

BOOST_AUTO_TEST_CASE(jsonl_is_one_object_a_line_with_the_same_numbers) {
  const auto data = three_rows<double>();
  const auto rows = read_csv(dump(small_loss{}, at(data), dump_format::csv));
  std::istringstream lines(dump(small_loss{}, at(data), dump_format::jsonl));
  std::string line;
  std::size_t i = 0;
  for (; std::getline(lines, line); ++i) {
    const auto object = boost::json::parse(line).as_object();
    BOOST_TEST(object.size() == rows.at(i).size());
    for (const auto& [name, value] : object)
      BOOST_TEST(value.to_number<double>() == read_number(rows[i].at(std::string(name))),
                 boost::test_tools::tolerance(1e-15));
  }
  BOOST_TEST(i == 4u);
}

BOOST_AUTO_TEST_CASE(numbers_read_back_the_same) {
  const double x = -0.1, y = -1.0 / 3, tiny = -4.9406564584124654e-324;
  datum d{prompt({1, 2, 3, 4}), weights = {1.0, 1.0, 1.0}, logprobs = {x, y, tiny}};
  const auto rows = read_csv(dump(mean_over_all_tokens(-logprobs), at(batch_of<double>(d)), dump_format::csv));
  BOOST_TEST(read_number(rows[0].at("logprobs")) == x);
  BOOST_TEST(rows[0].at("logprobs") == "-0.1");
  BOOST_TEST(read_number(rows[1].at("logprobs")) == y);
  BOOST_TEST(read_number(rows[2].at("logprobs")) == tiny);
  const auto floats = read_csv(dump(mean_over_all_tokens(-logprobs), at(batch_of<float>(d)), dump_format::csv));
  BOOST_TEST(floats[0].at("logprobs") == "-0.1");  // the shortest text of the float, not of the double nearest to it
  BOOST_TEST(std::strtof(floats[1].at("logprobs").c_str(), nullptr) == static_cast<float>(y));
}

BOOST_AUTO_TEST_CASE(what_is_not_finite_is_said_in_either_format) {
  datum d{prompt({1, 2, 3}), weights = {0.0, 1.0}, logprobs = {800.0, -1.0}, old_logprobs = {-1.0, -1.0}};
  auto ratio = let<"ratio">(exp(logprobs - old_logprobs));
  auto loss = mean_over_all_tokens(let<"odd">(ratio - ratio));
  const auto data = batch_of<double>(d);
  const auto rows = read_csv(dump(loss, at(data), dump_format::csv));
  BOOST_TEST(rows[0].at("ratio") == "inf");
  BOOST_TEST(rows[0].at("odd") == "nan");
  BOOST_TEST(rows[1].at("odd") == "0");
  const std::string lines = dump(loss, at(data), dump_format::jsonl);
  const auto first = boost::json::parse(lines.substr(0, lines.find('\n'))).as_object();
  BOOST_TEST(first.at("ratio").is_null());
  BOOST_TEST(first.at("odd").is_null());
  BOOST_TEST(first.at("not_finite").as_string() == "ratio is inf, odd is nan, loss is nan");
  const auto second = boost::json::parse(lines.substr(lines.find('\n') + 1)).as_object();
  BOOST_TEST(!second.contains("not_finite"));
}

// DPO: the loss of a pair is no sum over tokens, so the pair's value stands at each of its tokens.
BOOST_AUTO_TEST_CASE(a_value_of_a_pair_is_repeated_at_its_tokens) {
  datum c{prompt({100, 101, 102}), weights = {1.0, 1.0}, logprobs = {-1.0, -2.0}, ref_logprobs = {-1.5, -2.0}};
  datum r{prompt({200, 201}), weights = {1.0}, logprobs = {-1.0}, ref_logprobs = {-1.25}};
  auto log_ratio = sum_over_tokens(logprobs - ref_logprobs);
  auto margin = let<"margin">(2.0 * (chosen(log_ratio) - rejected(log_ratio)));  // 2·(0.5 − 0.25)
  const auto rows = read_csv(dump(mean_over_pairs(-log_sigmoid(margin)),
                                  at(batch_of<double>(group(chosen(c), rejected(r)))), dump_format::csv));
  BOOST_REQUIRE(rows.size() == 3u);
  for (const auto& row : rows) {
    BOOST_TEST(read_number(row.at("margin")) == 0.5, boost::test_tools::tolerance(1e-15));
    BOOST_TEST(read_number(row.at("loss")) == std::log1p(std::exp(-0.5)), boost::test_tools::tolerance(1e-15));
  }
}

BOOST_AUTO_TEST_CASE(candidates_are_arrays_or_numbered_columns) {
  datum d{prompt({7, 11, 12}), weights = {1.0, 1.0}, candidates = matrix(std::vector<int>{11, 21, 12, 22}, 2),
          candidate_logprobs = matrix(doubles{-1, -2, -3, -4}, 2)};
  const auto data = batch_of<double>(d);
  auto loss = mean_over_all_tokens(sum_over_candidates(let<"twice">(2.0 * candidate_logprobs)));
  const auto rows = read_csv(dump(loss, wrt(candidate_logprobs), at(data), dump_format::csv));
  BOOST_TEST(rows[1].at("candidates.1") == "22");
  BOOST_TEST(read_number(rows[1].at("candidate_logprobs.0")) == -3.0);
  BOOST_TEST(read_number(rows[1].at("twice.1")) == -8.0);
  BOOST_TEST(read_number(rows[0].at("loss")) == -6.0);
  BOOST_TEST(read_number(rows[0].at("gradient.1")) == 1.0);
  const std::string lines = dump(loss, wrt(candidate_logprobs), at(data), dump_format::jsonl);
  const auto first = boost::json::parse(lines.substr(0, lines.find('\n'))).as_object();
  BOOST_TEST(first.at("candidates").as_array().at(1).to_number<int>() == 21);
  BOOST_TEST(first.at("twice").as_array().at(1).to_number<double>() == -4.0);
  BOOST_TEST(first.at("gradient").as_array().size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_let_that_is_called_like_another_column_is_told_apart) {
  const auto data = three_rows<double>();
  const auto rows = read_csv(
      dump(mean_over_all_tokens(let<"token">(-logprobs)) + sum_over_all_tokens(let<"logprobs">(2.0 * logprobs)),
           at(data), dump_format::csv));
  BOOST_TEST(read_number(rows[0].at("token")) == 101.0);
  BOOST_TEST(read_number(rows[0].at("let.token")) == 1.5);
  BOOST_TEST(read_number(rows[0].at("logprobs")) == -1.5);
  BOOST_TEST(read_number(rows[0].at("let.logprobs")) == -3.0);
}

BOOST_AUTO_TEST_CASE(it_goes_into_a_file) {
  const auto data = three_rows<double>();
  const std::string path = "dump_of_tokens.jsonl";
  dump(small_loss{}, at(data), dump_format::jsonl, path);
  std::ifstream file(path, std::ios::binary);
  std::stringstream read;
  read << file.rdbuf();
  BOOST_TEST(read.str() == dump(small_loss{}, at(data), dump_format::jsonl));
  std::remove(path.c_str());
  try {
    dump(small_loss{}, at(data), dump_format::csv, "no/such/folder/x.csv");
    BOOST_ERROR("nothing thrown");
  } catch (const error& e) {
    BOOST_TEST((e.kind() == errc::config));
    BOOST_TEST(std::string(e.what()).find("no/such/folder/x.csv") != std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()
