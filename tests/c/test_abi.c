/* The C ABI from C, and, compiled again, from C++: layouts, objects, errors, callbacks. */
#include <fastrpc/fastrpc.h>

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* What a compiled program relies on. */
static_assert(sizeof(fastrpc_status) == 4, "status");
static_assert(sizeof(fastrpc_pollfd) == sizeof(struct pollfd), "pollfd");
static_assert(offsetof(fastrpc_pollfd, events) == offsetof(struct pollfd, events), "pollfd");
static_assert(offsetof(fastrpc_pollfd, revents) == offsetof(struct pollfd, revents), "pollfd");
static_assert(offsetof(fastrpc_runtime_options, stack_size) == 2 * sizeof(size_t), "options");
static_assert(offsetof(fastrpc_runtime_options, hook) == 3 * sizeof(size_t), "options");
static_assert(offsetof(fastrpc_runtime_options, lock_check) == 3 * sizeof(size_t) + 4, "options");
static_assert(offsetof(fastrpc_runtime_options, hook_locks) == 3 * sizeof(size_t) + 8, "options");
static_assert(offsetof(fastrpc_spawn_options, worker) == 4 * sizeof(size_t), "options");
static_assert(offsetof(fastrpc_reply_options, compress) == 5 * sizeof(size_t), "options");
static_assert(offsetof(fastrpc_server_options, max_unsent) == 5 * sizeof(size_t) + 24, "options");
static_assert(offsetof(fastrpc_server_stats, bytes_out) == sizeof(size_t) + 64, "stats");
static_assert(offsetof(fastrpc_pool_options, name_size) == 6 * sizeof(size_t) + 8, "options");
static_assert(offsetof(fastrpc_pool_stats, finished) == sizeof(size_t) + 48, "stats");
static_assert(offsetof(fastrpc_call_options, timeout) == sizeof(size_t), "options");
static_assert(offsetof(fastrpc_call_options, cancellation) == 7 * sizeof(size_t) + 24, "options");
static_assert(sizeof(fastrpc_cancellation) == sizeof(void*), "cancellation");

static int calls, drops;

static void count_call(void* user) {
  (void)user;
  ++calls;
}

static void count_drop(void* user) {
  CHECK(user == &drops);
  ++drops;
}

static void count_item(void* item) {
  CHECK(item == &calls);
  ++drops;
}

static void the_library_says_what_it_is(void) {
  int wanted = FASTRPC_VERSION_MAJOR * 10000 + FASTRPC_VERSION_MINOR * 100 + FASTRPC_VERSION_PATCH;
  CHECK(fastrpc_version_number() == wanted);
  CHECK(fastrpc_version()[0] == '0' + FASTRPC_VERSION_MAJOR);
  CHECK(strlen(fastrpc_status_text(FASTRPC_EINVAL)) > 0);
  CHECK(strcmp(fastrpc_status_text(FASTRPC_EINVAL), fastrpc_status_text(FASTRPC_EIO)) != 0);
}

static void drop_runs_once_on_every_path(void) {
  fastrpc_coroutine* coroutine = NULL;
  fastrpc_error* error = NULL;
  fastrpc_spawn_options options;

  RETURNS(FASTRPC_OK, fastrpc_spawn(NULL, count_call, &drops, count_drop, &coroutine, NULL));
  RETURNS(FASTRPC_OK, fastrpc_coroutine_join(coroutine, -1, NULL));
  fastrpc_coroutine_free(coroutine);
  CHECK(calls == 1 && drops == 1);

  fastrpc_spawn_options_init(&options, sizeof options);
  options.worker = 99;
  RETURNS(FASTRPC_EINVAL, fastrpc_spawn(&options, count_call, &drops, count_drop, NULL, &error));
  CHECK(error != NULL && strlen(fastrpc_error_text(error)) > 0);
  fastrpc_error_free(error);
  CHECK(calls == 1 && drops == 2);

  RETURNS(FASTRPC_EINVAL, fastrpc_spawn(NULL, NULL, &drops, count_drop, NULL, NULL));
  CHECK(calls == 1 && drops == 3);
}

