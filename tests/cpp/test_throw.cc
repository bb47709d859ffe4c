// Exceptions from every kind of callback: each is reported with its text, and kills nothing.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#include "echo.pb.h"
#include "records.hpp"
#include "workers.hpp"

using namespace std::chrono_literals;

namespace {

struct Odd {};

// The callbacks: each throws what its user data says.
void throw_it(void* user) {
  if (user == nullptr) throw Odd{};
  throw std::runtime_error(static_cast<const char*>(user));
}
void throw_from_fill(void* user, std::uint8_t*, std::size_t) {
  throw_it(user);
}
void throw_from_done(void* user, fastrpc_response* response, fastrpc_error* error) {
  fastrpc_response_free(response);
  fastrpc_error_free(error);
  throw_it(user);
}

void throw_from_push(void* user, const char*, std::size_t, const std::uint8_t*, std::size_t) {
  throw_it(user);
}
void throw_from_closed(void* user, std::uint64_t) {
  throw_it(user);
}
void throw_from_lost(void* user, fastrpc_error* error) {
  fastrpc_error_free(error);
  throw_it(user);
}

void* text(const char* text) {
  return const_cast<char*>(text);
}

void coroutines() {
  fastrpc_coroutine* coroutine = nullptr;
  fastrpc_error* error = nullptr;
  CHECK(fastrpc_spawn(nullptr, throw_it, text("c-1"), nullptr, &coroutine, nullptr) == FASTRPC_OK);
  CHECK(fastrpc_coroutine_join(coroutine, -1, &error) == FASTRPC_EEXCEPTION);
  CHECK(std::string(fastrpc_error_text(error)) == "c-1");
  fastrpc_error_free(error);
  fastrpc_coroutine_free(coroutine);
  CHECK(records().says("coroutine", "c-1"));

  CHECK(fastrpc_spawn(nullptr, throw_it, nullptr, nullptr, nullptr, nullptr) == FASTRPC_OK);
  CHECK(records().says("coroutine", "exception of type (anonymous namespace)::Odd"));

  auto nothing = [](void*) {};
  CHECK(fastrpc_spawn(nullptr, nothing, text("c-2"), throw_it, nullptr, nullptr) == FASTRPC_OK);
  CHECK(records().says("a drop callback", "c-2"));
  // Also where the call itself fails.
  CHECK(fastrpc_spawn(nullptr, nullptr, text("c-3"), throw_it, nullptr, nullptr) == FASTRPC_EINVAL);
  CHECK(records().says("a drop callback", "c-3"));

  fastrpc::spawn_detached([] { throw std::runtime_error("c-4"); });
  CHECK(records().says("coroutine", "c-4"));
  CHECK(fastrpc::ProcessWithNewCro([] { throw std::runtime_error("c-5"); }));
  CHECK(records().says("coroutine", "c-5"));
  auto joined = fastrpc::spawn([] { throw std::runtime_error("c-6"); });
  CHECK(joined.join(std::nothrow).error().text() == "c-6");
  CHECK(records().says("coroutine", "c-6"));
  // Nobody joins: before its end, and after it.
  fastrpc::WaitGroup left(1);
  (void)fastrpc::spawn([&left] {
    left.wait();
    throw std::runtime_error("c-7");
  });
  left.done();
  CHECK(records().says("coroutine", "c-7"));
  auto ended = fastrpc::spawn([] { throw std::runtime_error("c-8"); });
  CHECK(ended.wait_for(20s));
  CHECK(!records().take("c-8"));
  ended.detach();
  CHECK(records().take("coroutine", "c-8"));
  CHECK(fastrpc::spawn([] { return 1; }).join() == 1);
}

void timers() {
  CHECK(fastrpc_timer_after(1, throw_it, text("t-1"), nullptr, nullptr, nullptr) == FASTRPC_OK);
  CHECK(records().says("a timer", "t-1"));
  fastrpc_timer* timer = nullptr;
  CHECK(fastrpc_timer_after(std::int64_t{1} << 60, throw_it, text("t-2"), throw_it, &timer,
                            nullptr) == FASTRPC_OK);
  CHECK(fastrpc_timer_cancel(timer));
  fastrpc_timer_free(timer);
  CHECK(records().says("a drop callback", "t-2"));
  fastrpc::after(1ms, [] { throw std::runtime_error("t-3"); }).detach();
  CHECK(records().says("a timer", "t-3"));
  auto once = fastrpc::after(1ms, [] { throw std::runtime_error("t-4"); });
  CHECK(records().says("a timer", "t-4"));
  auto again = fastrpc::every(1ms, [] { throw std::runtime_error("t-5"); });
  for (int i = 0; i < 3; ++i) CHECK(records().says("a timer", "t-5"));
}

// A job that outlasts its caller's patience.
struct Lingering {
  void wait() {
    begun = true;
    gate.wait();
  }
  std::atomic<bool> begun{false};
  fastrpc::WaitGroup gate{1};
};

void pools() {
  fastrpc_pool* pool = nullptr;
  fastrpc_error* error = nullptr;
  CHECK(fastrpc_pool_new(nullptr, &pool, nullptr) == FASTRPC_OK);
  CHECK(fastrpc_pool_run(pool, throw_it, text("p-1"), throw_it, -1, &error) == FASTRPC_EEXCEPTION);
  CHECK(std::string(fastrpc_error_text(error)) == "p-1");
  fastrpc_error_free(error);
  CHECK(records().says("a drop callback", "p-1"));
  CHECK(records().says("a job of a thread pool", "p-1"));
  CHECK(fastrpc_pool_post(pool, throw_it, text("p-2"), nullptr, nullptr) == FASTRPC_OK);
  CHECK(records().says("a job of a thread pool", "p-2"));
  // Its caller has gone; a job that had not begun by then never does.
  Lingering first;
  auto linger = [](void* user) {
    static_cast<Lingering*>(user)->wait();
    throw_it(text("p-3"));
  };
  while (!first.begun)
    CHECK(fastrpc_pool_run(pool, linger, &first, nullptr, 20'000'000, nullptr) ==
          FASTRPC_ETIMEDOUT);
  first.gate.done();
  CHECK(records().says("a job of a thread pool", "p-3"));
  CHECK(fastrpc_blocking(throw_it, nullptr, &error) == FASTRPC_EEXCEPTION);
  CHECK(std::string(fastrpc_error_text(error)).find("Odd") != std::string::npos);
  fastrpc_error_free(error);
  fastrpc_pool_free(pool);

  fastrpc::ThreadPool threads(1);
  auto failing = [](const char* why) { return [why] { throw std::runtime_error(why); }; };
  CHECK(threads.run(failing("p-4"), std::nothrow).error().text() == "p-4");
  CHECK(records().says("a job of a thread pool", "p-4"));
  threads.post(failing("p-5"));
  CHECK(records().says("a job of a thread pool", "p-5"));
  Lingering second;
  auto slow = [&second] {
    second.wait();
    throw std::runtime_error("p-6");
  };
  while (!second.begun) CHECK(threads.run_for(20ms, slow, std::nothrow).error().is_timeout());
  second.gate.done();
  CHECK(records().says("a job of a thread pool", "p-6"));
  CHECK(threads.run_for(20s, failing("p-7"), std::nothrow).error().text() == "p-7");
  CHECK(records().says("a job of a thread pool", "p-7"));
  CHECK(threads.run([] { return 1; }) == 1);
}

void locals_and_queues() {
  fastrpc_key* key = nullptr;
  CHECK(fastrpc_key_new(throw_it, &key) == FASTRPC_OK);
  fastrpc::spawn([key] { CHECK(fastrpc_key_set(key, text("k-1")) == FASTRPC_OK); }).join();
  CHECK(records().says("a drop callback", "k-1"));
  fastrpc_key_free(key);

  fastrpc_queue* queue = nullptr;
  CHECK(fastrpc_queue_new(4, throw_it, &queue) == FASTRPC_OK);
  for (const char* item : {"q-1", "q-2"})
    CHECK(fastrpc_queue_push(queue, text(item), -1) == FASTRPC_OK);
  fastrpc_queue_free(queue);
  CHECK(records().says("a drop callback", "q-1") && records().says("a drop callback", "q-2"));
}

// Answers as the request says, and throws.
void throw_from_method(void*, fastrpc_call* call) {
  std::size_t size = 0;
  const void* request = fastrpc_call_request(call, &size);
  std::string order(static_cast<const char*>(request), size);
  if (order == "push") {
    fastrpc_connection* connection = fastrpc_call_connection(call);
    CHECK(fastrpc_connection_id(connection) == fastrpc_call_connection_id(call));
    CHECK(fastrpc_connection_push(connection, "N", 1, nullptr, 0, nullptr) == FASTRPC_OK);
    fastrpc_connection_free(connection);
    CHECK(fastrpc_call_reply(call, nullptr, 0) == FASTRPC_OK);
    return;
  }
  if (order == "after") {
    CHECK(fastrpc_call_reply(call, nullptr, 0) == FASTRPC_OK);
  } else if (order == "fill") {
    fastrpc_reply_options options;
    fastrpc_reply_options_init(&options, sizeof options);
    options.fill = throw_from_fill;
    options.fill_user = text("f-1");
    fastrpc_error* error = nullptr;
    CHECK(fastrpc_call_reply_with(call, nullptr, 1, &options, &error) == FASTRPC_EEXCEPTION);
    CHECK(std::string(fastrpc_error_text(error)) == "f-1");
    fastrpc_error_free(error);
    return;
  }
  if (order == "odd") throw Odd{};
  if (order == "literal") throw "as a literal";
  if (order == "string") throw std::string("as a string");
  throw std::runtime_error("m-" + order);
}

struct Raw {
  Raw() {
    CHECK(fastrpc_server_new(nullptr, &server, nullptr) == FASTRPC_OK);
    CHECK(fastrpc_server_add_method(server, "S", 1, "M", 1, throw_from_method, text("m-user"),
                                    throw_it, nullptr) == FASTRPC_OK);
    CHECK(fastrpc_server_listen(server, "127.0.0.1:0", 11, nullptr) == FASTRPC_OK);
    std::string at(64, '\0');
    at.resize(fastrpc_server_address(server, at.data(), at.size()));
    CHECK(fastrpc_client_new(at.data(), at.size(), nullptr, &client, nullptr) == FASTRPC_OK);
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() {
    fastrpc_client_free(client);
    fastrpc_server_free(server);
  }

  // The text of a call's error, "" if there is none.
  std::string call(const std::string& order, const fastrpc_call_options* options = nullptr) {
    fastrpc_response* response = nullptr;
    fastrpc_error* error = nullptr;
    auto* bytes = reinterpret_cast<const std::uint8_t*>(order.data());
    auto status = fastrpc_client_call(client, "S", 1, "M", 1, bytes, order.size(), options,
                                      &response, &error);
    std::string said = status == FASTRPC_OK ? "" : fastrpc_error_text(error);
    fastrpc_response_free(response);
    fastrpc_error_free(error);
    return said;
  }

  fastrpc_status call_async(const fastrpc_call_options* options, const char* user) {
    return fastrpc_client_call_async(client, "S", 1, "M", 1, nullptr, 0, options, throw_from_done,
                                     text(user), throw_it, nullptr, nullptr);
  }

  fastrpc_server* server = nullptr;
  fastrpc_client* client = nullptr;
};

void pushes_and_ends() {
  auto raw = std::make_unique<Raw>();
  auto bound = [](fastrpc_status status) { CHECK(status == FASTRPC_OK); };
  bound(fastrpc_server_on_close(raw->server, throw_from_closed, text("c-1"), throw_it, nullptr));
  bound(fastrpc_client_on_push(raw->client, throw_from_push, text("p-1"), throw_it, nullptr));
  bound(fastrpc_client_on_close(raw->client, throw_from_lost, text("l-1"), throw_it, nullptr));
  CHECK(raw->call("push").empty());
  CHECK(records().says("the handler of pushes", "p-1"));
  CHECK(fastrpc_server_stop(raw->server, -1, nullptr) == FASTRPC_OK);
  CHECK(records().says("the handler of lost connections", "l-1"));
  CHECK(records().says("the handler of closed connections", "c-1"));
  raw.reset();
  for (const char* user : {"c-1", "p-1", "l-1"}) CHECK(records().says("a drop callback", user));
}

void calls() {
  auto raw = std::make_unique<Raw>();
  CHECK(raw->call("before") == "m-before");
  CHECK(records().says("S.M", "m-before"));
  CHECK(raw->call("odd") == "exception of type (anonymous namespace)::Odd");
  CHECK(records().says("S.M", "Odd"));
  CHECK(raw->call("literal") == "as a literal");
  CHECK(raw->call("string") == "as a string");
  CHECK(raw->call("after").empty());
  CHECK(records().says("a handler", "m-after"));
  CHECK(raw->call("fill") == "f-1");
  CHECK(records().says("the function that fills a message", "f-1"));

  fastrpc_call_options options;
  fastrpc_call_options_init(&options, sizeof options);
  options.fill = throw_from_fill;
  options.fill_user = text("f-2");
  CHECK(raw->call("filled", &options) == "f-2");
  CHECK(records().says("the function that fills a message", "f-2"));
  CHECK(raw->call_async(&options, "f-3") == FASTRPC_EEXCEPTION);
  CHECK(records().says("a drop callback", "f-3"));
  CHECK(raw->call_async(nullptr, "d-1") == FASTRPC_OK);
  CHECK(records().says("the callback of a call", "d-1"));
  CHECK(records().says("a drop callback", "d-1"));

  CHECK(raw->call("alive") == "m-alive");
  raw.reset();
  CHECK(records().says("a drop callback", "m-user"));
}

void throw_from_closure(const char* text) {
  throw std::runtime_error(text);
}

class Service : public echo::EchoService {
 public:
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest*,
            echo::EchoResponse*, google::protobuf::Closure* done) override {
    controller->NotifyOnCancel(google::protobuf::NewCallback(throw_from_closure, "n-1"));
    done->Run();
  }
  void Broken(google::protobuf::RpcController*, const echo::EchoRequest*, echo::EchoResponse*,
              google::protobuf::Closure*) override {
    throw Odd{};
  }
};

void protobuf_services() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_service(std::make_shared<Service>());
  server.listen();
  fastrpc::RpcClient client("127.0.0.1", server.port());
  echo::EchoService::Stub stub(&client);
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  stub.Broken(&controller, &request, &response, nullptr);
  CHECK(controller.ErrorText() == "exception of type (anonymous namespace)::Odd");
  CHECK(records().says("echo.EchoService.Broken", "Odd"));
  controller.Reset();
  stub.Echo(&controller, &request, &response, nullptr);
  CHECK(!controller.Failed());
  CHECK(records().says("NotifyOnCancel", "n-1"));
  stub.Echo(&controller, &request, &response,
            google::protobuf::NewCallback(throw_from_closure, "d-2"));
  CHECK(records().says("the callback of a call", "d-2"));
  // `done` of a call that could not even be sent.
  fastrpc::RpcClient closed("127.0.0.1", server.port());
  closed.close();
  echo::EchoService::Stub(&closed).Echo(&controller, &request, &response,
                                        google::protobuf::NewCallback(throw_from_closure, "d-3"));
  CHECK(records().says("an exception left", "d-3"));

