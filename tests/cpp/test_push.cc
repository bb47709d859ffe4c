// Messages that a server sends without being called, and how both sides learn of the end of a
// connection; in today's spelling and in the original's, over both protocols.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/pb_mgr.hpp>
#include <fastrpc/pbext.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>
#include <fastrpc/thread_pool.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "echo.pb.h"
#include "records.hpp"
#include "workers.hpp"

using google::protobuf::Closure;
using google::protobuf::Message;
using Stub = echo::EchoService::Stub;
using namespace std::chrono_literals;

namespace {

constexpr fastrpc::Protocol kBoth[] = {fastrpc::Protocol::baidu_std, fastrpc::Protocol::original};

// Values handed from handlers to the test.
template <typename T>
class Seen {
 public:
  void put(T value) {
    auto guard = std::lock_guard(lock_);
    values_.push_back(std::move(value));
  }
  // The next one, which must come soon.
  T next() {
    for (int i = 0; i < 2000; ++i) {
      {
        auto guard = std::lock_guard(lock_);
        if (!values_.empty()) {
          T value = std::move(values_.front());
          values_.erase(values_.begin());
          return value;
        }
      }
      fastrpc::sleep_for(10ms);
    }
    std::fprintf(stderr, "nothing came\n");
    std::exit(1);
  }
  bool empty() {
    auto guard = std::lock_guard(lock_);
    return values_.empty();
  }

 private:
  std::mutex lock_;
  std::vector<T> values_;
};

using Pairs = Seen<std::pair<std::string, std::string>>;

// Echo hands its connection to the test; "fail" fails.
class Service : public echo::EchoService {
 public:
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, Closure* done) override {
    auto* ours = static_cast<fastrpc::RpcController*>(controller);
    joined.put({ours->connection(), {ours->_svr, ours->_cli_flow}});
    response->set_response(request->message());
    if (request->message() == "fail") controller->SetFailed("as told");
    done->Run();
  }

  using Flow = std::pair<fastrpc::CASyncSvr*, unsigned>;
  Seen<std::pair<fastrpc::Connection, Flow>> joined;
};

// Declared after what handlers use: they may run until it is gone.
struct Fixture {
  explicit Fixture(fastrpc::Protocol protocol) : service(std::make_shared<Service>()) {
    server = std::make_unique<fastrpc::RpcServer>("127.0.0.1", 0);
    server->add_service(service);
    server->listen();
    client = connect(protocol);
  }

  std::unique_ptr<fastrpc::RpcClient> connect(fastrpc::Protocol protocol) {
    fastrpc::ClientOptions options;
    options.protocol = protocol;
    return std::make_unique<fastrpc::RpcClient>("127.0.0.1", server->port(), options);
  }

  std::string call(fastrpc::RpcClient& to, const std::string& message) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    request.set_message(message);
    Stub(&to).Echo(&controller, &request, &response, nullptr);
    return controller.Failed() ? controller.ErrorText() : response.response();
  }

  std::pair<fastrpc::Connection, Service::Flow> join() {
    CHECK(call(*client, "join") == "join");
    return service->joined.next();
  }

  std::shared_ptr<Service> service;
  std::unique_ptr<fastrpc::RpcServer> server;
  std::unique_ptr<fastrpc::RpcClient> client;
};

echo::EchoResponse news(const std::string& text) {
  echo::EchoResponse message;
  message.set_response(text);
  return message;
}

std::string text_of(const std::pair<std::string, std::string>& pushed) {
  std::unique_ptr<Message> message(fastrpc::PbMgr::CreateMessage(pushed.first));
  CHECK(message != nullptr && message->ParseFromString(pushed.second));
  return static_cast<echo::EchoResponse&>(*message).response();
}

