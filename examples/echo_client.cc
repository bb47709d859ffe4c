// echo_client [HOST:PORT]: calls echo_server in all the ways there are.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "echo.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
int failures = 0;

// Says how a call ended, and counts what was not to be expected.
void report(const char* what, Clock::time_point start, bool expected, const std::string& outcome) {
  std::chrono::duration<double, std::milli> took = Clock::now() - start;
  std::printf("%-28s %9.2f ms   %s%s\n", what, took.count(), outcome.c_str(),
              expected ? "" : "   <- not expected");
  failures += !expected;
}

std::string outcome(const fastrpc::CliController& controller, const echo::EchoResponse& response) {
  if (!controller.Failed()) return "'" + response.response() + "'";
  return "error " + std::to_string(controller.ErrorCode()) + ": " + controller.ErrorText();
}

void done_asynchronously(fastrpc::WaitGroup* group) {
  group->done();
}

}  // namespace

int main(int argc, char** argv) {
  std::string address = argc > 1 ? argv[1] : "127.0.0.1:8997";
  auto colon = address.rfind(':');
  if (colon == std::string::npos) {
    std::fprintf(stderr, "usage: echo_client HOST:PORT\n");
    return 2;
  }
  fastrpc::RpcClient client(address.substr(0, colon), std::atoi(address.c_str() + colon + 1));
  echo::EchoService::Stub stub(&client);
  echo::EchoRequest request;
  request.set_message("hello");

  {
    auto start = Clock::now();
    fastrpc::CliController controller;
    echo::EchoResponse response;
    stub.Echo(&controller, &request, &response, nullptr);
    report("synchronous", start, response.response() == "hello", outcome(controller, response));
  }
  {
    auto start = Clock::now();
    fastrpc::CliController controller;
    echo::EchoResponse response;
    fastrpc::WaitGroup group;
    group.add(1);
    stub.Echo(&controller, &request, &response,
              google::protobuf::NewCallback(&done_asynchronously, &group));
    group.wait();
    report("asynchronous, callback", start, response.response() == "hello",
           outcome(controller, response));
  }
  {
    auto start = Clock::now();
    fastrpc::CliController controller;
    echo::EchoResponse response;
    controller.request_attachment() = "beside";
    stub.Echo(&controller, &request, &response, nullptr);
    report("an attachment", start, controller.response_attachment() == "beside",
           outcome(controller, response) + " and '" + controller.response_attachment() + "'");
  }
  {
    auto start = Clock::now();
    std::vector<fastrpc::Coroutine<bool>> calls;
    for (int i = 0; i < 100; ++i) {
      calls.push_back(fastrpc::spawn([&stub, i] {
        echo::EchoRequest mine;
        echo::EchoResponse response;
        mine.set_message(std::to_string(i));
        fastrpc::CliController controller;
        stub.SlowEcho(&controller, &mine, &response, nullptr);
        return !controller.Failed() && response.response() == std::to_string(i);
      }));
    }
    int right = 0;
    for (auto& call : calls) right += call.join();
    report("100 coroutines, 1 s each", start, right == 100, std::to_string(right) + " right");
  }
  {
    auto start = Clock::now();
    fastrpc::CliController controller;
    echo::EchoResponse response;
    controller.set_timeout(std::chrono::milliseconds(50));
    stub.SlowEcho(&controller, &request, &response, nullptr);
    report("a timeout of 50 ms", start, controller.IsTimeOut(), outcome(controller, response));
  }
  {
    auto start = Clock::now();
    // Nothing listens on port 1.
    fastrpc::RpcClient nobody("127.0.0.1", 1);
    echo::EchoService::Stub lonely(&nobody);
    fastrpc::CliController controller;
    echo::EchoResponse response;
    lonely.Echo(&controller, &request, &response, nullptr);
    report("a refused connection", start, controller.status() == FASTRPC_ECONNECT,
           outcome(controller, response));
  }
  {
    auto start = Clock::now();
    echo::OtherService::Stub other(&client);
    fastrpc::CliController controller;
    echo::EchoResponse response;
    other.Nothing(&controller, &request, &response, nullptr);
    report("a method that is not there", start, controller.ErrorCode() == 1001,
           outcome(controller, response));
  }
  {
    auto start = Clock::now();
    fastrpc::CliController controller;
    echo::EchoResponse response;
    stub.Refuse(&controller, &request, &response, nullptr);
    bool expected =
        controller.ErrorCode() == 2042 && controller.ErrorText() == "'hello' is refused";
    report("an error of the service", start, expected, outcome(controller, response));
  }
  {
    auto start = Clock::now();
    fastrpc::CliController controller;
    echo::EchoResponse response;
    stub.Broken(&controller, &request, &response, nullptr);
    bool expected = controller.ErrorText().find("no echo for 'hello'") != std::string::npos;
    report("a handler that throws", start, expected, outcome(controller, response));
  }
  return failures == 0 ? 0 : 1;
}
