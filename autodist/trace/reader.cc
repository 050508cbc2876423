#include "autodist/trace/reader.h"

#include <array>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>

#include "autodist/core/error.h"
#include "autodist/trace/attribution.h"
#include "autodist/trace/json_cursor.h"
#include "autodist/trace/microseconds.h"

namespace autodist::trace {
namespace {

struct TextHash : std::hash<std::string_view> {
  using is_transparent = void;
};
template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

// The fields of an event that are looked at, as they stand in the text; empty where absent.
struct RawEvent {
  uint64_t position = 0;
  std::string_view ph = {}, cat = {}, name = {}, pid = {}, tid = {}, ts = {}, dur = {};
  std::string_view device = {}, stream = {}, correlation = {}, grid = {}, block = {}, sequence = {},
                   forward_thread = {};
};

bool IsString(std::string_view value) { return value.starts_with('"'); }

// Between the quotes; REQUIRES IsString.
std::string_view Content(std::string_view value) { return value.substr(1, value.size() - 2); }

bool Is(std::string_view value, std::string_view word) {
  return value.size() == word.size() + 2 && IsString(value) && Content(value) == word;
}

std::string_view Shown(std::string_view value) { return value.substr(0, 40); }

// [1, 1, 1], however it is spaced. An absent one is not known to be.
bool IsOne(std::string_view extent) {
  int ones = 0;
  for (const char c : extent) {
    if (c == '1') ++ones;
    if (c >= '0' && c <= '9' && c != '1') return false;
  }
  return ones == 3;
}

class Reader {
 public:
  Reader(ByteSource& source, std::string name, const Classifier& classifier)
      : cursor_(source, std::move(name)), classifier_(classifier) {
    raw_.trace.file = cursor_.name();
  }

  RawTrace Read();

 private:
  // The ids of a name's uses: [kind][launched as a single thread].
  using NameIds = std::array<std::array<std::optional<uint32_t>, 2>, 3>;

  void ReadTop();
  void ReadDistributedInfo();
  void ReadEvents();
  void ReadEvent(RawEvent& event);
  void ReadArguments(RawEvent& event);
  void Add(const RawEvent& event);
  void AddDeviceEvent(const RawEvent& event, EventKind kind);
  void AddLaunch(const RawEvent& event);
  void AddCpuOp(const RawEvent& event);
  void AddRange(const RawEvent& event, std::vector<Range>& ranges, RangeKind kind, uint32_t lane,
                std::string_view name, int64_t sequence = kNoSequence);

  core::Error Wrong(const RawEvent& event, std::string_view field, std::string_view value,
                    std::string_view must) const;
  int64_t Time(const RawEvent& event, std::string_view field, std::string_view value) const;
  int64_t End(const RawEvent& event, int64_t start_ns) const;
  std::optional<int64_t> Integer(const RawEvent& event, std::string_view field,
                                 std::string_view value) const;
  std::optional<uint32_t> Correlation(const RawEvent& event) const;
  std::string_view Name(const RawEvent& event) const;
  uint32_t NameOfKernel(std::string_view name, EventKind kind, bool single_thread);
  uint32_t StreamOf(const RawEvent& event);
  uint32_t ThreadOf(const RawEvent& event);

