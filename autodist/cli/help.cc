#include "autodist/cli/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace autodist::cli {
namespace {

constexpr size_t kColumns = 100;
constexpr size_t kHelpColumn = 30;

std::vector<std::string> LongNames(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

// "--tensor-parallel-size, --tp N"
std::string LeftColumn(const CLI::Option& option) {
  std::string left = fmt::format("  {}", fmt::join(LongNames(option), ", "));
  if (option.get_items_expected_max() > 0) left += " " + option.get_type_name();
  return left;
}

// Breaks `text` at spaces so that it fits behind column kHelpColumn.
void AppendWrapped(std::string& out, std::string_view text) {
  constexpr size_t kRoom = kColumns - kHelpColumn;
  while (text.size() > kRoom) {
    const size_t space = text.rfind(' ', kRoom);
    const size_t cut = space == std::string_view::npos ? kRoom : space;
    out += fmt::format("{}\n{:{}}", text.substr(0, cut), "", kHelpColumn);
    text.remove_prefix(cut + (space == std::string_view::npos ? 0 : 1));
  }
  out += fmt::format("{}\n", text);
}

void AppendOption(std::string& out, const CLI::Option& option) {
  const std::string left = LeftColumn(option);
  out += left;
  out += left.size() + 1 < kHelpColumn ? std::string(kHelpColumn - left.size(), ' ')
                                       : "\n" + std::string(kHelpColumn, ' ');
  std::string help = option.get_description();
  if (!option.get_default_str().empty())
    help += fmt::format(" (default {})", option.get_default_str());
  AppendWrapped(out, help);
}

// Number of single-character changes from `a` to `b`.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

// "; did you mean --prompt?", or nothing when no flag is near.
std::string Suggestion(const CLI::App& app, std::string_view unknown) {
  unknown = unknown.substr(0, unknown.find('='));
  std::string nearest;
  size_t best = std::max<size_t>(2, unknown.size() / 4) + 1;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : LongNames(*option)) {
      const size_t distance = name.starts_with(unknown) ? 1 : Distance(name, unknown);
      if (distance >= best) continue;
      best = distance;
      nearest = name;
    }
  }
  return nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest);
}

core::Error ExtrasError(const CLI::App& app) {
  const std::vector<std::string> extras = app.remaining();
  for (const std::string& extra : extras) {
    if (extra.starts_with("-"))
      return core::BadInput("unknown flag {}{} (`{} --help` lists the flags)", extra,
                            Suggestion(app, extra), app.get_name());
  }
  return core::BadInput(
      "unexpected argument \"{}\": `{}` takes {} besides its flags",
      extras.empty() ? "" : extras.front(), app.get_name(),
      app.get_options([](const CLI::Option* option) { return option->get_positional(); }).empty()
          ? "nothing"
          : "one argument");
}

}  // namespace

std::string HelpText(const CLI::App& app) {
  std::string usage = app.get_name();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) usage += fmt::format(" [{}]", option->get_name(true, false));
  }
  std::string text = fmt::format("{}.\n\nusage: {} [FLAGS]\n", app.get_description(), usage);
  for (const std::string& group : app.get_groups()) {
    std::string lines;
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_group() == group && !option->get_lnames().empty())
        AppendOption(lines, *option);
    }
    if (!lines.empty()) text += fmt::format("\n{}:\n{}", group, lines);
  }
  if (!app.get_footer().empty()) text += "\n" + app.get_footer() + "\n";
  return text;
}

core::Error FlagError(const CLI::App& app, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return ExtrasError(app);
  const std::string what = error.what();
  const size_t overridden = what.find(" was given a disallowed flag override");
  if (overridden != std::string::npos)
    return core::BadInput("--{} takes no value", what.substr(0, overridden));
  // CLI11 begins with the option: "--prompt: 1 required TEXT missing".
  const std::string name = what.substr(0, what.find(':'));
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option != nullptr && dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    if (option->count() > 1) return core::BadInput("{} is given more than once", name);
    return core::BadInput("{} needs a value", name);
  }
  return core::BadInput("{} (`{} --help` lists the flags)", what, app.get_name());
}

}  // namespace autodist::cli
