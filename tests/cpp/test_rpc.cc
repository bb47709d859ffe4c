// protobuf services from C++: server and client in one process, over TCP.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "echo.pb.h"
#include "workers.hpp"

using google::protobuf::Closure;
using google::protobuf::RpcController;
using namespace std::chrono_literals;

namespace {

class Service : public echo::EchoService {
 public:
  void Echo(RpcController* base, const echo::EchoRequest* request, echo::EchoResponse* response,
            Closure* done) override {
    auto* controller = static_cast<fastrpc::Controller*>(base);
    response->set_response(request->message());
    controller->response_attachment() = std::string(controller->request_attachment());
    if (request->message() == "who") {
      response->set_response(controller->remote_side() + " " +
                             std::to_string(controller->log_id()));
    } else if (request->message() == "fail") {
      controller->fastrpc::Controller::SetFailed(77, "as asked");
    } else if (request->message() == "late") {
      // Answered by a plain thread, after the method has returned.
      std::thread([done] { done->Run(); }).detach();
      return;
    }
    done->Run();
  }

  void SlowEcho(RpcController*, const echo::EchoRequest* request, echo::EchoResponse* response,
                Closure* done) override {
    fastrpc::sleep_for(300ms);
    response->set_response(request->message());
    done->Run();
  }

  void Broken(RpcController*, const echo::EchoRequest* request, echo::EchoResponse*,
              Closure*) override {
    if (request->message() == "int") throw 5;
    if (request->message() == "text") throw "thrown as text";
    if (request->message() == "string") throw std::string("thrown as a string");
    throw std::runtime_error("broken by " + request->message());
  }
};

struct Fixture {
  Fixture() : server("127.0.0.1", 0) {
    server.add_service(service);
    server.listen();
    client = std::make_unique<fastrpc::RpcClient>("127.0.0.1", server.port());
  }

  // Calls a method; the outcome is in `controller` and `response`.
  template <typename Method>
  void call(Method method, const std::string& message) {
    echo::EchoService::Stub stub(client.get());
    echo::EchoRequest request;
    request.set_message(message);
    (stub.*method)(&controller, &request, &response, nullptr);
  }

  Service service;
  fastrpc::RpcServer server;
  std::unique_ptr<fastrpc::RpcClient> client;
  fastrpc::CliController controller;
  echo::EchoResponse response;
};

using Stub = echo::EchoService::Stub;

void calls_from_threads_and_coroutines_are_answered() {
  Fixture f;
  f.call(&Stub::Echo, "hello");
  CHECK(!f.controller.Failed() && f.response.response() == "hello");
  f.call(&Stub::Echo, "");
  CHECK(!f.controller.Failed() && f.response.response().empty());
  f.call(&Stub::Echo, std::string(3 << 20, 'x'));
  CHECK(f.response.response().size() == 3 << 20);
  fastrpc::spawn([&f] { f.call(&Stub::Echo, "inside"); }).join();
  CHECK(f.response.response() == "inside");
}

void attachments_and_context_travel() {
  Fixture f;
  f.controller.request_attachment() = "beside";
  f.controller.set_log_id(42);
  f.call(&Stub::Echo, "who");
  CHECK(f.controller.response_attachment() == "beside");
  CHECK(f.response.response().rfind("127.0.0.1:", 0) == 0);
  CHECK(f.response.response().find(" 42") != std::string::npos);
  CHECK(f.controller.remote_side() == f.server.address());
}

void errors_and_exceptions_come_back_and_the_server_lives_on() {
  Fixture f;
  f.call(&Stub::Echo, "fail");
  CHECK(f.controller.ErrorCode() == 77 && f.controller.ErrorText() == "as asked");
  f.call(&Stub::Broken, "me");
  CHECK(f.controller.Failed() && f.controller.ErrorText() == "broken by me");
  f.call(&Stub::Broken, "int");
  CHECK(f.controller.Failed() && f.controller.ErrorCode() == 2001);
  CHECK(f.controller.ErrorText() == "exception of type int");
  f.call(&Stub::Broken, "text");
  CHECK(f.controller.ErrorText() == "thrown as text");
  f.call(&Stub::Broken, "string");
  CHECK(f.controller.ErrorText() == "thrown as a string");
  echo::OtherService::Stub other(f.client.get());
  echo::EchoRequest request;
  other.Nothing(&f.controller, &request, &f.response, nullptr);
  CHECK(f.controller.ErrorCode() == 1001);
  f.call(&Stub::Echo, "alive");
  CHECK(!f.controller.Failed() && f.response.response() == "alive");
}

void done_may_run_later_from_a_thread() {
  Fixture f;
  for (int i = 0; i < 50; ++i) {
    f.call(&Stub::Echo, "late");
    CHECK(!f.controller.Failed() && f.response.response() == "late");
  }
}

void a_timeout_ends_the_call_and_nothing_else() {
  Fixture f;
  f.controller.set_timeout(20ms);
  f.call(&Stub::SlowEcho, "slow");
  CHECK(f.controller.IsTimeOut() && f.controller.Failed());
  f.controller.Reset();
  f.call(&Stub::Echo, "next");
  CHECK(!f.controller.Failed() && f.response.response() == "next");
}

void count_down(fastrpc::WaitGroup* group) {
  group->done();
}

void asynchronous_calls_run_their_done_once() {
  Fixture f;
  constexpr int kCalls = 200;
  fastrpc::WaitGroup group;
  group.add(kCalls);
  std::vector<fastrpc::CliController> controllers(kCalls);
  std::vector<echo::EchoResponse> responses(kCalls);
  Stub stub(f.client.get());
  for (int i = 0; i < kCalls; ++i) {
    echo::EchoRequest request;
    request.set_message(std::to_string(i));
    stub.Echo(&controllers[i], &request, &responses[i],
              google::protobuf::NewCallback(&count_down, &group));
  }
  group.wait();
  for (int i = 0; i < kCalls; ++i) CHECK(responses[i].response() == std::to_string(i));
}

void a_refused_connection_is_an_error() {
  fastrpc::RpcClient nobody("127.0.0.1", 1);
  Stub stub(&nobody);
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  stub.Echo(&controller, &request, &response, nullptr);
  CHECK(controller.status() == FASTRPC_ECONNECT);
  bool thrown = false;
  try {
    stub.Echo(nullptr, &request, &response, nullptr);
  } catch (const fastrpc::Error& error) {
    thrown = error.is_connect();
  }
  CHECK(thrown);
}

void a_graceful_stop_lets_calls_end() {
  Fixture f;
  auto slow = fastrpc::spawn([&f] {
    f.call(&Stub::SlowEcho, "kept");
    return f.response.response();
  });
  while (f.server.stats().in_flight == 0) fastrpc::sleep_for(1ms);
  f.server.stop(5s);
  CHECK(slow.join() == "kept");
}

void a_service_is_added_once() {
  Fixture f;
  CHECK(!f.server.RegiService(&f.service));
  CHECK(!f.server.RegiService(nullptr));
}

}  // namespace

int main() {
  configure_workers();
  RUN(calls_from_threads_and_coroutines_are_answered);
  RUN(attachments_and_context_travel);
  RUN(errors_and_exceptions_come_back_and_the_server_lives_on);
  RUN(done_may_run_later_from_a_thread);
  RUN(a_timeout_ends_the_call_and_nothing_else);
  RUN(asynchronous_calls_run_their_done_once);
  RUN(a_refused_connection_is_an_error);
  RUN(a_graceful_stop_lets_calls_end);
  RUN(a_service_is_added_once);
  google::protobuf::ShutdownProtobufLibrary();
}
