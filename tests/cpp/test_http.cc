// HTTP through the C++ headers: routes, bodies that are streamed, answers that come later, and the
// original's HttpHandler.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fastrpc/coroutine.hpp>
#include <fastrpc/http_maker.hpp>
#include <fastrpc/rpc_server.hpp>
#include <fastrpc/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "records.hpp"
#include "workers.hpp"

using fastrpc::RpcServer;
using fastrpc::http::Request;
using fastrpc::http::Response;
using google::protobuf::Closure;
using namespace std::chrono_literals;

namespace {

// A client by hand.
class Peer {
 public:
  explicit Peer(const RpcServer& server) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(server.port()));
    CHECK(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    timeval time{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  ~Peer() { close(fd_); }

  void send(std::string_view text) {
    while (!text.empty()) {
      ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      CHECK(sent > 0);
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // Reads until `text` came; false if the stream ends before.
  bool reads(std::string_view text) {
    char buffer[4096];
    while (read_.find(text) == std::string::npos) {
      ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) return false;
      read_.append(buffer, static_cast<std::size_t>(count));
    }
    return true;
  }
  // All that comes until the end of the stream.
  std::string rest() {
    CHECK(!reads("\x01 never"));
    return read_;
  }

 private:
  int fd_;
  std::string read_;
};

// The whole answer to one request.
std::string ask(const RpcServer& server, std::string_view method, std::string_view target,
                std::string_view fields = "", std::string_view body = "") {
  Peer peer(server);
  peer.send(std::string(method).append(" ").append(target).append(
      " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"));
  peer.send(fields);
  if (!body.empty()) peer.send("Content-Length: " + std::to_string(body.size()) + "\r\n");
  peer.send("\r\n");
  peer.send(body);
  return peer.rest();
}

bool has(const std::string& text, std::string_view part) {
  bool found = text.find(part) != std::string::npos;
  if (!found) std::fprintf(stderr, "in: %s\n", text.c_str());
  return found;
}

bool ends_with(const std::string& text, std::string_view end) {
  bool ends =
      text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
  if (!ends) std::fprintf(stderr, "in: %s\n", text.c_str());
  return ends;
}

void routes() {
  RpcServer server("127.0.0.1", 0);
  server.route("GET", "/hello/:name", [](Request& req, Response& res) {
    res.text("hello " + std::string(req.param("name")));
  });
  server.route("POST", "/see/*rest", [](Request& req, Response& res) {
    std::string text(req.method());
    for (std::string_view part :
         {req.path(), req.query_string(), req.param("rest"), req.query("q"), req.query("none"),
          req.cookie("b"), req.header("x-one"), req.header("X-One", 1), req.form("k")})
      text.append("|").append(part);
    int fields = 0;
    for (auto [name, value] : req.headers()) fields += name == "x-one" && !value.empty();
    std::string queries, form;
    for (const auto& field : req.queries())
      queries.append(field.name).append("=").append(field.value);
    for (auto [name, value] : req.form_fields()) form.append(name).append("=").append(value);
    CHECK_EQ(queries, "q=1 2");
    CHECK_EQ(form, "k=v!a");
    CHECK(req.has_query("q") && !req.has_query("none") && req.has_param("rest"));
    CHECK(!req.has_param("none") && req.has_cookie("b") && !req.has_cookie("c"));
    CHECK(fields == 2 && req.has_header("host") && !req.has_header("x-none"));
    CHECK(req.version() == 11 && req.peer().rfind("127.0.0.1:", 0) == 0);
    CHECK(req.connection_id() > 0 && req.content_length() == 7u);
    CHECK(req.head().rfind("POST /see", 0) == 0 && req.body() == "k=v%21a");
    res.status(201).header("X-Two", "2").json(text);
  });
  server.route("GET", "/old", [](Request&, Response& res) { res.redirect("/hello/new"); });
  server.route("GET", "/throw", [](Request&, Response& res) {
    res.text("not sent");
    throw std::runtime_error("on purpose");
  });
  server.route("GET", "/split", [](Request&, Response& res) {
    CHECK(!res.header("X", "a\r\nb: c", std::nothrow).ok());
    res.header("X", "a\r\nb: c");
  });
  server.listen();

  CHECK(ends_with(ask(server, "GET", "/hello/a%20b"), "\r\n\r\nhello a b"));
  std::string seen = ask(server, "POST", "/see/x/y?q=1+2",
                         "X-One: 1\r\nx-one: 2\r\nCookie: a=1; b=2\r\n"
                         "Content-Type: application/x-www-form-urlencoded\r\n",
                         "k=v%21a");
  CHECK(has(seen, "HTTP/1.1 201 Created\r\n") && has(seen, "X-Two: 2\r\n"));
  CHECK(has(seen, "Content-Type: application/json\r\n"));
  CHECK(ends_with(seen, "\r\n\r\nPOST|/see/x/y|q=1+2|x/y|1 2||2|1|2|v!a"));
  CHECK(has(ask(server, "GET", "/old"), "Location: /hello/new\r\n"));
  CHECK(has(ask(server, "GET", "/nothing"), "HTTP/1.1 404 "));
  CHECK(has(ask(server, "PUT", "/old"), "HTTP/1.1 405 "));
  std::string thrown = ask(server, "GET", "/throw");
  CHECK(has(thrown, "HTTP/1.1 500 ") && thrown.find("not sent") == std::string::npos);
  CHECK(records().says("an exception left the handler of GET /throw: on purpose"));
  CHECK(has(ask(server, "GET", "/split"), "HTTP/1.1 500 "));

  auto nothing = [](Request&, Response&) {};
  CHECK(server.route("GET", "/old", nothing, std::nothrow).error().status() == FASTRPC_ESTATE);
  CHECK(server.route("GET", "old", nothing, std::nothrow).error().status() == FASTRPC_EINVAL);
  server.fallback([](Request& req, Response& res) { res.status(404).text(req.path()); });
  CHECK(ends_with(ask(server, "GET", "/nothing"), "/nothing"));
}

void streams() {
  RpcServer server("127.0.0.1", 0);
  server.route("POST", "/echo", [](Request& req, Response& res) {
    char buffer[100];
    while (std::size_t count = req.read(buffer, sizeof buffer)) res.write({buffer, count});
  });
  server.route("GET", "/sized", [](Request&, Response& res) {
    res.length(4).write("ab");
    res.write("cd");
    CHECK(!res.write("e", std::nothrow).ok());
  });
  server.route("GET", "/half", [](Request&, Response& res) {
    res.write("half");
    throw std::runtime_error("half way");
  });
  server.listen();

  Peer peer(server);
  for (int i = 0; i < 3; ++i) {
    peer.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    // Each part is back before the next is sent.
    std::string part = "part" + std::to_string(i);
    peer.send("5\r\n" + part + "\r\n");
    CHECK(peer.reads("5\r\n" + part + "\r\n"));
    peer.send("0\r\n\r\n");
    CHECK(peer.reads("0\r\n\r\n"));
  }
  std::string sized = ask(server, "GET", "/sized");
  CHECK(has(sized, "Content-Length: 4\r\n") && ends_with(sized, "\r\n\r\nabcd"));
  std::string half = ask(server, "GET", "/half");
  CHECK(ends_with(half, "4\r\nhalf\r\n"));
  CHECK(records().says("GET /half: half way"));
}

void answers_later() {
  RpcServer server("127.0.0.1", 0);
  server.route("GET", "/thread", [](Request&, Response& res) {
    auto later = std::make_shared<fastrpc::http::Deferred>(res.defer());
    std::thread([later] {
      later->response().text("from a thread: " + std::string(later->request().path()));
      later->send();
    }).detach();
  });
  server.route("GET", "/coroutine", [](Request&, Response& res) {
    auto later = std::make_shared<fastrpc::http::Deferred>(res.defer());
    fastrpc::spawn_detached([later] {
      later->response().write("from ");
      fastrpc::sleep_for(1ms);
      later->response().write("a coroutine");
      later->send();
    });
  });
  server.route("GET", "/dropped", [](Request&, Response& res) {
    auto later = res.defer();
    later.response().text("not sent");
  });
  server.route("GET", "/thrown", [](Request&, Response& res) {
    auto later = res.defer();
    throw std::runtime_error("with a deferred answer");
  });
  server.listen();
  for (int i = 0; i < 20; ++i) {
    CHECK(ends_with(ask(server, "GET", "/thread"), "from a thread: /thread"));
    CHECK(has(ask(server, "GET", "/coroutine"), "b\r\na coroutine\r\n0\r\n"));
    CHECK(has(ask(server, "GET", "/dropped"), "HTTP/1.1 500 "));
  }
  CHECK(has(ask(server, "GET", "/thrown"), "HTTP/1.1 500 "));
  CHECK(records().says("GET /thrown: with a deferred answer"));
}

void size(Request& req, Response& res) {
  auto body = req.body(std::nothrow);
  res.text(body ? std::to_string(body.value().size()) : body.error().text());
}

void limits() {
  fastrpc::ServerOptions options;
  options.http_max_body = 10;
  options.http_max_head = 1000;
  RpcServer server("127.0.0.1", 0, options);
  server.route("POST", "/size", size);
  // Lets the failure of the body leave the handler.
  server.route("POST", "/body", [](Request& req, Response& res) { res.text(req.body()); });
  server.listen();
  CHECK(ends_with(ask(server, "POST", "/size", "", "0123456789"), "\r\n\r\n10"));
  CHECK(has(ask(server, "POST", "/size", "", "0123456789a"), "HTTP/1.1 413 "));
  std::string chunked = "Transfer-Encoding: chunked\r\n";
  CHECK(ends_with(ask(server, "POST", "/body", chunked + "\r\n1\r\nx\r\n0\r\n"), "\r\n\r\nx"));
  for (auto [body, status] : {std::pair("b\r\n0123456789a\r\n0\r\n", "HTTP/1.1 413 "),
                              std::pair("zz\r\n", "HTTP/1.1 400 ")}) {
    CHECK(has(ask(server, "POST", "/body", chunked + "\r\n" + body), status));
    CHECK(records().says("an exception left the handler of POST /body"));
  }
  CHECK(
      has(ask(server, "POST", "/size", "X: " + std::string(2000, 'x') + "\r\n"), "HTTP/1.1 431 "));
}

void times() {
  fastrpc::ServerOptions options;
  options.http_head_timeout = 100ms;
  options.http_body_timeout = 100ms;
  options.http_idle_timeout = 100ms;
  RpcServer server("127.0.0.1", 0, options);
  server.route("POST", "/size", size);
  server.listen();
  for (const char* slow : {"GET / HTTP/1.1\r\nHost",
                           "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"}) {
    Peer peer(server);
    peer.send(slow);
    CHECK(has(peer.rest(), "HTTP/1.1 408 "));
  }
  Peer idle(server);
  idle.send("POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  CHECK(ends_with(idle.rest(), "\r\n\r\n0"));
}

// A handler in the original's spelling.
class Handler : public fastrpc::HttpHandler {
 public:
  using Behaviour = std::function<void(fastrpc::HttpRequest*, Closure*)>;

  explicit Handler(Behaviour behaviour) : behaviour_(std::move(behaviour)) {}

  void Init(fastrpc::CASyncSvr* svr) override {
    CHECK(svr != nullptr && svr_ == nullptr);
    svr_ = svr;
  }
  void OnRec(fastrpc::HttpRequest* request, Closure* done) override {
    CHECK(request->svr == svr_ && request->cli_flow > 0);
    behaviour_(request, done);
  }
  void Finish(fastrpc::CASyncSvr* svr) override {
    CHECK(svr == svr_);
    finished = true;
  }

  bool finished = false;

 private:
  Behaviour behaviour_;
  fastrpc::CASyncSvr* svr_ = nullptr;
};

std::string made(const std::string& text) {
  std::string response, type = "text/plain", fields;
  fastrpc::CHttpResponseMaker::make_string(text, response, type, fields);
  return response;
}

// The answer that a behaviour gives.
std::string answer(Handler::Behaviour behaviour, std::string_view method = "GET",
                   std::string_view target = "/", std::string_view fields = "",
                   std::string_view body = "") {
  Handler handler(std::move(behaviour));
  std::string text;
  {
    RpcServer server("127.0.0.1", 0);
    CHECK(!server.RegiHttpHandler(nullptr));
    CHECK(server.RegiHttpHandler(&handler));
    CHECK(!server.RegiHttpHandler(&handler));
    server.listen();
    text = ask(server, method, target, fields, body);
    CHECK(!handler.finished);
  }
  CHECK(handler.finished);
  return text;
}

void the_original_handler() {
  auto see = [](fastrpc::HttpRequest* request, Closure* done) {
    auto& ps = *request->ps;
    ps.parse_form_body();
    std::string data(request->data, static_cast<std::size_t>(request->data_len));
    CHECK(data.rfind("POST /a/b.html?x=1 HTTP/1.1\r\nHost: a\r\n", 0) == 0);
    CHECK(ends_with(data, "\r\n\r\ny=2"));
    request->response = made(ps.get_uri() + " " + ps.get_object() + " " + ps.get_param("x") +
                             ps.get_param("y") + ps.get_head_field("X-Case"));
    done->Run();
  };
  std::string text = answer(see, "POST", "/a/b.html?x=1", "X-Case: 3\r\n", "y=2");
  CHECK(has(text, "Content-Type: text/plain;charset=utf-8\r\n"));
  CHECK(ends_with(text, "\r\n\r\n/a/b.html b.html 123"));
  // As they are, and not at all.
  auto raw = [](std::string response) {
    return [response](fastrpc::HttpRequest* request, Closure* done) {
      request->response = response;
      done->Run();
    };
  };
  std::string odd = "HTTP/1.1 299 odd\r\nx-ODD: 1\r\nContent-Length: 2\r\n\r\nab";
  CHECK(answer(raw(odd)) == odd);
  for (const char* bad : {"", "hello", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"})
    CHECK(has(answer(raw(bad)), "HTTP/1.1 500 "));
  CHECK(records().says("a handler's response was not sent"));
  // A body that is malformed never reaches it.
  auto never = [](fastrpc::HttpRequest*, Closure*) { CHECK(!"it was called"); };
  CHECK(
      has(answer(never, "POST", "/", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "HTTP/1.1 400 "));
  // The default: nothing is set.
  fastrpc::HttpHandler nothing;
  RpcServer server("127.0.0.1", 0);
  CHECK(server.RegiHttpHandler(&nothing));
  server.route("GET", "/route", [](Request&, Response& res) { res.text("route"); });
  server.listen();
  CHECK(has(ask(server, "GET", "/"), "HTTP/1.1 500 "));
  CHECK(ends_with(ask(server, "GET", "/route"), "route"));
}

void done_whenever() {
  auto late = [](fastrpc::HttpRequest* request, Closure* done) {
    std::thread([request, done] {
      std::this_thread::sleep_for(2ms);
      request->response = made("late");
      done->Run();
    }).detach();
  };
  CHECK(ends_with(answer(late), "late"));
  auto twice = [](fastrpc::HttpRequest* request, Closure* done) {
    request->response = made("once");
    done->Run();
    done->Run();
  };
  CHECK(ends_with(answer(twice), "once"));
  CHECK(records().says("done->Run() of a request that is over: ignored"));
  auto thrown = [](fastrpc::HttpRequest*, Closure*) { throw std::runtime_error("by a handler"); };
  CHECK(has(answer(thrown), "HTTP/1.1 500 "));
  CHECK(records().says("an exception left an HttpHandler: by a handler"));
  fastrpc::ThreadPool pool(1);
  auto pooled = [&pool](fastrpc::HttpRequest* request, Closure* done) {
    pool.post([request, done] {
      CHECK(!fastrpc::this_coroutine::exists());
      request->response = made("from a pool");
      done->Run();
    });
  };
  CHECK(ends_with(answer(pooled), "from a pool"));
  // A guard runs `done` while the exception passes: the exception is the answer.
  struct RunAtEnd {
    explicit RunAtEnd(Closure* closure) : done(closure) {}
    RunAtEnd(const RunAtEnd&) = delete;
    RunAtEnd& operator=(const RunAtEnd&) = delete;
    ~RunAtEnd() { done->Run(); }
    Closure* done;
  };
  auto guarded = [](fastrpc::HttpRequest* request, Closure* done) {
    RunAtEnd guard(done);
    request->response = made("not sent");
    throw std::runtime_error("past a guard");
  };
  CHECK(has(answer(guarded), "HTTP/1.1 500 "));
  auto quiet = [](fastrpc::HttpRequest* request, Closure* done) {
    RunAtEnd guard(done);
    request->response = made("by a guard");
  };
  CHECK(ends_with(answer(quiet), "by a guard"));
}

// The connection stays, and the server ends all the same.
void done_never() {
  fastrpc::queue<Closure*> kept(1);
  Handler handler([&kept](fastrpc::HttpRequest*, Closure* done) { kept.push(done); });
  auto server = std::make_unique<RpcServer>("127.0.0.1", 0);
  CHECK(server->RegiHttpHandler(&handler));
  server->route("GET", "/other", [](Request&, Response& res) { res.text("served"); });
  server->listen();
  Peer peer(*server);
  peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  Closure* done = kept.pop();
  CHECK(ends_with(ask(*server, "GET", "/other"), "served"));
  server.reset();
  CHECK(handler.finished && peer.rest().empty());
  done->Run();
}

// A connection of HTTP has its number, its end is told, and it takes no pushes.
void connections_have_ends_and_take_no_pushes() {
  fastrpc::queue<std::uint64_t> ended(4);
  unsigned flow = 0;
  Handler handler([&flow](fastrpc::HttpRequest* request, Closure* done) {
    flow = request->cli_flow;
    CHECK(!RpcServer::PushRawDataToClient(request->svr, flow, "HTTP/1.1 200 OK\r\n\r\n"));
    request->response = made("not disturbed");
    done->Run();
  });
  RpcServer server("127.0.0.1", 0);
  CHECK(server.RegiHttpHandler(&handler));
  server.on_close([&ended](std::uint64_t connection) { ended.push(connection); });
  server.listen();
  for (unsigned i = 1; i <= 2; ++i) {
    CHECK(ends_with(ask(server, "GET", "/"), "not disturbed"));
    auto connection = ended.pop_for(20s);
    CHECK(flow == i && connection && *connection == i);
  }
}

// An exception out of Init() is an error of the registration; one out of Finish() is logged.
void exceptions_at_both_ends() {
  struct Ends : fastrpc::HttpHandler {
    void Init(fastrpc::CASyncSvr*) override {
      if (init_throws) throw std::runtime_error("at the beginning");
    }
    void OnRec(fastrpc::HttpRequest* request, Closure* done) override {
      request->response = made("in between");
      done->Run();
    }
    void Finish(fastrpc::CASyncSvr*) override {
      ++finished;
      throw std::runtime_error("at the end");
    }
    bool init_throws = true;
    int finished = 0;
  };
  auto handler = std::make_shared<Ends>();
  {
    RpcServer server("127.0.0.1", 0);
    CHECK(!server.RegiHttpHandler(handler.get()));
    CHECK(records().says("an exception left HttpHandler::Init: at the beginning"));
    try {
      server.add_http_handler(handler);
      CHECK(!"it threw");
    } catch (const fastrpc::Error& e) {
      CHECK(e.text() == "at the beginning" && e.status() == FASTRPC_EEXCEPTION);
    }
    handler->init_throws = false;
    server.add_http_handler(handler);
    server.listen();
    CHECK(ends_with(ask(server, "GET", "/"), "in between"));
    CHECK(handler->finished == 0);
  }
  CHECK(handler->finished == 1);
  CHECK(records().says("an exception left HttpHandler::Finish: at the end"));
}

// After the client, or the server, has gone.
void done_too_late() {
  Closure* kept = nullptr;
  std::atomic<int> requests{0};
  auto keep = [&](fastrpc::HttpRequest* request, Closure* done) {
    request->response = made("too late");
    kept = done;
    ++requests;
  };
  Handler handler(keep);
  auto server = std::make_unique<RpcServer>("127.0.0.1", 0);
  CHECK(server->RegiHttpHandler(&handler));
  server->listen();
  auto wait_for = [&](int count) {
    for (int i = 0; i < 20'000 && requests < count; ++i) std::this_thread::sleep_for(1ms);
    CHECK(requests == count);
  };
  {
    Peer peer(*server);
    peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(1);
  }
  kept->Run();
  Peer peer(*server);
  peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  wait_for(2);
  server.reset();
  kept->Run();
  CHECK(peer.rest().empty());
}

}  // namespace

int main() {
  configure_workers();
  records().listen();
  RUN(routes);
  RUN(streams);
  RUN(answers_later);
  RUN(limits);
  RUN(times);
  RUN(the_original_handler);
  RUN(done_whenever);
  RUN(done_never);
  RUN(done_too_late);
  RUN(connections_have_ends_and_take_no_pushes);
  RUN(exceptions_at_both_ends);
  google::protobuf::ShutdownProtobufLibrary();
}
