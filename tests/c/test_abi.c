/* The C ABI from C, and, compiled again, from C++: objects, errors, callbacks, a call. */
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
static_assert(offsetof(fastrpc_server_options, max_unsent) == 5 * sizeof(size_t), "options");
static_assert(offsetof(fastrpc_server_stats, bytes_out) == sizeof(size_t) + 64, "stats");
static_assert(offsetof(fastrpc_pool_options, name_size) == 6 * sizeof(size_t) + 8, "options");
static_assert(offsetof(fastrpc_pool_stats, finished) == sizeof(size_t) + 48, "stats");
static_assert(offsetof(fastrpc_call_options, timeout) == sizeof(size_t), "options");
static_assert(offsetof(fastrpc_call_options, cancellation) == 7 * sizeof(size_t) + 24, "options");
static_assert(sizeof(fastrpc_cancellation) == sizeof(void*), "cancellation");

static int calls, drops;
/* Where a drop on another thread is told, if somebody waits for it. */
static fastrpc_semaphore* dropped;

static void count_call(void* user) {
  (void)user;
  ++calls;
}

static void count_drop(void* user) {
  CHECK(user == &drops);
  ++drops;
  if (dropped != NULL) CHECK(fastrpc_semaphore_release(dropped, 1) == FASTRPC_OK);
}

static void echo(void* user, fastrpc_call* call) {
  size_t size = 0;
  const uint8_t* request = fastrpc_call_request(call, &size);
  (void)user;
  CHECK(fastrpc_call_reply(call, request, size) == FASTRPC_OK);
}

static void write_x(void* user, uint8_t* buffer, size_t size) {
  (void)user;
  memset(buffer, 'x', size);
}

/* Does what the request says. */
static void obey(void* user, fastrpc_call* call) {
  char peer[64];
  size_t size = 0;
  const uint8_t* request = fastrpc_call_request(call, &size);
  int order = size != 0 ? request[0] : 0;
  fastrpc_reply_options options;
  (void)user;
  CHECK(memcmp(fastrpc_call_service(call, &size), "t.Obey", 6) == 0 && size == 6);
  CHECK(memcmp(fastrpc_call_method(call, &size), "Do", 2) == 0 && size == 2);
  CHECK(fastrpc_call_peer(call, peer, sizeof peer) == strlen(peer) && peer[0] != 0);
  CHECK(!fastrpc_call_is_canceled(call) && fastrpc_call_time_left(call) > 0);
  CHECK(fastrpc_call_compress(call) == FASTRPC_COMPRESS_NONE);
  if (order == 'f') {
    CHECK(fastrpc_call_fail(call, 4711, "no", 2) == FASTRPC_OK);
  } else if (order == 'd') {
    fastrpc_call_free(call);
  } else if (order == 'b') {
    CHECK(fastrpc_call_reply_with(call, NULL, 0, NULL, NULL) == FASTRPC_OK);
  } else {
    fastrpc_reply_options_init(&options, sizeof options);
    options.fill = write_x;
    options.attachment = (const uint8_t*)"beside";
    options.attachment_size = 6;
    CHECK(fastrpc_call_reply_with(call, NULL, 3, &options, NULL) == FASTRPC_OK);
  }
}

static fastrpc_queue* outcomes;

static void keep_outcome(void* user, fastrpc_response* response, fastrpc_error* error) {
  CHECK(user == &drops);
  CHECK((response == NULL) != (error == NULL));
  fastrpc_error_free(error);
  ++calls;
  CHECK(fastrpc_queue_push(outcomes, response, -1) == FASTRPC_OK);
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

  CHECK(fastrpc_spawn(NULL, count_call, &drops, count_drop, &coroutine, NULL) == FASTRPC_OK);
  CHECK(fastrpc_coroutine_join(coroutine, -1, NULL) == FASTRPC_OK);
  fastrpc_coroutine_free(coroutine);
  CHECK(calls == 1 && drops == 1);

  fastrpc_spawn_options_init(&options, sizeof options);
  options.worker = 99;
  CHECK(fastrpc_spawn(&options, count_call, &drops, count_drop, NULL, &error) == FASTRPC_EINVAL);
  CHECK(error != NULL && strlen(fastrpc_error_text(error)) > 0);
  fastrpc_error_free(error);
  CHECK(calls == 1 && drops == 2);

  CHECK(fastrpc_spawn(NULL, NULL, &drops, count_drop, NULL, NULL) == FASTRPC_EINVAL);
  CHECK(calls == 1 && drops == 3);
}

