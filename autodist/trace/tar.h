// The files in a tar archive, one after the other, as byte sources.
#ifndef AUTODIST_TRACE_TAR_H_
#define AUTODIST_TRACE_TAR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "autodist/trace/byte_source.h"

namespace autodist::trace {

// Understands ustar (without its prefix field: names are cut to the last 100 bytes) and GNU's long
// names. One thread.
class TarReader {
 public:
  // `name` starts every message.
  TarReader(std::unique_ptr<ByteSource> archive, std::string name);

  // The next regular file, or false at the end. What is left of the file before is skipped. Throws
  // core::Error (bad input): truncated, or no tar archive.
  bool Next();
  const std::string& member() const { return member_; }  // its name in the archive
  ByteSource& content() { return content_; }             // valid until Next

 private:
  class Content final : public ByteSource {
   public:
    explicit Content(TarReader& reader) : reader_(reader) {}
    size_t Read(char* to, size_t max) override;

   private:
    TarReader& reader_;
  };

  bool ReadBlock(char* block);
  void Skip();
  std::string ReadText();

  std::unique_ptr<ByteSource> archive_;
  std::string name_;
  std::string member_;
  Content content_;
  uint64_t left_ = 0;     // of the member
  uint64_t padding_ = 0;  // behind it
};

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_TAR_H_
