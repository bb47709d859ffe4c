// Limits, timeouts and counters of a server.
#pragma once

#include <fastrpc/detail/options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fastrpc {

namespace detail {

inline const fastrpc_server_options& server_defaults() {
  return defaults<fastrpc_server_options, fastrpc_server_options_init>();
}

}  // namespace detail

// Limits and timeouts of a server. The defaults are those of fastrpc_server_options in fastrpc.h. A
// negative duration means no timeout. The first four apply to all connections, those that begin
// with http_ to HTTP connections, the others to RPC connections.
struct ServerOptions {
  // Maximum number of open connections; one accepted beyond it is closed at once.
  std::size_t max_connections = detail::server_defaults().max_connections;
  // How long the peer's host may acknowledge nothing before the connection counts as broken.
  std::chrono::nanoseconds peer_timeout = detail::from_c(detail::server_defaults().peer_timeout);
  // How long detecting the protocol may take from the first byte on, and how long a new connection
  // may send nothing, before it is closed.
  std::chrono::nanoseconds detect_timeout =
      detail::from_c(detail::server_defaults().detect_timeout);
  std::chrono::nanoseconds first_byte_timeout =
      detail::from_c(detail::server_defaults().first_byte_timeout);

  // Maximum size of a request in bytes; the connection of a peer that announces more is closed.
  std::size_t max_frame = detail::server_defaults().max_frame;
  // Calls in flight per connection, and bytes of their requests, above which reading pauses
  // (back-pressure).
  std::size_t max_in_flight = detail::server_defaults().max_in_flight;
  std::size_t max_in_flight_bytes = detail::server_defaults().max_in_flight_bytes;
  // Bytes of unsent responses per connection above which reading pauses.
  std::size_t max_unsent = detail::server_defaults().max_unsent;
  // How long a peer may accept no byte while responses are queued, before the connection is closed.
  std::chrono::nanoseconds write_stall = detail::from_c(detail::server_defaults().write_stall);
  // How long the header of a frame may take once it has begun, and how long its body may pause,
  // before the connection is closed.
  std::chrono::nanoseconds frame_timeout = detail::from_c(detail::server_defaults().frame_timeout);
  // How long a peer without calls in flight may send nothing before the connection is closed.
  std::chrono::nanoseconds idle_timeout = detail::from_c(detail::server_defaults().idle_timeout);

  // Maximum size of a request's head in bytes, and in header fields; beyond, the response is 431.
  std::size_t http_max_head = detail::server_defaults().http_max_head;
  std::size_t http_max_fields = detail::server_defaults().http_max_fields;
  // Maximum size of a request target in bytes; beyond, the response is 414.
  std::size_t http_max_target = detail::server_defaults().http_max_target;
  // Maximum size of a request body in bytes; beyond, the response is 413.
  std::uint64_t http_max_body = detail::server_defaults().http_max_body;
  // How long a head may take once it has begun, and how long a body may pause; beyond, the response
  // is 408.
  std::chrono::nanoseconds http_head_timeout =
      detail::from_c(detail::server_defaults().http_head_timeout);
  std::chrono::nanoseconds http_body_timeout =
      detail::from_c(detail::server_defaults().http_body_timeout);
  // How long a keep-alive connection may be idle before it is closed.
  std::chrono::nanoseconds http_idle_timeout =
      detail::from_c(detail::server_defaults().http_idle_timeout);
  // How long a client may accept no byte of a response before the connection is closed.
  std::chrono::nanoseconds http_write_stall =
      detail::from_c(detail::server_defaults().http_write_stall);

  // How long the destructor of a Server waits for running handlers.
  std::chrono::nanoseconds destructor_grace = std::chrono::seconds(5);
};

// Counters of a server.
struct ServerStats {
  // Connections that are open, were accepted since the start, and were rejected because too many
  // were open.
  std::uint64_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  // Calls in flight, received since the start, and failed with an error response.
  std::uint64_t in_flight = 0;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  // Connections closed because of what the peer sent, or failed to read.
  std::uint64_t bad_peers = 0;
  // Bytes read and written.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

// Outcome of the calls in flight when a server was stopped.
struct StopReport {
  // Calls in flight that completed within the grace period.
  std::uint64_t finished = 0;
  // Calls still in flight after the grace period; they failed with code 2003.
  std::uint64_t canceled = 0;
  // Calls received while draining; they failed with code 2003.
  std::uint64_t refused = 0;
};

namespace detail {

inline fastrpc_server_options to_c(const ServerOptions& options) {
  fastrpc_server_options c = server_defaults();
  c.max_connections = options.max_connections;
  c.max_frame = options.max_frame;
  c.max_in_flight = options.max_in_flight;
  c.max_in_flight_bytes = options.max_in_flight_bytes;
  c.max_unsent = options.max_unsent;
  c.write_stall = to_c(options.write_stall);
  c.peer_timeout = to_c(options.peer_timeout);
  c.detect_timeout = to_c(options.detect_timeout);
  c.first_byte_timeout = to_c(options.first_byte_timeout);
  c.frame_timeout = to_c(options.frame_timeout);
  c.idle_timeout = to_c(options.idle_timeout);
  c.http_max_head = options.http_max_head;
  c.http_max_fields = options.http_max_fields;
  c.http_max_target = options.http_max_target;
  c.http_max_body = options.http_max_body;
  c.http_head_timeout = to_c(options.http_head_timeout);
  c.http_body_timeout = to_c(options.http_body_timeout);
  c.http_idle_timeout = to_c(options.http_idle_timeout);
  c.http_write_stall = to_c(options.http_write_stall);
  return c;
}

inline ServerStats from_c(const fastrpc_server_stats& c) {
  ServerStats stats;
  stats.connections = c.connections;
  stats.accepted = c.accepted;
  stats.rejected = c.rejected;
  stats.in_flight = c.in_flight;
  stats.calls = c.calls;
  stats.errors = c.errors;
  stats.bad_peers = c.bad_peers;
  stats.bytes_in = c.bytes_in;
  stats.bytes_out = c.bytes_out;
  return stats;
}

}  // namespace detail
}  // namespace fastrpc
