#include "node/logs/pod_log_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>

#include "node/logs/cri_lines.h"

namespace stoker::node {
namespace {

// A reader costs a thread and a buffer; more than this at once is not one machine's use.
constexpr size_t kMaxReaders = 256;
constexpr size_t kChunk = 64 << 10;

std::vector<std::string> namesIn(const std::string& directory) {
  std::vector<std::string> out;
  DIR* dir = ::opendir(directory.c_str());
  if (!dir) return out;
  while (dirent* entry = ::readdir(dir))
    if (entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  ::closedir(dir);
  return out;
}

std::string runKey(const std::string& uid, const std::string& container, int attempt) {
  return fmt::format("{}/{}/{}", uid, container, attempt);
}

}  // namespace

std::vector<std::string> filesOfRun(const std::vector<std::string>& names, int attempt) {
  std::string current = fmt::format("{}.log", attempt);
  std::vector<std::string> out;
  bool hasCurrent = false;
  for (const std::string& name : names) {
    if (name == current)
      hasCurrent = true;
    else if (name.starts_with(current + "."))
      out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  if (hasCurrent) out.push_back(current);
  return out;
}

int latestAttempt(const std::vector<std::string>& names) {
  int latest = -1;
  for (const std::string& name : names) {
    int attempt = -1;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), attempt);
    if (error == std::errc() &&
        std::string_view(end, static_cast<size_t>(name.data() + name.size() - end)).starts_with(".log"))
      latest = std::max(latest, attempt);
  }
  return latest;
}

class PodLogFiles::Reader {
 public:
  Reader(PodLogFiles& owner, std::string directory, std::string uid, int attempt, client::LogOptions options,
         std::shared_ptr<client::LogSink> sink)
      : owner_(owner),
        directory_(std::move(directory)),
        uid_(std::move(uid)),
        attempt_(attempt),
        options_(std::move(options)),
        sink_(std::move(sink)),
        wake_(std::make_shared<Wake>()),
        filter_({.timestamps = options_.timestamps, .since = options_.since, .limitBytes = options_.limitBytes}) {
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "logs");
  }
  ~Reader() {
    stop();
    thread_.join();
    if (fd_ >= 0) ::close(fd_);
    if (inotify_ >= 0) ::close(inotify_);
  }
  bool done() const { return done_; }
  bool reads(const std::string& uid, const std::string& container, int attempt) const {
    return uid == uid_ && container == options_.container && attempt == attempt_;
  }
  void poke() { wake_->poke(); }
  void stop() {
    wake_->stopped = true;
    wake_->poke();
  }

 private:
  /// Shared with the sink's callback, which may outlive the reader.
  struct Wake {
    int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::atomic<bool> stopped = false;
    ~Wake() { ::close(fd); }
    void poke() const {
      uint64_t one = 1;
      (void)!::write(fd, &one, sizeof one);
    }
  };

  void run() {
    if (options_.follow) {
      sink_->onClosed([wake = wake_] {
        wake->stopped = true;
        wake->poke();
      });
      inotify_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
      if (inotify_ >= 0)
        ::inotify_add_watch(inotify_, directory_.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE);
    }
    begin();
    while (!wake_->stopped) {
      // Asked before the reading: what was written before the end is read after it.
      bool running = options_.follow && owner_.isRunning(uid_, options_.container, attempt_);
      if (!drain()) break;
      if (!running) break;
      wait();
    }
    sink_->finish();
    done_ = true;
  }

  std::vector<std::string> files() const { return filesOfRun(namesIn(directory_), attempt_); }

  /// Opens the file to begin with, at the place that `tail` asks for.
  void begin() {
    auto names = files();
    if (!options_.tailLines) {
      if (!names.empty()) openFile(names.front());
      return;
    }
    int64_t missing = *options_.tailLines;
    for (size_t i = names.size(); i-- > 0;) {
      openFile(names[i]);
      missing -= seekTail(missing);
      if (missing <= 0) return;
    }
  }

  /// Moves to where the last `lines` lines of the open file begin; returns how many there are. Reads backwards.
  int64_t seekTail(int64_t lines) {
    if (fd_ < 0) return 0;
    off_t end = ::lseek(fd_, 0, SEEK_END);
    if (lines <= 0 || end <= 0) return 0;
    off_t at = end;
    int64_t count = 0;
    std::string chunk;
    bool first = true;
    while (at > 0) {
      size_t size = static_cast<size_t>(std::min<off_t>(at, kChunk));
      at -= static_cast<off_t>(size);
      chunk.resize(size);
      if (::pread(fd_, chunk.data(), size, at) != static_cast<ssize_t>(size)) break;
      size_t i = size;
      if (first && chunk.back() == '\n') --i;  // the newline that ends the last line begins no other
      first = false;
      while (i > 0) {
        if (chunk[--i] != '\n') continue;
        if (++count == lines) {
          ::lseek(fd_, at + static_cast<off_t>(i) + 1, SEEK_SET);
          return count;
        }
      }
    }
    ::lseek(fd_, 0, SEEK_SET);
    return count + 1;
  }

