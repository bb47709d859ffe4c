// The server: methods on bytes and HTTP routes on one port. It does not need protobuf;
// rpc_server.hpp has the one with protobuf services.
//
//   fastrpc::Server server("0.0.0.0", 8997);
//   server.add_method("demo.Echo", "Echo", [](fastrpc::Call& call) { call.reply(call.body()); });
//   server.route("GET", "/", [](http::Request&, http::Response& response) {
//     response.text("hello");
//   });
//   server.run_until_signal();
//
// Each call and each request has a coroutine of its own; on one worker thread unless the runtime is
// configured for more, so that handlers need no locks. An exception that leaves the handler of a
// call is logged, and fails the call with code 2001 and its what(); for HTTP requests see http.hpp.
#pragma once

#include <fastrpc/call.hpp>
#include <fastrpc/detail/server_handlers.hpp>
#include <fastrpc/http.hpp>
#include <fastrpc/runtime.hpp>
#include <fastrpc/server_options.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc {

namespace detail {

// Lifecycle callbacks for the layers above.
class ServerObserver {
 public:
  virtual ~ServerObserver() = default;
  virtual void listening() {}
  // Called when no handler runs any more, just before the server is freed.
  virtual void stopped() {}
};

}  // namespace detail

// A server. Destroying it stops it at once, and waits for running handlers. Any thread may call its
// functions. Movable, not copyable.
class Server {
 public:
  // `host`: an address or a name, "" for every address of this machine, or "unix:/path"; `port`: 0
  // picks a free one, see port(). Nothing is bound before listen().
  Server(const std::string& host, int port, const ServerOptions& options = {})
      : Server(make(host, port, options, std::nothrow).value()) {}
  static Result<Server> make(const std::string& host, int port, const ServerOptions& options,
                             std::nothrow_t) {
    return make(detail::address_of(host, port), std::nullopt, options);
  }
  // Makes a server on a socket that is already listening, TCP or Unix: inherited, or passed to a
  // Prefork process. listen() takes ownership of it, if it is a listening socket.
  static Server from_socket(int fd, const ServerOptions& options = {}) {
    return from_socket(fd, options, std::nothrow).value();
  }
  static Result<Server> from_socket(int fd, const ServerOptions& options, std::nothrow_t) {
    return make("file descriptor " + std::to_string(fd), fd, options);
  }

