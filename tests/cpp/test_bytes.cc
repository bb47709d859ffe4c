// Server and Client without protobuf: methods on bytes, late answers, pushes, cancellation,
// options.
#include <fastrpc/client.hpp>
#include <fastrpc/coroutine.hpp>
#include <fastrpc/server.hpp>
#include <fastrpc/sync.hpp>

#ifdef GOOGLE_PROTOBUF_VERSION
#error "a header of protobuf was included"
#endif

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "check.hpp"
#include "records.hpp"
#include "workers.hpp"

using fastrpc::Call;
using namespace std::chrono_literals;

// A number alone means neither a port nor a file descriptor.
static_assert(!std::is_constructible_v<fastrpc::Server, int>);
static_assert(std::is_nothrow_move_constructible_v<fastrpc::Server>);
static_assert(std::is_nothrow_move_constructible_v<fastrpc::Client>);

namespace {

struct Pair {
  Pair() {
    server.add_method("demo.Bytes", "Echo", [](Call& call) { call.reply(call.body()); });
    server.listen();
  }

  std::string call(const std::string& method, const std::string& body = "") {
    auto response = client().call("demo.Bytes", method, body, std::nothrow);
    if (response) return std::string(response->body());
    return std::to_string(response.error().code()) + ": " + response.error().text();
  }
  fastrpc::Client& client() {
    if (!client_) client_.emplace("127.0.0.1", server.port());
    return *client_;
  }

  fastrpc::Server server{"127.0.0.1", 0};

