// A client library that knows nothing of coroutines, nor of fastrpc, which it is not linked with.
#include <poll.h>
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
