// The RPC server: protobuf services and, on the same port, HTTP.
//
//   fastrpc::RpcServer server("0.0.0.0", 8997);
//   EchoService echo;
//   server.RegiService(&echo);
//   server.start();
//
// Each call runs in a coroutine of its own; on one worker thread unless the runtime is configured
// for more, so that services need no locks. A service answers by done->Run(), exactly once, from
// any thread or coroutine, before its method returns or later:
// - Run again, `done` writes an error to the log and does nothing: as long as the method runs, and
//   then until 1,024 more calls have ended. After that it is a use after free.
// - Never run, the call stays open and in flight: the client waits for its timeout, and what the
//   call holds is never freed.
// - Run after the connection or the server has gone, it frees what the call holds.
// - An exception that leaves the method becomes an error answer with its what(), number 2001,
//   unless the call was answered before; `done` must not be run any more then. A guard that runs
//   `done` while the exception passes does no harm: the exception is the answer.
#pragma once

#include <fastrpc/detail/http_call.hpp>
#include <fastrpc/detail/server_call.hpp>

#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <utility>

namespace fastrpc {

// The bounds of a server; 0 keeps the library's default.
struct ServerOptions {
  // Bytes of the largest request.
  std::size_t max_frame = 0;
  // Connections open at once.
  std::size_t max_connections = 0;
  // Unanswered calls of a connection, beyond which it is not read for a while.
  std::size_t max_in_flight = 0;
  // Bytes of answers that a connection may leave untaken.
  std::size_t max_unsent = 0;
  // Bytes of the largest body of a request of HTTP; beyond, the answer is 413.
  std::uint64_t http_max_body = 0;
  // Bytes of the largest head of a request of HTTP; beyond, the answer is 431.
  std::size_t http_max_head = 0;
  // By when a head of HTTP must be whole, and how long a body may pause; beyond, the answer is 408.
  std::chrono::nanoseconds http_head_timeout{0};
  std::chrono::nanoseconds http_body_timeout{0};
  // How long a connection of HTTP may be idle.
  std::chrono::nanoseconds http_idle_timeout{0};
  // How long the destructor waits for methods that still run.
  std::chrono::nanoseconds destructor_grace = std::chrono::seconds(5);
};

// A server. Destroying it stops it at once, and waits for methods that still run, since they use
// their service. Its functions may be called by any thread.
class RpcServer {
 public:
  // `host`: an address or a name, "" for every address of this machine, or "unix:/path"; `port`: 0
  // takes a free one, see port(). Nothing is bound before listen() or start().
  RpcServer(const std::string& host, int port, const ServerOptions& options = {})
      : RpcServer(options, detail::address_of(host, port), kNoFd) {}
  // For a socket that listens already, TCP or Unix: one that was inherited, or that a process of a
  // prefork got. listen() or start() makes it the server's, if it does listen.
  explicit RpcServer(int listen_fd, const ServerOptions& options = {})
      : RpcServer(options, "file descriptor " + std::to_string(listen_fd), listen_fd) {}

  // Adds a service, which must outlive the server. Throws if it is there already.
  void add_service(google::protobuf::Service& service) { add(lent(&service)).value(); }
  // Adds a service and keeps it, until its last call has ended.
  void add_service(std::shared_ptr<google::protobuf::Service> service) {
    add(std::move(service)).value();
  }
  Result<void> add_service(std::shared_ptr<google::protobuf::Service> service, std::nothrow_t) {
    return add(std::move(service));
  }
  // The original's spelling, for a service that must outlive the server; false if it is NULL or
  // there already.
  bool RegiService(google::protobuf::Service* service) { return add(lent(service)).ok(); }

  // Sends a message to a client by the number of its connection: see Connection.
  void push(std::uint64_t connection, const google::protobuf::Message& message) {
    push(connection, message, std::nothrow).value();
  }
  Result<void> push(std::uint64_t connection, const google::protobuf::Message& message,
                    std::nothrow_t) {
    return push(get(), connection, message);
  }

