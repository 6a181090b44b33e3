#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/check.h"

extern char** environ;

namespace millrace {
namespace {

constexpr std::size_t kMostOutput = 64 << 20;

// Closed when it goes.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void reset(int fd) {
    close();
    fd_ = fd;
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Descriptor read, write;

  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read.reset(ends[0]);
    write.reset(ends[1]);
    return true;
  }
};

// What this program ignores (SIGPIPE), another need not.
struct SpawnAttributes {
  posix_spawnattr_t attributes;
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::sigaddset(&defaults, SIGCHLD);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes); }
};

struct SpawnActions {
  posix_spawn_file_actions_t actions;
  SpawnActions() { ::posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions); }
};

// Appends what is there to read; false at its end.
bool read_some(int fd, std::string& to) {
  char buffer[16384];
  const ssize_t count = ::read(fd, buffer, sizeof(buffer));
  if (count < 0) return errno == EINTR;
  to.append(buffer, static_cast<std::size_t>(count));
  return count > 0;
}

// Until both ends are closed; false if it is too much.
bool read_all(Pipe& out, Pipe& error, ChildOutput& to) {
  pollfd polled[2] = {{out.read.get(), POLLIN, 0}, {error.read.get(), POLLIN, 0}};
  std::string* const texts[2] = {&to.out, &to.error};
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    if (::poll(polled, 2, -1) < 0) {
      check(errno == EINTR, "poll() of two pipes");
      continue;
    }
    for (int i = 0; i < 2; ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) continue;
      if (!read_some(polled[i].fd, *texts[i])) polled[i].fd = -1;
      if (texts[i]->size() > kMostOutput) return false;
    }
  }
  return true;
}

// Where SIGCHLD was ignored by whoever started this program, the system keeps no status.
Result<int> wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return fail(ErrorCode::Unavailable, "its exit status is lost: {}", std::strerror(errno));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ChildOutput> run_child(const std::vector<std::string>& arguments) {
  check(!arguments.empty(), "a program's name");
  Pipe out, error;
  if (!out.open() || !error.open())
    return fail(ErrorCode::Unavailable, "{}: cannot make a pipe: {}", arguments[0],
                std::strerror(errno));
  const SpawnAttributes attributes;
  SpawnActions spawn;
  ::posix_spawn_file_actions_addopen(&spawn.actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, out.write.get(), 1);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, error.write.get(), 2);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int failure =
      ::posix_spawnp(&child, argv[0], &spawn.actions, &attributes.attributes, argv.data(), environ);
  if (failure != 0)
    return fail(ErrorCode::NotFound, "{}: cannot be run: {}", arguments[0], std::strerror(failure));
  out.write.close();
  error.write.close();
  ChildOutput output;
  if (!read_all(out, error, output)) {
    ::kill(child, SIGKILL);
    wait_for(child);
    return fail(ErrorCode::TooLarge, "{}: wrote more than {} MiB", arguments[0], kMostOutput >> 20);
  }
  const Result<int> status = wait_for(child);
  if (!status) return fail_in(arguments[0], status.error());
  output.status = *status;
  return output;
}

}  // namespace millrace
