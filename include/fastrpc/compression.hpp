// Compression of messages on the wire.
#pragma once

#include <fastrpc/fastrpc.h>

#include <cstdint>

namespace fastrpc {

enum class Compression : std::int32_t {
  none = FASTRPC_COMPRESS_NONE,
  // Snappy's block format.
  snappy = FASTRPC_COMPRESS_SNAPPY,
  gzip = FASTRPC_COMPRESS_GZIP,
  zlib = FASTRPC_COMPRESS_ZLIB,
};

}  // namespace fastrpc
