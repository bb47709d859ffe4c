// Includes every header that does not need protobuf; rpc_server.hpp and rpc_client.hpp do.
#pragma once

#include <fastrpc/client.hpp>
#include <fastrpc/closure.hpp>
#include <fastrpc/coroutine.hpp>
#include <fastrpc/error.hpp>
#include <fastrpc/hook.hpp>
#include <fastrpc/http.hpp>
#include <fastrpc/http_parser.hpp>
#include <fastrpc/io.hpp>
#include <fastrpc/process.hpp>
#include <fastrpc/que_mgr.hpp>
#include <fastrpc/resource_pool.hpp>
#include <fastrpc/runtime.hpp>
#include <fastrpc/server.hpp>
#include <fastrpc/start_with_mult_proc.hpp>
#include <fastrpc/sync.hpp>
#include <fastrpc/thread_pool.hpp>
#include <fastrpc/timer.hpp>
#include <fastrpc/timer_mgr.hpp>
#include <fastrpc/tp_mgr.hpp>
