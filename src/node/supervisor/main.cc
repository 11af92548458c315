// stoker-supervisor: keeps one pod. Started by the platform, lives on without it. See README.md.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "node/supervisor/supervisor.h"

using stoker::node::Problem;
using stoker::node::Supervisor;

namespace {

constexpr int kControlFd = 3;

/// Away from the platform's session, terminal and parenthood.
void detach() {
  if (fork() != 0) _exit(0);
  setsid();
  umask(0077);
  const int null = open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  if (null > STDERR_FILENO) close(null);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("stoker-supervisor protocol %d\n", stoker::node::kProtocolVersion);
    return 0;
  }
  if (argc < 2 || argc > 3 || argv[1][0] != '/' || (argc == 3 && std::strcmp(argv[2], "--control") != 0)) {
    std::fprintf(
        stderr,
        "usage: stoker-supervisor /ABSOLUTE/POD/DIRECTORY [--control]\n"
        "Keeps one pod of Stoker's node agent; started by stoker. --control: a connection is open on descriptor 3.\n");
    return 2;
  }
  const std::string directory = argv[1];
  detach();
  Supervisor supervisor(directory, argc == 3 ? kControlFd : -1);
  if (const Problem problem = supervisor.prepare()) {
    supervisor.reportFailure(problem);
    return 1;
  }
  supervisor.loop();
  return 0;
}
