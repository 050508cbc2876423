#include "autodist/trace/attribution.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/trace/backward_split.h"
#include "autodist/trace/range_index.h"

namespace autodist::trace {
namespace {

// What the ranges around a moment say together.
struct Place {
  int64_t range = RangeIndex::kNone;   // that names the operator
  int64_t marker = RangeIndex::kNone;  // that names a pass and no operator
  bool is_linear = false;
  Pass pass = Pass::kNone;  // named, or backward inside of autograd
  int64_t autograd_sequence = kNoSequence;
};

class Attributor {
 public:
  explicit Attributor(RawTrace raw);
  Trace Run();

 private:
  std::vector<Place> PlacesOf(const RangeIndex& index) const;
  Place PlaceOfLaunch(uint32_t thread, int64_t ns) const;
  Place PlaceOnDevice(const DeviceEvent& event) const;
  void FindSteps();
  uint16_t StepAt(int64_t ns) const;
  uint32_t WindowOf(const RangeIndex& index, bool on_device, const Place& place, int64_t ns);
  void AttributeEvents();
  void SortWindows();

  RawTrace raw_;
  Trace& trace_;
  std::vector<RangeMeaning> meanings_;  // of raw_.range_names
  RangeIndex host_;
  RangeIndex device_;
  std::vector<Place> host_places_;    // of the ranges of host_
  std::vector<Place> device_places_;  // of the ranges of device_
  uint32_t main_thread_ = 0;
  std::map<std::tuple<bool, int64_t, Pass>, uint32_t> windows_;
  std::map<std::pair<std::string, Pass>, uint32_t> operators_;
};

Attributor::Attributor(RawTrace raw)
    : raw_(std::move(raw)),
      trace_(raw_.trace),
      host_(std::move(raw_.host_ranges)),
      device_(std::move(raw_.device_ranges)) {
  for (const std::string& name : raw_.range_names) meanings_.push_back(MeaningOf(name));
  host_places_ = PlacesOf(host_);
  device_places_ = PlacesOf(device_);
  std::sort(raw_.forward_ops.begin(), raw_.forward_ops.end(),
            [](const SequencePoint& a, const SequencePoint& b) {
              return std::tie(a.sequence, a.start_ns) < std::tie(b.sequence, b.start_ns);
            });
}

// Parents come first, so that each range adds to what is known around it.
std::vector<Place> Attributor::PlacesOf(const RangeIndex& index) const {
  std::vector<Place> places;
  for (int64_t i = 0; i < index.size(); ++i) {
    Place place;
    if (const int64_t parent = index.Parent(i); parent != RangeIndex::kNone)
      place = places[static_cast<size_t>(parent)];
    const Range& range = index[i];
    if (range.kind == RangeKind::kAutograd) {
      place.autograd_sequence = range.sequence;
      if (place.pass == Pass::kNone) place.pass = Pass::kBackward;
    } else {
      const RangeMeaning& meaning = meanings_[range.name];
      if (meaning.pass != Pass::kNone) place.pass = meaning.pass;
      if (meaning.pass != Pass::kNone && meaning.op.empty()) place.marker = i;
      if (!meaning.op.empty() && (meaning.is_linear || !place.is_linear)) {
        place.range = i;
        place.is_linear = meaning.is_linear;
      }
    }
    places.push_back(place);
  }
  return places;
}

Place Attributor::PlaceOfLaunch(uint32_t thread, int64_t ns) const {
  Place place;
  if (const int64_t at = host_.Innermost(thread, ns); at != RangeIndex::kNone)
    place = host_places_[static_cast<size_t>(at)];
  if (place.range != RangeIndex::kNone) return place;
  const auto inherit = [&](uint32_t other, int64_t when) {
    const int64_t at = host_.Innermost(other, when);
    if (at == RangeIndex::kNone) return false;
    const Place& found = host_places_[static_cast<size_t>(at)];
    place.range = found.range;
    place.is_linear = found.is_linear;
    place.marker = found.marker;
    return true;
  };
  if (place.autograd_sequence >= 0) {
    const auto after = std::upper_bound(raw_.forward_ops.begin(), raw_.forward_ops.end(),
                                        std::pair(place.autograd_sequence, ns),
                                        [](const auto& key, const SequencePoint& op) {
                                          return key < std::pair(op.sequence, op.start_ns);
                                        });
    if (after != raw_.forward_ops.begin() && std::prev(after)->sequence == place.autograd_sequence)
      inherit(std::prev(after)->thread, std::prev(after)->start_ns);
  }
  if (place.range == RangeIndex::kNone && thread != main_thread_) {
    const int64_t at = host_.Innermost(main_thread_, ns);
    const Pass pass =
        at == RangeIndex::kNone ? Pass::kNone : host_places_[static_cast<size_t>(at)].pass;
    // What the main thread waits for may say more than "inside of autograd".
    if (inherit(main_thread_, ns) && pass != Pass::kNone) place.pass = pass;
  }
  return place;
}

// The innermost annotation on the event's stream, else the one on the device that began last.
Place Attributor::PlaceOnDevice(const DeviceEvent& event) const {
  const auto place_on = [&](uint32_t stream) {
    const int64_t at = device_.Innermost(stream, event.start_ns);
    return at == RangeIndex::kNone ? Place() : device_places_[static_cast<size_t>(at)];
  };
  Place best = place_on(event.stream);
  if (best.range != RangeIndex::kNone) return best;
  for (uint32_t stream = 0; stream < trace_.streams.size(); ++stream) {
    if (trace_.streams[stream].device != trace_.streams[event.stream].device) continue;
    const Place place = place_on(stream);
    if (place.range == RangeIndex::kNone) continue;
    if (best.range == RangeIndex::kNone ||
        device_[place.range].start_ns > device_[best.range].start_ns)
      best = place;
  }
  return best;
}

void Attributor::FindSteps() {
  constexpr std::string_view kPrefix = "ProfilerStep#";
  for (int64_t i = 0; i < host_.size(); ++i) {
    const Range& range = host_[i];
    const std::string& name = raw_.range_names[range.name];
    if (range.kind != RangeKind::kAnnotation || !name.starts_with(kPrefix)) continue;
    int64_t number = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    trace_.steps.push_back({number, range.start_ns, range.end_ns});
    main_thread_ = range.lane;
  }
  std::sort(trace_.steps.begin(), trace_.steps.end(),
            [](const Step& a, const Step& b) { return a.start_ns < b.start_ns; });
  if (trace_.steps.size() >= kNoStep)
    throw core::BadInput("{}: has {} profiler steps, must be below {}", trace_.file,
                         trace_.steps.size(), kNoStep);
}

uint16_t Attributor::StepAt(int64_t ns) const {
  const auto after =
      std::upper_bound(trace_.steps.begin(), trace_.steps.end(), ns,
                       [](int64_t value, const Step& step) { return value < step.start_ns; });
  if (after == trace_.steps.begin() || ns >= std::prev(after)->end_ns) return kNoStep;
  return static_cast<uint16_t>(std::prev(after) - trace_.steps.begin());
}

uint32_t Attributor::WindowOf(const RangeIndex& index, bool on_device, const Place& place,
                              int64_t ns) {
  const int64_t at = place.range != RangeIndex::kNone ? place.range : place.marker;
  if (at == RangeIndex::kNone) return kNoWindow;
  Pass pass = place.pass;
  const Range& range = index[at];
  if (pass == Pass::kNone && (place.is_linear || range.kind == RangeKind::kModule))
    pass = Pass::kForward;
  const auto [window, added] = windows_.emplace(std::tuple(on_device, at, pass),
                                                static_cast<uint32_t>(trace_.windows.size()));
  if (added) {
    const auto [op, new_op] = operators_.emplace(std::pair(meanings_[range.name].op, pass),
                                                 static_cast<uint32_t>(trace_.operators.size()));
    if (new_op) trace_.operators.push_back({op->first.first, pass});
    trace_.windows.push_back({op->second, on_device ? kNoStep : StepAt(ns)});
  }
  return window->second;
}

// Windows are made for launches that have events only.
void Attributor::AttributeEvents() {
  std::sort(raw_.launches.begin(), raw_.launches.end(), [](const Launch& a, const Launch& b) {
    return std::tie(a.correlation, a.start_ns) < std::tie(b.correlation, b.start_ns);
  });
  constexpr uint32_t kNotAsked = kNoWindow - 1;
  std::vector<uint32_t> launch_windows(raw_.launches.size(), kNotAsked);
  const auto begin = raw_.launches.begin();
  for (size_t i = 0; i < trace_.events.size(); ++i) {
    DeviceEvent& event = trace_.events[i];
    const auto launch = std::lower_bound(
        begin, raw_.launches.end(), raw_.correlations[i],
        [](const Launch& a, uint32_t correlation) { return a.correlation < correlation; });
    const bool launched = raw_.correlations[i] != kNoCorrelation && launch != raw_.launches.end() &&
                          launch->correlation == raw_.correlations[i];
    if (launched) {
      event.launch_ns = launch->start_ns;
      event.step = StepAt(event.launch_ns);
    } else {
      ++trace_.events_without_launch;
    }
    if (!launched || launch->is_graph)
      event.window = WindowOf(device_, true, PlaceOnDevice(event), event.start_ns);
    if (launched && event.window == kNoWindow) {
      uint32_t& window = launch_windows[static_cast<size_t>(launch - begin)];
      if (window == kNotAsked)
        window = WindowOf(host_, false, PlaceOfLaunch(launch->thread, launch->start_ns),
                          launch->start_ns);
      event.window = window;
    }
    if (event.window == kNoWindow) ++trace_.events_without_operator;
  }
}

// Windows in the order in which their first events were launched.
void Attributor::SortWindows() {
  std::vector<int64_t> begins_ns(trace_.windows.size(), std::numeric_limits<int64_t>::max());
  for (const DeviceEvent& event : trace_.events) {
    if (event.window == kNoWindow) continue;
    int64_t& begin_ns = begins_ns[event.window];
    begin_ns = std::min(begin_ns, LaunchOrStart(event));
  }
  std::vector<uint32_t> order(trace_.windows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return begins_ns[a] < begins_ns[b]; });
  std::vector<Window> windows;
  std::vector<uint32_t> places(order.size());
  for (uint32_t i = 0; i < order.size(); ++i) {
    windows.push_back(trace_.windows[order[i]]);
    places[order[i]] = i;
  }
  trace_.windows = std::move(windows);
  for (DeviceEvent& event : trace_.events)
    if (event.window != kNoWindow) event.window = places[event.window];
}

Trace Attributor::Run() {
  FindSteps();
  AttributeEvents();
  raw_.correlations = {};
  raw_.launches = {};
  SplitBackward(trace_);
  SortWindows();
  std::sort(trace_.events.begin(), trace_.events.end(),
            [](const DeviceEvent& a, const DeviceEvent& b) {
              return std::tie(a.start_ns, a.end_ns, a.stream, a.name) <
                     std::tie(b.start_ns, b.end_ns, b.stream, b.name);
            });
  return std::move(trace_);
}

}  // namespace

Trace Attribute(RawTrace raw) { return Attributor(std::move(raw)).Run(); }

}  // namespace autodist::trace