 private:
  std::optional<fastrpc::Client> client_;
};

void calls_of_bytes_are_answered() {
  Pair p;
  CHECK(p.call("Echo", "hello") == "hello");
  CHECK(p.call("Echo").empty());
  CHECK(p.client().call("demo.Bytes", "Echo", "thrown or returned").body() == "thrown or returned");
  fastrpc::spawn([&p] { CHECK(p.call("Echo", "in a coroutine") == "in a coroutine"); }).join();
  CHECK(p.client().address() == p.server.address() && p.client().is_connected());
  CHECK(p.client().stats().connects == 1 && p.server.stats().calls == 4);
}

void what_a_call_says_beside_its_body() {
  Pair p;
  p.server.add_method("demo.Bytes", "Context", [](Call& call) {
    CHECK(call.service() == "demo.Bytes" && call.method() == "Context");
    CHECK(call.attachment() == "beside" && call.request_id() == "r-1" && call.log_id() == 42);
    CHECK(call.compression() == fastrpc::Compression::gzip && call.body() == "body");
    CHECK(call.peer().rfind("127.0.0.1:", 0) == 0 && call.time_left() > 0s);
    CHECK(!call.is_canceled() && call.connection().id() == 1);
    call.response_attachment() = "back";
    call.set_response_compression(fastrpc::Compression::zlib);
    call.reply(std::string(1000, 'x'));
    CHECK(call.reply("twice", std::nothrow).error().status() == fastrpc::Status::bad_state);
    CHECK(call.fail(1, "twice", std::nothrow).error().status() == fastrpc::Status::bad_state);
  });
  fastrpc::CallOptions options;
  options.timeout = 30s;
  options.log_id = 42;
  options.request_id = "r-1";
  options.attachment = "beside";
  options.compression = fastrpc::Compression::gzip;
  auto response = p.client().call("demo.Bytes", "Context", "body", options);
  CHECK(response.body() == std::string(1000, 'x') && response.attachment() == "back");
  CHECK(response.peer() == p.server.address());
}

void errors_have_codes() {
  Pair p;
  p.server.add_method("demo.Bytes", "Fail", [](Call& call) { call.fail(2042, "as asked"); });
  p.server.add_method("demo.Bytes", "Throw", [](Call&) { throw std::runtime_error("thrown"); });
  p.server.add_method("demo.Bytes", "Nothing", [](Call&) {});
  CHECK(p.call("Fail") == "2042: as asked");
  CHECK(p.call("Throw") == "2001: thrown");
  CHECK(records().says("demo.Bytes.Throw", "thrown"));
  CHECK(p.call("Nothing").rfind("2001: ", 0) == 0);
  auto failed = p.client().call("demo.Bytes", "Fail", "", std::nothrow).error();
  CHECK(failed.is_service_error() && failed.is_remote());
  auto unknown = p.client().call("demo.Bytes", "None", "", std::nothrow).error();
  CHECK(!unknown.is_service_error() && unknown.code() == fastrpc::Code::no_method);
  auto nothing = [](Call&) {};
  CHECK(p.server.add_method("demo.Bytes", "Fail", nothing, std::nothrow).error().status() ==
        fastrpc::Status::bad_state);
  CHECK(p.call("Echo", "alive") == "alive");
}

void a_call_may_be_answered_later() {
  Pair p;
  p.server.add_method("demo.Bytes", "Later", [](Call& call) {
    std::thread([later = std::move(call)]() mutable {
      later.reply("later: " + std::string(later.body()));
    }).detach();
    CHECK(call.capi() == nullptr);
  });
  for (int i = 0; i < 50; ++i) CHECK(p.call("Later", "x") == "later: x");
}

void asynchronous_calls_end_once() {
  Pair p;
  constexpr int kCalls = 100;
  std::atomic<int> answered{0}, failed{0};
  fastrpc::WaitGroup ended(2 * kCalls);
  for (int i = 0; i < 2 * kCalls; ++i) {
    auto text = std::to_string(i);
    p.client().call_async("demo.Bytes", i % 2 == 0 ? "Echo" : "None", text, {},
                          [&, text](fastrpc::Result<fastrpc::Response> response) {
                            CHECK(fastrpc::this_coroutine::exists());
                            if (response && response->body() == text) ++answered;
                            if (!response) ++failed;
                            ended.done();
                          });
  }
  ended.wait();
  CHECK(answered == kCalls && failed == kCalls);
  auto never = [](fastrpc::Result<fastrpc::Response>) { CHECK(!"it ran"); };
  CHECK(!p.client().call_async("demo.Bytes", "\xff", "", {}, never, std::nothrow));
}

void a_call_is_canceled_or_runs_out_of_time() {
  fastrpc::WaitGroup entered(2), gate(1);
  Pair p;
  p.server.add_method("demo.Bytes", "Wait", [&](Call& call) {
    entered.done();
    gate.wait();
    call.reply("");
  });
  fastrpc::Cancellation cancellation;
  fastrpc::CallOptions options;
  options.cancellation = &cancellation;
  auto waiting = fastrpc::spawn([&] {
    return p.client().call("demo.Bytes", "Wait", "", options, std::nothrow).error().is_canceled();
  });
  fastrpc::CallOptions quick;
  quick.timeout = 20ms;
  auto timed_out = p.client().call("demo.Bytes", "Wait", "", quick, std::nothrow).error();
  CHECK(timed_out.is_timeout() && timed_out.code() == fastrpc::Code::timed_out);
  entered.wait();
  cancellation.cancel();
  CHECK(waiting.join() && cancellation.is_canceled());
  CHECK(p.client().call("demo.Bytes", "Echo", "", options, std::nothrow).error().is_canceled());
  cancellation.reset();
  CHECK(p.client().call("demo.Bytes", "Echo", "again", options).body() == "again");
  gate.done();
}

void pushes_and_ends_of_connections() {
  fastrpc::queue<std::string> pushed(10);
  fastrpc::queue<std::uint64_t> ended(10);
  fastrpc::queue<bool> lost(10);
  Pair p;
  p.server.on_close([&ended](std::uint64_t connection) { ended.push(connection); });
  p.server.add_method("demo.Bytes", "Join", [](Call& call) {
    auto connection = call.connection();
    call.reply(std::to_string(connection.id()));
    connection.push("a.Name", "by its connection");
  });
  p.client().on_push([&pushed](std::string_view name, std::string_view body) {
    pushed.push(std::string(name) + " " + std::string(body));
  });
  p.client().on_close([&lost](const fastrpc::Error& why) { lost.push(why.is_closed()); });
  auto id = std::stoull(p.call("Join"));
  CHECK(pushed.pop() == "a.Name by its connection");
  p.server.push(id, "b.Name", "by its number");
  CHECK(pushed.pop() == "b.Name by its number");
  CHECK(p.server.push(id + 1, "b.Name", "nobody", std::nothrow).error().is_closed());
  p.server.close_connection(id);
  CHECK(lost.pop() && ended.pop() == id);
}

void a_stop_says_what_became_of_calls() {
  fastrpc::WaitGroup entered(1);
  Pair p;
  p.server.add_method("demo.Bytes", "Slow", [&](Call& call) {
    entered.done();
    fastrpc::sleep_for(50ms);
    call.reply("kept");
  });
  auto slow = fastrpc::spawn([&p] { return p.call("Slow"); });
  entered.wait();
  auto report = p.server.stop(20s);
  CHECK(report.finished == 1 && report.canceled == 0);
  CHECK(slow.join() == "kept");
  CHECK(!p.server.listen(std::nothrow));
}

void a_socket_that_listens_is_served() {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(fd >= 0 && ::listen(fd, 8) == 0);
  auto server = fastrpc::Server::from_socket(fd);
  server.add_method("demo.Bytes", "Echo", [](Call& call) { call.reply(call.body()); });
  server.listen();
  CHECK(server.port() != 0);
  CHECK(fastrpc::Client("127.0.0.1", server.port()).call("demo.Bytes", "Echo", "x").body() == "x");
  CHECK(!fastrpc::Server::from_socket(1'000'000).listen(std::nothrow));
}

void servers_and_clients_are_made_without_exceptions_too() {
  auto server = fastrpc::Server::make("127.0.0.1", 0, {}, std::nothrow);
  CHECK(server && server->listen(std::nothrow));
  server->route("GET", "/", [](fastrpc::http::Request&, fastrpc::http::Response&) {});
  auto client = fastrpc::Client::make("127.0.0.1", server->port(), {}, std::nothrow);
  CHECK(client && client->connect(10s, std::nothrow));
  fastrpc::Client moved = std::move(*client);
  CHECK(moved.is_connected());
  CHECK(fastrpc::Client("127.0.0.1", 1).connect(10s, std::nothrow).error().is_connect());
}

// Options that nobody set are those of the library, field by field.
void defaults_are_the_library_s() {
  fastrpc_server_options server;
  fastrpc_server_options_init(&server, sizeof server);
  auto server_options = fastrpc::detail::to_c(fastrpc::ServerOptions{});
  CHECK(std::memcmp(&server, &server_options, sizeof server) == 0);
  fastrpc_client_options client;
  fastrpc_client_options_init(&client, sizeof client);
  auto client_options = fastrpc::detail::to_c(fastrpc::ClientOptions{});
  CHECK(std::memcmp(&client, &client_options, sizeof client) == 0);
  fastrpc_call_options call;
  fastrpc_call_options_init(&call, sizeof call);
  auto call_options = fastrpc::detail::to_c(fastrpc::CallOptions{});
  call_options.request_id = call.request_id;
  call_options.attachment = call.attachment;
  CHECK(std::memcmp(&call, &call_options, sizeof call) == 0);
}

void options_are_heeded() {
  fastrpc::WaitGroup gate(1);
  fastrpc::ServerOptions options;
  options.idle_timeout = 100ms;
  fastrpc::Server server("127.0.0.1", 0, options);
  server.add_method("demo.Bytes", "Echo", [](Call& call) { call.reply(call.body()); });
  server.add_method("demo.Bytes", "Wait", [&gate](Call& call) {
    gate.wait();
    call.reply("");
  });
  server.listen();
  fastrpc::ClientOptions impatient;
  impatient.timeout = 20ms;
  fastrpc::Client client("127.0.0.1", server.port(), impatient);
  CHECK(client.call("demo.Bytes", "Wait", "", std::nothrow).error().is_timeout());
  gate.done();
  fastrpc::queue<bool> lost(10);
  fastrpc::Client idle("127.0.0.1", server.port());
  idle.on_close([&lost](const fastrpc::Error&) { lost.push(true); });
  CHECK(idle.call("demo.Bytes", "Echo", "x").body() == "x");
  CHECK(lost.pop_for(20s));
}

}  // namespace

int main() {
  configure_workers();
  records().listen();
  RUN(calls_of_bytes_are_answered);
  RUN(what_a_call_says_beside_its_body);
  RUN(errors_have_codes);
  RUN(a_call_may_be_answered_later);
  RUN(asynchronous_calls_end_once);
  RUN(a_call_is_canceled_or_runs_out_of_time);
  RUN(pushes_and_ends_of_connections);
  RUN(a_stop_says_what_became_of_calls);
  RUN(a_socket_that_listens_is_served);
  RUN(servers_and_clients_are_made_without_exceptions_too);
  RUN(defaults_are_the_library_s);
  RUN(options_are_heeded);
}
