// brpc's echo server, with as few worker threads as it takes.
#include <brpc/server.h>
#include <gflags/gflags.h>

#include "common/echo_service.hpp"
#include "common/setup.hpp"

int main(int argc, char** argv) {
  auto options = bench::ParseServer(argc, argv, "brpc's echo server.");
  google::SetCommandLineOption("bthread_concurrency", "4");
  bench::EchoService service;
  brpc::Server server;
  brpc::ServerOptions settings;
  // The least that there can be: one of them waits for the sockets.
  settings.num_threads = 4;
  settings.has_builtin_services = false;
  if (server.AddService(&service, brpc::SERVER_DOESNT_OWN_SERVICE) != 0 ||
      server.Start("127.0.0.1", brpc::PortRange(options.port, options.port ? options.port : 65535),
                   &settings) != 0) {
    std::fprintf(stderr, "cannot listen\n");
    return 1;
  }
  bench::AnnouncePort(server.listen_address().port);
  server.RunUntilAskedToQuit();
}