void pushes_from_anywhere() {
  for (auto protocol : kBoth) {
    Pairs seen;
    Fixture f(protocol);
    f.client->on_push([&seen](std::string_view name, std::string_view body) {
      CHECK(fastrpc_is_coroutine());
      seen.put({std::string(name), std::string(body)});
    });
    auto [connection, flow] = f.join();
    CHECK(connection.is_open() && connection.id() == flow.second);

    connection.push(news("from main"));
    CHECK(text_of(seen.next()) == "from main");
    std::thread([c = connection] { c.push(news("from a thread")); }).join();
    CHECK(text_of(seen.next()) == "from a thread");
    fastrpc::spawn([c = connection] { c.push(news("from a coroutine")); }).join();
    CHECK(text_of(seen.next()) == "from a coroutine");
    fastrpc::ThreadPool pool(1);
    pool.run([c = connection] { c.push(news("from a pool")); });
    CHECK(text_of(seen.next()) == "from a pool");
    auto timer = fastrpc::after(1ms, [c = connection] { c.push(news("from a timer")); });
    CHECK(text_of(seen.next()) == "from a timer");
    f.server->push(connection.id(), news("by number"));
    CHECK(text_of(seen.next()) == "by number");
    connection.push("any.Name", "any bytes");
    CHECK(seen.next() == std::make_pair(std::string("any.Name"), std::string("any bytes")));
    CHECK(f.call(*f.client, "and calls") == "and calls");
  }
}

void process(std::string name, std::string data, void* seen) {
  static_cast<Pairs*>(seen)->put({std::move(name), std::move(data)});
}
void closed(void* count) {
  static_cast<Seen<int>*>(count)->put(1);
}
int client_closed(fastrpc::CASyncSvr* svr, unsigned cli_flow, void* seen) {
  static_cast<Seen<Service::Flow>*>(seen)->put({svr, cli_flow});
  return 0;
}

void the_original_spelling() {
  for (auto protocol : kBoth) {
    Pairs pushed;
    Seen<int> losses;
    Seen<Service::Flow> gone;
    Fixture f(protocol);
    CHECK(f.client->RegiExtProcesser(process, &pushed));
    CHECK(f.client->RegiCloseHandler(closed, &losses));
    CHECK(f.server->RegiClientCloseHandler(client_closed, &gone));
    CHECK(!f.client->RegiExtProcesser(nullptr, nullptr));
    CHECK(!f.client->RegiCloseHandler(nullptr, nullptr));
    CHECK(!f.server->RegiClientCloseHandler(nullptr, nullptr));

    auto flow = f.join().second;
    auto message = news("period push mes");
    CHECK(fastrpc::RpcServer::PushToClient(flow.first, flow.second, &message));
    CHECK(text_of(pushed.next()) == "period push mes");
    if (protocol == fastrpc::Protocol::original) {
      std::string raw = "POST / HTTP/1.1\r\nmes_name: raw.Name\r\nContent-Length: 2\r\n\r\nok";
      CHECK(fastrpc::RpcServer::PushRawDataToClient(flow.first, flow.second, raw));
      CHECK(pushed.next() == std::make_pair(std::string("raw.Name"), std::string("ok")));
    }
    // Nobody, and nothing.
    std::string raw = "x";
    CHECK(!fastrpc::RpcServer::PushToClient(flow.first, 0, &message));
    CHECK(!fastrpc::RpcServer::PushToClient(flow.first, ~0u, &message));
    CHECK(!fastrpc::RpcServer::PushToClient(nullptr, flow.second, &message));
    CHECK(!fastrpc::RpcServer::PushToClient(flow.first, flow.second, nullptr));
    CHECK(!fastrpc::RpcServer::PushRawDataToClient(nullptr, flow.second, raw));
    CHECK(!fastrpc::RpcServer::PushRawDataToClient(flow.first, 0, raw));

    f.client.reset();
    CHECK(gone.next() == flow);
    CHECK(!fastrpc::RpcServer::PushToClient(flow.first, flow.second, &message));
    CHECK(!fastrpc::RpcServer::PushRawDataToClient(flow.first, flow.second, raw));
    CHECK(losses.empty());

    // A client that comes later is somebody else; its server goes.
    f.client = f.connect(protocol);
    CHECK(f.client->RegiCloseHandler(closed, &losses));
    CHECK(f.join().second.second != flow.second);
    f.server->stop();
    CHECK(losses.next() == 1);
    CHECK(!gone.empty());
  }
}

