#include "autodist/trace/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "autodist/core/error.h"
#include "autodist/trace/microseconds.h"
#include "autodist/trace/testing/trace_text.h"
#include "autodist/trace/trace.h"

namespace autodist::trace {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::optional<int64_t> Ns(std::string_view text) {
  int64_t ns = 0;
  if (!ParseMicroseconds(text, ns)) return {};
  return ns;
}

TEST(ParseMicrosecondsTest, NeverThroughADouble) {
  EXPECT_EQ(Ns("12"), 12000);
  EXPECT_EQ(Ns("12.345"), 12345);
  EXPECT_EQ(Ns("0.5"), 500);
  EXPECT_EQ(Ns("-1.5"), -1500);
  EXPECT_EQ(Ns("1.0009"), 1000);
  // 2^53 is 9.0e15: a double would lose the last digits of this one.
  EXPECT_EQ(Ns("1767189312000000.123"), 1767189312000000123);
  EXPECT_EQ(Ns("1.661203463029566e15"), 1661203463029566000);
  EXPECT_EQ(Ns("1e-3"), 1);
  EXPECT_EQ(Ns("12E+1"), 120000);
  EXPECT_EQ(Ns("0e999999"), 0);
  EXPECT_EQ(Ns("9223372036854775.807"), INT64_MAX);
}

TEST(ParseMicrosecondsTest, WhatIsNoTime) {
  for (const char* text :
       {"", "-", ".", "1.2.3", "abc", "\"1\"", "1e", "1ex", "9223372036854775.808", "1e300",
        "1e99999", "99999999999999999999999", "NaN", "null"})
    EXPECT_FALSE(Ns(text)) << text;
}

TEST(ReaderTest, FieldsOfTheDocument) {
  TraceText text;
  text.Field(R"("distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8, "pg": [{}]})")
      .Field(R"("deviceProperties": [{"id": 0, "name": "GPU"}, {"deep": [[[1, 2.5e-3, null]]]}])")
      .Field(R"("baseTimeNanoseconds": 1767189312000000000)")
      .Kernel("k", 1.5, 2.25, {.stream = 7, .device = 3});
  const Trace trace = text.Read();
  EXPECT_EQ(trace.rank, 3);
  EXPECT_EQ(trace.world_size, 8);
  EXPECT_EQ(trace.base_time_ns, 1767189312000000000);
  ASSERT_EQ(trace.events.size(), 1u);
  EXPECT_EQ(trace.events[0].start_ns, 1500);
  EXPECT_EQ(trace.events[0].end_ns, 3750);
  EXPECT_EQ(trace.streams[0].device, 3);
  EXPECT_EQ(trace.streams[0].id, 7);
}

Trace Read(std::string_view text, size_t = 0) {
  TextBytes bytes(text);
  return ReadTrace(bytes, "bad.json", Classifier());
}

TEST(ReaderTest, ArgumentsBeforeTheCategoryAndEscapesInNames) {
  const Trace trace = Read(
      R"([{"args": {"grid": [ 1,1 , 1], "block": [1,1,1], "stream": 5, "device": 2},
           "dur": 1, "ts": 2, "name": "kuserbuffers_pushsend \"\u00e9\"", "cat": "kernel",
           "ph": "X", "pid": "x", "tid": "y"}])");
  ASSERT_EQ(trace.events.size(), 1u);
  EXPECT_EQ(trace.events[0].event_class, EventClass::kCommWait);
  EXPECT_EQ(trace.names[0].text, "kuserbuffers_pushsend \"\xc3\xa9\"");
  EXPECT_EQ(trace.streams[0].id, 5);
}

