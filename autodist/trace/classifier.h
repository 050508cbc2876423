// Which kernels communicate and which compute: a table of rules over names.
#ifndef AUTODIST_TRACE_CLASSIFIER_H_
#define AUTODIST_TRACE_CLASSIFIER_H_

#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "autodist/trace/event.h"

namespace autodist::trace {

struct Rule {
  EventClass event_class = EventClass::kCompute;
  std::string pattern = {};  // ECMAScript regular expression, searched for, case-sensitive
  std::optional<EventKind> kind = {};  // empty: kernels, copies and memsets
  bool single_thread = false;          // only launches of one block of one thread
};

// In the order in which they are tried; the first that matches wins.
const std::vector<Rule>& BuiltInRules();

// A JSON list of {"class", "pattern"} with the options "kind" ("kernel", "memcpy", "memset") and
// "single_thread". Throws core::Error naming file and field.
std::vector<Rule> ReadRules(const std::filesystem::path& path);

// Immutable after construction: any thread may ask. Asking costs microseconds, so ask once per
// distinct name.
class Classifier {
 public:
  // `first` is tried before the built-in rules. Throws core::Error for a pattern that is no regular
  // expression.
  explicit Classifier(const std::vector<Rule>& first = {});

  // `single_thread`: launched as one block of one thread (the trace's "grid" and "block").
  KernelName Classify(std::string_view name, EventKind kind, bool single_thread) const;
  // Whether `single_thread` can make a difference for this name.
  bool DependsOnLaunch(std::string_view name, EventKind kind) const;

 private:
  struct Compiled {
    Rule rule;
    std::regex regex;
  };
  std::vector<Compiled> rules_;
  std::regex comm_words_;  // in the names of communication
};

// From the name alone: "..._ag", "AllGather", "pushsend", "PtoP", ...
CommDirection DirectionOf(std::string_view name, EventKind kind);

// The operand layout in the name of a GEMM of cuBLAS, CUTLASS or nvjet: kForward for TN, kDgrad for
// NN, kWgrad for NT (column-major, as TransformerEngine calls them), else kNone.
Pass PassOfGemm(std::string_view name);

}  // namespace autodist::trace

#endif  // AUTODIST_TRACE_CLASSIFIER_H_
