// The names of 2016 in RpcClient.
#pragma once

#include <fastrpc/error.hpp>

#include <new>
#include <string>
#include <string_view>

namespace fastrpc::detail {

// The mixin of RpcClient, `Client`: methods of 2016 by those of today.
template <typename Client>
class OriginalClient {
 public:
  // Runs `process` with each message that the server pushes; false if it is NULL.
  using ext_process = void(std::string mes_name, std::string data, void* param);
  bool RegiExtProcesser(ext_process* process, void* param) {
    if (process == nullptr) return false;
    auto on_push = [process, param](std::string_view name, std::string_view body) {
      process(std::string(name), std::string(body), param);
    };
    return self().on_push(on_push, std::nothrow).ok();
  }

  // Runs `handler` each time that a connection is lost; false if it is NULL.
  using event_handler = void(void* param);
  bool RegiCloseHandler(event_handler* handler, void* param) {
    if (handler == nullptr) return false;
    return self().on_close([handler, param](const Error&) { handler(param); }, std::nothrow).ok();
  }

  [[nodiscard]] bool IsConnected() const {
    return static_cast<const Client&>(*this).is_connected();
  }

 private:
  Client& self() { return static_cast<Client&>(*this); }
};

}  // namespace fastrpc::detail
