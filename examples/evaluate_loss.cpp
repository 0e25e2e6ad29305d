// SPDX-License-Identifier: Apache-2.0
// Every loss of the library from the command line, in double: value, gradient and metrics on a batch in a JSON file,
// and what there is to know about a loss. docs/evaluate_loss.md describes options and files. There is no list of losses
// here: the catalogue is read from their headers.
#include <gradwire/gradient/check_gradient.hpp>
#include <gradwire/gradient/culprit.hpp>
#include <gradwire/gradient/difference.hpp>
#include <gradwire/gradient/gradient_metrics.hpp>

#include <boost/program_options.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <initializer_list>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "support/batch_file.hpp"
#include "support/catalogue.hpp"
#include "support/curve.hpp"
#include "support/pages.hpp"
#include "support/print.hpp"
#include "support/token_advantage.hpp"

namespace {

namespace options = boost::program_options;
using gradwire::errc;
using gradwire::error;

// a=0.1, b=true
catalogue::setting setting_of(const std::string& text) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos) throw error(errc::config, "--set " + text + ": write --set name=value");
  catalogue::setting result{text.substr(0, at), 0};
  const std::string value = text.substr(at + 1);
  if (value == "true" || value == "false") {
    result.value = value == "true";
  } else if (value == "inf") {
    result.value = __builtin_huge_val();
  } else {
    const char* const end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, result.value);
    if (read.ec != std::errc() || read.ptr != end)
      throw error(errc::config, "--set " + text + ": '" + value + "' is no number, true or false");
  }
  return result;
}

std::vector<double> values_for(const catalogue::row& of, const options::variables_map& given, const char* option) {
  std::vector<catalogue::setting> settings;
  if (given.count(option))
    for (const auto& text : given[option].as<std::vector<std::string>>()) settings.push_back(setting_of(text));
  return catalogue::values_with(of, settings);
}

catalogue::batch_table batch_for(const options::variables_map& given, bool for_estimator) {
  if (!given.count("batch")) throw error(errc::config, "give --batch FILE (- for standard input)");
  auto read = catalogue::read_batch(catalogue::read_file(given["batch"].as<std::string>()), for_estimator);
  for (const auto& key : read.ignored) std::cerr << "evaluate_loss: nothing reads \"" << key << "\", it is ignored\n";
  catalogue::add_constant_advantage(read.table);
  return std::move(read.table);
}

