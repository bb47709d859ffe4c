// The shims of the original's xcore: what they return, in threads and in coroutines.
#include "coroutine.h"
#include "monitor.h"
#include "xcore_atomic.h"
#include "xcore_rpc_common.h"
#include "xcore_semaphore.h"
#include "xcore_socket.h"
#include "xcore_thread.h"
#include "xcore_timer.h"
#include "xcore_utility.h"

#include <functional>
#include <thread>

#include "../cpp/check.hpp"
#include "../cpp/workers.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// Runs a test in a thread and in a coroutine.
void both_ways(const std::function<void()>& test) {
  test();
  fastrpc::spawn(test).join();
}

bool soon(const std::function<bool()>& condition) {
  for (auto end = Clock::now() + std::chrono::seconds(20); Clock::now() < end; xcore::sleep(1))
    if (condition()) return true;
  return condition();
}

void atomics_give_what_the_original_gave() {
  XAtomic32 a(5);
  CHECK(a.set_value(7) == 5 && a.get_value() == 7);
  CHECK((a += 3) == 10 && (a -= 1) == 9);
  CHECK(a++ == 9 && ++a == 11 && a-- == 11 && --a == 9);
  CHECK(a.test_zero_inc() == 10);
  a = 0;
  CHECK(a.test_zero_inc() == 0 && a.get_value() == 0);
  XAtomic64 b(int64(1) << 40);
  XAtomic64 c(b);
  CHECK(c == int64(1) << 40 && ++c == (int64(1) << 40) + 1);
}

void mutexes_and_semaphores_work_in_threads_and_coroutines() {
  both_ways([] {
    XMutex mutex;
    CHECK(mutex.lock() && !mutex.trylock());
    mutex.unlock();
    CHECK(mutex.trylock());
    mutex.unlock();
    XSemaphore semaphore(1);
    CHECK(semaphore.get_value() == 1 && semaphore.trywait() && !semaphore.trywait());
    CHECK(!semaphore.trywait(5));
    CHECK(semaphore.post(2) && semaphore.get_value() == 2);
    semaphore.wait();
    CHECK(semaphore.trywait(1000));
  });
}

void a_monitor_stays_notified() {
  both_ways([] {
    Monitor monitor;
    CHECK(!monitor.TimeWait(5) && !monitor.m_has_notify);
    std::thread other([&monitor] { monitor.Notify(); });
    monitor.Wait();
    other.join();
    CHECK(monitor.m_has_notify && monitor.TimeWait(0));
    monitor.Wait();
  });
}

struct Looper : XRunnable {
  void run() override {
    ++rounds;
    while (!thread->wait_quit(1)) ++rounds;
    CHECK(thread->wait_quit());
  }
  XThread* thread = nullptr;
  XAtomic32 rounds;
};
struct Thrower : XRunnable {
  void run() override { throw std::runtime_error("out of a thread"); }
};

void a_thread_runs_until_it_is_stopped() {
  Looper looper;
  XThread thread(&looper);
  looper.thread = &thread;
  CHECK(thread.state() == XThread::STATE_INIT && thread.id() == 0);
  for (int i = 0; i < 2; ++i) {
    int seen = looper.rounds.get_value();
    CHECK(thread.start() && !thread.start());
    CHECK(soon([&] { return looper.rounds.get_value() > seen + 3; }));
    CHECK(thread.state() == XThread::STATE_RUNNING && thread.id() != xcore::thread_id());
    thread.stop();
    thread.join();
    CHECK(thread.state() == XThread::STATE_STOPPED);
  }
  XThread nothing;
  CHECK(!nothing.start());
  Thrower thrower;
  CHECK(nothing.start(&thrower));
  nothing.join();
  // The destructor stops and joins.
  XThread last(&looper);
  looper.thread = &last;
  CHECK(last.start());
}