  // Closes a connection by its number, once what was sent on it has left: see Connection.
  void close_connection(std::uint64_t connection) {
    close_connection(connection, std::nothrow).value();
  }
  Result<void> close_connection(std::uint64_t connection, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_close_connection(get(), connection, error.out()));
  }

  // Runs `handler(id)` once for each connection that has ended, in a coroutine: as soon as the
  // client closed its side, whatever calls are still in flight, or when the connection broke or
  // was closed. With several workers, several at the same time. Replaces the handler before. An
  // exception that leaves it is logged.
  template <typename F>
  void on_close(F handler) {
    using Handler = detail::OnClose<F>;
    auto* user = new Handler{std::move(handler), end_->running};
    detail::ErrorSlot error;
    auto set = error.check(fastrpc_server_on_close(get(), Handler::run, user,
                                                   detail::delete_user<Handler>, error.out()));
    set.value();
  }

  // The original's spellings. False if the message could not be sent: see Connection.
  static bool PushToClient(CASyncSvr* svr, unsigned cli_flow, google::protobuf::Message* message) {
    return svr != nullptr && message != nullptr && push(svr->server_, cli_flow, *message).ok();
  }
  static bool PushRawDataToClient(CASyncSvr* svr, unsigned cli_flow, const std::string& data) {
    return svr != nullptr && fastrpc_server_push_raw(svr->server_, cli_flow, detail::bytes_of(data),
                                                     data.size(), nullptr) == FASTRPC_OK;
  }
  using ext_handler = int(CASyncSvr* svr, unsigned cli_flow, void* param);
  // False if `handler` is NULL.
  bool RegiClientCloseHandler(ext_handler* handler, void* param) {
    if (handler == nullptr) return false;
    on_close([handler, param, svr = &end_->svr](std::uint64_t connection) {
      handler(svr->listening(), detail::flow_of(connection), param);
    });
    return true;
  }

