// Replays corpus/ through the fuzzer's door, and mutations of it: the same ones in every run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "autodist/core/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace autodist::trace {
namespace {

void Feed(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::vector<std::string> Corpus() {
  std::vector<std::string> texts;
  const auto directory =
      std::filesystem::path(AUTODIST_SOURCE_DIR) / "autodist" / "trace" / "corpus";
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    texts.push_back(core::ReadFile(entry.path(), 1 << 20));
  std::sort(texts.begin(), texts.end());
  return texts;
}

TEST(ReaderFuzzTest, Corpus) {
  const std::vector<std::string> corpus = Corpus();
  EXPECT_GE(corpus.size(), 5u);
  for (const std::string& text : corpus) Feed(text);
}

TEST(ReaderFuzzTest, EveryPrefix) {
  for (const std::string& text : Corpus())
    for (size_t size = 0; size < text.size(); ++size) Feed(text.substr(0, size));
}

TEST(ReaderFuzzTest, Mutations) {
  std::mt19937 random(20261122);
  const std::string letters = "{}[]\",:\\0123456789.-eEXnulltrue \n\x01\xff";
  for (const std::string& text : Corpus()) {
    for (int round = 0; round < 400; ++round) {
      std::string mutated = text;
      for (unsigned edits = 1 + random() % 4; edits > 0; --edits) {
        const size_t at = random() % mutated.size();
        const char letter = letters[random() % letters.size()];
        switch (random() % 3) {
          case 0:
            mutated[at] = letter;
            break;
          case 1:
            mutated.insert(at, 1 + random() % 3, letter);
            break;
          default:
            mutated.erase(at, 1 + random() % 20);
            mutated.push_back(letter);  // never empty
        }
      }
      Feed(mutated);
    }
  }
}

}  // namespace
}  // namespace autodist::trace
