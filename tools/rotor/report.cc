// The report of rotor rotate: shows a run, beside the same load without rotation.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>

#include "rotor/version.h"
#include "tools/rotor/report_chart.h"
#include "tools/rotor/report_page.h"
#include "tools/rotor/rotate.h"

namespace rotor::cli {
namespace {

constexpr size_t kHoverPoints = 2000;  // of a chart's data
constexpr size_t kTableRows = 400;     // of rotations; of more, the first and the last ones
constexpr size_t kRules = 120;         // more swaps than that are shown in their lane only
constexpr size_t kZoomFrom = 20;       // more swaps than that are shown once more, larger
constexpr size_t kZoomed = 7;          // the last rotation that is shown larger, counted from 0
constexpr double kShortLoad = 0.35;    // of the time: a load shorter than that is shown once more, larger
constexpr double kHeadroom = 1.06;     // above the highest value

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  size_t cores = 0;
  std::string model = "unknown";
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("processor")) cores++;
    if (line.starts_with("model name") && line.find(": ") != line.npos) model = line.substr(line.find(": ") + 2);
  }
  return fmt::format("{}, {} cores", model, cores);
}

std::string system_name() {
  utsname name{};
  return uname(&name) == 0 ? fmt::format("{} {} {}", name.sysname, name.release, name.machine) : "unknown";
}

/// Returns the command line about as it was typed: words with blanks are in quotes.
std::string command_line() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string out;
  for (std::string word; std::getline(in, word, '\0');) {
    if (!out.empty()) out += ' ';
    out += word.find_first_of(" \t\"'$*?") == word.npos && !word.empty() ? word : "'" + word + "'";
  }
  return out;
}

uint64_t together(const MemorySample& sample) { return sample.active + sample.standby + sample.retired; }

template <class Value>
std::vector<Point> points_of(const TimelineData& data, Value value) {
  std::vector<Point> points;
  points.reserve(data.samples.size());
  for (const MemorySample& sample : data.samples) points.push_back({sample.at_ms, static_cast<double>(value(sample))});
  return points;
}

double highest(const std::vector<Point>& points) {
  double y = 0;
  for (const Point& point : points) y = std::max(y, point.y);
  return y;
}

struct Html {
  std::string text;
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
  }
  void tile(std::string_view value, std::string_view what, std::string_view sub = {}, std::string_view css = {}) {
    add("<div class=\"tile\"><b class=\"{}\">{}</b><span>{}</span>", css, value, what);
    if (!sub.empty()) add("<span class=\"sub\">{}</span>", sub);
    add("</div>\n");
  }
  void legend(std::string_view variable, std::string_view shape, std::string_view what) {
    add("<span><i class=\"{}\" style=\"color:var(--{});border-color:var(--{})\"></i>{}</span>", shape, variable,
        variable, what);
  }
};

