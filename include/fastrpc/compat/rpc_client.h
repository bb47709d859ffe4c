// The original's client: see fastrpc/rpc_client.hpp.
#pragma once

#include <fastrpc/rpc_client.hpp>

#include "RpcCommon.h"
#include "closure.h"
#include "http_util.h"
#include "monitor.h"
#include "xcore_atomic.h"
#include "xcore_rpc_common.h"
#include "xcore_socket.h"
#include "xcore_utility.h"

// What RegiExtProcesser() and RegiCloseHandler() take.
using ext_process = fastrpc::RpcClient::ext_process;
using event_handler = fastrpc::RpcClient::event_handler;

// A client that connects as it is made. It speaks the original's frames, which servers of both
// kinds understand. Calls without a `done` wait: they suspend the coroutine, or
// block the thread. A `done` runs in a coroutine, in either mode.
class RpcClient : public fastrpc::RpcClient {
 public:
  // `time_out`: milliseconds a call may take. `multi_thread_mode` makes no difference any more.
  RpcClient(const std::string& host, int port, int time_out = 10000, bool multi_thread_mode = false)
      : fastrpc::RpcClient(host, port, options(time_out)) {
    (void)multi_thread_mode;
    auto connected = connect(kConnectTime, std::nothrow);
    if (!connected)
      fastrpc::log(fastrpc::LogLevel::error, "cannot connect to " + host + ":" +
                                                 std::to_string(port) + ": " +
                                                 connected.error().text());
  }

  // Runs a closure of RpcMgr::PutOutSideQueue() here, waiting for one for `msec` milliseconds at
  // most. 1 if there was one, else 0.
  static int OutSideProcess(unsigned msec) { return RpcMgr::RunOutSideQueue(msec); }

  void CallMethod(const google::protobuf::MethodDescriptor* method,
                  google::protobuf::RpcController* controller,
                  const google::protobuf::Message* request, google::protobuf::Message* response,
                  google::protobuf::Closure* done) override {
    auto* fields = dynamic_cast<CliController*>(controller);
    if (fields != nullptr && done != nullptr) done = new FieldsFirst(fields, done);
    fastrpc::RpcClient::CallMethod(method, controller, request, response, done);
    if (fields != nullptr && done == nullptr) fields->set_fields();
  }

 private:
  static constexpr std::chrono::seconds kConnectTime{20};

  // Sets the fields of a controller before `done` runs.
  class FieldsFirst final : public google::protobuf::Closure {
   public:
    FieldsFirst(CliController* controller, google::protobuf::Closure* done)
        : controller_(controller), done_(done) {}

    void Run() override {
      std::unique_ptr<FieldsFirst> self(this);
      controller_->set_fields();
      done_->Run();
    }

   private:
    CliController* controller_;
    google::protobuf::Closure* done_;
  };

  static fastrpc::ClientOptions options(int time_out) {
    fastrpc::ClientOptions options;
    options.timeout = std::chrono::milliseconds(time_out);
    options.connect_timeout = kConnectTime;
    options.protocol = fastrpc::Protocol::original;
    return options;
  }
};
