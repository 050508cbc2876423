// What each stage does, in order, as a list of actions: data that runtime/ walks and that a
// simulator can walk too.
#ifndef AUTODIST_SPEC_PIPELINE_SCHEDULE_H_
#define AUTODIST_SPEC_PIPELINE_SCHEDULE_H_

#include <vector>

namespace autodist::spec {

enum class ActionKind { kReceive, kForward, kSend };

struct Action {
  ActionKind kind = ActionKind::kForward;
  int micro_batch = 0;
  bool operator==(const Action&) const = default;
};

// One forward pass of `micro_batches` micro-batches through stage `stage` of `stages`: each is
// received (not on the first stage), computed and sent on (not on the last) before the next one is
// touched, so while this stage computes micro-batch m the next one computes m - 1.
std::vector<Action> ForwardSchedule(int stage, int stages, int micro_batches);

}  // namespace autodist::spec

#endif  // AUTODIST_SPEC_PIPELINE_SCHEDULE_H_
