// The original's server: see fastrpc/rpc_server.hpp.
#pragma once

#include <fastrpc/rpc_server.hpp>
#include <fastrpc/start_with_mult_proc.hpp>

#include "http_util.h"
#include "rpc_client.h"

using fastrpc::CASyncSvr;
using fastrpc::HttpHandler;
using fastrpc::HttpRequest;
using fastrpc::RpcController;
using fastrpc::SEND_AND_CLOSE;
using fastrpc::SEND_NORMAL;
using fastrpc::StartFunction;
using fastrpc::StartWithMultProc;
// What RegiClientCloseHandler() takes.
using ext_handler = fastrpc::RpcServer::ext_handler;

// A server whose handlers run in coroutines: on the one worker that is the default never two at the
// same time.
class RpcServer : public fastrpc::RpcServer {
 public:
  // `host`: the address to listen on, "" or "0.0.0.0" for all.
  RpcServer(const std::string& host, int port)
      : fastrpc::RpcServer(host, port), host_(host), port_(port) {}
  // For the socket that a process of StartWithMultProc() got.
  explicit RpcServer(int listen_fd) : fastrpc::RpcServer(from_socket(listen_fd)) {}

  // Adds a service for one of the `rpc_size` threads that handle calls. False if there is no such
  // one, or if it is there already.
  bool AddService(int i, google::protobuf::Service* service) {
    return i >= 0 && i < rpc_size && RegiService(service);
  }

  // Adds a handler for one of them; there is one slot, so that one handler serves all requests.
  // False if it is NULL or there is one already.
  bool AddHttpHandler(HttpHandler* handler) { return RegiHttpHandler(handler); }

  std::string host_;
  int port_ = 0;
  // One: calls are spread over the workers of the runtime.
  int rpc_size = 1;
};

// Adds a service that is made here, and goes with the server.
#define RPCREGI(server, Type) \
  { (server).add_service(std::make_shared<Type>()); }
#define RPCREGI_ONEP(server, Type, argument) \
  { (server).add_service(std::make_shared<Type>(argument)); }
// The same for a handler of HTTP.
#define HTTPREGI(server, Type) \
  { (server).add_http_handler(std::make_shared<Type>()); }
