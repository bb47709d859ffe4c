// Requests and answers of HTTP, as the handlers of RpcServer::route() get them.
//
//   fastrpc::RpcServer server("", 8080);
//   server.route("GET", "/hello/:name", [](http::request& request, http::response& response) {
//     response.text("hello " + std::string(request.param("name")));
//   });
//
// A handler runs in a coroutine of its own; on one worker thread unless the runtime is configured
// for more. The answer is sent when it returns, or later, if it was deferred. An exception that
// leaves it is logged and answered with 500; if a part of the answer is out, the connection ends.
#pragma once

#include <fastrpc/detail/handle.hpp>
#include <fastrpc/error.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace fastrpc::http {

class deferred;

// A request. Lives as long as its handler runs, or as what it was deferred to; so do the texts that
// its functions give. One thread at a time. Texts that are not there are empty.
class request {
 public:
  explicit request(fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  // Such as "GET".
  [[nodiscard]] std::string_view method() const { return text(fastrpc_http_method); }
  // Percent-encoded as it came.
  [[nodiscard]] std::string_view path() const { return text(fastrpc_http_path); }
  // What follows the question mark, percent-encoded as it came.
  [[nodiscard]] std::string_view query_string() const { return text(fastrpc_http_query_string); }
  // The request line and the header fields as they came, with the empty line at their end.
  [[nodiscard]] std::string_view head() const { return text(fastrpc_http_head); }
  // 11 for HTTP/1.1, 10 for HTTP/1.0.
  [[nodiscard]] int version() const { return fastrpc_http_version(exchange_); }

  // A header field, whatever the case of its name; of several with one name, by its index.
  [[nodiscard]] std::string_view header(std::string_view name, std::size_t index = 0) const {
    std::size_t size = 0;
    const char* value = fastrpc_http_header(exchange_, name.data(), name.size(), index, &size);
    return {value, size};
  }
  [[nodiscard]] bool has_header(std::string_view name) const {
    std::size_t size = 0;
    return fastrpc_http_header(exchange_, name.data(), name.size(), 0, &size) != nullptr;
  }
  // Calls `f(name, value)` for each header field; names are in lower case.
  template <typename F>
  void each_header(F f) const {
    const char *name = nullptr, *value = nullptr;
    std::size_t name_size = 0, value_size = 0;
    for (std::size_t i = 0;
         fastrpc_http_header_at(exchange_, i, &name, &name_size, &value, &value_size); ++i)
      f(std::string_view(name, name_size), std::string_view(value, value_size));
  }

  // What stood in the path in the place of ":name" or "*name", decoded.
  [[nodiscard]] std::string_view param(std::string_view name) const {
    return named(fastrpc_http_param, name);
  }
  // A parameter behind the question mark, decoded: the first of its name.
  [[nodiscard]] std::string_view query(std::string_view name) const {
    return named(fastrpc_http_query, name);
  }
  // A cookie as it came: the first of its name.
  [[nodiscard]] std::string_view cookie(std::string_view name) const {
    return named(fastrpc_http_cookie, name);
  }

  // Where the request came from, such as "10.0.0.7:4711".
  [[nodiscard]] std::string peer() const {
    std::string text(fastrpc_http_peer(exchange_, nullptr, 0) + 1, '\0');
    text.resize(fastrpc_http_peer(exchange_, text.data(), text.size()));
    return text;
  }
  // The number of its connection, which the server gives no other.
  [[nodiscard]] std::uint64_t connection() const { return fastrpc_http_connection_id(exchange_); }

  // The bytes of the body, if the client said so beforehand.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const {
    std::int64_t length = fastrpc_http_content_length(exchange_);
    if (length < 0) return std::nullopt;
    return static_cast<std::uint64_t>(length);
  }
  // The whole body; read the first time this is called. Fails when it does not come, is malformed
  // or too large: the client is answered accordingly, whatever the handler answers. May suspend.
  [[nodiscard]] std::string_view body() { return body(std::nothrow).value(); }
  Result<std::string_view> body(std::nothrow_t) {
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    detail::ErrorSlot error;
    auto read = error.check(fastrpc_http_body(exchange_, &bytes, &size, error.out()));
    if (!read) return read.error();
    return std::string_view(reinterpret_cast<const char*>(bytes), size);
  }
  // Reads some of the body; 0 at its end. While it is not read, the client is held up. Fails as
  // body() does. May suspend.
  std::size_t read(void* buffer, std::size_t size) {
    return read(buffer, size, std::nothrow).value();
  }
  Result<std::size_t> read(void* buffer, std::size_t size, std::nothrow_t) {
    std::size_t count = 0;
    detail::ErrorSlot error;
    auto* bytes = static_cast<std::uint8_t*>(buffer);
    auto read = error.check(fastrpc_http_read(exchange_, bytes, size, &count, error.out()));
    if (!read) return read.error();
    return count;
  }
  // A parameter of a body of the type application/x-www-form-urlencoded, decoded: the first of its
  // name. Fails for a body of another type, and as body() does. May suspend.
  [[nodiscard]] std::string_view form(std::string_view name) {
    return form(name, std::nothrow).value();
  }
  Result<std::string_view> form(std::string_view name, std::nothrow_t) {
    std::size_t size = 0;
    fastrpc_error* error = nullptr;
    const char* value = fastrpc_http_form(exchange_, name.data(), name.size(), &size, &error);
    if (error != nullptr) return detail::ErrorSlot::take(fastrpc_error_status(error), error);
    return std::string_view(value, size);
  }

