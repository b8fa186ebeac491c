// The frame of a report: one HTML page that loads nothing. It is light or dark as the reader's system is.
#pragma once

#include <string>
#include <string_view>

namespace rotor::cli {

/// Returns the page. `body` is HTML. `chart_data` is JSON, by chart id, for the values shown under the pointer: {id:
/// {begin, end, t: [], series: [{name, v: []}]}}.
std::string html_page(std::string_view title, std::string_view body, std::string_view chart_data);

}  // namespace rotor::cli
