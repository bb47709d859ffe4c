// Errors, results and their statuses.
#include <fastrpc/error.hpp>

#include <memory>
#include <type_traits>
#include <utility>

#include "check.hpp"

using fastrpc::Code;
using fastrpc::Error;
using fastrpc::Result;
using fastrpc::Status;

namespace {

Result<std::string> greeting(bool good) {
  if (good) return "hello";
  return Error(Status::closed);
}

void results_give_their_value() {
  Result<std::string> text = greeting(true);
  CHECK(text && text.ok() && text.has_value());
  CHECK_EQ(*text, "hello");
  CHECK_EQ(text->size(), 5);
  *text += "!";
  const Result<std::string>& same = text;
  CHECK_EQ(same.value(), "hello!");
  CHECK_EQ(*same, "hello!");
  CHECK_EQ(same->back(), '!');
  CHECK_EQ(greeting(true).value(), "hello");
  CHECK_EQ(greeting(true).value_or("none"), "hello");
  CHECK_EQ(greeting(false).value_or("none"), "none");
  CHECK_EQ(same.value_or("none"), "hello!");
}

void results_hand_on_what_only_moves() {
  auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  std::unique_ptr<int> seven = make().value();
  CHECK_EQ(*seven, 7);
  CHECK_EQ(**make(), 7);
  CHECK_EQ(*make().value_or(nullptr), 7);
  // What a temporary result returns does not refer to it.
  static_assert(std::is_same_v<decltype(make().value()), std::unique_ptr<int>>);
  static_assert(std::is_same_v<decltype(*make()), std::unique_ptr<int>>);
}

void results_convert_as_their_value_does() {
  static_assert(std::is_convertible_v<const char*, Result<std::string>>);
  static_assert(!std::is_convertible_v<int*, Result<std::string>>);
  static_assert(std::is_convertible_v<Error, Result<std::string>>);
  static_assert(std::is_same_v<Result<int>::value_type, int>);
  Result<double> half = 1;
  CHECK_EQ(*half, 1.0);
}

void results_throw_their_error() {
  Result<std::string> none = greeting(false);
  CHECK(!none);
  CHECK(none.error().is_closed());
  bool thrown = false;
  try {
    (void)std::as_const(none).value();
  } catch (const Error& error) {
    thrown = error.is_closed();
  }
  CHECK(thrown);
  Result<void> done;
  CHECK(done.ok() && done.has_value() && done);
  done.value();
  Result<void> failed = Error(Status::timed_out);
  CHECK(!failed && failed.error().is_timeout());
}

void errors_say_what_they_are() {
  Error plain(Status::canceled);
  CHECK(plain.is_canceled() && !plain.is_timeout() && !plain.is_remote());
  CHECK_EQ(plain.code(), FASTRPC_ECANCELED);
  CHECK_EQ(plain.text(), fastrpc::to_string(Status::canceled));
  Error worded(Status::invalid_argument, "no such color");
  CHECK_EQ(std::string(worded.what()), "no such color");
  CHECK_EQ(worded.status(), FASTRPC_EINVAL);
  CHECK_NE(worded.status(), Status::ok);
  Error from_c(FASTRPC_EAGAIN);
  CHECK(from_c.is_would_block());
  CHECK_EQ(from_c.status(), Status::would_block);
}

void errors_of_services_are_told_from_the_librarys() {
  Error own = Error::service(4711, "out of stock");
  CHECK(own.is_service_error() && own.is_remote());
  CHECK_EQ(own.code(), 4711);
  Error library(FASTRPC_EREMOTE, FASTRPC_CODE_ENOMETHOD, "no such method");
  CHECK(library.is_remote() && !library.is_service_error());
  CHECK(library.code() == Code::no_method);
  CHECK(library.code() != Code::no_service);
}

}  // namespace

int main() {
  RUN(results_give_their_value);
  RUN(results_hand_on_what_only_moves);
  RUN(results_convert_as_their_value_does);
  RUN(results_throw_their_error);
  RUN(errors_say_what_they_are);
  RUN(errors_of_services_are_told_from_the_librarys);
}
