#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "autodist/trace/attribution.h"

namespace autodist::trace {
namespace {

constexpr std::string_view kSeparators = "_.:/# ()[]<>'\",=-";

std::optional<Pass> PassOf(std::string_view word) {
  constexpr std::pair<std::string_view, Pass> kWords[] = {
      {"fprop", Pass::kForward},  {"forward", Pass::kForward}, {"fwd", Pass::kForward},
      {"dgrad", Pass::kDgrad},    {"wgrad", Pass::kWgrad},     {"backward", Pass::kBackward},
      {"bprop", Pass::kBackward}, {"bwd", Pass::kBackward},
  };
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const auto& [text, pass] : kWords)
    if (lower == text) return pass;
  return {};
}

bool IsLinear(std::string_view word) {
  return word == "qkv" || word == "proj" || word == "fc1" || word == "fc2";
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of("#:._ ");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of("#:._ ") + 1 - begin);
}

}  // namespace

RangeMeaning MeaningOf(std::string_view name) {
  RangeMeaning meaning;
  // Of the profiler, and of torch.distributed: they say what a kernel is, not what it is for.
  if (name.starts_with("ProfilerStep#") || name.starts_with("nccl:") || name.starts_with("gloo:"))
    return meaning;
  std::string_view rest = Trimmed(name);
  const std::string_view whole = rest;
  for (size_t at = 0; at < whole.size();) {
    const size_t begin = whole.find_first_not_of(kSeparators, at);
    if (begin == whole.npos) break;
    const size_t end = std::min(whole.find_first_of(kSeparators, begin), whole.size());
    const std::string_view word = whole.substr(begin, end - begin);
    at = end;
    if (IsLinear(word)) {
      meaning.op = word;
      meaning.is_linear = true;
    } else if (const std::optional<Pass> pass = PassOf(word)) {
      meaning.pass = *pass;
      if (end == whole.size()) rest = Trimmed(rest.substr(0, rest.size() - word.size()));
      if (begin == 0 && rest.starts_with(word)) rest = Trimmed(rest.substr(word.size()));
    }
  }
  if (!meaning.is_linear) meaning.op = rest;
  return meaning;
}

}  // namespace autodist::trace
