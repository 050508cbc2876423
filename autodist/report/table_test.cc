#include "autodist/report/table.h"

#include <gtest/gtest.h>

namespace autodist::report {
namespace {

TEST(TableTest, TextIsAligned) {
  Table table({"op", "ms"});
  table.Add({"attention", "1.5"});
  table.Add({"rows", "10.25"});
  table.Add({"other", ""});
  EXPECT_EQ(table.ToText(),
            "op            ms\n"
            "attention    1.5\n"
            "rows       10.25\n"
            "other\n");
}

TEST(TableTest, CsvQuotesWhatWouldBreakIt) {
  Table table({"what", "why"});
  table.Add({"a,b", "said \"no\""});
  table.Add({"plain", "two\nlines"});
  EXPECT_EQ(table.ToCsv(),
            "what,why\n"
            "\"a,b\",\"said \"\"no\"\"\"\n"
            "plain,\"two\nlines\"\n");
}

TEST(TableTest, ATableMayHaveNoRows) {
  EXPECT_EQ(Table({"a", "b"}).ToText(), "a  b\n");
  EXPECT_EQ(Table({"a", "b"}).ToCsv(), "a,b\n");
}

}  // namespace
}  // namespace autodist::report
