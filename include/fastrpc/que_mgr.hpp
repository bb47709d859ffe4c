// The queue of work for a thread of 2016.
//
//   fastrpc::QueMgr work;
//   work.PutQueue(fastrpc::NewClosure(&handle, request));
//   work.GetQueue()->Run();  // in another thread or coroutine
//
// Today's spelling is fastrpc::queue, in fastrpc/sync.hpp.
#pragma once

#include <fastrpc/closure.hpp>
#include <fastrpc/sync.hpp>

#include <memory>

namespace fastrpc {

// A first-in first-out queue of closures. Those that are left in it are deleted with it. Any
// thread.
class QueMgr {
 public:
  // How many closures it holds at most.
  static constexpr std::size_t kCapacity = 1000000;

  // Takes a closure over. Waits if the queue is full.
  void PutQueue(Closure<void>* closure) { queue_.push(std::unique_ptr<Closure<void>>(closure)); }
  // Waits for a closure: suspends the coroutine, or blocks the thread. It is the caller's.
  [[nodiscard]] Closure<void>* GetQueue() { return queue_.pop().release(); }
  // Returns NULL when the time has passed.
  template <typename Rep, typename Period>
  [[nodiscard]] Closure<void>* GetQueue(std::chrono::duration<Rep, Period> time) {
    auto closure = queue_.pop_for(time);
    return closure ? closure->release() : nullptr;
  }

 private:
  queue<std::unique_ptr<Closure<void>>> queue_{kCapacity};
};

}  // namespace fastrpc
