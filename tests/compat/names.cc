// Each name that was documented in 2016, used as it was then. Compiled, not run: what they do is
// tested elsewhere.
#include "RpcCommon.h"
#include "closure.h"
#include "coroutine.h"
#include "echo.pb.h"
#include "http_util.h"
#include "monitor.h"
#include "pbext.h"
#include "rpc_client.h"
#include "rpc_server.h"
#include "xcore_atomic.h"
#include "xcore_mutex.h"
#include "xcore_resource_pool.h"
#include "xcore_semaphore.h"
#include "xcore_sock_addr.h"
#include "xcore_socket.h"
#include "xcore_thread.h"
#include "xcore_timer.h"
#include "xcore_utility.h"

// ---- the server ----

class Service : public echo::EchoService {
 public:
  explicit Service(RpcServer* server = NULL) : _rpc_server(server) {}
  virtual void Echo(::google::protobuf::RpcController* controller,
                    const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
                    ::google::protobuf::Closure* done) {
    RpcController* p_con = (RpcController*)controller;
    RpcController* same = static_cast<RpcController*>(controller);
    unsigned cli_flow = p_con->_cli_flow;
    CASyncSvr* svr = same->_svr;
    if (controller->Failed()) controller->SetFailed(controller->ErrorText());
    response->set_response(request->message());
    bool pushed = RpcServer::PushToClient(svr, cli_flow, response);
    std::string raw = "raw";
    if (pushed) RpcServer::PushRawDataToClient(svr, cli_flow, raw);
    if (done) {
      done->Run();
    }
  }
  RpcServer* _rpc_server;
};

class Handler : public HttpHandler {
 public:
  virtual void Init(CASyncSvr* svr) { svr_id = svr->_svr_id; }
  virtual void OnRec(HttpRequest* request, ::google::protobuf::Closure* done) {
    CHttpParser* ps = request->ps;
    std::string all(request->data, request->data_len);
    unsigned cli_flow = request->cli_flow;
    CASyncSvr* svr = request->svr;
    if (svr != NULL && cli_flow != 0) request->response = ps->get_uri() + all;
    HttpHandler::OnRec(request, done);
  }
  virtual void Finish(CASyncSvr* svr) { HttpHandler::Finish(svr); }
  unsigned svr_id;
};

void send_back(CASyncSvr* svr, unsigned cli_flow) {
  char data[] = "bytes";
  int len = 5, op = SEND_NORMAL;
  if (svr->_svr_ip == "127.0.0.1" && svr->_svr_port == 8996) op = SEND_AND_CLOSE;
  svr->SendBack(cli_flow, data, len);
  svr->SendBack(cli_flow, data, len, op);
  svr->SendBack(cli_flow, NULL, 0);
}

int close_handler(CASyncSvr* svr, unsigned cli_flow, void* param) {
  return svr != NULL && cli_flow != 0 && param != NULL;
}

int serve(int listen_fd) {
  RpcServer server(listen_fd);
  RPCREGI(server, Service);
  RPCREGI_ONEP(server, Service, &server);
  HTTPREGI(server, Handler);
  return server.start();
}

bool server_names() {
  std::string host = "127.0.0.1";
  RpcServer server(host, 8996);
  ::google::protobuf::Service* service = new Service(&server);
  bool ok = server.RegiService(service) && server.AddService(0, service);
  HttpHandler* handler = new Handler;
  ok = ok && server.RegiHttpHandler(handler) && server.AddHttpHandler(handler);
  int p = 123;
  ext_handler* on_close = close_handler;
  ok = ok && server.RegiClientCloseHandler(on_close, &p);
  ok = ok && server.host_ == host && server.port_ == 8996 && server.rpc_size > 0;
  StartFunction* fun = serve;
  if (StartWithMultProc(host, 8997, fun) != 0) return false;
  return StartWithMultProc("127.0.0.1", 8997, serve, 2) == 0 && server.start();
}

// ---- the client ----

void on_push(std::string mes_name, std::string data, void* param) {
  ::google::protobuf::Message* message = PbMgr::CreateMessage(mes_name);
  if (message) message->ParseFromString(data);
  delete message;
  delete static_cast<int*>(param);
}
void on_lost(void* param) {
  delete static_cast<int*>(param);
}

class Test {
 public:
  void echo_done(echo::EchoRequest* request, echo::EchoResponse* response,
                 ::google::protobuf::Closure* done) {
    if (done) done->Run();
    delete request;
    delete response;
  }
};

