// Two processes behind one port: the kernel spreads the connections, and a parent looks after both.
#include <fastrpc/process.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <map>
#include <string>

#include "echo.pb.h"

using Echo = echo::EchoService;

// What each of the two does, until the parent tells it to stop.
void serve(int /*index*/, int listen_fd) {
  auto server = fastrpc::RpcServer::from_socket(listen_fd);
  server.add_method(&Echo::Echo, [](const echo::EchoRequest&) {
    echo::EchoResponse response;
    response.set_response("process " + std::to_string(fastrpc::process_index()));
    return response;
  });
  server.run_until_signal();
}

void ask(int port) {
  std::map<std::string, int> answers;
  for (int i = 0; i < 40; ++i) {
    fastrpc::RpcClient client("127.0.0.1", port);
    ++answers[fastrpc::call(client, &Echo::Stub::Echo, echo::EchoRequest()).response()];
  }
  for (const auto& [who, count] : answers)
    std::cout << who << " answered on " << count << " connections" << std::endl;
}

int main() {
  fastrpc::PreforkOptions options;
  options.processes = 2;
  fastrpc::Prefork group("127.0.0.1", 0, options);

  pid_t client = fork();
  if (client == 0) {
    ask(group.port());
    kill(getppid(), SIGTERM);
    _exit(0);
  }
  int signal = group.run(serve);
  std::cout << "all were stopped by signal " << signal << std::endl;
  int status = 0;
  waitpid(client, &status, 0);
  return status == 0 ? 0 : 1;
}
