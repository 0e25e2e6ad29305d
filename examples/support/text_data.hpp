// SPDX-License-Identifier: Apache-2.0
// Text to learn from: a plain text file is cut into windows, a file of JSON lines {"prompt": …, "response": …} gives an
// example a line. Errors name the file and the line.
#pragma once

#include <boost/json.hpp>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct text_example {
  std::string prompt, response;  // a window of plain text has no prompt
};

inline bool is_json_lines(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

inline std::string member(const boost::json::object& line, const char* name, const std::string& where) {
  const auto* found = line.if_contains(name);
  if (found == nullptr || !found->is_string())
    throw std::runtime_error(where + ": no text \"" + name +
                             R"(" in the line; each line is {"prompt": …, "response": …})");
  return std::string(found->as_string());
}

inline std::vector<text_example> read_examples(const std::string& path, std::size_t window) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<text_example> examples;
  if (!is_json_lines(text)) {
    for (std::size_t begin = 0; begin + 2 <= text.size(); begin += window)
      examples.push_back(
          {"", text.substr(begin, window + 1)});  // a byte more: the next window's first is a target here
  } else {
    std::size_t number = 0;
    for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
      end = std::min(text.find('\n', begin), text.size());
      ++number;
      const std::string_view line(text.data() + begin, end - begin);
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      const std::string where = path + ", line " + std::to_string(number);
      boost::json::error_code failed;
      const auto value = boost::json::parse({line.data(), line.size()}, failed);
      if (failed || !value.is_object()) throw std::runtime_error(where + ": this is not a JSON object");
      text_example example{member(value.as_object(), "prompt", where), member(value.as_object(), "response", where)};
      if (example.response.empty()) throw std::runtime_error(where + ": the response is empty");
      examples.push_back(std::move(example));
    }
  }
  if (examples.size() < 2)
    throw std::runtime_error(path + ": too little text to train and to validate on; " +
                             std::to_string(examples.size()) + " example(s) of up to " + std::to_string(window) +
                             " bytes");
  return examples;
}
