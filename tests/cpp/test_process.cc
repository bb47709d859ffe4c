// Processes behind one address: where connections go, ends, restarts, signals.
#include <fastrpc/coroutine.hpp>
#include <fastrpc/process.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>
#include <fastrpc/start_with_mult_proc.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "check.hpp"
#include "echo.pb.h"
#include "workers.hpp"

using google::protobuf::Closure;
using google::protobuf::RpcController;
using namespace std::chrono_literals;

namespace {

// Echo answers with the number of the process, SlowEcho after a while.
class Service : public echo::EchoService {
 public:
  void Echo(RpcController*, const echo::EchoRequest*, echo::EchoResponse* response,
            Closure* done) override {
    response->set_response(std::to_string(getpid()));
    done->Run();
  }
  void SlowEcho(RpcController* controller, const echo::EchoRequest* request,
                echo::EchoResponse* response, Closure* done) override {
    fastrpc::sleep_for(500ms);
    Echo(controller, request, response, done);
  }
};

// Serves until a signal.
int serve(int listen_fd) {
  Service service;
  auto server = fastrpc::RpcServer::from_socket(listen_fd);
  server.add_service(service);
  return server.start() ? 0 : 3;
}

// The parent of some processes, which is a child of the test.
struct Parent {
  template <typename Body>
  explicit Parent(Body body) : pid(fork()) {
    CHECK(pid >= 0);
    if (pid == 0) {
      alarm(200);
      _exit(body());
    }
  }

  // Its exit status, or 1000 and the number of the signal that ended it.
  int end() {
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  pid_t pid;
};

// Runs `body` in a child, where the runtime may start.
template <typename Body>
void in_child(Body body) {
  CHECK(Parent([&] {
          configure_workers();
          body();
          return 0;
        }).end() == 0);
}

std::unique_ptr<fastrpc::RpcClient> connect(const std::string& host, int port) {
  return std::make_unique<fastrpc::RpcClient>(host, port);
}

// The process that answers; 0 if the call fails.
int pid_of(fastrpc::RpcClient& client) {
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  echo::EchoService::Stub(&client).Echo(&controller, &request, &response, nullptr);
  return controller.Failed() ? 0 : std::stoi(response.response());
}

// Waits until no process has that number any more.
void wait_until_gone(int pid) {
  for (int i = 0; i < 20000 && kill(pid, 0) == 0; ++i) std::this_thread::sleep_for(1ms);
  CHECK(kill(pid, 0) != 0);
}

// Waits until the process has a handler for SIGTERM (proc(5)): it serves a moment earlier.
void wait_until_it_catches(int pid) {
  for (int i = 0; i < 20000; ++i) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("SigCgt:", 0) != 0) continue;
      if ((std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1) & 1) != 0) return;
    }
    std::this_thread::sleep_for(1ms);
  }
  CHECK(!"it catches SIGTERM");
}

void processes_share_a_port_and_are_made_again() {
  fastrpc::PreforkOptions options;
  options.processes = 2;
  fastrpc::Prefork group("127.0.0.1", 0, options);
  int port = group.port();
  CHECK(port > 0 && group.address() == "127.0.0.1:" + std::to_string(port));
  Parent parent([&] {
    configure_workers();
    return group.run([](int index, int listen_fd) {
      if (index != fastrpc::process_index()) return 4;
      return serve(listen_fd);
    });
  });
  in_child([port] {
    std::map<int, int> found;
    for (int i = 0; i < 100; ++i) ++found[pid_of(*connect("127.0.0.1", port))];
    CHECK(found.size() == 2);
    for (auto [pid, count] : found) CHECK(pid != 0 && count >= 20);

    int victim = found.begin()->first;
    kill(victim, SIGKILL);
    wait_until_gone(victim);
    for (int i = 0; i < 40; ++i) {
      int pid = pid_of(*connect("127.0.0.1", port));
      CHECK(pid != 0 && pid != victim);
    }
  });
  kill(parent.pid, SIGTERM);
  CHECK(parent.end() == SIGTERM);
}

void calls_in_flight_are_answered() {
  // Bound and given up again: the original's function takes a port of the program's choice.
  int port = fastrpc::Prefork("127.0.0.1", 0).port();
  Parent parent([port] {
    configure_workers();
    return fastrpc::StartWithMultProc("127.0.0.1", static_cast<unsigned short>(port), serve, 2);
  });
  in_child([port, &parent] {
    fastrpc::RpcClient client("127.0.0.1", port);
    while (pid_of(client) == 0) fastrpc::sleep_for(10ms);
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    fastrpc::WaitGroup ended(1);
    struct Done : Closure {
      explicit Done(fastrpc::WaitGroup& group) : group_(group) {}
      void Run() override { group_.done(); }
      fastrpc::WaitGroup& group_;
    } answered(ended);
    echo::EchoService::Stub(&client).SlowEcho(&controller, &request, &response, &answered);
    int pid = pid_of(client);
    CHECK(pid != 0);
    wait_until_it_catches(pid);
    kill(parent.pid, SIGINT);
    CHECK(ended.wait_for(60s));
    CHECK(!controller.Failed() && response.response() == std::to_string(pid));
    wait_until_gone(pid);
  });
  CHECK(parent.end() == 0);
}

