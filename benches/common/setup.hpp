// What every server and client of the benchmark does alike: its options, its core, its first line.
#pragma once

#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "arguments.hpp"

namespace bench {

struct ServerOptions {
  std::uint16_t port;
};

struct ClientOptions {
  std::string host;
  std::uint16_t port;
  std::size_t connections;
  std::size_t in_flight;  // per connection
  std::size_t bytes;
  double warmup;   // seconds
  double seconds;  // measured, after the warm-up
  pid_t server_pid;
  std::string service;
  std::string method;
  std::string style;

  std::string Target() const { return host + ":" + std::to_string(port); }
};

// Before the first thread is started, so that all of them inherit it.
inline void PinToCore(long core) {
  if (core < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) {
    std::perror("sched_setaffinity");
    std::exit(2);
  }
}

inline ServerOptions ParseServer(int argc, char** argv, const char* purpose) {
  Arguments arguments(argc, argv, purpose,
                      {{"core", "-1", "run on this core alone; -1: anywhere"},
                       {"port", "0", "listen on 127.0.0.1 at this port; 0: any free one"}});
  PinToCore(arguments.Integer("core"));
  return {static_cast<std::uint16_t>(arguments.Integer("port"))};
}

// The one line by which a server says that it can be called.
inline void AnnouncePort(int port) {
  std::printf("port %d\n", port);
  std::fflush(stdout);
}

inline ClientOptions ParseClient(int argc, char** argv, const char* purpose) {
  Arguments arguments(
      argc, argv, purpose,
      {{"core", "-1", "run on this core alone; -1: anywhere"},
       {"host", "127.0.0.1", "the server's IPv4 address"},
       {"port", "0", "the server's port"},
       {"connections", "1", "connections"},
       {"inflight", "1", "calls in flight on each connection"},
       {"bytes", "16", "bytes of payload per call"},
       {"warmup", "0.3", "seconds before measuring"},
       {"seconds", "1", "seconds of measuring"},
       {"server-pid", "0", "process whose CPU time is read over the measured interval; 0: none"},
       {"service", "echo.EchoService", "full name of the service, where the protocol has one"},
       {"method", "Echo", "name of the method, where the protocol has one"},
       {"style", "", "how it calls, where the client has several styles"}});
  PinToCore(arguments.Integer("core"));
  ClientOptions options{arguments.Text("host"),
                        static_cast<std::uint16_t>(arguments.Integer("port")),
                        static_cast<std::size_t>(arguments.Integer("connections")),
                        static_cast<std::size_t>(arguments.Integer("inflight")),
                        static_cast<std::size_t>(arguments.Integer("bytes")),
                        arguments.Number("warmup"),
                        arguments.Number("seconds"),
                        static_cast<pid_t>(arguments.Integer("server-pid")),
                        arguments.Text("service"),
                        arguments.Text("method"),
                        arguments.Text("style")};
  if (options.port == 0 || options.connections == 0 || options.in_flight == 0) {
    std::fprintf(stderr, "--port, --connections and --inflight must be above 0 (see --help)\n");
    std::exit(2);
  }
  return options;
}

}  // namespace bench