bool client_names() {
  RpcClient client("127.0.0.1", 8999, 10000, true);
  RpcClient shorter("127.0.0.1", 8999, 10000);
  RpcClient* shortest = new RpcClient(std::string("127.0.0.1"), 8999);
  ::google::protobuf::RpcChannel* channel = shortest;
  ext_process* process = on_push;
  event_handler* lost = on_lost;
  client.RegiExtProcesser(process, NULL);
  client.RegiCloseHandler(lost, NULL);
  echo::EchoService_Stub::Stub* stub = new echo::EchoService_Stub::Stub(channel);
  echo::EchoRequest* request = new echo::EchoRequest();
  echo::EchoResponse* response = new echo::EchoResponse();
  CliController controller;
  stub->Echo(&controller, request, response, NULL);
  std::cout << "is timeout:" << controller.IsTimeOut() << "error:" << controller.ErrorText();
  CliController copy;
  copy.CopyFrom(controller);
  copy.SetFailed("reason");
  bool failed = copy.Failed() && copy.is_timeout && copy.has_error && copy.err_string.empty();
  Test test;
  ::google::protobuf::Closure* next = NULL;
  ::google::protobuf::Closure* callback =
      pbext::NewCallback(&test, &Test::echo_done, request, response, next);
  stub->Echo(NULL, request, response, callback);
  int pumped = RpcClient::OutSideProcess(10);
  return client.IsConnected() && failed && pumped == 0;
}

// ---- closures and coroutines ----

void three(int, int, int) {}
void four(int, int, int, int) {}
void six(int, int, int, int, int, int) {}
void eleven(int, int, int, int, int, int, int, int, int, int, int) {}
int add(int a, int b) {
  return a + b;
}

class Object {
 public:
  void none() {}
  void one(int) {}
  void three(int, int, int) {}
  int give(int a) { return a; }
};

