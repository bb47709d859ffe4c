// HTTP requests and responses, as passed to the handlers of Server::route().
//
//   fastrpc::Server server("", 8080);
//   server.route("GET", "/hello/:name", [](http::Request& request, http::Response& response) {
//     response.text("hello " + std::string(request.param("name")));
//   });
//   server.run_until_signal();
//
// A handler runs in a coroutine of its own; on one worker thread unless the runtime is configured
// for more. The response is sent when it returns, or later, if it was deferred. An exception that
// leaves it is logged, and the response is 500; if part of the response was already sent, the
// connection is closed.
#pragma once

#include <fastrpc/detail/address.hpp>
#include <fastrpc/detail/bytes.hpp>
#include <fastrpc/detail/http_fields.hpp>
#include <fastrpc/error.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>

namespace fastrpc::http {

class Deferred;

// Ranges of header fields and parameters: `for (auto [name, value] : request.headers())`.
using Headers = detail::HttpFields<fastrpc_http_header_at>;
using Queries = detail::HttpFields<fastrpc_http_query_at>;
using FormFields = detail::HttpFields<detail::http_form_at>;

// A request. Valid while its handler runs, or, if deferred, as long as the Deferred lives; so are
// the views and ranges that its functions return. Used by one thread at a time. Missing values are
// returned as empty views.
class Request {
 public:
  explicit Request(fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  // Returns the method, such as "GET".
  [[nodiscard]] std::string_view method() const { return text(fastrpc_http_method); }
  // Returns the path as received, percent-encoded.
  [[nodiscard]] std::string_view path() const { return text(fastrpc_http_path); }
  // Returns the query string (what follows the question mark) as received, percent-encoded.
  [[nodiscard]] std::string_view query_string() const { return text(fastrpc_http_query_string); }
  // Returns the request line and the header fields as received, with the empty line that ends them.
  [[nodiscard]] std::string_view head() const { return text(fastrpc_http_head); }
  // Returns 11 for HTTP/1.1, 10 for HTTP/1.0.
  [[nodiscard]] int version() const { return fastrpc_http_version(exchange_); }

  // Returns a header field; names are case-insensitive. `index` selects among several with one
  // name.
  [[nodiscard]] std::string_view header(std::string_view name, std::size_t index = 0) const {
    std::size_t size = 0;
    const char* value = fastrpc_http_header(exchange_, name.data(), name.size(), index, &size);
    return {value, size};
  }
  [[nodiscard]] bool has_header(std::string_view name) const {
    std::size_t size = 0;
    return fastrpc_http_header(exchange_, name.data(), name.size(), 0, &size) != nullptr;
  }
  // Returns all header fields, their names in lower case.
  [[nodiscard]] Headers headers() const { return Headers(exchange_); }

  // Returns the path segment matched by ":name", or the rest matched by "*name", percent-decoded.
  [[nodiscard]] std::string_view param(std::string_view name) const {
    return named(fastrpc_http_param, name);
  }
  [[nodiscard]] bool has_param(std::string_view name) const {
    return has(fastrpc_http_param, name);
  }

  // Returns a query parameter, percent-decoded: the first of its name.
  [[nodiscard]] std::string_view query(std::string_view name) const {
    return named(fastrpc_http_query, name);
  }
  // Returns whether there is such a query parameter, with or without a value.
  [[nodiscard]] bool has_query(std::string_view name) const {
    return has(fastrpc_http_query, name);
  }
  // Returns all query parameters, percent-decoded, in order.
  [[nodiscard]] Queries queries() const { return Queries(exchange_); }

  // Returns a cookie as received: the first of its name.
  [[nodiscard]] std::string_view cookie(std::string_view name) const {
    return named(fastrpc_http_cookie, name);
  }
  [[nodiscard]] bool has_cookie(std::string_view name) const {
    return has(fastrpc_http_cookie, name);
  }

  // Returns where the request came from, such as "10.0.0.7:4711".
  [[nodiscard]] std::string peer() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_http_peer(exchange_, buffer, size);
    });
  }
  // Returns the id of its connection, unique within the server.
  [[nodiscard]] std::uint64_t connection_id() const {
    return fastrpc_http_connection_id(exchange_);
  }

  // Returns the Content-Length, if the client sent one.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const {
    std::int64_t length = fastrpc_http_content_length(exchange_);
    if (length < 0) return std::nullopt;
    return static_cast<std::uint64_t>(length);
  }
  // Returns the whole body, which the first call reads. Fails if it does not arrive, is malformed
  // or too large: the library then sends the matching error response, whatever the handler sets.
  // May suspend.
  [[nodiscard]] std::string_view body() { return body(std::nothrow).value(); }
  Result<std::string_view> body(std::nothrow_t) {
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    detail::ErrorSlot error;
    auto read = error.check(fastrpc_http_body(exchange_, &bytes, &size, error.out()));
    if (!read) return read.error();
    return detail::view(bytes, size);
  }
  // Reads part of the body; returns 0 at its end. A body that is not read holds the client back
  // (back-pressure). Fails as body() does. May suspend.
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

  // Returns a parameter of a body of the type application/x-www-form-urlencoded, decoded: the first
  // of its name. Fails for a body of another type, and as body() does. May suspend.
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
  // Returns all parameters of such a body, in order. Fails and may suspend as form() does.
  [[nodiscard]] FormFields form_fields() { return form_fields(std::nothrow).value(); }
  Result<FormFields> form_fields(std::nothrow_t) {
    if (auto read = form({}, std::nothrow); !read) return read.error();
    return FormFields(exchange_);
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
  bool has(Named* get, std::string_view name) const {
    std::size_t size = 0;
    return get(exchange_, name.data(), name.size(), &size) != nullptr;
  }

  fastrpc_http_exchange* exchange_;
};