static void a_call_is_answered(void) {
  fastrpc_stop_report report;
  fastrpc_client_stats stats;
  const char* const address = "127.0.0.1:0";
  char at[64];
  size_t size = 0;
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_response* response = NULL;
  fastrpc_error* error = NULL;

  CHECK(fastrpc_semaphore_new(0, &dropped) == FASTRPC_OK);
  CHECK(fastrpc_server_new(NULL, &server, NULL) == FASTRPC_OK);
  CHECK(fastrpc_server_add_method(server, "t.Echo", 6, "Say", 3, echo, &drops, count_drop, NULL) ==
        FASTRPC_OK);
  CHECK(fastrpc_server_listen(server, address, strlen(address), NULL) == FASTRPC_OK);
  CHECK(fastrpc_server_address(server, at, sizeof at) == strlen(at));
  CHECK(fastrpc_client_new(at, strlen(at), NULL, &client, NULL) == FASTRPC_OK);
  CHECK(fastrpc_client_call(client, "t.Echo", 6, "Say", 3, (const uint8_t*)"hi", 2, NULL, &response,
                            NULL) == FASTRPC_OK);
  CHECK(memcmp(fastrpc_response_body(response, &size), "hi", 2) == 0 && size == 2);
  fastrpc_response_free(response);
  CHECK(fastrpc_client_call(client, "t.Echo", 6, "No", 2, NULL, 0, NULL, &response, &error) ==
        FASTRPC_EREMOTE);
  CHECK(fastrpc_error_code(error) == FASTRPC_CODE_ENOMETHOD && !fastrpc_error_is_service(error));
  fastrpc_error_free(error);
  CHECK(fastrpc_client_address(client, NULL, 0) == strlen(at));
  stats.size = 0;
  CHECK(fastrpc_client_stats_get(client, &stats) == FASTRPC_EINVAL);
  stats.size = sizeof stats;
  CHECK(fastrpc_client_stats_get(client, &stats) == FASTRPC_OK);
  CHECK(stats.in_flight == 0 && stats.connects == 1 && stats.failed_connects == 0);
  fastrpc_client_free(client);
  report.size = 0;
  CHECK(fastrpc_server_stop(server, 1000000000, &report) == FASTRPC_EINVAL);
  report.size = sizeof report;
  CHECK(fastrpc_server_stop(server, 1000000000, &report) == FASTRPC_OK);
  CHECK(report.finished == 0 && report.canceled == 0 && report.refused == 0);
  fastrpc_server_free(server);
  CHECK(fastrpc_semaphore_acquire(dropped, 1, 10000000000) == FASTRPC_OK);
  fastrpc_semaphore_free(dropped);
  dropped = NULL;
}

