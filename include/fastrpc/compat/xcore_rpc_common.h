// The original's timers, thread pools, queues of work and messages by name: see
// fastrpc/timer_mgr.hpp, tp_mgr.hpp, que_mgr.hpp, pb_mgr.hpp.
#pragma once

#include <fastrpc/pb_mgr.hpp>
#include <fastrpc/que_mgr.hpp>
#include <fastrpc/timer_mgr.hpp>
#include <fastrpc/tp_mgr.hpp>

#include "coroutine.h"
#include "pbext.h"
#include "xcore_mutex.h"
#include "xcore_semaphore.h"
#include "xcore_timer.h"

using fastrpc::AsynRun;
using fastrpc::PbMgr;
using fastrpc::QueMgr;
using fastrpc::TimerMgr;
using fastrpc::TPMgr;

// Work for a main loop outside of coroutines, and for coroutines. Any thread.
class RpcMgr {
 public:
  // Leaves a closure to whoever asks with GetOutSideQueue(). Waits while a million are waiting.
  static void PutOutSideQueue(PbClosure* done) { outside().push(std::unique_ptr<PbClosure>(done)); }
  // Waits for `msec` milliseconds at most; NULL if there was none. It is the caller's, to be run.
  static PbClosure* GetOutSideQueue(unsigned msec) {
    auto done =
        msec == 0 ? outside().try_pop() : outside().pop_for(std::chrono::milliseconds(msec));
    return done ? done->release() : nullptr;
  }
  // Runs one of them here, waiting for it for `msec` milliseconds at most. 1 if there was one, else
  // 0. An exception that leaves it is logged.
  static int RunOutSideQueue(unsigned msec) {
    PbClosure* done = GetOutSideQueue(msec);
    if (done == nullptr) return 0;
    (void)fastrpc::detail::run_logged("the outside queue", [done] { done->Run(); });
    return 1;
  }

  // Run a closure in a new coroutine.
  static void RunWithCoroutine(PbClosure* closure) { run(closure); }
  static void RunWithCoroutine(Closure<void>* closure) { run(closure); }
  static void AsynRunWithCoro(Closure<void>* closure) { run(closure); }

 private:
  template <typename C>
  static void run(C* closure) {
    fastrpc::spawn_detached([closure] { closure->Run(); });
  }
  // Lives as long as the process: threads may use it to the end.
  static fastrpc::queue<std::unique_ptr<PbClosure>>& outside() {
    static auto& queue = *new fastrpc::queue<std::unique_ptr<PbClosure>>(1000000);
    return queue;
  }
};
