// How a client connects, its bounds, and what it counts; what a call says beside its request.
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

// What a client speaks. Servers speak all of them, on each port.
enum class Protocol : std::int32_t {
  // The protocol of brpc.
  baidu_std = FASTRPC_PROTOCOL_BAIDU_STD,
  // The HTTP-like frames of the original fastrpc. They carry no attachments, log ids or
  // compression, and an old server answers no call that fails: it runs out of time.
  original = FASTRPC_PROTOCOL_ORIGINAL,
};

// How a client connects, and its bounds. Defaults are the library's: fastrpc.h says what they are,
// at fastrpc_client_options. A time below 0 never passes.
struct ClientOptions {
  // How long a call may take that does not say.
  std::chrono::nanoseconds timeout = detail::from_c(detail::client_defaults().timeout);
  // How long one attempt to connect may take.
  std::chrono::nanoseconds connect_timeout =
      detail::from_c(detail::client_defaults().connect_timeout);
  Protocol protocol = static_cast<Protocol>(detail::client_defaults().protocol);
  // Calls in flight, and bytes of requests that were not handed to the kernel yet; a call beyond
  // fails with FASTRPC_ELIMIT.
  std::size_t max_in_flight = detail::client_defaults().max_in_flight;
  std::size_t max_unsent = detail::client_defaults().max_unsent;
  // Bytes of the largest response; a larger one breaks the connection.
  std::size_t max_frame = detail::client_defaults().max_frame;
  // How long the client waits after a first failed attempt to connect, doubled with each further
  // one, and how long at most.
  std::chrono::nanoseconds backoff_min = detail::from_c(detail::client_defaults().backoff_min);
  std::chrono::nanoseconds backoff_max = detail::from_c(detail::client_defaults().backoff_max);
  // Pushed messages, and bytes of them, that may wait for their handler; what comes beyond is
  // dropped.
  std::size_t max_pushes = detail::client_defaults().max_pushes;
  std::size_t max_push_bytes = detail::client_defaults().max_push_bytes;
  // How long the server may take not one byte while requests wait for it; then the connection
  // breaks.
  std::chrono::nanoseconds write_stall = detail::from_c(detail::client_defaults().write_stall);
  // How long the server's machine may acknowledge nothing; then the connection breaks.
  std::chrono::nanoseconds peer_timeout = detail::from_c(detail::client_defaults().peer_timeout);
  // The worker that the connection lives on, from 0; below 0 that of the coroutine that makes the
  // client, or, made by a plain thread, one after the other.
  std::int64_t worker = detail::client_defaults().worker;
};

// What a client has done, and is doing.
struct ClientStats {
  // Calls that wait for their answer.
  std::uint64_t in_flight = 0;
  // Answers that no call waited for, late ones mostly, and pushes that no handler was for.
  std::uint64_t unmatched = 0;
  // Connections made, and attempts that failed.
  std::uint64_t connects = 0;
  std::uint64_t failed_connects = 0;
  // Pushed messages dropped because too many waited for their handler.
  std::uint64_t dropped_pushes = 0;
};

// Ends a call from elsewhere: see CallOptions::cancellation. One call at a time uses it. It must
// live until that call has ended. Does not move.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation() { reset(); }

  // Ends the call with FASTRPC_ECANCELED, unless it has ended; one that begins later fails with it
  // at once, until reset(). The server is not told. Any thread, several times.
  void cancel() { fastrpc_cancellation_cancel(&state_); }
  // Returns whether cancel() was called, since the last reset(). Any thread.
  [[nodiscard]] bool is_canceled() const { return fastrpc_cancellation_is_canceled(&state_); }
  // Makes it fit for another call; not during a call.
  void reset() { fastrpc_cancellation_reset(&state_); }

  // Returns the C object.
  [[nodiscard]] fastrpc_cancellation* capi() { return &state_; }

 private:
  fastrpc_cancellation state_{};
};

// What a call says beside its request.
struct CallOptions {
  // How long the call may take; without it, as long as the client's options say.
  std::optional<std::chrono::nanoseconds> timeout;
  // A number for the server's logs, 0 for none.
  std::int64_t log_id = 0;
  // A name for the request.
  std::string request_id;
  // Bytes sent beside the request.
  std::string attachment;
  // How the request is compressed.
  Compression compression = Compression::none;
  // What the call may be ended by; NULL for nothing.
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

// How long a call may take: 0 means "not set" to the C ABI.
template <typename Rep, typename Period>
std::int64_t call_timeout(std::chrono::duration<Rep, Period> time) {
  return std::max<std::int64_t>(nanoseconds(time), 1);
}

// Points into `options`.
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
