// Options and counters of a client; options of a call.
#pragma once

#include <fastrpc/compression.hpp>
#include <fastrpc/detail/bytes.hpp>
#include <fastrpc/detail/handle.hpp>
#include <fastrpc/detail/options.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace fastrpc {

namespace detail {

inline const fastrpc_client_options& client_defaults() {
  return defaults<fastrpc_client_options, fastrpc_client_options_init>();
}

}  // namespace detail

// Wire protocol of a client. Servers detect it per connection, on every port.
enum class Protocol : std::int32_t {
  // The protocol of brpc.
  baidu_std = FASTRPC_PROTOCOL_BAIDU_STD,
  // The HTTP-like frames of the original fastrpc. They carry no attachments, log ids or
  // compression, and an old server does not respond to a call that fails: the call times out.
  original = FASTRPC_PROTOCOL_ORIGINAL,
};

// Limits and timeouts of a client. The defaults are those of fastrpc_client_options in fastrpc.h. A
// negative duration means no timeout.
struct ClientOptions {
  // Timeout of calls that do not set their own.
  std::chrono::nanoseconds timeout = detail::from_c(detail::client_defaults().timeout);
  // Timeout of one connection attempt.
  std::chrono::nanoseconds connect_timeout =
      detail::from_c(detail::client_defaults().connect_timeout);
  Protocol protocol = static_cast<Protocol>(detail::client_defaults().protocol);
  // Maximum calls in flight, and bytes of requests not yet written to the socket; a call beyond
  // them fails with FASTRPC_ELIMIT.
  std::size_t max_in_flight = detail::client_defaults().max_in_flight;
  std::size_t max_unsent = detail::client_defaults().max_unsent;
  // Maximum size of a response in bytes; a larger one breaks the connection.
  std::size_t max_frame = detail::client_defaults().max_frame;
  // Reconnect delay after the first failed attempt, doubled with each further one, and its maximum.
  std::chrono::nanoseconds backoff_min = detail::from_c(detail::client_defaults().backoff_min);
  std::chrono::nanoseconds backoff_max = detail::from_c(detail::client_defaults().backoff_max);
  // Maximum pushed messages, and bytes of them, queued for the handler; further ones are dropped.
  std::size_t max_pushes = detail::client_defaults().max_pushes;
  std::size_t max_push_bytes = detail::client_defaults().max_push_bytes;
  // How long the server may accept no byte while requests are queued, before the connection breaks.
  std::chrono::nanoseconds write_stall = detail::from_c(detail::client_defaults().write_stall);
  // How long the server's host may acknowledge nothing before the connection breaks.
  std::chrono::nanoseconds peer_timeout = detail::from_c(detail::client_defaults().peer_timeout);
  // The worker that owns the connection, from 0; negative for the worker of the coroutine that
  // creates the client, or round robin if a plain thread does.
  std::int64_t worker = detail::client_defaults().worker;
};

// Counters of a client.
struct ClientStats {
  // Calls in flight.
  std::uint64_t in_flight = 0;
  // Responses without a matching call, mostly late ones, and pushes without a handler.
  std::uint64_t unmatched = 0;
  // Connections established, and failed attempts.
  std::uint64_t connects = 0;
  std::uint64_t failed_connects = 0;
  // Pushed messages dropped because the handler's queue was full.
  std::uint64_t dropped_pushes = 0;
};

// Cancels a call from elsewhere: see CallOptions::cancellation. Used by one call at a time; it must
// outlive that call. Neither movable nor copyable.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation() { reset(); }

  // Cancels the call with FASTRPC_ECANCELED, unless it has ended; one that begins later fails with
  // it at once, until reset(). The server is not notified. May be called by any thread, repeatedly.
  void cancel() { fastrpc_cancellation_cancel(&state_); }
  // Returns whether cancel() was called, since the last reset(). Any thread.
  [[nodiscard]] bool is_canceled() const { return fastrpc_cancellation_is_canceled(&state_); }
  // Prepares it for another call. Must not be called during a call.
  void reset() { fastrpc_cancellation_reset(&state_); }

  // Returns the C object.
  [[nodiscard]] fastrpc_cancellation* capi() { return &state_; }

 private:
  fastrpc_cancellation state_{};
};

// Options of a call.
struct CallOptions {
  // Timeout of the call; the client's by default.
  std::optional<std::chrono::nanoseconds> timeout;
  // A number for the server's logs, 0 for none.
  std::int64_t log_id = 0;
  // A name for the request.
  std::string request_id;
  // Bytes sent beside the request.
  std::string attachment;
  // How the request is compressed.
  Compression compression = Compression::none;
  // Cancels the call; may be NULL.
  Cancellation* cancellation = nullptr;
};

namespace detail {

inline fastrpc_client_options to_c(const ClientOptions& options) {
  fastrpc_client_options c = client_defaults();
  c.timeout = to_c(options.timeout);
  c.connect_timeout = to_c(options.connect_timeout);
  c.protocol = static_cast<std::int32_t>(options.protocol);
  c.max_in_flight = options.max_in_flight;
  c.max_unsent = options.max_unsent;
  c.max_frame = options.max_frame;
  c.backoff_min = to_c(options.backoff_min);
  c.backoff_max = to_c(options.backoff_max);
  c.max_pushes = options.max_pushes;
  c.max_push_bytes = options.max_push_bytes;
  c.write_stall = to_c(options.write_stall);
  c.peer_timeout = to_c(options.peer_timeout);
  c.worker = options.worker;
  return c;
}

// Returns a timeout in nanoseconds, at least 1: 0 means "not set" to the C ABI.
template <typename Rep, typename Period>
std::int64_t call_timeout(std::chrono::duration<Rep, Period> time) {
  return std::max<std::int64_t>(nanoseconds(time), 1);
}

// Converts the options; the result points into `options`.
inline fastrpc_call_options to_c(const CallOptions& options) {
  fastrpc_call_options c;
  fastrpc_call_options_init(&c, sizeof c);
  if (options.timeout) c.timeout = call_timeout(*options.timeout);
  c.log_id = options.log_id;
  c.request_id = options.request_id.data();
  c.request_id_size = options.request_id.size();
  c.attachment = bytes_of(options.attachment);
  c.attachment_size = options.attachment.size();
  c.compress = static_cast<std::int32_t>(options.compression);
  if (options.cancellation != nullptr) c.cancellation = options.cancellation->capi();
  return c;
}

inline ClientStats from_c(const fastrpc_client_stats& c) {
  ClientStats stats;
  stats.in_flight = c.in_flight;
  stats.unmatched = c.unmatched;
  stats.connects = c.connects;
  stats.failed_connects = c.failed_connects;
  stats.dropped_pushes = c.dropped_pushes;
  return stats;
}

}  // namespace detail
}  // namespace fastrpc
