// Looks up hosts in hooked coroutines of one worker, for test_names.py:
//   look_up many COUNT        COUNT at a time, by each function in turn, beside a ticker
//   look_up cancel            each function in a coroutine that is canceled meanwhile
//   look_up one NAME          in a plain thread and in a coroutine, by each function
#include <fastrpc/fastrpc.hpp>

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

std::string text(const hostent* entry) {
  if (entry == nullptr) return "none " + std::to_string(h_errno);
  char address[INET6_ADDRSTRLEN] = "?";
  inet_ntop(entry->h_addrtype, entry->h_addr_list[0], address, sizeof address);
  return std::string(entry->h_name) + " " + address;
}

std::string text(int code, const hostent* entry, int error) {
  if (code == 0 && entry != nullptr) return text(entry);
  return "none " + std::to_string(code) + " " + std::to_string(error);
}

in_addr number(const std::string& name) {
  in_addr address{};
  // name7.test is 10.0.0.7.
  address.s_addr = htonl(0x0a000000u + static_cast<unsigned>(std::atoi(name.c_str() + 4)));
  return address;
}

constexpr int kFunctions = 8;

// Calls the function of that number. The last three look up the name of an address.
std::string look_up(int function, const std::string& name) {
  hostent entry{}, *found = nullptr;
  char buffer[2048];
  int error = 0;
  in_addr address = number(name);
  switch (function) {
    case 0: {
      addrinfo hints{}, *list = nullptr;
      hints.ai_family = AF_INET;
      hints.ai_socktype = SOCK_STREAM;
      int code = getaddrinfo(name.c_str(), "80", &hints, &list);
      if (code != 0) return "none " + std::to_string(code) + " " + std::to_string(errno);
      char shown[INET_ADDRSTRLEN];
      auto* first = reinterpret_cast<sockaddr_in*>(list->ai_addr);
      inet_ntop(AF_INET, &first->sin_addr, shown, sizeof shown);
      freeaddrinfo(list);
      return name + " " + shown;
    }
    case 1:
      return text(gethostbyname(name.c_str()));
    case 2:
      return text(gethostbyname2(name.c_str(), AF_INET));
    case 3: {
      int code = gethostbyname_r(name.c_str(), &entry, buffer, sizeof buffer, &found, &error);
      return text(code, found, error);
    }
    case 4: {
      int code =
          gethostbyname2_r(name.c_str(), AF_INET, &entry, buffer, sizeof buffer, &found, &error);
      return text(code, found, error);
    }
    case 5:
      return text(gethostbyaddr(&address, sizeof address, AF_INET));
    case 6: {
      int code = gethostbyaddr_r(&address, sizeof address, AF_INET, &entry, buffer, sizeof buffer,
                                 &found, &error);
      return text(code, found, error);
    }
    default: {
      sockaddr_in whole{};
      whole.sin_family = AF_INET;
      whole.sin_addr = address;
      char host[256];
      int code = getnameinfo(reinterpret_cast<sockaddr*>(&whole), sizeof whole, host, sizeof host,
                             nullptr, 0, NI_NAMEREQD);
      if (code != 0) return "none " + std::to_string(code) + " " + std::to_string(errno);
      char shown[INET_ADDRSTRLEN];
      inet_ntop(AF_INET, &address, shown, sizeof shown);
      return std::string(host) + " " + shown;
    }
  }
}

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

template <typename F>
auto hooked(F f) {
  return fastrpc::spawn([f] {
    fastrpc::hook::Guard hooks;
    return f();
  });
}

void many(int count) {
  bool done = false;
  double late = 0;
  auto start = Clock::now();
  fastrpc::spawn([&] {
    std::vector<fastrpc::Coroutine<std::string>> all;
    for (int i = 1; i <= count; ++i)
      all.push_back(
          hooked([i] { return look_up(i % kFunctions, "name" + std::to_string(i) + ".test"); }));
    auto ticker = fastrpc::spawn([&] {
      while (!done) {
        auto before = Clock::now();
        fastrpc::sleep_for(5ms);
        late = std::max(late, milliseconds(Clock::now() - before) - 5);
      }
    });
    for (auto& one : all) std::printf("%s\n", one.join().c_str());
    done = true;
    ticker.join();
  }).join();
  std::printf("took %.0f late %.0f\n", milliseconds(Clock::now() - start), late);
}

void cancel() {
  for (int function = 0; function < kFunctions; ++function) {
    auto asks = hooked([function] { return look_up(function, "name1.test"); });
    std::this_thread::sleep_for(50ms);
    auto start = Clock::now();
    asks.cancel();
    std::string said = asks.join();
    std::printf("%s after %.0f\n", said.c_str(), milliseconds(Clock::now() - start));
  }
}

void one(const std::string& name) {
  for (int function = 0; function < kFunctions; ++function) {
    std::string bare = look_up(function, name);
    std::string said = hooked([&] { return look_up(function, name); }).join();
    std::printf("%s | %s\n", bare.c_str(), said.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::string what = argv[1];
  if (what == "many" && argc == 3) {
    many(std::atoi(argv[2]));
  } else if (what == "cancel") {
    cancel();
  } else if (what == "one" && argc == 3) {
    one(argv[2]);
  } else {
    return 2;
  }
  std::fflush(stdout);
  // Abandoned lookups may go on for a while.
  std::_Exit(0);
}
