// For tests: NCCL between ranks that are threads with a FakeAccelerator each. It moves real data,
// in the queues' order, and is as unhelpful as the library: it never times out, and a rank that
// does not come keeps the others' queues until they abort.
//
// Every call that may be in progress is so for some polls. Misuse fails a CHECK: a call while one
// is in progress, on a handle that is gone, memory that is not the device's, a handle that nobody
// destroyed or aborted.
#ifndef AUTODIST_COMM_TESTING_FAKE_NCCL_H_
#define AUTODIST_COMM_TESTING_FAKE_NCCL_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "autodist/comm/nccl_library.h"
#include "autodist/device/testing/fake_accelerator.h"

namespace autodist::comm::testing {

// What goes wrong on a rank, as the job's first group knows it. Set before or while it works.
struct FakeNcclFaults {
  NcclCode unique_id = kNcclSuccess;
  NcclCode init = kNcclSuccess;       // the state that joining ends in; in progress: it never does
  bool init_returns_error = false;    // at once, without a handle
  NcclCode next_call = kNcclSuccess;  // of the next collective
  NcclCode async = kNcclSuccess;      // found by the next poll
  bool never_enters = false;          // its collectives do nothing and hang
  bool never_finalizes = false;
};

class FakeNccl final : public NcclLibrary {
 public:
  FakeNccl() = default;
  ~FakeNccl() override;  // CHECKs that no handle is left

  // The calling thread is this rank of the job. Before it joins.
  void Attach(int rank, device::testing::FakeAccelerator& accelerator);
  void SetFaults(int rank, const FakeNcclFaults& faults);
  int aborts() const;     // of handles, so far
  int destroyed() const;  // in order

  std::string Describe(NcclCode code) override;
  NcclCode UniqueId(NcclId* id) override;
  NcclCode Init(NcclHandle* handle, int size, const NcclId& id, int rank,
                const std::string& name) override;
  NcclCode AsyncError(NcclHandle handle) override;
  NcclCode Finalize(NcclHandle handle) override;
  NcclCode Destroy(NcclHandle handle) override;
  NcclCode Abort(NcclHandle handle) override;
  NcclCode GroupStart() override;
  NcclCode GroupEnd() override;
  NcclCode AllReduce(const void* in, void* out, size_t count, core::DType dtype, ReduceOp op,
                     NcclHandle handle, void* queue) override;
  NcclCode AllGather(const void* in, void* out, size_t count, core::DType dtype, NcclHandle handle,
                     void* queue) override;
  NcclCode ReduceScatter(const void* in, void* out, size_t count, core::DType dtype, ReduceOp op,
                         NcclHandle handle, void* queue) override;
  NcclCode Broadcast(const void* in, void* out, size_t count, core::DType dtype, int root,
                     NcclHandle handle, void* queue) override;
  NcclCode Send(const void* data, size_t count, core::DType dtype, int to, NcclHandle handle,
                void* queue) override;
  NcclCode Receive(void* data, size_t count, core::DType dtype, int from, NcclHandle handle,
                   void* queue) override;

 private:
  struct Meeting;  // of all ranks in one collective, or of two in a message
  struct Clique;   // the ranks of one id
  struct Member;
  using Step = std::function<bool()>;
  // What the last to come does with everybody's buffers: [rank of the meeting].
  using Exchange =
      std::function<void(const std::vector<const void*>& in, const std::vector<void*>& out)>;

  Member& Use(NcclHandle handle);
  template <typename T>
  struct Span {
    T* data = nullptr;
    size_t bytes = 0;
  };
  struct Place {
    size_t rank = 0;
    size_t ranks = 0;
  };

  Place PlaceOf(NcclHandle handle);
  NcclCode Collective(NcclHandle handle, void* queue, Span<const void> in, Span<void> out,
                      Exchange exchange);
  NcclCode Message(NcclHandle handle, void* queue, size_t from, size_t to, Span<const void> in,
                   Span<void> out);
  NcclCode Submit(NcclHandle handle, void* queue, Step step);
  Step MeetingStep(NcclHandle handle, const std::string& key, size_t place, size_t places,
                   Span<const void> in, Span<void> out, Exchange exchange);

  mutable std::recursive_mutex mutex_;
  std::map<std::thread::id, std::pair<int, device::testing::FakeAccelerator*>> attached_;
  std::map<int, FakeNcclFaults> faults_;
  std::map<int, std::shared_ptr<Clique>> cliques_;
  std::map<NcclHandle, std::shared_ptr<Member>> members_;
  struct OpenGroup {
    NcclHandle handle = nullptr;
    void* queue = nullptr;
    std::vector<Step> steps;
  };
  std::map<std::thread::id, OpenGroup> groups_;
  int next_id_ = 1;
  int aborts_ = 0;
  int destroyed_ = 0;
};

}  // namespace autodist::comm::testing

#endif  // AUTODIST_COMM_TESTING_FAKE_NCCL_H_
