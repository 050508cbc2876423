#include "autodist/device/op_log.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <type_traits>

#include "autodist/core/check.h"
#include "autodist/core/error.h"

namespace autodist::device {
namespace {

static_assert(std::is_trivially_copyable_v<OpTotals> && std::is_trivially_copyable_v<OpEvent>);
static_assert(sizeof(OpEvent) == 64);

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double SecondsOf(int64_t ns) { return static_cast<double>(ns) * 1e-9; }

}  // namespace

std::string_view NameOf(OpKind kind) {
  switch (kind) {
    case OpKind::kGemm:
      return "gemm";
    case OpKind::kMatrixVector:
      return "matrix_vector";
    case OpKind::kAttention:
      return "attention";
    case OpKind::kRows:
      return "rows";
    case OpKind::kEmbedding:
      return "embedding";
    case OpKind::kCommunication:
      return "communication";
    case OpKind::kSampling:
      return "sampling";
    case OpKind::kGroup:
      return "group";
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown OpKind");
}

std::string_view NameOf(OpPhase phase) {
  switch (phase) {
    case OpPhase::kPrefill:
      return "prefill";
    case OpPhase::kDecode:
      return "decode";
    case OpPhase::kOther:
      return "other";
  }
  core::CheckFailed(__FILE__, __LINE__, "unknown OpPhase");
}

double OpTotals::Seconds(OpKind kind) const {
  double seconds = 0;
  for (const auto& phase : of) seconds += phase[static_cast<size_t>(kind)].seconds;
  return seconds;
}

OpLog::OpLog(bool keep_events) : phase_start_ns_(NowNs()), keep_events_(keep_events) {
  if (!keep_events_) return;
  try {
    events_.reserve(kMaxEvents);
  } catch (const std::bad_alloc&) {
    throw core::RuntimeFailure("out of memory: cannot keep {} events for a trace", kMaxEvents);
  }
}

void OpLog::EnterPhase(OpPhase phase) {
  const int64_t now = NowNs();
  totals_.wall_s[static_cast<size_t>(phase_)] += SecondsOf(now - phase_start_ns_);
  phase_ = phase;
  phase_start_ns_ = now;
}

void OpLog::ClearTotals() {
  totals_ = {};
  phase_ = OpPhase::kOther;
  phase_start_ns_ = NowNs();
}

void OpScope::Begin(const OpCost& cost) {
  cost_ = cost;
  outer_ = log_->innermost_;
  if (cost_.layer < 0 && outer_ != nullptr) cost_.layer = outer_->cost_.layer;
  nested_ns_ = 0;
  log_->innermost_ = this;
  start_ns_ = NowNs();
}

void OpLog::End(const OpScope& scope) {
  const int64_t duration_ns = NowNs() - scope.start_ns_;
  AUTODIST_CHECK(innermost_ == &scope);
  innermost_ = scope.outer_;
  if (innermost_ != nullptr) innermost_->nested_ns_ += duration_ns;
  const OpCost& cost = scope.cost_;
  if (cost.kind != OpKind::kGroup) {
    OpTotal& total = totals_.of[static_cast<size_t>(phase_)][static_cast<size_t>(cost.kind)];
    total.seconds += SecondsOf(duration_ns - scope.nested_ns_);
    ++total.calls;
    total.bytes += cost.bytes;
    total.flops += cost.flops;
  }
  if (!keep_events_) return;
  if (events_.size() == kMaxEvents) {
    ++dropped_events_;
    return;
  }
  OpEvent& event = events_.emplace_back();
  event.start_ns = scope.start_ns_;
  event.duration_ns = duration_ns;
  event.bytes = cost.bytes;
  event.flops = cost.flops;
  event.rows =
      static_cast<int32_t>(std::min<int64_t>(cost.rows, std::numeric_limits<int32_t>::max()));
  event.layer = cost.layer;
  event.kind = cost.kind;
  std::string_view(cost.name).copy(event.name, OpEvent::kMaxName);
}

}  // namespace autodist::device
