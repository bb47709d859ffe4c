// libcurl, its easy and its multi interface: test_curl SERVER OPENSSL, nginx.
#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>

#include "scenario.hpp"

using namespace clients;

namespace {

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
using Multi = std::unique_ptr<CURLM, FreeMulti>;

enum class Way { kEasy, kPoll, kSelect, kEpoll };
constexpr int kWays = 4;
enum class Scheme { kHttp, kHttps, kHttp2 };
constexpr int kSchemes = 3;

int http_port = 0, https_port = 0;
std::string certificate;

// A multi handle that the program drives by its own epoll fd, as libcurl's manual shows.
class EpollDriver {
 public:
  explicit EpollDriver(CURLM* multi) : multi_(multi), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
  }
  ~EpollDriver() {
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, nullptr);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, nullptr);
    close(epoll_);
  }
  EpollDriver(const EpollDriver&) = delete;
  EpollDriver& operator=(const EpollDriver&) = delete;

  void run() {
    int running = 1;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    while (running != 0) {
      epoll_event events[8];
      int count = epoll_wait(epoll_, events, 8, static_cast<int>(timeout_));
      CHECK(count >= 0);
      if (count == 0) curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
      for (int i = 0; i < count; ++i) {
        int bits = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(multi_, events[i].data.fd, bits, &running);
      }
    }
  }

 private:
  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
    int epoll = static_cast<EpollDriver*>(self)->epoll_;
    epoll_event event{};
    event.data.fd = fd;
    if (what & CURL_POLL_IN) event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
    } else if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
      CHECK(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) == 0);
    }
    return 0;
  }
  static int on_timer(CURLM*, long timeout, void* self) {
    static_cast<EpollDriver*>(self)->timeout_ = timeout;
    return 0;
  }

  CURLM* multi_;
  int epoll_;
  long timeout_ = -1;
};

void run_by_select(CURLM* multi) {
  for (int running = 1;;) {
    CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
    if (running == 0) return;
    fd_set read, write, except;
    FD_ZERO(&read);
    FD_ZERO(&write);
    FD_ZERO(&except);
    int highest = -1;
    long timeout = -1;
    CHECK(curl_multi_fdset(multi, &read, &write, &except, &highest) == CURLM_OK);
    CHECK(curl_multi_timeout(multi, &timeout) == CURLM_OK);
    // No fd: libcurl waits for something that has none.
    long most = highest == -1 ? 10 : 1000;
    if (timeout < 0 || timeout > most) timeout = most;
    timeval limit{timeout / 1000, timeout % 1000 * 1000};
    CHECK(select(highest + 1, &read, &write, &except, &limit) >= 0);
  }
}

void run_by_poll(CURLM* multi) {
  for (int running = 1;;) {
    CHECK(curl_multi_perform(multi, &running) == CURLM_OK);
    if (running == 0) return;
    CHECK(curl_multi_poll(multi, nullptr, 0, 1000, nullptr) == CURLM_OK);
  }
}

// A handle that is reused, with its connections.
class Client {
 public:
  explicit Client(int i)
      : way_(static_cast<Way>(i % kWays)),
        scheme_(static_cast<Scheme>(i / kWays % kSchemes)),
        multi_(way_ == Way::kEasy ? nullptr : curl_multi_init()),
        easy_(curl_easy_init()) {
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_WRITEFUNCTION, &write);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_READFUNCTION, &read);
    set(CURLOPT_READDATA, this);
    set(CURLOPT_NOSIGNAL, 1L);
    // Whatever the environment says.
    set(CURLOPT_PROXY, "");
    set(CURLOPT_CAINFO, certificate.c_str());
    set(CURLOPT_HTTP_VERSION,
        scheme_ == Scheme::kHttp2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
    set(CURLOPT_PRIVATE, this);
  }

  template <typename T>
  void set(CURLoption option, T value) {
    CHECK(curl_easy_setopt(easy_.get(), option, value) == CURLE_OK);
  }
  void set_url(const std::string& path, const char* host = "127.0.0.1") {
    bool tls = scheme_ != Scheme::kHttp;
    std::string url = tls ? "https://" : "http://";
    url += host + (":" + std::to_string(tls ? https_port : http_port)) + path;
    set(CURLOPT_URL, url.c_str());
  }

  CURLcode perform() {
    got.clear();
    sent_ = 0;
    error_[0] = '\0';
    if (way_ == Way::kEasy) return curl_easy_perform(easy_.get());
    CHECK(curl_multi_add_handle(multi_.get(), easy_.get()) == CURLM_OK);
    if (way_ == Way::kPoll) run_by_poll(multi_.get());
    if (way_ == Way::kSelect) run_by_select(multi_.get());
    if (way_ == Way::kEpoll) EpollDriver(multi_.get()).run();
    int left = 0;
    CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
    CHECK(message != nullptr && message->msg == CURLMSG_DONE);
    CURLcode code = message->data.result;
    curl_multi_remove_handle(multi_.get(), easy_.get());
    return code;
  }
  // The server's response to a request that must not fail.
  std::string fetch(const std::string& path, long status = 200) {
    set_url(path);
    if (perform() != CURLE_OK) {
      std::cerr << error_ << '\n';
      std::exit(1);
    }
    long said = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &said);
    CHECK(said == status);
    return got;
  }
  // The message without numbers, such as milliseconds, which differ.
  std::string words() {
    CURLcode code = perform();
    std::string text = error_;
    for (std::size_t i = 0; i < text.size(); ++i)
      while (std::isdigit(static_cast<unsigned char>(text[i])) && i + 1 < text.size() &&
             std::isdigit(static_cast<unsigned char>(text[i + 1])))
        text.erase(i + 1, 1);
    for (char& c : text)
      if (std::isdigit(static_cast<unsigned char>(c))) c = '#';
    return "error " + std::to_string(code) + ": " + text;
  }
  [[nodiscard]] CURL* easy() const { return easy_.get(); }
  [[nodiscard]] long connections() const {
    long count = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &count);
    return count;
  }

  std::string got;
  std::string to_send;
  // Those whose response has begun.
  static inline std::atomic<int> begun{0};

 private:
  static std::size_t write(char* data, std::size_t, std::size_t size, void* self) {
    std::string& got = static_cast<Client*>(self)->got;
    if (got.empty() && size > 0) ++begun;
    got.append(data, size);
    return size;
  }
  static std::size_t read(char* place, std::size_t, std::size_t room, void* self) {
    auto* client = static_cast<Client*>(self);
    std::size_t size = std::min(room, client->to_send.size() - client->sent_);
    std::memcpy(place, client->to_send.data() + client->sent_, size);
    client->sent_ += size;
    return size;
  }

  Way way_;
  Scheme scheme_;
  // Before the easy handle, whose connections it owns.
  Multi multi_;
  Easy easy_;
  std::size_t sent_ = 0;
  char error_[CURL_ERROR_SIZE] = "";
};