struct CountDown : XTimer::ICallBack {
  CountDown(XAtomic32* a, XAtomic32* r) : alive(a), runs(r) { ++*alive; }
  ~CountDown() override { --*alive; }
  void on_timer(XTimer* timer, uint32 id, void* ptr) override {
    CHECK(fastrpc::this_coroutine::exists());
    ++*runs;
    if (ptr == this) timer->cancel(id);
  }
  XAtomic32* alive;
  XAtomic32* runs;
};

void timers_call_back_and_are_canceled() {
  XAtomic32 alive, runs;
  XTimer timer;
  CHECK(timer.start());
  uint32 once = timer.schedule(new CountDown(&alive, &runs), 1);
  uint32 thrice = timer.schedule(new CountDown(&alive, &runs), 1, 3);
  CHECK(once != 0 && thrice != 0 && once != thrice);
  CHECK(soon([&] { return alive.get_value() == 0; }));
  CHECK(runs.get_value() == 4 && timer.cancel(once) == 0);

  // By number, by pointer, by itself.
  uint32 ever = timer.schedule(new CountDown(&alive, &runs), 1, -1);
  CHECK(soon([&] { return runs.get_value() > 10; }));
  CHECK(timer.cancel(ever) == 1);
  int tag = 0;
  for (int i = 0; i < 3; ++i)
    CHECK(timer.schedule(new CountDown(&alive, &runs), 3600000, -1, &tag) != 0);
  CHECK(timer.cancel(&tag) == 3 && timer.cancel(&tag) == 0);
  auto* own = new CountDown(&alive, &runs);
  CHECK(timer.schedule(own, 1, -1, own) != 0);
  CHECK(soon([&] { return alive.get_value() == 0; }));

  CHECK(timer.schedule(new CountDown(&alive, &runs), 1, 0) == 0 && alive.get_value() == 0);
  CHECK(timer.schedule(new CountDown(&alive, &runs), 3600000) != 0 && timer.stop());
  CHECK(alive.get_value() == 0);
  CHECK(timer.schedule(new CountDown(&alive, &runs), 1) == 0 && alive.get_value() == 0);
}

void addresses_are_read_and_written() {
  CHECK(XSockAddr("127.0.0.1:8998").str() == "127.0.0.1:8998");
  CHECK(XSockAddr("localhost", 80).host() == "127.0.0.1");
  CHECK(XSockAddr("10.1.2.3").port() == 0 && XSockAddr().str() == "0.0.0.0:0");
  CHECK(XSockAddr(0x7f000001, 5) == XSockAddr("127.0.0.1", 5));
  CHECK(XSockAddr("127.0.0.1:99999").port() == 0);
  CHECK(XSockAddr("no such host.invalid", 1).ipaddr() == INADDR_NONE);
}

// A listening socket, and a pair of connected ones.
struct Pair {
  Pair() {
    CHECK(listener.open() && listener.listen(XSockAddr("127.0.0.1", 0)));
    XSocket none;
    CHECK(!listener.accept(none) && !listener.can_recv(1));
    CHECK(client.open() && client.connect(listener.local_addr(), 20000) == 1);
    XSockAddr from;
    CHECK(listener.can_recv(20000) && listener.accept(server, &from));
    CHECK(from == client.local_addr() && server.local_addr() == client.remote_addr());
  }
  ~Pair() {
    for (XSocket* socket : {&listener, &client, &server}) socket->close();
  }
  XSocket listener, client, server;
};

