#include "autodist/core/trace_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::core {
namespace {

class TraceWriterTest : public ::testing::Test {
 protected:
  ~TraceWriterTest() override { std::filesystem::remove(path_); }
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / fmt::format("autodist_trace_{}.json", ::getpid());
};

TEST_F(TraceWriterTest, EventsInMicroseconds) {
  TraceWriter writer(path_);
  writer.NameProcess(3, "rank 3");
  writer.NameThread(3, 0, "stream");
  writer.Add({.pid = 3,
              .tid = 0,
              .name = "linear",
              .category = "gemm",
              .start_ns = 1'500,
              .duration_ns = 2'000'001},
             {{"bytes", 12}, {"fraction", 0.5}});
  writer.Commit();
  const Json events = ParseJsonFile(path_)["traceEvents"];
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]["args"]["name"], "rank 3");
  EXPECT_EQ(events[1]["args"]["sort_index"], 3);
  EXPECT_EQ(events[2]["args"]["name"], "stream");
  EXPECT_EQ(events[3], ParseJson(R"({"name":"linear","cat":"gemm","ph":"X","pid":3,"tid":0,
      "ts":1.5,"dur":2000.001,"args":{"bytes":12,"fraction":0.5}})",
                                 "expected"));
}

TEST_F(TraceWriterTest, NamesAreEscapedAndNumbersAreJson) {
  TraceWriter writer(path_);
  writer.Add({.name = "a \"b\"\n\xff", .category = "c"},
             {{"infinite", std::numeric_limits<double>::infinity()}, {"large", 2e9}});
  writer.Commit();
  const Json event = ParseJsonFile(path_)["traceEvents"][0];
  EXPECT_EQ(event["name"], "a \"b\"\n\xEF\xBF\xBD");
  EXPECT_EQ(event["args"], Json({{"large", 2000000000}}));
}

TEST_F(TraceWriterTest, ManyEventsAndNone) {
  {
    TraceWriter writer(path_);
    for (int i = 0; i < 20'000; ++i) writer.Add({.name = "add", .start_ns = i}, {});
    EXPECT_FALSE(std::filesystem::exists(path_));  // not before Commit()
    writer.Commit();
  }
  EXPECT_EQ(ParseJsonFile(path_)["traceEvents"].size(), 20'000u);
  TraceWriter(path_).Commit();
  EXPECT_TRUE(ParseJsonFile(path_)["traceEvents"].empty());
}

TEST_F(TraceWriterTest, WithoutCommitNothingIsLeft) {
  { TraceWriter writer(path_); }
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_THROW(TraceWriter("/nowhere/trace.json"), Error);
}

}  // namespace
}  // namespace autodist::core
