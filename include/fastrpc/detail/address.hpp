// Addresses as the C ABI takes and gives them.
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace fastrpc::detail {

// "host:port" as the C ABI takes it; a host "unix:/path" stands alone.
inline std::string address_of(const std::string& host, int port) {
  if (host.rfind("unix:", 0) == 0) return host;
  bool v6 = host.find(':') != std::string::npos && host.front() != '[';
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// Calls a function of the C ABI that copies text into a buffer.
template <typename Copy>
std::string copied_text(Copy copy) {
  std::array<char, 64> buffer;
  std::size_t size = copy(buffer.data(), buffer.size());
  if (size < buffer.size()) return {buffer.data(), size};
  std::string text(size, '\0');
  copy(text.data(), size + 1);
  return text;
}

}  // namespace fastrpc::detail
