// Closures: what they bind, when they go, and how they run in coroutines.
#include <fastrpc/closure.hpp>
#include <fastrpc/pbext.hpp>
#include <fastrpc/sync.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.hpp"
#include "workers.hpp"

using fastrpc::AsynRun;
using fastrpc::Closure;
using fastrpc::NewClosure;
using fastrpc::NewPermanentClosure;
using namespace std::chrono_literals;

namespace {

// How many are alive: what a closure holds goes with it.
struct Counted {
  static int alive;
  explicit Counted(int n = 0) : value(n) { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  ~Counted() { --alive; }
  int value;
};
int Counted::alive = 0;

int sum_up(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k, int l,
           int m) {
  return a + b + c + d + e + f + g + h + i + j + k + l + m;
}
std::string joined(const std::string& a, const std::string& b) {
  return a + "," + b;
}
void count_up(int* count) {
  ++*count;
}
void take(std::unique_ptr<int> from, int* to) {
  *to = *from;
}
int value_of(const Counted& counted) {
  return counted.value;
}
void fail(const Counted&) {
  throw std::runtime_error("as asked");
}
void increment(int& number) {
  ++number;
}
int quiet(int n) noexcept {
  return n;
}

struct Adder {
  int add(int n) { return total += n; }
  [[nodiscard]] int plus(int a, int b) const { return total + a + b; }
  virtual int twice(int n) noexcept { return 2 * n; }
  virtual ~Adder() = default;
  int total = 0;
};
struct Tripler : Adder {
  int twice(int n) noexcept override { return 3 * n; }
};

void arguments_are_bound_or_left_to_be_given() {
  Closure<int>* all = NewClosure(&sum_up, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
  CHECK(all->IsSelfDelete() && all->Run() == 91);
  Closure<int, int, int>* two = NewClosure(sum_up, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
  CHECK(two->Run(10, 20) == 41);
  Closure<std::string, const std::string&, const std::string&>* none = NewClosure(&joined);
  CHECK(none->Run("a", "b") == "a,b");
  CHECK(NewClosure(&quiet, 4)->Run() == 4);
}

void methods_const_methods_and_smart_pointers_work() {
  Adder adder;
  const Adder& constant = adder;
  CHECK(NewClosure(&adder, &Adder::add, 5)->Run() == 5);
  Closure<int, int>* rest = NewClosure(&constant, &Adder::plus, 1);
  CHECK(rest->Run(2) == 8);
  Tripler tripler;
  CHECK(NewClosure(&tripler, &Adder::twice, 2)->Run() == 6);
  auto shared = std::make_shared<Adder>();
  auto* closure = NewClosure(shared, &Adder::add);
  CHECK(shared.use_count() == 2 && closure->Run(3) == 3 && shared.use_count() == 1);
}

void lambdas_and_function_objects_work() {
  int base = 10;
  Closure<int, int>* one = NewClosure([base](int a, int b) { return base + a + b; }, 1);
  CHECK(one->Run(2) == 13);
  auto* generic = NewClosure([](auto a, auto b) { return a + b; }, 1, 2.5);
  CHECK(generic->Run() == 3.5);
  CHECK(NewClosure(std::function<int(int)>(quiet), 7)->Run() == 7);
  int calls = 0;
  Closure<int>* counter = NewPermanentClosure([calls]() mutable { return ++calls; });
  CHECK(counter->Run() == 1 && counter->Run() == 2);
  delete counter;
}

void text_is_copied_and_references_are_not() {
  Closure<std::string>* closure;
  {
    char text[] = "gone";
    closure = NewClosure(&joined, text, "kept");
    text[0] = 'x';
  }
  CHECK(closure->Run() == "gone,kept");
  int number = 1;
  NewClosure(&increment, number)->Run();
  CHECK(number == 1);
  NewClosure(&increment, std::ref(number))->Run();
  CHECK(number == 2);
}

void what_moves_only_is_moved_through() {
  int got = 0;
  NewClosure(&take, std::make_unique<int>(5), &got)->Run();
  CHECK(got == 5);
  Closure<void, std::unique_ptr<int>, int*>* given = NewClosure(&take);
  given->Run(std::make_unique<int>(6), &got);
  CHECK(got == 6);
}

void a_closure_frees_itself_and_what_it_holds() {
  Closure<int>* ran = NewClosure(&value_of, Counted(3));
  CHECK(Counted::alive == 1);
  CHECK(ran->Run() == 3 && Counted::alive == 0);
  Closure<int>* never_ran = NewClosure(&value_of, Counted(4));
  delete never_ran;
  CHECK(Counted::alive == 0);
}

void a_permanent_closure_stays() {
  int count = 0;
  Closure<void>* closure = NewPermanentClosure(&count_up, &count);
  CHECK(!closure->IsSelfDelete());
  for (int i = 0; i < 5; ++i) closure->Run();
  CHECK(count == 5);
  { Closure<void>::AutoDeleter keeps(closure); }
  closure->Run();
  delete closure;
  Closure<int>* once = NewClosure(&value_of, Counted());
  {
    Closure<int>::AutoDeleter deletes(once);
    CHECK(Counted::alive == 1);
  }
  CHECK(Counted::alive == 0);
}

void an_exception_out_of_run_frees_it_too() {
  Closure<void>* closure = NewClosure(&fail, Counted());
  std::string what;
  try {
    closure->Run();
  } catch (const std::exception& error) {
    what = error.what();
  }
  CHECK(what == "as asked" && Counted::alive == 0);
  Closure<void>* permanent = NewPermanentClosure(&fail, Counted());
  for (int i = 0; i < 2; ++i) {
    bool thrown = false;
    try {
      permanent->Run();
    } catch (const std::exception&) {
      thrown = true;
    }
    CHECK(thrown && Counted::alive == 1);
  }
  delete permanent;
  CHECK(Counted::alive == 0);
}

void callbacks_of_protobuf_take_any_number_of_arguments() {
  int count = 0;
  google::protobuf::Closure* callback = fastrpc::pbext::NewCallback(&count_up, &count);
  callback->Run();
  auto four = [&count](int a, int b, int c, int d) { count += a + b + c + d; };
  fastrpc::pbext::NewCallback(four, 1, 2, 3, 4)->Run();
  CHECK(count == 11);
  Adder adder;
  fastrpc::pbext::NewCallback(&adder, &Adder::add, 5)->Run();
  CHECK(adder.total == 5);

  delete fastrpc::pbext::NewCallback(&value_of, Counted());
  CHECK(Counted::alive == 0);
  auto* failing = fastrpc::pbext::NewCallback(&fail, Counted());
  bool thrown = false;
  try {
    failing->Run();
  } catch (const std::exception&) {
    thrown = true;
  }
  CHECK(thrown && Counted::alive == 0);

  std::unique_ptr<google::protobuf::Closure> permanent(
      fastrpc::pbext::NewPermanentCallback(&count_up, &count));
  permanent->Run();
  permanent->Run();
  CHECK(count == 13);
}

struct Work {
  void run(fastrpc::WaitGroup* group, std::string text) {
    in_coroutine = fastrpc::this_coroutine::exists() && text == "text";
    group->done();
  }
  std::atomic<bool> in_coroutine{false};
};

void asynchronous_runs_are_in_coroutines_of_their_own() {
  Work work;
  fastrpc::WaitGroup group(1);
  AsynRun(&work, &Work::run, &group, "text");
  group.wait();
  CHECK(work.in_coroutine);
  // Also from a coroutine, which goes on meanwhile.
  bool other = fastrpc::spawn([] {
                 std::uint64_t self = fastrpc::this_coroutine::id();
                 fastrpc::queue<std::uint64_t> ids(1);
                 AsynRun([&ids](int) { ids.push(fastrpc::this_coroutine::id()); }, 1);
                 return ids.pop() != self;
               }).join();
  CHECK(other);
}

void run_closure(fastrpc::WaitGroup* group) {
  group->done();
}

void closures_run_in_new_coroutines() {
  fastrpc::WaitGroup group(2);
  CHECK(fastrpc::ProcessWithNewCro(NewClosure(&run_closure, &group)));
  CHECK(fastrpc::ProcessWithNewCro(fastrpc::pbext::NewCallback(&run_closure, &group)));
  group.wait();
}

void an_exception_out_of_an_asynchronous_run_is_logged() {
  fastrpc::queue<std::string> records(16);
  fastrpc::set_log(fastrpc::LogLevel::error,
                   [&records](fastrpc::LogLevel, std::string_view, std::string_view text) {
                     std::string copy(text);
                     (void)records.try_push(copy);
                   });
  AsynRun(&fail, Counted());
  auto record = records.pop_for(20s);
  CHECK(record && record->find("as asked") != std::string::npos);
  fastrpc::set_log(fastrpc::LogLevel::off,
                   [](fastrpc::LogLevel, std::string_view, std::string_view) {});
}

}  // namespace

int main() {
  configure_workers();
  RUN(arguments_are_bound_or_left_to_be_given);
  RUN(methods_const_methods_and_smart_pointers_work);
  RUN(lambdas_and_function_objects_work);
  RUN(text_is_copied_and_references_are_not);
  RUN(what_moves_only_is_moved_through);
  RUN(a_closure_frees_itself_and_what_it_holds);
  RUN(a_permanent_closure_stays);
  RUN(an_exception_out_of_run_frees_it_too);
  RUN(callbacks_of_protobuf_take_any_number_of_arguments);
  RUN(asynchronous_runs_are_in_coroutines_of_their_own);
  RUN(closures_run_in_new_coroutines);
  RUN(an_exception_out_of_an_asynchronous_run_is_logged);
  google::protobuf::ShutdownProtobufLibrary();
}
