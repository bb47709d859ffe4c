// The server and the client with the names of 2016, in one process.
#include "rpc_server.h"

#include "../cpp/check.hpp"
#include "../cpp/workers.hpp"
#include "echo.pb.h"

namespace {

struct Service : echo::EchoService {
  explicit Service(int n = 0) : number(n) { ++alive; }
  ~Service() override { --alive; }
  void Echo(google::protobuf::RpcController*, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    response->set_response(request->message() + std::to_string(number));
    done->Run();
  }
  void SlowEcho(google::protobuf::RpcController*, const echo::EchoRequest*, echo::EchoResponse*,
                google::protobuf::Closure* done) override {
    (void)fastrpc::sleep_for(std::chrono::seconds(1), std::nothrow);
    done->Run();
  }
  void Broken(google::protobuf::RpcController*, const echo::EchoRequest*, echo::EchoResponse*,
              google::protobuf::Closure*) override {
    throw std::runtime_error("broken");
  }
  static int alive;
  int number;
};
int Service::alive = 0;

using Stub = echo::EchoService::Stub;

void services_are_added_by_slot_or_by_macro() {
  {
    RpcServer server("127.0.0.1", 0);
    Service service;
    CHECK(server.rpc_size == 1 && server.host_ == "127.0.0.1" && server.port_ == 0);
    CHECK(!server.AddService(-1, &service) && !server.AddService(1, &service));
    CHECK(server.AddService(0, &service) && !server.AddService(0, &service));
    RpcServer other("127.0.0.1", 0);
    RPCREGI(other, Service);
    CHECK(Service::alive == 2);
  }
  CHECK(Service::alive == 0);
}

struct Handler : HttpHandler {
  Handler() { ++alive; }
  ~Handler() override { --alive; }
  void Finish(CASyncSvr*) override { ++finished; }
  static int alive, finished;
};
int Handler::alive = 0;
int Handler::finished = 0;

void one_http_handler_is_added_and_outlives_its_server() {
  {
    RpcServer server("127.0.0.1", 0);
    HTTPREGI(server, Handler);
    Handler second;
    CHECK(!server.AddHttpHandler(&second) && !server.RegiHttpHandler(nullptr));
    CHECK(Handler::alive == 2);
  }
  CHECK(Handler::alive == 0 && Handler::finished == 1);
}

struct Fixture {
  Fixture() : server("127.0.0.1", 0) {
    RPCREGI_ONEP(server, Service, 7)
    server.listen();
    client = std::make_unique<RpcClient>("127.0.0.1", server.port(), 20000);
    request.set_message("n");
  }
  RpcServer server;
  std::unique_ptr<RpcClient> client;
  echo::EchoRequest request;
  echo::EchoResponse response;
};

void a_client_is_connected_once_it_is_made() {
  Fixture f;
  CHECK(f.client->IsConnected());
  Stub(f.client.get()).Echo(nullptr, &f.request, &f.response, nullptr);
  CHECK(f.response.response() == "n7");
  RpcClient nobody("127.0.0.1", 1, 300, true);
  CHECK(!nobody.IsConnected());
}

void the_fields_of_a_controller_tell_how_it_ended() {
  Fixture f;
  Stub stub(f.client.get());
  CliController controller;
  stub.Broken(&controller, &f.request, &f.response, nullptr);
  CHECK(controller.has_error && !controller.is_timeout && controller.err_string == "broken");
  stub.Echo(&controller, &f.request, &f.response, nullptr);
  CHECK(!controller.has_error && controller.err_string.empty());
  controller.set_timeout(std::chrono::milliseconds(50));
  stub.SlowEcho(&controller, &f.request, &f.response, nullptr);
  CHECK(controller.has_error && controller.is_timeout && controller.IsTimeOut());
  controller.Reset();
  CHECK(!controller.has_error && !controller.is_timeout);
  controller.SetFailed("by hand");
  CHECK(controller.has_error && controller.err_string == "by hand");

  CliController copy;
  copy.CopyFrom(controller);
  CHECK(copy.has_error && copy.err_string == "by hand");
}

// Tells where it is called by its server, and sends a message and the end.
struct Leaving : echo::EchoService {
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    auto* ours = static_cast<RpcController*>(controller);
    CASyncSvr* svr = ours->_svr;
    unsigned flow = ours->_cli_flow;
    response->set_response(svr->_svr_ip + ":" + std::to_string(svr->_svr_port));
    bool leaves = request->message() == "leave";
    done->Run();
    std::string raw = "POST / HTTP/1.1\r\nmes_name: a.Name\r\nContent-Length: 1\r\n\r\n!";
    char* bytes = &raw[0];
    svr->SendBack(flow, bytes, raw.size());
    if (leaves) svr->SendBack(flow, bytes, raw.size(), SEND_AND_CLOSE);
    if (request->message() == "cut") svr->SendBack(flow, NULL, 0);
  }
};

void count_push(std::string name, std::string data, void* pushed) {
  CHECK(name == "a.Name" && data == "!");
  static_cast<XSemaphore*>(pushed)->post();
}
void count_loss(void* losses) {
  static_cast<XSemaphore*>(losses)->post();
}

void a_server_sends_back_and_closes() {
  XSemaphore pushed, losses;
  RpcServer server("127.0.0.1", 0);
  RPCREGI(server, Leaving);
  server.listen();
  RpcClient client("127.0.0.1", server.port(), 20000);
  CHECK(client.RegiExtProcesser(&count_push, &pushed));
  CHECK(client.RegiCloseHandler(&count_loss, &losses));
  echo::EchoRequest request;
  echo::EchoResponse response;
  for (const char* message : {"stay", "leave", "cut"}) {
    CliController controller;
    request.set_message(message);
    Stub(&client).Echo(&controller, &request, &response, nullptr);
    CHECK(!controller.has_error);
    CHECK(response.response() == "127.0.0.1:" + std::to_string(server.port()));
    CHECK(pushed.trywait(20000));
    if (request.message() == "stay") continue;
    if (request.message() == "leave") CHECK(pushed.trywait(20000));
    CHECK(losses.trywait(20000));
  }
  CHECK(!pushed.trywait(0) && !losses.trywait(0));
}

void note(CliController* controller, XSemaphore* done) {
  CHECK(fastrpc::this_coroutine::exists());
  CHECK(controller->has_error && controller->err_string == "broken");
  delete controller;
  done->post();
}

void the_fields_are_there_before_the_callback_runs() {
  Fixture f;
  Stub stub(f.client.get());
  XSemaphore done;
  constexpr int kCalls = 50;
  std::vector<echo::EchoResponse> responses(kCalls);
  for (auto& response : responses) {
    auto* controller = new CliController;
    stub.Broken(controller, &f.request, &response, pbext::NewCallback(&note, controller, &done));
  }
  for (int i = 0; i < kCalls; ++i) CHECK(done.trywait(20000));
}

}  // namespace

int main() {
  configure_workers();
  fastrpc::set_log(fastrpc::LogLevel::off,
                   [](fastrpc::LogLevel, std::string_view, std::string_view) {});
  RUN(services_are_added_by_slot_or_by_macro);
  RUN(one_http_handler_is_added_and_outlives_its_server);
  RUN(a_client_is_connected_once_it_is_made);
  RUN(the_fields_of_a_controller_tell_how_it_ended);
  RUN(a_server_sends_back_and_closes);
  RUN(the_fields_are_there_before_the_callback_runs);
  google::protobuf::ShutdownProtobufLibrary();
}
