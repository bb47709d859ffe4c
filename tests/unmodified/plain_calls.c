// Hooked calls in plain threads: test_strace.py compares the system calls that they make with the
// library and without.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef LINKED
#include <fastrpc/fastrpc.h>
#endif

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static void messages(int from, int to) {
  char buffer[8];
  struct iovec part = {buffer, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  struct mmsghdr many = {.msg_hdr = message};
  CHECK(write(from, "1", 1) == 1 && read(to, buffer, sizeof buffer) == 1);
  CHECK(writev(from, &part, 1) == 1 && readv(to, &part, 1) == 1);
  CHECK(send(from, "1", 1, 0) == 1 && recv(to, buffer, sizeof buffer, 0) == 1);
  CHECK(sendto(from, "1", 1, 0, NULL, 0) == 1);
  CHECK(recvfrom(to, buffer, sizeof buffer, 0, NULL, NULL) == 1);
  CHECK(sendmsg(from, &message, 0) == 1 && recvmsg(to, &message, 0) == 1);
  CHECK(sendmmsg(from, &many, 1, 0) == 1 && recvmmsg(to, &many, 1, 0, NULL) == 1);
}

static void waits(int fd) {
  struct pollfd entry = {fd, POLLIN, 0};
  struct epoll_event event = {.events = EPOLLIN};
  const struct timeval limit = {0, 1000};
  struct timeval moment = limit;
  struct timespec short_time = {0, 1000000};
  fd_set set;
  int epoll = epoll_create1(0);
  CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
  CHECK(poll(&entry, 1, 1) == 0 && ppoll(&entry, 1, &short_time, NULL) == 0);
  CHECK(epoll_wait(epoll, &event, 1, 1) == 0);
  CHECK(epoll_pwait(epoll, &event, 1, 1, NULL) == 0);
  FD_ZERO(&set);
  FD_SET(fd, &set);
  CHECK(select(fd + 1, &set, NULL, NULL, &moment) == 0);
  FD_SET(fd, &set);
  CHECK(pselect(fd + 1, &set, NULL, NULL, &short_time, NULL) == 0);
  CHECK(usleep(1000) == 0 && nanosleep(&short_time, NULL) == 0 && sleep(0) == 0);
  CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &short_time, NULL) == 0);
  char byte;
  CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
  CHECK(recv(fd, &byte, 1, 0) == -1);
  CHECK(close(epoll) == 0);
}

static void connections(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(listener, (struct sockaddr*)&address, size) == 0);
  CHECK(getsockname(listener, (struct sockaddr*)&address, &size) == 0);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(client, (struct sockaddr*)&address, size) == -1);
  CHECK(listen(listener, 1) == 0);
  CHECK(connect(client, (struct sockaddr*)&address, size) == 0);
  int peer = accept(listener, NULL, NULL);
  messages(client, peer);
  waits(peer);
  CHECK(dup2(client, peer) == peer && dup3(client, peer, 0) == peer && close(peer) == 0);
  CHECK(close(client) == 0 && close(listener) == 0);
}

static void locks(void) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  struct timespec past = {0, 0};
  static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
  sem_t semaphore;
  CHECK(pthread_rwlock_rdlock(&rwlock) == 0 && pthread_rwlock_trywrlock(&rwlock) != 0);
  CHECK(pthread_rwlock_timedwrlock(&rwlock, &past) != 0 && pthread_rwlock_unlock(&rwlock) == 0);
  CHECK(pthread_rwlock_wrlock(&rwlock) == 0 && pthread_rwlock_tryrdlock(&rwlock) != 0);
  CHECK(pthread_rwlock_unlock(&rwlock) == 0);
  CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_trylock(&mutex) != 0);
  CHECK(pthread_mutex_unlock(&mutex) == 0);
  CHECK(sem_init(&semaphore, 0, 0) == 0 && sem_post(&semaphore) == 0);
  CHECK(sem_wait(&semaphore) == 0 && sem_timedwait(&semaphore, &past) == -1);
  CHECK(clock_gettime(CLOCK_REALTIME, &past) == 0);
  past.tv_sec += past.tv_nsec >= 990000000;
  past.tv_nsec = (past.tv_nsec + 10000000) % 1000000000;
  CHECK(sem_timedwait(&semaphore, &past) == -1 && sem_destroy(&semaphore) == 0);
}

static void others(void) {
  int fds[2];
  char buffer[8];
  CHECK(pipe(fds) == 0 && write(fds[1], "1", 1) == 1 && read(fds[0], buffer, 8) == 1);
  FILE* file = tmpfile();
  CHECK(file != NULL && write(fileno(file), "text", 4) == 4);
  off_t offset = 0;
  CHECK(sendfile(fds[1], fileno(file), &offset, 4) == 4 && read(fds[0], buffer, 8) == 4);
  fclose(file);
  close(fds[0]);
  close(fds[1]);
  struct addrinfo* found = NULL;
  CHECK(getaddrinfo("localhost", "80", NULL, &found) == 0);
  freeaddrinfo(found);
  CHECK(gethostbyname("127.0.0.1") != NULL);
}

static void* all(void* unused) {
  int pair[2];
  // Before this mark come the loader and malloc's first call.
  void* volatile memory = malloc(1);
  free(memory);
  (void)!write(-1, "begin", 5);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  messages(pair[0], pair[1]);
  waits(pair[1]);
  close(pair[0]);
  close(pair[1]);
  connections();
  locks();
  others();
  return unused;
}

int main(void) {
#ifdef LINKED
  CHECK(fastrpc_version() != NULL);
#endif
  all(NULL);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, all, NULL) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  return 0;
}
