#include "tools/rotor/report_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "rotor/printable.h"

namespace rotor::cli {
namespace {

constexpr double kLaneHeight = 16;
constexpr double kPlotHeight = 250;
constexpr double kLabelHeight = 14;  // of text, so that labels do not overlap
constexpr double kCharWidth = 6.2;   // of the labels' font, at most

/// The positions of things in one of the two drawings.
struct Layout {
  const char* css_class;
  double width;
  double left, right;  // margins
  size_t buckets;
  int time_ticks;
  int decades_with_ticks;
};
constexpr Layout kWide = {"wide", 1080, 76, 104, 1000, 8, 2};
constexpr Layout kNarrow = {"narrow", 460, 62, 92, 400, 4, 1};

struct TimeUnit {
  const char* name;
  double ms;
};
/// Returns the unit that times up to `scale_ms` are written in.
TimeUnit time_unit(double scale_ms) {
  if (scale_ms < 2000) return {"ms", 1};
  if (scale_ms < 300'000) return {"s", 1000};
  return {"min", 60'000};
}

class Svg {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

/// Draws one time chart in one width.
class Drawing {
 public:
  Drawing(const TimeChart& chart, const Layout& layout) : chart_(chart), layout_(layout) {
    top_ = chart.mark ? 30 : 12;
    bottom_ = top_ + kPlotHeight;
    lanes_bottom_ = bottom_ + (chart.lanes.empty() ? 0 : 10 + kLaneHeight * static_cast<double>(chart.lanes.size()));
    height_ = lanes_bottom_ + 40;
  }

  std::string draw() {
    svg_.add(
        R"(<svg class="chart {}" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}" data-chart="{}" data-left="{}" )"
        R"(data-right="{}" data-top="{:.0f}" data-bottom="{:.0f}">)",
        layout_.css_class, layout_.width, height_, escape_html(chart_.title), chart_.id, layout_.left,
        layout_.width - layout_.right, top_, lanes_bottom_);
    axes();
    for (double rule : chart_.rules)
      svg_.add(R"(<line class="rule" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.0f}" y2="{2:.0f}"/>)", x(rule), top_,
               lanes_bottom_);
    levels();
    for (const ChartLine& line : chart_.lines) path(line);
    lanes();
    mark();
    svg_.add(R"(<line class="hair" x1="0" x2="0" y1="{:.0f}" y2="{:.0f}"/></svg>)", top_, lanes_bottom_);
    return svg_.take();
  }

 private:
  double x(double ms) const {
    const double share = (ms - chart_.begin_ms) / (chart_.end_ms - chart_.begin_ms);
    return layout_.left + std::clamp(share, 0.0, 1.0) * (layout_.width - layout_.left - layout_.right);
  }
  double y(double bytes) const { return bottom_ - bytes / chart_.top_bytes * kPlotHeight; }
  double plot_right() const { return layout_.width - layout_.right; }

  void axes() {
    for (double tick : nice_ticks(0, chart_.top_bytes / byte_step(), 5)) {
      const double bytes = tick * byte_step();
      svg_.add(R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", layout_.left, plot_right(), y(bytes),
               y(bytes));
      svg_.add(R"(<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)", layout_.left - 8, y(bytes) + 4,
               bytes_text(bytes));
    }
    const TimeUnit unit = time_unit(chart_.end_ms);
    const std::vector<double> ticks =
        nice_ticks(chart_.begin_ms / unit.ms, chart_.end_ms / unit.ms, layout_.time_ticks);
    const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
    const int decimals = step < 1 ? static_cast<int>(std::ceil(-std::log10(step) - 1e-9)) : 0;
    for (double tick : ticks) {
      const double at = x(tick * unit.ms);
      svg_.add(R"(<line class="tickmark" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.0f}" y2="{2:.0f}"/>)", at, lanes_bottom_,
               lanes_bottom_ + 5);
      const std::string label = tick == 0 ? "0" : fmt::format("{:.{}f} {}", tick, decimals, unit.name);
      svg_.add(R"(<text class="tick" x="{:.1f}" y="{:.0f}" text-anchor="middle">{}</text>)", at, lanes_bottom_ + 19,
               label);
    }
    svg_.add(R"(<line class="axis" x1="{}" x2="{}" y1="{:.0f}" y2="{:.0f}"/>)", layout_.left, plot_right(), bottom_,
             bottom_);
    svg_.add(R"(<text class="tick" x="{:.0f}" y="{:.0f}" text-anchor="middle">time since the proxy was made</text>)",
             (layout_.left + plot_right()) / 2, lanes_bottom_ + 35);
  }
  /// Returns the unit of the ticks in bytes: ticks are round in the unit that they are written in.
  double byte_step() const { return std::exp2(10 * std::floor(std::log2(std::max(chart_.top_bytes, 2.0)) / 10)); }

  void levels() {
    // Labels are placed from the top; one that would touch the one above moves down, with a leader to its line.
    std::vector<const ChartLevel*> order;
    for (const ChartLevel& level : chart_.levels) order.push_back(&level);
    std::ranges::sort(order, std::greater(), [](const ChartLevel* level) { return level->y; });
    double label_y = -kLabelHeight;
    for (const ChartLevel* level : order) {
      const double line_y = y(level->y);
      label_y = std::max(label_y + kLabelHeight, line_y);
      svg_.add(R"(<line class="level {}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", level->css_class, layout_.left,
               plot_right(), line_y, line_y);
      svg_.add(R"(<polyline class="leader" points="{:.0f},{:.1f} {:.0f},{:.1f}"/>)", plot_right(), line_y,
               plot_right() + 9, label_y);
      svg_.add(R"(<text class="tick" x="{:.0f}" y="{:.1f}">{}</text>)", plot_right() + 12, label_y + 4,
               escape_html(level->label));
    }
  }

  void path(const ChartLine& line) {
    auto in_time = [&](const Point& point) { return point.x >= chart_.begin_ms && point.x <= chart_.end_ms; };
    std::vector<Point> points;
    std::ranges::copy_if(line.points, std::back_inserter(points), in_time);
    points = downsample(points, layout_.buckets);
    if (points.empty()) return;
    svg_.add(R"(<path class="line {}" d="M{:.1f} {:.1f})", line.css_class, x(points[0].x), y(points[0].y));
    double last_y = y(points[0].y);
    for (size_t i = 1; i < points.size(); i++) {
      const double next_x = x(points[i].x), next_y = y(points[i].y);
      if (line.step) {
        if (std::abs(next_y - last_y) < 0.05 && i + 1 < points.size()) continue;
        svg_.add("H{:.1f}V{:.1f}", next_x, next_y);
      } else {
        svg_.add("L{:.1f} {:.1f}", next_x, next_y);
      }
      last_y = next_y;
    }
    svg_.add(R"("/>)");
  }

  void lanes() {
    double lane_y = bottom_ + 10;
    for (const ChartLane& lane : chart_.lanes) {
      svg_.add(R"(<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)", layout_.left - 8, lane_y + 11,
               escape_html(lane.label));
      svg_.add(R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", layout_.left, plot_right(),
               lane_y + kLaneHeight / 2, lane_y + kLaneHeight / 2);
      double drawn_to = -1;
      for (const LaneSpan& span : lane.spans) {
        if (span.end < chart_.begin_ms || span.begin > chart_.end_ms) continue;
        const double from = x(span.begin), width = std::max(1.5, x(span.end) - from);
        if (from + width < drawn_to + 0.7) continue;  // too narrow to be seen
        drawn_to = from + width;
        svg_.add(
            R"(<rect class="bar {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="1.5"><title>{}</title></rect>)",
            span.css_class, from, lane_y + 3, width, kLaneHeight - 6, escape_html(span.title));
      }
      lane_y += kLaneHeight;
    }
  }

  void mark() {
    if (!chart_.mark) return;
    const ChartMark& m = *chart_.mark;
    const double at = x(m.at.x), width = kCharWidth * static_cast<double>(m.label.size());
    double text_x = std::clamp(at - width / 2, 4.0, std::max(4.0, layout_.width - width - 4));
    svg_.add(R"(<line class="markline {}" x1="{:.1f}" x2="{:.1f}" y1="20" y2="{:.1f}"/>)", m.css_class, at, at,
             y(m.at.y));
    svg_.add(R"(<circle class="mark {}" cx="{:.1f}" cy="{:.1f}" r="5"/>)", m.css_class, at, y(m.at.y));
    svg_.add(R"(<text class="marklabel {}" x="{:.1f}" y="14">{}</text>)", m.css_class, text_x, escape_html(m.label));
  }

  const TimeChart& chart_;
  const Layout& layout_;
  double top_, bottom_, lanes_bottom_, height_;
  Svg svg_;
};

constexpr const char* kPercentileNames[] = {"p50", "p90", "p99", "p99.9", "max"};

std::string draw_ranges_in(std::span<const RangeRow> rows, std::string_view title, const Layout& layout) {
  constexpr double kRowHeight = 34, kTop = 26;
  double low = INFINITY, high = 0;
  for (const RangeRow& row : rows)
    for (double value : row.values_ms)
      if (value > 0) low = std::min(low, value), high = std::max(high, value);
  if (high == 0) return {};
  const double first = std::floor(std::log10(low)), last = std::max(first + 1, std::ceil(std::log10(high)));
  const double left = layout.left + 8, right = layout.width - layout.right;
  auto x = [&](double value) {
    return left + (std::max(std::log10(value), first) - first) / (last - first) * (right - left);
  };
  const double bottom = kTop + kRowHeight * static_cast<double>(rows.size());
  Svg svg;
  svg.add(R"(<svg class="chart {}" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">)", layout.css_class,
          layout.width, bottom + 40, escape_html(title));
  for (double decade = first; decade <= last; decade++) {
    for (double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10, decade);
      // Only one or two decades have room for more ticks.
      if (factor > 1 && (last - first > layout.decades_with_ticks || decade == last)) break;
      const double at = x(value);
      svg.add(R"(<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2:.0f}"/>)", at, kTop, bottom);
      svg.add(R"(<text class="tick" x="{:.1f}" y="{:.0f}" text-anchor="middle">{}</text>)", at, bottom + 17,
              duration_text(value));
    }
  }
  svg.add(R"(<text class="tick" x="{:.0f}" y="{:.0f}" text-anchor="middle">latency of a call, logarithmic</text>)",
          (left + right) / 2, bottom + 34);
  double row_y = kTop + kRowHeight / 2;
  for (const RangeRow& row : rows) {
    svg.add(R"(<text class="tick" x="{:.0f}" y="{:.1f}" text-anchor="end">{}</text>)", left - 10, row_y + 4,
            escape_html(row.label));
    if (!row.values_ms.empty()) {
      svg.add(R"(<line class="range {}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>)", row.css_class,
              x(row.values_ms.front()), x(row.values_ms.back()), row_y, row_y);
      for (size_t i = row.values_ms.size(); i-- > 0;)
        svg.add(R"(<circle class="dot p{} {}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{} {}</title></circle>)", i,
                row.css_class, x(row.values_ms[i]), row_y, 5.5 - 0.7 * static_cast<double>(i),
                i < std::size(kPercentileNames) ? kPercentileNames[i] : "", duration_text(row.values_ms[i]));
      svg.add(R"(<text class="tick" x="{:.1f}" y="{:.1f}">{}</text>)", x(row.values_ms.back()) + 10, row_y + 4,
              duration_text(row.values_ms.back()));
    }
    row_y += kRowHeight;
  }
  svg.add("</svg>");
  return svg.take();
}

