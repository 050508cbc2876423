#include "autodist/trace/json_cursor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "autodist/core/check.h"
#include "autodist/core/json.h"

namespace autodist::trace {
namespace {

// The window ends with this many zeros: a zero stops every loop below, and eight bytes may be
// loaded at any byte of it.
constexpr size_t kZeros = 16;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighs = 0x8080808080808080;

// The high bit of every byte of `x` that is zero; bytes above the first such may be marked wrongly.
uint64_t ZeroBytes(uint64_t x) { return (x - kOnes) & ~x & kHighs; }

// The first quote, backslash or control character at or after `at`.
const char* FindSpecial(const char* at) {
  while (true) {
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    const uint64_t special = ZeroBytes(word ^ (kOnes * '"')) | ZeroBytes(word ^ (kOnes * '\\')) |
                             ((word - kOnes * 0x20) & ~word & kHighs);
    if (special != 0) return at + std::countr_zero(special) / 8;
    at += sizeof(word);
  }
}
static_assert(std::endian::native == std::endian::little);

}  // namespace

JsonCursor::JsonCursor(ByteSource& source, std::string name, size_t window_bytes)
    : source_(source), name_(std::move(name)), window_bytes_(window_bytes) {
  buffer_.resize(window_bytes_ + kZeros);
  at_ = end_ = buffer_.data();
  Fill();
  if (std::string_view(at_, end_ - at_).starts_with("\xEF\xBB\xBF")) at_ += 3;
}

core::Error JsonCursor::Invalid(std::string_view reason) const {
  return core::BadInput("{}: not valid JSON at byte {}: {}", name_, position(), reason);
}

// Appends to the window as much as its buffer holds. False: the text has ended.
bool JsonCursor::Fill() {
  char* end = buffer_.data() + (end_ - buffer_.data());
  const size_t room = buffer_.size() - kZeros - static_cast<size_t>(end - buffer_.data());
  AUTODIST_CHECK(room > 0);
  const size_t bytes = source_ended_ ? 0 : source_.Read(end, room);
  source_ended_ = bytes == 0;
  end_ = end + bytes;
  std::memset(end + bytes, 0, kZeros);
  return bytes > 0;
}

bool JsonCursor::More() {
  if (source_ended_) return false;
  if (pin_ != nullptr) throw NeedsMore();
  before_window_ += static_cast<uint64_t>(at_ - buffer_.data());
  at_ = end_ = buffer_.data();
  return Fill();
}

// Moves the pinned part to the front of the window, which grows when that is all of it.
void JsonCursor::Widen() {
  const size_t pinned = static_cast<size_t>(end_ - pin_);
  const size_t offset = static_cast<size_t>(pin_ - buffer_.data());
  std::memmove(buffer_.data(), pin_, pinned);
  before_window_ += offset;
  at_ = buffer_.data();
  if (pinned >= kMaxPinnedBytes)
    throw core::BadInput("{}: the value at byte {} takes more than {} MiB", name_, position(),
                         kMaxPinnedBytes >> 20);
  if (pinned * 2 > window_bytes_) {
    window_bytes_ *= 2;
    buffer_.resize(window_bytes_ + kZeros);
  }
  pin_ = at_ = buffer_.data();
  end_ = at_ + pinned;
  Fill();
}

void JsonCursor::Expect(char c) {
  if (Take(c)) return;
  if (at_ == end_) throw Invalid("the text ends too early");
  throw Invalid(fmt::format("'{}' is missing", c));
}

void JsonCursor::ReadName(std::string_view& key) {
  if (Peek() != '"')
    throw Invalid(at_ == end_ ? "the text ends inside an object" : "a name in quotes is missing");
  key = String();
  Expect(':');
}

bool JsonCursor::NextMember(bool& first, std::string_view& key) {
  if (Take('}')) return false;
  if (!first) Expect(',');
  first = false;
  if (pin_ != nullptr) {
    ReadName(key);
  } else {
    Pinned([&] { ReadName(key); });
  }
  return true;
}

bool JsonCursor::NextElement(bool& first) {
  if (Take(']')) return false;
  if (!first) Expect(',');
  first = false;
  return true;
}

std::string_view JsonCursor::String() {
  AUTODIST_CHECK(pin_ != nullptr);
  if (Peek() != '"') throw Invalid("a text in quotes is missing");
  const char* begin = at_ + 1;
  SkipString();
  return {begin, static_cast<size_t>(at_ - 1 - begin)};
}

std::string_view JsonCursor::Value() {
  AUTODIST_CHECK(pin_ != nullptr);
  Peek();
  const char* begin = at_;
  Skip();
  return {begin, static_cast<size_t>(at_ - begin)};
}

// REQUIRES a quote at `at_`.
void JsonCursor::SkipString() {
  ++at_;
  while (true) {
    at_ = FindSpecial(at_);
    if (*at_ == '"') break;
    if (*at_ == '\\') {
      ++at_;  // what is escaped is skipped unseen; a character is never zero, so the end is noticed
      if (at_ == end_ && !More()) throw Invalid("the text ends inside a string");
      if (static_cast<unsigned char>(*at_) < 0x20)
        throw Invalid("a control character inside a string must be escaped");
      ++at_;
      continue;
    }
    if (at_ != end_) throw Invalid("a control character inside a string must be escaped");
    if (!More()) throw Invalid("the text ends inside a string");
  }
  ++at_;
}

void JsonCursor::SkipWord(std::string_view word) {
  for (const char c : word) {
    if (at_ == end_) More();
    if (*at_ != c) throw Invalid("no value begins like this");
    ++at_;
  }
}

void JsonCursor::SkipDigits() {
  if (!IsDigit(*at_) && (at_ != end_ || !More() || !IsDigit(*at_)))
    throw Invalid("a digit is missing");
  do {
    while (IsDigit(*at_)) ++at_;
  } while (at_ == end_ && More());
}

// A number may end at the end of the window: the next character decides.
void JsonCursor::SkipNumber() {
  const auto next = [&] {
    if (at_ == end_) More();
    return *at_;
  };
  if (next() == '-') ++at_;
  if (next() == 'N') return SkipWord("NaN");
  if (*at_ == 'I') return SkipWord("Infinity");
  if (*at_ == '0') {
    ++at_;
    if (IsDigit(next())) throw Invalid("a number must not begin with 0");
  } else {
    SkipDigits();
  }
  if (next() == '.') {
    ++at_;
    SkipDigits();
  }
  if (next() == 'e' || *at_ == 'E') {
    ++at_;
    if (next() == '+' || *at_ == '-') ++at_;
    SkipDigits();
  }
}

void JsonCursor::SkipScalar() {
  switch (*at_) {
    case '"':
      return SkipString();
    case 't':
      return SkipWord("true");
    case 'f':
      return SkipWord("false");
    case 'n':
      return SkipWord("null");
    case '\0':
      throw Invalid(at_ == end_ ? "the text ends too early" : "no value begins like this");
    default:
      if (*at_ != '-' && *at_ != 'N' && *at_ != 'I' && !IsDigit(*at_))
        throw Invalid("no value begins like this");
      return SkipNumber();
  }
}

void JsonCursor::Skip() {
  std::array<bool, kMaxDepth> is_object;
  int depth = 0;
  const auto skip_name = [&] {
    if (Peek() != '"') throw Invalid("a name in quotes is missing");
    SkipString();
    Expect(':');
  };
  while (true) {
    // A value begins here.
    const char c = Peek();
    if (c == '{' || c == '[') {
      if (depth == kMaxDepth) throw Invalid(fmt::format("nested deeper than {}", kMaxDepth));
      ++at_;
      is_object[depth++] = c == '{';
      if (!Take(c == '{' ? '}' : ']')) {
        if (c == '{') skip_name();
        continue;
      }
      --depth;
    } else {
      SkipScalar();
    }
    // A value has ended here.
    while (depth > 0 && !Take(',')) {
      Expect(is_object[depth - 1] ? '}' : ']');
      --depth;
    }
    if (depth == 0) return;
    if (is_object[depth - 1]) skip_name();
  }
}

std::string Unescaped(std::string_view raw) {
  if (raw.find('\\') == raw.npos) return std::string(raw);
  try {
    return core::ParseJson(fmt::format("\"{}\"", raw), "").get<std::string>();
  } catch (const core::Error&) {
    return std::string(raw);
  }
}

}  // namespace autodist::trace
