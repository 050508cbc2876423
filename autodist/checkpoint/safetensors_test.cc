#include "autodist/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <functional>

#include "autodist/checkpoint/testing/safetensors_builder.h"
#include "autodist/core/error.h"

namespace autodist::checkpoint {
namespace {

using ::testing::AllOf;
using testing::BuildSafetensors;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawSafetensors;
using testing::WriteBytes;

// The message of the core::Error (bad input) that `action` throws.
std::string Refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
    return error.what();
  }
  return "(accepted)";
}

class HeaderTest : public ::testing::Test {
 protected:
  SafetensorsHeader Read(std::string_view bytes) {
    WriteBytes(scratch_ / "model.safetensors", bytes);
    return ReadSafetensorsHeader(scratch_ / "model.safetensors");
  }
  // Every message names the file.
  std::string RefusalOf(std::string_view bytes) {
    std::string message = Refusal([&] { Read(bytes); });
    EXPECT_THAT(message, HasSubstr("model.safetensors: "));
    return message;
  }
  std::string RefusalOfHeader(std::string_view header, std::string_view data = {}) {
    return RefusalOf(RawSafetensors(header, data));
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(HeaderTest, SaysWhereEachTensorLies) {
  const auto header =
      Read(BuildSafetensors({{"model.norm.weight", "BF16", {3}, std::string(6, 'n')},
                             {"lm_head.weight", "F32", {2, 3}, std::string(24, 'h')}}));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "model.norm.weight");
  EXPECT_EQ(header.tensors[0].dtype, "BF16");
  EXPECT_EQ(header.tensors[0].bytes, 6u);
  EXPECT_EQ(header.tensors[1].shape, (std::vector<int64_t>{2, 3}));
  // Offsets count from the start of the file, and the last tensor ends with it.
  EXPECT_EQ(header.tensors[1].offset, header.tensors[0].offset + 6);
  EXPECT_EQ(header.tensors[1].offset + header.tensors[1].bytes, header.file.size_bytes);
}

TEST_F(HeaderTest, HashCoversTheHeaderOnly) {
  const auto first = Read(BuildSafetensors({{"a", "U8", {1}, "x"}}));
  const auto other_data = Read(BuildSafetensors({{"a", "U8", {1}, "y"}}));
  const auto other_header = Read(BuildSafetensors({{"b", "U8", {1}, "x"}}));
  EXPECT_EQ(first.file.header_hash, other_data.file.header_hash);
  EXPECT_NE(first.file.header_hash, other_header.file.header_hash);
}

// Fault 1.
TEST_F(HeaderTest, FileTooSmallForAHeader) {
  EXPECT_THAT(RefusalOf(""), HasSubstr("header too small: 0 bytes"));
  EXPECT_THAT(RefusalOf(std::string(7, '\0')), HasSubstr("header too small: 7 bytes"));
  EXPECT_THAT(RefusalOf(std::string(8, '\0')), HasSubstr("header too small: its length is 0"));
}

// Fault 2: refused before anything of that size is allocated.
TEST_F(HeaderTest, HeaderLengthBeyondTheLimit) {
  for (const uint64_t length : {uint64_t{1} << 63, UINT64_MAX, uint64_t{100'000'001}}) {
    std::string bytes(64, ' ');
    std::memcpy(bytes.data(), &length, sizeof(length));
    EXPECT_THAT(RefusalOf(bytes),
                HasSubstr(fmt::format("length is {}, must be at most 100000000", length)));
  }
}

// Fault 3.
TEST_F(HeaderTest, HeaderLongerThanTheFile) {
  std::string bytes = RawSafetensors("{}");
  bytes[0] = 100;
  EXPECT_THAT(RefusalOf(bytes), HasSubstr("truncated: need 108 bytes for the header, have 10"));
}

// Fault 4.
TEST_F(HeaderTest, HeaderThatIsNotAJsonObject) {
  EXPECT_THAT(RefusalOfHeader("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(RefusalOfHeader("   "), HasSubstr("not a JSON object"));
  EXPECT_THAT(RefusalOfHeader("\xef\xbb\xbf{}"), HasSubstr("not a JSON object"));
  EXPECT_THAT(RefusalOfHeader("{\"a\": "), HasSubstr("not valid JSON"));
  EXPECT_THAT(RefusalOfHeader("{\"\xff\": 1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(RefusalOfHeader("{} {}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(RefusalOfHeader("{\"a\":" + std::string(1'000'000, '[')), HasSubstr("nested deeper"));
}

// Fault 5; padding at the end is what the format's own writer makes.
TEST_F(HeaderTest, WhiteSpaceAroundTheHeader) {
  EXPECT_EQ(Read(RawSafetensors(" \n\t{}   ")).tensors.size(), 0u);
}

// Fault 6.
TEST_F(HeaderTest, KeysThatAppearTwice) {
  constexpr std::string_view kEntry = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  EXPECT_THAT(RefusalOfHeader(fmt::format(R"({{"same.name":{0},"same.name":{0}}})", kEntry), "x"),
              AllOf(HasSubstr("\"same.name\""), HasSubstr("twice")));
  EXPECT_THAT(RefusalOfHeader(R"({"__metadata__":{},"__metadata__":{}})"),
              HasSubstr("__metadata__"));
}

TEST_F(HeaderTest, MetadataIsAMapOfStrings) {
  EXPECT_EQ(Read(RawSafetensors(R"({"__metadata__":{"format":"pt"}})")).tensors.size(), 0u);
  EXPECT_THAT(RefusalOfHeader(R"({"__metadata__":[]})"),
              HasSubstr("__metadata__ is not an object"));
  EXPECT_THAT(RefusalOfHeader(R"({"__metadata__":{"n":1}})"), HasSubstr("\"n\" is not a string"));
}

// Two tensors of bytes, with the given offsets; the data section has 6 bytes.
std::string TwoTensors(std::string_view a, std::string_view b) {
  const auto entry = [](std::string_view offsets) {
    const auto comma = offsets.find(',');
    const int64_t size = std::stoll(std::string(offsets.substr(comma + 1))) -
                         std::stoll(std::string(offsets.substr(0, comma)));
    return fmt::format(R"({{"dtype":"U8","shape":[{}],"data_offsets":[{}]}})", size, offsets);
  };
  return RawSafetensors(fmt::format(R"({{"a":{},"b":{}}})", entry(a), entry(b)), "abcdef");
}

// Fault 7.
TEST_F(HeaderTest, TensorsTileTheFile) {
  EXPECT_EQ(Read(TwoTensors("0,2", "2,6")).tensors.size(), 2u);
  EXPECT_EQ(Read(TwoTensors("4,6", "0,4")).tensors[0].name, "b") << "any order in the JSON";
  EXPECT_THAT(RefusalOf(TwoTensors("0,4", "3,6")), HasSubstr("\"b\" overlaps tensor \"a\""));
  EXPECT_THAT(RefusalOf(TwoTensors("0,2", "3,6")),
              HasSubstr("1 bytes before tensor \"b\" belong to no tensor"));
  EXPECT_THAT(RefusalOf(TwoTensors("1,2", "2,6")), HasSubstr("1 bytes before tensor \"a\""));
  EXPECT_THAT(RefusalOfHeader(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[4,2]}})", "abcdef"),
              HasSubstr("begin after end"));
}

// Fault 8, and a download that stopped.
TEST_F(HeaderTest, BytesAfterTheLastTensorOrMissing) {
  const std::string good = TwoTensors("0,2", "2,6");
  EXPECT_THAT(RefusalOf(good + "PK"), HasSubstr("2 bytes follow the last tensor"));
  EXPECT_THAT(
      RefusalOf(good.substr(0, good.size() - 1)),
      HasSubstr(fmt::format("truncated: need {} bytes, have {}", good.size(), good.size() - 1)));
  EXPECT_THAT(RefusalOfHeader("{}", "x"), HasSubstr("1 bytes follow"));
}

// Fault 9.
TEST_F(HeaderTest, ShapesAreComputedWithoutOverflow) {
  const auto refusal = [this](std::string_view dtype, std::string_view shape) {
    return RefusalOfHeader(
        fmt::format(R"({{"t":{{"dtype":"{}","shape":{},"data_offsets":[0,0]}}}})", dtype, shape));
  };
  EXPECT_THAT(refusal("F32", "[4294967296,4294967296]"), HasSubstr("overflows"));
  EXPECT_THAT(refusal("F32", "[4611686018427387904]"), HasSubstr("overflows")) << "times 32 bits";
  EXPECT_THAT(refusal("F32", "[18446744073709551615]"), HasSubstr("2^63-1"));
  EXPECT_THAT(refusal("F32", "[-1]"), HasSubstr("has the dim -1"));
  EXPECT_THAT(refusal("F32", "[2.0]"), HasSubstr("has the dim 2.0"));
  EXPECT_THAT(refusal("F32", "[\"2\"]"), HasSubstr("dim"));
  EXPECT_THAT(refusal("F32", "2"), HasSubstr("shape that is not an array"));
  std::string dims = "[0";
  for (int i = 1; i < 1000; ++i) dims += ",1";
  EXPECT_THAT(refusal("F32", dims + "]"), HasSubstr("has 1000 dims, at most 64"));
}

// Fault 10; each message names the tensor.
TEST_F(HeaderTest, ShapeAndDtypeGiveTheBytes) {
  EXPECT_THAT(
      RefusalOfHeader(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,7]}})", "1234567"),
      HasSubstr("tensor \"w\" needs 8 bytes by shape and dtype F32, but data_offsets span 7"));
  EXPECT_THAT(RefusalOfHeader(R"({"w":{"dtype":"F32","shape":[2]}})"),
              HasSubstr("no field data_offsets"));
  EXPECT_THAT(RefusalOfHeader(R"({"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0,0]}})"),
              HasSubstr("two integers"));
  EXPECT_THAT(RefusalOfHeader(R"({"w":3})"), HasSubstr("tensor \"w\" is not an object"));
}

