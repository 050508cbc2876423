#include "autodist/cli/sweep_grid.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "autodist/cli/flag_values.h"
#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

using core::BadInput;

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t first = 0; first <= text.size();) {
    const size_t end = std::min(text.find(separator, first), text.size());
    parts.push_back(text.substr(first, end - first));
    first = end + 1;
  }
  return parts;
}

template <typename Integer>
std::vector<Integer> Integers(std::string_view list, const std::string& what, Integer min) {
  std::vector<Integer> values;
  for (const std::string_view word : SplitAt(list, ','))
    values.push_back(
        static_cast<Integer>(ParseInteger(word, what, min, std::numeric_limits<Integer>::max())));
  return values;
}

std::vector<std::string> Words(std::string_view list, const std::string& what) {
  std::vector<std::string> words;
  for (const std::string_view word : SplitAt(list, ',')) {
    if (word.empty()) throw BadInput("{} has an empty value", what);
    words.emplace_back(word);
  }
  return words;
}

}  // namespace

measure::SweepGrid ParseGrid(std::string_view text, measure::SweepGrid grid,
                             const std::function<bool(std::string_view key)>& given) {
  std::set<std::string_view> seen;
  for (const std::string_view entry : SplitAt(text, ';')) {
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos)
      throw BadInput("--grid has \"{}\", must be KEY=VALUE,...;KEY=VALUE,...", entry);
    const std::string_view key = entry.substr(0, equals);
    const std::string_view list = entry.substr(equals + 1);
    const std::string what = fmt::format("--grid {}", key);
    if (!seen.insert(key).second) throw BadInput("--grid has {} more than once", key);
    if (key == "prompt-length") {
      grid.prompt_lengths = Integers<int64_t>(list, what, 1);
    } else if (key == "output-length") {
      grid.output_lengths = Integers<int64_t>(list, what, 2);
    } else if (key == "batch-size") {
      grid.batch_sizes = Integers<int64_t>(list, what, 1);
    } else if (key == "tp") {
      grid.tp = Integers<int>(list, what, 1);
    } else if (key == "pp") {
      grid.pp = Integers<int>(list, what, 1);
    } else if (key == "dtype") {
      grid.dtypes = Words(list, what);
    } else if (key == "weights") {
      grid.weights = Words(list, what);
    } else {
      throw BadInput(
          "--grid has {}, must be prompt-length, output-length, batch-size, tp, pp, dtype or "
          "weights",
          key);
    }
    if (given(key)) throw BadInput("--grid has {}, which --{} gives too", key, key);
  }
  return grid;
}

}  // namespace autodist::cli