static void a_handler_answers_in_every_way(void) {
  const char* const address = "127.0.0.1:0";
  char at[64];
  int i;
  size_t size = 0;
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_response* response = NULL;
  fastrpc_error* error = NULL;
  fastrpc_call_options options;
  void* outcome = NULL;
  const struct {
    const char* order;
    int code;
  } failures[] = {{"f", 4711}, {"d", FASTRPC_CODE_EINTERNAL}};

  drops = calls = 0;
  CHECK(fastrpc_server_new(NULL, &server, NULL) == FASTRPC_OK);
  CHECK(fastrpc_server_add_method(server, "t.Obey", 6, "Do", 2, obey, &drops, count_drop, NULL) ==
        FASTRPC_OK);
  CHECK(fastrpc_server_add_method(server, "t.Obey", 6, "Do", 2, obey, &drops, count_drop, NULL) ==
        FASTRPC_ESTATE);
  CHECK(fastrpc_server_add_method(server, "t.Obey", 6, "", 0, obey, &drops, count_drop, NULL) ==
        FASTRPC_EINVAL);
  CHECK(drops == 2);
  CHECK(fastrpc_server_listen(server, address, strlen(address), NULL) == FASTRPC_OK);
  CHECK(fastrpc_server_port(server) != 0);
  fastrpc_server_address(server, at, sizeof at);
  CHECK(fastrpc_client_new(at, strlen(at), NULL, &client, NULL) == FASTRPC_OK);

  /* The request, too, may be written in place. */
  fastrpc_call_options_init(&options, sizeof options);
  options.fill = write_x;
  CHECK(fastrpc_client_call(client, "t.Obey", 6, "Do", 2, NULL, 1, &options, &response, NULL) ==
        FASTRPC_OK);
  CHECK(memcmp(fastrpc_response_body(response, &size), "xxx", 3) == 0 && size == 3);
  CHECK(memcmp(fastrpc_response_attachment(response, &size), "beside", 6) == 0 && size == 6);
  CHECK(fastrpc_response_peer(response, NULL, 0) == strlen(at));
  fastrpc_response_free(response);
  CHECK(fastrpc_client_call(client, "t.Obey", 6, "Do", 2, (const uint8_t*)"b", 1, NULL, &response,
                            NULL) == FASTRPC_OK);
  CHECK(fastrpc_response_body(response, &size) == NULL && size == 0);
  fastrpc_response_free(response);

  for (i = 0; i < 2; ++i) {
    CHECK(fastrpc_client_call(client, "t.Obey", 6, "Do", 2, (const uint8_t*)failures[i].order, 1,
                              NULL, &response, &error) == FASTRPC_EREMOTE);
    CHECK(fastrpc_error_code(error) == failures[i].code);
    CHECK(fastrpc_error_status(error) == FASTRPC_EREMOTE);
    CHECK(fastrpc_error_is_service(error) == (failures[i].code == 4711));
    fastrpc_error_free(error);
  }

  drops = 0;
  CHECK(fastrpc_semaphore_new(0, &dropped) == FASTRPC_OK);
  CHECK(fastrpc_queue_new(4, NULL, &outcomes) == FASTRPC_OK);
  CHECK(fastrpc_client_call_async(client, "t.Obey", 6, "Do", 2, NULL, 0, NULL, keep_outcome, &drops,
                                  count_drop, NULL, NULL) == FASTRPC_OK);
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome != NULL);
  fastrpc_response_free((fastrpc_response*)outcome);
  CHECK(fastrpc_client_call_async(client, "t.Obey", 6, "No", 2, NULL, 0, NULL, keep_outcome, &drops,
                                  count_drop, NULL, NULL) == FASTRPC_OK);
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome == NULL);
  CHECK(fastrpc_client_call_async(client, "t.Obey", 6, "Do", 2, NULL, 0, NULL, NULL, &drops,
                                  count_drop, NULL, NULL) == FASTRPC_EINVAL);
  /* `drop` follows the callback, which has only just woken us. */
  CHECK(fastrpc_semaphore_acquire(dropped, 3, 10000000000) == FASTRPC_OK);
  CHECK(calls == 2 && drops == 3);
  fastrpc_queue_free(outcomes);

  fastrpc_client_free(client);
  fastrpc_server_free(server);
  CHECK(fastrpc_semaphore_acquire(dropped, 1, 10000000000) == FASTRPC_OK);
  CHECK(drops == 4);
  fastrpc_semaphore_free(dropped);
  dropped = NULL;
}

