// Servers of a test: each with a folder and a port of its own, and stopped when the test ends,
// however that ends.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"

namespace clients {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Waits until `holds()`, or fails after a generous time.
template <typename F>
void until(F holds) {
  for (auto end = Clock::now() + 60s; !holds(); usleep(5000)) CHECK(Clock::now() < end);
}

// A folder for one test.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/fastrpc-client-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream file(path(name));
    file << text;
    CHECK(file.flush().good());
  }

 private:
  std::string path_;
};

// A TCP socket on a port of its own, listening or not.
class Port {
 public:
  enum Kind {
    // Bound but not listening: connections are refused as long as it lives.
    kRefused,
    // The kernel accepts connections, and nobody ever answers.
    kSilent,
  };
  explicit Port(Kind kind) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    number_ = ntohs(address.sin_port);
    if (kind == kSilent) CHECK(listen(fd_, 100) == 0);
  }
  ~Port() { close(fd_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  [[nodiscard]] int number() const { return number_; }

 private:
  int fd_;
  int number_;
};

// A port that was free a moment ago.
inline int free_port() {
  return Port(Port::kRefused).number();
}

// A program that runs until it is stopped. Its output is in the folder, in the file "log".
class Process {
 public:
  using Command = std::vector<std::string>;

  Process() = default;
  // Runs it as `user`, if that is not empty and we may.
  Process(const Folder& folder, Command command, const std::string& user = {}) {
    std::string log = folder.path("log");
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    passwd* entry = user.empty() || geteuid() != 0 ? nullptr : getpwnam(user.c_str());
    if (entry != nullptr) CHECK(chown(folder.path().c_str(), entry->pw_uid, entry->pw_gid) == 0);
    pid_t parent = getpid();
    id_ = fork();
    CHECK(id_ >= 0);
    if (id_ != 0) return;
    int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (entry != nullptr && (setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0)) _exit(126);
    // Dies with a test that fails. After setuid, which resets this.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  ~Process() { stop(); }
  Process(const Process&) = delete;
  Process(Process&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  Process& operator=(Process&& other) noexcept {
    stop();
    id_ = std::exchange(other.id_, 0);
    return *this;
  }

  // Kills it by SIGKILL.
  void stop() {
    if (id_ == 0) return;
    kill(id_, SIGKILL);
    waitpid(id_, nullptr, 0);
    id_ = 0;
  }
  // Freezes it by SIGSTOP.
  void freeze() const { kill(id_, SIGSTOP); }

  // Its exit status.
  int wait() {
    int status = -1;
    CHECK(waitpid(id_, &status, 0) == id_);
    id_ = 0;
    return status;
  }
  [[nodiscard]] bool has_ended() {
    if (id_ != 0 && waitpid(id_, nullptr, WNOHANG) == id_) id_ = 0;
    return id_ == 0;
  }

 private:
  pid_t id_ = 0;
};

// Runs a program, which must succeed.
inline void run(const Folder& folder, Process::Command command, const std::string& user = {}) {
  Process process(folder, std::move(command), user);
  if (int status = process.wait(); status != 0) {
    std::cerr << folder.read("log") << "status " << status << '\n';
    std::exit(1);
  }
}

// Calls `start(port)` with a free port, waits until `answers(port)`, and returns the port.
inline int start_on_free_port(const Folder& folder, Process& server,
                              const std::function<Process(int)>& start,
                              const std::function<bool(int)>& answers) {
  // Somebody else may have taken the port meanwhile.
  for (int tries = 1; tries <= 5; ++tries) {
    int port = free_port();
    server = start(port);
    for (auto end = Clock::now() + 60s; Clock::now() < end && !server.has_ended(); usleep(5000))
      if (answers(port)) return port;
  }
  std::cerr << folder.read("log") << "the server does not start\n";
  std::exit(1);
}

// Makes a key and a self-signed certificate, for 127.0.0.1 and localhost: the files key.pem and
// cert.pem of the folder.
inline void make_certificate(const Folder& folder, const char* openssl,
                             const std::string& user = {}) {
  run(folder,
      {openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
       "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
       "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder.path("key.pem"), "-out",
       folder.path("cert.pem")},
      user);
}

}  // namespace clients
