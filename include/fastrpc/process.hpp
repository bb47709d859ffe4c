// Prefork: several processes that serve one address.
//
//   fastrpc::Prefork group("0.0.0.0", 8997);
//   group.run([](int, int listen_fd) {
//     EchoService echo;
//     auto server = fastrpc::RpcServer::from_socket(listen_fd);
//     server.add_service(echo);
//     server.run_until_signal();
//   });
//
// The calling process serves nothing: it supervises the others. A child that exits, for whatever
// reason, is restarted after 100 ms; the delay doubles with each restart up to 5 s, and is reset
// once the child has lived for 10 s. SIGTERM or SIGINT to the parent stops all children: they get a
// SIGTERM, and a SIGKILL after `grace`. When the parent dies, so do the children.
//
// The kernel balances TCP connections by a hash of their addresses. Processes on a Unix socket
// share one accept queue, from which idle ones accept.
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

namespace detail {
inline const fastrpc_prefork_options& prefork_defaults() {
  return defaults<fastrpc_prefork_options, fastrpc_prefork_options_init>();
}
}  // namespace detail

// Options of a Prefork. The defaults are those of the C ABI's fastrpc_prefork_options.
struct PreforkOptions {
  // Number of child processes. Defaults to the number of processors.
  std::size_t processes = detail::prefork_defaults().processes;
  // How long the children may take to exit after a SIGTERM; longer than the grace of their servers.
  // Negative for no limit.
  std::chrono::nanoseconds grace = detail::from_c(detail::prefork_defaults().grace);
  // Whether a child that exits is restarted.
  bool restart = detail::prefork_defaults().restart != 0;
  // Listen backlog of each process.
  int backlog = detail::prefork_defaults().backlog;
};

// A bound address and the processes that serve it.
class Prefork {
 public:
  // `host`: an address, "" for every address of this machine, or "unix:/path"; `port`: 0 picks a
  // free one, see port(). Connections are queued from here on. Throws if the address cannot be
  // bound.
  Prefork(const std::string& host, int port, const PreforkOptions& options = {})
      : Prefork(make(host, port, options, std::nothrow).value()) {}
  static Result<Prefork> make(const std::string& host, int port, const PreforkOptions& options,
                              std::nothrow_t) {
    fastrpc_prefork_options c = detail::prefork_defaults();
    c.processes = options.processes;
    c.grace = detail::to_c(options.grace);
    c.restart = options.restart ? 1 : 0;
    c.backlog = options.backlog;
    std::string address = detail::address_of(host, port);
    fastrpc_prefork* made = nullptr;
    detail::ErrorSlot error;
    auto status = fastrpc_prefork_new(address.data(), address.size(), &c, &made, error.out());
    if (auto bound = error.check(status); !bound) return bound.error();
    return Prefork(made);
  }

  // Forks the processes, which call `function(index, listen_fd)`: `index` counts from 0, the
  // function owns the socket; its result, if it has one, is the exit status; 1 if an exception
  // leaves it, which is logged. Blocks until all have exited. Returns the signal that the parent
  // received; 0 if all have exited and none is to be restarted. A process that does not wait in
  // RpcServer::run_until_signal() or start() is killed by its SIGTERM at once.
  //
  // Call it once, before the first use of the runtime and while the program has no other threads;
  // otherwise it throws.
  template <typename F>
  int run(F function) {
    return run(std::move(function), std::nothrow).value();
  }
  template <typename F>
  Result<int> run(F function, std::nothrow_t) {
    static_assert(
        std::is_invocable_v<F&, int, int>,
        "fastrpc::Prefork::run(f): f takes (int index, int listen_fd) and returns an exit "
        "status or nothing");
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

  // Returns the port it is bound to; 0 for a Unix socket.
  [[nodiscard]] int port() const { return fastrpc_prefork_port(handle_.get()); }
  // Returns the address it is bound to.
  [[nodiscard]] std::string address() const {
    return detail::copied_text([this](char* buffer, std::size_t size) {
      return fastrpc_prefork_address(handle_.get(), buffer, size);
    });
  }

 private:
  explicit Prefork(fastrpc_prefork* handle) : handle_(handle) {}

  detail::Handle<fastrpc_prefork, fastrpc_prefork_free> handle_;
};

// Returns the index of this process among the children of a Prefork, from 0; -1 in any other
// process.
[[nodiscard]] inline int process_index() {
  return static_cast<int>(fastrpc_process_index());
}

}  // namespace fastrpc
