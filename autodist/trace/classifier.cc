#include "autodist/trace/classifier.h"

#include <algorithm>
#include <array>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/core/json.h"

namespace autodist::trace {
namespace {

// std::regex recurses once per character of what it matches; no rule needs more of a name.
constexpr size_t kMaxMatchedBytes = 4096;

constexpr std::array<std::string_view, kEventClasses> kClassNames = {
    "comm", "comm_wait", "comm_reduce", "gemm", "attention", "compute", "memory"};
constexpr std::array<std::string_view, 3> kKindNames = {"kernel", "memcpy", "memset"};

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

constexpr const char* kCommWords =
    "nccl|all_?reduce|all_?gather|reduce_?scatter|all_?to_?all|p2p|ptop|broadcast|send_?recv|"
    "nvshmem|symm_?mem|multimem|userbuffers";

// The value that `name`, which stands in `field`, has in the order of `names`.
template <typename Enum, size_t kCount>
Enum ValueOf(std::string_view name, const std::array<std::string_view, kCount>& names,
             std::string_view field, std::string_view file) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw core::BadInput("{}: field {} is \"{}\", must be one of {}", file, field, name,
                         fmt::join(names, ", "));
  return static_cast<Enum>(found - names.begin());
}

Rule RuleFromJson(const core::Json& object, const std::string& file) {
  const core::JsonFields fields(object, file);
  Rule rule;
  rule.event_class =
      ValueOf<EventClass>(fields.RequiredString("class"), kClassNames, "class", file);
  rule.pattern = fields.RequiredString("pattern");
  if (const std::optional<std::string> kind = fields.String("kind"))
    rule.kind = ValueOf<EventKind>(*kind, kKindNames, "kind", file);
  rule.single_thread = fields.Bool("single_thread").value_or(false);
  for (const auto& [name, value] : object.items())
    if (name != "class" && name != "pattern" && name != "kind" && name != "single_thread")
      throw core::BadInput(
          "{}: field {} is unknown, must be one of class, pattern, kind, single_thread", file,
          name);
  return rule;
}

}  // namespace

std::string_view NameOf(EventClass event_class) {
  return kClassNames[static_cast<size_t>(event_class)];
}

std::string_view NameOf(CommDirection direction) {
  constexpr std::array<std::string_view, 7> kNames = {
      "", "all-gather", "reduce-scatter", "all-reduce", "send", "receive", "copy-engine"};
  return kNames[static_cast<size_t>(direction)];
}

std::string_view NameOf(Pass pass) {
  constexpr std::array<std::string_view, 5> kNames = {"", "fprop", "backward", "dgrad", "wgrad"};
  return kNames[static_cast<size_t>(pass)];
}

std::string Label(const Operator& op) {
  if (op.name.empty()) return std::string(NameOf(op.pass));
  return op.pass == Pass::kNone ? op.name : fmt::format("{}_{}", op.name, NameOf(op.pass));
}

const std::vector<Rule>& BuiltInRules() {
  using enum EventClass;
  static const std::vector<Rule> rules = {
      {kComm, "PtoP", EventKind::kMemcpy},
      {kMemory, "", EventKind::kMemcpy},
      {kMemory, "", EventKind::kMemset},
      // TransformerEngine's userbuffers: with a copy engine, the kernel beside it only signals.
      {.event_class = kCommWait,
       .pattern = "kuserbuffers_(push|pull)(send|recv)",
       .single_thread = true},
      {kComm, "kuserbuffers_(push|pull)(send|recv)"},
      {kComm, "userbuffers_fp16_sum_inplace_gpu_(rw|rr|mc)"},
      {kCommWait, "producer_kernel|consumer_kernel|reset_counters_kernel|tiny_delay_kern"},
      {kCommReduce, "reduce_bf16_cuda|reduce_fp8_in_bf16_out_cuda"},
      {kComm, "nccl(Dev)?Kernel"},
      {kComm, "^nccl.*(AllGather|ReduceScatter|AllReduce|SendRecv|Broadcast|Generic)"},
      {kComm, "(multimem|one_shot|two_shot)_\\w*(all_reduce|all_gather|reduce_scatter)"},
      {kComm, "(internode|internode_ll|intranode)::"},  // DeepEP
      {kComm, "cross_device_reduce"},
      {kAttention, "flash|fmha|sdpa|attention"},  // before GEMM: some are made of cutlass
      {kGemm, "gemm|cutlass|cublas|xmma|nvjet|wgmma|Cijk_|bmm_|gemv"},
      {kCompute,
       "at::|c10::|cub::|thrust::|cudnn|miopen|rocclr|transformer_engine|apex|triton|elementwise|"
       "[lL]ayer_?[nN]orm|rms_?norm|softmax|transpose|im2col|[rR]educe_?[kK]ernel|embedding|"
       "fbgemm"},
  };
  return rules;
}