  // Of the client's side: at the end of the call, at StartCancel(), and after it.
  auto notified = [](const char* why) {
    return google::protobuf::NewCallback(throw_from_closure, why);
  };
  controller.Reset();
  controller.NotifyOnCancel(notified("n-2"));
  stub.Echo(&controller, &request, &response, nullptr);
  CHECK(!controller.Failed() && records().says("NotifyOnCancel", "n-2"));
  controller.NotifyOnCancel(notified("n-3"));
  controller.StartCancel();
  CHECK(records().says("NotifyOnCancel", "n-3"));
  controller.NotifyOnCancel(notified("n-4"));
  CHECK(records().says("NotifyOnCancel", "n-4"));
}

// What an exception says may be in any encoding: what is no UTF-8 is replaced, and the rest is
// told.
void other_encodings() {
  constexpr const char* kGbk = "g-1 \xc4\xe3\xba\xc3 end";
  fastrpc::log(fastrpc::LogLevel::error, kGbk);
  CHECK(records().says("g-1 ", " end"));
  fastrpc::spawn_detached([=] { throw std::runtime_error(kGbk); });
  CHECK(records().says(": g-1 ", " end"));
  CHECK(!fastrpc::spawn([=] { throw std::runtime_error(kGbk); }).join(std::nothrow));
  CHECK(records().says(": g-1 ", " end"));

  struct Gbk : echo::EchoService {
    void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest*,
              echo::EchoResponse*, google::protobuf::Closure* done) override {
      controller->SetFailed(kGbk);
      done->Run();
    }
    void Broken(google::protobuf::RpcController*, const echo::EchoRequest*, echo::EchoResponse*,
                google::protobuf::Closure*) override {
      throw std::runtime_error(kGbk);
    }
  };
  for (auto protocol : {fastrpc::Protocol::baidu_std, fastrpc::Protocol::original}) {
    fastrpc::RpcServer server("127.0.0.1", 0);
    server.add_service(std::make_shared<Gbk>());
    server.listen();
    fastrpc::ClientOptions options;
    options.protocol = protocol;
    fastrpc::RpcClient client("127.0.0.1", server.port(), options);
    echo::EchoService::Stub stub(&client);
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    stub.Broken(&controller, &request, &response, nullptr);
    CHECK(controller.ErrorCode() == 2001 && controller.ErrorText().rfind("g-1 ", 0) == 0);
    CHECK(records().says("echo.EchoService.Broken: g-1 ", " end"));
    controller.Reset();
    stub.Echo(&controller, &request, &response, nullptr);
    CHECK(controller.ErrorCode() == 2001 && controller.ErrorText().rfind("g-1 ", 0) == 0);
  }
}

