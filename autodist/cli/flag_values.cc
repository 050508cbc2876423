#include "autodist/cli/flag_values.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

using core::BadInput;

// from_chars over the whole text; out_of_range only when the text is a number.
template <typename Number>
std::errc Parse(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return end == text.data() + text.size() ? error : std::errc::invalid_argument;
}

}  // namespace

int64_t ParseInteger(std::string_view text, std::string_view flag, int64_t min, int64_t max) {
  int64_t value = 0;
  const std::errc error = Parse(text, value);
  if (error == std::errc::invalid_argument)
    throw BadInput("{} is \"{}\", must be a whole number", flag, text);
  if (error == std::errc::result_out_of_range)
    value = text.starts_with('-') ? std::numeric_limits<int64_t>::min()
                                  : std::numeric_limits<int64_t>::max();
  if (value < min || (error != std::errc() && value < 0))
    throw BadInput("{} is {}, must be at least {}", flag, text, min);
  if (value > max || error != std::errc())
    throw BadInput("{} is {}, must be at most {}", flag, text, max);
  return value;
}

uint64_t ParseUnsigned(std::string_view text, std::string_view flag) {
  uint64_t value = 0;
  const std::errc error = Parse(text, value);
  if (error == std::errc()) return value;
  throw BadInput("{} is \"{}\", must be a whole number, at least 0 and at most {}", flag, text,
                 std::numeric_limits<uint64_t>::max());
}

double ParseNumber(std::string_view text, std::string_view flag) {
  double value = 0;
  if (Parse(text, value) != std::errc())
    throw BadInput("{} is \"{}\", must be a number", flag, text);
  return value;
}

std::string FirstName(const std::string& names) { return names.substr(0, names.find(',')); }

Flag Flag::Group(const std::string& name) {
  option_->group(name);
  return *this;
}

Flag Flag::Type(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Flag Flag::Default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

bool Flag::given() const { return option_->count() > 0; }

Flag AddText(CLI::App& app, const std::string& names, std::string& value, const std::string& help) {
  return Flag(app.add_option(names, value, help));
}

Flag AddText(CLI::App& app, const std::string& names, std::optional<std::string>& value,
             const std::string& help) {
  return Flag(app.add_option(names, value, help));
}

Flag AddParsed(CLI::App& app, const std::string& names,
               std::function<void(const std::string&)> parse, const std::string& help) {
  return Flag(app.add_option_function<std::string>(names, parse, help));
}

Flag AddTexts(CLI::App& app, const std::string& names, std::vector<std::string>& values,
              const std::string& help) {
  return Flag(app.add_option(names, values, help)->allow_extra_args(false));
}

Flag AddTextList(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                 const std::string& help, int most) {
  return Flag(app.add_option(names, values, help)->delimiter(',')->expected(1, most));
}

void AddWords(CLI::App& app, const std::string& name, std::vector<std::string>& values,
              std::optional<int> most) {
  CLI::Option* option = app.add_option(name, values);
  if (most) option->expected(1, *most);
}

Flag AddNumber(CLI::App& app, const std::string& names, double& value, const std::string& help) {
  const auto parse = [&value, flag = FirstName(names)](const std::string& text) {
    value = ParseNumber(text, flag);
  };
  return AddParsed(app, names, parse, help).Type("X").Default(fmt::format("{}", value));
}

Flag AddIntegerList(CLI::App& app, const std::string& names, std::vector<int64_t>& values,
                    const std::string& help) {
  const auto parse = [&values, flag = FirstName(names)](const std::string& text) {
    values.clear();
    for (size_t first = 0; first <= text.size();) {
      const size_t comma = std::min(text.find(',', first), text.size());
      values.push_back(ParseInteger(std::string_view(text).substr(first, comma - first), flag,
                                    std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max()));
      first = comma + 1;
    }
  };
  return AddParsed(app, names, parse, help).Type("N,N,...");
}

Flag AddSwitch(CLI::App& app, const std::string& names, bool& value, const std::string& help) {
  return Flag(app.add_flag(names, value, help)->disable_flag_override());
}

void SetFooter(CLI::App& app, const std::string& text) { app.footer(text); }

bool IsGiven(const CLI::App& app, const std::string& name) {
  const CLI::Option* option = app.get_option_no_throw(name);
  return option != nullptr && option->count() > 0;
}

void MakeOutputDir(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    throw core::BadInput("--output-dir {}: cannot be created: {}", directory, error.message());
  if (::access(directory.c_str(), W_OK) != 0)
    throw core::BadInput("--output-dir {}: is not writable", directory);
}

}  // namespace autodist::cli
