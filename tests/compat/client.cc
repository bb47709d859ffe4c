// As one wrote a client in 2016: waiting, with callbacks, in coroutines, in threads, by HTTP.
// usage: client PORT-OF-THE-FORWARDER PORT-OF-THE-SERVER
#include "echo.pb.h"
#include "rpc_client.h"

#include <pthread.h>

#define EXPECT(condition)                                  \
  if (!(condition)) {                                      \
    printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    exit(1);                                               \
  }

typedef echo::EchoService_Stub Stub;

const int kTimes = 50;
XAtomic32 recv_c;
XAtomic32 shared_c;

void sync_call(RpcClient* client) {
  Stub stub(client);
  echo::EchoRequest req;
  req.set_message("sync");
  echo::EchoResponse res;
  CliController controller;
  stub.Echo(&controller, &req, &res, NULL);
  EXPECT(!controller.IsTimeOut() && !controller.Failed() && controller.ErrorText().empty());
  EXPECT(!controller.has_error && res.response().find("sync server2 server1") == 0);
  EXPECT(res.response().find(" tp") != string::npos);
  stub.Echo(NULL, &req, &res, NULL);
  EXPECT(res.response().find("sync server2 server1") == 0);
}

void late_call(RpcClient* direct, int port) {
  echo::EchoRequest req;
  req.set_message("x");
  echo::EchoResponse res;
  CliController controller;
  Stub(direct).SlowEcho(&controller, &req, &res, NULL);
  EXPECT(!controller.Failed() && res.response() == "x late");
  // A client whose calls may take 50 ms.
  RpcClient hasty("127.0.0.1", port, 50);
  Stub(&hasty).SlowEcho(&controller, &req, &res, NULL);
  EXPECT(controller.IsTimeOut() && controller.Failed() && controller.is_timeout);
  EXPECT(controller.has_error && !controller.err_string.empty() && res.response().empty());
  CliController copy;
  copy.CopyFrom(controller);
  EXPECT(copy.IsTimeOut() && copy.is_timeout && copy.ErrorText() == controller.err_string);
}

class Test {
 public:
  void echo_done(echo::EchoRequest* request, echo::EchoResponse* response,
                 CliController* controller, PbClosure* done) {
    EXPECT(!controller->has_error && response->response().find("async") == 0);
    ++recv_c;
    delete request;
    delete response;
    delete controller;
    if (done) done->Run();
  }
};

void chained() {
  ++recv_c;
}

void async_calls(RpcClient* client) {
  recv_c = 0;
  Stub stub(client);
  Test test;
  for (int i = 0; i < kTimes; ++i) {
    echo::EchoRequest* request = new echo::EchoRequest();
    request->set_message("async");
    echo::EchoResponse* response = new echo::EchoResponse();
    CliController* controller = new CliController();
    PbClosure* next = ::google::protobuf::NewCallback(&chained);
    PbClosure* callback =
        pbext::NewCallback(&test, &Test::echo_done, request, response, controller, next);
    stub.Echo(controller, request, response, callback);
  }
  for (int i = 0; i < 2000 && recv_c < 2 * kTimes; ++i) RpcClient::OutSideProcess(10);
  EXPECT(recv_c == 2 * kTimes);
}

void cro_job(Stub* stub, int i) {
  stringstream ss;
  ss << "cro " << i;
  echo::EchoRequest req;
  req.set_message(ss.str());
  echo::EchoResponse res;
  stub->Echo(NULL, &req, &res, NULL);
  EXPECT(res.response().find(ss.str() + " server2 server1") == 0);
  if (res.response().find("shared") != string::npos) ++shared_c;
  ++recv_c;
}

void coroutine_calls(RpcClient* client) {
  recv_c = 0;
  SetCoroutineUsedByCurThread();
  Stub stub(client);
  for (int i = 0; i < kTimes; ++i)
    ProcessWithNewCro(::google::protobuf::NewCallback(&cro_job, &stub, i));
  for (int i = 0; i < 2000 && recv_c < kTimes; ++i) RpcClient::OutSideProcess(10);
  EXPECT(recv_c == kTimes);
  // The forwarding server had several in hand at once.
  EXPECT(shared_c > 0);
}

