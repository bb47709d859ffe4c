// Machinery of callbacks: what becomes of an exception that leaves one.
#pragma once

#include <fastrpc/detail/handle.hpp>

#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <typeinfo>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace fastrpc::detail {

// Runs `function()`; an exception that leaves it goes to `on_exception(std::exception_ptr)`.
template <typename F, typename OnException>
void run_catching(F&& function, OnException&& on_exception) {
#if FASTRPC_HAS_EXCEPTIONS
  try {
    function();
#ifdef __GLIBCXX__
  } catch (const abi::__forced_unwind&) {
    throw;  // pthread_exit() or a canceled thread: it may not be stopped here.
#endif
  } catch (...) {
    on_exception(std::current_exception());
  }
#else
  (void)on_exception;
  function();
#endif
}

// Names the type of the exception being handled, for one that has no text.
inline std::string current_exception_type() {
#ifdef __GLIBCXX__
  if (const std::type_info* type = abi::__cxa_current_exception_type()) {
    std::unique_ptr<char, void (*)(void*)> name(
        abi::__cxa_demangle(type->name(), nullptr, nullptr, nullptr), std::free);
    return std::string("exception of type ") + (name ? name.get() : type->name());
  }
#endif
  return "an exception that is no std::exception";
}

// Returns the text of an exception.
inline std::string describe(const std::exception_ptr& exception) {
#if FASTRPC_HAS_EXCEPTIONS
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    return e.what();
  } catch (const std::string& text) {
    return text;
  } catch (const char* text) {
    return text != nullptr ? text : current_exception_type();
  } catch (...) {
    return current_exception_type();
  }
#else
  (void)exception;
  return "an exception";
#endif
}

}  // namespace fastrpc::detail