void a_connection_that_is_gone() {
  Seen<std::uint64_t> gone;
  Fixture f(fastrpc::Protocol::original);
  f.server->on_close([&gone](std::uint64_t connection) { gone.put(connection); });
  auto connection = f.join().first;
  f.client.reset();
  CHECK(gone.next() == connection.id());
  CHECK(!connection.is_open());
  CHECK(connection.push(news("x"), std::nothrow).error().is_closed());
  CHECK(connection.push_raw("x", std::nothrow).error().is_closed());
  auto pushed = f.server->push(connection.id(), news("x"), std::nothrow);
  CHECK(pushed.error().is_closed());
  try {
    connection.push(news("x"));
    CHECK(!"it threw");
  } catch (const fastrpc::Error& e) {
    CHECK(e.is_closed());
  }
  fastrpc::Connection none;
  CHECK(none.id() == 0 && !none.is_open() && !none.push(news("x"), std::nothrow));
}

void a_server_closes_a_connection() {
  for (auto protocol : kBoth) {
    for (bool by_number : {false, true}) {
      Seen<std::uint64_t> gone;
      Seen<int> losses;
      Pairs pushed;
      Fixture f(protocol);
      f.server->on_close([&gone](std::uint64_t connection) { gone.put(connection); });
      f.client->on_close([&losses](const fastrpc::Error& why) { losses.put(why.is_closed()); });
      f.client->on_push([&pushed](std::string_view name, std::string_view body) {
        pushed.put({std::string(name), std::string(body)});
      });
      auto connection = f.join().first;
      std::string large(100000, 'x');
      for (int i = 0; i < 20; ++i) connection.push("a.Goodbye", large);
      if (by_number) {
        f.server->close_connection(connection.id());
      } else {
        connection.close();
      }
      CHECK(!connection.is_open());
      CHECK(connection.push(news("x"), std::nothrow).error().is_closed());
      for (int i = 0; i < 20; ++i) CHECK(pushed.next().second == large);
      CHECK(losses.next() == 1);
      CHECK(gone.next() == connection.id());
      while (f.server->close_connection(connection.id(), std::nothrow)) fastrpc::sleep_for(1ms);
      CHECK(connection.close(std::nothrow).error().is_closed());
      // The client comes back, as somebody else.
      CHECK(f.join().first.id() > connection.id());
      CHECK(gone.empty() && losses.empty() && pushed.empty());
    }
  }
  Fixture f(fastrpc::Protocol::original);
  CHECK(f.server->close_connection(0, std::nothrow).error().is_closed());
  CHECK(!fastrpc::Connection().close(std::nothrow));
}

void send_back() {
  Seen<std::uint64_t> gone;
  Seen<int> losses;
  Pairs pushed;
  Fixture f(fastrpc::Protocol::original);
  std::string raw = "POST / HTTP/1.1\r\nmes_name: raw.Name\r\nContent-Length: 2\r\n\r\nok";
  f.server->on_close([&gone](std::uint64_t connection) { gone.put(connection); });
  f.client->on_close([&losses](const fastrpc::Error&) { losses.put(1); });
  f.client->on_push([&pushed](std::string_view name, std::string_view body) {
    pushed.put({std::string(name), std::string(body)});
  });
  auto send = [&](const Service::Flow& flow, unsigned op) {
    flow.first->SendBack(flow.second, raw.data(), static_cast<unsigned>(raw.size()), op);
  };
  const auto expected = std::make_pair(std::string("raw.Name"), std::string("ok"));
  for (int way = 0; way < 4; ++way) {
    auto flow = f.join().second;
    CHECK(flow.first->_svr_ip == "127.0.0.1" && flow.first->_svr_port == f.server->port());
    send(flow, fastrpc::SEND_NORMAL);
    CHECK(pushed.next() == expected);
    CHECK(f.call(*f.client, "in between") == "in between");
    CHECK(f.service->joined.next().second == flow);
    if (way == 0) send(flow, fastrpc::SEND_AND_CLOSE);
    if (way == 1) flow.first->SendBack(flow.second, nullptr, 0);
    if (way == 2) flow.first->SendBack(flow.second, raw.data(), 0);
    if (way == 3) {
      for (int i = 0; i < 10; ++i) send(flow, fastrpc::SEND_NORMAL);
      flow.first->SendBack(flow.second, nullptr, 0);
    }
    for (int i = 0; i < (way == 0 ? 1 : way == 3 ? 10 : 0); ++i) CHECK(pushed.next() == expected);
    CHECK(losses.next() == 1);
    CHECK(gone.next() == flow.second);
    // Nobody is there any more, which does no harm.
    send(flow, fastrpc::SEND_AND_CLOSE);
    flow.first->SendBack(0, nullptr, 0);
  }
  CHECK(gone.empty() && losses.empty() && pushed.empty());
}

