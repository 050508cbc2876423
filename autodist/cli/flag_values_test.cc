#include "autodist/cli/flag_values.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "autodist/cli/run_flags.h"
#include "autodist/core/error.h"

namespace autodist::cli {
namespace {

template <typename Function>
std::string MessageOf(const Function& function) {
  try {
    function();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(ParseIntegerTest, TheWholeTextIsTheNumber) {
  EXPECT_EQ(ParseInteger("-7", "--n", -10, 10), -7);
  EXPECT_EQ(ParseInteger("9223372036854775807", "--n", 0, INT64_MAX), INT64_MAX);
  for (const char* text : {"", " 1", "1 ", "+1", "0x10", "1e3", "1.5", "1,2", "one", "--1"})
    EXPECT_EQ(MessageOf([&] { ParseInteger(text, "--n", 0, 100); }),
              std::string("--n is \"") + text + "\", must be a whole number");
}

TEST(ParseIntegerTest, LimitsAreNamed) {
  EXPECT_EQ(MessageOf([] { ParseInteger("0", "--n", 1, 9); }), "--n is 0, must be at least 1");
  EXPECT_EQ(MessageOf([] { ParseInteger("10", "--n", 1, 9); }), "--n is 10, must be at most 9");
  EXPECT_EQ(MessageOf([] { ParseInteger("9223372036854775808", "--n", 1, INT64_MAX); }),
            "--n is 9223372036854775808, must be at most 9223372036854775807");
  EXPECT_EQ(MessageOf([] { ParseInteger("-9223372036854775809", "--n", INT64_MIN, 9); }),
            "--n is -9223372036854775809, must be at least -9223372036854775808");
}

TEST(ParseUnsignedTest, MinusOneIsNotTheLargestNumber) {
  EXPECT_EQ(ParseUnsigned("18446744073709551615", "--seed"), UINT64_MAX);
  for (const char* text : {"-1", "18446744073709551616", ""})
    EXPECT_EQ(MessageOf([&] { ParseUnsigned(text, "--seed"); }),
              std::string("--seed is \"") + text +
                  "\", must be a whole number, at least 0 and at most 18446744073709551615");
}

TEST(ParseNumberTest, DecimalWithExponent) {
  EXPECT_EQ(ParseNumber("1e-3", "--x"), 1e-3);
  EXPECT_TRUE(std::isnan(ParseNumber("nan", "--x")));  // refused by its owner, who knows the range
  for (const char* text : {"", "1,5", "0.5x", "1e999", "half"})
    EXPECT_EQ(MessageOf([&] { ParseNumber(text, "--x"); }),
              std::string("--x is \"") + text + "\", must be a number");
}

TEST(ParseBytesTest, UnitsArePowersOf1024) {
  EXPECT_EQ(ParseBytes("300", "--rank-memory"), 300u);
  EXPECT_EQ(ParseBytes("8G", "--rank-memory"), uint64_t{8} << 30);
  EXPECT_EQ(ParseBytes("1.5GiB", "--rank-memory"), uint64_t{3} << 29);
  EXPECT_EQ(ParseBytes("512mb", "--rank-memory"), uint64_t{512} << 20);
  for (const char* text : {"", "G", "8X", "-1G", "0", "nan", "inf", "1e30T", "8 G"})
    EXPECT_EQ(MessageOf([&] { ParseBytes(text, "--rank-memory"); }),
              std::string("--rank-memory is \"") + text +
                  "\", must be a positive size such as 8G or 512M");
}

TEST(ParseBytesTest, ListsHaveNoEmptyElements) {
  EXPECT_EQ(ParseByteList("1K,2K", "--rank-memory"), (std::vector<uint64_t>{1024, 2048}));
  EXPECT_NE(MessageOf([] { ParseByteList("1K,,2K", "--rank-memory"); }), "");
  EXPECT_NE(MessageOf([] { ParseByteList("1K,", "--rank-memory"); }), "");
}

// Flags as the program declares them, parsed from a command line.
struct Flags {
  CLI::App app;
  int64_t number = 5;
  std::optional<int> optional;
  std::vector<int64_t> list;
  bool on = false;

  Flags() {
    AddInteger<int64_t>(app, "--number,--num", number, "", 1);
    AddOptionalInteger(app, "--optional", optional, "", 1);
    AddIntegerList(app, "--list", list, "");
    AddSwitch(app, "--on", on, "");
  }
  void Parse(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());
    app.parse(std::move(arguments));
  }
};

TEST(FlagsTest, ValuesArriveAndDefaultsStay) {
  Flags flags;
  flags.Parse({"--list", "10,14", "--on"});
  EXPECT_EQ(flags.number, 5);
  EXPECT_EQ(flags.optional, std::nullopt);
  EXPECT_EQ(flags.list, (std::vector<int64_t>{10, 14}));
  EXPECT_TRUE(flags.on);
}

TEST(FlagsTest, MessagesNameTheFirstNameOfTheFlag) {
  Flags flags;
  EXPECT_EQ(MessageOf([&] { flags.Parse({"--num", "0"}); }), "--number is 0, must be at least 1");
  EXPECT_EQ(MessageOf([&] {
              flags.Parse({"--optional", "2147483648"});
            }),
            "--optional is 2147483648, must be at most 2147483647");
  EXPECT_EQ(MessageOf([&] {
              flags.Parse({"--list", "1,,2"});
            }),
            "--list is \"\", must be a whole number");
}

}  // namespace
}  // namespace autodist::cli
