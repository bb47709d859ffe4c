// Exceptions from callbacks as they were written in 2016: the log has what each says, and what
// called it goes on.
#include "rpc_server.h"

#include <stdexcept>
#include <thread>

#include "../cpp/check.hpp"
#include "../cpp/records.hpp"
#include "../cpp/workers.hpp"
#include "echo.pb.h"

namespace {

using Stub = echo::EchoService::Stub;

void fail(const char* what) {
  throw std::runtime_error(what);
}
void fail_and_count(XSemaphore* runs, const char* what) {
  runs->post();
  fail(what);
}

// Echo pushes, and fails as it is asked to.
struct Service : echo::EchoService {
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    auto* ours = static_cast<RpcController*>(controller);
    response->set_response(request->message());
    if (request->message() == "push") {
      echo::EchoResponse message;
      message.set_response("pushed");
      CHECK(RpcServer::PushToClient(ours->_svr, ours->_cli_flow, &message));
    }
    if (request->message() == "notify")
      controller->NotifyOnCancel(google::protobuf::NewCallback(&fail, "a notice"));
    if (request->message() == "fail") fail("a service");
    done->Run();
    if (request->message() == "late") fail("a service after its answer");
  }
};

// What the HTTP handler does is in the path.
struct Handler : HttpHandler {
  void OnRec(HttpRequest* request, google::protobuf::Closure* done) override {
    if (request->ps->get_uri() == "/fail") fail("a page");
    string type = "text/plain", head;
    CHttpResponseMaker::make_string("page", request->response, type, head);
    done->Run();
  }
  void Finish(CASyncSvr*) override { fail("an end"); }
};
struct Broken : HttpHandler {
  void Init(CASyncSvr*) override { fail("a beginning"); }
};

void on_push(std::string, std::string, void* runs) {
  fail_and_count(static_cast<XSemaphore*>(runs), "a push");
}
void on_lost(void*) {
  fail("a loss");
}
int on_closed(CASyncSvr*, unsigned, void*) {
  fail("a close");
  return 0;
}

struct Fixture {
  Fixture() : server(std::make_unique<RpcServer>("127.0.0.1", 0)) {
    CHECK(server->RegiService(&service));
    CHECK(server->RegiClientCloseHandler(on_closed, nullptr));
    server->listen();
    client = std::make_unique<RpcClient>("127.0.0.1", server->port(), 20000);
  }

  // The response, or the error.
  std::string call(const std::string& message) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    CliController controller;
    request.set_message(message);
    Stub(client.get()).Echo(&controller, &request, &response, nullptr);
    return controller.Failed() ? controller.err_string : response.response();
  }

  Service service;
  std::unique_ptr<RpcServer> server;
  std::unique_ptr<RpcClient> client;
};

void services_and_what_calls_back() {
  Fixture f;
  CHECK(f.call("fail") == "a service");
  CHECK(records().says("echo.EchoService.Echo", "a service"));
  CHECK(f.call("late") == "late");
  CHECK(records().says("echo.EchoService.Echo", "a service after its answer"));
  CHECK(f.call("notify") == "notify");
  CHECK(records().says("NotifyOnCancel", "a notice"));

  echo::EchoRequest request;
  echo::EchoResponse response;
  CliController controller;
  request.set_message("async");
  Stub stub(f.client.get());
  stub.Echo(&controller, &request, &response, pbext::NewCallback(&fail, "a done"));
  CHECK(records().says("the callback of a call", "a done"));
  CHECK(response.response() == "async" && f.call("alive") == "alive");
}

void pushes_and_ends() {
  Fixture f;
  XSemaphore runs;
  CHECK(f.client->RegiExtProcesser(on_push, &runs) && f.client->RegiCloseHandler(on_lost, nullptr));
  for (int i = 0; i < 2; ++i) {
    CHECK(f.call("push") == "push" && runs.trywait(20000));
    CHECK(records().says("the handler of pushes", "a push"));
  }
  { RpcClient leaves("127.0.0.1", f.server->port()); }
  CHECK(records().says("the handler of closed connections", "a close"));
  CHECK(f.call("alive") == "alive");
  f.server->stop();
  CHECK(records().says("the handler of lost connections", "a loss"));
  CHECK(records().says("the handler of closed connections", "a close"));
}