std::vector<Rule> ReadRules(const std::filesystem::path& path) {
  const std::string file = path.string();
  const core::Json document = core::ParseJsonFile(path, uint64_t{1} << 20);
  if (!document.is_array()) throw core::BadInput("{}: must be a list of rules", file);
  std::vector<Rule> rules;
  for (size_t i = 0; i < document.size(); ++i)
    rules.push_back(RuleFromJson(document[i], fmt::format("{}: rule {}", file, i + 1)));
  return rules;
}

Classifier::Classifier(const std::vector<Rule>& first)
    : comm_words_(kCommWords, std::regex::icase | std::regex::optimize) {
  const auto add = [&](const Rule& rule) {
    try {
      rules_.push_back({rule, std::regex(rule.pattern, std::regex::optimize)});
    } catch (const std::regex_error&) {
      throw core::BadInput("rule pattern \"{}\" is no regular expression", rule.pattern);
    }
  };
  for (const Rule& rule : first) add(rule);
  for (const Rule& rule : BuiltInRules()) add(rule);
}

KernelName Classifier::Classify(std::string_view name, EventKind kind, bool single_thread) const {
  KernelName classified{.text = std::string(name), .kind = kind};
  const std::string matched(name.substr(0, kMaxMatchedBytes));
  classified.known = false;
  for (const Compiled& compiled : rules_) {
    const Rule& rule = compiled.rule;
    if ((rule.kind && *rule.kind != kind) || (rule.single_thread && !single_thread)) continue;
    if (!std::regex_search(matched, compiled.regex)) continue;
    classified.event_class = rule.event_class;
    classified.known = true;
    break;
  }
  classified.looks_like_comm = !classified.known && std::regex_search(matched, comm_words_);
  if (classified.event_class == EventClass::kComm ||
      classified.event_class == EventClass::kCommWait)
    classified.direction = DirectionOf(name, kind);
  return classified;
}

bool Classifier::DependsOnLaunch(std::string_view name, EventKind kind) const {
  return Classify(name, kind, true).event_class != Classify(name, kind, false).event_class;
}

CommDirection DirectionOf(std::string_view name, EventKind kind) {
  using enum CommDirection;
  if (kind == EventKind::kMemcpy) return kCopy;
  constexpr std::pair<std::string_view, CommDirection> kParts[] = {
      {"AllGather", kAllGather},
      {"all_gather", kAllGather},
      {"ReduceScatter", kReduceScatter},
      {"reduce_scatter", kReduceScatter},
      {"AllReduce", kAllReduce},
      {"all_reduce", kAllReduce},
      {"cross_device_reduce", kAllReduce},
      {"pushsend", kSend},
      {"pullsend", kSend},
      {"pushrecv", kReceive},
      {"pullrecv", kReceive},
      {"SendRecv", kSend},
  };
  for (const auto& [part, direction] : kParts)
    if (Contains(name, part)) return direction;
  if (!Contains(name, "userbuffers_fp16_sum_inplace")) return kNone;
  if (Contains(name, "_ag")) return kAllGather;
  return Contains(name, "_rs") ? kReduceScatter : kAllReduce;
}

Pass PassOfGemm(std::string_view name) {
  constexpr std::pair<std::string_view, Pass> kParts[] = {
      {"_tn_", Pass::kForward},      {"_nn_", Pass::kDgrad},      {"_nt_", Pass::kWgrad},
      {"Alik_Bljk", Pass::kForward}, {"Ailk_Bljk", Pass::kDgrad}, {"Ailk_Bjlk", Pass::kWgrad}};
  for (const auto& [part, pass] : kParts)
    if (Contains(name, part)) return pass;
  // At the end: "..._32x5_tn", and nvjet's "..._coopA_TNT" with the layout of the output behind.
  constexpr std::pair<std::string_view, Pass> kEnds[] = {
      {"_tn", Pass::kForward},  {"_nn", Pass::kDgrad},  {"_nt", Pass::kWgrad},
      {"_TNT", Pass::kForward}, {"_NNT", Pass::kDgrad}, {"_NTT", Pass::kWgrad},
      {"_TNN", Pass::kForward}, {"_NNN", Pass::kDgrad}, {"_NTN", Pass::kWgrad}};
  for (const auto& [end, pass] : kEnds)
    if (name.ends_with(end)) return pass;
  return Pass::kNone;
}

}  // namespace autodist::trace