/// Returns a number with three digits, without zeros at the end.
std::string short_number(double value) {
  std::string text = fmt::format("{:.{}f}", value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
  if (text.find('.') == text.npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::vector<Point> downsample(std::span<const Point> points, size_t buckets) {
  if (points.size() <= 2 * buckets || buckets == 0) return {points.begin(), points.end()};
  std::vector<Point> out;
  const double begin = points.front().x, span = std::max(points.back().x - begin, 1e-9);
  for (size_t i = 0; i < points.size();) {
    const auto bucket = static_cast<size_t>((points[i].x - begin) / span * static_cast<double>(buckets));
    size_t low = i, high = i;
    for (; i < points.size(); i++) {
      if (static_cast<size_t>((points[i].x - begin) / span * static_cast<double>(buckets)) != bucket) break;
      if (points[i].y < points[low].y) low = i;
      if (points[i].y > points[high].y) high = i;
    }
    out.push_back(points[std::min(low, high)]);
    if (low != high) out.push_back(points[std::max(low, high)]);
  }
  if (out.back().x != points.back().x) out.push_back(points.back());
  return out;
}

std::vector<double> nice_ticks(double low, double high, int wanted) {
  if (!(high > low) || wanted < 1) return {low};
  const double raw = (high - low) / wanted, power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power < raw * 0.999) continue;
    step = factor * power;
    break;
  }
  std::vector<double> ticks;
  for (double i = std::ceil(low / step); i * step <= high * (1 + 1e-9); i++) ticks.push_back(i * step);
  return ticks;
}

std::string time_text(double ms, double scale_ms) {
  if (ms == 0) return "0";
  const TimeUnit unit = time_unit(scale_ms);
  return short_number(ms / unit.ms) + " " + unit.name;
}

std::string bytes_text(double bytes) {
  if (bytes <= 0) return "0";
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(units)) bytes /= 1024, unit++;
  return short_number(bytes) + " " + units[unit];
}

std::string duration_text(double ms) {
  if (ms <= 0) return "0";
  if (ms < 0.001) return short_number(ms * 1e6) + " ns";
  if (ms < 1) return short_number(ms * 1e3) + " µs";
  if (ms < 1000) return short_number(ms) + " ms";
  return ms < 120'000 ? short_number(ms / 1000) + " s" : short_number(ms / 60'000) + " min";
}

std::string draw(const TimeChart& chart) { return Drawing(chart, kWide).draw() + Drawing(chart, kNarrow).draw(); }

std::string draw_ranges(std::span<const RangeRow> rows, std::string_view title) {
  return draw_ranges_in(rows, title, kWide) + draw_ranges_in(rows, title, kNarrow);
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (char c : printable_lines(text)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c; break;
    }
  }
  return out;
}

}  // namespace rotor::cli
