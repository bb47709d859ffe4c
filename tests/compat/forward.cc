// As one wrote a server in 2016 that asks another one. usage: forward PORT PORT-OF-THE-OTHER
#include "echo.pb.h"
#include "rpc_client.h"
#include "rpc_server.h"

class EchoServiceImpl : public echo::EchoService {
 public:
  explicit EchoServiceImpl(RpcClient* client) : echo_service(client), inside(0) {}

  virtual void Echo(::google::protobuf::RpcController* controller,
                    const ::echo::EchoRequest* request, ::echo::EchoResponse* response,
                    ::google::protobuf::Closure* done) {
    // Handlers never run in parallel: no lock.
    int others = inside++;
    echo_service.Echo(NULL, request, response, NULL);
    --inside;
    response->set_response(response->response() + " server1" + (others > 0 ? " shared" : ""));
    if (done) done->Run();
  }

 private:
  echo::EchoService::Stub echo_service;
  int inside;
};

int main(int argc, char* argv[]) {
  RpcServer server("127.0.0.1", atoi(argv[1]));
  RpcClient* client = new RpcClient("127.0.0.1", atoi(argv[2]), 5000);
  if (!client->IsConnected()) return 3;
  RPCREGI_ONEP(server, EchoServiceImpl, client);
  return server.start() ? 0 : 2;
}