void many_wait_at_a_time_on_one_thread() {
  auto connect = [](int i) {
    auto client = std::make_unique<Client>(i);
    CHECK(client->fetch("/hello") == "hello");
    return client;
  };
  many_at_a_time(connect, [](const std::unique_ptr<Client>& client, int) {
    auto start = Clock::now();
    CHECK(client->fetch("/slow").size() == 1600);
    CHECK(Clock::now() - start > 90ms);
    CHECK(client->connections() == 0);
  });
}

void payloads_of_all_sizes_come_back() {
  in_both(kSizeCount, [](int i) {
    Client client(i);
    client.to_send = random_bytes(kSizes[i % kSizeCount]);
    std::string path = "/files/" + std::to_string(i);
    client.set(CURLOPT_UPLOAD, 1L);
    client.set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(client.to_send.size()));
    client.fetch(path, 201);
    client.set(CURLOPT_UPLOAD, 0L);
    client.set(CURLOPT_HTTPGET, 1L);
    CHECK(client.fetch(path) == client.to_send);
    client.set(CURLOPT_CUSTOMREQUEST, "DELETE");
    client.fetch(path, 204);
  });
}

// Streams of one connection: responses come out of order.
void requests_share_a_connection() {
  in_both(3, [](int way) {
    constexpr int kRequests = 50;
    Multi multi(curl_multi_init());
    curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi.get(), CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < kRequests; ++i) {
      clients.push_back(std::make_unique<Client>(kWays * static_cast<int>(Scheme::kHttp2)));
      clients.back()->set(CURLOPT_PIPEWAIT, 1L);
      clients.back()->set_url(i % 2 == 0 ? "/slow" : "/hello");
      CHECK(curl_multi_add_handle(multi.get(), clients.back()->easy()) == CURLM_OK);
    }
    if (way % 3 == 0) run_by_poll(multi.get());
    if (way % 3 == 1) run_by_select(multi.get());
    if (way % 3 == 2) EpollDriver(multi.get()).run();
    int left = 0, done = 0;
    while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
      CHECK(message->data.result == CURLE_OK);
      ++done;
    }
    CHECK(done == kRequests);
    long connections = 0;
    for (int i = 0; i < kRequests; ++i) {
      auto& client = clients[static_cast<std::size_t>(i)];
      CHECK(client->got.size() == (i % 2 == 0 ? 1600 : 5));
      connections += client->connections();
      curl_multi_remove_handle(multi.get(), client->easy());
    }
    CHECK(connections == 1);
  });
}

// libcurl looks up hosts on threads of its own, and waits for them by poll.
void hosts_are_looked_up() {
  in_both(kWays * kSchemes, [](int i) {
    Client client(i);
    client.set_url("/hello", "localhost");
    CHECK(client.perform() == CURLE_OK);
    CHECK(client.got == "hello");
  });
}

// Each interface and scheme in turn: a client set up by `prepare` fails with the same message.
template <typename F>
void each_says_the_same(int wanted, F prepare) {
  for (int i = 0; i < kWays * kSchemes; ++i) {
    std::string said = says_the_same([=] {
      Client client(i);
      prepare(client);
      return client.words();
    });
    CHECK(said.find("error " + std::to_string(wanted) + ":") == 0);
  }
}

