// The original's HTTP handlers: see RpcServer::RegiHttpHandler().
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/http_parser.hpp>

#include <string>

namespace fastrpc {

class CASyncSvr;

// A request of HTTP. Belongs to the library, until `done` was run.
struct HttpRequest {
  // Has read the head and, by parse_form_body(), reads the body.
  CHttpParser* ps = nullptr;
  // The request: its head as it came, and its body, without the framing of chunks.
  char* data = nullptr;
  int data_len = 0;
  unsigned cli_flow = 0;
  CASyncSvr* svr = nullptr;
  // The whole answer, status line, fields and body: CHttpResponseMaker makes one. One that is
  // malformed or empty, or does not end where it says, is logged and becomes a 500.
  std::string response;
};

// Handles requests of HTTP, each in a coroutine of its own. What rpc_server.hpp says of `done` and
// of exceptions holds here too; an exception is answered with 500.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Once, when the handler is registered; which fails if an exception leaves it.
  virtual void Init(CASyncSvr* /*svr*/) {}
  // Answers by `request->response` and `done`, at once or later, on any thread.
  virtual void OnRec(HttpRequest* /*request*/, google::protobuf::Closure* done) { done->Run(); }
  // Once, when the server is destroyed and no handler runs any more. An exception is logged.
  virtual void Finish(CASyncSvr* /*svr*/) {}
};

}  // namespace fastrpc
