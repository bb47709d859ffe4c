// The one door through which Rust calls a user's C or C++ callback.
//
// A C++ exception that reached Rust any other way would end the process. Here every exception is
// caught and handed to Rust as an Err with its text, whatever its type. The exception to that:
// pthread_exit() and thread cancellation. They unwind too, may not be stopped, and cannot be
// allowed on a worker thread that serves other coroutines, so they end the process with a message.
#pragma once

#include <cxxabi.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

namespace fastrpc::ffi {

// Calls `thunk(context)`, where `thunk` is the address of a `void (*)(void *)` on the Rust side
// that calls the user's function with its real arguments.
void run_callback(std::size_t thunk, std::uint8_t* context);

// Describes the exception being handled, which says nothing, by its demangled type.
std::string current_exception_type() noexcept;

// Ends the process and says why.
[[noreturn]] void abort_on_forced_unwind() noexcept;

}  // namespace fastrpc::ffi

// Found by cxx in place of its own, which catches std::exception alone.
namespace rust::behavior {

template <typename Try, typename Fail>
static void trycatch(Try&& call, Fail&& fail) noexcept try {
  call();
} catch (const abi::__forced_unwind&) {
  fastrpc::ffi::abort_on_forced_unwind();
} catch (const std::exception& e) {
  fail(e.what());
} catch (const std::string& text) {
  fail(text);
} catch (const char* text) {
  fail(text != nullptr ? text : fastrpc::ffi::current_exception_type());
} catch (...) {
  fail(fastrpc::ffi::current_exception_type());
}

}  // namespace rust::behavior
