// The client: calls on bytes, and messages that the server pushes. It needs no protobuf; typed
// calls and the stubs of protobuf are in rpc_client.hpp.
//
//   fastrpc::Client client("127.0.0.1", 8997);
//   fastrpc::Response response = client.call("demo.Echo", "Echo", "hello");
//   std::cout << response.body();
#pragma once

#include <fastrpc/client_options.hpp>
#include <fastrpc/detail/address.hpp>
#include <fastrpc/detail/bytes.hpp>
#include <fastrpc/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fastrpc {

// The response of a call on bytes. Its views live as long as it does. Movable, not copyable.
class Response {
 public:
  // Takes ownership of a C object.
  explicit Response(fastrpc_response* handle) : handle_(handle) {}

  [[nodiscard]] std::string_view body() const { return part(fastrpc_response_body); }
  // Returns the bytes sent beside the response.
  [[nodiscard]] std::string_view attachment() const { return part(fastrpc_response_attachment); }
  // Returns the address of the server that responded, such as "10.0.0.7:8997".
  [[nodiscard]] std::string peer() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_response_peer(capi(), buffer, size);
    });
  }

  // Returns the C object, which the response keeps.
  [[nodiscard]] fastrpc_response* capi() const { return handle_.get(); }

 private:
  std::string_view part(const std::uint8_t* (*get)(const fastrpc_response*, std::size_t*)) const {
    std::size_t size = 0;
    const std::uint8_t* bytes = get(capi(), &size);
    return detail::view(bytes, size);
  }

  detail::Handle<fastrpc_response, fastrpc_response_free> handle_;
};

// One connection to a server, with any number of calls in flight. It connects on the first call and
// reconnects after the connection breaks, upon which the calls in flight fail at once. Any thread
// and any coroutine may call; destroying it fails the calls in flight, and must not race with a
// call. Movable, not copyable.
class Client {
 public:
  // `host`: an address or a name, or "unix:/path".
  Client(const std::string& host, int port, const ClientOptions& options = {})
      : Client(make(host, port, options, std::nothrow).value()) {}
  static Result<Client> make(const std::string& host, int port, const ClientOptions& options,
                             std::nothrow_t) {
    fastrpc_client_options c = detail::to_c(options);
    std::string address = detail::address_of(host, port);
    fastrpc_client* handle = nullptr;
    detail::ErrorSlot error;
    auto made =
        error.check(fastrpc_client_new(address.data(), address.size(), &c, &handle, error.out()));
    if (!made) return made.error();
    return Client(handle);
  }

  // Calls a method and waits for the response: suspends the coroutine or blocks the thread. Fails
  // with FASTRPC_EREMOTE if the server responded with an error, and as fastrpc_client_call() does.
  Response call(std::string_view service, std::string_view method, std::string_view body,
                const CallOptions& options = {}) const {
    return call(service, method, body, options, std::nothrow).value();
  }
  Result<Response> call(std::string_view service, std::string_view method, std::string_view body,
                        std::nothrow_t) const {
    return call(service, method, body, {}, std::nothrow);
  }
  Result<Response> call(std::string_view service, std::string_view method, std::string_view body,
                        const CallOptions& options, std::nothrow_t) const {
    fastrpc_call_options c = detail::to_c(options);
    fastrpc_response* response = nullptr;
    detail::ErrorSlot error;
    auto called = error.check(
        fastrpc_client_call(capi(), service.data(), service.size(), method.data(), method.size(),
                            detail::bytes_of(body), body.size(), &c, &response, error.out()));
    if (!called) return called.error();
    return Response(response);
  }

