// Machinery of RpcServer: an HTTP request for a handler in the original's spelling.
#pragma once

#include <fastrpc/detail/handler_scope.hpp>
#include <fastrpc/detail/one_shot_done.hpp>
#include <fastrpc/detail/original_svr.hpp>
#include <fastrpc/http.hpp>
#include <fastrpc/http_handler.hpp>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fastrpc::detail {

// A handler that was registered: the user data of its function.
struct HttpRegistration {
  std::shared_ptr<HttpHandler> handler;
  std::shared_ptr<RunningHandlers> running;
  CASyncSvr* svr;
};

// A request, and the `done` that the handler gets.
class HttpCall final : public OneShotDone<HttpCall> {
 public:
  // The function of all handlers.
  static void serve(void* user, fastrpc_http_exchange* exchange) {
    auto& registration = *static_cast<HttpRegistration*>(user);
    HandlerScope scope(*registration.running);
    http::Request request(exchange);
    // Without its body there is no request; the library answers.
    auto body = request.body(std::nothrow);
    if (!body) return;
    std::string_view head = request.head();
    constexpr std::size_t kMaxSize = std::numeric_limits<int>::max();
    if (body.value().size() > kMaxSize - head.size()) {
      http::Response(exchange).status(413);
      return;
    }
    auto* call = new HttpCall(registration, exchange, head, body.value());
    HandlerShare<HttpCall> share(call);
    call->start(*registration.handler);
  }

 private:
  friend class OneShotDone<HttpCall>;
  friend class HandlerShare<HttpCall>;

  static constexpr const char* kWhat = "request";

  // What a request needs until it is over.
  struct Content {
    Content(const HttpRegistration& registration, fastrpc_http_exchange* handle,
            std::string_view head, std::string_view body)
        : exchange(handle),
          data(std::string(head).append(body)),
          parser(data.data(), static_cast<int>(data.size())) {
      request.ps = &parser;
      request.data = data.data();
      request.data_len = static_cast<int>(data.size());
      request.cli_flow = flow_of(fastrpc_http_connection_id(handle));
      request.svr = registration.svr->listening();
    }

    http::Deferred exchange;
    std::string data;
    CHttpParser parser;
    HttpRequest request;
  };

  HttpCall(const HttpRegistration& registration, fastrpc_http_exchange* exchange,
           std::string_view head, std::string_view body) {
    check(fastrpc_http_defer(exchange)).value();
    content_.emplace(registration, exchange, head, body);
  }

  void start(HttpHandler& handler) {
    run_handler([&] { handler.OnRec(&content_->request, this); }, [] { return "an HttpHandler"; });
  }

  void answer() {
    auto& exchange = content_->exchange;
    auto set = exchange.response().raw(content_->request.response, std::nothrow);
    auto sent = exchange.send(std::nothrow);
    for (const auto& result : {set, sent})
      if (!result) log(LogLevel::error, "a response was not sent: " + result.error().text());
  }

  // Destroyed without an answer, the exchange says 500.
  void answer_exception(const std::string& /*text*/) {}

  void handler_ended() { release(); }

  void clear() { content_.reset(); }

  std::optional<Content> content_;
};

}  // namespace fastrpc::detail
