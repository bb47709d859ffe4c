// A client library that knows nothing of coroutines, nor of fastrpc, which it is not linked with.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// Reads a byte, or gives -1.
int blocking_library_read(int fd);
// Waits with poll, then receives a byte.
int blocking_library_poll(int fd);

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