void sockets_say_what_the_original_said() {
  both_ways([] {
    Pair pair;
    char buffer[16];
    CHECK(pair.client.recv(buffer, sizeof buffer) == 0);
    CHECK(pair.server.send("hello", 5) == 5);
    CHECK(pair.client.can_recv(20000) && pair.client.recv(buffer, sizeof buffer) == 5);
    CHECK(pair.client.recv_n(buffer, 3, 5) == 0);
    CHECK(pair.server.shutdown() && pair.client.can_recv(20000));
    CHECK(pair.client.recv(buffer, sizeof buffer) == -1);
    CHECK(pair.client.send_n("still", 5) == 5 && pair.server.recv_n(buffer, 5, 20000) == 5);

    XSocket closed;
    CHECK(!closed.is_open() && closed.connect(XSockAddr("127.0.0.1", 1), 1000) == 0);
    CHECK(closed.recv(buffer, 1) == -1 && closed.send("x", 1) == -1 && !closed.can_recv(1));
    CHECK(!closed.close());
    CHECK(closed.open() && closed.connect(XSockAddr("127.0.0.1", 1), 20000) == -1);
    CHECK(!closed.connect(XSockAddr("127.0.0.1", 1)) && closed.close());
  });
}

void sockets_wait_until_all_is_through() {
  both_ways([] {
    Pair pair;
    std::string much(4 << 20, 'x');
    std::thread peer([&] {
      std::string got(much.size(), '\0');
      CHECK(pair.server.recv_n(&got[0], int(got.size()), 20000) == int(got.size()));
      CHECK(got == much && pair.server.send_n("ok", 2, 20000) == 2);
    });
    CHECK(pair.client.send_n(much.data(), int(much.size()), 20000) == int(much.size()));
    char buffer[2];
    CHECK(pair.client.recv_n(buffer, 2) == 2);
    peer.join();
    // A peer that does not read: what was sent until the time has passed.
    int sent = pair.client.send_n(std::string(64 << 20, 'x').data(), 64 << 20, 50);
    CHECK(sent > 0 && sent < 64 << 20);
  });
}

void http_is_received_message_by_message() {
  both_ways([] {
    Pair pair;
    std::string first = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    std::string second =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    std::string third = "HTTP/1.0 200 OK\r\n\r\nto the end";
    std::string all = first + second + third;
    std::thread peer([&] {
      for (char c : all) CHECK(pair.server.send_n(&c, 1) == 1);
    });
    std::string got;
    CHECK(pair.client.recv_one_http(got, 20000) == int(first.size()) && got == first);
    CHECK(pair.client.recv_one_http(got, 20000) == int(second.size()) && got == second);
    CHECK(pair.client.recv_one_http(got, 20) == 0);
    peer.join();
    pair.server.close();
    CHECK(pair.client.recv_one_http(got, 20000) == int(third.size()) && got == third);
    CHECK(pair.client.recv_one_http(got, 20000) == -1);
  });
  Pair pair;
  std::string got;
  CHECK(pair.server.send_n("no http\r\n\r\n", 11) == 11);
  CHECK(pair.client.recv_one_http(got, 20000) == -1);
}

void a_waiting_socket_suspends_its_coroutine_alone() {
  fastrpc::spawn([] {
    Pair pair;
    fastrpc::SpawnOptions here;
    here.worker = fastrpc::this_coroutine::worker();
    auto waiter = fastrpc::spawn(here, [&pair] {
      char c = 0;
      return pair.client.recv_n(&c, 1, 20000) == 1 && c == 'x';
    });
    // On the same worker: it would never get here if the waiter blocked.
    fastrpc::yield();
    CHECK(pair.server.send("x", 1) == 1);
    CHECK(waiter.join());

    auto closed = fastrpc::spawn(here, [&pair] { return pair.client.can_recv(20000); });
    fastrpc::yield();
    pair.client.close();
    CHECK(!closed.join());
  }).join();
}

void count_up(XAtomic32* count) {
  CHECK(!fastrpc::this_coroutine::exists());
  ++*count;
}
void fail() {
  throw std::runtime_error("out of the outside queue");
}

