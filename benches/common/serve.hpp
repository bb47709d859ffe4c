// What the servers made with fastrpc's C++ headers have in common.
#pragma once

#include <fastrpc/rpc_server.hpp>

#include <cstdio>

#include "setup.hpp"

namespace bench {

// Serves what `prepare` has added to the server, until the process is killed.
template <typename Prepare>
int Serve(int port, Prepare prepare) {
  try {
    fastrpc::RpcServer server("127.0.0.1", port);
    prepare(server);
    server.listen();
    AnnouncePort(server.port());
    server.wait();
    return 0;
  } catch (const fastrpc::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace bench
