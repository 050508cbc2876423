#include "autodist/comm/rendezvous.h"

#include <fmt/ranges.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "autodist/comm/create.h"
#include "autodist/core/check.h"
#include "autodist/core/log.h"

namespace autodist::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLookAround{100};
// After a refusal, ranks that have not come yet are given this long to hear of it.
constexpr milliseconds kRefusalTime{2000};
// Then a line on stderr says who is missing.
constexpr milliseconds kPatience{5000};
constexpr char kMagic[8] = {'A', 'U', 'T', 'O', 'D', 'I', 'S', 'T'};
constexpr uint32_t kProtocol = 1;

// First packet of a rank, and the answer. One host, one byte order.
struct Hello {
  char magic[8];
  uint32_t protocol;
  int32_t rank;
  int32_t ranks;
  int32_t parent;         // process id
  uint64_t memory_bytes;  // two builds that lay out the memory differently would show here
};
struct Answer {
  int32_t refusal;  // 0, or the ErrorKind of `text`
  int32_t common_parent;
  char text[1024];
};

Hello MakeHello(int rank, int ranks) {
  Hello hello{
      {}, kProtocol, rank, ranks, static_cast<int32_t>(::getppid()), JobMemory::TotalBytes(ranks)};
  std::memcpy(hello.magic, kMagic, sizeof(kMagic));
  return hello;
}

Clock::duration TimeLimit(const CommOptions& options) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(options.collective_timeout_s));
}

core::Error SystemError(const char* what) {
  return core::RuntimeFailure("processes of this host cannot meet: {}: {}", what,
                              std::strerror(errno));
}

struct Address {
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }

  sockaddr_un name{};
  socklen_t length = 0;
};

Address AddressOf(const std::string& job) {
  const std::string name = RendezvousName(job);
  Address address;
  address.name.sun_family = AF_UNIX;
  AUTODIST_CHECK_LT(name.size() + 1, sizeof(address.name.sun_path));
  std::memcpy(address.name.sun_path + 1, name.data(), name.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

core::UniqueFd NewSocket() {
  core::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) throw SystemError("socket");
  return fd;
}

// The other end of a connection, or nothing when it is another user's.
std::optional<pid_t> PeerProcess(int socket) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return std::nullopt;
  if (credentials.uid != ::geteuid()) return std::nullopt;
  return credentials.pid;
}

PeerLink MakeLink(int rank, pid_t pid, core::UniqueFd socket) {
  const auto process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  return {rank, pid, std::move(socket), core::UniqueFd(process)};
}

bool Readable(int socket, milliseconds time) {
  pollfd poll{socket, POLLIN, 0};
  return ::poll(&poll, 1, static_cast<int>(time.count())) > 0;
}

