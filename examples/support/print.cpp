// SPDX-License-Identifier: Apache-2.0
#include "print.hpp"

#include <algorithm>
#include <gradwire/gradient/gradient_metrics.hpp>
#include <gradwire/gradient/report.hpp>
#include <utility>

namespace catalogue {
namespace {

namespace gw = gradwire;
using gw::extent;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}
std::string number(double value) {
  return value - value != 0 ? "null" : value == 0 ? "0" : gw::detail::exact(value);  // of the two zeros, one
}

template <class Values>
std::string numbers(const Values& values) {
  std::string out = "[";
  for (std::size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + number(values[i]);
  return out + "]";
}

// A column in the rows of the file, in its layout.
std::string rows_json(const gw::column<double>& of, const made_batch& made, const char* indent) {
  const auto& shape = of.shape();
  std::vector<std::string> rows(made.row.size());
  for (std::size_t s = 0; s < made.row.size(); ++s) {
    std::string& text = rows[made.row[s]];
    if (of.level() == extent::token) {
      text = numbers(of[s]);
    } else if (of.level() == extent::sequence) {
      text = number(of.data()[s]);
    } else {
      text = "[";
      for (std::size_t t = 0; t < shape.length[s]; ++t) {
        std::vector<double> each;
        for (std::size_t k = 0; k < shape.candidates(); ++k) each.push_back(of.plane(s, k)[t]);
        text += (t ? ", " : "") + numbers(each);
      }
      text += "]";
    }
  }
  std::string out = "[";
  for (std::size_t r = 0; r < rows.size(); ++r) out += (r ? "," : "") + std::string("\n") + indent + rows[r];
  return out + "]";
}

// JSON has no infinity, and a cap may be one.
std::string setting_json(double value) {
  return value - value == 0 ? number(value) : value > 0 ? "\"inf\"" : value < 0 ? "\"-inf\"" : "null";
}

std::string parameters_json(const row& of, std::span<const double> values) {
  std::string out = "{";
  for (std::size_t i = 0; i < values.size(); ++i) {
    out += (i ? ", " : "") + quoted(of.parameters[i].name) + ": ";
    out += of.parameters[i].what == kind::flag ? (values[i] != 0 ? "true" : "false") : setting_json(values[i]);
  }
  return out + "}";
}

std::string metrics_json(const std::vector<gw::metric_value>& metrics) {
  std::string out = "{";
  for (const auto& m : metrics) out += (&m == metrics.data() ? "" : ", ") + quoted(m.name) + ": " + number(m.value);
  return out + "}";
}

// The characters of a text in UTF-8.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool matches(const row& of, std::string_view filter) {
  for (const auto& text : {of.name, of.description, of.head})
    if (lower(text).find(lower(filter)) != std::string::npos) return true;
  return false;
}

// By source, in the order of the headers; the ones that the filter lets through.
template <class Row>
std::vector<const row*> sorted(std::span<const Row> of, std::string_view filter) {
  std::vector<const row*> rows;
  for (const Row& each : of)
    if (matches(each, filter)) rows.push_back(&each);
  std::stable_sort(rows.begin(), rows.end(), [](const row* a, const row* b) { return source_of(*a) < source_of(*b); });
  return rows;
}

// The words of a text in lines of at most `columns`; a longer word has a line of its own.
std::string wrapped(std::string_view text, std::size_t from, std::size_t indent, std::size_t columns) {
  std::string out;
  std::size_t at = from;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    begin = end + 1;
    if (out.empty() ? at > indent && at + width(word) > columns : at + 1 + width(word) > columns) {
      out.append("\n").append(indent, ' ');
      at = indent;
    } else if (!out.empty()) {
      out += ' ';
      ++at;
    }
    out += word;
    at += width(word);
  }
  return out;
}

// A heading a header; below it name and parameters of each row, and what it is, where that says more than the heading.
std::string list_of_rows(const std::vector<const row*>& rows, std::size_t columns) {
  std::size_t widest = 0;
  for (const row* each : rows)
    if (width(each->name) <= columns / 3) widest = std::max(widest, width(each->name));
  std::string out, last;
  for (const row* each : rows) {
    const auto title = title_of(*each);
    const std::string head = title.title + (title.source.empty() ? "" : " [" + title.source + "]");
    if (head != last) out += "\n" + wrapped(head, 0, 0, columns) + "\n";
    last = head;
    std::string line = "  " + std::string(each->name);
    std::string parameters;
    for (const auto& p : each->parameters)
      parameters += (parameters.empty() ? "" : " ") + std::string(p.name) + "=" + default_text(p);
    if (!parameters.empty()) {
      line.append(width(each->name) < widest ? widest + 2 - width(each->name) : 2, ' ');
      const std::size_t begins = width(line);
      line += wrapped(parameters, begins, begins > columns / 2 ? 6 : begins, columns);
    }
    out += line + "\n";
    const std::string description = one_line(each->description);
    if (!description.empty()) out += "      " + wrapped(description, 6, 6, columns) + "\n";
  }
  return out;
}

