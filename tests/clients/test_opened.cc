// A client library opened by dlopen(3): test_opened SERVER LIBRARY, hiredis.
#include <dlfcn.h>
#include <hiredis/hiredis.h>

#include <string>

#include "scenario.hpp"

using namespace clients;

namespace {

// The library and its functions. Nothing else in the program needs it.
class Hiredis {
 public:
  Hiredis(const char* path, int flags) : library_(dlopen(path, flags)) {
    CHECK(library_ != nullptr);
    find("redisConnect", connect);
    find("redisCommand", command);
    find("redisFree", free);
    find("freeReplyObject", free_reply);
  }
  ~Hiredis() { dlclose(library_); }
  Hiredis(const Hiredis&) = delete;
  Hiredis& operator=(const Hiredis&) = delete;

  decltype(&redisConnect) connect;
  decltype(&redisCommand) command;
  decltype(&redisFree) free;
  decltype(&freeReplyObject) free_reply;

 private:
  template <typename F>
  void find(const char* name, F& function) {
    function = reinterpret_cast<F>(dlsym(library_, name));
    CHECK(function != nullptr);
  }

  void* library_;
};

void waits_suspend(const Hiredis& hiredis, int port) {
  auto dial = [&](int) {
    redisContext* context = hiredis.connect("127.0.0.1", port);
    CHECK(context != nullptr && context->err == 0);
    return context;
  };
  many_at_a_time(dial, [&](redisContext* context, int) {
    auto* reply = static_cast<redisReply*>(hiredis.command(context, "BLPOP nobody 0.1"));
    CHECK(reply != nullptr && reply->type == REDIS_REPLY_NIL);
    hiredis.free_reply(reply);
    hiredis.free(context);
  });
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 3);
  start_workers();
  CHECK(dlopen(argv[2], RTLD_NOW | RTLD_NOLOAD) == nullptr);
  Folder folder;
  Process server;
  auto start = [&](int number) {
    return Process(folder,
                   {argv[1], "--bind", "127.0.0.1", "--port", std::to_string(number), "--save", "",
                    "--appendonly", "no", "--dir", folder.path(), "--maxclients", "1000"});
  };
  int port = start_on_free_port(folder, server, start, [&](int number) {
    Hiredis hiredis(argv[2], RTLD_NOW);
    redisContext* context = hiredis.connect("127.0.0.1", number);
    bool connected = context != nullptr && context->err == 0;
    hiredis.free(context);
    return connected;
  });
  auto opened = [&](int flags) {
    Hiredis hiredis(argv[2], flags);
    waits_suspend(hiredis, port);
  };
  auto opened_for_itself = [&] { opened(RTLD_NOW | RTLD_LOCAL); };
  auto opened_for_all_and_bound_late = [&] { opened(RTLD_LAZY | RTLD_GLOBAL); };
  RUN_SCENARIO(opened_for_itself);
  RUN_SCENARIO(opened_for_all_and_bound_late);
}
