// What blocks a thread, or computes for long, on a pool of threads.
#include <fastrpc/fastrpc.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;

int main() {
  fastrpc::ThreadPool pool(2);
  int ticks = 0;
  auto ticker = fastrpc::every(10ms, [&] { ++ticks; });

  int sum = fastrpc::spawn([&] {
              // Suspends this coroutine until the job has run on a thread of the pool.
              return pool.run([] {
                std::this_thread::sleep_for(200ms);  // some other library's blocking call
                return 40 + 2;
              });
            }).join();
  std::cout << "the job's result: " << sum
            << "; the worker ticked on meanwhile: " << (ticks > 5 ? "yes" : "no") << '\n';

  // A job with a handle runs meanwhile; what it throws arrives where the result is asked for.
  fastrpc::JobHandle<std::string> job =
      pool.submit([]() -> std::string { throw std::runtime_error("no such file"); });
  try {
    std::cout << job.get() << '\n';
  } catch (const std::runtime_error& error) {
    std::cout << "the job's exception: " << error.what() << '\n';
  }

  // A job that nobody waits for.
  fastrpc::WaitGroup ended(1);
  pool.post([&] { ended.done(); });
  ended.wait();
  return sum == 42 && ticks > 5 ? 0 : 1;
}