  // Answers requests of HTTP by `handler(http::request&, http::response&)`: see http.hpp. `method`:
  // such as "GET", which serves HEAD as well. `path`: begins with "/"; ":name" stands for one
  // segment, "*name" at the end for all that is left. Throws if there is such a route.
  template <typename F>
  void route(std::string_view method, std::string_view path, F handler) {
    route(method, path, std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> route(std::string_view method, std::string_view path, F handler, std::nothrow_t) {
    if (method.empty()) return Error(FASTRPC_EINVAL);
    using Route = detail::HttpRoute<F>;
    return add_route(method, path, Route::serve,
                     std::make_unique<Route>(Route{std::move(handler), end_->running}));
  }
  // Answers the requests of HTTP that no route fits, instead of 404. Throws if that is done
  // already.
  template <typename F>
  void route_others(F handler) {
    using Route = detail::HttpRoute<F>;
    add_fallback(Route::serve, std::make_unique<Route>(Route{std::move(handler), end_->running}))
        .value();
  }
  // Answers the requests of HTTP that no route fits by a handler in the original's spelling, which
  // it keeps. Throws if that is done already, or if an exception leaves Init().
  void add_http_handler(std::shared_ptr<HttpHandler> handler) {
    add_handler(std::move(handler)).value();
  }
  // The original's spelling, for a handler that must outlive the server. False if it is NULL, if
  // there is one already, or, with a record in the log, if an exception leaves Init().
  bool RegiHttpHandler(HttpHandler* handler) {
    return add_handler({std::shared_ptr<void>(), handler}).ok();
  }

  // Binds and serves in the background.
  Result<void> listen(std::nothrow_t) {
    auto bound = bind();
    if (bound) end_->svr.listening();
    return bound;
  }
  void listen() { listen(std::nothrow).value(); }

  // The original's spelling: binds and serves until stop(), or, in a process of a prefork, until
  // SIGTERM, as run_until_signal(). False, with a record in the log, if it cannot listen.
  bool start() {
    if (auto bound = listen(std::nothrow); !bound) {
      fastrpc::log(FASTRPC_LOG_ERROR, "cannot listen on " + address_ + ": " + bound.error().text());
      return false;
    }
    // Another server of the process may wait for the signal already.
    if (fastrpc_process_index() < 0 || !serve_until_signal(std::chrono::seconds(10))) wait();
    return true;
  }

  // Waits until the server has been stopped.
  void wait() { detail::check(fastrpc_server_wait(get())).value(); }

  // Binds unless it listens already, and serves until SIGINT or SIGTERM; then lets the calls in
  // flight end, for at most `grace`. Gives the signal, 0 if the server was stopped otherwise.
  template <typename Rep, typename Period>
  int run_until_signal(std::chrono::duration<Rep, Period> grace) {
    if (fastrpc_server_address(get(), nullptr, 0) == 0) listen();
    return serve_until_signal(grace).value();
  }
  int run_until_signal() { return run_until_signal(std::chrono::seconds(10)); }

  // Stops for good; calls in flight have `grace` to end, and fail with number 2003 after it.
  template <typename Rep, typename Period>
  void stop(std::chrono::duration<Rep, Period> grace) {
    detail::check(fastrpc_server_stop(get(), detail::nanoseconds(grace), nullptr)).value();
  }
  void stop() { stop(std::chrono::seconds(10)); }

  // The port it listens on; 0 before listen() and for a Unix socket.
  [[nodiscard]] int port() const { return fastrpc_server_port(get()); }
  // The address it listens on.
  [[nodiscard]] std::string address() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_server_address(get(), buffer, size);
    });
  }
  // What it has done, and is doing.
  [[nodiscard]] fastrpc_server_stats stats() const {
    fastrpc_server_stats stats;
    stats.size = sizeof stats;
    detail::check(fastrpc_server_stats_get(get(), &stats)).value();
    return stats;
  }

 private:
  // Of a server that binds by itself, and of one whose socket was handed over.
  static constexpr int kNoFd = std::numeric_limits<int>::min();
  static constexpr int kGone = -1;

  RpcServer(const ServerOptions& options, std::string address, int listen_fd)
      : address_(std::move(address)), listen_fd_(listen_fd) {
    fastrpc_server_options c;
    fastrpc_server_options_init(&c, sizeof c);
    if (options.max_frame != 0) c.max_frame = options.max_frame;
    if (options.max_connections != 0) c.max_connections = options.max_connections;
    if (options.max_in_flight != 0) c.max_in_flight = options.max_in_flight;
    if (options.max_unsent != 0) c.max_unsent = options.max_unsent;
    if (options.http_max_body != 0) c.http_max_body = options.http_max_body;
    if (options.http_max_head != 0) c.http_max_head = options.http_max_head;
    set_time(options.http_head_timeout, c.http_head_timeout);
    set_time(options.http_body_timeout, c.http_body_timeout);
    set_time(options.http_idle_timeout, c.http_idle_timeout);
    fastrpc_server* server = nullptr;
    detail::ErrorSlot error;
    auto made = error.check(fastrpc_server_new(&c, &server, error.out()));
    made.value();
    end_ = std::make_unique<End>(server, listen_fd_ == kNoFd ? address_ : std::string(),
                                 options.destructor_grace);
  }

  // The server, and its end.
  struct End {
    End(fastrpc_server* server, const std::string& address, std::chrono::nanoseconds time)
        : handle(server), svr(server, address), grace(time) {}
    ~End() {
      fastrpc_server_stop(handle.get(), 0, nullptr);
      if (!running->wait_for_others(grace))
        fastrpc::log(FASTRPC_LOG_ERROR, "a server was destroyed while its methods still run");
      if (http_handler != nullptr) finish(*http_handler);
    }

    void finish(HttpHandler& handler) {
      (void)detail::run_logged("HttpHandler::Finish", [&] { handler.Finish(&svr); });
    }

    detail::Handle<fastrpc_server, fastrpc_server_free> handle;
    CASyncSvr svr;
    std::chrono::nanoseconds grace;
    std::shared_ptr<HttpHandler> http_handler;
    std::shared_ptr<detail::Running> running = std::make_shared<detail::Running>();
  };

  fastrpc_server* get() const { return end_->handle.get(); }

  Result<void> bind() {
    detail::ErrorSlot error;
    if (listen_fd_ != kNoFd) {
      int fd = std::exchange(listen_fd_, kGone);
      return error.check(fastrpc_server_listen_fd(get(), fd, error.out()));
    }
    return error.check(fastrpc_server_listen(get(), address_.data(), address_.size(), error.out()));
  }

  template <typename Duration>
  Result<int> serve_until_signal(Duration grace) {
    std::int32_t signal = 0;
    detail::ErrorSlot error;
    auto served = error.check(
        fastrpc_server_run_until_signal(get(), detail::nanoseconds(grace), &signal, error.out()));
    if (!served) return served.error();
    return signal;
  }

  static void set_time(std::chrono::nanoseconds from, std::int64_t& to) {
    if (from.count() != 0) to = detail::nanoseconds(from);
  }

  Result<void> add_handler(std::shared_ptr<HttpHandler> handler) {
    if (handler == nullptr) return Error(FASTRPC_EINVAL);
    using Registration = detail::HttpRegistration;
    auto user = std::make_unique<Registration>(Registration{handler, end_->running, &end_->svr});
    if (end_->http_handler != nullptr) return Error(FASTRPC_ESTATE);
    // The first request may come at once.
    auto begun = detail::run_logged("HttpHandler::Init", [&] { handler->Init(&end_->svr); });
    if (!begun) return begun;
    auto added = add_fallback(detail::HttpCall::serve, std::move(user));
    if (!added) {
      end_->finish(*handler);
      return added;
    }
    end_->http_handler = std::move(handler);
    return {};
  }

  template <typename User>
  Result<void> add_route(std::string_view method, std::string_view path,
                         fastrpc_http_handler function, std::unique_ptr<User> user) {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_route(get(), method.data(), method.size(), path.data(),
                                            path.size(), function, user.release(),
                                            detail::delete_user<User>, error.out()));
  }

  template <typename User>
  Result<void> add_fallback(fastrpc_http_handler function, std::unique_ptr<User> user) {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_fallback(get(), function, user.release(),
                                               detail::delete_user<User>, error.out()));
  }

  static Result<void> push(fastrpc_server* server, std::uint64_t connection,
                           const google::protobuf::Message& message) {
    detail::Pushed pushed(message);
    if (!pushed.whole) return pushed.error();
    detail::ErrorSlot error;
    return error.check(fastrpc_server_push(server, connection, pushed.name.data(),
                                           pushed.name.size(), detail::bytes_of(pushed.body),
                                           pushed.body.size(), error.out()));
  }

  static std::shared_ptr<google::protobuf::Service> lent(google::protobuf::Service* service) {
    return {std::shared_ptr<void>(), service};
  }

  Result<void> add(const std::shared_ptr<google::protobuf::Service>& service) {
    if (service == nullptr) return Error(FASTRPC_EINVAL);
    const auto* descriptor = service->GetDescriptor();
    for (int i = 0; i < descriptor->method_count(); ++i) {
      auto added = add_method(std::make_unique<detail::Method>(service, descriptor->method(i),
                                                               end_->running, &end_->svr));
      if (!added) return added;
    }
    return {};
  }

  Result<void> add_method(std::unique_ptr<detail::Method> method) {
    auto owner = detail::name_of(method->descriptor->service()->full_name());
    auto name = detail::name_of(method->descriptor->name());
    detail::ErrorSlot error;
    return error.check(fastrpc_server_add_method(
        get(), owner.data(), owner.size(), name.data(), name.size(), detail::ServerCall::serve,
        method.release(), detail::delete_user<detail::Method>, error.out()));
  }

  std::string address_;
  int listen_fd_;
  std::unique_ptr<End> end_;
};

}  // namespace fastrpc