TEST(ReaderTest, OneNameWithTwoMeanings) {
  TraceText text;
  text.Kernel("kuserbuffers_pushsend", 0, 1, {.args = R"("grid": [1,1,1], "block": [1,1,1])"})
      .Kernel("kuserbuffers_pushsend", 2, 1, {.args = R"("grid": [16,1,1], "block": [1024,1,1])"})
      .Kernel("kuserbuffers_pushsend", 4, 1, {.args = R"("grid": [1,1,1], "block": [1,1,1])"})
      .Kernel("gemm", 6, 1, {.args = R"("grid": [1,1,1], "block": [1,1,1])"})
      .Kernel("gemm", 8, 1, {.args = R"("grid": [9,1,1], "block": [1,1,1])"});
  const Trace trace = text.Read();
  using enum EventClass;
  std::vector<EventClass> classes;
  for (const DeviceEvent& event : trace.events) classes.push_back(event.event_class);
  EXPECT_EQ(classes, (std::vector{kCommWait, kComm, kCommWait, kGemm, kGemm}));
  EXPECT_EQ(trace.names.size(), 3u);
}

// The window slides: results do not depend on where its edges fall.
TEST(ReaderTest, TextsLargerThanTheWindow) {
  TraceText text;
  text.Field(fmt::format(R"("huge": "{}")", std::string(3 << 20, 'x')));
  for (int i = 0; i < 20000; ++i)
    text.Launch(i, i).Kernel("gemm_with_a_name_of_some_length", i + 0.125, 0.5, {.correlation = i});
  const Trace trace = text.Read();
  ASSERT_EQ(trace.events.size(), 20000u);
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(trace.events[i].start_ns, i * 1000 + 125);
    ASSERT_EQ(trace.events[i].launch_ns, i * 1000);
  }
}