static fastrpc_queue* kept_calls;

static void keep_call(void* user, fastrpc_call* call) {
  (void)user;
  CHECK(fastrpc_queue_push(kept_calls, call, -1) == FASTRPC_OK);
}

static fastrpc_cancellation cancellation = {0};

static fastrpc_status call_with_cancellation(fastrpc_client* client) {
  fastrpc_call_options options;
  fastrpc_response* response = NULL;
  fastrpc_call_options_init(&options, sizeof options);
  options.cancellation = &cancellation;
  return fastrpc_client_call(client, "t.Keep", 6, "Do", 2, NULL, 0, &options, &response, NULL);
}

static void call_and_be_cancelled(void* client) {
  CHECK(call_with_cancellation((fastrpc_client*)client) == FASTRPC_ECANCELED);
}

static void cancel_what_was_kept(void) {
  void* call = NULL;
  CHECK(fastrpc_queue_pop(kept_calls, &call, -1) == FASTRPC_OK);
  CHECK(!fastrpc_cancellation_is_canceled(&cancellation));
  CHECK(fastrpc_cancellation_cancel(&cancellation) == FASTRPC_OK);
  CHECK(fastrpc_cancellation_is_canceled(&cancellation));
  fastrpc_call_free((fastrpc_call*)call);
}