  void openFile(const std::string& name) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = ::open((directory_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  }

  /// The file written after the open one, if the open one is not the current; by inode, as rotation renames.
  bool openNext() {
    struct stat own {
    }, other{};
    auto names = files();
    if (fd_ < 0) {
      if (names.empty()) return false;
      openFile(names.front());
      return fd_ >= 0;
    }
    if (::fstat(fd_, &own) != 0) return false;
    for (size_t i = 0; i < names.size(); ++i) {
      if (::stat((directory_ + "/" + names[i]).c_str(), &other) != 0 || other.st_ino != own.st_ino) continue;
      if (i + 1 == names.size()) return false;
      drainFile();  // what came between the last read and the renaming
      openFile(names[i + 1]);
      return fd_ >= 0;
    }
    // Rotated away and deleted meanwhile: the oldest that is left follows.
    if (names.empty()) return false;
    openFile(names.front());
    return fd_ >= 0;
  }

  bool drainFile() {
    if (fd_ < 0) return true;
    buffer_.resize(kChunk);
    std::string text;
    while (!wake_->stopped) {
      ssize_t count = ::read(fd_, buffer_.data(), buffer_.size());
      if (count <= 0) return true;
      text.clear();
      filter_.add(std::string_view(buffer_.data(), static_cast<size_t>(count)), text);
      if (!text.empty() && !sink_->write(std::move(text))) return false;
      if (filter_.full()) return false;
      text = {};
    }
    return false;
  }

  /// Everything there is now; false when no more is wanted.
  bool drain() {
    do {
      if (!drainFile()) return false;
    } while (openNext());
    return true;
  }

  void wait() {
    pollfd fds[2] = {{wake_->fd, POLLIN, 0}, {inotify_, POLLIN, 0}};
    ::poll(fds, inotify_ >= 0 ? 2 : 1, -1);
    uint64_t value = 0;
    (void)!::read(wake_->fd, &value, sizeof value);
    char events[4096];
    while (inotify_ >= 0 && ::read(inotify_, events, sizeof events) > 0) {
    }
  }

  PodLogFiles& owner_;
  std::string directory_, uid_;
  int attempt_;
  client::LogOptions options_;
  std::shared_ptr<client::LogSink> sink_;
  std::shared_ptr<Wake> wake_;
  LineFilter filter_;
  std::string buffer_;
  int fd_ = -1, inotify_ = -1;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

PodLogFiles::PodLogFiles(std::string directory) : directory_(std::move(directory)) {}

PodLogFiles::~PodLogFiles() {
  std::list<std::unique_ptr<Reader>> readers;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& reader : readers_) reader->stop();
    readers.swap(readers_);
  }
}

bool PodLogFiles::isRunning(const std::string& podUid, const std::string& container, int attempt) {
  std::lock_guard lock(mutex_);
  return !stopping_ && running_.contains(runKey(podUid, container, attempt));
}

void PodLogFiles::setRunning(const std::string& podUid, const std::string& container, int attempt, bool running) {
  std::lock_guard lock(mutex_);
  if (running) {
    running_.insert(runKey(podUid, container, attempt));
    return;
  }
  running_.erase(runKey(podUid, container, attempt));
  for (auto& reader : readers_)
    if (reader->reads(podUid, container, attempt)) reader->poke();
}

Result<void> PodLogFiles::open(const std::string& podUid, const client::LogOptions& options,
                               std::shared_ptr<client::LogSink> sink) {
  std::string directory;
  for (const std::string& name : namesIn(directory_))
    if (name.size() > podUid.size() && name.ends_with("_" + podUid))
      directory = directory_ + "/" + name + "/" + options.container;
  auto names = directory.empty() ? std::vector<std::string>() : namesIn(directory);
  int attempt = latestAttempt(names);
  if (attempt < 0)
    return Error(Reason::NotFound,
                 fmt::format("container \"{}\" has no log on this node: it has not started here", options.container));
  if (options.previous) {
    --attempt;
    if (attempt < 0 || filesOfRun(names, attempt).empty())
      return Error(Reason::BadRequest,
                   fmt::format("previous terminated container \"{}\" not found", options.container));
  }
  std::lock_guard lock(mutex_);
  readers_.remove_if([](const auto& reader) { return reader->done(); });
  if (stopping_ || readers_.size() >= kMaxReaders)
    return Error(Reason::TooManyRequests, fmt::format("{} log readers are open already; close some", readers_.size()));
  readers_.push_back(std::make_unique<Reader>(*this, directory, podUid, attempt, options, std::move(sink)));
  return {};
}

}  // namespace stoker::node
