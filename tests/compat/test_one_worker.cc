// A program that configures nothing: whatever of it the library calls is called by one thread, one
// after the other, unless it waits. Programs of 2016 have no locks.
#include "rpc_server.h"

#include <atomic>
#include <thread>

#include "../cpp/check.hpp"
#include "echo.pb.h"

namespace {

using Stub = echo::EchoService::Stub;

std::atomic<int> inside;
uint32 home = 0;
// Counted without a lock, as in a program of 2016.
std::map<string, int> seen;

// The time that a callback spends without waiting.
class Alone {
 public:
  explicit Alone(const char* kind) {
    CHECK(inside.exchange(1) == 0);
    if (home == 0) home = xcore::thread_id();
    CHECK(home == xcore::thread_id());
    ++seen[kind];
    auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
    while (std::chrono::steady_clock::now() < end) continue;
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
  ~Alone() { inside = 0; }
};

void note(const char* kind) {
  Alone alone(kind);
}

struct Service : echo::EchoService {
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest*,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    note("call");
    xcore::sleep(1);
    {
      Alone alone("call, after a wait");
      auto* ours = static_cast<RpcController*>(controller);
      response->set_response("pushed");
      RpcServer::PushToClient(ours->_svr, ours->_cli_flow, response);
      AsynRun(&note, "AsynRun");
    }
    done->Run();
  }
};

struct Handler : HttpHandler {
  void OnRec(HttpRequest* request, google::protobuf::Closure* done) override {
    note("page");
    CHttpResponseMaker::make_404_error(request->response);
    done->Run();
  }
};

void on_push(std::string, std::string, void*) {
  note("push");
}
int on_closed(CASyncSvr*, unsigned, void*) {
  note("close");
  return 0;
}
void on_done(XSemaphore* ended) {
  note("done");
  ended->post();
}

// A program that calls, asks for pages and leaves, many times.
void client(int port) {
  echo::EchoRequest request;
  for (int i = 0; i < 20; ++i) {
    RpcClient client("127.0.0.1", port, 20000);
    client.RegiExtProcesser(on_push, nullptr);
    Stub stub(&client);
    echo::EchoResponse first, second;
    XSemaphore ended;
    stub.Echo(nullptr, &request, &first, pbext::NewCallback(&on_done, &ended));
    stub.Echo(nullptr, &request, &second, nullptr);
    CHECK(ended.trywait(20000));

    XSocket sock;
    CHECK(sock.open() && sock.connect(XSockAddr("127.0.0.1", uint16(port)), 20000) == 1);
    string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer;
    CHECK(sock.send_n(get.data(), int(get.size()), 20000) == int(get.size()));
    CHECK(sock.recv_one_http(answer, 20000) > 0);
    sock.close();
  }
}

void all_kinds_of_callbacks_run_one_after_the_other() {
  Service service;
  Handler handler;
  RpcServer server("127.0.0.1", 0);
  CHECK(server.RegiService(&service) && server.RegiHttpHandler(&handler));
  CHECK(server.RegiClientCloseHandler(on_closed, nullptr));
  server.listen();
  TimerMgr timers;
  timers.AddJob(1, NewPermanentClosure(&note, "timer"), -1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(client, server.port());
  for (auto& thread : threads) thread.join();
}

}  // namespace

int main() {
  CHECK(fastrpc::worker_count() == 1);
  RUN(all_kinds_of_callbacks_run_one_after_the_other);
  for (const char* kind :
       {"call", "call, after a wait", "page", "push", "close", "done", "AsynRun", "timer"}) {
    if (seen[kind] == 0) std::fprintf(stderr, "there was no %s\n", kind);
    CHECK(seen[kind] > 0);
  }
  google::protobuf::ShutdownProtobufLibrary();
}