void write_to(const std::string& path, const std::string& text) {
  if (path == "-") {
    std::cout << text;
    return;
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw error(errc::config, "cannot write " + path);
}

// A loss on the batch of --batch, with what the tools need of it.
struct evaluated {
  catalogue::made_batch made;
  gradwire::formula::tree formula;
  gradwire::evaluation<double> result;

  evaluated(const catalogue::preset_row& loss, std::span<const double> values, const catalogue::batch_table& table)
      : made((catalogue::require_columns(loss, table), catalogue::make_batch(table, loss.pairs))),
        formula(loss.reflect(values)),
        result(loss.evaluate_with_metrics(values, made.batch)) {
    if (!catalogue::needs_token_advantage(loss, table)) return;
    formula = catalogue::with_token_advantage(formula);
    result = catalogue::interpret(formula, *loss.variable, made.batch);
  }
};

void draw_curve(const catalogue::preset_row& loss, std::span<const double> values,
                const options::variables_map& given) {
  const std::string axis = given["curve"].as<std::string>();
  if (axis != "ratio" && axis != "logprob") throw error(errc::config, "--curve " + axis + ": it is ratio or logprob");
  const auto curve = catalogue::curve_of(
      loss, values, axis == "ratio" ? catalogue::curve_axis::ratio : catalogue::curve_axis::logprob);
  if (given.count("svg")) write_to(given["svg"].as<std::string>(), catalogue::curve_svg(curve));
  if (given.count("csv") || !given.count("svg"))
    write_to(given.count("csv") ? given["csv"].as<std::string>() : "-", catalogue::curve_csv(curve));
}

void compare(const catalogue::preset_row& loss, const evaluated& here, const catalogue::batch_table& table,
             const options::variables_map& given) {
  const auto& other = catalogue::preset(given["diff"].as<std::string>());
  const auto other_values = values_for(other, given, "set-other");
  if (std::string_view(other.variable->name) != loss.variable->name)
    throw error(errc::config, std::string(loss.name) + " is differentiated by " + loss.variable->name + " and " +
                                  std::string(other.name) + " by " + other.variable->name);
  const evaluated there(other, other_values, table);
  if (there.made.row != here.made.row)
    throw error(errc::config,
                "the two losses group the batch differently; give it with \"pair\" and without \"group\"");
  std::cout << loss.name << " and " << other.name << "\n"
            << gradwire::difference(here.result.loss, here.result.slope, there.result.loss, there.result.slope,
                                    gradwire::at(here.made.batch));
}

// All that is asked for, in this order: explanation, curve, check, difference, dump. The value where a batch is given
// and none of the last three.
int run_loss(const catalogue::preset_row& loss, const options::variables_map& given) {
  const auto values = values_for(loss, given, "set");
  if (given.count("explain"))
    std::cout << (given.count("markdown") ? catalogue::explain_markdown(loss, values)
                                          : catalogue::explain_text(loss, values));
  if (given.count("curve")) draw_curve(loss, values, given);
  const bool of_batch = given.count("check") || given.count("diff") || given.count("dump");
  if (!of_batch && !given.count("batch") && (given.count("explain") || given.count("curve"))) return 0;
  const auto table = batch_for(given, false);
  const evaluated here(loss, values, table);
  const auto at = gradwire::at(here.made.batch);
  int status = 0;
  if (given.count("check")) {
    const auto found = gradwire::check_gradient(here.formula, here.result.loss, here.result.slope, loss.variable->name,
                                                at, {.most = given["most"].as<std::size_t>()});
    std::cout << found;
    status = found.ok() ? 0 : 1;
  }
  if (given.count("diff")) compare(loss, here, table, given);
  if (given.count("dump")) {
    const std::string path = given["dump"].as<std::string>();
    write_to(path, catalogue::dump_text(here.formula, loss, here.made.batch, here.result, path.ends_with(".csv")));
  }
  if (of_batch) return status;
  // What is not finite is explained; the numbers follow all the same.
  if (const auto culprit =
          gradwire::find_culprit(here.formula, here.result.loss, here.result.slope, loss.variable->name, at))
    std::cerr << *culprit;
  std::cout << catalogue::result_json(loss, values, here.made, here.result);
  return 0;
}

int run_estimator(const catalogue::estimator_row& estimator, const options::variables_map& given) {
  const auto values = values_for(estimator, given, "set");
  if (given.count("explain")) {
    std::cout << estimator.head << "\n";
    if (!given.count("batch")) return 0;
  }
  const auto table = batch_for(given, true);
  catalogue::require_columns(estimator, table);
  const auto made = catalogue::make_batch(table, false);
  std::cout << catalogue::advantage_json(estimator, values, made, estimator.evaluate(values, made.batch));
  return 0;
}

// What one option does without, or not with, another. Nothing that is asked for is dropped in silence.
void refuse_misfits(const options::variables_map& given) {
  const auto is_given = [&](const char* option) { return given.count(option) && !given[option].defaulted(); };
  const auto alone = [&](const char* option, std::initializer_list<std::string_view> with) {
    for (const auto& [other, value] : given)
      if (is_given(option) && other != option && !value.defaulted() &&
          std::find(with.begin(), with.end(), other) == with.end())
        throw error(errc::config,
                    std::string("--") + option + " and --" + other + " do not go together; ask for one of them");
  };
  alone("list", {"json", "text"});
  alone("write-docs", {});
  if (is_given("loss") && is_given("advantage"))
    throw error(errc::config, "--loss and --advantage do not go together; ask for one of them");
  for (const char* other : {"check", "diff", "dump", "curve", "markdown"})
    if (is_given("advantage") && is_given(other))
      throw error(errc::config, std::string("--advantage and --") + other +
                                    " do not go together: an estimator has values and no gradient");
  constexpr const char* needs[][2] = {{"markdown", "explain"}, {"svg", "curve"},  {"csv", "curve"},
                                      {"set-other", "diff"},   {"most", "check"}, {"json", "list"}};
  for (const auto& [option, needed] : needs)
    if (is_given(option) && !is_given(needed))
      throw error(errc::config,
                  std::string("--") + option + " says something about --" + needed + ", which is not there; give both");
}

// How wide a line may be: COLUMNS, the terminal's width, or 100 where the output goes elsewhere.
std::size_t columns() {
  if (const char* const asked = std::getenv("COLUMNS"))
    if (const long width = std::atol(asked); width > 0) return static_cast<std::size_t>(width);
  winsize window{};
  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
    return window.ws_col;
  return 100;
}

constexpr const char* usage = R"(evaluate_loss: every loss of gradwire on a batch in a file.

  evaluate_loss --list [TEXT] [--json]                           every loss and estimator: parameters, defaults, source;
                                                                 as wide as the terminal, or COLUMNS
  evaluate_loss --loss trl::grpo --set beta=0.04 --batch FILE    value, gradient and metrics as JSON
  evaluate_loss --loss trl::grpo --explain [--markdown]          formula, derivative, what it reads, divisors
  evaluate_loss --loss trl::grpo --batch FILE --check            the gradient against finite differences
  evaluate_loss --loss trl::grpo --batch FILE --diff verl::vanilla   two losses on one batch
  evaluate_loss --loss trl::grpo --batch FILE --dump FILE        every named value of every token, JSON lines or .csv
  evaluate_loss --loss trl::grpo --curve ratio --svg FILE        L and dL/dlogprob of one token
  evaluate_loss --advantage verl::rloo --batch FILE              advantages

--explain, --curve, --check, --diff and --dump may stand together: all are done, in this order.

)";

}  // namespace