  JsonCursor cursor_;
  const Classifier& classifier_;
  RawTrace raw_;
  TextMap<NameIds> kernel_names_;
  TextMap<uint32_t> range_names_;
  TextMap<uint32_t> threads_;
  std::string thread_key_;
  std::string last_thread_key_;
  uint32_t last_thread_ = 0;
  std::unordered_map<uint64_t, uint32_t> stream_ids_;
  bool has_events_ = false;
};

RawTrace Reader::Read() {
  ReadTop();
  if (!cursor_.AtEnd()) throw cursor_.Invalid("something follows the end of the document");
  if (!has_events_)
    throw core::BadInput("{}: field traceEvents is missing: this is no profiler trace",
                         raw_.trace.file);
  return std::move(raw_);
}

void Reader::ReadTop() {
  if (cursor_.Peek() == '[') return ReadEvents();  // the format's short form
  if (cursor_.AtEnd()) throw cursor_.Invalid("the file is empty");
  cursor_.Expect('{');
  bool first = true;
  for (std::string_view key; cursor_.NextMember(first, key);) {
    if (key == "traceEvents") {
      ReadEvents();
    } else if (key == "distributedInfo") {
      ReadDistributedInfo();
    } else if (key == "baseTimeNanoseconds") {
      cursor_.Pinned([&] {
        const RawEvent here{.position = cursor_.position()};
        raw_.trace.base_time_ns = Integer(here, "baseTimeNanoseconds", cursor_.Value()).value_or(0);
      });
    } else {
      cursor_.Skip();
    }
  }
}

void Reader::ReadDistributedInfo() {
  cursor_.Pinned([&] {
    const RawEvent here{.position = cursor_.position()};
    cursor_.Expect('{');
    bool first = true;
    for (std::string_view key; cursor_.NextMember(first, key);) {
      const bool rank = key == "rank";
      const bool world = key == "world_size";
      const std::string_view value = cursor_.Value();
      if (rank) raw_.trace.rank = Integer(here, "distributedInfo.rank", value);
      if (world) raw_.trace.world_size = Integer(here, "distributedInfo.world_size", value);
    }
  });
}

void Reader::ReadEvents() {
  has_events_ = true;
  if (cursor_.Peek() != '[') throw cursor_.Invalid("field traceEvents must be a list");
  cursor_.Expect('[');
  RawEvent event;
  for (bool first = true; cursor_.NextElement(first);) {
    cursor_.Pinned([&] { ReadEvent(event); });
    Add(event);
  }
}

void Reader::ReadEvent(RawEvent& event) {
  event = {.position = cursor_.position()};
  if (cursor_.Peek() != '{') throw cursor_.Invalid("an element of traceEvents must be an object");
  cursor_.Expect('{');
  bool first = true;
  for (std::string_view key; cursor_.NextMember(first, key);) {
    if (key == "args" && cursor_.Peek() == '{') {
      ReadArguments(event);
      continue;
    }
    const std::string_view value = cursor_.Value();
    if (key == "ph") event.ph = value;
    if (key == "ts") event.ts = value;
    if (key == "cat") event.cat = value;
    if (key == "pid") event.pid = value;
    if (key == "tid") event.tid = value;
    if (key == "dur") event.dur = value;
    if (key == "name") event.name = value;
  }
}

void Reader::ReadArguments(RawEvent& event) {
  cursor_.Expect('{');
  bool first = true;
  for (std::string_view key; cursor_.NextMember(first, key);) {
    std::string_view* field = nullptr;
    switch (key.size()) {
      case 4:
        if (key == "grid") field = &event.grid;
        break;
      case 5:
        if (key == "block") field = &event.block;
        break;
      case 6:
        if (key == "stream") field = &event.stream;
        if (key == "device") field = &event.device;
        break;
      case 11:
        if (key == "correlation") field = &event.correlation;
        break;
      case 13:
        if (key == "Fwd thread id") field = &event.forward_thread;
        break;
      case 15:
        if (key == "Sequence number") field = &event.sequence;
        break;
    }
    if (field == nullptr) {
      cursor_.Skip();
    } else {
      *field = cursor_.Value();
    }
  }
}

void Reader::Add(const RawEvent& event) {
  if (!Is(event.ph, "X") || !IsString(event.cat)) return;
  const std::string_view category = Content(event.cat);
  constexpr std::string_view kModule = "nn.Module: ";
  if (category == "kernel") {
    AddDeviceEvent(event, EventKind::kKernel);
  } else if (category == "cuda_runtime" || category == "cuda_driver") {
    AddLaunch(event);
  } else if (category == "cpu_op") {
    AddCpuOp(event);
  } else if (category == "gpu_memcpy") {
    AddDeviceEvent(event, EventKind::kMemcpy);
  } else if (category == "gpu_memset") {
    AddDeviceEvent(event, EventKind::kMemset);
  } else if (category == "user_annotation") {
    AddRange(event, raw_.host_ranges, RangeKind::kAnnotation, ThreadOf(event), Name(event));
  } else if (category == "gpu_user_annotation") {
    AddRange(event, raw_.device_ranges, RangeKind::kAnnotation, StreamOf(event), Name(event));
  } else if (category == "python_function" && IsString(event.name) &&
             Content(event.name).starts_with(kModule)) {
    AddRange(event, raw_.host_ranges, RangeKind::kModule, ThreadOf(event),
             Content(event.name).substr(kModule.size()));
  }
}

void Reader::AddDeviceEvent(const RawEvent& event, EventKind kind) {
  DeviceEvent added;
  added.start_ns = Time(event, "ts", event.ts);
  added.end_ns = End(event, added.start_ns);
  added.name = NameOfKernel(Name(event), kind, IsOne(event.grid) && IsOne(event.block));
  added.event_class = raw_.trace.names[added.name].event_class;
  added.stream = static_cast<uint16_t>(StreamOf(event));
  raw_.correlations.push_back(Correlation(event).value_or(kNoCorrelation));
  raw_.trace.events.push_back(added);
}

void Reader::AddLaunch(const RawEvent& event) {
  const std::optional<uint32_t> correlation = Correlation(event);
  if (!correlation) return;
  raw_.launches.push_back({.start_ns = Time(event, "ts", event.ts),
                           .correlation = *correlation,
                           .thread = ThreadOf(event) & 0x7fffffff,  // as many do not fit memory

                           .is_graph = Name(event).find("GraphLaunch") != std::string_view::npos});
}

// Of the host's operators only those matter that tie backward work to a module.
void Reader::AddCpuOp(const RawEvent& event) {
  const std::string_view name = Name(event);
  const int64_t sequence =
      Integer(event, "args.Sequence number", event.sequence).value_or(kNoSequence);
  if (name.starts_with("autograd::engine::evaluate_function")) {
    AddRange(event, raw_.host_ranges, RangeKind::kAutograd, ThreadOf(event), name, sequence);
  } else if (sequence >= 0 && (event.forward_thread.empty() || event.forward_thread == "0")) {
    const SequencePoint op{sequence, Time(event, "ts", event.ts), ThreadOf(event)};
    // Operators inside of one another share their number, and their module: one of them will do.
    const auto& ops = raw_.forward_ops;
    if (ops.empty() || ops.back().sequence != sequence || ops.back().thread != op.thread)
      raw_.forward_ops.push_back(op);
  }
}

void Reader::AddRange(const RawEvent& event, std::vector<Range>& ranges, RangeKind kind,
                      uint32_t lane, std::string_view name, int64_t sequence) {
  if (kind == RangeKind::kAutograd) name = {};  // thousands of names that nobody asks for
  auto found = range_names_.find(name);
  if (found == range_names_.end()) {
    found = range_names_.emplace(name, static_cast<uint32_t>(raw_.range_names.size())).first;
    raw_.range_names.push_back(Unescaped(name));
  }
  const int64_t start_ns = Time(event, "ts", event.ts);
  ranges.push_back({start_ns, End(event, start_ns), sequence, lane, found->second, kind});
}

core::Error Reader::Wrong(const RawEvent& event, std::string_view field, std::string_view value,
                          std::string_view must) const {
  if (value.empty())
    return core::BadInput("{}: the event at byte {} has no field {}", raw_.trace.file,
                          event.position, field);
  return core::BadInput("{}: at byte {}: field {} is {}, must be {}", raw_.trace.file,
                        event.position, field, Shown(value), must);
}

int64_t Reader::Time(const RawEvent& event, std::string_view field, std::string_view value) const {
  int64_t ns = 0;
  if (!ParseMicroseconds(value, ns))
    throw Wrong(event, field, value, "a number of microseconds within 292 years");
  return ns;
}

int64_t Reader::End(const RawEvent& event, int64_t start_ns) const {
  const int64_t duration_ns = Time(event, "dur", event.dur);
  int64_t end_ns = 0;
  if (duration_ns < 0) throw Wrong(event, "dur", event.dur, "at least 0");
  if (__builtin_add_overflow(start_ns, duration_ns, &end_ns))
    throw Wrong(event, "dur", event.dur, "a number of microseconds within 292 years");
  return end_ns;
}

std::optional<int64_t> Reader::Integer(const RawEvent& event, std::string_view field,
                                       std::string_view value) const {
  if (value.empty()) return {};
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size())
    throw Wrong(event, field, value, "an integer");
  return number;
}

// Ids beyond 32 bits (CUPTI has none) are like absent ones.
std::optional<uint32_t> Reader::Correlation(const RawEvent& event) const {
  const std::optional<int64_t> id = Integer(event, "args.correlation", event.correlation);
  if (!id || *id < 0 || *id >= kNoCorrelation) return {};
  return static_cast<uint32_t>(*id);
}

std::string_view Reader::Name(const RawEvent& event) const {
  if (!IsString(event.name)) throw Wrong(event, "name", event.name, "a text");
  return Content(event.name);
}

uint32_t Reader::NameOfKernel(std::string_view name, EventKind kind, bool single_thread) {
  auto found = kernel_names_.find(name);
  if (found == kernel_names_.end()) found = kernel_names_.emplace(name, NameIds()).first;
  std::optional<uint32_t>& id = found->second[static_cast<int>(kind)][single_thread];
  if (id) return *id;
  std::optional<uint32_t>& other = found->second[static_cast<int>(kind)][!single_thread];
  const std::string text = Unescaped(name);
  if (other && !classifier_.DependsOnLaunch(text, kind)) return *(id = other);
  id = static_cast<uint32_t>(raw_.trace.names.size());
  raw_.trace.names.push_back(classifier_.Classify(text, kind, single_thread));
  return *id;
}

// By args.device and args.stream; an annotation of the device has them as pid and tid.
uint32_t Reader::StreamOf(const RawEvent& event) {
  const std::string_view device = event.device.empty() ? event.pid : event.device;
  const std::string_view stream = event.stream.empty() ? event.tid : event.stream;
  const Stream key{Integer(event, "args.device", device).value_or(0),
                   Integer(event, "args.stream", stream).value_or(0)};
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (key.device < -kLimit || key.device >= kLimit || key.id < -kLimit || key.id >= kLimit)
    throw Wrong(event, "args.stream", stream, "below 2^31");
  const uint64_t packed = static_cast<uint64_t>(key.device) << 32 | static_cast<uint32_t>(key.id);
  const auto [found, added] =
      stream_ids_.emplace(packed, static_cast<uint32_t>(raw_.trace.streams.size()));
  if (added) {
    if (found->second > std::numeric_limits<uint16_t>::max())
      throw core::BadInput("{}: at byte {}: more than 65536 streams", raw_.trace.file,
                           event.position);
    raw_.trace.streams.push_back(key);
  }
  return found->second;
}

uint32_t Reader::ThreadOf(const RawEvent& event) {
  thread_key_.assign(event.pid).append("/").append(event.tid);
  if (thread_key_ == last_thread_key_) return last_thread_;
  const auto [found, added] = threads_.emplace(thread_key_, static_cast<uint32_t>(threads_.size()));
  last_thread_key_ = thread_key_;
  return last_thread_ = found->second;
}

}  // namespace

RawTrace ReadRaw(ByteSource& source, std::string name, const Classifier& classifier) {
  return Reader(source, std::move(name), classifier).Read();
}

Trace ReadTrace(ByteSource& source, std::string name, const Classifier& classifier) {
  return Attribute(ReadRaw(source, std::move(name), classifier));
}

}  // namespace autodist::trace
