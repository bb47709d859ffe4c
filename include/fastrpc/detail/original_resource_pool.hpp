// The names that ResourcePool had in 2016.
#pragma once

#include <chrono>

namespace fastrpc::detail {

template <typename Pool, typename T>
class OriginalResourcePool {
 public:
  // Waits for a thing, which Release() gives back. Never returns NULL.
  [[nodiscard]] T* Get() { return self().lease().release(); }
  // Returns NULL when the time has passed.
  template <typename Rep, typename Period>
  [[nodiscard]] T* Get(std::chrono::duration<Rep, Period> time) {
    return self().lease(time).release();
  }
  // Gives a thing back, or puts a new one in. Returns false for NULL.
  bool Release(T* resource) { return self().add(resource); }

  // Puts a new one in.
  void PutResQue(T* resource) { self().add(resource); }
  // Returns a thing if one is free and nobody waits for it, else NULL. Does not wait.
  [[nodiscard]] T* GetResQue() { return self().try_lease().release(); }

 private:
  Pool& self() { return static_cast<Pool&>(*this); }
};

}  // namespace fastrpc::detail
