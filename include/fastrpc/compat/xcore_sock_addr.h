// The original's socket address: IPv4 alone.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include "xcore_define.h"

namespace xcore {

// An address and a port. One thread at a time.
class XSockAddr {
 public:
  // 0.0.0.0:0.
  XSockAddr() { address_.sin_family = AF_INET; }
  XSockAddr(const sockaddr_in& address) : address_(address) {}
  // "host:port"; without a colon the port is 0.
  explicit XSockAddr(const std::string& text) : XSockAddr() {
    auto colon = text.find(':');
    set_host(text.substr(0, colon));
    if (colon == std::string::npos) return;
    unsigned long port = strtoul(text.c_str() + colon + 1, nullptr, 10);
    set_port(port <= 65535 ? static_cast<uint16>(port) : uint16{0});
  }
  // `host`: an address or a name. To look a name up may block the thread.
  XSockAddr(const std::string& host, uint16 port) : XSockAddr() {
    set_host(host);
    set_port(port);
  }
  // `ip` in the byte order of the host.
  XSockAddr(uint32 ip, uint16 port) : XSockAddr() {
    set_ipaddr(ip);
    set_port(port);
  }

  // False, and 255.255.255.255, if the name is not known.
  bool set_host(const std::string& host) {
    addrinfo hints = {};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
      address_.sin_addr.s_addr = htonl(INADDR_NONE);
      return false;
    }
    sockaddr_in address;
    memcpy(&address, found->ai_addr, sizeof address);
    freeaddrinfo(found);
    address_.sin_addr = address.sin_addr;
    return true;
  }
  void set_port(uint16 port) { address_.sin_port = htons(port); }
  void set_ipaddr(uint32 ip) { address_.sin_addr.s_addr = htonl(ip); }

  // Such as "127.0.0.1".
  std::string host() const {
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &address_.sin_addr, text, sizeof text);
    return text;
  }
  uint16 port() const { return ntohs(address_.sin_port); }
  // In the byte order of the host.
  uint32 ipaddr() const { return ntohl(address_.sin_addr.s_addr); }
  // Such as "127.0.0.1:80".
  std::string str() const { return host() + ":" + std::to_string(port()); }

  const sockaddr_in& get() const { return address_; }

  bool operator==(const XSockAddr& other) const {
    return ipaddr() == other.ipaddr() && port() == other.port();
  }
  bool operator!=(const XSockAddr& other) const { return !(*this == other); }

 private:
  sockaddr_in address_ = {};
};

}  // namespace xcore

using xcore::XSockAddr;
