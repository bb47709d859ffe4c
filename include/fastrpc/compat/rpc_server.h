// The original's server: see fastrpc/rpc_server.hpp.
#pragma once

#include <fastrpc/http_handler.hpp>
#include <fastrpc/rpc_server.hpp>

#include "rpc_client.h"

using fastrpc::CASyncSvr;
using fastrpc::HttpHandler;
using fastrpc::HttpRequest;
using fastrpc::RpcController;
// What RegiClientCloseHandler() takes.
using ext_handler = fastrpc::RpcServer::ext_handler;

namespace fastrpc::compat {

// What macros have made for a server. A base class, so that it goes after the server.
struct KeptHandlers {
  std::vector<std::shared_ptr<void>> http_handlers_;
};

}  // namespace fastrpc::compat

// A server whose handlers run in coroutines: on the one worker that is the default never two at the
// same time.
class RpcServer : private fastrpc::compat::KeptHandlers, public fastrpc::RpcServer {
 public:
  // `host`: the address to listen on, "" or "0.0.0.0" for all.
  RpcServer(const std::string& host, int port)
      : fastrpc::RpcServer(host, port), host_(host), port_(port) {}

  // Adds a service for one of the `rpc_size` threads that handle calls. False if there is no such
  // one, or if it is there already.
  bool AddService(int i, google::protobuf::Service* service) {
    return i >= 0 && i < rpc_size && RegiService(service);
  }

  // False if it is NULL, or if there is a handler already: one serves all requests.
  bool AddHttpHandler(HttpHandler* handler) { return RegiHttpHandler(handler); }
  // The same, and keeps it.
  bool KeepHttpHandler(std::shared_ptr<HttpHandler> handler) {
    http_handlers_.push_back(handler);
    return RegiHttpHandler(handler.get());
  }

  std::string host_;
  int port_;
  // One: calls are spread over the workers of the runtime.
  int rpc_size = 1;
};

// Adds a service that is made here, and goes with the server.
#define RPCREGI(server, Type) \
  { (server).add_service(std::make_shared<Type>()); }
#define RPCREGI_ONEP(server, Type, argument) \
  { (server).add_service(std::make_shared<Type>(argument)); }
// The same for a handler of HTTP requests.
#define HTTPREGI(server, Type) \
  { (server).KeepHttpHandler(std::make_shared<Type>()); }
