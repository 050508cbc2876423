// libFuzzer's door to the trace reader: whatever the bytes are, they are read or refused. The text
// comes in crumbs, so that every edge of the reader's window is met.
//
// With clang: -DAUTODIST_BUILD_FUZZERS=ON -DAUTODIST_SANITIZE=address,undefined,fuzzer-no-link,
// then trace_reader_fuzz CORPUS_DIR. reader_fuzz_test.cc calls the same door with any compiler.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "autodist/core/error.h"
#include "autodist/trace/analysis.h"
#include "autodist/trace/byte_source.h"
#include "autodist/trace/reader.h"

namespace autodist::trace {
namespace {

class Crumbs final : public ByteSource {
 public:
  Crumbs(std::string_view text, size_t bytes) : text_(text), bytes_(bytes) {}
  size_t Read(char* to, size_t max) override { return text_.Read(to, std::min(max, bytes_)); }

 private:
  TextBytes text_;
  size_t bytes_;
};

void ReadAndMeasure(std::string_view text) {
  static const Classifier classifier;  // its patterns take longer to compile than an input to read
  try {
    Crumbs crumbs(text, 7);
    const RankAnalysis analysis = Analyze(ReadTrace(crumbs, "fuzz", classifier));
    core::DumpJson(ToJson({&analysis, 1}, nullptr));
  } catch (const core::Error&) {
    // Refused in a sentence: as it should be.
  }
}

}  // namespace
}  // namespace autodist::trace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  autodist::trace::ReadAndMeasure({reinterpret_cast<const char*>(data), size});
  return 0;
}
