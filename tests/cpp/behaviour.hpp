// A server whose Echo does what the test says, and a client of it.
#pragma once

#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "echo.pb.h"

using google::protobuf::Closure;
using google::protobuf::RpcController;
using Stub = echo::EchoService::Stub;
using namespace std::chrono_literals;

// Runs a function; also what protobuf's NewCallback cannot take.
class Function final : public Closure {
 public:
  explicit Function(std::function<void()> run) : run_(std::move(run)) {}
  void Run() override {
    auto run = std::move(run_);
    delete this;
    run();
  }

 private:
  std::function<void()> run_;
};

// A service whose Echo is what the test says.
class Service : public echo::EchoService {
 public:
  using Behaviour = std::function<void(fastrpc::Controller&, echo::EchoResponse&, Closure*)>;

  explicit Service(Behaviour behaviour) : behaviour_(std::move(behaviour)) {}

  void Echo(RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, Closure* done) override {
    response->set_response(request->message());
    if (request->message() == "plain") return done->Run();
    behaviour_(*static_cast<fastrpc::Controller*>(controller), *response, done);
  }

 private:
  Behaviour behaviour_;
};

struct Fixture {
  explicit Fixture(Service::Behaviour behaviour)
      : server(std::make_unique<fastrpc::RpcServer>("127.0.0.1", 0)) {
    server->add_service(std::make_shared<Service>(std::move(behaviour)));
    server->listen();
    client = std::make_unique<fastrpc::RpcClient>("127.0.0.1", server->port());
  }

  // How a call ends: its response, or the number and text of its error.
  std::string call(const std::string& message = "") {
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    request.set_message(message);
    controller.set_timeout(5s);
    Stub(client.get()).Echo(&controller, &request, &response, nullptr);
    if (!controller.Failed()) return response.response();
    return std::to_string(controller.ErrorCode()) + ": " + controller.ErrorText();
  }

  bool lives() { return call("plain") == "plain"; }

  std::unique_ptr<fastrpc::RpcServer> server;
  std::unique_ptr<fastrpc::RpcClient> client;
};