// The response: 200 without a body by default. Valid as long as its request. Used by one thread at
// a time. Setters fail with FASTRPC_ESTATE once part of the response was sent.
class Response {
 public:
  explicit Response(fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  // Sets the status, between 200 and 999.
  Response& status(int number) { return done(status(number, std::nothrow)); }
  Result<void> status(int number, std::nothrow_t) {
    return detail::check(fastrpc_http_set_status(exchange_, number));
  }
  // Adds a header field. Fails if it is not valid, as with a line break in it. Content-Length,
  // Transfer-Encoding and Date are set by the library and ignored here.
  Response& header(std::string_view name, std::string_view value) {
    return done(header(name, value, std::nothrow));
  }
  Result<void> header(std::string_view name, std::string_view value, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_http_add_header(exchange_, name.data(), name.size(), value.data(),
                                               value.size(), error.out()));
  }
  // Sets the body. Set its type by header("Content-Type", ...).
  Response& body(std::string_view bytes) { return done(body(bytes, std::nothrow)); }
  Result<void> body(std::string_view bytes, std::nothrow_t) {
    return detail::check(fastrpc_http_set_body(exchange_, detail::bytes_of(bytes), bytes.size()));
  }
  // Sets the body and its type.
  Response& body(std::string_view type, std::string_view bytes) {
    return done(body(type, bytes, std::nothrow));
  }
  Result<void> body(std::string_view type, std::string_view bytes, std::nothrow_t) {
    if (auto added = header("Content-Type", type, std::nothrow); !added) return added;
    return body(bytes, std::nothrow);
  }
  Response& text(std::string_view text) { return body("text/plain; charset=utf-8", text); }
  Response& html(std::string_view text) { return body("text/html; charset=utf-8", text); }
  // Sets a JSON body, already encoded.
  Response& json(std::string_view text) { return body("application/json", text); }
  // Redirects the client, with status 302.
  Response& redirect(std::string_view location) { return status(302).header("Location", location); }
  // Sets the whole response, head and body, sent verbatim. One that is malformed, or whose length
  // does not match, is logged and becomes a 500.
  Response& raw(std::string_view bytes) { return done(raw(bytes, std::nothrow)); }
  Result<void> raw(std::string_view bytes, std::nothrow_t) {
    return detail::check(fastrpc_http_set_raw(exchange_, detail::bytes_of(bytes), bytes.size()));
  }

  // Sets the total size of what will be written, if known; otherwise the chunked encoding is used.
  Response& length(std::uint64_t bytes) { return done(length(bytes, std::nothrow)); }
  Result<void> length(std::uint64_t bytes, std::nothrow_t) {
    return detail::check(fastrpc_http_set_length(exchange_, bytes));
  }
  // Sends part of the body; the first call sends the status and the header fields before it. May
  // suspend while the client reads nothing. Fails if the client disconnects, or reads nothing for
  // too long.
  void write(std::string_view bytes) { write(bytes, std::nothrow).value(); }
  Result<void> write(std::string_view bytes, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(
        fastrpc_http_write(exchange_, detail::bytes_of(bytes), bytes.size(), error.out()));
  }
  // Returns whether the connection is known to be closed.
  [[nodiscard]] bool is_canceled() const { return fastrpc_http_is_canceled(exchange_); }

  // Defers the response, to be sent later and by any thread. Call it in the handler only, once;
  // from then on use request and response through the returned Deferred.
  [[nodiscard]] Deferred defer();
  Result<Deferred> defer(std::nothrow_t);

 private:
  Response& done(const Result<void>& result) {
    result.value();
    return *this;
  }

  fastrpc_http_exchange* exchange_;
};

// A deferred response: sent by send(). If it is destroyed without send(), the response is 500, or
// the connection is closed if part of the response was already sent. Movable, not copyable. Used by
// one thread at a time.
class Deferred {
 public:
  explicit Deferred(fastrpc_http_exchange* exchange)
      : exchange_(exchange), request_(exchange), response_(exchange) {}

  [[nodiscard]] http::Request& request() { return request_; }
  [[nodiscard]] http::Response& response() { return response_; }
  // Sends the response that was set, or ends the one being written.
  void send() { send(std::nothrow).value(); }
  Result<void> send(std::nothrow_t) {
    return detail::check(fastrpc_http_send(exchange_.release()));
  }

 private:
  detail::Handle<fastrpc_http_exchange, fastrpc_http_free> exchange_;
  http::Request request_;
  http::Response response_;
};

inline Deferred Response::defer() {
  return defer(std::nothrow).value();
}
inline Result<Deferred> Response::defer(std::nothrow_t) {
  if (auto deferred = detail::check(fastrpc_http_defer(exchange_)); !deferred)
    return deferred.error();
  return Deferred(exchange_);
}

}  // namespace fastrpc::http