void the_address_of_a_server() {
  auto seen = [](fastrpc::RpcServer& server, const std::string& host, int port) {
    auto service = std::make_shared<Service>();
    server.add_service(service);
    server.listen();
    fastrpc::RpcClient client(host, port == 0 ? server.port() : port);
    echo::EchoRequest request;
    echo::EchoResponse response;
    Stub(&client).Echo(nullptr, &request, &response, nullptr);
    auto* svr = service->joined.next().second.first;
    return svr->_svr_ip + " " + std::to_string(svr->_svr_port == server.port());
  };
  fastrpc::RpcServer any("", 0), all("0.0.0.0", 0), v6("::1", 0);
  auto path = "/tmp/fastrpc-push-" + std::to_string(getpid());
  fastrpc::RpcServer local("unix:" + path, 0);
  auto everywhere = seen(any, "127.0.0.1", 0);
  CHECK(everywhere == ":: 1" || everywhere == "0.0.0.0 1");
  CHECK(seen(all, "127.0.0.1", 0) == "0.0.0.0 1");
  CHECK(seen(local, "unix:" + path, 1) == "unix:" + path + " 1");
  unlink(path.c_str());
  if (access("/proc/net/if_inet6", R_OK) == 0) CHECK(seen(v6, "::1", 0) == "::1 1");
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(fd >= 0 && listen(fd, 8) == 0);
  auto given = fastrpc::RpcServer::from_socket(fd);
  CHECK(seen(given, "127.0.0.1", 0) == "0.0.0.0 1");
}

void who_takes_no_pushes() {
  Fixture f(fastrpc::Protocol::baidu_std);
  auto pushed = f.join().first.push(news("x"), std::nothrow);
  CHECK(!pushed && pushed.error().status() == FASTRPC_EINVAL);
}

void a_slow_client() {
  fastrpc::semaphore gate(0);
  Pairs seen;
  Fixture f(fastrpc::Protocol::original);
  fastrpc::ClientOptions options;
  options.protocol = fastrpc::Protocol::original;
  options.max_pushes = 3;
  f.client = std::make_unique<fastrpc::RpcClient>("127.0.0.1", f.server->port(), options);
  f.client->on_push([&](std::string_view name, std::string_view body) {
    gate.acquire();
    seen.put({std::string(name), std::string(body)});
  });
  auto connection = f.join().first;
  for (int i = 0; i < 10; ++i) {
    connection.push("a.B", std::to_string(i));
    CHECK(f.call(*f.client, "in between") == "in between");
  }
  for (int i = 0; i < 10; ++i) gate.release();
  for (int i = 0; i < 4; ++i) CHECK(seen.next().second == std::to_string(i));
  connection.push("a.B", "last");
  CHECK(seen.next().second == "last");
}