// Fault 11.
TEST_F(HeaderTest, DtypesAreThoseOfTheFormat) {
  EXPECT_THAT(RefusalOfHeader(R"({"w":{"dtype":"F31","shape":[0],"data_offsets":[0,0]}})"),
              HasSubstr("tensor \"w\" has the unknown dtype \"F31\""));
  EXPECT_THAT(RefusalOfHeader(R"({"w":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", "x"),
              HasSubstr("3 elements of dtype F4: not a whole number of bytes"));
  EXPECT_EQ(
      Read(BuildSafetensors({{"w", "F4", {4}, "xy"}, {"v", "F6_E2M3", {4}, "xyz"}})).tensors.size(),
      2u);
}

// Fault 12.
TEST_F(HeaderTest, EmptyTensorsScalarsAndStrangeNames) {
  const auto header = Read(BuildSafetensors({{"empty", "F32", {0, 7}, ""},
                                             {"other", "F32", {3, 0}, ""},
                                             {"scalar", "F32", {}, "1234"},
                                             {"", "U8", {1}, "x"}}));
  ASSERT_EQ(header.tensors.size(), 4u);
  EXPECT_EQ(header.tensors[2].name, "scalar");
  EXPECT_TRUE(header.tensors[2].shape.empty());

  const std::string message = RefusalOfHeader(R"({"a\u0000\u001b[31m/é":3})");
  EXPECT_THAT(message, HasSubstr(R"("a\u0000\u001b[31m/\u00e9")"));
  const std::string long_name(65536, 'x');
  EXPECT_LT(RefusalOfHeader("{\"" + long_name + "\":3}").size(), 400u);
}

// The reference library ignores keys it does not know.
TEST_F(HeaderTest, UnknownKeysInAnEntry) {
  EXPECT_EQ(
      Read(RawSafetensors(R"({"w":{"dtype":"U8","shape":[],"data_offsets":[0,1],"note":{}}})", "x"))
          .tensors.size(),
      1u);
}

// Whatever single byte of the length or the header is wrong: refused, or every tensor still lies
// inside the file.
TEST_F(HeaderTest, NoByteOfTheHeaderLeadsOutOfTheFile) {
  const std::string good =
      BuildSafetensors({{"model.norm", "BF16", {3}, "123456"}, {"w", "F32", {1, 2}, "12345678"}});
  int accepted = 0;
  for (size_t at = 0; at + 14 < good.size(); ++at) {
    for (const unsigned flip : {1u, 4u, 0x20u, 0x80u}) {
      std::string bad = good;
      bad[at] = static_cast<char>(static_cast<unsigned char>(bad[at]) ^ flip);
      try {
        for (const auto& tensor : Read(bad).tensors) {
          EXPECT_LE(tensor.offset, bad.size());
          EXPECT_LE(tensor.bytes, bad.size() - tensor.offset);
        }
        ++accepted;
      } catch (const core::Error& error) {
        EXPECT_EQ(error.kind(), core::ErrorKind::kBadInput);
      }
    }
  }
  EXPECT_GT(accepted, 0) << "a changed letter of a name is another name";
}

class CatalogTest : public ::testing::Test {
 protected:
  void WriteIndex(std::string_view weight_map) {
    WriteBytes(scratch_ / "model.safetensors.index.json",
               fmt::format(R"({{"metadata":{{"total_size":1}},"weight_map":{}}})", weight_map));
  }
  void WriteShard(std::string_view file, const std::vector<std::string>& tensors) {
    std::vector<testing::BuiltTensor> built;
    for (const auto& name : tensors) built.push_back({name, "U8", {2}, "ab"});
    WriteBytes(scratch_ / file, BuildSafetensors(built));
  }
  std::string CatalogRefusal() {
    return Refusal([&] { ReadCatalog(scratch_.path()); });
  }

  testing::ScratchDirectory scratch_;
};

TEST_F(CatalogTest, OneFile) {
  WriteShard("model.safetensors", {"a", "b"});
  const auto catalog = ReadCatalog(scratch_.path());
  EXPECT_EQ(catalog.files.size(), 1u);
  EXPECT_EQ(catalog.tensors.size(), 2u);
  EXPECT_EQ(catalog.total_bytes(), 4u);
}

TEST_F(CatalogTest, ShardsOfAnIndex) {
  WriteShard("x-2.safetensors", {"b", "unlisted"});
  WriteShard("x-1.safetensors", {"a"});
  WriteIndex(R"({"b":"x-2.safetensors","a":"x-1.safetensors"})");
  const auto catalog = ReadCatalog(scratch_.path());
  ASSERT_EQ(catalog.files.size(), 2u);
  EXPECT_EQ(catalog.files[0].path.filename(), "x-1.safetensors");
  EXPECT_EQ(catalog.tensors.at("b").file, 1);
  EXPECT_TRUE(catalog.tensors.contains("unlisted"));
}

TEST_F(CatalogTest, LinksOfTheHubCacheAreFollowed) {
  WriteShard("blobs/0123", {"a"});
  std::filesystem::create_directories(scratch_ / "snapshots/1");
  std::filesystem::create_symlink("../../blobs/0123", scratch_ / "snapshots/1/model.safetensors");
  EXPECT_EQ(ReadCatalog(scratch_ / "snapshots/1").tensors.size(), 1u);

  std::filesystem::remove(scratch_ / "blobs/0123");
  EXPECT_THAT(Refusal([&] { ReadCatalog(scratch_ / "snapshots/1"); }),
              AllOf(HasSubstr("link to ../../blobs/0123"), HasSubstr("download is incomplete")));
}

// Fault 16.
TEST_F(CatalogTest, IndexCannotLeaveTheDirectory) {
  for (const char* name : {"../x.safetensors", "sub/../../x", "/etc/passwd", "", "a\\u0000b"}) {
    WriteIndex(fmt::format(R"({{"a":"{}"}})", name));
    EXPECT_THAT(CatalogRefusal(), HasSubstr("must be a path inside the model directory")) << name;
  }
  WriteIndex(R"({"a":"pipe"})");
  ASSERT_EQ(::mkfifo((scratch_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(CatalogRefusal(), HasSubstr("pipe: is not a regular file"));
}

TEST_F(CatalogTest, IndexOfTheWrongShape) {
  WriteIndex("[]");
  EXPECT_THAT(CatalogRefusal(), HasSubstr("no object weight_map"));
  WriteIndex("{}");
  EXPECT_THAT(CatalogRefusal(), HasSubstr("weight_map is empty"));
  WriteIndex(R"({"a":1})");
  EXPECT_THAT(CatalogRefusal(), HasSubstr("no file name for tensor \"a\""));
  WriteBytes(scratch_ / "model.safetensors.index.json", "[]");
  EXPECT_THAT(CatalogRefusal(), HasSubstr("is not a JSON object"));
}

// Fault 17: all that is wrong, in one message.
TEST_F(CatalogTest, MissingShardsAndTensorsInOneMessage) {
  WriteShard("x-1.safetensors", {"a", "twice"});
  WriteShard("x-2.safetensors", {"twice"});
  WriteIndex(
      R"({"a":"x-1.safetensors","twice":"x-2.safetensors","absent":"x-1.safetensors","gone":"x-2.safetensors",
                 "c":"x-3.safetensors","d":"x-3.safetensors","e":"x-4.safetensors"})");
  EXPECT_THAT(
      CatalogRefusal(),
      AllOf(HasSubstr("model.safetensors.index.json: "),
            HasSubstr(
                R"(missing shards: "x-3.safetensors" (2 tensors), "x-4.safetensors" (1 tensors))"),
            HasSubstr(
                R"(missing tensors: "absent" in "x-1.safetensors", "gone" in "x-2.safetensors")"),
            HasSubstr(
                R"(tensors in two shards: "twice" in "x-1.safetensors" and "x-2.safetensors")")));
}

// Fault 18: other formats are named, and what is read is said.
TEST_F(CatalogTest, DirectoriesWithoutSafetensors) {
  EXPECT_THAT(CatalogRefusal(),
              AllOf(HasSubstr("holds no weights"), HasSubstr("model.safetensors")));
  WriteBytes(scratch_ / "pytorch_model.bin", "pickle");
  WriteBytes(scratch_ / "model.Q4.gguf", "GGUF");
  EXPECT_THAT(CatalogRefusal(), AllOf(HasSubstr(R"(only as "model.Q4.gguf", "pytorch_model.bin")"),
                                      HasSubstr("reads safetensors")));
  WriteShard("model-00001-of-00002.safetensors", {"a"});
  EXPECT_THAT(CatalogRefusal(),
              AllOf(HasSubstr("\"model-00001-of-00002.safetensors\", but neither"),
                    Not(HasSubstr("gguf"))));
  EXPECT_THAT(Refusal([&] { ReadCatalog(scratch_ / "nothing"); }), HasSubstr("is not a directory"));
  EXPECT_THAT(Refusal([&] { ReadCatalog(scratch_ / "pytorch_model.bin"); }),
              HasSubstr("is not a directory"));
}

// Headers only: 128 GiB of weights that no disk holds.
TEST_F(CatalogTest, SparseFilesOfALargeModel) {
  std::string weight_map = "{";
  for (int shard = 0; shard < 32; ++shard) {
    const auto file = fmt::format("x-{}.safetensors", shard);
    std::string header = "{";
    constexpr uint64_t kBytes = uint64_t{8192} * 28672 * 2;
    for (uint64_t i = 0; i < 9; ++i) {
      header += fmt::format(
          R"({}"t{}.{}":{{"dtype":"BF16","shape":[8192,28672],"data_offsets":[{},{}]}})",
          i == 0 ? "" : ",", shard, i, i * kBytes, (i + 1) * kBytes);
      weight_map +=
          fmt::format(R"({}"t{}.{}":"{}")", weight_map.size() == 1 ? "" : ",", shard, i, file);
    }
    const std::string bytes = RawSafetensors(header + "}");
    WriteBytes(scratch_ / file, bytes);
    std::filesystem::resize_file(scratch_ / file, bytes.size() + 9 * kBytes);
  }
  WriteIndex(weight_map + "}");
  const auto catalog = ReadCatalog(scratch_.path());
  EXPECT_EQ(catalog.tensors.size(), 288u);
  EXPECT_EQ(catalog.total_bytes(), uint64_t{288} * 8192 * 28672 * 2);
}

}  // namespace
}  // namespace autodist::checkpoint
