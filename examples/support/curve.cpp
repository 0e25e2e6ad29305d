// SPDX-License-Identifier: Apache-2.0
#include "curve.hpp"

#include <algorithm>
#include <cmath>
#include <gradwire/gradient/report.hpp>
#include <limits>

#include "batch_table.hpp"

namespace catalogue {
namespace {

constexpr double old_logprob = -1.2;  // of the token: a ratio of 3.3 makes it certain
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

// One token, its row's neighbours of a pair, and every column that a loss may read.
batch_table token_alone(bool pair) {
  batch_table t;
  const std::size_t rows = pair ? 2 : 1;
  t.lengths.assign(rows, 1);
  for (const gradwire::field_info* f : known_fields()) {
    const std::string name = f->name;
    const bool logprob = name.find("logprobs") != std::string::npos;
    if (f->level == gradwire::extent::sequence)
      t.sequence[name].assign(rows, name == "advantage" || name == "reward" || name == "desirable" ? 1.0 : 0.0);
    else if (f->level == gradwire::extent::candidate)
      t.candidate[name].assign(rows, {{old_logprob, std::log(1 - std::exp(old_logprob))}});
    else
      t.token[name].assign(rows, {name == "weights" || name == "token_advantage" || name == "returns" ? 1.0
                                  : logprob                                                           ? old_logprob
                                                                                                      : 0.0});
  }
  if (pair) t.chosen = {1, 0};
  return t;
}

struct variant {
  std::string name;
  double advantage = 1;
  double desirable = 1;
  std::size_t row = 0;
};

}  // namespace

std::string ratio_name(const row& of) {
  constexpr const char* fields[][2] = {{"old_logprobs", "old logprob"},
                                       {"sampler_logprobs", "sampler logprob"},
                                       {"ref_logprobs", "ref logprob"},
                                       {"teacher_logprobs", "teacher logprob"},
                                       {"candidate_teacher_logprobs", "teacher logprob"}};
  for (const auto& [field, name] : fields)
    if (reads(of, field)) return name;
  return "";
}

curve curve_of(const preset_row& of, std::span<const double> values, curve_axis axis, std::size_t points) {
  curve result;
  const std::string variable = of.variable->name;
  const bool logprob = variable.find("logprobs") != std::string::npos;
  result.title = std::string(of.name);
  result.slope_name = logprob ? "dL/dlogprob" : "dL/d" + variable;
  const double from = !logprob ? -1 : axis == curve_axis::ratio ? 0.05 : -5.0;
  const double to = !logprob ? 3 : axis == curve_axis::ratio ? 3.25 : -0.01;
  result.abscissa = !logprob ? variable + " (return 1, old value 0)"
                    : axis == curve_axis::ratio
                        ? (ratio_name(of).empty() ? "exp(logprob + 1.2)" : "exp(logprob − " + ratio_name(of) + ")")
                    : ratio_name(of).empty() ? "logprob"
                                             : "logprob (" + ratio_name(of) + ": −1.2)";
  for (std::size_t i = 0; i < points; ++i)
    result.x.push_back(from + (to - from) * static_cast<double>(i) / static_cast<double>(points - 1));

  std::vector<variant> variants;
  if (of.pairs)
    variants = {{"chosen moves", 1, 1, 0}, {"rejected moves", 1, 1, 1}};
  else if (reads(of, "desirable"))
    variants = {{"desirable", 1, 1, 0}, {"undesirable", 1, 0, 0}};
  else if (reads(of, "advantage") || reads(of, "token_advantage"))
    variants = {{"A = +1", 1, 1, 0}, {"A = −1", -1, 1, 0}};
  else
    variants = {{variable, 1, 1, 0}};

  for (const variant& v : variants) {
    curve_series series{v.name, {}, {}};
    batch_table t = token_alone(of.pairs);
    for (double& a : t.sequence["advantage"]) a = v.advantage;
    for (auto& row : t.token["token_advantage"]) row[0] = v.advantage;
    for (double& d : t.sequence["desirable"]) d = v.desirable;
    for (double x : result.x) {
      const double moved = logprob && axis == curve_axis::ratio ? old_logprob + std::log(x) : x;
      if (of.variable->level == gradwire::extent::sequence)
        t.sequence[variable][v.row] = moved;
      else if (of.variable->level == gradwire::extent::candidate)
        t.candidate[variable][v.row][0][0] = moved;
      else
        t.token[variable][v.row][0] = moved;
      try {
        const made_batch made = make_batch(t, of.pairs);
        const auto e = of.evaluate(values, made.batch);
        const std::size_t s = made.row[0] == v.row ? 0 : 1;
        series.loss.push_back(e.loss);
        series.slope.push_back(e.slope.level() == gradwire::extent::sequence    ? e.slope.data()[s]
                               : e.slope.level() == gradwire::extent::candidate ? e.slope.plane(s, 0)[0]
                                                                                : e.slope[s][0]);
      } catch (const gradwire::error&) {
        series.loss.push_back(nan_value);
        series.slope.push_back(nan_value);
      }
    }
    result.series.push_back(std::move(series));
  }
  return result;
}

std::string curve_csv(const curve& of) {
  std::string text = "x";
  for (const auto& s : of.series) text += ",\"L, " + s.name + "\",\"" + of.slope_name + ", " + s.name + "\"";
  text += '\n';
  for (std::size_t i = 0; i < of.x.size(); ++i) {
    text += gradwire::detail::exact(of.x[i]);
    for (const auto& s : of.series)
      text += "," + gradwire::detail::exact(s.loss[i]) + "," + gradwire::detail::exact(s.slope[i]);
    text += '\n';
  }
  return text;
}

// ---- the picture ---------------------------------------------------------------------------------------------------

namespace {

constexpr double panel_width = 270, panel_height = 200, left = 58, top = 46, gap = 70, below = 44;
constexpr const char* colours[] = {"#0072b2", "#d55e00"};

std::string pixel(double value) {  // the bias lets no tie depend on the last bit
  std::string text = gradwire::detail::brief(std::round(value * 10 + 1e-6) / 10, 6);
  return text == "-0" ? "0" : text;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

// A step of 1, 2 or 5 times a power of ten that cuts the range into about five.
double tick_step(double range) {
  const double power = std::pow(10, std::floor(std::log10(range / 5)));
  for (double factor : {1.0, 2.0, 5.0})
    if (range / (factor * power) <= 7) return factor * power;
  return 10 * power;
}

struct point {
  double x, y;
};

// Fewer points that lie within a third of a pixel of the line (Douglas and Peucker).
void simplify(const std::vector<point>& from, std::size_t first, std::size_t last, std::vector<point>& to) {
  double most = 0;
  std::size_t at = first;
  const double dx = from[last].x - from[first].x, dy = from[last].y - from[first].y;
  for (std::size_t i = first + 1; i < last; ++i) {
    const double off =
        std::abs(dx * (from[i].y - from[first].y) - dy * (from[i].x - from[first].x)) / std::hypot(dx, dy);
    if (off > most) most = off, at = i;
  }
  if (most > 0.35) {
    simplify(from, first, at, to);
    simplify(from, at, last, to);
  } else {
    to.push_back(from[last]);
  }
}

// The range of the values without the far ends of a steep branch: what lies outside is cut at the frame.
std::pair<double, double> range_of(const std::vector<const std::vector<double>*>& columns) {
  std::vector<double> all;
  for (const auto* column : columns)
    for (double v : *column)
      if (std::isfinite(v)) all.push_back(v);
  if (all.empty()) return {-1, 1};
  std::sort(all.begin(), all.end());
  const std::size_t n = all.size();
  double low = all.front(), high = all.back();
  const double inner_low = all[n / 20], inner_high = all[n - 1 - n / 20];
  const double spread = inner_high - inner_low;
  if (spread > 0) {
    low = std::max(low, inner_low - 1.5 * spread);
    high = std::min(high, inner_high + 1.5 * spread);
  }
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  if (high - low < 1e-12) return {low - 1, high + 1};
  const double margin = 0.06 * (high - low);
  return {low - margin, high + margin};
}

class panel {
 public:
  panel(std::string& out, const curve& of, double x0, double low, double high)
      : out_(out), of_(of), x0_(x0), low_(low), high_(high) {}

  double px(double x) const { return x0_ + (x - of_.x.front()) / (of_.x.back() - of_.x.front()) * panel_width; }
  double py(double y) const { return top + (high_ - y) / (high_ - low_) * panel_height; }

  void frame(const std::string& title) {
    const double x_step = tick_step(of_.x.back() - of_.x.front()), y_step = tick_step(high_ - low_);
    std::string grid, labels;
    for (double y = std::ceil(low_ / y_step) * y_step; y <= high_; y += y_step) {
      const double value = std::abs(y) < y_step / 1e6 ? 0 : y;
      grid += "M" + pixel(x0_) + " " + pixel(py(value)) + "h" + pixel(panel_width);
      labels += text(x0_ - 5, py(value) + 3.5, "end", gradwire::detail::brief(value, 4));
    }
    for (double x = std::ceil(of_.x.front() / x_step) * x_step; x <= of_.x.back() + x_step / 1e6; x += x_step) {
      const double value = std::abs(x) < x_step / 1e6 ? 0 : x;
      grid += "M" + pixel(px(value)) + " " + pixel(top) + "v" + pixel(panel_height);
      labels += text(px(value), top + panel_height + 14, "middle", gradwire::detail::brief(value, 4));
    }
    out_ += "<path class=\"g\" d=\"" + grid + "\"/>\n";
    if (low_ < 0 && high_ > 0)
      out_ += "<path class=\"z\" d=\"M" + pixel(x0_) + " " + pixel(py(0)) + "h" + pixel(panel_width) + "\"/>\n";
    out_ += "<rect class=\"f\" x=\"" + pixel(x0_) + "\" y=\"" + pixel(top) + "\" width=\"" + pixel(panel_width) +
            "\" height=\"" + pixel(panel_height) + "\"/>\n" + labels;
    out_ += text(x0_ + panel_width / 2, top + panel_height + 32, "middle", of_.abscissa);
    out_ += "<text class=\"b\" x=\"" + pixel(x0_) + "\" y=\"" + pixel(top - 8) + "\">" + escaped(title) + "</text>\n";
  }

  void line(const std::vector<double>& values, std::size_t which) {
    std::vector<point> run;
    std::string path;
    const auto finish = [&] {
      if (run.size() > 1) {
        std::vector<point> few{run.front()};
        simplify(run, 0, run.size() - 1, few);
        for (std::size_t i = 0; i < few.size(); ++i)
          path += (i == 0 ? "M" : i == 1 ? "L" : " ") + pixel(few[i].x) + " " + pixel(few[i].y);
      }
      run.clear();
    };
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) {
        finish();
        continue;
      }
      const double y = std::clamp(py(values[i]), top - 1000, top + panel_height + 1000);  // the clip path cuts
      run.push_back({px(of_.x[i]), y});
    }
    finish();
    if (!path.empty())
      out_ += "<path class=\"c" + std::to_string(which % 2) + "\" clip-path=\"url(#p" + (x0_ > left ? "1" : "0") +
              ")\" d=\"" + path + "\"/>\n";
  }