static void calls_are_cancelled(void) {
  const char* const address = "127.0.0.1:0";
  char at[64];
  void* outcome = &outcome;
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_coroutine* coroutine = NULL;
  fastrpc_call_options options;

  CHECK(fastrpc_queue_new(4, NULL, &kept_calls) == FASTRPC_OK);
  CHECK(fastrpc_queue_new(4, NULL, &outcomes) == FASTRPC_OK);
  CHECK(fastrpc_server_new(NULL, &server, NULL) == FASTRPC_OK);
  CHECK(fastrpc_server_add_method(server, "t.Keep", 6, "Do", 2, keep_call, NULL, NULL, NULL) ==
        FASTRPC_OK);
  CHECK(fastrpc_server_listen(server, address, strlen(address), NULL) == FASTRPC_OK);
  fastrpc_server_address(server, at, sizeof at);
  CHECK(fastrpc_client_new(at, strlen(at), NULL, &client, NULL) == FASTRPC_OK);

  CHECK(fastrpc_spawn(NULL, call_and_be_cancelled, client, NULL, &coroutine, NULL) == FASTRPC_OK);
  cancel_what_was_kept();
  CHECK(fastrpc_coroutine_join(coroutine, -1, NULL) == FASTRPC_OK);
  fastrpc_coroutine_free(coroutine);
  /* Still cancelled, and then as new. */
  CHECK(call_with_cancellation(client) == FASTRPC_ECANCELED);
  fastrpc_cancellation_reset(&cancellation);
  CHECK(cancellation.state == NULL);

  fastrpc_call_options_init(&options, sizeof options);
  options.cancellation = &cancellation;
  CHECK(fastrpc_client_call_async(client, "t.Keep", 6, "Do", 2, NULL, 0, &options, keep_outcome,
                                  &drops, NULL, NULL, NULL) == FASTRPC_OK);
  cancel_what_was_kept();
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome == NULL);
  fastrpc_cancellation_reset(&cancellation);
  CHECK(fastrpc_client_call_async(client, "t.None", 6, "Do", 2, NULL, 0, &options, keep_outcome,
                                  &drops, NULL, NULL, NULL) == FASTRPC_OK);
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome == NULL);
  CHECK(!fastrpc_cancellation_is_canceled(&cancellation));
  /* Frees what the call has left. */
  fastrpc_cancellation_reset(&cancellation);
  CHECK(cancellation.state == NULL);

  fastrpc_client_free(client);
  fastrpc_server_free(server);
  fastrpc_queue_free(outcomes);
  fastrpc_queue_free(kept_calls);
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
  CHECK(fastrpc_spawn(&longer.known, count_call, &drops, count_drop, &coroutine, NULL) ==
        FASTRPC_OK);
  CHECK(fastrpc_coroutine_join(coroutine, -1, NULL) == FASTRPC_OK);
  fastrpc_coroutine_free(coroutine);
  longer.more = 1;
  CHECK(fastrpc_spawn(&longer.known, count_call, &drops, count_drop, NULL, NULL) == FASTRPC_EINVAL);
  longer.known.size = offsetof(fastrpc_spawn_options, stack_size);
  longer.known.worker = 99; /* Behind the end of this shorter struct. */
  CHECK(fastrpc_spawn(&longer.known, count_call, &drops, count_drop, &coroutine, NULL) ==
        FASTRPC_OK);
  CHECK(fastrpc_coroutine_join(coroutine, -1, NULL) == FASTRPC_OK);
  fastrpc_coroutine_free(coroutine);
  longer.known.size = 0;
  CHECK(fastrpc_spawn(&longer.known, count_call, &drops, count_drop, NULL, NULL) == FASTRPC_EINVAL);
  CHECK(calls == 2 && drops == 4);

  CHECK(fastrpc_server_new(NULL, &server, NULL) == FASTRPC_OK);
  memset(&stats, 0xff, sizeof stats);
  stats.size = offsetof(fastrpc_server_stats, rejected);
  CHECK(fastrpc_server_stats_get(server, &stats) == FASTRPC_OK);
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

  CHECK(fastrpc_mutex_new(NULL) == FASTRPC_EINVAL);
  CHECK(fastrpc_mutex_new(&mutex) == FASTRPC_OK);
  CHECK(fastrpc_mutex_unlock(mutex) == FASTRPC_ESTATE);
  CHECK(fastrpc_mutex_lock(mutex, -1) == FASTRPC_OK);
  CHECK(fastrpc_mutex_lock(mutex, 0) == FASTRPC_EAGAIN);
  CHECK(fastrpc_mutex_lock(mutex, 1000000) == FASTRPC_ETIMEDOUT);
  CHECK(fastrpc_condvar_new(&condvar) == FASTRPC_OK);
  CHECK(fastrpc_condvar_wait(condvar, mutex, 1000000) == FASTRPC_ETIMEDOUT);
  CHECK(fastrpc_condvar_notify_one(condvar) == FASTRPC_OK);
  CHECK(fastrpc_mutex_unlock(mutex) == FASTRPC_OK);
  CHECK(fastrpc_condvar_wait(condvar, mutex, 1000000) == FASTRPC_ESTATE);
  fastrpc_condvar_free(condvar);
  fastrpc_mutex_free(mutex);

  CHECK(fastrpc_semaphore_new(1, &semaphore) == FASTRPC_OK);
  CHECK(fastrpc_semaphore_acquire(semaphore, 2, 0) == FASTRPC_EAGAIN);
  CHECK(fastrpc_semaphore_release(semaphore, SIZE_MAX) == FASTRPC_ELIMIT);
  fastrpc_semaphore_free(semaphore);
  CHECK(fastrpc_wait_group_new(&group) == FASTRPC_OK);
  CHECK(fastrpc_wait_group_done(group) == FASTRPC_ESTATE);
  CHECK(fastrpc_wait_group_add(group, SIZE_MAX) == FASTRPC_ELIMIT);
  fastrpc_wait_group_free(group);

  drops = 0;
  CHECK(fastrpc_queue_new(0, NULL, &queue) == FASTRPC_EINVAL);
  CHECK(fastrpc_queue_new(2, count_item, &queue) == FASTRPC_OK);
  CHECK(fastrpc_queue_pop(queue, &item, 0) == FASTRPC_EAGAIN);
  CHECK(fastrpc_queue_push(queue, &calls, 0) == FASTRPC_OK);
  CHECK(fastrpc_queue_push(queue, &calls, 0) == FASTRPC_OK);
  CHECK(fastrpc_queue_push(queue, &calls, 0) == FASTRPC_EAGAIN);
  CHECK(fastrpc_queue_pop(queue, &item, 0) == FASTRPC_OK && item == &calls);
  CHECK(fastrpc_queue_close(queue) == FASTRPC_OK);
  CHECK(fastrpc_queue_push(queue, &calls, 0) == FASTRPC_ECLOSED);
  CHECK(drops == 0);
  fastrpc_queue_free(queue);
  CHECK(drops == 1);
}

