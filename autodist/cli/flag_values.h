// Flags with numbers: the whole text must be one, and fit. CLI11's own conversions take "-1" for
// the largest unsigned number, read "0x10", and drop empty elements of lists.
#ifndef AUTODIST_CLI_FLAG_VALUES_H_
#define AUTODIST_CLI_FLAG_VALUES_H_

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// CLI11 takes long to compile: only the files that declare and parse options include it.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace autodist::cli {

// A flag of a command, which the CLI::App owns.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}
  Flag Group(const std::string& name);    // the heading above it in --help
  Flag Type(const std::string& name);     // of its value, in --help
  Flag Default(const std::string& text);  // as --help shows it
  bool given() const;                     // once the flags are parsed

 private:
  CLI::Option* option_;
};

// Decimal digits with an optional '-'. Throws core::Error naming `flag`, the text and the limit.
int64_t ParseInteger(std::string_view text, std::string_view flag, int64_t min, int64_t max);
uint64_t ParseUnsigned(std::string_view text, std::string_view flag);
// Decimal, with an optional exponent; also nan and inf, which the owner of the number refuses.
double ParseNumber(std::string_view text, std::string_view flag);

// The first of "--tensor-parallel-size,--tp": how messages call the flag.
std::string FirstName(const std::string& names);

// A flag or positional argument with any text.
Flag AddText(CLI::App& app, const std::string& names, std::string& value, const std::string& help);
Flag AddText(CLI::App& app, const std::string& names, std::optional<std::string>& value,
             const std::string& help);
// `parse` takes the text; a core::Error of its own ends the parsing.
Flag AddParsed(CLI::App& app, const std::string& names,
               std::function<void(const std::string&)> parse, const std::string& help);
// May be repeated; each takes one text.
Flag AddTexts(CLI::App& app, const std::string& names, std::vector<std::string>& values,
              const std::string& help);
// Up to `most` texts, separated by commas or spaces.
Flag AddTextList(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                 const std::string& help, int most);
// Positional arguments, at least one and at most `most` (any number without it), unless none.
void AddWords(CLI::App& app, const std::string& name, std::vector<std::string>& values,
              std::optional<int> most = {});

// `value` holds the default, shown in --help; it changes when the flag is parsed, which throws
// core::Error for anything that is no number of that type or, if it is signed, below `min`.
template <std::integral Integer>
Flag AddInteger(CLI::App& app, const std::string& names, Integer& value, const std::string& help,
                Integer min = std::numeric_limits<Integer>::min()) {
  const auto parse = [&value, min, flag = FirstName(names)](const std::string& text) {
    if constexpr (std::unsigned_integral<Integer>) {
      static_assert(sizeof(Integer) == sizeof(uint64_t));
      static_cast<void>(min);
      value = ParseUnsigned(text, flag);
    } else {
      value =
          static_cast<Integer>(ParseInteger(text, flag, min, std::numeric_limits<Integer>::max()));
    }
  };
  return AddParsed(app, names, parse, help).Type("N").Default(fmt::format("{}", value));
}

// As above for a flag without a default: `value` stays empty until the flag is parsed, and is at
// least `min` then.
template <std::signed_integral Integer>
Flag AddOptionalInteger(CLI::App& app, const std::string& names, std::optional<Integer>& value,
                        const std::string& help, Integer min) {
  const auto parse = [&value, min, flag = FirstName(names)](const std::string& text) {
    value =
        static_cast<Integer>(ParseInteger(text, flag, min, std::numeric_limits<Integer>::max()));
  };
  return AddParsed(app, names, parse, help).Type("N");
}

Flag AddNumber(CLI::App& app, const std::string& names, double& value, const std::string& help);

// "10,14"
Flag AddIntegerList(CLI::App& app, const std::string& names, std::vector<int64_t>& values,
                    const std::string& help);

// A flag without a value. Names that begin with '!' set it to false.
Flag AddSwitch(CLI::App& app, const std::string& names, bool& value, const std::string& help);

// What --help prints below the flags.
void SetFooter(CLI::App& app, const std::string& text);

// Whether the command line gives the flag `name` of `app`; false for a name it has not.
bool IsGiven(const CLI::App& app, const std::string& name);

// The directory of --output-dir, created where it is absent. Throws core::Error (bad input) when
// that fails, or nothing can be written there.
void MakeOutputDir(const std::string& directory);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_FLAG_VALUES_H_