std::string Refusal(std::string_view text) {
  try {
    Read(text);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "no error";
}

TEST(BadInputTest, BrokenJson) {
  EXPECT_EQ(Refusal(""), "bad.json: not valid JSON at byte 1: the file is empty");
  EXPECT_THAT(Refusal(std::string_view("\0\xff", 2)),
              HasSubstr("not valid JSON at byte 1: '{' is missing"));
  EXPECT_THAT(Refusal("abc"), HasSubstr("bad.json: not valid JSON at byte 1: '{' is missing"));
  EXPECT_EQ(Refusal(R"({"traceEvents": [)"),
            "bad.json: not valid JSON at byte 18: an element of traceEvents must be an object");
  EXPECT_EQ(Refusal(R"({"traceEvents": [{]})"),
            "bad.json: not valid JSON at byte 19: a name in quotes is missing");
  EXPECT_THAT(Refusal(R"({"traceEvents": [] )"), HasSubstr("byte 20: the text ends too early"));
  EXPECT_THAT(Refusal(R"({"traceEvents": []} x)"), HasSubstr("byte 21: something follows"));
  EXPECT_THAT(Refusal(R"({"traceEvents": [], })"), HasSubstr("byte 21: a name in quotes"));
  EXPECT_THAT(Refusal(R"({"traceEvents": [{"ph": "X",}]})"), HasSubstr("byte 29"));
  EXPECT_THAT(Refusal(R"({"a": [1, 2,], "traceEvents": []})"), HasSubstr("byte 13"));
  EXPECT_THAT(Refusal(R"({"a": 01, "traceEvents": []})"), HasSubstr("must not begin with 0"));
  EXPECT_THAT(Refusal(R"({"a": 1., "traceEvents": []})"), HasSubstr("a digit is missing"));
  EXPECT_THAT(Refusal(R"({"a": tru, "traceEvents": []})"), HasSubstr("no value begins"));
  EXPECT_THAT(Refusal("{\"a\": \"x\ny\", \"traceEvents\": []}"), HasSubstr("control character"));
  EXPECT_THAT(Refusal(R"({"a": "x)"), HasSubstr("the text ends inside a string"));
  EXPECT_THAT(Refusal(R"({"a": "x\)"), HasSubstr("the text ends inside a string"));
}

TEST(BadInputTest, WhatPythonWrites) {
  EXPECT_EQ(Refusal(R"({"a": NaN, "b": -Infinity, "traceEvents": []})"), "no error");
}

TEST(BadInputTest, NoTrace) {
  EXPECT_THAT(Refusal("{}"), HasSubstr("field traceEvents is missing"));
  EXPECT_THAT(Refusal(R"({"traceEvents": {}})"), HasSubstr("field traceEvents must be a list"));
  EXPECT_THAT(Refusal(R"({"traceEvents": [1]})"), HasSubstr("must be an object"));
}

TEST(BadInputTest, MillionsOfBrackets) {
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(Refusal(deep), HasSubstr("byte 2: an element of traceEvents must be an object"));
  EXPECT_THAT(Refusal("{\"a\": " + deep), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(Refusal("{\"traceEvents\": [{\"args\": {\"x\": " + deep),
              HasSubstr("byte 97: nested deeper than 64"));
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  EXPECT_THAT(Refusal("{\"a\": " + objects), HasSubstr("nested deeper than 64"));
}

std::string Event(std::string_view fields) {
  return fmt::format(R"([{{"ph": "X", "cat": "kernel", {}}}])", fields);
}

TEST(BadInputTest, WrongTypesAndValues) {
  EXPECT_EQ(Refusal(Event(R"("name": "k", "ts": "1", "dur": 1)")),
            "bad.json: at byte 2: field ts is \"1\", must be a number of microseconds within 292 "
            "years");
  EXPECT_EQ(Refusal(Event(R"("name": "k", "ts": 1, "dur": -3)")),
            "bad.json: at byte 2: field dur is -3, must be at least 0");
  EXPECT_EQ(Refusal(Event(R"("name": "k", "ts": 1)")),
            "bad.json: the event at byte 2 has no field dur");
  EXPECT_THAT(Refusal(Event(R"("name": 7, "ts": 1, "dur": 1)")),
              HasSubstr("field name is 7, must be a text"));
  EXPECT_THAT(Refusal(Event(R"("name": "k", "ts": 1, "dur": 1, "args": {"stream": "seven"})")),
              HasSubstr("field args.stream is \"seven\", must be an integer"));
  EXPECT_THAT(Refusal(Event(R"("name": "k", "ts": 1, "dur": 1, "args": {"correlation": 1.5})")),
              HasSubstr("field args.correlation is 1.5, must be an integer"));
  EXPECT_THAT(Refusal(Event(R"("name": "k", "ts": 1e300, "dur": 1)")), HasSubstr("field ts"));
  EXPECT_THAT(Refusal(Event(R"("name": "k", "ts": 9223372036854775, "dur": 9)")),
              HasSubstr("field dur"));
  EXPECT_THAT(Refusal(R"({"distributedInfo": {"rank": "0"}, "traceEvents": []})"),
              HasSubstr("field distributedInfo.rank is \"0\", must be an integer"));
  EXPECT_THAT(Refusal(R"({"distributedInfo": 3, "traceEvents": []})"), HasSubstr("'{' is missing"));
}

// What is not looked at may be anything.
TEST(BadInputTest, OtherEventsAreSkipped) {
  EXPECT_EQ(Refusal(R"([{"ph": "M", "name": 3}, {"ph": 7}, {}, {"ph": "X", "cat": "Trace"},
                        {"ph": "X", "cat": "cpu_op", "name": "a", "args": {"stream": "x"}}])"),
            "no error");
}

TEST(ReaderTest, MissingCorrelationIsCounted) {
  TraceText text;
  text.Kernel("k", 0, 1, {}).Kernel("k", 2, 1, {.correlation = 9}).Launch(8, 0);
  EXPECT_EQ(text.Read().events_without_launch, 2);
}

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() /
                 fmt::format("autodist_trace_{}",
                             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(directory_);
    fs::create_directory(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path Write(const std::string& name, std::string_view content) {
    std::ofstream(directory_ / name, std::ios::binary) << content;
    return directory_ / name;
  }
  static std::string Gzip(const std::string& text) {
    std::string packed(text.size() + 1024, '\0');
    z_stream stream = {};
    deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    std::string input = text;
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
  }
  static std::string Refusal(const std::vector<fs::path>& files) {
    try {
      ReadTraces(files, Classifier());
    } catch (const core::Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "no error";
  }
  static std::string OfRank(int rank) {
    return TraceText()
        .Field(fmt::format(R"("distributedInfo": {{"rank": {}}})", rank))
        .Kernel("k", rank, 1, {})
        .Json();
  }

  fs::path directory_;
};

TEST_F(FileTest, PlainAndGzipAreTheSame) {
  const std::string text = OfRank(0);
  const size_t half = text.size() / 2;
  // Two members in a row are one text.
  const fs::path packed = Write("a.json.gz", Gzip(text.substr(0, half)) + Gzip(text.substr(half)));
  EXPECT_EQ(ReadTrace(packed, Classifier()).events.size(), 1u);
  EXPECT_EQ(ReadTrace(Write("a.json", text), Classifier()).events.size(), 1u);
}

TEST_F(FileTest, DamagedGzip) {
  std::string packed = Gzip(OfRank(0));
  const std::string cut = packed.substr(0, packed.size() - 20);
  EXPECT_THAT(Refusal({Write("cut.json.gz", cut)}),
              HasSubstr(fmt::format("cut.json.gz: truncated: the gzip data ends early, at byte {}",
                                    cut.size() + 1)));
  packed[20] = static_cast<char>(packed[20] ^ 0x55);
  EXPECT_THAT(Refusal({Write("bad.json.gz", packed)}), HasSubstr("bad.json.gz: "));
}

TEST_F(FileTest, NoFile) {
  EXPECT_THAT(Refusal({directory_}), HasSubstr("is a directory"));
  EXPECT_THAT(Refusal({directory_ / "absent.json"}), HasSubstr("absent.json"));
}

TEST_F(FileTest, RanksAreSortedAndDistinct) {
  const fs::path one = Write("one.json", OfRank(1));
  const fs::path zero = Write("zero.json", OfRank(0));
  const std::vector<Trace> traces = ReadTraces({one, zero}, Classifier());
  EXPECT_EQ(traces[0].rank, 0);
  EXPECT_EQ(traces[1].rank, 1);
  EXPECT_THAT(Refusal({one, zero, one}), HasSubstr("both are of rank 1 (distributedInfo.rank)"));
}

// A header of 512 bytes, then the content in blocks of 512.
std::string TarMember(const std::string& name, const std::string& content) {
  std::string block(512, '\0');
  name.copy(block.data(), 100);
  fmt::format("{:011o}", content.size()).copy(block.data() + 124, 12);
  block[156] = '0';
  return block + content + std::string((512 - content.size() % 512) % 512, '\0');
}

TEST_F(FileTest, AnArchiveStandsForItsFiles) {
  const std::string end(1024, '\0');
  const std::string members =
      TarMember("run/._w0.json", "no trace") + TarMember("run/w1.json", OfRank(1)) +
      TarMember("run/notes.txt", "no trace") + TarMember("run/w0.json", OfRank(0));
  const std::vector<Trace> traces =
      ReadTraces({Write("run.tar.gz", Gzip(members + end))}, Classifier());
  ASSERT_EQ(traces.size(), 2u);
  EXPECT_THAT(traces[0].file, HasSubstr("run.tar.gz!run/w0.json"));
  EXPECT_THAT(Refusal({Write("cut.tar", members.substr(0, members.size() - 600))}),
              HasSubstr("cut.tar: truncated"));
  EXPECT_THAT(Refusal({Write("none.tar", TarMember("a.txt", "x") + end)}),
              HasSubstr("there is no .json file in the archive"));
  EXPECT_THAT(Refusal({Write("text.tar", std::string(1024, 'x'))}), HasSubstr("is no tar archive"));
}

}  // namespace
}  // namespace autodist::trace
