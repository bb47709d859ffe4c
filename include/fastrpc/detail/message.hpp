// Machinery of RPC: addresses, and messages on their way into buffers of the library.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace fastrpc::detail {

// "host:port" as the C ABI takes it; a host "unix:/path" stands alone.
inline std::string address_of(const std::string& host, int port) {
  if (host.rfind("unix:", 0) == 0) return host;
  bool v6 = host.find(':') != std::string::npos && host.front() != '[';
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// A fastrpc_fill_function: writes the message `user`, whose size was asked for just before.
inline void fill_message(void* user, std::uint8_t* buffer, std::size_t) {
  static_cast<const google::protobuf::Message*>(user)->SerializeWithCachedSizesToArray(buffer);
}

}  // namespace fastrpc::detail
