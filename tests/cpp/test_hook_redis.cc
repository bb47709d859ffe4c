// The synchronous API of hiredis, as it comes, in coroutines of one worker: test_hook_redis SERVER
// starts a server of its own.
#include <fastrpc/fastrpc.hpp>

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

std::string socket_path;

class Server {
 public:
  explicit Server(const char* program) {
    char folder[] = "/tmp/fastrpc-redis-XXXXXX";
    CHECK(mkdtemp(folder) != nullptr);
    folder_ = folder;
    socket_path = folder_ + "/socket";
    child_ = fork();
    CHECK(child_ >= 0);
    if (child_ == 0) {
      // Not to outlive a test that fails.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execl(program, program, "--port", "0", "--unixsocket", socket_path.c_str(), "--save", "",
            "--appendonly", "no", "--dir", folder, "--daemonize", "no", "--loglevel", "warning",
            "--maxclients", "1000", nullptr);
      _exit(127);
    }
    auto end = Clock::now() + 20s;
    for (;;) {
      Context context(redisConnectUnix(socket_path.c_str()));
      if (context && !context->err) break;
      CHECK(Clock::now() < end);
      usleep(10000);
    }
  }
  ~Server() {
    stop();
    unlink(socket_path.c_str());
    rmdir(folder_.c_str());
  }
  void stop() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = 0;
  }

 private:
  std::string folder_;
  pid_t child_;
};

Context dial() {
  Context context(redisConnectUnix(socket_path.c_str()));
  CHECK(context && !context->err);
  return context;
}

template <typename... Arguments>
Reply command(const Context& context, const char* format, Arguments... arguments) {
  return Reply(static_cast<redisReply*>(redisCommand(context.get(), format, arguments...)));
}

// Each waits 100 ms for a list that nobody fills. Meanwhile a ticker goes on.
void many_wait_at_a_time_on_one_worker() {
  constexpr int kMany = 200;
  bool done = false;
  int ticks = 0;
  auto ticker = fastrpc::spawn([&] {
    while (!done) {
      fastrpc::sleep_for(10ms);
      ++ticks;
    }
  });
  auto start = Clock::now();
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < kMany; ++i) {
    coroutines.push_back(fastrpc::spawn([] {
      fastrpc::hook::Guard hooked;
      Context context = dial();
      Reply reply = command(context, "BLPOP nobody 0.1");
      CHECK(reply && reply->type == REDIS_REPLY_NIL);
    }));
  }
  for (auto& coroutine : coroutines) coroutine.join();
  auto time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  fastrpc::spawn([&] { done = true; }).join();
  ticker.join();
  std::printf("%d waits of 100 ms: %lld ms, %d ticks of 10 ms\n", kMany,
              static_cast<long long>(time.count()), ticks);
  // One after the other: 20 seconds.
  CHECK(time < 10s);
  CHECK(ticks >= 5);
}

void payloads_of_all_sizes_come_back() {
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (std::size_t size : {0u, 1u, 100u, 16384u, 65537u, 1u << 20, 16u << 20}) {
    coroutines.push_back(fastrpc::spawn([size] {
      fastrpc::hook::Guard hooked;
      std::mt19937 random(static_cast<unsigned>(size));
      std::string value(size, '\0');
      for (char& c : value) c = static_cast<char>(random());
      std::string key = "key" + std::to_string(size);
      Context context = dial();
      Reply set = command(context, "SET %s %b", key.c_str(), value.data(), value.size());
      CHECK(set && set->type == REDIS_REPLY_STATUS);
      Reply get = command(context, "GET %s", key.c_str());
      CHECK(get && get->type == REDIS_REPLY_STRING && get->len == value.size());
      CHECK(std::memcmp(get->str, value.data(), value.size()) == 0);
    }));
  }
  for (auto& coroutine : coroutines) coroutine.join();
}

void commands_are_pipelined() {
  fastrpc::spawn([] {
    fastrpc::hook::Guard hooked;
    Context context = dial();
    for (int i = 0; i < 1000; ++i) redisAppendCommand(context.get(), "INCR counter");
    for (int i = 1; i <= 1000; ++i) {
      void* got = nullptr;
      CHECK(redisGetReply(context.get(), &got) == REDIS_OK);
      Reply reply(static_cast<redisReply*>(got));
      CHECK(reply->integer == i);
    }
  }).join();
}

void a_read_timeout_is_the_clients() {
  fastrpc::spawn([] {
    fastrpc::hook::Guard hooked;
    Context context = dial();
    CHECK(redisSetTimeout(context.get(), timeval{0, 50000}) == REDIS_OK);
    Reply reply = command(context, "BLPOP nobody 10");
    CHECK(!reply && context->err == REDIS_ERR_IO && errno == EAGAIN);
  }).join();
}

void a_refused_connection_is_reported() {
  fastrpc::spawn([] {
    fastrpc::hook::Guard hooked;
    // Bound and not listening: refused for as long as it is there.
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    int port = ntohs(address.sin_port);
    Context blocking(redisConnect("127.0.0.1", port));
    CHECK(blocking && blocking->err == REDIS_ERR_IO);
    CHECK(std::strstr(blocking->errstr, "refused") != nullptr);
    Context timed(redisConnectWithTimeout("127.0.0.1", port, timeval{5, 0}));
    CHECK(timed && timed->err == REDIS_ERR_IO);
    close(fd);
  }).join();
}

void waiting_ends_with(Server& server) {
  auto waiting = fastrpc::spawn([] {
    fastrpc::hook::Guard hooked;
    Context context = dial();
    Reply reply = command(context, "BLPOP nobody 0");
    return !reply && context->err != 0;
  });
  fastrpc::spawn([] { fastrpc::sleep_for(50ms); }).join();
  server.stop();
  CHECK(waiting.join());
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  Server server(argv[1]);
  RUN(many_wait_at_a_time_on_one_worker);
  RUN(payloads_of_all_sizes_come_back);
  RUN(commands_are_pipelined);
  RUN(a_read_timeout_is_the_clients);
  RUN(a_refused_connection_is_reported);
  auto a_killed_server_is_an_end = [&] { waiting_ends_with(server); };
  RUN(a_killed_server_is_an_end);
}