static void structs_of_other_versions_are_understood(void) {
  struct {
    fastrpc_spawn_options known;
    size_t more;
  } longer;
  fastrpc_server_stats stats;
  fastrpc_coroutine* coroutine = NULL;
  fastrpc_server* server = NULL;

  calls = drops = 0;
  memset(&longer, 0xff, sizeof longer);
  fastrpc_spawn_options_init(&longer.known, sizeof longer);
  CHECK(longer.known.size == sizeof longer && longer.more == 0 && longer.known.worker == -1);
  RETURNS(FASTRPC_OK,
          fastrpc_spawn(&longer.known, count_call, &drops, count_drop, &coroutine, NULL));
  RETURNS(FASTRPC_OK, fastrpc_coroutine_join(coroutine, -1, NULL));
  fastrpc_coroutine_free(coroutine);
  longer.more = 1;
  RETURNS(FASTRPC_EINVAL, fastrpc_spawn(&longer.known, count_call, &drops, count_drop, NULL, NULL));
  longer.known.size = offsetof(fastrpc_spawn_options, stack_size);
  longer.known.worker = 99; /* Behind the end of this shorter struct. */
  RETURNS(FASTRPC_OK,
          fastrpc_spawn(&longer.known, count_call, &drops, count_drop, &coroutine, NULL));
  RETURNS(FASTRPC_OK, fastrpc_coroutine_join(coroutine, -1, NULL));
  fastrpc_coroutine_free(coroutine);
  longer.known.size = 0;
  RETURNS(FASTRPC_EINVAL, fastrpc_spawn(&longer.known, count_call, &drops, count_drop, NULL, NULL));
  CHECK(calls == 2 && drops == 4);

  RETURNS(FASTRPC_OK, fastrpc_server_new(NULL, &server, NULL));
  memset(&stats, 0xff, sizeof stats);
  stats.size = offsetof(fastrpc_server_stats, rejected);
  RETURNS(FASTRPC_OK, fastrpc_server_stats_get(server, &stats));
  CHECK(stats.connections == 0 && stats.accepted == 0 && stats.rejected == UINT64_MAX);
  fastrpc_server_free(server);
}

static void locks_say_what_is_wrong(void) {
  fastrpc_mutex* mutex = NULL;
  fastrpc_condvar* condvar = NULL;
  fastrpc_semaphore* semaphore = NULL;
  fastrpc_wait_group* group = NULL;
  fastrpc_queue* queue = NULL;
  void* item = NULL;

  RETURNS(FASTRPC_EINVAL, fastrpc_mutex_new(NULL));
  RETURNS(FASTRPC_OK, fastrpc_mutex_new(&mutex));
  RETURNS(FASTRPC_ESTATE, fastrpc_mutex_unlock(mutex));
  RETURNS(FASTRPC_OK, fastrpc_mutex_lock(mutex, -1));
  RETURNS(FASTRPC_EAGAIN, fastrpc_mutex_lock(mutex, 0));
  RETURNS(FASTRPC_ETIMEDOUT, fastrpc_mutex_lock(mutex, 1000000));
  RETURNS(FASTRPC_OK, fastrpc_condvar_new(&condvar));
  RETURNS(FASTRPC_ETIMEDOUT, fastrpc_condvar_wait(condvar, mutex, 1000000));
  RETURNS(FASTRPC_OK, fastrpc_condvar_notify_one(condvar));
  RETURNS(FASTRPC_OK, fastrpc_mutex_unlock(mutex));
  RETURNS(FASTRPC_ESTATE, fastrpc_condvar_wait(condvar, mutex, 1000000));
  fastrpc_condvar_free(condvar);
  fastrpc_mutex_free(mutex);

  RETURNS(FASTRPC_OK, fastrpc_semaphore_new(1, &semaphore));
  RETURNS(FASTRPC_EAGAIN, fastrpc_semaphore_acquire(semaphore, 2, 0));
  RETURNS(FASTRPC_ELIMIT, fastrpc_semaphore_release(semaphore, SIZE_MAX));
  fastrpc_semaphore_free(semaphore);
  RETURNS(FASTRPC_OK, fastrpc_wait_group_new(&group));
  RETURNS(FASTRPC_ESTATE, fastrpc_wait_group_done(group));
  RETURNS(FASTRPC_ELIMIT, fastrpc_wait_group_add(group, SIZE_MAX));
  fastrpc_wait_group_free(group);

  drops = 0;
  RETURNS(FASTRPC_EINVAL, fastrpc_queue_new(0, NULL, &queue));
  RETURNS(FASTRPC_OK, fastrpc_queue_new(2, count_item, &queue));
  RETURNS(FASTRPC_EAGAIN, fastrpc_queue_pop(queue, &item, 0));
  RETURNS(FASTRPC_OK, fastrpc_queue_push(queue, &calls, 0));
  RETURNS(FASTRPC_OK, fastrpc_queue_push(queue, &calls, 0));
  RETURNS(FASTRPC_EAGAIN, fastrpc_queue_push(queue, &calls, 0));
  CHECK(fastrpc_queue_pop(queue, &item, 0) == FASTRPC_OK && item == &calls);
  RETURNS(FASTRPC_OK, fastrpc_queue_close(queue));
  RETURNS(FASTRPC_ECLOSED, fastrpc_queue_push(queue, &calls, 0));
  CHECK(drops == 0);
  fastrpc_queue_free(queue);
  CHECK(drops == 1);
}