static void open_gate(void* user) {
  CHECK(fastrpc_semaphore_release((fastrpc_semaphore*)user, 1) == FASTRPC_OK);
}

static void pass_gate(void* user) {
  CHECK(fastrpc_semaphore_acquire((fastrpc_semaphore*)user, 1, -1) == FASTRPC_OK);
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
  CHECK(fastrpc_semaphore_new(0, &gate) == FASTRPC_OK);
  fastrpc_pool_options_init(&options, sizeof options);
  CHECK(options.size == sizeof options && options.threads > 0 && options.name_size == 0);
  options.threads = 0;
  CHECK(fastrpc_pool_new(&options, &pool, NULL) == FASTRPC_EINVAL);
  options.threads = 1;
  options.extra_threads = 1;
  options.name = "jobs";
  options.name_size = 4;
  CHECK(fastrpc_pool_new(&options, &pool, NULL) == FASTRPC_OK);

  CHECK(fastrpc_pool_run(pool, count_call, &drops, count_drop, -1, NULL) == FASTRPC_OK);
  CHECK(calls == 1 && drops == 1);
  /* The place of the one that waits goes to the one that ends its wait. */
  CHECK(fastrpc_pool_post(pool, pass_gate, gate, NULL, NULL) == FASTRPC_OK);
  CHECK(fastrpc_pool_run(pool, open_gate, gate, NULL, -1, NULL) == FASTRPC_OK);
  /* What blocks without telling us keeps it: the next does not begin in time. */
  CHECK(pipe(ends) == 0);
  CHECK(fastrpc_pool_post(pool, read_byte, &ends[0], NULL, NULL) == FASTRPC_OK);
  stats.size = sizeof stats;
  do {
    CHECK(fastrpc_sleep(1000000) == FASTRPC_OK);
    CHECK(fastrpc_pool_stats_get(pool, &stats) == FASTRPC_OK);
  } while (stats.running != 1 || stats.waiting != 0);
  CHECK(fastrpc_pool_run(pool, count_call, &drops, count_drop, 1000000, NULL) == FASTRPC_ETIMEDOUT);
  CHECK(calls == 1 && drops == 2);
  CHECK(fastrpc_pool_post(pool, count_call, &drops, count_drop, NULL) == FASTRPC_OK);
  CHECK(write(ends[1], "x", 1) == 1);
  CHECK(fastrpc_blocking(count_call, NULL, NULL) == FASTRPC_OK);

  CHECK(fastrpc_pool_shutdown(pool, -1, NULL) == FASTRPC_OK);
  CHECK(calls == 3 && drops == 3);
  CHECK(fastrpc_pool_run(pool, count_call, &drops, count_drop, -1, NULL) == FASTRPC_ECLOSED);
  CHECK(fastrpc_pool_post(pool, count_call, &drops, count_drop, NULL) == FASTRPC_ECLOSED);
  CHECK(calls == 3 && drops == 5);
  CHECK(fastrpc_pool_stats_get(pool, &stats) == FASTRPC_OK);
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
  a_call_is_answered();
  a_handler_answers_in_every_way();
  calls_are_cancelled();
  structs_of_other_versions_are_understood();
  locks_say_what_is_wrong();
  jobs_run_in_a_pool();
  a_forked_child_is_told();
  return 0;
}
