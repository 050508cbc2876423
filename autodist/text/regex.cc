#include "autodist/text/regex.h"

#include <oniguruma.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/text/utf8.h"

namespace autodist::text {
namespace {

// Limits of the work on one text. A pattern of a real tokenizer takes back less than one step per
// byte (white space without a line end behind it) and moves at 10 MB/s, so these leave ample room.
// Oniguruma counts steps back and can be told to stop; it does not count reading ahead, so patterns
// that are quadratic by that alone (`a*b` in a text of a) are stopped by the clock.
constexpr unsigned long kRetries = 1'000'000;
constexpr unsigned long kRetriesPerByte = 16;
constexpr std::chrono::microseconds kTime{500'000};
constexpr std::chrono::microseconds kTimePerByte{5};
// A search in more text than this goes place by place, so that the clock can be looked at. In less,
// even a quadratic search ends soon.
constexpr size_t kUnwatchedBytes = 16 << 10;
// Backtracking entries (about 40 bytes each) alive at one time; a greedy repeat keeps one per
// character.
constexpr size_t kStackEntries = 1'000'000;
constexpr size_t kStackEntriesPerByte = 4;
constexpr int kTimeIsOver = -10'000;  // not a code of Oniguruma
constexpr size_t kMaxPatternBytes = 64 << 10;

std::string Message(int code, OnigErrorInfo* info) {
  if (code == kTimeIsOver) return "it takes too long";
  UChar buffer[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = info != nullptr ? onig_error_code_to_str(buffer, code, info)
                                     : onig_error_code_to_str(buffer, code);
  return std::string(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
}

void InitializeOnce() {
  static const int status = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    return onig_initialize(encodings, 1);
  }();
  if (status != ONIG_NORMAL)
    throw core::RuntimeFailure("Oniguruma does not start: {}", Message(status, nullptr));
}

const UChar* Bytes(std::string_view text) { return reinterpret_cast<const UChar*>(text.data()); }

// Region and limits of the searches in one text; the compiled pattern itself is shared between
// threads.
class Searcher {
 public:
  Searcher(regex_t* regex, std::string_view text)
      : regex_(regex),
        text_(text),
        deadline_(std::chrono::steady_clock::now() + kTime + kTimePerByte * text.size()),
        region_(onig_region_new()),
        limits_(onig_new_match_param()) {
    if (region_ == nullptr || limits_ == nullptr)
      throw core::RuntimeFailure("out of memory in a regular expression");
    onig_initialize_match_param(limits_.get());
    const unsigned long retries = kRetries + kRetriesPerByte * text.size();
    onig_set_retry_limit_in_match_of_match_param(limits_.get(), retries);
    onig_set_retry_limit_in_search_of_match_param(limits_.get(), retries);
    const size_t entries = std::min<size_t>(kStackEntries + kStackEntriesPerByte * text.size(),
                                            std::numeric_limits<unsigned int>::max());
    onig_set_match_stack_limit_size_of_match_param(limits_.get(),
                                                   static_cast<unsigned int>(entries));
  }

  // ONIG_MISMATCH, an error code, or another number and the first match at or behind `start`.
  int Search(size_t start, Span& match) {
    const UChar* begin = Bytes(text_);
    const UChar* end = begin + text_.size();
    int status = ONIG_MISMATCH;
    while (status == ONIG_MISMATCH && text_.size() - start > kUnwatchedBytes) {
      if (TimeIsOver()) return kTimeIsOver;
      status = onig_match_with_param(regex_, begin, end, begin + start, region_.get(),
                                     ONIG_OPTION_NONE, limits_.get());
      start += CharacterBytes(text_[start]);
    }
    if (status == ONIG_MISMATCH) {
      if (++searches_ % 16 == 0 && TimeIsOver()) return kTimeIsOver;
      status = onig_search_with_param(regex_, begin, end, begin + start, end, region_.get(),
                                      ONIG_OPTION_NONE, limits_.get());
    }
    if (status >= 0) {
      match = {static_cast<size_t>(region_->beg[0]), static_cast<size_t>(region_->end[0])};
    }
    return status;
  }

 private:
  struct FreeRegion {
    void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
  };
  struct FreeLimits {
    void operator()(OnigMatchParam* limits) const { onig_free_match_param(limits); }
  };

  bool TimeIsOver() const { return std::chrono::steady_clock::now() > deadline_; }

  regex_t* regex_;
  std::string_view text_;
  std::chrono::steady_clock::time_point deadline_;
  size_t searches_ = 0;
  std::unique_ptr<OnigRegion, FreeRegion> region_;
  std::unique_ptr<OnigMatchParam, FreeLimits> limits_;
};

}  // namespace

void Regex::Free::operator()(re_pattern_buffer* regex) const { onig_free(regex); }

Regex::Regex(std::string pattern, std::string where)
    : pattern_(std::move(pattern)), where_(std::move(where)) {
  InitializeOnce();
  if (pattern_.size() > kMaxPatternBytes) {
    throw core::BadInput("{}: the regular expression has {} bytes, the limit is {}", where_,
                         pattern_.size(), kMaxPatternBytes);
  }
  if (pattern_.find("\\G") != pattern_.npos) {
    throw core::BadInput("{}: \\G in the regular expression \"{}\" is not supported", where_,
                         pattern_);
  }
  scanner_ = PatternScanner::For(pattern_);
  if (scanner_) return;
  regex_t* regex = nullptr;
  OnigErrorInfo info;
  const UChar* begin = Bytes(pattern_);
  const int status = onig_new(&regex, begin, begin + pattern_.size(), ONIG_OPTION_NONE,
                              ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
  if (status != ONIG_NORMAL) {
    throw core::BadInput("{}: the regular expression \"{}\" does not compile: {}", where_, pattern_,
                         Message(status, &info));
  }
  compiled_.reset(regex);
}

std::vector<Span> Regex::FindAll(std::string_view text) const {
  if (scanner_) return scanner_->FindAll(text);
  std::vector<Span> matches;
  Searcher searcher(compiled_.get(), text);
  std::optional<size_t> last_end;
  size_t start = 0;
  while (start <= text.size()) {
    Span match;
    const int status = searcher.Search(start, match);
    if (status == ONIG_MISMATCH) break;
    if (status < 0) {
      throw core::BadInput(
          "{}: the regular expression \"{}\" was stopped on a text of {} bytes: {}", where_,
          pattern_, text.size(), Message(status, nullptr));
    }
    if (match.begin == match.end && last_end == match.end) {
      start += start < text.size() ? CharacterBytes(text[start]) : 1;
      continue;
    }
    matches.push_back(match);
    start = match.end;
    last_end = match.end;
  }
  return matches;
}

}  // namespace autodist::text