 private:
  using Text = const char*(const fastrpc_http_exchange*, std::size_t*);
  using Named = const char*(const fastrpc_http_exchange*, const char*, std::size_t, std::size_t*);

  std::string_view text(Text* get) const {
    std::size_t size = 0;
    const char* bytes = get(exchange_, &size);
    return {bytes, size};
  }
  std::string_view named(Named* get, std::string_view name) const {
    std::size_t size = 0;
    const char* bytes = get(exchange_, name.data(), name.size(), &size);
    return {bytes, size};
  }

  fastrpc_http_exchange* exchange_;
};

// The answer: 200 without a body unless something else is set. Lives as long as its request. One
// thread at a time.
class response {
 public:
  explicit response(fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  // Between 200 and 999.
  response& status(int number) {
    detail::check(fastrpc_http_set_status(exchange_, number)).value();
    return *this;
  }
  // Adds a field. Throws if it cannot be sent: a line break in it, say. Content-Length,
  // Transfer-Encoding and Date are the library's and ignored.
  response& header(std::string_view name, std::string_view value) {
    header(name, value, std::nothrow).value();
    return *this;
  }
  Result<void> header(std::string_view name, std::string_view value, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_http_add_header(exchange_, name.data(), name.size(), value.data(),
                                               value.size(), error.out()));
  }
  // Sets the body. Its type is for header("Content-Type", ...).
  response& body(std::string_view bytes) {
    detail::check(fastrpc_http_set_body(exchange_, raw_bytes(bytes), bytes.size())).value();
    return *this;
  }
  response& body(std::string_view type, std::string_view bytes) {
    return header("Content-Type", type).body(bytes);
  }
  response& text(std::string_view text) { return body("text/plain; charset=utf-8", text); }
  response& html(std::string_view text) { return body("text/html; charset=utf-8", text); }
  // JSON that somebody encoded.
  response& json(std::string_view text) { return body("application/json", text); }
  response& redirect(std::string_view location) { return status(302).header("Location", location); }
  // A whole answer, head and body, sent as it is. One that is malformed, or does not end where it
  // says, is logged and becomes a 500.
  response& raw(std::string_view bytes) {
    detail::check(fastrpc_http_set_raw(exchange_, raw_bytes(bytes), bytes.size())).value();
    return *this;
  }

  // How many bytes will be written in all, if that is known; otherwise they are sent in chunks.
  response& length(std::uint64_t bytes) {
    detail::check(fastrpc_http_set_length(exchange_, bytes)).value();
    return *this;
  }
  // Sends a part of the body, and before the first the status and the fields. May suspend, while
  // the client takes nothing. Fails when the client is gone or takes nothing for too long.
  void write(std::string_view bytes) { write(bytes, std::nothrow).value(); }
  Result<void> write(std::string_view bytes, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_http_write(exchange_, raw_bytes(bytes), bytes.size(), error.out()));
  }
  // Whether the connection was found to be gone.
  [[nodiscard]] bool is_canceled() const { return fastrpc_http_is_canceled(exchange_); }

  // Lets the answer be sent later, and by any thread. In the handler only, once; `this` and the
  // request are to be used through what it gives from then on.
  [[nodiscard]] deferred defer();

 private:
  static const std::uint8_t* raw_bytes(std::string_view bytes) {
    return reinterpret_cast<const std::uint8_t*>(bytes.data());
  }

  fastrpc_http_exchange* exchange_;
};

// A request that is answered later: by send(). Destroyed without it, the answer is 500, or the
// connection ends if a part of the answer is out. Moves, does not copy. One thread at a time.
class deferred {
 public:
  explicit deferred(fastrpc_http_exchange* exchange)
      : exchange_(exchange), request_(exchange), response_(exchange) {}

  [[nodiscard]] http::request& request() { return request_; }
  [[nodiscard]] http::response& response() { return response_; }
  // Sends what was set of the answer, or the end of what was written.
  void send() { send(std::nothrow).value(); }
  Result<void> send(std::nothrow_t) {
    return detail::check(fastrpc_http_send(exchange_.release()));
  }

 private:
  detail::Handle<fastrpc_http_exchange, fastrpc_http_free> exchange_;
  http::request request_;
  http::response response_;
};

inline deferred response::defer() {
  detail::check(fastrpc_http_defer(exchange_)).value();
  return deferred(exchange_);
}

}  // namespace fastrpc::http
