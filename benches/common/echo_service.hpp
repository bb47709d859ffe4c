// The service of the echo, for all servers of protobuf's generic services.
#pragma once

#include "echo.pb.h"

namespace bench {

class EchoService final : public echo::EchoService {
  void Echo(google::protobuf::RpcController*, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    response->set_message(request->message());
    done->Run();
  }
};

}  // namespace bench
