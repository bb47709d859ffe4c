// A program with the header names and the global names of 2016.
#include "closure.h"
#include "coroutine.h"
#include "xcore_atomic.h"
#include "xcore_semaphore.h"

XAtomic32 sum;

void add(int a, int b, XSemaphore* done) {
  sum += a + b;
  done->post();
}

int main() {
  XSemaphore done;
  SetCoroutineUsedByCurThread();
  ProcessWithNewCro(NewClosure(&add, 1, 2, &done));
  done.wait();
  if (sum != 3) return 1;
  cout << fastrpc_version() << endl;
  return 0;
}
