// The C++ server: a generated protobuf service, one worker thread.
#include <fastrpc/rpc_server.hpp>

#include "common/echo_service.hpp"
#include "common/serve.hpp"

int main(int argc, char** argv) {
  auto options = bench::ParseServer(argc, argv, "fastrpc's echo server in C++, one worker thread.");
  bench::EchoService service;
  return bench::Serve(options.port, [&](auto& server) { server.add_service(service); });
}