  // Adds a method whose calls `handler(fastrpc::Call&)` serves. Fails if the method exists already.
  template <typename F>
  void add_method(std::string_view service, std::string_view method, F handler) {
    add_method(service, method, std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> add_method(std::string_view service, std::string_view method, F handler,
                          std::nothrow_t) {
    using Method = detail::BytesMethod<F>;
    return add_method(service, method, Method::serve,
                      std::unique_ptr<Method>(new Method{std::move(handler), running()}));
  }

  // Adds an HTTP route whose requests `handler(http::Request&, http::Response&)` serves. `method`:
  // such as "GET", which serves HEAD as well. `path`: begins with "/"; ":name" matches one segment,
  // "*name" at the end the rest of the path. Fails if the route exists already.
  template <typename F>
  void route(std::string_view method, std::string_view path, F handler) {
    route(method, path, std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> route(std::string_view method, std::string_view path, F handler, std::nothrow_t) {
    using Route = detail::HttpRoute<F>;
    detail::ErrorSlot error;
    return error.check(fastrpc_server_route(
        capi(), method.data(), method.size(), path.data(), path.size(), Route::serve,
        new Route{std::move(handler), running()}, detail::delete_user<Route>, error.out()));
  }
  // Serves the HTTP requests whose path matches no route, instead of 404; a path with a route for
  // other methods stays 405. Fails if there is a fallback already.
  template <typename F>
  void fallback(F handler) {
    fallback(std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> fallback(F handler, std::nothrow_t) {
    using Route = detail::HttpRoute<F>;
    return fallback(Route::serve, std::unique_ptr<Route>(new Route{std::move(handler), running()}));
  }

  // Pushes a message to a client by its connection id: see Connection.
  template <typename Message, detail::EnableIfMessage<Message> = 0>
  void push(std::uint64_t connection, const Message& message) const {
    push(connection, message, std::nothrow).value();
  }
  template <typename Message, detail::EnableIfMessage<Message> = 0>
  Result<void> push(std::uint64_t connection, const Message& message, std::nothrow_t) const {
    return detail::push_message(message, [&](std::string_view name, std::string_view body) {
      return push(connection, name, body, std::nothrow);
    });
  }
  void push(std::uint64_t connection, std::string_view name, std::string_view body) const {
    push(connection, name, body, std::nothrow).value();
  }
  Result<void> push(std::uint64_t connection, std::string_view name, std::string_view body,
                    std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_push(capi(), connection, name.data(), name.size(),
                                           detail::bytes_of(body), body.size(), error.out()));
  }
  void push_raw(std::uint64_t connection, std::string_view bytes) const {
    push_raw(connection, bytes, std::nothrow).value();
  }
  Result<void> push_raw(std::uint64_t connection, std::string_view bytes, std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_push_raw(capi(), connection, detail::bytes_of(bytes),
                                               bytes.size(), error.out()));
  }

  // Closes a connection by its id, once its write queue is flushed: see Connection.
  void close_connection(std::uint64_t connection) const {
    close_connection(connection, std::nothrow).value();
  }
  Result<void> close_connection(std::uint64_t connection, std::nothrow_t) const {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_close_connection(capi(), connection, error.out()));
  }

  // Runs `handler(id)` in a coroutine once for each connection that has ended: as soon as the
  // client closes its side, even with calls in flight, or when the connection breaks or is closed.
  // With several workers, runs may overlap. Replaces the previous handler. An exception that leaves
  // it is logged.
  template <typename F>
  void on_close(F handler) {
    on_close(std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> on_close(F handler, std::nothrow_t) {
    using Handler = detail::OnClose<F>;
    detail::ErrorSlot error;
    return error.check(fastrpc_server_on_close(capi(), Handler::run,
                                               new Handler{std::move(handler), running()},
                                               detail::delete_user<Handler>, error.out()));
  }

  // Binds the address and serves in the background.
  void listen() { listen(std::nothrow).value(); }
  Result<void> listen(std::nothrow_t) {
    auto bound = bind();
    if (bound && state_->observer != nullptr) state_->observer->listening();
    return bound;
  }

  // Waits until the server has been stopped.
  void wait() const { wait(std::nothrow).value(); }
  Result<void> wait(std::nothrow_t) const { return detail::check(fastrpc_server_wait(capi())); }

  // Binds unless it is listening already, and serves until SIGINT or SIGTERM; then drains the calls
  // in flight for at most `grace`. Returns the signal, or 0 if the server was stopped otherwise.
  template <typename Rep, typename Period>
  int run_until_signal(std::chrono::duration<Rep, Period> grace) {
    return run_until_signal(grace, std::nothrow).value();
  }
  template <typename Rep, typename Period>
  Result<int> run_until_signal(std::chrono::duration<Rep, Period> grace, std::nothrow_t) {
    if (fastrpc_server_address(capi(), nullptr, 0) == 0)
      if (auto bound = listen(std::nothrow); !bound) return bound.error();
    std::int32_t signal = 0;
    detail::ErrorSlot error;
    auto served = error.check(
        fastrpc_server_run_until_signal(capi(), detail::nanoseconds(grace), &signal, error.out()));
    if (!served) return served.error();
    return signal;
  }
  int run_until_signal() { return run_until_signal(kDefaultGrace); }
  Result<int> run_until_signal(std::nothrow_t) {
    return run_until_signal(kDefaultGrace, std::nothrow);
  }

  // Stops for good: drains the calls in flight for at most `grace`, then fails the rest with code
  // 2003. Returns their outcome.
  template <typename Rep, typename Period>
  StopReport stop(std::chrono::duration<Rep, Period> grace) {
    return stop(grace, std::nothrow).value();
  }
  template <typename Rep, typename Period>
  Result<StopReport> stop(std::chrono::duration<Rep, Period> grace, std::nothrow_t) {
    fastrpc_stop_report report;
    report.size = sizeof report;
    auto stopped = detail::check(fastrpc_server_stop(capi(), detail::nanoseconds(grace), &report));
    if (!stopped) return stopped.error();
    return StopReport{report.finished, report.canceled, report.refused};
  }
  StopReport stop() { return stop(kDefaultGrace); }
  Result<StopReport> stop(std::nothrow_t) { return stop(kDefaultGrace, std::nothrow); }

  // Returns the port that it listens on; 0 before listen() and for a Unix socket.
  [[nodiscard]] int port() const { return fastrpc_server_port(capi()); }
  // Returns the address that it listens on, such as "127.0.0.1:8997"; empty before listen().
  [[nodiscard]] std::string address() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_server_address(capi(), buffer, size);
    });
  }
  // Returns the counters.
  [[nodiscard]] ServerStats stats() const {
    fastrpc_server_stats c;
    c.size = sizeof c;
    detail::check(fastrpc_server_stats_get(capi(), &c)).value();
    return detail::from_c(c);
  }

  // Returns the C object, which the server keeps.
  [[nodiscard]] fastrpc_server* capi() const { return state_->handle.get(); }

 protected:
  // Grace period of stop() and run_until_signal() without an argument.
  static constexpr std::chrono::seconds kDefaultGrace{10};

  [[nodiscard]] const std::shared_ptr<detail::RunningHandlers>& running() const {
    return state_->running;
  }
  // The address passed to the constructor, for messages.
  [[nodiscard]] const std::string& requested_address() const { return state_->address; }
  [[nodiscard]] bool has_given_socket() const { return state_->given_socket; }
  void observe(std::shared_ptr<detail::ServerObserver> observer) {
    state_->observer = std::move(observer);
  }

  template <typename User>
  Result<void> add_method(std::string_view service, std::string_view method,
                          fastrpc_call_handler function, std::unique_ptr<User> user) {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_add_method(
        capi(), service.data(), service.size(), method.data(), method.size(), function,
        user.release(), detail::delete_user<User>, error.out()));
  }
  template <typename User>
  Result<void> fallback(fastrpc_http_handler function, std::unique_ptr<User> user) {
    detail::ErrorSlot error;
    return error.check(fastrpc_server_fallback(capi(), function, user.release(),
                                               detail::delete_user<User>, error.out()));
  }

 private:
  // Owns the C server, and stops it at the end.
  struct State {
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      fastrpc_server_stop(handle.get(), 0, nullptr);
      if (!running->wait_for_others(grace))
        fastrpc::log(LogLevel::error, "a server was destroyed while its handlers still run");
      if (observer != nullptr) observer->stopped();
    }

    detail::Handle<fastrpc_server, fastrpc_server_free> handle;
    std::string address;
    std::optional<int> socket;
    bool given_socket = false;
    std::chrono::nanoseconds grace{};
    std::shared_ptr<detail::ServerObserver> observer;
    std::shared_ptr<detail::RunningHandlers> running = std::make_shared<detail::RunningHandlers>();
  };

  explicit Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

  static Result<Server> make(std::string address, std::optional<int> socket,
                             const ServerOptions& options) {
    fastrpc_server_options c = detail::to_c(options);
    fastrpc_server* handle = nullptr;
    detail::ErrorSlot error;
    auto made = error.check(fastrpc_server_new(&c, &handle, error.out()));
    if (!made) return made.error();
    auto state = std::make_unique<State>();
    state->handle.reset(handle);
    state->address = std::move(address);
    state->socket = socket;
    state->given_socket = socket.has_value();
    state->grace = options.destructor_grace;
    return Server(std::move(state));
  }

  Result<void> bind() {
    detail::ErrorSlot error;
    if (has_given_socket()) {
      // Once only: the library owns it afterwards.
      int fd = std::exchange(state_->socket, std::nullopt).value_or(-1);
      return error.check(fastrpc_server_listen_fd(capi(), fd, error.out()));
    }
    const std::string& address = state_->address;
    return error.check(fastrpc_server_listen(capi(), address.data(), address.size(), error.out()));
  }

  std::unique_ptr<State> state_;
};

}  // namespace fastrpc