std::string grouped(uint64_t number) {
  std::string digits = fmt::to_string(number);
  for (auto at = static_cast<ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string plural(uint64_t count, std::string_view noun) { return fmt::format("{}{}", noun, count == 1 ? "" : "s"); }

class Report {
 public:
  Report(const RotateOptions& options, const Measured& run, const Measured* baseline)
      : options_(options), run_(run), baseline_(baseline), latency_(latency_by_swap(run.repetitions)) {
    if (!run.timeline.samples.empty()) end_ms_ = std::max(end_ms_, run.timeline.samples.back().at_ms);
    if (!baseline || baseline->timeline.samples.empty()) return;
    baseline_shift_ms_ = load_begin_ms(run) - load_begin_ms(*baseline);
    end_ms_ = std::max(end_ms_, baseline->timeline.samples.back().at_ms + baseline_shift_ms_);
  }

  std::string html() {
    head();
    tiles();
    guest_memory();
    process_memory();
    latency();
    rotations();
    if (rewinds()) checkpoints();
    counters();
    facts();
    return html_page(title(), html_.text, chart_data());
  }

 private:
  std::string title() const { return fmt::format("Rotation of {}", file_name(options_.module)); }
  static std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  bool rewinds() const { return run_.policy.mode == RotationMode::checkpoint; }
  bool baseline_fails() const { return baseline_ && baseline_->first_failure_ms.has_value(); }

  void head() {
    html_.add("<h1>{}</h1>\n", escape_html(title()));
    html_.add("<p class=\"lead\">{} calls of {} after {}, policy {}</p>\n", grouped(run_.load.calls),
              escape_html(file_name(options_.load)), escape_html(file_name(options_.setup)),
              escape_html(file_name(options_.policy)));
  }

  void tiles() {
    const ProxyCounters& c = run_.counters;
    html_.add("<div class=\"tiles\">\n");
    const uint64_t bad = run_.load.wrong + run_.load.lost() + run_.also.wrong + run_.also.lost();
    html_.tile(
        grouped(run_.load.ok), fmt::format("of {} calls right", grouped(run_.load.calls)),
        bad ? fmt::format("{} wrong, {} lost", run_.load.wrong + run_.also.wrong, run_.load.lost() + run_.also.lost())
            : "none lost, none wrong",
        bad ? "bad" : "good");
    if (baseline_)
      html_.tile(grouped(baseline_->load.ok), "calls right without rotation",
                 baseline_fails()        ? fmt::format("call {} fails", grouped(baseline_->load.calls - 1))
                 : baseline_->load.wrong ? fmt::format("{} wrong", grouped(baseline_->load.wrong))
                                         : "none failed",
                 baseline_fails() || baseline_->load.wrong ? "bad" : "");
    html_.tile(grouped(c.rotations), plural(c.rotations, "rotation"),
               rewinds() ? fmt::format("by {} {}", grouped(c.checkpoints), plural(c.checkpoints, "checkpoint"))
               : c.rotations_image ? fmt::format("{} from the image", grouped(c.rotations_image))
                                   : "");
    html_.tile(c.rotations ? duration_text(ms(c.swap_pause_ns_max)) : "none", "longest swap pause",
               rewinds()       ? fmt::format("longest for a checkpoint {}", duration_text(ms(c.checkpoint_ns_max)))
               : c.wait_ns_max ? fmt::format("longest wait for a standby {}", duration_text(ms(c.wait_ns_max)))
                               : "");
    if (latency_.all.count)
      html_.tile(duration_text(latency_.all.p99), "99 % of calls within",
                 fmt::format("median {}", duration_text(latency_.all.p50)));
    html_.tile(bytes_text(static_cast<double>(
                   run_.resident_bytes.empty() ? 0 : *std::ranges::max_element(run_.resident_bytes))),
               "most resident memory", "of the process, code and all");
    html_.add("</div>\n");
  }

  static double load_begin_ms(const Measured& measured) {
    const std::vector<MemorySample>& samples = measured.timeline.samples;
    const double load_end = samples.empty() ? 0 : samples.back().at_ms;
    return std::max(measured.setup_ms + measured.prepare_ms, load_end - measured.load_ms);
  }

  std::vector<ChartLane> lanes() const {
    std::vector<ChartLane> lanes;
    ChartLane phase{"phase", {}};
    const double load_begin = load_begin_ms(run_), load_end = load_begin + run_.load_ms;
    phase.spans.push_back({"setup", std::max(0.0, load_begin - run_.prepare_ms - run_.setup_ms),
                           load_begin - run_.prepare_ms, fmt::format("setup, {}", duration_text(run_.setup_ms))});
    if (run_.prepare_ms > 0)
      phase.spans.push_back({"prepare", load_begin - run_.prepare_ms, load_begin,
                             fmt::format("prepare, {}", duration_text(run_.prepare_ms))});
    phase.spans.push_back({"load", load_begin, load_end, fmt::format("load, {}", duration_text(run_.load_ms))});
    lanes.push_back(std::move(phase));
    if (!run_.counters.rotating && run_.timeline.warmups.empty() && run_.timeline.swaps.empty()) return lanes;
    ChartLane warmup{"warm-up", {}}, swap{"swap", {}}, drain{"drain", {}};
    for (const WarmupSpan& span : run_.timeline.warmups)
      warmup.spans.push_back({span.problem.empty() ? "warmup" : "failed", span.begin_ms, span.end_ms,
                              fmt::format("warm-up, {}{}{}", duration_text(span.end_ms - span.begin_ms),
                                          span.problem.empty() ? "" : ": ", span.problem)});
    for (const SwapMark& mark : run_.timeline.swaps) {
      const RotationEvent& e = mark.event;
      swap.spans.push_back(
          {"swap", mark.at_ms, mark.at_ms,
           fmt::format("rotation {} at call {}: pause {}, {} to {}", e.rotation, mark.repetition,
                       duration_text(ms(e.swap_pause_ns)), bytes_text(static_cast<double>(e.bytes_before)),
                       bytes_text(static_cast<double>(e.bytes_after)))});
      if (mark.drained_ms)
        drain.spans.push_back({"drain", mark.at_ms, *mark.drained_ms,
                               fmt::format("rotation {}: drained and freed in {}", e.rotation,
                                           duration_text(*mark.drained_ms - mark.at_ms))});
    }
    if (rewinds()) {
      warmup = checkpoint_lane();
      swap.label = "rewind";
    }
    for (ChartLane* lane : {&warmup, &swap, &drain}) lanes.push_back(std::move(*lane));
    return lanes;
  }

  /// Returns the lane that stands where replay has its warm-ups.
  ChartLane checkpoint_lane() const {
    ChartLane lane{"checkpoint", {}};
    for (const CheckpointMark& mark : run_.timeline.checkpoints)
      lane.spans.push_back(
          {mark.problem.empty() ? "warmup" : "failed", mark.at_ms - ms(mark.pause_ns), mark.at_ms,
           fmt::format("checkpoint at call {}: pause {}{}", mark.repetition, duration_text(ms(mark.pause_ns)),
                       mark.problem.empty() ? ", " + bytes_text(static_cast<double>(mark.bytes)) + " held for it"
                                            : ": " + mark.problem)});
    for (const CheckpointMark& mark : run_.timeline.held_up)
      lane.spans.push_back(
          {"failed", mark.at_ms, mark.at_ms, fmt::format("no rewind at call {}: {}", mark.repetition, mark.problem)});
    return lane;
  }

  void add_levels(TimeChart& chart) const {
    const double limit = static_cast<double>(run_.limit_bytes);
    const Policy& p = run_.policy;
    auto level = [&](const char* css, std::string label, double y) {
      if (y <= chart.top_bytes) chart.levels.push_back({css, std::move(label), y});
    };
    level("limit", "limit", limit);
    if (!p.gauge.empty() || !run_.counters.rotating) return;  // thresholds of a gauge don't apply to memory.size
    level("force", fmt::format("force {:.3g} %", p.force_at * 100), limit * p.force_at);
    level("swap", fmt::format("swap {:.3g} %", p.swap_at * 100), limit * p.swap_at);
    level("warm", fmt::format("warm {:.3g} %", p.warm_at * 100), limit * p.warm_at);
  }

  TimeChart guest_chart() const {
    TimeChart chart;
    chart.id = "guest";
    chart.title = "Guest memory over time";
    chart.end_ms = end_ms_;
    auto active = [](const MemorySample& s) { return s.active; };
    if (baseline_) {
      chart.lines.push_back({"baseline", points_of(baseline_->timeline, active), true});
      for (Point& point : chart.lines.back().points) point.x += baseline_shift_ms_;
    }
    chart.lines.push_back(
        {run_.timeline.swaps.size() > kRules ? "active thin" : "active", points_of(run_.timeline, active), true});
    double top = 0;
    for (const ChartLine& line : chart.lines) top = std::max(top, highest(line.points));
    const double limit = static_cast<double>(run_.limit_bytes);
    // A limit far above what is used is left out of the scale: it would press the curves onto the axis.
    chart.top_bytes = std::max(1.0, (limit <= 3 * top ? std::max(limit, top) : top) * kHeadroom);
    add_levels(chart);
    if (run_.timeline.swaps.size() <= kRules)
      for (const SwapMark& mark : run_.timeline.swaps) chart.rules.push_back(mark.at_ms);
    chart.lanes = lanes();
    if (baseline_fails() && !chart.lines[0].points.empty())
      chart.mark = ChartMark{"baseline",
                             {*baseline_->first_failure_ms + baseline_shift_ms_, chart.lines[0].points.back().y},
                             fmt::format("without rotation call {} fails", grouped(baseline_->load.calls - 1))};
    return chart;
  }

  /// Returns a second, larger chart where single rotations can't be seen: of the first few of them, or of the load if
  /// the setup took most of the time.
  std::optional<TimeChart> zoomed(TimeChart chart) const {
    const std::vector<SwapMark>& swaps = run_.timeline.swaps;
    const double load_begin = load_begin_ms(run_);
    const bool is_short = run_.load_ms < kShortLoad * end_ms_ && !swaps.empty();
    if (swaps.size() <= kZoomFrom && !is_short) return std::nullopt;
    chart.id = "zoom";
    chart.title = "Guest memory over the first rotations";
    chart.end_ms = swaps.size() > kZoomFrom ? swaps[kZoomed].at_ms : load_begin + run_.load_ms;
    chart.begin_ms = std::max(0.0, load_begin - 0.02 * (chart.end_ms - load_begin));
    if (chart.begin_ms < 0.1 * chart.end_ms) chart.begin_ms = 0;
    std::erase_if(chart.rules, [&](double at) { return at > chart.end_ms; });
    if (chart.rules.empty())
      for (size_t i = 0; i <= std::min(kZoomed, swaps.size() - 1); i++) chart.rules.push_back(swaps[i].at_ms);
    for (ChartLine& line : chart.lines)
      if (line.css_class == "active thin") line.css_class = "active";
    if (chart.mark && (chart.mark->at.x < chart.begin_ms || chart.mark->at.x > chart.end_ms)) chart.mark.reset();
    return chart;
  }

  void guest_memory() {
    const TimeChart chart = guest_chart();
    html_.add("<section><h2>Guest memory</h2>\n<div class=\"legend\">");
    html_.legend("active", "", "memory of the active instance");
    if (baseline_) html_.legend("baseline", "", "the same load without rotation, from its start on");
    html_.legend("setup", "box", "setup");
    html_.legend("load", "box", "load");
    if (chart.lanes.size() > 1) {
      html_.legend("warmup", "box", rewinds() ? "checkpoint" : "warm-up of a standby");
      if (rewinds() ? run_.counters.rewinds_held_up + run_.counters.checkpoints_failed : run_.counters.warmups_failed)
        html_.legend("failed", "box", rewinds() ? "none could be taken, or no rewind could be" : "one that failed");
      html_.legend("swap", "box", rewinds() ? "rewind" : "swap");
      html_.legend("drain", "box", "retired instance until it is freed");
    }
    html_.add("</div>\n{}", draw(chart));
    if (auto zoom = zoomed(chart)) {
      html_.add(
          "<h3>{}</h3>\n{}",
          run_.timeline.swaps.size() > kZoomFrom ? fmt::format("The first {} rotations", kZoomed + 1) : "The load",
          draw(*zoom));
      zoom_ = {zoom->begin_ms, zoom->end_ms};
    }
    if (static_cast<double>(run_.limit_bytes) > chart.top_bytes)
      html_.add("<p class=\"note\">The limit, {}, lies above the chart.</p>\n",
                bytes_text(static_cast<double>(run_.limit_bytes)));
    if (baseline_fails()) {
      const std::string& text = baseline_->failures.front().message;
      html_.add("<p class=\"note\">Without rotation: {}{}{}</p>\n", escape_html(text.substr(0, text.find('\n'))),
                baseline_->guest_error.empty() ? "" : ". First heard of the guest: ",
                escape_html(baseline_->guest_error.substr(0, baseline_->guest_error.find('\n'))));
    }
    html_.add("</section>\n");
  }

  void process_memory() {
    TimeChart chart;
    chart.id = "process";
    chart.title = "Resident memory of the process over time";
    chart.end_ms = end_ms_;
    chart.lines.push_back({"resident", points_of(run_.timeline, [](const MemorySample& s) { return s.resident; })});
    chart.lines.push_back({"together", points_of(run_.timeline, together), true});
    const auto image = points_of(run_.timeline, [](const MemorySample& s) { return s.image; });
    const bool has_image = highest(image) > 0;
    if (has_image) chart.lines.push_back({"image", image, true});
    double top = 1;
    for (const ChartLine& line : chart.lines) top = std::max(top, highest(line.points));
    chart.top_bytes = top * kHeadroom;
    html_.add("<section><h2>Memory of the process</h2>\n<div class=\"legend\">");
    html_.legend("resident", "", "resident memory of the process");
    html_.legend("together", "", "guest memory of active, standby and retired instances");
    if (has_image) html_.legend("image", "", "held by the system for the image");
    html_.add(
        "</div>\n{}<p class=\"note\">Resident memory counts compiled code, the compiler and this tool as well. Guest "
        "memory is what instances have (memory.size), not what they have touched; instances made from an image share "
        "what neither has written.</p></section>\n",
        draw(chart));
  }

  void latency() {
    html_.add(
        "<section><h2>Latency of a call</h2>\n<p class=\"note\">A call is one repetition of the load, its wait for "
        "a lease included. During: an instance was exchanged within it or while it waited. Before and after: the "
        "{} calls on either side of those.</p>\n",
        kAroundSwap);
    std::vector<RangeRow> rows;
    auto row = [&](const char* label, const char* css, const Percentiles& p) {
      rows.push_back({label, css, p.count ? std::vector{p.p50, p.p90, p.p99, p.p999, p.max} : std::vector<double>()});
    };
    row("before", "before", latency_.before);
    row("during", "during", latency_.during);
    row("after", "after", latency_.after);
    if (latency_.during.count) {
      html_.add("{}<p class=\"note\">Points from left to right: p50, p90, p99, p99.9, the longest.</p>",
                draw_ranges(rows, "Latency before, during and after swaps"));
    }
    html_.add(
        "<div class=\"scroll\"><table><tr><th>around swaps</th><th>calls</th><th>p50</th><th>p90</th><th>p99</th>"
        "<th>p99.9</th><th>longest</th></tr>\n");
    for (const auto& [label, p] : {std::pair{"before", &latency_.before},
                                   {"during", &latency_.during},
                                   {"after", &latency_.after},
                                   {"all calls", &latency_.all}}) {
      html_.add("<tr><td>{}</td><td>{}</td>", label, grouped(p->count));
      for (double value : {p->p50, p->p90, p->p99, p->p999, p->max})
        html_.add("<td>{}</td>", p->count ? duration_text(value) : "–");
      html_.add("</tr>\n");
    }
    html_.add("</table></div></section>\n");
  }

  void rotations() {
    const std::vector<SwapMark>& swaps = run_.timeline.swaps;
    html_.add("<section><h2>Rotations</h2>\n");
    if (swaps.empty()) {
      html_.add("<p class=\"note\">There were none{}{}.</p></section>\n", run_.counters.off_reason.empty() ? "" : ": ",
                escape_html(run_.counters.off_reason));
      return;
    }
    html_.add(
        "<div class=\"scroll\"><table><tr><th>rotation</th><th>at</th><th>call</th><th class=\"text\">cause</th>"
        "<th class=\"text\">standby by</th><th>memory before</th><th>after</th><th>replayed</th><th>warm-up</th>"
        "<th>wait</th><th>swap pause</th><th>freed after</th></tr>\n");
    rows(swaps, 12, [&](const SwapMark& mark, size_t) {
      const RotationEvent& e = mark.event;
      html_.add(
          "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td><td>{}</td>"
          "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
          e.rotation, time_text(mark.at_ms, end_ms_), grouped(mark.repetition), cause_text(e.cause),
          rewinds()                          ? "checkpoint"
          : e.origin == StandbyOrigin::image ? "image"
                                             : "replay",
          bytes_text(static_cast<double>(e.bytes_before)), bytes_text(static_cast<double>(e.bytes_after)),
          grouped(e.calls_replayed), duration_text(ms(e.warmup_ns)), e.wait_ns ? duration_text(ms(e.wait_ns)) : "–",
          duration_text(ms(e.swap_pause_ns)), mark.drained_ms ? duration_text(*mark.drained_ms - mark.at_ms) : "–");
    });
    html_.add("</table></div>\n");
    notes("Failed warm-ups", run_.timeline.warmups);
    html_.add("</section>\n");
  }

  /// Adds a row for each mark; of many, for the first and the last ones.
  template <class Mark, class AddRow>
  void rows(const std::vector<Mark>& marks, int columns, AddRow add_row) {
    for (size_t i = 0; i < marks.size(); i++) {
      if (marks.size() > kTableRows && i == kTableRows / 2) {
        html_.add("<tr><td colspan=\"{}\">… {} more</td></tr>\n", columns, grouped(marks.size() - kTableRows));
        i = marks.size() - kTableRows / 2;
      }
      add_row(marks[i], i);
    }
  }

  /// Says what went wrong, each text once with how often.
  template <class Mark>
  void notes(const char* what, const std::vector<Mark>& marks) {
    std::map<std::string, size_t> problems;
    for (const Mark& mark : marks)
      if (!mark.problem.empty()) problems[mark.problem]++;
    for (const auto& [text, times] : problems)
      html_.add("<p class=\"note\">{} ({}): {}</p>\n", what, times, escape_html(text));
  }

  void checkpoints() {
    const std::vector<CheckpointMark>& marks = run_.timeline.checkpoints;
    const ProxyCounters& c = run_.counters;
    html_.add("<section><h2>Checkpoints</h2>\n");
    if (!marks.empty()) {
      html_.add(
          "<div class=\"scroll\"><table><tr><th>checkpoint</th><th>at</th><th>call</th><th>pause</th><th>held for "
          "it</th></tr>\n");
      rows(marks, 5, [&](const CheckpointMark& mark, size_t i) {
        html_.add("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", i + 1,
                  time_text(mark.at_ms, end_ms_), grouped(mark.repetition), duration_text(ms(mark.pause_ns)),
                  mark.problem.empty() ? bytes_text(static_cast<double>(mark.bytes)) : "none");
      });
      html_.add("</table></div>\n");
    }
    html_.add("<p class=\"note\">The last one {}.</p>\n", c.checkpoints == 0   ? "is still to be taken"
                                                          : c.checkpoint_stale ? "is stale: no rewind goes to it"
                                                                               : "is not stale");
    if (!c.stale_by.empty())
      html_.add("<p class=\"note\">Calls that made one stale: {}</p>\n", escape_html(c.stale_by));
    notes("No checkpoint", marks);
    notes("No rewind", run_.timeline.held_up);
    html_.add("</section>\n");
  }

  void counters() {
    const ProxyCounters& c = run_.counters;
    html_.add("<section><h2>Counters</h2>\n<dl class=\"counters\">");
    auto number = [&](const char* what, uint64_t value) {
      html_.add("<div><dt>{}</dt><dd>{}</dd></div>\n", what, grouped(value));
    };
    auto text = [&](const char* what, const std::string& value) {
      html_.add("<div><dt>{}</dt><dd>{}</dd></div>\n", what, value);
    };
    number("export calls", c.calls);
    number("leases", c.leases);
    number("traps", c.traps);
    number("retries", c.retries);
    number("stale handles", c.stale_handles);
    number("rotations for a trap", c.rotations_trap);
    number("rotations under a lease", c.rotations_force);
    number("probes compared", c.probes);
    number("exchanges that a probe refused", c.probes_failed);
    text(rewinds() ? "checkpoint" : "image", bytes_text(static_cast<double>(c.image_bytes)));
    if (rewinds()) {
      number("checkpoints", c.checkpoints);
      number("checkpoints failed", c.checkpoints_failed);
      text("checkpoints took", duration_text(ms(c.checkpoint_ns_total)));
      number("calls that changed state", c.state_changes);
      number("rewinds held up", c.rewinds_held_up);
      number("results held", c.held);
      number("instances made", c.warmups);
      number("instances that could not be made", c.warmups_failed);
      text("to make them took", duration_text(ms(c.warmup_ns_total)));
    } else {
      number("warm-ups", c.warmups);
      number("warm-ups failed", c.warmups_failed);
      number("divergences", c.divergences);
      number("calls replayed", c.calls_replayed);
      number("images made", c.images);
      number("images verified", c.verified);
      number("calls in the log", c.log_calls);
      text("size of the log", bytes_text(static_cast<double>(c.log_bytes)));
      number("compactions of the log", c.log_compactions);
      number("cuts of the log", c.log_cuts);
      text("warm-ups took", duration_text(ms(c.warmup_ns_total)));
    }
    text("swap pauses took", duration_text(ms(c.swap_pause_ns_total)));
    text("reclaimed", bytes_text(static_cast<double>(c.reclaimed_bytes)));
    text("most memory at once", bytes_text(static_cast<double>(c.peak_together_bytes)));
    number("drains overdue", c.drain_overdue);
    number("growths denied", c.denied_growths);
    html_.add(
        "</dl>\n<details><summary>All of them, as Prometheus reads them</summary><pre>{}</pre></details></section>\n",
        escape_html(prometheus_text(c)));
  }

  void facts() {
    const Policy& p = run_.policy;
    html_.add("<section><h2>The run</h2>\n<dl class=\"facts\">");
    auto fact = [&](const char* what, const std::string& value) {
      html_.add("<dt>{}</dt><dd>{}</dd>\n", what, escape_html(value));
    };
    fact("module", options_.module);
    fact("policy", options_.policy);
    fact("thresholds",
         fmt::format("warm at {:.3g} %, swap at {:.3g} %, force at {:.3g} % of {}", p.warm_at * 100, p.swap_at * 100,
                     p.force_at * 100, bytes_text(static_cast<double>(run_.limit_bytes))));
    fact("standbys", rewinds()                    ? "from a checkpoint of the active"
                     : p.image == ImageMode::lazy ? "the first by replay, then from its image"
                                                  : "by replay");
    if (p.group.workers) fact("workers", fmt::to_string(p.group.workers));
    fact("setup", fmt::format("{}, {}", options_.setup, duration_text(run_.setup_ms)));
    fact("load", fmt::format("{}, {} in {}", options_.load, grouped(run_.load.calls), duration_text(run_.load_ms)));
    if (!options_.also.empty())
      fact("also", fmt::format("{}, {} of {} right, each {} calls", options_.also, run_.also.ok, run_.also.calls,
                               options_.also_every));
    fact("command", command_line());
    fact("CPU", cpu_model());
    fact("system", system_name());
    fact("versions", fmt::format("rotor {}, LLVM {}", ROTOR_VERSION, ROTOR_LLVM_VERSION));
    html_.add("</dl></section>\n");
  }

  /// Returns the values that are shown at a pointer over a chart: those at some thousand times from `begin` to `end`.
  nlohmann::ordered_json hover_data(double begin, double end) const {
    std::vector<const MemorySample*> samples;
    for (const MemorySample& sample : run_.timeline.samples)
      if (sample.at_ms >= begin && sample.at_ms <= end) samples.push_back(&sample);
    const size_t step = samples.size() / kHoverPoints + 1;
    nlohmann::ordered_json json;
    json["begin"] = begin;
    json["end"] = end;
    json["t"] = json["series"] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < samples.size(); i += step) json["t"].push_back(std::round(samples[i]->at_ms * 100) / 100);
    auto add = [&](const char* name, auto value) {
      nlohmann::ordered_json values = nlohmann::ordered_json::array();
      for (size_t i = 0; i < samples.size(); i += step) values.push_back(value(*samples[i]));
      json["series"].push_back({{"name", name}, {"v", std::move(values)}});
    };
    add("active", [](const MemorySample& s) { return s.active; });
    add("standby", [](const MemorySample& s) { return s.standby; });
    add("retired", [](const MemorySample& s) { return s.retired; });
    add("image", [](const MemorySample& s) { return s.image; });
    add("resident", [](const MemorySample& s) { return s.resident; });
    return json;
  }

  std::string chart_data() const {
    nlohmann::ordered_json json;
    json["guest"] = json["process"] = hover_data(0, end_ms_);
    if (zoom_) json["zoom"] = hover_data(zoom_->first, zoom_->second);
    return json.dump();
  }

  const RotateOptions& options_;
  const Measured& run_;
  const Measured* baseline_;
  const LatencyBySwap latency_;
  double end_ms_ = 1;
  double baseline_shift_ms_ = 0;                   ///< so that both loads begin together
  std::optional<std::pair<double, double>> zoom_;  ///< times of the second chart
  Html html_;
};

}  // namespace

std::string rotate_report(const RotateOptions& options, const Measured& measured, const Measured* baseline) {
  return Report(options, measured, baseline).html();
}

}  // namespace rotor::cli
