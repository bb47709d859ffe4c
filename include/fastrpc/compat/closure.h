// The original's closures: see fastrpc/closure.hpp.
#pragma once

#include <fastrpc/closure.hpp>

#include "xcore_define.h"

using fastrpc::Closure;
using fastrpc::NewClosure;
using fastrpc::NewPermanentClosure;
