// Several processes that serve one address.
//
//   fastrpc::prefork group("0.0.0.0", 8997);
//   group.run([](int, int listen_fd) {
//     EchoService echo;
//     fastrpc::RpcServer server(listen_fd);
//     server.add_service(echo);
//     server.run_until_signal();
//   });
//
// The calling process serves nothing: it looks after the others. One that ends, by whatever cause,
// is made again after 100 ms; twice as long each further time, up to 5 s, and again 100 ms once it
// has lived for 10 s. SIGTERM or SIGINT to the parent stops all: they get a SIGTERM, and a SIGKILL
// after `grace`. When the parent dies, so do they.
//
// The kernel spreads TCP connections evenly by a hash of their addresses. Processes on a Unix
// socket share one queue: who is idle takes from it.
#pragma once

#include <fastrpc/detail/address.hpp>
#include <fastrpc/runtime.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

namespace fastrpc {

struct ProcessOptions {
  // How many processes serve, the parent not counted. 0: as many as there are processors.
  std::size_t processes = 0;
  // How long they have to end after a SIGTERM; more than what their servers give their calls.
  std::chrono::nanoseconds grace = std::chrono::seconds(15);
  // Whether a process that ends is made again.
  bool restart = true;
  // Connections that may wait in the queue of each process.
  int backlog = 4096;
};

// An address, bound, and the processes that are to serve it.
class prefork {
 public:
  // `host`: an address, "" for every address of this machine, or "unix:/path"; `port`: 0 takes a
  // free one, see port(). Connections wait from here on. Throws if the address cannot be had.
  prefork(const std::string& host, int port, const ProcessOptions& options = {})
      : prefork(make(host, port, options, std::nothrow).value()) {}
  static Result<prefork> make(const std::string& host, int port, const ProcessOptions& options,
                              std::nothrow_t) {
    fastrpc_prefork_options c;
    fastrpc_prefork_options_init(&c, sizeof c);
    if (options.processes != 0) c.processes = options.processes;
    c.grace = detail::nanoseconds(options.grace);
    c.restart = options.restart ? 1 : 0;
    c.backlog = options.backlog;
    std::string address = detail::address_of(host, port);
    fastrpc_prefork* made = nullptr;
    detail::ErrorSlot error;
    auto status = fastrpc_prefork_new(address.data(), address.size(), &c, &made, error.out());
    if (auto bound = error.check(status); !bound) return bound.error();
    return prefork(made);
  }

  // Forks the processes, which call `function(index, listen_fd)`: `index` counts from 0, the socket
  // is the function's own, the result, if it has one, is the exit status; 1 if an exception leaves
  // it, which is logged. Blocks until all have ended, and gives the signal that the parent got; 0
  // if none is to be made again. A process that does not wait in RpcServer::run_until_signal() or
  // start() dies of its SIGTERM at once.
  //
  // Once, before the first use of the runtime, and in a program that has no other threads yet; else
  // throws.
  template <typename F>
  int run(F function) {
    return run(std::move(function), std::nothrow).value();
  }
  template <typename F>
  Result<int> run(F function, std::nothrow_t) {
    auto process = [](void* user, std::size_t index, int listen_fd) -> int {
      F& f = *static_cast<F*>(user);
      if constexpr (std::is_void_v<std::invoke_result_t<F&, int, int>>) {
        f(static_cast<int>(index), listen_fd);
        return 0;
      } else {
        return f(static_cast<int>(index), listen_fd);
      }
    };
    std::int32_t signal = 0;
    detail::ErrorSlot error;
    auto ran = error.check(
        fastrpc_prefork_run(handle_.get(), process, &function, nullptr, &signal, error.out()));
    if (!ran) return ran.error();
    return signal;
  }

  // The port it is bound to; 0 for a Unix socket.
  [[nodiscard]] int port() const { return fastrpc_prefork_port(handle_.get()); }
  // The address it is bound to.
  [[nodiscard]] std::string address() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_prefork_address(handle_.get(), buffer, size);
    });
  }

 private:
  explicit prefork(fastrpc_prefork* handle) : handle_(handle) {}

  detail::Handle<fastrpc_prefork, fastrpc_prefork_free> handle_;
};

// The number of this process among those of a prefork, from 0; -1 in any other process.
[[nodiscard]] inline int process_index() {
  return static_cast<int>(fastrpc_process_index());
}

// The original's spelling: `fun` gets a socket for RpcServer(listen_fd), and gives the exit status.
// `proc_num`: how many processes; below 1, as many as there are processors. Returns after SIGTERM
// or SIGINT, 0; or -1 at once, with a record in the log, if it cannot begin.
using StartFunction = int(int listen_fd);
inline int StartWithMultProc(std::string ip, unsigned short port, StartFunction* fun,
                             int proc_num = -1) {
  ProcessOptions options;
  if (proc_num > 0) options.processes = static_cast<std::size_t>(proc_num);
  auto run = [&]() -> Result<int> {
    if (fun == nullptr) return Error(FASTRPC_EINVAL);
    auto group = prefork::make(ip, port, options, std::nothrow);
    if (!group) return group.error();
    return group.value().run([fun](int, int listen_fd) { return fun(listen_fd); }, std::nothrow);
  };
  auto ran = run();
  if (!ran) fastrpc::log(FASTRPC_LOG_ERROR, "StartWithMultProc: " + ran.error().text());
  return ran ? 0 : -1;
}

}  // namespace fastrpc
