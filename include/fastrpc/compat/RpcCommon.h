// The original's controller of the client's side: see fastrpc/controller.hpp.
#pragma once

#include <fastrpc/controller.hpp>

#include "xcore_define.h"

// With the fields of the original, which tell how the call ended once it has.
class CliController : public fastrpc::CliController {
 public:
  using fastrpc::CliController::SetFailed;
  void SetFailed(const std::string& reason) override {
    fastrpc::CliController::SetFailed(reason);
    set_fields();
  }
  void Reset() override {
    fastrpc::CliController::Reset();
    set_fields();
  }
  void CopyFrom(const CliController& other) {
    fastrpc::CliController::CopyFrom(other);
    set_fields();
  }

  bool is_timeout = false;
  bool has_error = false;
  std::string err_string;

 private:
  friend class RpcClient;

  void set_fields() {
    is_timeout = IsTimeOut();
    has_error = Failed();
    err_string = ErrorText();
  }
};