int main(int count, char** words) {
  options::options_description all("Options");
  const auto text = [] { return options::value<std::string>(); };
  const auto texts = [] { return options::value<std::vector<std::string>>()->composing(); };
  options::options_description_easy_init add = all.add_options();
  add("help", "this text");
  add("list", "list losses and advantage estimators, or those with TEXT in name or comment");
  add("json", "the list as JSON");
  add("loss", text(), "a loss, by its name in the list");
  add("advantage", text(), "an advantage estimator, by its name in the list");
  add("set", texts(),
      "name=value, a parameter of the loss: a number, true or false; an offset is the distance from 1, a "
      "bound the threshold itself");
  add("set-other", texts(), "the same for the loss of --diff");
  add("batch", text(), "a JSON file, - for standard input; docs/evaluate_loss.md describes it");
  add("explain", "explain the loss");
  add("markdown", "the explanation as Markdown with LaTeX");
  add("check", "check the gradient against finite differences");
  add("most", options::value<std::size_t>()->default_value(4096), "values that --check looks at");
  add("diff", text(), "another loss to compare with");
  add("dump", text(), "a file for the values of every token, - for standard output");
  add("curve", text(), "ratio or logprob: L and its slope for one token, as CSV on standard output, or to:");
  add("svg", text(), "a file for the curve's picture");
  add("csv", text(), "a file for the curve's numbers");
  add("write-docs", text(), "a folder for the pages of all losses (docs/losses is made so)");
  try {
    options::variables_map given;
    options::options_description hidden = all;
    hidden.add_options()("text", text()->default_value(""));
    options::positional_options_description rest;
    rest.add("text", 1);
    options::store(options::command_line_parser(count, words).options(hidden).positional(rest).run(), given);
    options::notify(given);
    if (given.count("help")) {
      std::cout << usage << all;
      return 0;
    }
    refuse_misfits(given);
    if (given.count("write-docs")) {
      catalogue::write_pages(given["write-docs"].as<std::string>());
      return 0;
    }
    if (given.count("list")) {
      const std::string filter = given["text"].as<std::string>();
      std::cout << (given.count("json") ? catalogue::list_json(filter) : catalogue::list_text(filter, columns()));
      return 0;
    }
    if (!given["text"].as<std::string>().empty())
      throw error(errc::config, "what is " + given["text"].as<std::string>() + " for? A loss is given as --loss NAME");
    if (given.count("loss")) return run_loss(catalogue::preset(given["loss"].as<std::string>()), given);
    if (given.count("advantage"))
      return run_estimator(catalogue::estimator(given["advantage"].as<std::string>()), given);
    std::cerr << usage << all;
  } catch (const error& e) {
    std::cerr << e.what() << " [" << gradwire::to_string(e.kind()) << "]\n";
  } catch (const std::exception& e) {
    std::cerr << "evaluate_loss: " << e.what() << "\n";
  }
  return 2;
}
