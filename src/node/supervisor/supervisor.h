// supervisor.h
//
// One pod's keeper. A single thread in an epoll loop: commands from the platform (any number of connections, usually
// one), output of the containers into their logs, exits into the journal. It launches, kills and records; whether
// something is started again is for the platform to say.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "node/runtime/codec.h"
#include "node/runtime/journal.h"
#include "node/supervisor/cgroup.h"
#include "node/supervisor/run.h"

namespace stoker::node {

class Supervisor {
 public:
  /// `directory` is DIR/pods/UID. `control` is a connection inherited from the platform, or -1.
  Supervisor(std::string directory, int control);
  ~Supervisor();

  /// Lock (on the journal), spec, history, namespaces, socket.
  Problem prepare();
  /// Until the pod has ended.
  void loop();
  /// To the platform, if it listens, and into the pod's supervisor.log.
  void reportFailure(const Problem& problem);

 private:
  struct Client {
    int fd;
    LineBuffer input;
    std::string output;    ///< what the socket would not take yet
    bool waiting = false;  ///< for the socket to take more
    bool closed = false;
  };

  void accept();
  void addClient(int fd);
  void greet(Client& client);
  void clientEvent(Client& client, unsigned events);
  void handle(Client& client, const Record& command);
  void start(Client& client, const Record& command);
  void send(Client& client, const Record& record);
  void broadcast(const Record& record);
  void flush(Client& client);
  void dropClosed();
  bool append(const Record& record, bool durable);
  void runEvent(Run& run, Run::Pipe pipe);
  void noticeStarted(Run& run);
  void reap();
  void finished(size_t index, int status);
  void checkDeadlines();
  int waitMillis() const;
  void endAll(int graceSeconds);
  void removeLater(const std::string& directory);
  void watch(int fd, unsigned events);
  Run* running(const std::string& name);

  std::string directory_;
  int control_;
  int journal_ = -1, epoll_ = -1, listener_ = -1, signals_ = -1;
  SupervisorSpec spec_;
  std::string bootId_;
  JournalState history_;
  std::unique_ptr<PodCgroups> cgroups_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Run>> runs_;
  bool ending_ = false;
  long long leaveAt_ = 0;  ///< monotonic ns; 0: done
  long long syncAt_ = 0;   ///< monotonic ns at which the journal is to be synced; 0: nothing to sync
};

}  // namespace stoker::node