void closure_names() {
  Object object;
  Closure<void>* all = NewClosure(&eleven, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  all->Run();
  Closure<int, int, int>* free = NewClosure(&add);
  free->Run(1, 2);
  Closure<int, int>* half = NewPermanentClosure(&add, 1);
  if (!half->IsSelfDelete()) half->Run(2);
  delete half;
  Closure<int>* method = NewClosure(&object, &Object::give, 1);
  Closure<int>::AutoDeleter deleter(method);
  PbClosure* done = ::google::protobuf::NewCallback(&object, &Object::one, 1);
  done->Run();
  pbext::NewCallback(&three, 1, 2, 3)->Run();
  pbext::NewCallback(&four, 1, 2, 3, 4)->Run();
  pbext::NewCallback(&six, 1, 2, 3, 4, 5, 6)->Run();
  pbext::NewCallback(&object, &Object::three, 1, 2, 3)->Run();
}

bool coroutine_names() {
  Object object;
  SetCoroutineUsedByCurThread();
  AsynRun(&three, 1, 2, 3);
  AsynRun(&object, &Object::one, 1);
  RpcMgr::PutOutSideQueue(::google::protobuf::NewCallback(&object, &Object::none));
  PbClosure* outside = RpcMgr::GetOutSideQueue(10);
  RpcMgr::RunWithCoroutine(outside);
  RpcMgr::RunWithCoroutine(NewClosure(&object, &Object::none));
  RpcMgr::AsynRunWithCoro(NewClosure(&object, &Object::none));
  co_enable_hook_sys();
  bool hooked = co_is_enable_sys_hook();
  co_disable_hook_sys();
  sockaddr_in from;
  socklen_t size = sizeof from;
  int fd = co_accept(3, (struct sockaddr*)&from, &size);
  bool fresh = ProcessWithNewCro(NewClosure(&object, &Object::none));
  return ProcessWithNewCro(::google::protobuf::NewCallback(&object, &Object::none)) && fresh &&
         hooked && fd < 0;
}

// ---- timers, pools, queues ----

bool timer_and_pool_names() {
  Object object;
  TimerMgr timer_mgr;
  unsigned id = timer_mgr.AddJob(1000, NewPermanentClosure(&object, &Object::one, 1), 5);
  id = timer_mgr.AddJob(1000, NewClosure(&object, &Object::none));
  unsigned deleted = timer_mgr.DelJob(id);

  TPMgr* tp_mgr = new TPMgr(2);
  tp_mgr->TPRun(&object, &Object::one, 1);
  tp_mgr->TPRun(&three, 1, 2, 3);
  tp_mgr->AddJob(NewClosure(&object, &Object::none));
  tp_mgr->TPAsynRun(&object, &Object::one, 1);
  tp_mgr->AsynAddJob(NewClosure(&object, &Object::none));
  delete tp_mgr;

  QueMgr que_mgr;
  que_mgr.PutQueue(NewClosure(&object, &Object::none));
  Closure<void>* work = que_mgr.GetQueue();
  work->Run();

  ResourcePool<Object> pool;
  pool.PutResQue(new Object);
  Object* resource = pool.Get();
  bool released = pool.Release(resource);
  delete pool.GetResQue();

  Monitor monitor;
  monitor.Notify();
  monitor.Wait();
  uint64 ms = 10;
  return monitor.TimeWait(ms) && monitor.m_has_notify && released && deleted != 0;
}

// ---- HTTP ----

bool http_names() {
  string text = "GET /a/b?k=1 HTTP/1.1\r\nCookie: c\r\n\r\n", form = CHttpParser::UrlDecode("a+b");
  CHttpParser empty;
  CHttpParser parser(text.c_str(), text.size(), HTTP_UTIL_PARAM_ALL);
  int head = empty.parse_head(text.c_str(), text.size());
  parser.parse_form_body();
  string key = "k";
  string read = parser.get_head_field("Cookie") + parser.get_cookie() + parser.get_param("k") +
                parser.get_param(key) + parser.get_param_string() + parser.get_uri() +
                parser.get_object();
  int number = parser.get_param_int("k") + parser.getContentLen() + parser.get_http_method();

  string response, content_type = "text/html", add_head = "Connection: keep-alive\r\n", request;
  CHttpResponseMaker::make_string(read, response, content_type, add_head);
  CHttpResponseMaker::make_404_error(response);
  CHttpResponseMaker::make_302_error("/there", "there", response);
  char buffer[1024];
  int made = CHttpResponseMaker::make("x", 1, buffer, sizeof buffer, "text/plain");
  CHttpMaker maker;
  maker.set_paramlines("a=1");
  CHttpGetMaker get_maker;
  get_maker.add_param("kk", 1);
  get_maker.make_string("127.0.0.1", 80, "/", request);
  CHttpPostMaker post_maker;
  post_maker.add_param("kk", "v");
  made += post_maker.make("127.0.0.1", 80, "/", buffer, sizeof buffer);
  CHttpParamParser params("a=1", 3);
  int position = 0, size = 0;
  int length = CHttpLengthAnaly::get_length(text.c_str(), text.size()) +
               CHttpLengthAnaly::get_length_ex(text.c_str(), text.size(), position, size);
  bool is_get = parser.get_http_method() == HTTP_UTIL_METHOD_GET;
  return is_get && head + number + made + length > 0 && params.get_param("a") == form;
}

// ---- xcore ----

class Callback : public XTimer::ICallBack {
 public:
  virtual void on_timer(XTimer* timer, uint32 id, void* ptr) {
    timer->cancel(id);
    timer->cancel(ptr);
  }
};

class Runnable : public XRunnable {
 public:
  virtual void run() {}
};

bool xcore_names() {
  XSocket sock, client;
  XSockAddr addr("127.0.0.1", 8998), same("127.0.0.1:8998"), from;
  sock.open(SOCK_STREAM);
  bool ok = sock.listen(addr) && sock.accept(client, &from) && client.connect(same);
  int number = client.connect(addr, 1000), size = 0;
  char buffer[16];
  string http;
  size += client.send(buffer, 1) + client.recv(buffer, 1) + client.send_n(buffer, 1, 10) +
          client.recv_n(buffer, 1, 10) + client.recv_one_http(http, 10) + client.get_handle();
  ok = ok && client.shutdown() && client.close() && addr == same;

  XMutex mutex;
  mutex.lock();
  mutex.unlock();
  if (mutex.trylock()) mutex.unlock();
  XSemaphore semaphore(1);
  semaphore.wait();
  semaphore.post(2);
  if (semaphore.trywait(10)) number += semaphore.get_value();

  XAtomic32 atomic(1);
  XAtomic64 wide(1);
  ++atomic;
  number += atomic.set_value(2) + atomic.test_zero_inc() + (int)wide.get_value();

  Runnable runnable;
  XThread thread(&runnable);
  if (thread.start()) thread.stop();
  thread.join();
  ok = ok && thread.wait_quit(10) && thread.id() != xcore::thread_id() && thread.state() != 0;
  xcore::sleep(1);

  XTimer timer;
  timer.start();
  uint32 id = timer.schedule(new Callback, 1000);
  timer.schedule(new Callback, 1000, 5, &number);
  timer.cancel(id);
  timer.stop();
  return ok && size != number;
}
