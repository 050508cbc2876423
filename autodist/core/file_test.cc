#include "autodist/core/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "autodist/core/error.h"

namespace autodist::core {
namespace {

std::filesystem::path Scratch(const char* name) {
  return std::filesystem::path(testing::TempDir()) / (std::to_string(::getpid()) + name);
}

TEST(FileTest, WritesAreReadBack) {
  const auto path = Scratch("whole");
  WriteFileAtomically(path, "abc");
  WriteFileAtomically(path, std::string("d\0e", 3));
  EXPECT_EQ(ReadFile(path, 3), std::string("d\0e", 3));
  EXPECT_THROW(ReadFile(path, 2), Error);
  std::filesystem::remove(path);
}

TEST(FileTest, TheFirstLineOfAFile) {
  const auto path = Scratch("lines");
  for (const char* content : {"one\ntwo\n", "one\n", "one"}) {
    WriteFileAtomically(path, content);
    EXPECT_EQ(ReadFirstLine(path), "one");
  }
  for (const char* content : {"\ntwo", ""}) {
    WriteFileAtomically(path, content);
    EXPECT_EQ(ReadFirstLine(path), "");
  }
  WriteFileAtomically(path, std::string(70'000, 'x'));
  EXPECT_EQ(ReadFirstLine(path), std::string(65'536, 'x'));
  std::filesystem::remove(path);
  EXPECT_THROW(ReadFirstLine(path), Error);
}

TEST(FileTest, ReadPastTheEndSaysWhatIsMissing) {
  const auto path = Scratch("short");
  WriteFileAtomically(path, "abc");
  char buffer[8];
  try {
    InputFile(path).ReadAt(1, buffer, 5);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("truncated: need 6 bytes, have 3"), std::string::npos)
        << error.what();
  }
  std::filesystem::remove(path);
}

TEST(FileTest, FifoIsRefusedWithoutBlocking) {
  const auto path = Scratch("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(InputFile{path}, Error);
  std::filesystem::remove(path);
}

TEST(FileTest, MissingDirectoryIsBadInput) {
  try {
    WriteFileAtomically("/nonexistent-directory/file", "x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
  }
}

TEST(FileTest, OnlyRegularFilesAreReplaced) {
  const auto fifo = Scratch("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THROW(WriteFileAtomically(fifo, "x"), Error);
  EXPECT_TRUE(std::filesystem::is_fifo(fifo));
  std::filesystem::remove(fifo);

  const auto target = Scratch("target"), link = Scratch("link");
  std::filesystem::create_symlink(target, link);  // dangling until it is written
  for (const char* content : {"first", "second"}) {
    WriteFileAtomically(link, content);
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(ReadFile(target, 100), content);
  }
  std::filesystem::remove(link);
  std::filesystem::remove(target);
}

}  // namespace
}  // namespace autodist::core
