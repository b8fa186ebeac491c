#include "tools/rotor/report_chart.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace rotor::cli {
namespace {

TEST(ReportChart, DownsamplingKeepsPeaks) {
  std::vector<Point> points;
  for (int i = 0; i < 100'000; i++) points.push_back({static_cast<double>(i), i == 54'321 ? 1e9 : i % 7 * 1.0});
  const std::vector<Point> fewer = downsample(points, 500);
  EXPECT_LE(fewer.size(), 1003u);
  EXPECT_TRUE(std::ranges::is_sorted(fewer, {}, &Point::x));
  EXPECT_EQ(std::ranges::max(fewer, {}, &Point::y).y, 1e9);
  EXPECT_EQ(fewer.back().x, 99'999);
  EXPECT_EQ(downsample(std::span(points).first(10), 500).size(), 10u);
  EXPECT_TRUE(downsample({}, 5).empty());
}

TEST(ReportChart, TicksAreRound) {
  EXPECT_EQ(nice_ticks(0, 8.4, 5), (std::vector<double>{0, 2, 4, 6, 8}));
  EXPECT_EQ(nice_ticks(0, 1, 5).size(), 6u);
  EXPECT_EQ(nice_ticks(0, 0, 5), std::vector<double>{0});
}

TEST(ReportChart, Texts) {
  EXPECT_EQ(bytes_text(0), "0");
  EXPECT_EQ(bytes_text(8 << 20), "8 MiB");
  EXPECT_EQ(bytes_text(1.5 * (1 << 30)), "1.5 GiB");
  EXPECT_EQ(time_text(1500, 1800), "1500 ms");
  EXPECT_EQ(time_text(1500, 9000), "1.5 s");
  EXPECT_EQ(time_text(600'000, 600'000), "10 min");
  EXPECT_EQ(duration_text(0.000'25), "250 ns");
  EXPECT_EQ(duration_text(0.0123), "12.3 µs");
  EXPECT_EQ(duration_text(1.25), "1.25 ms");
  EXPECT_EQ(duration_text(34'000), "34 s");
  EXPECT_EQ(escape_html("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
  // A page may not say what a guest's name has it say backwards.
  EXPECT_EQ(escape_html("a\u202eb\x1b<\nc\xff"), "a\\u{202e}b\\u{1b}&lt;\nc\\xff");
}

/// Where the labels of an SVG stand, as (y, text).
std::vector<double> label_positions(const std::string& svg, const std::vector<std::string>& labels) {
  std::vector<double> out;
  for (const std::string& label : labels) {
    const size_t end = svg.find(">" + label + "<");
    EXPECT_NE(end, svg.npos) << label;
    const size_t y = svg.rfind(" y=\"", end);
    out.push_back(std::stod(svg.substr(y + 4)));
  }
  return out;
}

TEST(ReportChart, LabelsOfNearLevelsDoNotOverlap) {
  TimeChart chart;
  chart.title = "memory";
  chart.end_ms = 1000;
  chart.top_bytes = 106;
  chart.lines.push_back({"active", {{0, 10}, {500, 90}, {1000, 20}}, true});
  chart.levels = {{"warm", "warm", 70}, {"limit", "limit", 100}, {"force", "force", 99}, {"swap", "swap", 98}};
  std::vector<double> at = label_positions(draw(chart), {"limit", "force", "swap", "warm"});
  for (size_t i = 1; i < at.size(); i++) EXPECT_GE(at[i] - at[i - 1], 13);
}

TEST(ReportChart, NoNumbersThatAreNone) {
  TimeChart chart;
  chart.title = "empty";
  chart.lines.push_back({"active", {}, true});
  EXPECT_EQ(draw(chart).find("nan"), std::string::npos);
  std::vector<RangeRow> rows = {{"before", "before", {}}, {"during", "during", {0, 0, 0, 0, 0}}};
  EXPECT_TRUE(draw_ranges(rows, "none").empty());
  rows[0].values_ms = {1, 1, 1, 1, 1};
  const std::string one = draw_ranges(rows, "one");
  EXPECT_EQ(one.find("nan"), std::string::npos);
  EXPECT_EQ(one.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace rotor::cli
