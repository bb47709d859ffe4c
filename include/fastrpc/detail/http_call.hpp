// Machinery of RpcServer: requests of HTTP, in both spellings.
#pragma once

#include <fastrpc/connection.hpp>
#include <fastrpc/detail/server_call.hpp>
#include <fastrpc/http.hpp>
#include <fastrpc/http_handler.hpp>

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace fastrpc::detail {

// A route: the user data of its function.
template <typename F>
struct HttpRoute {
  static void serve(void* user, fastrpc_http_exchange* exchange) {
    auto& self = *static_cast<HttpRoute*>(user);
    Visit visit(*self.running);
    http::request request(exchange);
    http::response response(exchange);
    self.handler(request, response);
  }

  F handler;
  std::shared_ptr<Running> running;
};

// A handler that was registered.
struct HttpRegistration {
  std::shared_ptr<HttpHandler> handler;
  std::shared_ptr<Running> running;
  CASyncSvr* svr;
};

// A request for an HttpHandler, and the `done` that the handler gets. As with ServerCall, the
// object of one that is over is kept for a while.
class HttpCall final : public google::protobuf::Closure {
 public:
  // The function of all handlers.
  static void serve(void* user, fastrpc_http_exchange* exchange) {
    auto& registration = *static_cast<HttpRegistration*>(user);
    Visit visit(*registration.running);
    http::request request(exchange);
    // Without its body there is no request; the library answers.
    auto body = request.body(std::nothrow);
    if (!body) return;
    std::string_view head = request.head();
    constexpr std::size_t kMost = std::numeric_limits<int>::max();
    if (body.value().size() > kMost - head.size()) {
      http::response(exchange).status(413);
      return;
    }
    auto* call = new HttpCall(registration, exchange, head, body.value());
    call->start(*registration.handler);
    call->release();
  }

  void Run() override {
    if (is_unwinding()) {
      deferred_ = true;
    } else if (claim()) {
      answer();
      release();
    } else {
      log(FASTRPC_LOG_ERROR, "done->Run() of a request that is over: ignored");
    }
  }

 private:
  // What a call holds on to until it is over.
  struct Content {
    Content(const HttpRegistration& registration, fastrpc_http_exchange* exchange,
            std::string_view head, std::string_view body)
        : exchange(exchange),
          data(std::string(head).append(body)),
          parser(data.data(), static_cast<int>(data.size())) {
      request.ps = &parser;
      request.data = data.data();
      request.data_len = static_cast<int>(data.size());
      request.cli_flow = flow_of(fastrpc_http_connection_id(exchange));
      request.svr = registration.svr->listening();
    }

    http::deferred exchange;
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
    in_handler_ = true;
    run(handler);
    in_handler_ = false;
    if (deferred_ && claim()) {
      answer();
      release();
    }
  }

#if FASTRPC_HAS_EXCEPTIONS
  void run(HttpHandler& handler) {
    try {
      handler.OnRec(&content_->request, this);
#ifdef __GLIBCXX__
    } catch (const abi::__forced_unwind&) {
      throw;
#endif
    } catch (...) {
      thrown(describe(std::current_exception()));
    }
  }

  // Without an answer the exchange says 500.
  void thrown(const std::string& text) {
    log(FASTRPC_LOG_ERROR, "an exception left an HttpHandler: " + text);
    if (claim()) release();
  }
#else
  void run(HttpHandler& handler) {
    handler.OnRec(&content_->request, this);
  }
#endif

  // See ServerCall.
  bool is_unwinding() const {
    return std::uncaught_exceptions() > uncaught_ && pthread_equal(pthread_self(), home_) != 0 &&
           in_handler_;
  }

  bool claim() {
    return open_.exchange(false, std::memory_order_acq_rel);
  }

  void answer() {
    auto& exchange = content_->exchange;
    exchange.response().raw(content_->request.response);
    auto sent = exchange.send(std::nothrow);
    if (!sent) log(FASTRPC_LOG_ERROR, "an answer was not sent: " + sent.error().text());
  }

  // By the handler at its end and by the one that answered: the second buries the call.
  void release() {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    content_.reset();
    bury(this);
  }

  std::optional<Content> content_;
  std::atomic<bool> open_{true};
  std::atomic<int> holders_{2};
  // Both are touched on the handler's thread alone.
  bool in_handler_ = false;
  bool deferred_ = false;
  const int uncaught_ = std::uncaught_exceptions();
  const pthread_t home_ = pthread_self();
};

}  // namespace fastrpc::detail
