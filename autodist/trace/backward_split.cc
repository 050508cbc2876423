#include "autodist/trace/backward_split.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace autodist::trace {
namespace {

// kDgrad, kWgrad, or kNone for what belongs to its neighbour.
Pass OwnPass(const KernelName& name) {
  if (name.event_class == EventClass::kGemm) {
    const Pass pass = PassOfGemm(name.text);
    return pass == Pass::kForward ? Pass::kNone : pass;
  }
  // Collectives run beside the GEMM that is launched after them, whatever their library: the input
  // for wgrad is gathered under dgrad, the gradient of the input is scattered under wgrad.
  if (name.direction == CommDirection::kAllGather) return Pass::kDgrad;
  return name.direction == CommDirection::kReduceScatter ? Pass::kWgrad : Pass::kNone;
}

uint32_t OperatorIndex(Trace& trace, const std::string& name, Pass pass) {
  for (uint32_t i = 0; i < trace.operators.size(); ++i)
    if (trace.operators[i].name == name && trace.operators[i].pass == pass) return i;
  trace.operators.push_back({name, pass});
  return static_cast<uint32_t>(trace.operators.size() - 1);
}

// `events` are those of the window, in launch order.
void SplitWindow(Trace& trace, uint32_t window, const std::vector<DeviceEvent*>& events) {
  bool dgrad = false;
  bool wgrad = false;
  bool mixed = false;  // several layers, or GEMMs that do not tell: no part is dgrad's alone
  for (const DeviceEvent* event : events) {
    if (event->event_class != EventClass::kGemm) continue;
    const Pass pass = OwnPass(trace.name_of(*event));
    dgrad |= pass == Pass::kDgrad;
    mixed |= pass == Pass::kNone || (wgrad && pass == Pass::kDgrad);
    wgrad |= pass == Pass::kWgrad;
  }
  if (!dgrad || !wgrad || mixed) return;
  const std::string name = trace.operators[trace.windows[window].op].name;
  trace.windows[window].op = OperatorIndex(trace, name, Pass::kDgrad);
  const auto wgrad_window = static_cast<uint32_t>(trace.windows.size());
  trace.windows.push_back({OperatorIndex(trace, name, Pass::kWgrad), trace.windows[window].step});
  Pass current = Pass::kDgrad;
  for (DeviceEvent* event : events) {
    const Pass own = OwnPass(trace.name_of(*event));
    if (own != Pass::kNone && event->event_class == EventClass::kGemm) current = own;
    if ((own == Pass::kNone ? current : own) == Pass::kWgrad) event->window = wgrad_window;
  }
}

}  // namespace

void SplitBackward(Trace& trace) {
  std::unordered_map<uint32_t, std::vector<DeviceEvent*>> backward;
  for (DeviceEvent& event : trace.events) {
    if (event.window == kNoWindow) continue;
    if (trace.operators[trace.windows[event.window].op].pass == Pass::kBackward)
      backward[event.window].push_back(&event);
  }
  std::vector<uint32_t> windows;
  for (const auto& [window, events] : backward) windows.push_back(window);
  std::sort(windows.begin(), windows.end());
  for (const uint32_t window : windows) {
    std::vector<DeviceEvent*>& events = backward[window];
    std::stable_sort(events.begin(), events.end(), [](const DeviceEvent* a, const DeviceEvent* b) {
      return LaunchOrStart(*a) < LaunchOrStart(*b);
    });
    SplitWindow(trace, window, events);
  }
}

}  // namespace autodist::trace
