// The original's HTTP handlers: see RpcServer::RegiHttpHandler().
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/http_parser.hpp>

#include <string>

namespace fastrpc {

class CASyncSvr;

// An HTTP request. Owned by the library, and valid until `done` has run.
struct HttpRequest {
  // Parser that has read the head; parse_form_body() reads the body.
  CHttpParser* ps = nullptr;
  // The head as received, followed by the body without chunk framing.
  char* data = nullptr;
  int data_len = 0;
  unsigned cli_flow = 0;
  CASyncSvr* svr = nullptr;
  // The whole response, status line, header fields and body, as made by CHttpResponseMaker. One
  // that is malformed or empty, or whose length does not match, is logged and becomes a 500.
  std::string response;
};

// Handles HTTP requests, each in a coroutine of its own. The rules for `done` and exceptions in
// rpc_server.hpp apply; an exception results in a 500.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Called once, when the handler is registered; registration fails if it throws.
  virtual void Init(CASyncSvr* /*svr*/) {}
  // Responds by setting `request->response` and running `done`, at once or later, on any thread.
  virtual void OnRec(HttpRequest* /*request*/, google::protobuf::Closure* done) { done->Run(); }
  // Called once, when the server is destroyed and no handler runs any more. An exception is logged.
  virtual void Finish(CASyncSvr* /*svr*/) {}
};

}  // namespace fastrpc
