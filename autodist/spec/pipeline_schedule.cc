#include "autodist/spec/pipeline_schedule.h"

namespace autodist::spec {

std::vector<Action> ForwardSchedule(int stage, int stages, int micro_batches) {
  std::vector<Action> actions;
  for (int m = 0; m < micro_batches; ++m) {
    if (stage > 0) actions.push_back({ActionKind::kReceive, m});
    actions.push_back({ActionKind::kForward, m});
    if (stage + 1 < stages) actions.push_back({ActionKind::kSend, m});
  }
  return actions;
}

}  // namespace autodist::spec
