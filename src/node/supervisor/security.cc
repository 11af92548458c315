#include "node/supervisor/security.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace stoker::node {
namespace {

constexpr const char* kCapabilities[] = {"CHOWN",
                                         "DAC_OVERRIDE",
                                         "DAC_READ_SEARCH",
                                         "FOWNER",
                                         "FSETID",
                                         "KILL",
                                         "SETGID",
                                         "SETUID",
                                         "SETPCAP",
                                         "LINUX_IMMUTABLE",
                                         "NET_BIND_SERVICE",
                                         "NET_BROADCAST",
                                         "NET_ADMIN",
                                         "NET_RAW",
                                         "IPC_LOCK",
                                         "IPC_OWNER",
                                         "SYS_MODULE",
                                         "SYS_RAWIO",
                                         "SYS_CHROOT",
                                         "SYS_PTRACE",
                                         "SYS_PACCT",
                                         "SYS_ADMIN",
                                         "SYS_BOOT",
                                         "SYS_NICE",
                                         "SYS_RESOURCE",
                                         "SYS_TIME",
                                         "SYS_TTY_CONFIG",
                                         "MKNOD",
                                         "LEASE",
                                         "AUDIT_WRITE",
                                         "AUDIT_CONTROL",
                                         "SETFCAP",
                                         "MAC_OVERRIDE",
                                         "MAC_ADMIN",
                                         "SYSLOG",
                                         "WAKE_ALARM",
                                         "BLOCK_SUSPEND",
                                         "AUDIT_READ",
                                         "PERFMON",
                                         "BPF",
                                         "CHECKPOINT_RESTORE"};
constexpr int kCapabilityCount = sizeof kCapabilities / sizeof *kCapabilities;
constexpr uint64_t bit(int capability) { return uint64_t{1} << capability; }
constexpr uint64_t kAll = (uint64_t{1} << kCapabilityCount) - 1;

// moby/profiles/../caps/defaults.go
constexpr uint64_t kDockerDefault = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FSETID) | bit(CAP_FOWNER) |
                                    bit(CAP_MKNOD) | bit(CAP_NET_RAW) | bit(CAP_SETGID) | bit(CAP_SETUID) |
                                    bit(CAP_SETFCAP) | bit(CAP_SETPCAP) | bit(CAP_NET_BIND_SERVICE) |
                                    bit(CAP_SYS_CHROOT) | bit(CAP_KILL) | bit(CAP_AUDIT_WRITE);

bool named(const std::string& name, uint64_t& set) {
  const std::string bare = name.rfind("CAP_", 0) == 0 ? name.substr(4) : name;
  if (bare == "ALL") {
    set = kAll;
    return true;
  }
  for (int i = 0; i < kCapabilityCount; ++i) {
    if (bare == kCapabilities[i]) {
      set = bit(i);
      return true;
    }
  }
  return false;
}

struct Refused {
  int call;
  int unlockedBy;  ///< capability, or -1
};

// What Docker's default profile does not allow (moby/profiles/seccomp/default_linux.go), as a list of refusals.
constexpr Refused kRefused[] = {
    {SYS_acct, CAP_SYS_PACCT},
    {SYS_add_key, -1},
    {SYS_bpf, CAP_SYS_ADMIN},
    {SYS_clock_adjtime, CAP_SYS_TIME},
    {SYS_clock_settime, CAP_SYS_TIME},
    {SYS_delete_module, CAP_SYS_MODULE},
    {SYS_fanotify_init, CAP_SYS_ADMIN},
    {SYS_finit_module, CAP_SYS_MODULE},
    {SYS_fsconfig, CAP_SYS_ADMIN},
    {SYS_fsmount, CAP_SYS_ADMIN},
    {SYS_fsopen, CAP_SYS_ADMIN},
    {SYS_fspick, CAP_SYS_ADMIN},
    {SYS_get_mempolicy, CAP_SYS_NICE},
    {SYS_init_module, CAP_SYS_MODULE},
    {SYS_io_uring_enter, -1},
    {SYS_io_uring_register, -1},
    {SYS_io_uring_setup, -1},
    {SYS_kexec_file_load, CAP_SYS_BOOT},
    {SYS_kexec_load, CAP_SYS_BOOT},
    {SYS_keyctl, -1},
    {SYS_lookup_dcookie, CAP_SYS_ADMIN},
    {SYS_mbind, CAP_SYS_NICE},
    {SYS_mount, CAP_SYS_ADMIN},
    {SYS_mount_setattr, CAP_SYS_ADMIN},
    {SYS_move_mount, CAP_SYS_ADMIN},
    {SYS_move_pages, -1},
    {SYS_nfsservctl, -1},
    {SYS_open_by_handle_at, CAP_DAC_READ_SEARCH},
    {SYS_open_tree, CAP_SYS_ADMIN},
    {SYS_perf_event_open, CAP_PERFMON},
    {SYS_pivot_root, -1},
    {SYS_quotactl, CAP_SYS_ADMIN},
    {SYS_reboot, CAP_SYS_BOOT},
    {SYS_request_key, -1},
    {SYS_set_mempolicy, CAP_SYS_NICE},
    {SYS_setns, CAP_SYS_ADMIN},
    {SYS_settimeofday, CAP_SYS_TIME},
    {SYS_swapoff, -1},
    {SYS_swapon, -1},
    {SYS_syslog, CAP_SYSLOG},
    {SYS_umount2, CAP_SYS_ADMIN},
    {SYS_unshare, CAP_SYS_ADMIN},
    {SYS_userfaultfd, -1},
    {SYS_vhangup, CAP_SYS_TTY_CONFIG},
#ifdef __x86_64__
    {SYS__sysctl, -1},
    {SYS_create_module, -1},
    {SYS_get_kernel_syms, -1},
    {SYS_ioperm, CAP_SYS_RAWIO},
    {SYS_iopl, CAP_SYS_RAWIO},
    {SYS_query_module, -1},
    {SYS_sysfs, -1},
    {SYS_uselib, -1},
    {SYS_ustat, -1},
#endif
};

