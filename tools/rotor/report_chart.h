// Charts as inline SVG, for the report. Colours and fonts are classes of the page's style sheet (report_page.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace rotor::cli {

struct Point {
  double x = 0;
  double y = 0;
};

/// Returns at most some 2 × `buckets` of the points, in order of x: the lowest and the highest of each stretch of x, so
/// that peaks stay.
std::vector<Point> downsample(std::span<const Point> points, size_t buckets);

/// Returns round numbers from `low` to `high`, some `wanted` of them.
std::vector<double> nice_ticks(double low, double high, int wanted);

/// Returns "0", "250 ms", "1.5 s", "12 min": with the unit that `scale_ms` asks for.
std::string time_text(double ms, double scale_ms);
/// Returns "0", "512 KiB", "8 MiB", "1.5 GiB".
std::string bytes_text(double bytes);
/// Returns a duration with three digits: "812 ns", "1.25 ms", "3.4 s".
std::string duration_text(double ms);

struct ChartLine {
  std::string css_class;      ///< of the style sheet: its colour
  std::vector<Point> points;  ///< those outside of the chart's time are left out
  bool step = false;          ///< the value holds until the next point
};

/// A horizontal line with its name at the right.
struct ChartLevel {
  std::string css_class;
  std::string label;
  double y = 0;
};

struct LaneSpan {
  std::string css_class;
  double begin = 0;
  double end = 0;
  std::string title;
};
/// A row of bars below the plot, on the same axis.
struct ChartLane {
  std::string label;
  std::vector<LaneSpan> spans;
};

/// An event on a line, named above the plot.
struct ChartMark {
  std::string css_class;
  Point at;
  std::string label;
};

/// Bytes over milliseconds.
struct TimeChart {
  std::string id;
  std::string title;  ///< for screen readers
  double begin_ms = 0;
  double end_ms = 1;
  double top_bytes = 1;
  std::vector<ChartLine> lines;
  std::vector<ChartLevel> levels;
  std::vector<double> rules;  ///< vertical lines through plot and lanes
  std::vector<ChartLane> lanes;
  std::optional<ChartMark> mark;
};

/// Draws the chart in two widths, of which the page shows one, so that text stays readable on a narrow screen.
std::string draw(const TimeChart& chart);

struct RangeRow {
  std::string label;
  std::string css_class;
  std::vector<double> values_ms;  ///< ascending: p50, p90, p99, p99.9, max
};
/// Draws percentiles as points on a logarithmic axis, one row for each of `rows`.
std::string draw_ranges(std::span<const RangeRow> rows, std::string_view title);

/// Escapes text for HTML text and attributes.
std::string escape_html(std::string_view text);

}  // namespace rotor::cli