void SendAnswer(int socket, const Answer& answer, int descriptor) {
  iovec data{const_cast<Answer*>(&answer), sizeof(answer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  // A rank that is gone by now is the watchdog's business.
  [[maybe_unused]] const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

// The answer and the descriptor that came with it, or nothing when the connection ended.
std::optional<Answer> ReceiveAnswer(int socket, core::UniqueFd& descriptor) {
  Answer answer;
  iovec data{&answer, sizeof(answer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t length = -1;
  // An answer may lie behind a reset: rank 0 refused and closed before it had read our hello.
  for (int tries = 0; tries < 3 && length < 0; ++tries)
    length = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (length != static_cast<ssize_t>(sizeof(answer))) return std::nullopt;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof(int));
    descriptor = core::UniqueFd(fd);
  }
  answer.text[sizeof(answer.text) - 1] = '\0';
  return answer;
}

// Rank 0's side.
class Host {
 public:
  Host(const std::string& job, int ranks, const CommOptions& options,
       const std::function<void()>& look_around)
      : job_(job),
        ranks_(ranks),
        options_(options),
        look_around_(look_around),
        parent_(::getppid()) {}

  HostJob Run() {
    const Clock::time_point start = Clock::now();
    const Clock::duration limit = TimeLimit(options_);
    bool told = false;
    Listen();
    while (!Missing().empty()) {
      Poll();
      look_around_();
      const Clock::duration waited = Clock::now() - start;
      if (waited > limit) {
        Refuse(core::PeerLost("{} did not appear within {:g} s ({})", MissingText(),
                              options_.collective_timeout_s, job_));
      }
      if (!told && waited > kPatience) {
        core::Log("waiting for {} ({})", MissingText(), job_);
        told = true;
      }
    }
    return Welcome();
  }

 private:
  // Connected, but not heard yet.
  struct Caller {
    pid_t pid;
    core::UniqueFd socket;
  };

  void Listen() {
    listener_ = NewSocket();
    const Address address = AddressOf(job_);
    if (::bind(listener_.get(), address.get(), address.length) != 0) {
      if (errno != EADDRINUSE) throw SystemError("bind");
      // Another rank 0 is there. It hears of this one, too, and refuses; a moment ago it may not
      // have listened yet.
      for (int tries = 0; tries < 50; ++tries) {
        const core::UniqueFd rival = NewSocket();
        if (::connect(rival.get(), address.get(), address.length) == 0) {
          const Hello hello = MakeHello(0, ranks_);
          [[maybe_unused]] const ssize_t sent =
              ::send(rival.get(), &hello, sizeof(hello), MSG_NOSIGNAL);
          break;
        }
        std::this_thread::sleep_for(milliseconds(10));
      }
      throw TwiceError(0);
    }
    if (::listen(listener_.get(), kMaxRanksPerHost) != 0) throw SystemError("listen");
  }

  void Poll() {
    std::vector<pollfd> polls{{listener_.get(), POLLIN, 0}};
    for (const Caller& caller : callers_) polls.push_back({caller.socket.get(), POLLIN, 0});
    if (::poll(polls.data(), polls.size(), static_cast<int>(kLookAround.count())) <= 0) return;
    for (size_t i = callers_.size(); i-- > 0;) {
      if (polls[i + 1].revents == 0) continue;
      // Taken out first: Hear() may refuse, and then all that are left must get their answer.
      Caller caller = std::move(callers_[i]);
      callers_.erase(callers_.begin() + static_cast<std::ptrdiff_t>(i));
      Hear(std::move(caller));
    }
    if (polls[0].revents != 0) Accept();
  }

  void Accept() {
    core::UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.get() < 0) return;
    const std::optional<pid_t> pid = PeerProcess(socket.get());
    if (pid && callers_.size() < kMaxRanksPerHost) callers_.push_back({*pid, std::move(socket)});
  }

  void Hear(Caller caller) {
    Hello hello;
    const ssize_t length =
        ::recv(caller.socket.get(), &hello, sizeof(hello), MSG_DONTWAIT | MSG_TRUNC);
    if (length != static_cast<ssize_t>(sizeof(hello)) ||
        std::memcmp(hello.magic, kMagic, sizeof(kMagic)) != 0) {
      return;  // not one of us: dropped
    }
    links_.push_back(MakeLink(hello.rank, caller.pid, std::move(caller.socket)));
    if (hello.protocol != kProtocol) {
      Refuse(core::BadInput(
          "ranks of different builds: rank 0 speaks protocol {}, rank {} protocol {}", kProtocol,
          hello.rank, hello.protocol));
    }
    if (hello.ranks != ranks_) {
      most_ranks_ = std::clamp(hello.ranks, ranks_, kMaxRanksPerHost);
      Refuse(core::BadInput("rank 0 was started for {} ranks, rank {} for {} ({})", ranks_,
                            hello.rank, hello.ranks, job_));
    }
    if (hello.memory_bytes != JobMemory::TotalBytes(ranks_)) {
      Refuse(core::BadInput("ranks 0 and {} were started from different builds", hello.rank));
    }
    const auto same = [&](const PeerLink& link) { return link.rank == hello.rank; };
    if (hello.rank <= 0 || hello.rank >= ranks_ ||
        std::count_if(links_.begin(), links_.end(), same) > 1) {
      Refuse(TwiceError(hello.rank));
    }
    common_parent_ = common_parent_ && hello.parent == parent_;
  }

  core::Error TwiceError(int rank) const {
    return core::BadInput("rank {} was started twice, or two jobs have the same {}", rank, job_);
  }

  std::vector<int> Missing() const {
    std::vector<int> missing;
    for (int rank = 1; rank < ranks_; ++rank) {
      const auto same = [&](const PeerLink& link) { return link.rank == rank; };
      if (std::none_of(links_.begin(), links_.end(), same)) missing.push_back(rank);
    }
    return missing;
  }

  std::string MissingText() const {
    const std::vector<int> missing = Missing();
    return fmt::format("rank{} {}", missing.size() == 1 ? "" : "s", fmt::join(missing, ", "));
  }

  // Tells every rank that came, or comes in the next moment, and throws.
  [[noreturn]] void Refuse(const core::Error& error) {
    Answer answer{};
    answer.refusal = error.exit_code();
    std::strncpy(answer.text, error.what(), sizeof(answer.text) - 1);
    for (const PeerLink& link : links_) SendAnswer(link.socket.get(), answer, -1);
    size_t told = links_.size();
    // After a time-out nobody is expected any more.
    const bool timed_out = error.kind() == core::ErrorKind::kPeerLost;
    const Clock::time_point end = Clock::now() + (timed_out ? milliseconds(0) : kRefusalTime);
    while (static_cast<int>(told) + 1 < most_ranks_ && Clock::now() < end) {
      for (const Caller& caller : callers_) SendAnswer(caller.socket.get(), answer, -1);
      told += callers_.size();
      callers_.clear();
      if (Readable(listener_.get(), kLookAround)) Accept();
    }
    throw error;
  }

  HostJob Welcome() {
    HostJob job;
    const core::UniqueFd file(JobMemory::CreateFile(ranks_));
    job.memory = JobMemory::MapFile(file.get(), ranks_);
    job.common_parent = common_parent_;
    Answer answer{};
    answer.common_parent = common_parent_ ? 1 : 0;
    for (const PeerLink& link : links_) SendAnswer(link.socket.get(), answer, file.get());
    job.links = std::move(links_);
    return job;
  }

  const std::string& job_;
  const int ranks_;
  const CommOptions& options_;
  const std::function<void()>& look_around_;
  const int32_t parent_;
  int most_ranks_ = ranks_;  // that anybody believes in
  bool common_parent_ = true;
  core::UniqueFd listener_;
  std::vector<Caller> callers_;
  std::vector<PeerLink> links_;
};

// The side of every other rank.
HostJob Join(const std::string& job, int rank, int ranks, const CommOptions& options,
             const std::function<void()>& look_around) {
  const Clock::time_point start = Clock::now();
  // A little longer than rank 0 waits: its answer, which names the missing ranks, is the better
  // one.
  const Clock::duration limit = TimeLimit(options) + std::chrono::seconds(1);
  const Address address = AddressOf(job);
  core::UniqueFd socket = NewSocket();
  while (::connect(socket.get(), address.get(), address.length) != 0) {
    if (errno != ECONNREFUSED && errno != EINTR && errno != EAGAIN) throw SystemError("connect");
    look_around();
    if (Clock::now() - start > limit) {
      throw core::PeerLost("rank 0 did not appear within {:g} s ({})", options.collective_timeout_s,
                           job);
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  const std::optional<pid_t> pid = PeerProcess(socket.get());
  if (!pid) throw core::BadInput("another user's process answers as rank 0 ({})", job);
  const Hello hello = MakeHello(rank, ranks);
  // When this fails, so does the receive below.
  [[maybe_unused]] const ssize_t sent = ::send(socket.get(), &hello, sizeof(hello), MSG_NOSIGNAL);
  while (!Readable(socket.get(), kLookAround)) {
    look_around();
    if (Clock::now() - start > limit) {
      throw core::PeerLost("rank 0 did not answer within {:g} s ({})", options.collective_timeout_s,
                           job);
    }
  }
  core::UniqueFd file;
  const std::optional<Answer> answer = ReceiveAnswer(socket.get(), file);
  if (!answer) throw core::PeerLost("rank 0 ended before all ranks had met ({})", job);
  if (answer->refusal != 0)
    throw ToldByRank0(static_cast<core::ErrorKind>(answer->refusal), answer->text);
  HostJob result;
  result.memory = JobMemory::MapFile(file.get(), ranks);
  result.common_parent = answer->common_parent != 0;
  result.links.push_back(MakeLink(0, *pid, std::move(socket)));
  return result;
}

}  // namespace

std::string RendezvousName(const std::string& job) {
  uint64_t hash =
      0xcbf29ce484222325u;  // FNV-1a: names are short, and a clash is refused, not believed
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("autodist-{}-{:016x}", ::geteuid(), hash);
}

HostJob MeetOnHost(const std::string& job, int rank, int ranks, const CommOptions& options,
                   const std::function<void()>& look_around) {
  AUTODIST_CHECK(rank >= 0 && rank < ranks);
  CheckRanksPerHost(ranks);
  if (rank == 0) return Host(job, ranks, options, look_around).Run();
  return Join(job, rank, ranks, options, look_around);
}

}  // namespace autodist::comm
