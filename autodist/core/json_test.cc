#include "autodist/core/json.h"

#include <gtest/gtest.h>

#include <random>

#include "autodist/core/error.h"

namespace autodist::core {
namespace {

std::string ErrorOf(const std::string& text) {
  try {
    ParseJson(text, "f.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "accepted";
}

TEST(JsonTest, KeepsOrderAndTypes) {
  const Json value = ParseJson(R"( {"b": [1, -2, 3.5, true, null, "é"], "a": {}} )", "f.json");
  EXPECT_EQ(DumpJson(value), R"({"b":[1,-2,3.5,true,null,"é"],"a":{}})");
}

TEST(JsonTest, TextForPeopleIsIndentedAndEndsItsLine) {
  EXPECT_EQ(JsonText({{"a", {1}}, {"b", Json::object()}}),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}\n");
  EXPECT_EQ(JsonText("\xff"), "\"\uFFFD\"\n");
}

TEST(JsonTest, RefusesWhatTheLibraryWouldAccept) {
  EXPECT_EQ(ErrorOf(R"({"a":1,"a":2})"), "f.json: JSON key \"a\" appears twice in one object");
  EXPECT_EQ(ErrorOf("18446744073709551616"),
            "f.json: JSON integer 18446744073709551616 does not fit 64 bits");
  EXPECT_NE(ErrorOf("1e400"), "accepted");
  EXPECT_EQ(ErrorOf(std::string(1000000, '[')), "f.json: JSON is nested deeper than 64");
  EXPECT_NE(ErrorOf("\"\xff\""), "accepted");
  EXPECT_NE(ErrorOf(R"("\ud800")"), "accepted");
  EXPECT_NE(ErrorOf("{} x"), "accepted");
  EXPECT_NE(ErrorOf(""), "accepted");
  EXPECT_NE(ErrorOf("NaN"), "accepted");
}

TEST(JsonTest, EqualKeysInDifferentObjectsAreFine) {
  EXPECT_EQ(ErrorOf(R"({"a":{"a":1},"b":{"a":2}})"), "accepted");
}

TEST(JsonTest, DepthSixtyFourIsTheLimit) {
  EXPECT_EQ(ErrorOf(std::string(64, '[') + std::string(64, ']')), "accepted");
  EXPECT_NE(ErrorOf(std::string(65, '[') + std::string(65, ']')), "accepted");
}

TEST(JsonTest, SaysWhereAndWhy) {
  EXPECT_EQ(ErrorOf("{"), "f.json: not valid JSON at byte 2: the name of a field is missing");
  EXPECT_EQ(ErrorOf(""), "f.json: not valid JSON at byte 1: the text ends before the document");
  EXPECT_EQ(ErrorOf("[1 2]"), "f.json: not valid JSON at byte 4: ',' or ']' is missing");
  EXPECT_EQ(ErrorOf("[1,]"), "f.json: not valid JSON at byte 4: a value is missing");
  EXPECT_EQ(ErrorOf(R"({"a" 1})"), "f.json: not valid JSON at byte 6: ':' is missing");
  EXPECT_EQ(ErrorOf("{} x"), "f.json: not valid JSON at byte 4: no value begins like this");
  EXPECT_EQ(ErrorOf("{} {}"), "f.json: not valid JSON at byte 4: the document has ended before");
  EXPECT_EQ(ErrorOf("01"), "f.json: not valid JSON at byte 2: the document has ended before");
  EXPECT_EQ(ErrorOf("-"), "f.json: not valid JSON at byte 2: a digit is missing");
  EXPECT_EQ(ErrorOf("\"a\xE6\x97\""),
            "f.json: not valid JSON at byte 3: the string is not valid UTF-8");
  EXPECT_EQ(
      ErrorOf("\"a\n\""),
      "f.json: not valid JSON at byte 3: a control character inside a string must be escaped");
  EXPECT_EQ(ErrorOf(R"("\udc00\ud800")"),
            "f.json: not valid JSON at byte 2: a surrogate without its other half");
  EXPECT_EQ(ErrorOf("1e400"), "f.json: JSON number 1e400 does not fit a double");
}

TEST(JsonTest, Escapes) {
  EXPECT_EQ(ParseJson(R"("a\"\\\/\b\f\n\r\tz")", "f.json"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(ParseJson(R"("\u0041\u00e9\u65E5\ud83d\udC4b")", "f.json"), "Aé日👋");
  EXPECT_EQ(ParseJson(R"(["\u0000", "x"])", "f.json")[0].get<std::string>(), std::string(1, '\0'));
  EXPECT_EQ(ParseJson("\xEF\xBB\xBF 1", "f.json"), 1);  // a byte order mark
}

// What is refused as no JSON is none to nlohmann either, and what is read has the same value.
TEST(JsonTest, AgreesWithNlohmannOnDamagedDocuments) {
  const std::string document =
      R"( {"a":[1,-2,0,-0,3.5e-1,1E+2,true,false,null,"\u00e9\n\\","é日👋"],"b":{"c":{}},"":[[],{}]})";
  const std::string letters = "{}[],:\"\\019-+.eEutnfalsr \n\x80\xC3\xA9";
  std::mt19937 random(3);
  int valid = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = document;
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % text.size();
      const char letter = letters[random() % letters.size()];
      switch (random() % 3) {
        case 0:
          text[at] = letter;
          break;
        case 1:
          text.insert(at, 1, letter);
          break;
        default:
          text.erase(at, 1);
      }
    }
    const Json expected = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    try {
      ASSERT_EQ(ParseJson(text, "f.json"), expected) << text;
      ++valid;
    } catch (const Error& error) {
      const bool is_syntax = std::string(error.what()).find("not valid") != std::string::npos;
      ASSERT_TRUE(expected.is_discarded() || !is_syntax) << text << ": " << error.what();
    }
  }
  EXPECT_GT(valid, 1000);
}

// Writes down what it is given.
class Recorder : public JsonTaker {
 public:
  explicit Recorder(std::string taken) : taken_(std::move(taken)) {}
  bool Takes(std::string_view path, bool is_object) override {
    asked += fmt::format("{}{} ", path, is_object ? "{}" : "[]");
    return path == taken_;
  }
  void Key(std::string_view name) override { got += fmt::format("{}:", name); }
  void String(std::string_view value) override { got += fmt::format("'{}' ", value); }
  void Scalar(const Json& value) override { got += DumpJson(value) + " "; }
  void Open() override { got += "( "; }
  void Close() override { got += ") "; }

  std::string asked;
  std::string got;

 private:
  std::string taken_;
};

TEST(JsonTest, TakersGetOneContainerInsteadOfTheDocument) {
  Recorder recorder("a.b");
  const Json rest =
      ParseJson(R"({"x":[{"y":[]}],"a":{"b":{"k":-1,"l":["v",null,{}],"k":2},"c":{"d":1}},"e":3})",
                "f.json", recorder);
  EXPECT_EQ(recorder.got, "k:-1 l:( 'v' null ( ) ) k:2 ");
  EXPECT_EQ(recorder.asked, "{} x[] x.{} x..y[] a{} a.b{} a.c{} ");
  EXPECT_EQ(DumpJson(rest), R"({"x":[{"y":[]}],"a":{"b":{},"c":{"d":1}},"e":3})");
}

TEST(JsonTest, WhatIsTakenIsCheckedTheSameWay) {
  const auto refused = [](const std::string& text) {
    Recorder recorder("a");
    EXPECT_THROW(ParseJson(text, "f.json", recorder), Error) << text;
  };
  refused(R"({"a":[1)");
  refused(R"({"a":[1e999]})");
  refused(R"({"a":[99999999999999999999]})");
  refused("{\"a\":[\"\xff\"]}");
  refused(R"({"a":)" + std::string(64, '[') + std::string(64, ']') + "}");
}

TEST(JsonTest, FieldsNameFileFieldAndLimit) {
  const Json object = ParseJson(
      R"({"layers": -1, "name": 3, "nothing": null, "huge": 18446744073709551615})", "c.json");
  const JsonFields fields(object, "c.json");
  EXPECT_FALSE(fields.Has("nothing"));
  EXPECT_EQ(fields.Int("absent", 0, 1), std::nullopt);
  const auto message = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message([&] { fields.Int("layers", 1, 10); }),
            "c.json: field layers is -1, must be at least 1");
  EXPECT_EQ(message([&] { fields.String("name"); }), "c.json: field name must be a string, is 3");
  EXPECT_EQ(message([&] { fields.RequiredInt("nothing", 0, 1); }),
            "c.json: field nothing is missing");
  EXPECT_NE(message([&] { fields.Int("huge", 0, 10); }), "");
}

}  // namespace
}  // namespace autodist::core