static void open_gate(void* user) {
  RETURNS(FASTRPC_OK, fastrpc_semaphore_release((fastrpc_semaphore*)user, 1));
}

static void pass_gate(void* user) {
  RETURNS(FASTRPC_OK, fastrpc_semaphore_acquire((fastrpc_semaphore*)user, 1, -1));
}

static void read_byte(void* user) {
  char byte;
  CHECK(read(*(int*)user, &byte, 1) == 1);
}

static void jobs_run_in_a_pool(void) {
  int ends[2];
  fastrpc_pool* pool = NULL;
  fastrpc_semaphore* gate = NULL;
  fastrpc_pool_options options;
  fastrpc_pool_stats stats;

  calls = drops = 0;
  RETURNS(FASTRPC_OK, fastrpc_semaphore_new(0, &gate));
  fastrpc_pool_options_init(&options, sizeof options);
  CHECK(options.size == sizeof options && options.threads > 0 && options.name_size == 0);
  options.threads = 0;
  RETURNS(FASTRPC_EINVAL, fastrpc_pool_new(&options, &pool, NULL));
  options.threads = 1;
  options.extra_threads = 1;
  options.name = "jobs";
  options.name_size = 4;
  RETURNS(FASTRPC_OK, fastrpc_pool_new(&options, &pool, NULL));

  RETURNS(FASTRPC_OK, fastrpc_pool_run(pool, count_call, &drops, count_drop, -1, NULL));
  CHECK(calls == 1 && drops == 1);
  /* The place of the one that waits goes to the one that ends its wait. */
  RETURNS(FASTRPC_OK, fastrpc_pool_post(pool, pass_gate, gate, NULL, NULL));
  RETURNS(FASTRPC_OK, fastrpc_pool_run(pool, open_gate, gate, NULL, -1, NULL));
  /* What blocks without telling us keeps it: the next does not begin in time. */
  CHECK(pipe(ends) == 0);
  RETURNS(FASTRPC_OK, fastrpc_pool_post(pool, read_byte, &ends[0], NULL, NULL));
  stats.size = sizeof stats;
  do {
    RETURNS(FASTRPC_OK, fastrpc_sleep(1000000));
    RETURNS(FASTRPC_OK, fastrpc_pool_stats_get(pool, &stats));
  } while (stats.running != 1 || stats.waiting != 0);
  RETURNS(FASTRPC_ETIMEDOUT, fastrpc_pool_run(pool, count_call, &drops, count_drop, 1000000, NULL));
  CHECK(calls == 1 && drops == 2);
  RETURNS(FASTRPC_OK, fastrpc_pool_post(pool, count_call, &drops, count_drop, NULL));
  CHECK(write(ends[1], "x", 1) == 1);
  RETURNS(FASTRPC_OK, fastrpc_blocking(count_call, NULL, NULL));

  RETURNS(FASTRPC_OK, fastrpc_pool_shutdown(pool, -1, NULL));
  CHECK(calls == 3 && drops == 3);
  RETURNS(FASTRPC_ECLOSED, fastrpc_pool_run(pool, count_call, &drops, count_drop, -1, NULL));
  RETURNS(FASTRPC_ECLOSED, fastrpc_pool_post(pool, count_call, &drops, count_drop, NULL));
  CHECK(calls == 3 && drops == 5);
  RETURNS(FASTRPC_OK, fastrpc_pool_stats_get(pool, &stats));
  CHECK(stats.threads == 0 && stats.waiting == 0 && stats.finished == 5);
  fastrpc_pool_free(pool);
  fastrpc_semaphore_free(gate);
  close(ends[0]);
  close(ends[1]);
}

static void a_forked_child_is_told(void) {
  int status = -1;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    int right = fastrpc_sleep(1000000000) == FASTRPC_EFORKED &&
                fastrpc_spawn(NULL, count_call, NULL, NULL, NULL, NULL) == FASTRPC_EFORKED &&
                fastrpc_server_new(NULL, NULL, NULL) == FASTRPC_EFORKED;
    _exit(right ? 0 : 1);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

int main(void) {
  the_library_says_what_it_is();
  drop_runs_once_on_every_path();
  structs_of_other_versions_are_understood();
  locks_say_what_is_wrong();
  jobs_run_in_a_pool();
  a_forked_child_is_told();
  return 0;
}
