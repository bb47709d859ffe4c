// A program built with -fno-exceptions: what fails is told by results.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "check.hpp"
#include "echo.pb.h"

using namespace std::chrono_literals;

namespace {

class Service : public echo::EchoService {
 public:
  void Echo(google::protobuf::RpcController*, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    response->set_response(request->message());
    done->Run();
  }
};

void coroutines() {
  auto made = fastrpc::spawn(
      {}, [] { return 7; }, std::nothrow);
  CHECK(made.ok());
  auto joined = made.value().join(std::nothrow);
  CHECK(joined && joined.value() == 7);
  auto none = fastrpc::spawn(
      {"", 0, 99}, [] {}, std::nothrow);
  CHECK(!none && none.error().status() == FASTRPC_EINVAL);
  auto sleeper = fastrpc::spawn(
      {}, [] { return fastrpc::sleep_for(100s, std::nothrow).error().is_canceled(); },
      std::nothrow);
  CHECK(sleeper.ok());
  sleeper.value().cancel();
  CHECK(sleeper.value().join(std::nothrow).value());
  fastrpc::WaitGroup ran(2);
  auto run = [&ran] { ran.done(); };
  CHECK(fastrpc::spawn_detached({}, run, std::nothrow).ok());
  fastrpc::after(1ms, run, std::nothrow).value().detach();
  CHECK(ran.wait(std::nothrow).ok() && ran.wait_for(1ms, std::nothrow).ok());
  CHECK(!fastrpc::wait_fd(-1, fastrpc::Interest::readable, 0ms, std::nothrow));
}

void locks_and_queues() {
  fastrpc::mutex mutex;
  CHECK(mutex.lock(std::nothrow).ok());
  mutex.unlock();
  fastrpc::semaphore permits(1);
  CHECK(permits.acquire(std::nothrow).ok());
  fastrpc::queue<std::unique_ptr<int>> queue(1);
  CHECK(queue.push(std::make_unique<int>(8), std::nothrow).ok());
  CHECK(*queue.pop(std::nothrow).value() == 8);
  queue.close();
  CHECK(queue.push(nullptr, std::nothrow).error().is_closed());
  CHECK(queue.pop(std::nothrow).error().is_closed());
}

void a_pool() {
  auto pool = fastrpc::ThreadPool::make({}, std::nothrow);
  CHECK(pool.ok());
  CHECK(pool.value().run([] { return 7; }, std::nothrow).value() == 7);
  CHECK(pool.value().shutdown(std::nothrow).ok());
  CHECK(pool.value().post([] {}, std::nothrow).error().is_closed());
  fastrpc::TPMgr mgr(1);
  CHECK(mgr.TPRun([](int n) { return n + 1; }, 2) == 3);
}

void a_call() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  auto service = std::make_shared<Service>();
  CHECK(server.add_service(service, std::nothrow).ok());
  CHECK(server.add_service(service, std::nothrow).error().status() == FASTRPC_ESTATE);
  CHECK(server.listen(std::nothrow).ok());
  CHECK(!fastrpc::RpcServer("127.0.0.1", server.port()).listen(std::nothrow));
  fastrpc::RpcClient client("127.0.0.1", server.port());
  CHECK(client.connect(10s, std::nothrow).ok());
  echo::EchoService::Stub stub(&client);
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  request.set_message("hello");
  stub.Echo(&controller, &request, &response, nullptr);
  CHECK(!controller.Failed() && response.response() == "hello");
  stub.Broken(&controller, &request, &response, nullptr);
  CHECK(controller.Failed());
}

void bytes_and_typed_calls() {
  auto server = fastrpc::RpcServer::make("127.0.0.1", 0, {}, std::nothrow);
  CHECK(server.ok());
  auto echo = [](const echo::EchoRequest& request) -> fastrpc::Result<echo::EchoResponse> {
    if (request.message().empty()) return fastrpc::Error::service(2042, "empty");
    echo::EchoResponse response;
    response.set_response(request.message());
    return response;
  };
  CHECK(server->add_method(&echo::EchoService::Echo, echo, std::nothrow).ok());
  auto bytes = [](fastrpc::Call& call) { (void)call.reply(call.body(), std::nothrow); };
  CHECK(server->add_method("demo.Bytes", "Echo", bytes, std::nothrow).ok());
  auto page = [](fastrpc::http::Request& request, fastrpc::http::Response& response) {
    (void)response.body(request.path(), std::nothrow);
  };
  CHECK(server->route("GET", "/", page, std::nothrow).ok());
  CHECK(server->fallback(page, std::nothrow).ok());
  CHECK(server->on_close([](std::uint64_t) {}, std::nothrow).ok());
  CHECK(server->listen(std::nothrow).ok());
  auto client = fastrpc::Client::make("127.0.0.1", server->port(), {}, std::nothrow);
  CHECK(client.ok());
  CHECK(client->on_close([](const fastrpc::Error&) {}, std::nothrow).ok());
  CHECK(client->on_push([](std::string_view, std::string_view) {}, std::nothrow).ok());
  CHECK(client->call("demo.Bytes", "Echo", "bytes", std::nothrow)->body() == "bytes");
  echo::EchoRequest request;
  auto failed = fastrpc::call(*client, &echo::EchoService::Stub::Echo, request, std::nothrow);
  CHECK(!failed && failed.error().is_service_error() && failed.error().code() == 2042);
  request.set_message("typed");
  auto typed = fastrpc::call(*client, &echo::EchoService::Stub::Echo, request, std::nothrow);
  CHECK(typed && typed->response() == "typed");
  CHECK(server->stop(1s, std::nothrow).ok());
}

// What has no result to tell by ends the process, and says why.
void the_rest_aborts() {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(60);
    CHECK(std::freopen("/dev/null", "w", stderr) != nullptr);
    (void)fastrpc::spawn({"", 0, 99}, [] {});
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

}  // namespace

int main() {
  CHECK(fastrpc::configure({}, std::nothrow).ok());
  // Forks, so before the runtime starts.
  RUN(the_rest_aborts);
  RUN(coroutines);
  RUN(locks_and_queues);
  RUN(a_pool);
  RUN(a_call);
  RUN(bytes_and_typed_calls);
  google::protobuf::ShutdownProtobufLibrary();
}