#if defined(__x86_64__)
constexpr uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArch = AUDIT_ARCH_AARCH64;
#else
#error "the seccomp filter knows x86-64 and arm64"
#endif

constexpr uint32_t kNewNamespaces =
    CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
constexpr int kVsock = 40;  // AF_VSOCK: reaches the hypervisor past every network namespace

}  // namespace

Problem capabilitySet(const ContainerSpec& spec, uint64_t& set) {
  set = spec.privileged ? kAll : kDockerDefault;
  if (spec.privileged) return {};
  uint64_t one = 0;
  uint64_t dropped = 0;
  for (const std::string& name : spec.dropCapabilities) {
    if (!named(name, one)) return {"unknown capability to drop: \"" + name + "\""};
    dropped |= one;
  }
  // As CRI runtimes do: drops first, so that "drop ALL, add NET_ADMIN" leaves NET_ADMIN.
  set &= ~dropped;
  for (const std::string& name : spec.addCapabilities) {
    if (!named(name, one)) return {"unknown capability to add: \"" + name + "\""};
    set |= one == kAll ? kAll & ~dropped : one;
  }
  return {};
}

Problem limitBoundingSet(uint64_t set) {
  for (int capability = 0; capability < 64; ++capability) {
    if (capability < kCapabilityCount && (set & bit(capability)) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;  // beyond the last capability this kernel knows
      return systemProblem("cannot drop a capability");
    }
  }
  return {};
}

Problem applyCapabilities(uint64_t set) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return systemProblem("cannot read capabilities");
  for (int half = 0; half < 2; ++half) {
    data[half].permitted &= static_cast<uint32_t>(set >> (32 * half));
    data[half].effective = data[half].permitted;
    data[half].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) return systemProblem("cannot set capabilities");
  return {};
}

Problem installSeccomp(uint64_t set) {
  std::vector<sock_filter> code;
  const auto load = [&](uint32_t offset) { code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)); };
  const auto answer = [&](uint32_t value) { code.push_back(BPF_STMT(BPF_RET | BPF_K, value)); };
  const uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
  const uint32_t kUnknown = SECCOMP_RET_ERRNO | ENOSYS;
  load(offsetof(seccomp_data, arch));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArch, 1, 0));
  answer(kUnknown);  // 32-bit programs number their calls differently; none is let past the list
  load(offsetof(seccomp_data, nr));
#ifdef __x86_64__
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));  // the x32 numbering
  answer(kUnknown);
#endif
  for (const Refused& refused : kRefused) {
    if (refused.unlockedBy >= 0 && (set & bit(refused.unlockedBy)) != 0) continue;
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(refused.call), 0, 1));
    answer(kRefuse);
  }
  if ((set & bit(CAP_SYS_ADMIN)) == 0) {
    // clone3 hides its flags behind a pointer: ENOSYS makes libc fall back to clone, whose flags can be read.
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
    answer(kUnknown);
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
    load(offsetof(seccomp_data, args[0]));
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kNewNamespaces, 0, 1));
    answer(kRefuse);
    answer(SECCOMP_RET_ALLOW);
  }
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4));
  load(offsetof(seccomp_data, args[0]));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kVsock, 0, 1));
  answer(kRefuse);
  answer(SECCOMP_RET_ALLOW);
  answer(SECCOMP_RET_ALLOW);

  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return systemProblem("cannot install the seccomp filter");
  }
  return {};
}

}  // namespace stoker::node
