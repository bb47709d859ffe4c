// The second translation unit with every header: nothing may be defined twice.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/pb_mgr.hpp>
#include <fastrpc/pbext.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>