std::string get(const RpcServer& server, const std::string& uri) {
  XSocket sock;
  CHECK(sock.open() && sock.connect(XSockAddr("127.0.0.1", uint16(server.port())), 20000) == 1);
  string request, response;
  CHttpGetMaker().make_string("127.0.0.1", uint16(server.port()), uri, request);
  CHECK(sock.send_n(request.data(), int(request.size()), 20000) == int(request.size()));
  CHECK(sock.recv_one_http(response, 20000) > 0);
  sock.close();
  return response;
}

void pages() {
  Handler handler;
  Broken broken;
  {
    RpcServer server("127.0.0.1", 0);
    CHECK(!server.RegiHttpHandler(&broken));
    CHECK(records().says("HttpHandler::Init", "a beginning"));
    CHECK(server.RegiHttpHandler(&handler));
    server.listen();
    CHECK(get(server, "/fail").find("HTTP/1.1 500 ") == 0);
    CHECK(records().says("an HttpHandler", "a page"));
    CHECK(get(server, "/").find("page") != string::npos);
  }
  CHECK(records().says("HttpHandler::Finish", "an end"));
}

struct OnTimer : XTimer::ICallBack {
  explicit OnTimer(XSemaphore* r) : runs(r) {}
  void on_timer(XTimer*, uint32, void*) override { fail_and_count(runs, "an XTimer"); }
  XSemaphore* runs;
};

void timers() {
  XSemaphore runs;
  TimerMgr timers;
  CHECK(timers.AddJob(1, NewClosure(&fail, "a job that runs once")) != 0);
  CHECK(records().says("a timer", "a job that runs once"));
  CHECK(timers.AddJob(1, NewPermanentClosure(&fail_and_count, &runs, "a job that repeats"), 3) !=
        0);
  for (int i = 0; i < 3; ++i)
    CHECK(runs.trywait(20000) && records().says("a timer", "a job that repeats"));
  XTimer timer;
  CHECK(timer.schedule(new OnTimer(&runs), 1, 2) != 0);
  for (int i = 0; i < 2; ++i) CHECK(runs.trywait(20000) && records().says("a timer", "an XTimer"));
}

void pools() {
  TPMgr pool(1);
  for (bool in_coroutine : {false, true}) {
    auto run = [&pool] {
      try {
        pool.TPRun(&fail, "a job");
        CHECK(!"it threw");
      } catch (const std::runtime_error& e) {
        CHECK(std::string(e.what()) == "a job");
      }
    };
    in_coroutine ? fastrpc::spawn(run).join() : run();
    CHECK(records().says("a job of a thread pool", "a job"));
  }
  pool.TPAsynRun(&fail, "a job nobody waits for");
  CHECK(records().says("a job of a thread pool", "a job nobody waits for"));
  pool.AsynAddJob(NewClosure(&fail, "a closure in a pool"));
  CHECK(records().says("a job of a thread pool", "a closure in a pool"));
  CHECK(pool.TPRun([] { return 1; }) == 1);
}

struct Runs : XRunnable {
  void run() override { fail("a thread"); }
};

void closures_and_threads() {
  AsynRun(&fail, "AsynRun");
  CHECK(records().says("coroutine", "AsynRun"));
  CHECK(ProcessWithNewCro(NewClosure(&fail, "a coroutine of ours")));
  CHECK(records().says("coroutine", "a coroutine of ours"));
  CHECK(ProcessWithNewCro(google::protobuf::NewCallback(&fail, "one of protobuf's")));
  CHECK(records().says("coroutine", "one of protobuf's"));
  RpcMgr::RunWithCoroutine(NewClosure(&fail, "RunWithCoroutine"));
  CHECK(records().says("coroutine", "RunWithCoroutine"));
  RpcMgr::AsynRunWithCoro(NewClosure(&fail, "AsynRunWithCoro"));
  CHECK(records().says("coroutine", "AsynRunWithCoro"));
  RpcMgr::PutOutSideQueue(google::protobuf::NewCallback(&fail, "OutSideProcess"));
  CHECK(RpcClient::OutSideProcess(1000) == 1);
  CHECK(records().says("the outside queue", "OutSideProcess"));
  Runs runs;
  XThread thread(&runs);
  CHECK(thread.start());
  thread.join();
  CHECK(thread.state() == XThread::STATE_STOPPED && records().says("a thread", "a thread"));
}

}  // namespace

int main() {
  configure_workers();
  records().listen(fastrpc::LogLevel::info);
  RUN(services_and_what_calls_back);
  RUN(pushes_and_ends);
  RUN(pages);
  RUN(timers);
  RUN(pools);
  RUN(closures_and_threads);
  google::protobuf::ShutdownProtobufLibrary();
}
