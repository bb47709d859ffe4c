// HTTP requests and responses, as the handlers of Server::route() get them.
//
//   fastrpc::Server server("", 8080);
//   server.route("GET", "/hello/:name", [](http::Request& request, http::Response& response) {
//     response.text("hello " + std::string(request.param("name")));
//   });
//   server.run_until_signal();
//
// A handler runs in a coroutine of its own; on one worker thread unless the runtime is configured
// for more. The response is sent when it returns, or later, if it was deferred. An exception that
// leaves it is logged and answered with 500; if a part of the response is out, the connection ends.
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

// A request. Lives as long as its handler runs, or as what it was deferred to; so do the texts and
// ranges that its functions return. Used by one thread at a time. Texts that are not there are
// empty.
class Request {
 public:
  explicit Request(fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  // Returns the method, such as "GET".
  [[nodiscard]] std::string_view method() const { return text(fastrpc_http_method); }
  // Returns the path, percent-encoded as it came.
  [[nodiscard]] std::string_view path() const { return text(fastrpc_http_path); }
  // Returns what follows the question mark, percent-encoded as it came.
  [[nodiscard]] std::string_view query_string() const { return text(fastrpc_http_query_string); }
  // Returns the request line and the header fields as they came, with the empty line at their end.
  [[nodiscard]] std::string_view head() const { return text(fastrpc_http_head); }
  // Returns 11 for HTTP/1.1, 10 for HTTP/1.0.
  [[nodiscard]] int version() const { return fastrpc_http_version(exchange_); }

  // Returns a header field, whatever the case of its name; of several with one name, by its index.
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

  // Returns what stood in the path in the place of ":name" or "*name", decoded.
  [[nodiscard]] std::string_view param(std::string_view name) const {
    return named(fastrpc_http_param, name);
  }
  [[nodiscard]] bool has_param(std::string_view name) const {
    return has(fastrpc_http_param, name);
  }

  // Returns a parameter behind the question mark, decoded: the first of its name.
  [[nodiscard]] std::string_view query(std::string_view name) const {
    return named(fastrpc_http_query, name);
  }
  // Returns whether there is such a parameter, with or without a value.
  [[nodiscard]] bool has_query(std::string_view name) const {
    return has(fastrpc_http_query, name);
  }
  // Returns all parameters behind the question mark, decoded, in the order in which they came.
  [[nodiscard]] Queries queries() const { return Queries(exchange_); }

  // Returns a cookie as it came: the first of its name.
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
  // Returns the number of its connection, which the server gives no other.
  [[nodiscard]] std::uint64_t connection_id() const {
    return fastrpc_http_connection_id(exchange_);
  }

  // Returns the bytes of the body, if the client said so beforehand.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const {
    std::int64_t length = fastrpc_http_content_length(exchange_);
    if (length < 0) return std::nullopt;
    return static_cast<std::uint64_t>(length);
  }
  // Returns the whole body; read the first time this is called. Fails when it does not come, is
  // malformed or too large: the client is answered accordingly, whatever the handler answers. May
  // suspend.
  [[nodiscard]] std::string_view body() { return body(std::nothrow).value(); }
  Result<std::string_view> body(std::nothrow_t) {
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    detail::ErrorSlot error;
    auto read = error.check(fastrpc_http_body(exchange_, &bytes, &size, error.out()));
    if (!read) return read.error();
    return detail::view(bytes, size);
  }
  // Reads some of the body; returns 0 at its end. While it is not read, the client is held up.
  // Fails as body() does. May suspend.
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
  // Returns all parameters of such a body, in the order in which they came. Fails and may suspend
  // as form() does.
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

// The response: 200 without a body unless something else is set. Lives as long as its request. Used
// by one thread at a time. What sets something fails with FASTRPC_ESTATE once a part of the
// response is out.
class Response {
 public:
  explicit Response(fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  // Sets the status, between 200 and 999.
  Response& status(int number) { return done(status(number, std::nothrow)); }
  Result<void> status(int number, std::nothrow_t) {
    return detail::check(fastrpc_http_set_status(exchange_, number));
  }
  // Adds a header field. Fails if it cannot be sent: a line break in it, say. Content-Length,
  // Transfer-Encoding and Date are the library's and ignored.
  Response& header(std::string_view name, std::string_view value) {
    return done(header(name, value, std::nothrow));
  }
  Result<void> header(std::string_view name, std::string_view value, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_http_add_header(exchange_, name.data(), name.size(), value.data(),
                                               value.size(), error.out()));
  }
  // Sets the body. Its type is for header("Content-Type", ...).
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
  // Sets a body of JSON that somebody encoded.
  Response& json(std::string_view text) { return body("application/json", text); }
  // Sends the client elsewhere, with status 302.
  Response& redirect(std::string_view location) { return status(302).header("Location", location); }
  // Sets the whole response, head and body, sent as it is. One that is malformed, or does not end
  // where it says, is logged and becomes a 500.
  Response& raw(std::string_view bytes) { return done(raw(bytes, std::nothrow)); }
  Result<void> raw(std::string_view bytes, std::nothrow_t) {
    return detail::check(fastrpc_http_set_raw(exchange_, detail::bytes_of(bytes), bytes.size()));
  }

  // Says how many bytes will be written in all, if that is known; otherwise they are sent in
  // chunks.
  Response& length(std::uint64_t bytes) { return done(length(bytes, std::nothrow)); }
  Result<void> length(std::uint64_t bytes, std::nothrow_t) {
    return detail::check(fastrpc_http_set_length(exchange_, bytes));
  }
  // Sends a part of the body, and before the first the status and the fields. May suspend, while
  // the client takes nothing. Fails when the client is gone or takes nothing for too long.
  void write(std::string_view bytes) { write(bytes, std::nothrow).value(); }
  Result<void> write(std::string_view bytes, std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(
        fastrpc_http_write(exchange_, detail::bytes_of(bytes), bytes.size(), error.out()));
  }
  // Returns whether the connection was found to be gone.
  [[nodiscard]] bool is_canceled() const { return fastrpc_http_is_canceled(exchange_); }

  // Lets the response be sent later, and by any thread. In the handler only, once; request and
  // response are to be used through what it returns from then on.
  [[nodiscard]] Deferred defer();
  Result<Deferred> defer(std::nothrow_t);

 private:
  Response& done(const Result<void>& result) {
    result.value();
    return *this;
  }

  fastrpc_http_exchange* exchange_;
};

// A request that is answered later: by send(). Destroyed without it, the answer is 500, or the
// connection ends if a part of the response is out. Moves, does not copy. Used by one thread at a
// time.
class Deferred {
 public:
  explicit Deferred(fastrpc_http_exchange* exchange)
      : exchange_(exchange), request_(exchange), response_(exchange) {}

  [[nodiscard]] http::Request& request() { return request_; }
  [[nodiscard]] http::Response& response() { return response_; }
  // Sends the response that was set, or the end of what was written.
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