void the_outside_queue_is_pumped_by_whoever_asks() {
  XAtomic32 count;
  CHECK(RpcMgr::GetOutSideQueue(1) == nullptr && RpcMgr::RunOutSideQueue(0) == 0);
  fastrpc::spawn([&count] {
    for (int i = 0; i < 3; ++i) RpcMgr::PutOutSideQueue(pbext::NewCallback(&count_up, &count));
    RpcMgr::PutOutSideQueue(pbext::NewCallback(&fail));
  }).join();
  for (int i = 0; i < 4; ++i) CHECK(RpcMgr::RunOutSideQueue(1000) == 1);
  CHECK(count.get_value() == 3 && RpcMgr::RunOutSideQueue(1) == 0);
}

void note(XSemaphore* semaphore) {
  CHECK(fastrpc::this_coroutine::exists());
  semaphore->post();
}

void closures_run_in_coroutines() {
  XSemaphore done;
  RpcMgr::RunWithCoroutine(NewClosure(&note, &done));
  RpcMgr::RunWithCoroutine(pbext::NewCallback(&note, &done));
  RpcMgr::AsynRunWithCoro(NewClosure(&note, &done));
  AsynRun(&note, &done);
  SetCoroutineUsedByCurThread();
  CHECK(ProcessWithNewCro(NewClosure(&note, &done)));
  for (int i = 0; i < 5; ++i) CHECK(done.trywait(20000));
}

void the_switch_of_the_hooks_is_the_coroutines_own() {
  CHECK(!co_is_enable_sys_hook());
  co_enable_hook_sys();
  CHECK(!co_is_enable_sys_hook());
  fastrpc::spawn([] {
    CHECK(!co_is_enable_sys_hook());
    co_enable_hook_sys();
    // A library that was built without hooks goes on without them.
    CHECK(co_is_enable_sys_hook() == HOOKS);
    fastrpc::spawn([] { CHECK(!co_is_enable_sys_hook()); }).join();
    CHECK(co_is_enable_sys_hook() == HOOKS);
    co_disable_hook_sys();
    CHECK(!co_is_enable_sys_hook());
  }).join();
}

void co_accept_suspends_its_coroutine_alone() {
  if (!HOOKS) return;
  fastrpc::spawn([] {
    XSocket listener;
    CHECK(listener.open() && listener.listen(XSockAddr("127.0.0.1", 0)));
    CHECK(listener.set_nonblock(false));
    fastrpc::SpawnOptions here;
    here.worker = fastrpc::this_coroutine::worker();
    sockaddr_in from = {};
    auto accepting = fastrpc::spawn(here, [&listener, &from] {
      co_enable_hook_sys();
      socklen_t size = sizeof from;
      return co_accept(listener.get_handle(), reinterpret_cast<sockaddr*>(&from), &size);
    });
    // On the same worker: it would never get here if co_accept() blocked.
    fastrpc::yield();
    CHECK(!accepting.is_finished());
    XSocket client;
    CHECK(client.open() && client.connect(listener.local_addr(), 20000) == 1);
    XSocket server(accepting.join());
    CHECK(server.is_open() && XSockAddr(from) == client.local_addr());
    for (XSocket* socket : {&listener, &client, &server}) socket->close();
  }).join();
}

}  // namespace

int main() {
  configure_workers();
  fastrpc::set_log(fastrpc::LogLevel::off,
                   [](fastrpc::LogLevel, std::string_view, std::string_view) {});
  RUN(atomics_give_what_the_original_gave);
  RUN(mutexes_and_semaphores_work_in_threads_and_coroutines);
  RUN(a_monitor_stays_notified);
  RUN(a_thread_runs_until_it_is_stopped);
  RUN(timers_call_back_and_are_canceled);
  RUN(addresses_are_read_and_written);
  RUN(sockets_say_what_the_original_said);
  RUN(sockets_wait_until_all_is_through);
  RUN(http_is_received_message_by_message);
  RUN(a_waiting_socket_suspends_its_coroutine_alone);
  RUN(the_outside_queue_is_pumped_by_whoever_asks);
  RUN(closures_run_in_coroutines);
  RUN(the_switch_of_the_hooks_is_the_coroutines_own);
  RUN(co_accept_suspends_its_coroutine_alone);
}
