// Checks that print what they saw, and tests that run one after the other.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// Ends the program, and says where, unless `condition` holds.
#define CHECK(...)                                                                    \
  do {                                                                                \
    if (!(__VA_ARGS__)) check::fail(__FILE__, __LINE__, "not so: " #__VA_ARGS__, ""); \
  } while (0)

// The same for comparisons; both values are printed.
#define CHECK_EQ(a, b) CHECK_COMPARISON(a, ==, b)
#define CHECK_NE(a, b) CHECK_COMPARISON(a, !=, b)
#define CHECK_LT(a, b) CHECK_COMPARISON(a, <, b)
#define CHECK_LE(a, b) CHECK_COMPARISON(a, <=, b)
#define CHECK_GT(a, b) CHECK_COMPARISON(a, >, b)
#define CHECK_GE(a, b) CHECK_COMPARISON(a, >=, b)

#define CHECK_COMPARISON(a, op, b)                                                          \
  check::comparison([](const auto& x, const auto& y) { return x op y; }, a, b, " " #op " ", \
                    __FILE__, __LINE__, "not so: " #a " " #op " " #b)

#define RUN(test)               \
  do {                          \
    std::printf("%s\n", #test); \
    std::fflush(stdout);        \
    test();                     \
  } while (0)

namespace check {

[[noreturn]] inline void fail(const char* file, int line, const char* what,
                              const std::string& values) {
  std::fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, values.empty() ? "" : ": ",
               values.c_str());
  std::exit(1);
}

template <typename T, typename = void>
struct CanPrint : std::false_type {};
template <typename T>
struct CanPrint<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<const T&>())>>
    : std::true_type {};

// Prints text in quotes, pointers as addresses, enumerators and durations as numbers.
template <typename T>
std::string show(const T& value) {
  std::ostringstream out;
  out << std::boolalpha;
  if constexpr (std::is_same_v<T, std::nullptr_t>) {
    out << "nullptr";
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    out << '"' << std::string_view(value) << '"';
  } else if constexpr (std::is_enum_v<T>) {
    out << +static_cast<std::underlying_type_t<T>>(value);
  } else if constexpr (CanPrint<T>::value) {
    out << value;
  } else {
    out << "(" << sizeof(T) << " bytes)";
  }
  return out.str();
}

template <typename T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// Compares integers by their values, whether they are signed or not.
template <typename Op, typename A, typename B>
bool compare(Op op, const A& a, const B& b) {
  if constexpr (kIsInteger<A> && kIsInteger<B> && std::is_signed_v<A> != std::is_signed_v<B>) {
    // Below 0 a signed one is below all unsigned ones.
    if constexpr (std::is_signed_v<A>) {
      if (a < 0) return op(-1, 0);
      return op(static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
    } else {
      if (b < 0) return op(0, -1);
      return op(static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
    }
  } else {
    return op(a, b);
  }
}

template <typename Op, typename A, typename B>
void comparison(Op op, const A& a, const B& b, const char* sign, const char* file, int line,
                const char* what) {
  if (!compare(op, a, b)) fail(file, line, what, show(a) + sign + show(b));
}

}  // namespace check

// Whether it means something how long things take: not under valgrind.
inline bool times_count() {
  return std::getenv("FASTRPC_TEST_SLOW") == nullptr;
}
