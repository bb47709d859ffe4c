// The original's callbacks of any arity: see fastrpc/pbext.hpp.
#pragma once

#include <fastrpc/pbext.hpp>

#include "closure.h"

namespace pbext = fastrpc::pbext;
