// Lets programs use AMX on virtual machines that offer it but hide the CPUID leaves which describe
// its tiles (0x1d and 0x1e), without which oneDNN, and so torch, dies of an illegal instruction:
//   gcc -O2 -shared -fPIC -o show_amx_tiles.so show_amx_tiles.c
//   LD_PRELOAD=$PWD/show_amx_tiles.so python ...
// The CPU is told to fault on CPUID (needs the flag cpuid_fault in /proc/cpuinfo), and the fault is
// answered with the real leaves, but for the three that are wrong. x86-64 Linux.
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { kArchCpuid = 0x1012, kFault = 0, kNoFault = 1 };

static struct sigaction g_previous;

static void Answer(ucontext_t* context) {
  greg_t* const regs = context->uc_mcontext.gregs;
  const unsigned leaf = (unsigned)regs[REG_RAX], subleaf = (unsigned)regs[REG_RCX];
  unsigned a, b, c, d;
  syscall(SYS_arch_prctl, kArchCpuid, kNoFault);
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(subleaf));
  syscall(SYS_arch_prctl, kArchCpuid, kFault);
  if (leaf == 0 && a < 0x1e) a = 0x1e;
  if (leaf == 0x1d && subleaf == 0) a = 1, b = c = d = 0;  // the last palette
  if (leaf == 0x1d && subleaf == 1) {  // palette 1: 8 KiB in 8 tiles of 1 KiB, 64-byte rows, 16 rows
    a = 8192 | 1024 << 16;
    b = 64 | 8 << 16;
    c = 16;
    d = 0;
  }
  if (leaf == 0x1e && subleaf == 0) a = c = d = 0, b = 16 | 64 << 8;  // products: 16 rows, 64 bytes
  regs[REG_RAX] = a;
  regs[REG_RBX] = b;
  regs[REG_RCX] = c;
  regs[REG_RDX] = d;
  regs[REG_RIP] += 2;
}

static void OnFault(int number, siginfo_t* info, void* raw) {
  ucontext_t* const context = raw;
  static const unsigned char kCpuid[2] = {0x0f, 0xa2};
  // A fault of CPUID has no address, and the instruction can be read.
  if (info->si_code == SI_KERNEL &&
      memcmp((const void*)context->uc_mcontext.gregs[REG_RIP], kCpuid, 2) == 0) {
    Answer(context);
    return;
  }
  sigaction(number, &g_previous, NULL);  // the instruction runs again and faults as it would have
}

__attribute__((constructor)) static void Install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, &g_previous);
  syscall(SYS_arch_prctl, kArchCpuid, kFault);  // this thread, and those that it starts
}
