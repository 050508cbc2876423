// Flags with numbers: the whole text must be one, and fit. CLI11's own conversions take "-1" for
// the largest unsigned number, read "0x10", and drop empty elements of lists.
#ifndef AUTODIST_CLI_FLAG_VALUES_H_
#define AUTODIST_CLI_FLAG_VALUES_H_

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autodist::cli {

// Decimal digits with an optional '-'. Throws core::Error naming `flag`, the text and the limit.
int64_t ParseInteger(std::string_view text, std::string_view flag, int64_t min, int64_t max);
uint64_t ParseUnsigned(std::string_view text, std::string_view flag);
// Decimal, with an optional exponent; also nan and inf, which the owner of the number refuses.
double ParseNumber(std::string_view text, std::string_view flag);

// The first of "--tensor-parallel-size,--tp": how messages call the flag.
std::string FirstName(const std::string& names);

// `value` holds the default, shown in --help; it changes when the flag is parsed, which throws
// core::Error for anything that is no number of that type or, if it is signed, below `min`.
template <std::integral Integer>
CLI::Option* AddInteger(CLI::App& app, const std::string& names, Integer& value,
                        const std::string& help,
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
  return app.add_option_function<std::string>(names, parse, help)
      ->type_name("N")
      ->default_str(fmt::format("{}", value));
}

// As above for a flag without a default: `value` stays empty until the flag is parsed, and is at
// least `min` then.
template <std::signed_integral Integer>
CLI::Option* AddOptionalInteger(CLI::App& app, const std::string& names,
                                std::optional<Integer>& value, const std::string& help,
                                Integer min) {
  const auto parse = [&value, min, flag = FirstName(names)](const std::string& text) {
    value =
        static_cast<Integer>(ParseInteger(text, flag, min, std::numeric_limits<Integer>::max()));
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("N");
}

CLI::Option* AddNumber(CLI::App& app, const std::string& names, double& value,
                       const std::string& help);

// "10,14"
CLI::Option* AddIntegerList(CLI::App& app, const std::string& names, std::vector<int64_t>& values,
                            const std::string& help);

// A flag without a value.
CLI::Option* AddSwitch(CLI::App& app, const std::string& names, bool& value,
                       const std::string& help);

// The directory of --output-dir, created where it is absent. Throws core::Error (bad input) when
// that fails, or nothing can be written there.
void MakeOutputDir(const std::string& directory);

}  // namespace autodist::cli

#endif  // AUTODIST_CLI_FLAG_VALUES_H_
