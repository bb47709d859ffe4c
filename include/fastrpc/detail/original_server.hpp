// The names of 2016 in RpcServer.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/service.h>

#include <fastrpc/detail/http_call.hpp>
#include <fastrpc/detail/original_svr.hpp>
#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/http_handler.hpp>
#include <fastrpc/server.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace fastrpc::detail {

// What the names of 2016 need of a server: it lives until the server's last handler has ended.
class OriginalState final : public ServerObserver {
 public:
  OriginalState(fastrpc_server* server, const std::string& address) : svr(server, address) {}

  void listening() override { svr.listening(); }
  void stopped() override {
    if (http_handler != nullptr) finish(*http_handler);
  }

  void finish(HttpHandler& handler) {
    (void)run_logged("HttpHandler::Finish", [&] { handler.Finish(&svr); });
  }

  CASyncSvr svr;
  std::shared_ptr<HttpHandler> http_handler;
};

// The mixin of RpcServer, `Server`: methods of 2016 by those of today.
template <typename Server>
class OriginalServer {
 public:
  // Adds a service that must outlive the server; false if it is NULL or there already.
  bool RegiService(google::protobuf::Service* service) {
    return service != nullptr && self().add_service(*service, std::nothrow).ok();
  }

  // Sends a message to a client. False if it could not be sent: see Connection.
  static bool PushToClient(CASyncSvr* svr, unsigned cli_flow, google::protobuf::Message* message) {
    if (svr == nullptr || message == nullptr) return false;
    auto push = [&](std::string_view name, std::string_view body) {
      return check(fastrpc_server_push(svr->capi(), cli_flow, name.data(), name.size(),
                                       bytes_of(body), body.size(), nullptr));
    };
    return push_message(*message, push).ok();
  }
  static bool PushRawDataToClient(CASyncSvr* svr, unsigned cli_flow, const std::string& data) {
    return svr != nullptr && fastrpc_server_push_raw(svr->capi(), cli_flow, bytes_of(data),
                                                     data.size(), nullptr) == FASTRPC_OK;
  }

  // Runs `handler` for each connection that has ended; false if it is NULL.
  using ext_handler = int(CASyncSvr* svr, unsigned cli_flow, void* param);
  bool RegiClientCloseHandler(ext_handler* handler, void* param) {
    if (handler == nullptr) return false;
    auto on_close = [handler, param, svr = svr()](std::uint64_t connection) {
      handler(svr->listening(), flow_of(connection), param);
    };
    return self().on_close(on_close, std::nothrow).ok();
  }

  // Answers the HTTP requests that no route fits by a handler that must outlive the server. False
  // if it is NULL, if there is one already, or, with a record in the log, if an exception leaves
  // Init().
  bool RegiHttpHandler(HttpHandler* handler) {
    return add_http_handler({std::shared_ptr<void>(), handler}, std::nothrow).ok();
  }
  // The same for a handler that the server keeps.
  void add_http_handler(std::shared_ptr<HttpHandler> handler) {
    add_http_handler(std::move(handler), std::nothrow).value();
  }
  Result<void> add_http_handler(std::shared_ptr<HttpHandler> handler, std::nothrow_t) {
    if (handler == nullptr) return Error(FASTRPC_EINVAL);
    auto user =
        std::make_unique<HttpRegistration>(HttpRegistration{handler, self().running(), svr()});
    if (state_->http_handler != nullptr) return Error(FASTRPC_ESTATE);
    // The first request may come at once.
    auto begun = run_logged("HttpHandler::Init", [&] { handler->Init(svr()); });
    if (!begun) return begun;
    auto added = self().fallback(HttpCall::serve, std::move(user));
    if (!added) {
      state_->finish(*handler);
      return added;
    }
    state_->http_handler = std::move(handler);
    return {};
  }

  // Binds and serves until stop(), or, in a process of a prefork, until SIGTERM, as
  // run_until_signal(). False, with a record in the log, if it cannot listen.
  bool start() {
    if (auto bound = self().listen(std::nothrow); !bound) {
      log(LogLevel::error,
          "cannot listen on " + self().requested_address() + ": " + bound.error().text());
      return false;
    }
    // Another server of the process may wait for the signal already.
    if (fastrpc_process_index() < 0 || !self().run_until_signal(std::nothrow)) self().wait();
    return true;
  }

 protected:
  [[nodiscard]] CASyncSvr* svr() const { return &state_->svr; }

  // Makes what the server is to observe its life by.
  std::shared_ptr<ServerObserver> watch(const Server& server, const std::string& address) {
    state_ = std::make_shared<OriginalState>(server.capi(), address);
    return state_;
  }

 private:
  Server& self() { return static_cast<Server&>(*this); }

  std::shared_ptr<OriginalState> state_;
};

}  // namespace fastrpc::detail
