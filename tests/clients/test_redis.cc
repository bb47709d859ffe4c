// The synchronous API of hiredis: test_redis SERVER.
#include <hiredis/hiredis.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "scenario.hpp"

using namespace clients;

namespace {

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

int port = 0;
std::string socket_path;

Context dial(int i = 0) {
  bool tcp = i % 2 == 0;
  Context context(tcp ? redisConnect("127.0.0.1", port) : redisConnectUnix(socket_path.c_str()));
  CHECK(context);
  if (context->err) {
    std::cerr << context->errstr << '\n';
    std::exit(1);
  }
  return context;
}

template <typename... Arguments>
Reply command(const Context& context, const char* format, Arguments... arguments) {
  return Reply(static_cast<redisReply*>(redisCommand(context.get(), format, arguments...)));
}

Reply next_reply(const Context& context) {
  void* reply = nullptr;
  CHECK(redisGetReply(context.get(), &reply) == REDIS_OK);
  return Reply(static_cast<redisReply*>(reply));
}

std::string words(const Context& context, const Reply& reply) {
  int code = errno;
  if (reply) return "a reply of type " + std::to_string(reply->type);
  std::string text = "error " + std::to_string(context->err) + ": " + context->errstr;
  return context->err == REDIS_ERR_IO ? text + ", errno " + std::to_string(code) : text;
}

void many_wait_at_a_time_on_one_thread() {
  many_at_a_time(dial, [](const Context& context, int) {
    Reply reply = command(context, "BLPOP nobody 0.1");
    CHECK(reply && reply->type == REDIS_REPLY_NIL);
  });
}

void payloads_of_all_sizes_come_back() {
  in_both(kSizeCount, [](int i) {
    std::string value = random_bytes(kSizes[i % kSizeCount]);
    Context context = dial(i);
    Reply set = command(context, "SET key:%d %b", i, value.data(), value.size());
    CHECK(set && set->type == REDIS_REPLY_STATUS);
    Reply get = command(context, "GET key:%d", i);
    CHECK(get && get->type == REDIS_REPLY_STRING);
    CHECK(std::string(get->str, get->len) == value);
    CHECK(command(context, "DEL key:%d", i)->integer == 1);
  });
}

void commands_are_pipelined() {
  in_both(4, [](int i) {
    Context context = dial(i);
    for (int j = 0; j < 1000; ++j) redisAppendCommand(context.get(), "INCR counter:%d", i);
    for (int j = 1; j <= 1000; ++j) CHECK(next_reply(context)->integer == j);
    // More than the kernel's buffers hold.
    std::string value = random_bytes(100000);
    for (int j = 0; j < 50; ++j)
      redisAppendCommand(context.get(), "ECHO %b", value.data(), value.size());
    for (int j = 0; j < 50; ++j) {
      Reply reply = next_reply(context);
      CHECK(std::string(reply->str, reply->len) == value);
    }
  });
}

void a_transaction_that_lost_does_nothing() {
  in_both(4, [](int i) {
    Context first = dial(i), second = dial(i + 1);
    CHECK(command(first, "WATCH watched:%d", i)->type == REDIS_REPLY_STATUS);
    CHECK(command(second, "SET watched:%d theirs", i)->type == REDIS_REPLY_STATUS);
    command(first, "MULTI");
    command(first, "SET watched:%d ours", i);
    CHECK(command(first, "EXEC")->type == REDIS_REPLY_NIL);
    command(first, "MULTI");
    command(first, "APPEND watched:%d !", i);
    command(first, "GET watched:%d", i);
    Reply done = command(first, "EXEC");
    CHECK(done->type == REDIS_REPLY_ARRAY && done->elements == 2);
    CHECK(done->element[1]->str == std::string("theirs!"));
  });
}

void a_script_is_prepared_once() {
  Context context = dial();
  Reply loaded = command(context, "SCRIPT LOAD %s", "return {ARGV[1], #ARGV[1]}");
  std::string name = loaded->str;
  in_both(4, [name](int i) {
    std::string value = random_bytes(1000 + static_cast<std::size_t>(i));
    Reply reply = command(dial(i), "EVALSHA %s 0 %b", name.c_str(), value.data(), value.size());
    CHECK(reply->type == REDIS_REPLY_ARRAY && reply->elements == 2);
    CHECK(std::string(reply->element[0]->str, reply->element[0]->len) == value);
    CHECK(reply->element[1]->integer == static_cast<long long>(value.size()));
  });
}

void messages_reach_those_who_subscribed() {
  in_both(4, [](int i) {
    Context listener = dial(i), speaker = dial(i + 1);
    command(listener, "SUBSCRIBE channel:%d", i);
    for (int j = 0; j < 100; ++j)
      CHECK(command(speaker, "PUBLISH channel:%d %d", i, j)->integer == 1);
    for (int j = 0; j < 100; ++j) CHECK(next_reply(listener)->element[2]->str == std::to_string(j));
  });
}

void a_read_timeout_is_the_clients() {
  std::string said = says_the_same([] {
    Context context = dial();
    CHECK(redisSetTimeout(context.get(), timeval{0, 50000}) == REDIS_OK);
    Reply reply = command(context, "BLPOP nobody 100");
    return words(context, reply);
  });
  CHECK(said.find("errno " + std::to_string(EAGAIN)) != std::string::npos);
}

void a_refused_connection_is_reported() {
  Port refused(Port::kRefused);
  auto with = [number = refused.number()](bool timed) {
    return says_the_same([=] {
      Context context(timed ? redisConnectWithTimeout("127.0.0.1", number, timeval{5, 0})
                            : redisConnect("127.0.0.1", number));
      return words(context, nullptr);
    });
  };
  CHECK(with(false).find("Connection refused") != std::string::npos);
  CHECK(with(true).find("Connection refused") != std::string::npos);
}

std::string wait_for_ever(int way) {
  Context context = dial(way);
  Reply reply = command(context, "BLPOP nobody 0");
  return words(context, reply);
}

// Whether the server sees `count` clients wait.
bool are_waiting(int count) {
  Reply reply = command(dial(), "INFO clients");
  return std::strstr(reply->str, ("blocked_clients:" + std::to_string(count)).c_str()) != nullptr;
}

void a_canceled_wait_is_reported() {
  std::string said =
      says_when_canceled([] { return wait_for_ever(0); }, [] { return are_waiting(1); });
  CHECK(said.find("errno " + std::to_string(ECANCELED)) != std::string::npos);
}

void a_killed_server_ends_what_waits(Process& server, int way) {
  says_the_same([way] { return wait_for_ever(way); },
                [&server] {
                  until([] { return are_waiting(6); });
                  server.stop();
                });
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  start_workers();
  Folder folder;
  Process server;
  socket_path = folder.path("socket");
  auto start = [&](int number) {
    return Process(folder, {argv[1], "--bind", "127.0.0.1", "--port", std::to_string(number),
                            "--unixsocket", socket_path, "--save", "", "--appendonly", "no",
                            "--dir", folder.path(), "--maxclients", "1000"});
  };
  auto restart = [&] {
    port = start_on_free_port(folder, server, start, [](int number) {
      Context context(redisConnect("127.0.0.1", number));
      // It listens before all of its sockets are ready.
      return context && !context->err && command(context, "PING");
    });
  };
  restart();
  RUN_SCENARIO(many_wait_at_a_time_on_one_thread);
  RUN_SCENARIO(payloads_of_all_sizes_come_back);
  RUN_SCENARIO(commands_are_pipelined);
  RUN_SCENARIO(a_transaction_that_lost_does_nothing);
  RUN_SCENARIO(a_script_is_prepared_once);
  RUN_SCENARIO(messages_reach_those_who_subscribed);
  RUN_SCENARIO(a_read_timeout_is_the_clients);
  RUN_SCENARIO(a_refused_connection_is_reported);
  RUN_SCENARIO(a_canceled_wait_is_reported);
  auto a_killed_server = [&] {
    a_killed_server_ends_what_waits(server, 0);
    restart();
    a_killed_server_ends_what_waits(server, 1);
  };
  RUN_SCENARIO(a_killed_server);
}
