// What a rank spends its time on: each operation (kernel, transfer, sampling) with its duration and
// the bytes and floating-point operations that it must touch by formula.
//
// The doors of kernels/ and the traced communicator open an OpScope; without a log that is one
// predictable branch. Scopes nest: a total counts a scope's own time, without that of the scopes
// inside it, so the totals of all kinds never exceed the wall time.
#ifndef AUTODIST_DEVICE_OP_LOG_H_
#define AUTODIST_DEVICE_OP_LOG_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace autodist::device {

enum class OpKind : uint8_t {
  kGemm,           // matrix products of several rows
  kMatrixVector,   // matrix products of few rows: bound by reading the weight
  kAttention,      // attention, and writing the KV cache
  kRows,           // norms, rope, activations, additions, conversions
  kEmbedding,      // rows of tables
  kCommunication,  // transfers, and waiting for peers
  kSampling,       // from logits to tokens
  kGroup,          // no work of its own: a step or a layer around other scopes; not in the totals
};
inline constexpr size_t kOpKinds = 7;  // all but kGroup
std::string_view NameOf(OpKind kind);  // "gemm", "matrix_vector", ...

// The part of a run that an operation belongs to.
enum class OpPhase : uint8_t { kPrefill, kDecode, kOther };
inline constexpr size_t kOpPhases = 3;
std::string_view NameOf(OpPhase phase);  // "prefill", "decode", "other"

// What one operation is and must move and compute at least: every operand once, however the caches
// behave. Multiplications and additions count one each, as do exp, division and square root.
struct OpCost {
  OpKind kind = OpKind::kGroup;
  const char* name = "";  // of the operation, at most OpEvent::kMaxName letters, static
  int64_t rows = 0;
  uint64_t bytes = 0;
  double flops = 0;
  int32_t layer = -1;  // of the whole model; -1: that of the scope around it
};

struct OpTotal {
  double seconds = 0;  // own time
  uint64_t calls = 0;
  uint64_t bytes = 0;
  double flops = 0;
};

// Of one rank. Trivially copyable, so that ranks can send it.
struct OpTotals {
  std::array<std::array<OpTotal, kOpKinds>, kOpPhases> of = {};
  std::array<double, kOpPhases> wall_s = {};

  const OpTotal& At(OpPhase phase, OpKind kind) const {
    return of[static_cast<size_t>(phase)][static_cast<size_t>(kind)];
  }
  // Over all phases.
  double Seconds(OpKind kind) const;
};

// One finished scope. Trivially copyable.
struct OpEvent {
  static constexpr size_t kMaxName = 22;
  int64_t start_ns = 0;  // CLOCK_MONOTONIC
  int64_t duration_ns = 0;
  uint64_t bytes = 0;
  double flops = 0;
  int32_t rows = 0;
  int32_t layer = -1;
  OpKind kind = OpKind::kGroup;
  char name[kMaxName + 1] = {};
};

class OpScope;

// Thread-compatible: the rank's thread.
class OpLog {
 public:
  // Events beyond this many are counted and dropped: 64 MiB per rank, touched as they come.
  static constexpr size_t kMaxEvents = size_t{1} << 20;

  // keep_events: besides the totals, every scope is kept for a trace. Throws core::Error when out
  // of memory.
  explicit OpLog(bool keep_events);

  // The time from now on, and the scopes that end from now on, belong to `phase`.
  void EnterPhase(OpPhase phase);
  void ClearTotals();  // and enters kOther; events stay
  const OpTotals& totals() const { return totals_; }

  const std::vector<OpEvent>& events() const { return events_; }  // in the order of their ends
  uint64_t dropped_events() const { return dropped_events_; }

 private:
  friend class OpScope;
  void End(const OpScope& scope);

  OpTotals totals_;
  OpPhase phase_ = OpPhase::kOther;
  int64_t phase_start_ns_;
  OpScope* innermost_ = nullptr;
  bool keep_events_;
  std::vector<OpEvent> events_;
  uint64_t dropped_events_ = 0;
};

// The time from construction to destruction is one operation. Only on the stack.
class OpScope {
 public:
  // cost() -> OpCost is called when there is a log. `log` may be null and must outlive the scope.
  template <typename Cost>
  OpScope(OpLog* log, const Cost& cost) : log_(log) {
    if (log_ != nullptr) Begin(cost());
  }
  ~OpScope() {
    if (log_ != nullptr) log_->End(*this);
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  friend class OpLog;
  void Begin(const OpCost& cost);

  OpLog* log_;
  // Set when there is a log.
  OpScope* outer_;
  OpCost cost_;
  int64_t start_ns_;
  int64_t nested_ns_;  // of the scopes inside
};

}  // namespace autodist::device

#endif  // AUTODIST_DEVICE_OP_LOG_H_