  // Calls a method and returns at once; `done(Result<Response>)` runs in a coroutine, exactly once
  // unless this function fails. An exception that leaves it is logged.
  template <typename F>
  void call_async(std::string_view service, std::string_view method, std::string_view body,
                  const CallOptions& options, F done) const {
    call_async(service, method, body, options, std::move(done), std::nothrow).value();
  }
  template <typename F>
  Result<void> call_async(std::string_view service, std::string_view method, std::string_view body,
                          const CallOptions& options, F done, std::nothrow_t) const {
    static_assert(std::is_invocable_v<F&, Result<Response>>,
                  "the end of a call is void(fastrpc::Result<fastrpc::Response> response)");
    auto run = [](void* user, fastrpc_response* response, fastrpc_error* error) {
      if constexpr (std::is_invocable_v<F&, Result<Response>>) {
        auto& f = *static_cast<F*>(user);
        Response got(response);
        if (error != nullptr) {
          f(Result<Response>(detail::ErrorSlot::take(fastrpc_error_status(error), error)));
        } else {
          f(Result<Response>(std::move(got)));
        }
      }
    };
    fastrpc_call_options c = detail::to_c(options);
    detail::ErrorSlot error;
    return error.check(fastrpc_client_call_async(
        capi(), service.data(), service.size(), method.data(), method.size(),
        detail::bytes_of(body), body.size(), &c, run, new F(std::move(done)),
        detail::delete_user<F>, nullptr, error.out()));
  }

  // Runs `handler(name, body)` with the type and the bytes of each message that the server pushes,
  // two string views, in order of arrival, one at a time, in a coroutine. With baidu_std, the next
  // call tells the server that this client accepts pushes. Replaces the previous handler. An
  // exception that leaves it is logged. A handler that is running when the client is destroyed runs
  // to completion: what it uses must outlive it.
  template <typename F>
  void on_push(F handler) {
    on_push(std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> on_push(F handler, std::nothrow_t) {
    static_assert(std::is_invocable_v<F&, std::string_view, std::string_view>,
                  "a handler of pushes is void(std::string_view name, std::string_view body)");
    auto run = [](void* user, const char* name, std::size_t name_size, const std::uint8_t* body,
                  std::size_t body_size) {
      if constexpr (std::is_invocable_v<F&, std::string_view, std::string_view>)
        (*static_cast<F*>(user))(std::string_view(name, name_size), detail::view(body, body_size));
    };
    detail::ErrorSlot error;
    return error.check(fastrpc_client_on_push(capi(), run, new F(std::move(handler)),
                                              detail::delete_user<F>, error.out()));
  }

  // Runs `handler(error)` in a coroutine each time an established connection is lost: after the
  // calls in flight have failed, and never concurrently with the push handler. Closing or
  // destroying the client does not count as a loss. Replaces the previous handler. An exception
  // that leaves it is logged.
  template <typename F>
  void on_close(F handler) {
    on_close(std::move(handler), std::nothrow).value();
  }
  template <typename F>
  Result<void> on_close(F handler, std::nothrow_t) {
    static_assert(std::is_invocable_v<F&, const Error&>,
                  "a handler of lost connections is void(const fastrpc::Error& why)");
    auto run = [](void* user, fastrpc_error* error) {
      const Error why = detail::ErrorSlot::take(fastrpc_error_status(error), error);
      if constexpr (std::is_invocable_v<F&, const Error&>) (*static_cast<F*>(user))(why);
    };
    detail::ErrorSlot error;
    return error.check(fastrpc_client_on_close(capi(), run, new F(std::move(handler)),
                                               detail::delete_user<F>, error.out()));
  }

  // Connects now, if it is not connected; waits for at most `time`.
  template <typename Rep, typename Period>
  void connect(std::chrono::duration<Rep, Period> time) {
    connect(time, std::nothrow).value();
  }
  template <typename Rep, typename Period>
  Result<void> connect(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_client_connect(capi(), detail::nanoseconds(time), error.out()));
  }

  // Returns whether the client is connected at the moment.
  [[nodiscard]] bool is_connected() const { return fastrpc_client_is_connected(capi()); }
  // Returns the server's address, as it was given.
  [[nodiscard]] std::string address() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_client_address(capi(), buffer, size);
    });
  }
  // Returns the counters.
  [[nodiscard]] ClientStats stats() const {
    fastrpc_client_stats c;
    c.size = sizeof c;
    detail::check(fastrpc_client_stats_get(capi(), &c)).value();
    return detail::from_c(c);
  }

  // Closes the client for good: calls in flight fail.
  void close() { fastrpc_client_close(capi()); }

  // Returns the C object, which the client keeps.
  [[nodiscard]] fastrpc_client* capi() const { return handle_.get(); }

 private:
  explicit Client(fastrpc_client* handle) : handle_(handle) {}

  detail::Handle<fastrpc_client, fastrpc_client_free> handle_;
};

}  // namespace fastrpc
