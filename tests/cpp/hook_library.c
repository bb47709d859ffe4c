// A client library that knows nothing of coroutines, nor of fastrpc, which it is not linked with.
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

// Reads a byte, or gives -1.
int blocking_library_read(int fd);
// Waits with poll, then receives a byte.
int blocking_library_poll(int fd);
// Waits for a semaphore: 0 or -1.
int blocking_library_wait(sem_t* semaphore);
void blocking_library_post(sem_t* semaphore);
// Whether its calls before main() did what they do in any program.
int blocking_library_was_early(void);

static int early;

// May run before anything of the library that hooks.
__attribute__((constructor)) static void before_main(void) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
  int fds[2];
  char byte = 0;
  if (pipe(fds) != 0) return;
  struct pollfd entry = {fds[0], POLLIN, 0};
  early = pthread_mutex_lock(&mutex) == 0 && pthread_rwlock_rdlock(&rwlock) == 0 &&
          write(fds[1], "x", 1) == 1 && poll(&entry, 1, 1000) == 1 && read(fds[0], &byte, 1) == 1 &&
          byte == 'x' && usleep(1) == 0 && pthread_rwlock_unlock(&rwlock) == 0 &&
          pthread_mutex_unlock(&mutex) == 0 && close(fds[0]) == 0 && close(fds[1]) == 0;
}

int blocking_library_was_early(void) {
  return early;
}

int blocking_library_read(int fd) {
  unsigned char byte = 0;
  return read(fd, &byte, 1) == 1 ? byte : -1;
}

int blocking_library_poll(int fd) {
  unsigned char byte = 0;
  struct pollfd entry = {fd, POLLIN, 0};
  if (poll(&entry, 1, 20000) != 1) return -1;
  return recv(fd, &byte, 1, 0) == 1 ? byte : -1;
}

int blocking_library_wait(sem_t* semaphore) {
  return sem_wait(semaphore);
}

void blocking_library_post(sem_t* semaphore) {
  sem_post(semaphore);
}