// A client that reads nothing: beyond the bound on what it leaves untaken, pushes are refused, and
// others are served.
void a_client_that_takes_nothing() {
  fastrpc::ServerOptions options;
  options.max_unsent = 100'000;
  auto service = std::make_shared<Service>();
  fastrpc::RpcServer server("127.0.0.1", 0, options);
  server.add_service(service);
  server.listen();

  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(server.port()));
  CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  std::string call =
      "POST / HTTP/1.1\r\nop: echo.EchoService.Echo\r\ncli_id: 1\r\nContent-Length: 3\r\n\r\n"
      "\x0a\x01x";
  CHECK(send(fd, call.data(), call.size(), 0) == static_cast<ssize_t>(call.size()));
  auto [connection, flow] = service->joined.next();
  auto message = news(std::string(10'000, 'x'));
  int sent = 0;
  while (fastrpc::RpcServer::PushToClient(flow.first, flow.second, &message))
    CHECK(++sent < 10'000);
  CHECK(sent >= 9);
  auto refused = connection.push(message, std::nothrow);
  CHECK(!refused && refused.error().status() == FASTRPC_ELIMIT && connection.is_open());
  std::string raw = "POST / HTTP/1.1\r\nmes_name: a.B\r\nContent-Length: 2\r\n\r\nok";
  raw.append(100'000, ' ');
  CHECK(!fastrpc::RpcServer::PushRawDataToClient(flow.first, flow.second, raw));

  // It takes what there is: pushes are accepted again.
  std::string buffer(1 << 20, '\0');
  for (int i = 0; i < 2000; ++i) {
    if (connection.push(message, std::nothrow)) break;
    CHECK(recv(fd, buffer.data(), buffer.size(), 0) > 0);
  }
  CHECK(connection.push("a.B", "ok", std::nothrow));
  close(fd);
}

// 32 bits that have overflown name nobody.
void numbers_beyond_32_bits() {
  using fastrpc::detail::flow_of;
  CHECK(flow_of(1) == 1 && flow_of(0xffff'ffff) == 0xffff'ffff);
  CHECK(flow_of(0x1'0000'0000) == 0 && flow_of(0x1'0000'0001) == 0);
}

void handlers_call_and_throw() {
  for (auto protocol : kBoth) {
    Seen<std::string> seen;
    Fixture other(protocol);
    Fixture f(protocol);
    f.client->on_push([&](std::string_view, std::string_view body) {
      seen.put(f.call(*f.client, std::string(body)));
      seen.put(other.call(*other.client, std::string(body)));
      throw std::runtime_error("from a push handler");
    });
    f.server->on_close([&](std::uint64_t) {
      seen.put(other.call(*other.client, "closed"));
      throw std::runtime_error("from a close handler");
    });
    f.client->on_close([&](const fastrpc::Error& why) {
      seen.put(why.is_closed() ? "lost" : why.text());
      throw std::runtime_error("from a loss handler");
    });
    CHECK(f.call(*f.client, "fail") == "as told");
    auto connection = f.service->joined.next().first;
    for (int i = 0; i < 2; ++i) {
      connection.push("a.B", "pushed");
      CHECK(seen.next() == "pushed");
      CHECK(seen.next() == "pushed");
    }
    // One that joins and leaves.
    auto second = f.connect(protocol);
    CHECK(f.call(*second, "join") == "join");
    second.reset();
    CHECK(seen.next() == "closed");
    for (int i = 0; i < 2; ++i)
      CHECK(records().says("the handler of pushes", "from a push handler"));
    CHECK(records().says("the handler of closed connections", "from a close handler"));
    f.server->stop();
    std::vector<std::string> last{seen.next(), seen.next()};
    CHECK((last == std::vector<std::string>{"lost", "closed"}) ||
          (last == std::vector<std::string>{"closed", "lost"}));
    CHECK(records().says("the handler of lost connections", "from a loss handler"));
  }
}

void handlers_may_be_replaced() {
  Seen<int> seen;
  Fixture f(fastrpc::Protocol::original);
  auto first = std::make_shared<int>(0);
  f.client->on_push([&seen, first](auto, auto) { seen.put(1); });
  f.server->on_close([first](auto) {});
  f.client->on_close([first](const auto&) {});
  CHECK(first.use_count() == 4);
  f.client->on_push([&seen](auto, auto) { seen.put(2); });
  f.server->on_close([](auto) {});
  f.client->on_close([](const auto&) {});
  CHECK(first.use_count() == 1);
  f.join().first.push(news("x"));
  CHECK(seen.next() == 2);
}

// A handler of pushes, one of losses, and the `done` of a call may each destroy the client that
// called it, and go on.
void handlers_may_destroy_their_client() {
  for (auto protocol : kBoth) {
    for (std::string who : {"push", "loss", "done"}) {
      Fixture f(protocol);
      // Kept by the handlers, which may go on for longer than all this.
      auto gone = std::make_shared<Seen<int>>();
      auto may_destroy = std::make_shared<fastrpc::WaitGroup>(1);
      auto destroy = [gone, may_destroy, client = &f.client] {
        may_destroy->wait();
        client->reset();
        fastrpc::yield();
        gone->put(1);
      };
      if (who == "loss") f.client->on_close([destroy](const auto&) { destroy(); });
      f.client->on_push([destroy, is_one = who == "push"](auto, auto) {
        if (is_one) destroy();
      });
      f.join().first.push("a.B", "x");
      if (who == "loss") f.server->stop();
      echo::EchoRequest request;
      echo::EchoResponse response;
      fastrpc::CliController controller;
      if (who == "done")
        Stub(f.client.get())
            .Echo(&controller, &request, &response, fastrpc::pbext::NewCallback(destroy));
      // Not before the call that starts it has returned.
      may_destroy->done();
      CHECK(gone->next() == 1);
    }
  }
}

void a_killed_client(const char* program) {
  Seen<std::uint64_t> gone;
  Fixture f(fastrpc::Protocol::original);
  f.server->on_close([&gone](std::uint64_t connection) { gone.put(connection); });
  auto port = std::to_string(f.server->port());
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    execl(program, program, "client", port.c_str(), nullptr);
    _exit(9);
  }
  auto connection = f.service->joined.next().first;
  CHECK(connection.is_open() && gone.empty());
  CHECK(kill(child, SIGKILL) == 0);
  CHECK(waitpid(child, nullptr, 0) == child);
  CHECK(gone.next() == connection.id());
  CHECK(!connection.push(news("x"), std::nothrow));
}

int be_client(int port) {
  fastrpc::ClientOptions options;
  options.protocol = fastrpc::Protocol::original;
  fastrpc::RpcClient client("127.0.0.1", port, options);
  echo::EchoRequest request;
  echo::EchoResponse response;
  Stub(&client).Echo(nullptr, &request, &response, nullptr);
  fastrpc::sleep_for(60s);
  return 1;
}

void messages_by_name() {
  std::unique_ptr<Message> message(fastrpc::PbMgr::CreateMessage("echo.EchoRequest"));
  CHECK(message != nullptr);
  CHECK(dynamic_cast<echo::EchoRequest*>(message.get()) != nullptr);
  CHECK(fastrpc::create_message("echo.EchoResponse") != nullptr);
  CHECK(fastrpc::PbMgr::CreateMessage("echo.Nothing") == nullptr);
  CHECK(fastrpc::PbMgr::CreateMessage("") == nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return be_client(std::atoi(argv[2]));
  configure_workers();
  records().listen();
  RUN(messages_by_name);
  RUN(pushes_from_anywhere);
  RUN(the_original_spelling);
  RUN(a_connection_that_is_gone);
  RUN(a_server_closes_a_connection);
  RUN(send_back);
  RUN(the_address_of_a_server);
  RUN(who_takes_no_pushes);
  RUN(a_slow_client);
  RUN(a_client_that_takes_nothing);
  RUN(numbers_beyond_32_bits);
  RUN(handlers_call_and_throw);
  RUN(handlers_may_be_replaced);
  RUN(handlers_may_destroy_their_client);
  a_killed_client(argv[0]);
  return 0;
}
