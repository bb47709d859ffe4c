// The original's pool: see fastrpc/resource_pool.hpp.
#pragma once

#include <fastrpc/resource_pool.hpp>

#include "coroutine.h"
#include "xcore_mutex.h"
#include "xcore_rpc_common.h"

using fastrpc::ResourcePool;