XAtomic32 pushed_c;

void ext_processer(std::string mes_name, std::string data, void* param) {
  ::google::protobuf::Message* response = PbMgr::CreateMessage(mes_name);
  EXPECT(response && response->ParseFromString(data) && mes_name == "echo.EchoResponse");
  EXPECT(static_cast<echo::EchoResponse*>(response)->response() == "period push mes");
  EXPECT(param == &pushed_c && PbMgr::CreateMessage("no.Such") == NULL);
  ++pushed_c;
  delete response;
}

// Gives how many connections the server had seen closed by then.
int pushes(int port) {
  RpcClient client("127.0.0.1", port);
  client.RegiExtProcesser(ext_processer, &pushed_c);
  Stub stub(&client);
  echo::EchoRequest req;
  echo::EchoResponse res;
  stub.SlowEcho(NULL, &req, &res, NULL);
  for (int i = 0; i < 2000 && pushed_c < 5; ++i) RpcClient::OutSideProcess(10);
  EXPECT(pushed_c == 5);
  return atoi(res.response().c_str());
}

// The server is told that the client of pushes() has gone.
void close_events(RpcClient* client, int closed) {
  Stub stub(client);
  echo::EchoRequest req;
  echo::EchoResponse res;
  for (int i = 0; i < 2000; ++i) {
    stub.SlowEcho(NULL, &req, &res, NULL);
    if (atoi(res.response().c_str()) > closed) return;
    RpcClient::OutSideProcess(10);
  }
  EXPECT(false);
}

// Two requests on one connection, one of them with a form.
void http_requests(int port) {
  XSocket sock;
  EXPECT(sock.open() && sock.connect(XSockAddr("127.0.0.1", port), 20000) == 1);
  string get, post, res;
  CHttpGetMaker get_maker;
  get_maker.add_param("kk", 23424);
  get_maker.make_string("127.0.0.1", port, "/static/index.html", get);
  CHttpPostMaker post_maker;
  post_maker.add_param("kk", "form");
  post_maker.make_string("127.0.0.1", port, "/do", post);
  EXPECT(sock.send_n(get.c_str(), get.size(), 20000) == (int)get.size());
  EXPECT(sock.recv_one_http(res, 20000) > 0);
  EXPECT(res.find("kk:23424 cmd:index.html uri:/static/index.html rpc:browse server2") !=
         string::npos);
  EXPECT(sock.send_n(post.c_str(), post.size(), 20000) == (int)post.size());
  EXPECT(sock.recv_one_http(res, 20000) > 0);
  EXPECT(res.find("kk:form cmd:do uri:/do rpc:browse server2") != string::npos);
  sock.close();
}

void* thread_calls(void* arg) {
  for (int i = 0; i < kTimes; ++i) sync_call(static_cast<RpcClient*>(arg));
  return NULL;
}

void count_outside() {
  ++recv_c;
}

int main(int argc, char* argv[]) {
  int forward_port = atoi(argv[1]), port = atoi(argv[2]);
  RpcClient client("127.0.0.1", forward_port, 10000);
  EXPECT(client.IsConnected());
  sync_call(&client);
  async_calls(&client);
  coroutine_calls(&client);
  int closed = pushes(forward_port);
  close_events(&client, closed);
  http_requests(forward_port);

  RpcClient direct("127.0.0.1", port);
  late_call(&direct, port);

  RpcClient multi("127.0.0.1", forward_port, 10000, true);
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, thread_calls, &multi);
  for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);

  recv_c = 0;
  RpcMgr::PutOutSideQueue(::google::protobuf::NewCallback(&count_outside));
  EXPECT(RpcClient::OutSideProcess(1000) == 1 && recv_c == 1);
  EXPECT(RpcClient::OutSideProcess(1) == 0);

  RpcClient nobody("127.0.0.1", 1, 1000);
  EXPECT(!nobody.IsConnected());
  printf("all is well\n");
  return 0;
}
