// As one wrote a server in 2016: a service with a pool of resources, and pages for browsers.
// usage: server PORT [PROCESSES]
#include "echo.pb.h"
#include "rpc_server.h"
#include "xcore_resource_pool.h"

class EchoServiceImpl : public echo::EchoService {
 public:
  EchoServiceImpl() {
    for (int i = 0; i < 2; ++i) res_pool.PutResQue(new int(i));
  }
  virtual ~EchoServiceImpl() {
    while (int* res = res_pool.GetResQue()) delete res;
  }

  virtual void Echo(::google::protobuf::RpcController* controller,
                    const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
                    ::google::protobuf::Closure* done) {
    int* res = res_pool.Get();
    stringstream ss;
    ss << request->message() << " server2";
    response->set_response(ss.str());
    res_pool.Release(res);
    if (done) done->Run();
  }

  // Answers later, from a coroutine of its own.
  virtual void SlowEcho(::google::protobuf::RpcController* controller,
                        const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
                        ::google::protobuf::Closure* done) {
    timer_mgr.AddJob(300, NewClosure(this, &EchoServiceImpl::Late, request, response, done));
  }

 private:
  void Late(const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
            ::google::protobuf::Closure* done) {
    response->set_response(request->message() + " late");
    done->Run();
  }

  ResourcePool<int> res_pool;
  TimerMgr timer_mgr;
};

// Greets whom the request names, in a page or in a form.
class PageHandler : public HttpHandler {
 public:
  virtual void Init(CASyncSvr* svr) { svr_ = svr; }
  virtual void OnRec(HttpRequest* request, ::google::protobuf::Closure* done) {
    CHttpParser* ps = request->ps;
    ps->parse_form_body();
    string name = CHttpParser::UrlDecode(ps->get_param("name"));
    if (ps->get_uri() != "/hello" || request->svr != svr_ || request->cli_flow == 0) {
      CHttpResponseMaker::make_404_error(request->response);
    } else {
      string type = "text/plain", head = "X-Object: " + ps->get_object() + "\r\n";
      CHttpResponseMaker::make_string("hello " + name, request->response, type, head);
    }
    done->Run();
  }
  virtual void Finish(CASyncSvr*) {}

 private:
  CASyncSvr* svr_;
};

int Serve(int listen_fd) {
  RpcServer server(listen_fd);
  RPCREGI(server, EchoServiceImpl);
  HTTPREGI(server, PageHandler);
  server.start();
  return 0;
}

int main(int argc, char* argv[]) {
  if (argc > 2) return StartWithMultProc("127.0.0.1", atoi(argv[1]), Serve, atoi(argv[2]));
  RpcServer server("127.0.0.1", atoi(argv[1]));
  RPCREGI(server, EchoServiceImpl);
  HTTPREGI(server, PageHandler);
  return server.start() ? 0 : 2;
}
