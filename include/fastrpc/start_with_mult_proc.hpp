// Several processes that serve one address, as in 2016.
//
//   int serve(int listen_fd);
//   int main() { return fastrpc::StartWithMultProc("0.0.0.0", 8997, serve, 4); }
//
// Today's spelling is in fastrpc/process.hpp.
#pragma once

#include <fastrpc/process.hpp>

#include <string>

namespace fastrpc {

// Runs `fun` in several processes; it gets a socket for RpcServer(listen_fd) and returns the exit
// status. `proc_num`: how many processes; below 1, as many as there are processors. Returns after
// SIGTERM or SIGINT, 0; or -1 at once, with a record in the log, if it cannot begin.
using StartFunction = int(int listen_fd);
inline int StartWithMultProc(std::string ip, unsigned short port, StartFunction* fun,
                             int proc_num = -1) {
  PreforkOptions options;
  if (proc_num > 0) options.processes = static_cast<std::size_t>(proc_num);
  auto run = [&]() -> Result<int> {
    if (fun == nullptr) return Error(Status::invalid_argument);
    auto group = Prefork::make(ip, port, options, std::nothrow);
    if (!group) return group.error();
    return group.value().run([fun](int, int listen_fd) { return fun(listen_fd); }, std::nothrow);
  };
  auto ran = run();
  if (!ran) fastrpc::log(LogLevel::error, "StartWithMultProc: " + ran.error().text());
  return ran ? 0 : -1;
}

}  // namespace fastrpc
