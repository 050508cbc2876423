// A pull parser for JSON that is too large for memory: a window slides over the text.
//
// core::ParseJson wants the whole document; here only what is asked for is looked at, and the rest
// is checked while it is skipped: brackets, commas, strings and numbers, but not UTF-8 and not
// equal keys. Python's NaN and Infinity pass as numbers.
#ifndef AUTODIST_TRACE_JSON_CURSOR_H_
#define AUTODIST_TRACE_JSON_CURSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autodist/core/error.h"
#include "autodist/trace/byte_source.h"

namespace autodist::trace {

// One thread. Errors are core::Error (bad input): "<name>: not valid JSON at byte N: ...".
class JsonCursor {
 public:
  static constexpr int kMaxDepth = 64;
  static constexpr size_t kMaxPinnedBytes = size_t{16} << 20;

  // `source` must outlive this; `name` starts every message. `window_bytes` are read at a time.
  JsonCursor(ByteSource& source, std::string name, size_t window_bytes = size_t{1} << 20);

  // The first character of the next token, white space skipped; 0 at the end of the text, or where
  // it holds one.
  char Peek() {
    while (true) {
      while (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t') ++at_;
      if (*at_ != '\0' || at_ != end_) return *at_;
      if (!More()) return '\0';
    }
  }
  bool AtEnd() { return Peek() == '\0' && at_ == end_; }
  // Takes the next token if it begins with `c`: a bracket, comma or colon.
  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  // Throws unless Take(c).
  void Expect(char c);

  // Walks the members of an object or the elements of an array whose opening bracket was taken:
  // `first` is true before the first one. False: the closing bracket was taken.
  bool NextMember(bool& first, std::string_view& key);
  bool NextElement(bool& first);

  // The text between the quotes, escapes as they stand; any value as it stands. Both are views that
  // hold until the next call after the end of Pinned. REQUIRES to be inside of Pinned.
  std::string_view String();
  std::string_view Value();
  // Any value, of any size. Depth is counted from here.
  void Skip();

  // Calls `read`, again and again until all that it reads lies in the window: views stay valid
  // meanwhile. It must not keep anything from a call that did not end. Throws core::Error when that
  // is more than kMaxPinnedBytes.
  template <typename Read>
  void Pinned(Read read) {
    Peek();
    pin_ = at_;
    while (true) {
      try {
        read();
        break;
      } catch (const NeedsMore&) {
        Widen();
      }
    }
    pin_ = nullptr;
  }

  // Counted from 1: the next byte.
  uint64_t position() const {
    return before_window_ + static_cast<uint64_t>(at_ - buffer_.data()) + 1;
  }
  const std::string& name() const { return name_; }
  core::Error Invalid(std::string_view reason) const;

 private:
  struct NeedsMore {};

  // At the end of the window. Unpinned: drops what lies behind and reads on; false at the end of
  // the text. Pinned: throws NeedsMore, or at the end of the text returns false.
  bool More();
  void ReadName(std::string_view& key);
  void Widen();
  bool Fill();
  void SkipString();
  void SkipWord(std::string_view word);
  void SkipDigits();
  void SkipNumber();
  void SkipScalar();

  ByteSource& source_;
  std::string name_;
  size_t window_bytes_;
  std::vector<char> buffer_;  // the window, then zeros
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  const char* pin_ = nullptr;
  uint64_t before_window_ = 0;
  bool source_ended_ = false;
};

// JSON's escapes replaced; the text between quotes, as String returns it. Escapes that mean nothing
// stay as they are.
std::string Unescaped(std::string_view raw);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_JSON_CURSOR_H_
