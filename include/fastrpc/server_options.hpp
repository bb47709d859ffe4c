// The bounds of a server, and what it counts.
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

// The bounds of a server. Defaults are the library's: fastrpc.h says what they are, at
// fastrpc_server_options. A time below 0 never passes. The first four are for all connections,
// those that begin with http_ for connections that speak HTTP, the others for those that speak RPC.
struct ServerOptions {
  // Connections open at once; one more is closed at once.
  std::size_t max_connections = detail::server_defaults().max_connections;
  // How long a peer's machine may go without acknowledging anything, before the connection counts
  // as broken.
  std::chrono::nanoseconds peer_timeout = detail::from_c(detail::server_defaults().peer_timeout);
  // How long a connection may take from its first byte on until its protocol is known, and how long
  // a new one may send nothing, before it is closed.
  std::chrono::nanoseconds detect_timeout =
      detail::from_c(detail::server_defaults().detect_timeout);
  std::chrono::nanoseconds first_byte_timeout =
      detail::from_c(detail::server_defaults().first_byte_timeout);

  // Bytes of the largest request; a peer that announces more is closed.
  std::size_t max_frame = detail::server_defaults().max_frame;
  // Unanswered calls of a connection, and bytes of their requests, beyond which it is not read for
  // a while.
  std::size_t max_in_flight = detail::server_defaults().max_in_flight;
  std::size_t max_in_flight_bytes = detail::server_defaults().max_in_flight_bytes;
  // Bytes of responses that a connection may leave untaken, beyond which it is not read for a
  // while.
  std::size_t max_unsent = detail::server_defaults().max_unsent;
  // How long a peer may take not one byte while responses wait for it; then it is closed.
  std::chrono::nanoseconds write_stall = detail::from_c(detail::server_defaults().write_stall);
  // By when the head of a frame that has begun must be whole, and how long its body may pause; else
  // the peer is closed.
  std::chrono::nanoseconds frame_timeout = detail::from_c(detail::server_defaults().frame_timeout);
  // How long a peer without calls in flight may send nothing; then it is closed.
  std::chrono::nanoseconds idle_timeout = detail::from_c(detail::server_defaults().idle_timeout);

  // Bytes, and fields, of the largest head of a request; beyond, the answer is 431.
  std::size_t http_max_head = detail::server_defaults().http_max_head;
  std::size_t http_max_fields = detail::server_defaults().http_max_fields;
  // Bytes of a request's target; beyond, the answer is 414.
  std::size_t http_max_target = detail::server_defaults().http_max_target;
  // Bytes of the largest body of a request; beyond, the answer is 413.
  std::uint64_t http_max_body = detail::server_defaults().http_max_body;
  // By when a head that has begun must be whole, and how long a body may pause; else the answer is
  // 408.
  std::chrono::nanoseconds http_head_timeout =
      detail::from_c(detail::server_defaults().http_head_timeout);
  std::chrono::nanoseconds http_body_timeout =
      detail::from_c(detail::server_defaults().http_body_timeout);
  // How long a connection may be idle; then it is closed.
  std::chrono::nanoseconds http_idle_timeout =
      detail::from_c(detail::server_defaults().http_idle_timeout);
  // How long a client may take not one byte of a response; then it is closed.
  std::chrono::nanoseconds http_write_stall =
      detail::from_c(detail::server_defaults().http_write_stall);

  // How long the destructor of a Server waits for handlers that still run.
  std::chrono::nanoseconds destructor_grace = std::chrono::seconds(5);
};

// What a server has done, and is doing.
struct ServerStats {
  // Connections open, accepted since the start, and closed at once because there were too many.
  std::uint64_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  // Calls that wait for their answer, that were received, and that were answered with an error.
  std::uint64_t in_flight = 0;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
  // Connections closed because of what the peer sent, or did not take.
  std::uint64_t bad_peers = 0;
  // Bytes read and written.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

// What became of the calls of a server that was stopped.
struct StopReport {
  // Calls that were in flight and ended by themselves.
  std::uint64_t finished = 0;
  // Calls that were in flight when the grace was over, answered with code 2003.
  std::uint64_t canceled = 0;
  // Calls that came after the stop had begun, answered with code 2003.
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
