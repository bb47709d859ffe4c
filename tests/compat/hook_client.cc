// As one wrote a client in 2016 that talks HTTP over its own sockets, many at a time on one thread.
#include "coroutine.h"
#include "http_util.h"
#include "xcore_atomic.h"
#include "xcore_semaphore.h"
#include "xcore_socket.h"
#include "xcore_thread.h"

#define EXPECT(condition)                                  \
  if (!(condition)) {                                      \
    printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    exit(1);                                               \
  }

const int try_time = 40;
XAtomic32 recv_c;
XSemaphore all_received;

// Takes all connections before it answers the first one: clients that waited for each other would
// wait for ever.
class Server : public XRunnable {
 public:
  virtual void run() {
    XSocket socks[try_time];
    for (int i = 0; i < try_time; ++i) {
      EXPECT(listener.can_recv(20000));
      EXPECT(listener.accept(socks[i]));
    }
    for (int i = 0; i < try_time; ++i) {
      string req, res, type = "text/html", head = "Connection: keep-alive\r\n";
      EXPECT(socks[i].recv_one_http(req, 20000) > 0);
      CHttpParser ps(req.c_str(), req.size());
      CHttpResponseMaker::make_string(ps.get_param("kk"), res, type, head);
      EXPECT(socks[i].send_n(res.c_str(), res.size(), 20000) == (int)res.size());
      socks[i].close();
    }
  }
  XSocket listener;
};

void http_job(int port, int i) {
  co_enable_hook_sys();
  EXPECT(co_is_enable_sys_hook());
  XSocket sock;
  sock.open(SOCK_STREAM);
  if (sock.connect(XSockAddr("127.0.0.1", port), 20000) < 0) {
    printf("connect fail\n");
    abort();
  }
  stringstream ss;
  ss << "GET http://127.0.0.1/aaa?kk=" << i << " HTTP/1.1\r\n"
     << "Host: 127.0.0.1\r\n\r\n";
  string send_str = ss.str();
  EXPECT(sock.send_n(send_str.c_str(), send_str.size(), 20000) == (int)send_str.size());
  string res;
  EXPECT(sock.recv_one_http(res, 20000) > 0);
  stringstream want;
  want << "\r\n\r\n" << i;
  EXPECT(res.find(want.str()) != string::npos);
  sock.close();
  co_disable_hook_sys();
  if (++recv_c == try_time) all_received.post();
}

int main() {
  Server server;
  EXPECT(server.listener.open());
  EXPECT(server.listener.listen(XSockAddr("127.0.0.1", 0)));
  XThread thread;
  EXPECT(thread.start(&server));
  int port = server.listener.local_addr().port();
  for (int i = 0; i < try_time; ++i)
    ProcessWithNewCro(::google::protobuf::NewCallback(&http_job, port, i));
  EXPECT(all_received.trywait(60000));
  thread.join();
  server.listener.close();
  printf("all is well\n");
  return 0;
}
