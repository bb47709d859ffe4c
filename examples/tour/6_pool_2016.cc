// The same pool in the spelling of 2016: TPMgr, with closures and methods as jobs.
#include <fastrpc/closure.hpp>
#include <fastrpc/sync.hpp>
#include <fastrpc/tp_mgr.hpp>

#include <iostream>

class Adder {
 public:
  int add(int a, int b) const { return a + b; }
  void log(int sum, fastrpc::WaitGroup* ended) const {
    std::cout << "a job that nobody waits for got " << sum << '\n';
    ended->done();
  }
};

int main() {
  fastrpc::TPMgr pool(2);
  Adder adder;
  int sum = 0;
  fastrpc::WaitGroup asked(1), ended(2);
  // In a coroutine, which suspends until the job has run on a thread of the pool.
  fastrpc::AsynRun([&] {
    sum = pool.TPRun(&adder, &Adder::add, 40, 2);
    asked.done();
  });
  asked.wait();
  std::cout << "the job's result: " << sum << '\n';

  pool.TPAsynRun(&adder, &Adder::log, sum, &ended);
  pool.TPAsynRun(fastrpc::NewClosure(&adder, &Adder::log, sum, &ended));
  ended.wait();
  return sum == 42 ? 0 : 1;
}
