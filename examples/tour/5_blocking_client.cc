// Somebody else's client, which blocks: in coroutines with hooks it waits without a thread each.
#include <fastrpc/fastrpc.hpp>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <string>
#include <vector>

using namespace std::chrono_literals;

// As a MySQL, Redis or HTTP client library has it: nothing but libc, nothing of coroutines.
std::string get(const std::string& host, const std::string& port, const std::string& path) {
  addrinfo wanted{}, *address = nullptr;
  wanted.ai_family = AF_INET;
  if (getaddrinfo(host.c_str(), port.c_str(), &wanted, &address) != 0) return "no such host";
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (connect(fd, address->ai_addr, address->ai_addrlen) == 0 &&
      write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    char part[4096];
    for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;) answer.append(part, n);
  }
  close(fd);
  freeaddrinfo(address);
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

int main() {
  fastrpc::Server server("127.0.0.1", 0);
  server.route("GET", "/slow/:number",
               [](fastrpc::http::Request& request, fastrpc::http::Response& response) {
                 fastrpc::sleep_for(300ms);
                 response.text("page " + std::string(request.param("number")));
               });
  server.listen();

  auto begin = std::chrono::steady_clock::now();
  std::vector<fastrpc::Coroutine<bool>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(fastrpc::spawn([&server, i] {
      fastrpc::hook::Guard hooked;  // what blocks suspends this coroutine alone, from here on
      auto number = std::to_string(i);
      return get("localhost", std::to_string(server.port()), "/slow/" + number) == "page " + number;
    }));
  }
  int right = 0;
  for (auto& client : clients) right += client.join();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::cout << right << " of 100 pages of 0.3 s each right, after " << seconds.count()
            << " s: server and clients are coroutines of one thread\n";
  return right == 100 ? 0 : 1;
}