std::string row_json(const row& of) {
  const auto title = title_of(of);
  std::string out = "{\"name\": " + quoted(of.name) + ", \"source\": " + quoted(title.source) +
                    ", \"title\": " + quoted(title.title) + ", \"description\": " + quoted(one_line(of.description)) +
                    ", \"header\": " + quoted(of.header) + ", \"parameters\": [";
  for (const auto& p : of.parameters) {
    out += (&p == of.parameters.data() ? "" : ", ") + std::string("{\"name\": ") + quoted(p.name) +
           ", \"kind\": " + quoted(to_string(p.what)) +
           ", \"default\": " + (p.what == kind::flag ? (p.standard != 0 ? "true" : "false") : setting_json(p.standard));
    if (!p.follows.empty()) out += ", \"follows\": " + quoted(p.follows);
    out += ", \"comment\": " + quoted(p.comment) + "}";
  }
  out += "], \"reads\": [";
  for (const auto& f : of.fields) out += (&f == of.fields.data() ? "" : ", ") + quoted(f->name);
  return out + "]";
}

}  // namespace

const char* to_string(kind what) {
  constexpr const char* names[] = {"number", "flag", "integer", "offset", "bound"};
  return names[static_cast<int>(what)];
}

std::string default_text(const parameter& of) {
  if (!of.follows.empty()) return std::string(of.follows);
  if (of.what == kind::flag) return of.standard != 0 ? "true" : "false";
  return gw::detail::exact(of.standard);
}

std::string one_line(std::string_view comment) {
  std::string out;
  std::size_t blanks = 0;
  for (const char c : comment) {
    if (c == ' ' || c == '\n') {
      ++blanks;
    } else {
      if (blanks && !out.empty() && c != ',') out += blanks > 3 && out.back() != ',' ? "; " : " ";
      if (blanks > 3 && out.size() > 2 && out[out.size() - 3] == '.') out.erase(out.size() - 3, 1);
      blanks = 0;
      out += c;
    }
  }
  return out;
}

heading title_of(const row& of) {
  std::string first;
  for (std::size_t from = 0; from < of.head.size();) {  // up to the first empty line
    const std::size_t end = std::min(of.head.find('\n', from), of.head.size());
    if (end == from) break;
    first += (from ? " " : "") + std::string(of.head.substr(from, end - from));
    from = end + 1;
  }
  heading result;
  // "… source: where", or a line "Source: where" of its own, in the first paragraph or below.
  std::size_t at = first.find("ource:");
  result.title = one_line(first.substr(0, at == std::string::npos ? at : at - 1));
  if (at != std::string::npos) {
    result.source = one_line(first.substr(at + 6));
  } else if (at = of.head.find("ource:"); at != std::string_view::npos) {
    const std::size_t end = std::min(of.head.find('\n', at), of.head.size());
    result.source = one_line(of.head.substr(at + 6, end - at - 6));
  }
  return result;
}

std::string list_text(std::string_view filter, std::size_t columns) {
  const auto losses = sorted(presets(), filter);
  const auto advantages = sorted(estimators(), filter);
  std::string out =
      std::to_string(losses.size()) + (losses.size() == 1 ? " loss\n" : " losses\n") + list_of_rows(losses, columns);
  if (!advantages.empty())
    out += "\n" + std::to_string(advantages.size()) +
           (advantages.size() == 1 ? " advantage estimator\n" : " advantage estimators\n") +
           list_of_rows(advantages, columns);
  return out;
}

std::string list_json(std::string_view filter) {
  std::string out = "{\"losses\": [";
  bool first = true;
  for (const preset_row& each : presets()) {
    if (!matches(each, filter)) continue;
    out += (std::exchange(first, false) ? "\n  " : ",\n  ") + row_json(each) +
           ", \"wrt\": " + quoted(each.variable->name) + ", \"token_passes\": " + std::to_string(each.passes) +
           ", \"pairs\": " + (each.pairs ? "true" : "false") + ", \"breaks\": [";
    for (const auto& b : each.breaks) out += (&b == each.breaks.data() ? "" : ", ") + quoted(b.reason);
    out += "]}";
  }
  out += "],\n \"advantages\": [";
  first = true;
  for (const estimator_row& each : estimators())
    if (matches(each, filter)) out += (std::exchange(first, false) ? "\n  " : ",\n  ") + row_json(each) + "}";
  return out + "]}\n";
}

std::string result_json(const preset_row& loss, std::span<const double> values, const made_batch& made,
                        const gw::evaluation<double>& result) {
  return "{\"loss\": " + quoted(loss.name) + ",\n \"parameters\": " + parameters_json(loss, values) +
         ",\n \"value\": " + number(result.loss) + ",\n \"wrt\": " + quoted(loss.variable->name) +
         ",\n \"gradient\": " + rows_json(result.slope, made, "  ") +
         ",\n \"metrics\": " + metrics_json(result.metrics) + ",\n \"gradient_metrics\": " +
         metrics_json(result.slope.level() > extent::token ? std::vector<gw::metric_value>{}
                                                           : gw::gradient_metrics(result.slope, made.batch)) +
         "}\n";
}

std::string advantage_json(const estimator_row& of, std::span<const double> values, const made_batch& made,
                           const gw::column<double>& found) {
  return "{\"advantage\": " + quoted(of.name) + ",\n \"parameters\": " + parameters_json(of, values) +
         ",\n \"values\": " + rows_json(found, made, "  ") + "}\n";
}

}  // namespace catalogue
