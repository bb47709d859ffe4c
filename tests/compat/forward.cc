// As one wrote a server in 2016 that asks another one, works on threads, pushes, and speaks HTTP.
// usage: forward PORT PORT-OF-THE-OTHER
#include "echo.pb.h"
#include "rpc_client.h"
#include "rpc_server.h"

XAtomic32 closed_c;

int close_handler(CASyncSvr* svr, unsigned cli_flow, void* param) {
  stringstream ss;
  ss << "svr_id:" << svr->_svr_id << " cli:" << cli_flow << " param:" << *((int*)param) << "\n";
  printf("%s", ss.str().c_str());
  ++closed_c;
  return 0;
}

class EchoServiceImpl : public echo::EchoService {
 public:
  explicit EchoServiceImpl(RpcClient* client) : echo_service(client), inside(0), tp_mgr(2) {}

  virtual void Echo(::google::protobuf::RpcController* controller,
                    const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
                    ::google::protobuf::Closure* done) {
    // Handlers never run in parallel: no lock.
    int others = inside++;
    echo_service.Echo(NULL, request, response, NULL);
    --inside;
    response->set_response(response->response() + " server1" + (others > 0 ? " shared" : ""));
    tp_mgr.TPRun(this, &EchoServiceImpl::TestThreadPool, response);
    if (done) done->Run();
  }

  // Answers with how many connections were closed, and pushes five messages.
  virtual void SlowEcho(::google::protobuf::RpcController* controller,
                        const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
                        ::google::protobuf::Closure* done) {
    RpcController* p_con = (RpcController*)controller;
    Closure<void>* period_job =
        NewPermanentClosure(this, &EchoServiceImpl::PeriodPush, p_con->_svr, p_con->_cli_flow);
    timer_mgr.AddJob(20, period_job, 5);
    stringstream ss;
    ss << closed_c;
    response->set_response(ss.str());
    if (done) done->Run();
  }

 private:
  void TestThreadPool(::echo::EchoResponse* response) {
    response->set_response(response->response() + " tp");
  }
  void PeriodPush(CASyncSvr* svr, unsigned cli_flow) {
    ::echo::EchoResponse response;
    response.set_response("period push mes");
    RpcServer::PushToClient(svr, cli_flow, &response);
  }

  echo::EchoService::Stub echo_service;
  int inside;
  TPMgr tp_mgr;
  TimerMgr timer_mgr;
};

class MyHttpHandler : public HttpHandler {
 public:
  virtual void Init(CASyncSvr* svr) {}
  virtual void OnRec(HttpRequest* request, ::google::protobuf::Closure* done) {
    ::echo::EchoRequest req;
    ::echo::EchoResponse res;
    req.set_message("browse");
    echo::EchoService_Stub(http_client).Echo(NULL, &req, &res, NULL);

    CHttpParser* ps = request->ps;
    ps->parse_form_body();
    stringstream ss;
    ss << "kk:" << ps->get_param("kk") << " cmd:" << ps->get_object() << " uri:" << ps->get_uri()
       << " rpc:" << res.response();
    std::string content_type = "text/html";
    std::string add_head = "Connection: keep-alive\r\n";
    CHttpResponseMaker::make_string(ss.str(), request->response, content_type, add_head);
    if (done) done->Run();
  }
  virtual void Finish(CASyncSvr* svr) {}

  static RpcClient* http_client;
};
RpcClient* MyHttpHandler::http_client = NULL;

int main(int argc, char* argv[]) {
  RpcServer server("127.0.0.1", atoi(argv[1]));
  RpcClient* client = new RpcClient("127.0.0.1", atoi(argv[2]), 5000);
  if (!client->IsConnected()) return 3;
  RPCREGI_ONEP(server, EchoServiceImpl, client);
  MyHttpHandler::http_client = client;
  HTTPREGI(server, MyHttpHandler);
  int p = 123;
  server.RegiClientCloseHandler(close_handler, &p);
  return server.start() ? 0 : 2;
}
