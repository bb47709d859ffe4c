// What all headers of this folder bring along, as the headers of 2016 did. With
// FASTRPC_COMPAT_USING defined, `using namespace std` too; the CMake target fastrpc::compat and
// fastrpc-compat.pc define it.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <list>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace xcore {

using int8 = int8_t;
using uint8 = uint8_t;
using int16 = int16_t;
using uint16 = uint16_t;
using int32 = int32_t;
using uint32 = uint32_t;
using int64 = int64_t;
using uint64 = uint64_t;
using SOCKET = int;

}  // namespace xcore

using xcore::int16;
using xcore::int32;
using xcore::int64;
using xcore::int8;
using xcore::SOCKET;
using xcore::uint16;
using xcore::uint32;
using xcore::uint64;
using xcore::uint8;

#define XCORE_INVALID_SOCKET (-1)

#ifdef FASTRPC_COMPAT_USING
using namespace std;
#endif