 private:
  static std::string text(double x, double y, const char* anchor, std::string_view what) {
    return "<text x=\"" + pixel(x) + "\" y=\"" + pixel(y) + "\" text-anchor=\"" + anchor + "\">" + escaped(what) +
           "</text>\n";
  }

  std::string& out_;
  const curve& of_;
  double x0_, low_, high_;
};

}  // namespace

std::string curve_svg(const curve& of) {
  const double second = left + panel_width + gap;
  const double width = second + panel_width + 14, height = top + panel_height + below;
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + pixel(width) + "\" height=\"" +
                    pixel(height) + "\" viewBox=\"0 0 " + pixel(width) + " " + pixel(height) + "\">\n";
  out +=
      "<style>text{font:11px sans-serif;fill:#333}.b{font-weight:bold;font-size:12px}.g{stroke:#e5e5e5}.z{stroke:#999}"
      ".f{stroke:#666;fill:none}.c0,.c1{fill:none;stroke-width:1.8}.c0{stroke:" +
      std::string(colours[0]) + "}.c1{stroke:" + colours[1] + ";stroke-dasharray:6 3}</style>\n";
  out += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<defs>";
  for (int i = 0; i < 2; ++i)
    out += "<clipPath id=\"p" + std::to_string(i) + "\"><rect x=\"" + pixel(i ? second : left) + "\" y=\"" +
           pixel(top) + "\" width=\"" + pixel(panel_width) + "\" height=\"" + pixel(panel_height) + "\"/></clipPath>";
  out += "</defs>\n";
  std::vector<const std::vector<double>*> losses, slopes;
  for (const auto& s : of.series) losses.push_back(&s.loss), slopes.push_back(&s.slope);
  const auto [loss_low, loss_high] = range_of(losses);
  const auto [slope_low, slope_high] = range_of(slopes);
  panel a(out, of, left, loss_low, loss_high), b(out, of, second, slope_low, slope_high);
  a.frame(of.title + ": L");
  b.frame(of.slope_name);
  for (std::size_t i = 0; i < of.series.size(); ++i) {
    a.line(of.series[i].loss, i);
    b.line(of.series[i].slope, i);
  }
  double x = width - 14;  // the legend, right above
  for (std::size_t i = of.series.size(); i-- > 0 && of.series.size() > 1;) {
    x -= 8.0 + 6.2 * static_cast<double>(of.series[i].name.size());
    out += "<path class=\"c" + std::to_string(i % 2) + "\" d=\"M" + pixel(x - 24) + " 14h20\"/><text x=\"" + pixel(x) +
           "\" y=\"18\">" + escaped(of.series[i].name) + "</text>\n";
    x -= 34;
  }
  return out + "</svg>\n";
}

}  // namespace catalogue
