// A group of ranks that exchange tensors. Every backend (threads, processes on one host, MPI) keeps
// this contract and passes the suite of conformance.h.
//
// Order: all ranks of a group call the same collectives in the same order with the same dtype,
// count, op and root; a rank that does not is named, with both calls, in the core::Error that every
// rank then gets. Threads: thread-compatible, one caller at a time per communicator. Split() first
// to talk from two threads. Tensors: contiguous; any dtype; any count, 0 included. They must live
// until Wait() of the returned Work has returned. Sums: f32, bf16 and f16 are added in f32 in rank
// order 0..n-1 and rounded once at the end, so the bits are the same
//   on every rank, with every backend and for every size; integers are exact (they wrap). Max: a
//   NaN wins.
// Failure: every wait is bounded by CommOptions::collective_timeout_s. The call itself or Wait()
// throws core::Error
//   - when the time is over (kPeerLost: "rank 3 has not entered all_reduce #412 (group tp0, 8192
//   bytes); ranks 0, 1, 2
//     waited 60 s"), which also aborts the job,
//   - when a peer died or left (kPeerLost), when any rank called Abort() (the reason that it gave),
//   or on a mismatch. After an error a communicator is only good for Abort() and destruction.
#ifndef AUTODIST_COMM_COMMUNICATOR_H_
#define AUTODIST_COMM_COMMUNICATOR_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "autodist/core/error.h"
#include "autodist/core/tensor_view.h"

namespace autodist::comm {

struct CommOptions {
  // The longest wait for a peer, in seconds, > 0. Time during which this rank itself was stopped
  // does not count.
  double collective_timeout_s = 60;
};

enum class ReduceOp { kSum, kMax };

// One transfer that was started. Movable. It must be finished, by Wait() or by Done() returning
// true, before it is destroyed; only while an exception unwinds the stack may it be dropped (a
// message that arrives later is discarded).
class [[nodiscard]] Work {
 public:
  // A transfer that is still under way; implemented by the backends.
  class Pending {
   public:
    virtual ~Pending() = default;
    virtual void Wait() = 0;  // returns when the transfer is done, or throws
    virtual bool Done() = 0;  // never blocks; throws when the transfer has failed
  };

  Work() = default;  // already done
  explicit Work(std::unique_ptr<Pending> pending) : pending_(std::move(pending)) {}
  Work(Work&&) = default;
  Work& operator=(Work&& other) noexcept;
  ~Work();

  void Wait();
  bool Done();

 private:
  std::unique_ptr<Pending> pending_;  // null: done
};

class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  // Leaves the group, at once. A peer that still waits for this rank, or comes to, gets kPeerLost;
  // data that was sent stays readable. Leaving is not a failure when nobody waits.
  virtual ~Communicator() = default;

  virtual int rank() const = 0;                 // in [0, size())
  virtual int size() const = 0;                 // >= 1; with 1 every call is a copy or nothing
  virtual const std::string& name() const = 0;  // "world", or as given to Split(); used in messages

  // inout[i] = op over the ranks of inout[i].
  Work AllReduce(core::TensorView inout, ReduceOp op = ReduceOp::kSum);
  // whole = the parts of rank 0, 1, ...; whole has size() times the elements of part. `part` may be
  // its own place in `whole`.
  Work AllGather(core::ConstTensorView part, core::TensorView whole);
  // part = op over the ranks of the rank()-th of size() equal parts of whole. `part` may be that
  // place in `whole`.
  Work ReduceScatter(core::ConstTensorView whole, core::TensorView part,
                     ReduceOp op = ReduceOp::kSum);
  // inout = inout of `root`.
  Work Broadcast(core::TensorView inout, int root);
  // in and out are size() equal parts: part r of in goes to rank r; part r of out comes from rank
  // r. No aliasing.
  Work AllToAll(core::ConstTensorView in, core::TensorView out);

  // Messages from one rank to another arrive in the order in which they were sent; the receiver
  // must ask for the dtype and count that was sent. Send is buffered: `data` may be reused as soon
  // as it returns, and it does not wait for the receiver while at most 256 messages per receiver
  // and 512 MiB in all are under way (beyond that it does). A rank must not send to itself.
  Work Send(core::ConstTensorView data, int to);
  // Returns at once; the data is there when Wait() returns. Several receives may be open; they
  // match in call order.
  Work Receive(core::TensorView data, int from);

  // Returns when every rank of the group has called it. `limit_s`, > 0: the longest wait here,
  // instead of the collective timeout; for meeting after work that may keep one rank much longer
  // than another, such as loading. A death ends this wait as any other; a process of this host that
  // is stopped ends it after the collective timeout (it shows no sign of life, which a rank that
  // works does).
  void Barrier(std::optional<double> limit_s = std::nullopt);

  // Collective. Ranks that give the same color >= 0 form a group, ordered by key, then by rank; a
  // negative color gives nullptr. `name` (for messages; empty: "<this name>.<color>") must be the
  // same within a color.
  std::unique_ptr<Communicator> Split(int color, int key, std::string_view name = "");

  // Ends the job: every wait of every rank, in this group and in all that share its first ancestor,
  // throws an Error of this kind and text. The first reason wins. May be called from any thread, at
  // any time.
  virtual void Abort(const core::Error& reason) noexcept = 0;

  // Throws the job's reason when the job was aborted. Never waits; from any thread, at any time.
  virtual void ThrowIfAborted() = 0;

  // True for exactly one caller in the job (on one host): the one that prints the error that all
  // ranks got. It does so before it leaves the job: the others wait for that a moment when they
  // leave, as many a launcher ends all ranks when the first one ends with an error.
  virtual bool ClaimReport() noexcept = 0;

 protected:
  // What takes the place of a collective where size() is 1. `to` may be `from`.
  virtual void DoCopy(core::ConstTensorView from, core::TensorView to);
  // What a backend does. Arguments are checked and size() >= 2.
  virtual Work DoAllReduce(core::TensorView inout, ReduceOp op) = 0;
  virtual Work DoAllGather(core::ConstTensorView part, core::TensorView whole) = 0;
  virtual Work DoReduceScatter(core::ConstTensorView whole, core::TensorView part, ReduceOp op) = 0;
  virtual Work DoBroadcast(core::TensorView inout, int root) = 0;
  virtual Work DoAllToAll(core::ConstTensorView in, core::TensorView out) = 0;
  virtual Work DoSend(core::ConstTensorView data, int to) = 0;
  virtual Work DoReceive(core::TensorView data, int from) = 0;
  virtual void DoBarrier(std::optional<double> limit_s) = 0;
  virtual std::unique_ptr<Communicator> DoSplit(int color, int key, const std::string& name) = 0;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_COMMUNICATOR_H_