void a_unix_socket_and_its_exceptions() {
  std::string address = "unix:@fastrpc-test-process-" + std::to_string(getpid());
  fastrpc::PreforkOptions options;
  options.processes = 2;
  Parent parent([&] {
    fastrpc::Prefork group(address, 0, options);
    CHECK(group.port() == 0 && group.address() == address);
    return group.run([](int index, int listen_fd) {
      if (index == 1) throw std::runtime_error("as the test wants it");
      serve(listen_fd);
    });
  });
  in_child([&] {
    auto client = connect(address, 0);
    while (pid_of(*client) == 0) fastrpc::sleep_for(10ms);
  });
  kill(parent.pid, SIGTERM);
  CHECK(parent.end() == SIGTERM);
}

// What an exception says is in the log, the process is made again, and the other one serves.
int fail_or_serve(int listen_fd) {
  if (fastrpc::process_index() == 1) throw std::runtime_error("as the test wants it");
  return serve(listen_fd);
}
void an_exception_is_logged_and_the_process_made_again() {
  int port = fastrpc::Prefork("127.0.0.1", 0).port();
  std::FILE* log = std::tmpfile();
  CHECK(log != nullptr);
  Parent parent([&] {
    CHECK(dup2(fileno(log), STDERR_FILENO) >= 0);
    configure_workers();
    return fastrpc::StartWithMultProc("127.0.0.1", static_cast<unsigned short>(port), fail_or_serve,
                                      2);
  });
  in_child([port] {
    while (pid_of(*connect("127.0.0.1", port)) == 0) fastrpc::sleep_for(10ms);
  });
  // Twice: it was made again.
  auto said = [log] {
    std::string text(1 << 16, '\0');
    // The file's offset is the writers'.
    ssize_t size = pread(fileno(log), text.data(), text.size(), 0);
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    std::string_view line = "an exception left the function of process 1: as the test wants it";
    auto first = text.find(line);
    return first != text.npos && text.find(line, first + 1) != text.npos;
  };
  for (int i = 0; i < 2000 && !said(); ++i) std::this_thread::sleep_for(10ms);
  CHECK(said());
  kill(parent.pid, SIGTERM);
  CHECK(parent.end() == 0);
  std::fclose(log);
}

void processes_may_end_by_themselves() {
  fastrpc::PreforkOptions options;
  options.processes = 3;
  options.restart = false;
  CHECK(Parent([&] {
          fastrpc::Prefork group("", 0, options);
          CHECK(group.run([](int, int) {}) == 0);
          auto again = group.run([](int, int) {}, std::nothrow);
          CHECK(!again && again.error().status() == FASTRPC_ESTATE);
          return 9;
        }).end() == 9);
}

void it_is_too_late_once_the_runtime_has_started() {
  in_child([] {
    fastrpc::Prefork group("127.0.0.1", 0);
    fastrpc::spawn([] {}).join();
    auto late = group.run([](int, int) { return 5; }, std::nothrow);
    CHECK(!late && late.error().status() == FASTRPC_ESTATE);
    CHECK(late.error().text().find("the runtime has started") != std::string::npos);
    CHECK(fastrpc::StartWithMultProc("127.0.0.1", 0, serve, 1) == -1);
    CHECK(fastrpc::process_index() == -1);
  });
}

void what_cannot_be_bound_is_an_error() {
  fastrpc::Prefork first("127.0.0.1", 0);
  auto second = fastrpc::Prefork::make("127.0.0.1", first.port(), {}, std::nothrow);
  CHECK(!second && second.error().code() == EADDRINUSE);
  CHECK(fastrpc::StartWithMultProc("127.0.0.1", 0, nullptr) == -1);
  fastrpc::PreforkOptions many;
  many.processes = 100000;
  auto none = fastrpc::Prefork::make("127.0.0.1", 0, many, std::nothrow);
  CHECK(!none && none.error().status() == FASTRPC_EINVAL);
}

void a_server_wants_a_socket_that_listens() {
  in_child([] {
    for (int fd : {-1, 0, 1000000}) {
      auto server = fastrpc::RpcServer::from_socket(fd);
      auto listening = server.listen(std::nothrow);
      CHECK(!listening && listening.error().status() == FASTRPC_EINVAL);
      CHECK(!server.start());
    }
  });
}

}  // namespace

int main() {
  RUN(processes_share_a_port_and_are_made_again);
  RUN(calls_in_flight_are_answered);
  RUN(a_unix_socket_and_its_exceptions);
  RUN(an_exception_is_logged_and_the_process_made_again);
  RUN(processes_may_end_by_themselves);
  RUN(it_is_too_late_once_the_runtime_has_started);
  RUN(what_cannot_be_bound_is_an_error);
  RUN(a_server_wants_a_socket_that_listens);
}
