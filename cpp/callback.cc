// The door between Rust and a user's C++ callbacks: nothing that is thrown gets past it.

#include "fastrpc/cpp/callback.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

namespace fastrpc::ffi {

void run_callback(std::size_t thunk, std::uint8_t* context) {
  reinterpret_cast<void (*)(std::uint8_t*)>(thunk)(context);
}

std::string current_exception_type() noexcept {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "an exception of another language";
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), std::free);
  return std::string("exception of type ") + (status == 0 ? name.get() : type->name());
}

void abort_on_forced_unwind() noexcept {
  static constexpr char kText[] =
      "fastrpc: fatal: pthread_exit or thread cancellation inside a callback: the thread belongs "
      "to the runtime and serves other coroutines\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kText, sizeof kText - 1);
  std::abort();
}

}  // namespace fastrpc::ffi
