// The names of 2016 in Controller.
#pragma once

#include <fastrpc/detail/original_svr.hpp>

#include <cstdint>

namespace fastrpc::detail {

// A call's way to its connection: for RpcServer::PushToClient(), also after the call.
struct OriginalController {
  OriginalController(CASyncSvr* server, std::uint64_t connection)
      : _svr(server), _cli_flow(flow_of(connection)) {}

  CASyncSvr* _svr;
  unsigned _cli_flow;
};

}  // namespace fastrpc::detail