void an_unknown_certificate_is_refused() {
  says_the_same([] {
    Client client(kWays);
    client.set(CURLOPT_CAINFO, nullptr);
    client.set_url("/hello");
    return client.words();
  });
}

void a_read_timeout_is_the_clients() {
  each_says_the_same(CURLE_OPERATION_TIMEDOUT, [](Client& client) {
    client.set(CURLOPT_TIMEOUT_MS, 300L);
    client.set_url("/endless");
  });
}

void a_server_that_says_nothing_is_given_up() {
  Port silent(Port::kSilent);
  for (const char* scheme : {"http", "https"}) {
    std::string url = scheme + ("://127.0.0.1:" + std::to_string(silent.number()));
    std::string said = says_the_same([url] {
      Client client(0);
      client.set(CURLOPT_URL, url.c_str());
      client.set(CURLOPT_CONNECTTIMEOUT_MS, 200L);
      client.set(CURLOPT_TIMEOUT_MS, 400L);
      return client.words();
    });
    CHECK(said.find("error 28:") == 0);
  }
}

void a_refused_connection_is_reported() {
  Port refused(Port::kRefused);
  each_says_the_same(CURLE_COULDNT_CONNECT, [number = refused.number()](Client& client) {
    std::string url = "http://127.0.0.1:" + std::to_string(number);
    client.set(CURLOPT_URL, url.c_str());
  });
}

class Nginx {
 public:
  Nginx(const char* program, const char* openssl) : program_(program) {
    make_certificate(folder_, openssl);
    certificate = folder_.path("cert.pem");
    std::filesystem::create_directory(folder_.path("files"));
    folder_.write("hello", "hello");
    folder_.write("slow", std::string(1600, 'x'));
    folder_.write("endless", std::string(1 << 20, 'x'));
    start();
  }
  void start() {
    auto start = [this](int number) {
      https_port = free_port();
      folder_.write("nginx.conf", configuration(number, https_port));
      return Process(folder_, {program_, "-p", folder_.path(), "-e", "stderr", "-c",
                               folder_.path("nginx.conf")});
    };
    http_port = start_on_free_port(folder_, server_, start, [](int number) {
      http_port = number;
      Client client(0);
      client.set_url("/hello");
      return client.perform() == CURLE_OK && client.got == "hello";
    });
  }
  void stop() { server_.stop(); }

 private:
  static std::string configuration(int http, int https) {
    auto listen = [](int port, const char* more) {
      return "listen 127.0.0.1:" + std::to_string(port) + " backlog=1000" + more + ";\n";
    };
    return R"(
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 2000; }
http {
  access_log off;
  default_type application/octet-stream;
  client_max_body_size 64m;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 100000;
  server {
    root .;
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    location /files/ { dav_methods PUT DELETE; }
    # It sends one half, and by its rate limit the other 100 ms later.
    location /slow { sendfile on; sendfile_max_chunk 1000; limit_rate 10k; }
    location /endless { sendfile on; sendfile_max_chunk 1000; limit_rate 10k; }
    )" + listen(http, "") +
           listen(https, " ssl http2") + "}\n}\n";
  }

  Folder folder_;
  std::string program_;
  Process server_;
};

void a_canceled_wait_is_reported() {
  Client::begun = 0;
  std::string said = says_when_canceled(
      [] {
        Client client(0);
        client.set_url("/endless");
        return client.words();
      },
      [] { return Client::begun == 1; });
  CHECK(said != "error 0: ");
}

void a_killed_server_ends_what_waits(Nginx& server) {
  for (int i = 0; i < kWays * kSchemes; ++i) {
    Client::begun = 0;
    says_the_same(
        [i] {
          Client client(i);
          client.set_url("/endless");
          return client.words();
        },
        [&server] {
          until([] { return Client::begun == 6; });
          server.stop();
        });
    server.start();
  }
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 3);
  start_workers();
  // CURLOPT_NOSIGNAL leaves it to the program.
  signal(SIGPIPE, SIG_IGN);
  curl_global_init(CURL_GLOBAL_ALL);
  Nginx server(argv[1], argv[2]);
  Client(kWays).fetch("/hello");
  RUN_SCENARIO(many_wait_at_a_time_on_one_thread);
  RUN_SCENARIO(payloads_of_all_sizes_come_back);
  RUN_SCENARIO(requests_share_a_connection);
  RUN_SCENARIO(hosts_are_looked_up);
  RUN_SCENARIO(an_unknown_certificate_is_refused);
  RUN_SCENARIO(a_read_timeout_is_the_clients);
  RUN_SCENARIO(a_server_that_says_nothing_is_given_up);
  RUN_SCENARIO(a_refused_connection_is_reported);
  RUN_SCENARIO(a_canceled_wait_is_reported);
  auto a_killed_server = [&] { a_killed_server_ends_what_waits(server); };
  RUN_SCENARIO(a_killed_server);
}