// Nobody is left to tell but stderr.
void the_log_itself() {
  std::FILE* file = std::tmpfile();
  int saved = dup(STDERR_FILENO);
  CHECK(file != nullptr && saved >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
  auto sink = [](void* user, std::int32_t, const char*, std::size_t, const char*, std::size_t) {
    throw_it(user);
  };
  CHECK(fastrpc_set_log(FASTRPC_LOG_WARN, sink, text("l-1"), throw_it, nullptr) == FASTRPC_OK);
  fastrpc::log(fastrpc::LogLevel::warn, "something");
  fastrpc::spawn([] { fastrpc::log(fastrpc::LogLevel::warn, "something in a coroutine"); }).join();
  CHECK(fastrpc_set_log(FASTRPC_LOG_WARN, nullptr, nullptr, nullptr, nullptr) == FASTRPC_OK);
  CHECK(dup2(saved, STDERR_FILENO) >= 0);
  std::rewind(file);
  std::string said(4096, '\0');
  said.resize(std::fread(said.data(), 1, said.size(), file));
  std::fclose(file);
  close(saved);
  auto line = said.find("an exception left the log callback: l-1");
  CHECK(line != said.npos && said.find("the log callback: l-1", line + 40) != said.npos);
  CHECK(said.find("an exception left a drop callback: l-1") != said.npos);
}

}  // namespace

int main() {
  configure_workers();
  records().listen(fastrpc::LogLevel::info);
  RUN(coroutines);
  RUN(timers);
  RUN(pools);
  RUN(locals_and_queues);
  RUN(calls);
  RUN(pushes_and_ends);
  RUN(protobuf_services);
  RUN(other_encodings);
  RUN(the_log_itself);
  google::protobuf::ShutdownProtobufLibrary();
}
