/* NULL to every export, also in the place of one argument alone. The first argument of this program
 * is the list of exports: one that is not tested here fails. */
#include <fastrpc/fastrpc.h>

#include <string.h>

#include "check.h"

enum { kMost = 500 };
static const char* told[kMost];
static size_t count;

static bool is_told(const char* name) {
  size_t i;
  for (i = 0; i < count; ++i) {
    if (strcmp(told[i], name) == 0) return true;
  }
  return false;
}

static void tell(const char* name) {
  CHECK(count < kMost);
  if (!is_told(name)) told[count++] = name;
}

#define GIVES(wanted, function, arguments) \
  do {                                     \
    tell(#function);                       \
    CHECK(function arguments == (wanted)); \
  } while (0)

#define DOES_NOTHING(function, arguments) \
  do {                                    \
    tell(#function);                      \
    function arguments;                   \
  } while (0)

#define IS_REFUSED(function, arguments)          \
  do {                                           \
    tell(#function);                             \
    RETURNS(FASTRPC_EINVAL, function arguments); \
  } while (0)

static int calls, drops;

static void drop(void* user) {
  CHECK(user == &drops);
  ++drops;
}

static void never(void* user) {
  (void)user;
  ++calls;
}

static void handle(void* user, fastrpc_call* rpc) {
  (void)user;
  fastrpc_call_free(rpc);
}

static void end(void* user, fastrpc_response* response, fastrpc_error* error) {
  (void)user;
  fastrpc_response_free(response);
  fastrpc_error_free(error);
  ++calls;
}

static void get_push(void* user, const char* name, size_t name_size, const uint8_t* body,
                     size_t body_size) {
  (void)user, (void)name, (void)name_size, (void)body, (void)body_size;
  ++calls;
}

static int run_process(void* user, size_t index, int listen_fd) {
  (void)user, (void)index, (void)listen_fd;
  ++calls;
  return 0;
}

static void handle_http(void* user, fastrpc_http_exchange* exchange) {
  (void)user, (void)exchange;
  ++calls;
}

static void get_closed(void* user, uint64_t connection) {
  (void)user, (void)connection;
}

static void get_lost(void* user, fastrpc_error* error) {
  (void)user;
  fastrpc_error_free(error);
  ++calls;
}

static void http_that_is_null(void) {
  size_t size = 7;
  const int before = drops;

  IS_REFUSED(fastrpc_server_route, (NULL, "GET", 3, "/", 1, handle_http, &drops, drop, NULL));
  IS_REFUSED(fastrpc_server_fallback, (NULL, handle_http, &drops, drop, NULL));
  CHECK(drops == before + 2);
  GIVES(NULL, fastrpc_http_method, (NULL, NULL));
  GIVES(NULL, fastrpc_http_method, (NULL, &size));
  CHECK(size == 0);
  GIVES(NULL, fastrpc_http_path, (NULL, NULL));
  GIVES(NULL, fastrpc_http_query_string, (NULL, NULL));
  GIVES(NULL, fastrpc_http_head, (NULL, NULL));
  GIVES(0, fastrpc_http_version, (NULL));
  GIVES(NULL, fastrpc_http_header, (NULL, NULL, 0, 0, NULL));
  GIVES(false, fastrpc_http_header_at, (NULL, 0, NULL, NULL, NULL, NULL));
  GIVES(false, fastrpc_http_query_at, (NULL, 0, NULL, NULL, NULL, NULL));
  GIVES(false, fastrpc_http_form_at, (NULL, 0, NULL, NULL, NULL, NULL, NULL));
  GIVES(NULL, fastrpc_http_param, (NULL, NULL, 0, NULL));
  GIVES(NULL, fastrpc_http_query, (NULL, NULL, 0, NULL));
  GIVES(NULL, fastrpc_http_cookie, (NULL, NULL, 0, NULL));
  GIVES(NULL, fastrpc_http_form, (NULL, NULL, 0, NULL, NULL));
  GIVES(0, fastrpc_http_peer, (NULL, NULL, 0));
  GIVES(0, fastrpc_http_connection_id, (NULL));
  GIVES(-1, fastrpc_http_content_length, (NULL));
  IS_REFUSED(fastrpc_http_body, (NULL, NULL, NULL, NULL));
  IS_REFUSED(fastrpc_http_read, (NULL, NULL, 0, &size, NULL));
  IS_REFUSED(fastrpc_http_set_status, (NULL, 200));
  IS_REFUSED(fastrpc_http_add_header, (NULL, "a", 1, "b", 1, NULL));
  IS_REFUSED(fastrpc_http_set_body, (NULL, NULL, 0));
  IS_REFUSED(fastrpc_http_set_raw, (NULL, NULL, 0));
  IS_REFUSED(fastrpc_http_set_length, (NULL, 0));
  IS_REFUSED(fastrpc_http_write, (NULL, NULL, 0, NULL));
  GIVES(true, fastrpc_http_is_canceled, (NULL));
  IS_REFUSED(fastrpc_http_defer, (NULL));
  IS_REFUSED(fastrpc_http_send, (NULL));
  DOES_NOTHING(fastrpc_http_free, (NULL));
}

static void objects_that_are_null(void) {
  size_t size = 7;

  IS_REFUSED(fastrpc_coroutine_join, (NULL, -1, NULL));
  IS_REFUSED(fastrpc_coroutine_cancel, (NULL));
  GIVES(true, fastrpc_coroutine_is_finished, (NULL));
  GIVES(0, fastrpc_coroutine_id, (NULL));
  DOES_NOTHING(fastrpc_coroutine_free, (NULL));
  GIVES(NULL, fastrpc_key_get, (NULL));
  IS_REFUSED(fastrpc_key_set, (NULL, NULL));
  DOES_NOTHING(fastrpc_key_free, (NULL));
  GIVES(false, fastrpc_timer_cancel, (NULL));
  DOES_NOTHING(fastrpc_timer_free, (NULL));

  IS_REFUSED(fastrpc_mutex_lock, (NULL, -1));
  IS_REFUSED(fastrpc_mutex_unlock, (NULL));
  DOES_NOTHING(fastrpc_mutex_free, (NULL));
  IS_REFUSED(fastrpc_condvar_wait, (NULL, NULL, -1));
  IS_REFUSED(fastrpc_condvar_notify_one, (NULL));
  IS_REFUSED(fastrpc_condvar_notify_all, (NULL));
  DOES_NOTHING(fastrpc_condvar_free, (NULL));
  IS_REFUSED(fastrpc_semaphore_acquire, (NULL, 1, -1));
  IS_REFUSED(fastrpc_semaphore_release, (NULL, 1));
  GIVES(0, fastrpc_semaphore_available, (NULL));
  DOES_NOTHING(fastrpc_semaphore_free, (NULL));
  IS_REFUSED(fastrpc_wait_group_add, (NULL, 1));
  IS_REFUSED(fastrpc_wait_group_done, (NULL));
  IS_REFUSED(fastrpc_wait_group_wait, (NULL, -1));
  DOES_NOTHING(fastrpc_wait_group_free, (NULL));
  IS_REFUSED(fastrpc_queue_push, (NULL, NULL, -1));
  IS_REFUSED(fastrpc_queue_pop, (NULL, NULL, -1));
  IS_REFUSED(fastrpc_queue_close, (NULL));
  GIVES(0, fastrpc_queue_size, (NULL));
  DOES_NOTHING(fastrpc_queue_free, (NULL));

  IS_REFUSED(fastrpc_server_add_method, (NULL, "S", 1, "M", 1, handle, &drops, drop, NULL));
  CHECK(drops == 1);
  IS_REFUSED(fastrpc_server_listen, (NULL, ":0", 2, NULL));
  IS_REFUSED(fastrpc_server_listen_fd, (NULL, 0, NULL));
  GIVES(0, fastrpc_server_port, (NULL));
  GIVES(0, fastrpc_server_address, (NULL, NULL, 0));
  IS_REFUSED(fastrpc_server_stop, (NULL, 0, NULL));
  IS_REFUSED(fastrpc_server_wait, (NULL));
  IS_REFUSED(fastrpc_server_run_until_signal, (NULL, 0, NULL, NULL));
  IS_REFUSED(fastrpc_server_stats_get, (NULL, NULL));
  DOES_NOTHING(fastrpc_server_free, (NULL));

  GIVES(NULL, fastrpc_call_request, (NULL, NULL));
  GIVES(NULL, fastrpc_call_request, (NULL, &size));
  CHECK(size == 0);
  GIVES(NULL, fastrpc_call_attachment, (NULL, NULL));
  GIVES(NULL, fastrpc_call_service, (NULL, NULL));
  GIVES(NULL, fastrpc_call_method, (NULL, NULL));
  GIVES(NULL, fastrpc_call_request_id, (NULL, NULL));
  GIVES(0, fastrpc_call_peer, (NULL, NULL, 0));
  GIVES(0, fastrpc_call_log_id, (NULL));
  GIVES(FASTRPC_COMPRESS_NONE, fastrpc_call_compress, (NULL));
  GIVES(-1, fastrpc_call_time_left, (NULL));
  GIVES(true, fastrpc_call_is_canceled, (NULL));
  IS_REFUSED(fastrpc_call_reply, (NULL, NULL, 0));
  IS_REFUSED(fastrpc_call_reply_with, (NULL, NULL, 0, NULL, NULL));
  IS_REFUSED(fastrpc_call_fail, (NULL, 1, NULL, 0));
  DOES_NOTHING(fastrpc_call_free, (NULL));

  GIVES(NULL, fastrpc_call_connection, (NULL));
  GIVES(0, fastrpc_call_connection_id, (NULL));
  GIVES(0, fastrpc_connection_id, (NULL));
  GIVES(false, fastrpc_connection_is_open, (NULL));
  IS_REFUSED(fastrpc_connection_push, (NULL, "N", 1, NULL, 0, NULL));
  IS_REFUSED(fastrpc_connection_push_raw, (NULL, NULL, 0, NULL));
  IS_REFUSED(fastrpc_connection_close, (NULL, NULL));
  DOES_NOTHING(fastrpc_connection_free, (NULL));
  IS_REFUSED(fastrpc_server_push, (NULL, 1, "N", 1, NULL, 0, NULL));
  IS_REFUSED(fastrpc_server_push_raw, (NULL, 1, NULL, 0, NULL));
  IS_REFUSED(fastrpc_server_close_connection, (NULL, 1, NULL));
  drops = 0;
  IS_REFUSED(fastrpc_server_on_close, (NULL, get_closed, &drops, drop, NULL));
  IS_REFUSED(fastrpc_client_on_push, (NULL, get_push, &drops, drop, NULL));
  IS_REFUSED(fastrpc_client_on_close, (NULL, get_lost, &drops, drop, NULL));
  CHECK(drops == 3);
  drops = 1;

  IS_REFUSED(fastrpc_client_connect, (NULL, -1, NULL));
  GIVES(false, fastrpc_client_is_connected, (NULL));
  GIVES(0, fastrpc_client_address, (NULL, NULL, 0));
  IS_REFUSED(fastrpc_client_stats_get, (NULL, NULL));
  IS_REFUSED(fastrpc_client_call, (NULL, "S", 1, "M", 1, NULL, 0, NULL, NULL, NULL));
  IS_REFUSED(fastrpc_client_call_async,
             (NULL, "S", 1, "M", 1, NULL, 0, NULL, end, &drops, drop, NULL, NULL));
  CHECK(drops == 2 && calls == 0);
  IS_REFUSED(fastrpc_async_call_cancel, (NULL));
  DOES_NOTHING(fastrpc_async_call_free, (NULL));
  IS_REFUSED(fastrpc_cancellation_cancel, (NULL));
  GIVES(false, fastrpc_cancellation_is_canceled, (NULL));
  DOES_NOTHING(fastrpc_cancellation_reset, (NULL));
  IS_REFUSED(fastrpc_client_close, (NULL));
  DOES_NOTHING(fastrpc_client_free, (NULL));
  size = 7;
  GIVES(NULL, fastrpc_response_body, (NULL, NULL));
  GIVES(NULL, fastrpc_response_body, (NULL, &size));
  CHECK(size == 0);
  GIVES(NULL, fastrpc_response_attachment, (NULL, NULL));
  GIVES(0, fastrpc_response_peer, (NULL, NULL, 0));
  DOES_NOTHING(fastrpc_response_free, (NULL));

  IS_REFUSED(fastrpc_pool_run, (NULL, never, &drops, drop, -1, NULL));
  IS_REFUSED(fastrpc_pool_post, (NULL, never, &drops, drop, NULL));
  CHECK(drops == 4 && calls == 0);
  IS_REFUSED(fastrpc_pool_shutdown, (NULL, 0, NULL));
  IS_REFUSED(fastrpc_pool_stats_get, (NULL, NULL));
  DOES_NOTHING(fastrpc_pool_free, (NULL));
  IS_REFUSED(fastrpc_blocking, (NULL, NULL, NULL));
}

static void no_place_for_the_result(void) {
  drops = 0;
  IS_REFUSED(fastrpc_key_new, (NULL, NULL));
  IS_REFUSED(fastrpc_mutex_new, (NULL));
  IS_REFUSED(fastrpc_condvar_new, (NULL));
  IS_REFUSED(fastrpc_semaphore_new, (1, NULL));
  IS_REFUSED(fastrpc_wait_group_new, (NULL));
  IS_REFUSED(fastrpc_queue_new, (1, NULL, NULL));
  IS_REFUSED(fastrpc_pool_new, (NULL, NULL, NULL));
  IS_REFUSED(fastrpc_server_new, (NULL, NULL, NULL));
  IS_REFUSED(fastrpc_client_new, (":1", 2, NULL, NULL, NULL));
  IS_REFUSED(fastrpc_poll_fds, (NULL, 1, 0, NULL, NULL));
  IS_REFUSED(fastrpc_spawn, (NULL, NULL, &drops, drop, NULL, NULL));
  IS_REFUSED(fastrpc_timer_after, (0, NULL, &drops, drop, NULL, NULL));
  CHECK(drops == 2);
  DOES_NOTHING(fastrpc_runtime_options_init, (NULL, sizeof(fastrpc_runtime_options)));
  DOES_NOTHING(fastrpc_spawn_options_init, (NULL, sizeof(fastrpc_spawn_options)));
  DOES_NOTHING(fastrpc_pool_options_init, (NULL, sizeof(fastrpc_pool_options)));
  DOES_NOTHING(fastrpc_server_options_init, (NULL, sizeof(fastrpc_server_options)));
  DOES_NOTHING(fastrpc_reply_options_init, (NULL, sizeof(fastrpc_reply_options)));
  DOES_NOTHING(fastrpc_client_options_init, (NULL, sizeof(fastrpc_client_options)));
  DOES_NOTHING(fastrpc_call_options_init, (NULL, sizeof(fastrpc_call_options)));
}

static void processes_that_are_null(void) {
  fastrpc_prefork* prefork = NULL;
  fastrpc_prefork_options options;
  fastrpc_prefork_options_init(&options, sizeof options);
  CHECK(options.processes > 0 && options.restart == 1);

  DOES_NOTHING(fastrpc_prefork_options_init, (NULL, sizeof options));
  DOES_NOTHING(fastrpc_prefork_free, (NULL));
  GIVES(0, fastrpc_prefork_port, (NULL));
  GIVES(0, fastrpc_prefork_address, (NULL, NULL, 0));
  GIVES(-1, fastrpc_process_index, ());
  IS_REFUSED(fastrpc_prefork_new, ("127.0.0.1:0", 11, NULL, NULL, NULL));
  IS_REFUSED(fastrpc_prefork_new, (NULL, 3, NULL, &prefork, NULL));
  options.processes = 0;
  IS_REFUSED(fastrpc_prefork_new, ("127.0.0.1:0", 11, &options, &prefork, NULL));
  CHECK(fastrpc_prefork_new("127.0.0.1:0", 11, NULL, &prefork, NULL) == FASTRPC_OK);
  CHECK(fastrpc_prefork_port(prefork) != 0);

  drops = calls = 0;
  IS_REFUSED(fastrpc_prefork_run, (NULL, run_process, &drops, drop, NULL, NULL));
  IS_REFUSED(fastrpc_prefork_run, (prefork, NULL, &drops, drop, NULL, NULL));
  CHECK(drops == 2 && calls == 0);
  fastrpc_prefork_free(prefork);
}

static void one_argument_alone(void) {
  void* item = NULL;
  fastrpc_mutex* mutex = NULL;
  fastrpc_condvar* condvar = NULL;
  fastrpc_queue* queue = NULL;
  fastrpc_pool* pool = NULL;
  fastrpc_pool_options pool_options;
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_response* response = NULL;
  fastrpc_call_options options;

  CHECK(fastrpc_mutex_new(&mutex) == FASTRPC_OK);
  CHECK(fastrpc_condvar_new(&condvar) == FASTRPC_OK);
  IS_REFUSED(fastrpc_condvar_wait, (condvar, NULL, -1));
  IS_REFUSED(fastrpc_condvar_wait, (NULL, mutex, -1));
  fastrpc_condvar_free(condvar);
  fastrpc_mutex_free(mutex);

  /* An item may be NULL, the place for one may not; then it stays inside. */
  CHECK(fastrpc_queue_new(1, NULL, &queue) == FASTRPC_OK);
  CHECK(fastrpc_queue_push(queue, NULL, -1) == FASTRPC_OK);
  IS_REFUSED(fastrpc_queue_pop, (queue, NULL, -1));
  CHECK(fastrpc_queue_size(queue) == 1);
  item = &item;
  CHECK(fastrpc_queue_pop(queue, &item, -1) == FASTRPC_OK && item == NULL);
  fastrpc_queue_free(queue);

  drops = calls = 0;
  fastrpc_pool_options_init(&pool_options, sizeof pool_options);
  pool_options.name_size = 1;
  IS_REFUSED(fastrpc_pool_new, (&pool_options, &pool, NULL));
  CHECK(fastrpc_pool_new(NULL, &pool, NULL) == FASTRPC_OK);
  IS_REFUSED(fastrpc_pool_run, (pool, NULL, &drops, drop, -1, NULL));
  IS_REFUSED(fastrpc_pool_post, (pool, NULL, &drops, drop, NULL));
  IS_REFUSED(fastrpc_pool_stats_get, (pool, NULL));
  CHECK(drops == 2 && calls == 0);
  fastrpc_pool_free(pool);

  drops = calls = 0;
  CHECK(fastrpc_server_new(NULL, &server, NULL) == FASTRPC_OK);
  IS_REFUSED(fastrpc_server_listen, (server, NULL, 3, NULL));
  IS_REFUSED(fastrpc_server_listen_fd, (server, -1, NULL));
  IS_REFUSED(fastrpc_server_stats_get, (server, NULL));
  IS_REFUSED(fastrpc_server_add_method, (server, NULL, 1, "M", 1, handle, &drops, drop, NULL));
  IS_REFUSED(fastrpc_server_add_method, (server, "S", 1, NULL, 1, handle, &drops, drop, NULL));
  IS_REFUSED(fastrpc_server_add_method, (server, "S", 1, "M", 1, NULL, &drops, drop, NULL));
  CHECK(drops == 3);
  IS_REFUSED(fastrpc_server_push, (server, 1, NULL, 1, NULL, 0, NULL));
  IS_REFUSED(fastrpc_server_push, (server, 1, "N", 1, NULL, 1, NULL));
  CHECK(fastrpc_server_push(server, 1, "N", 1, NULL, 0, NULL) == FASTRPC_ECLOSED);
  IS_REFUSED(fastrpc_server_push_raw, (server, 1, NULL, 1, NULL));
  CHECK(fastrpc_server_push_raw(server, 1, NULL, 0, NULL) == FASTRPC_ECLOSED);
  IS_REFUSED(fastrpc_server_on_close, (server, NULL, &drops, drop, NULL));
  CHECK(drops == 4);
  CHECK(fastrpc_server_on_close(server, get_closed, &drops, drop, NULL) == FASTRPC_OK);
  CHECK(drops == 4);
  fastrpc_server_free(server);
  CHECK(drops == 5);
  drops = 3;

  IS_REFUSED(fastrpc_client_new, (NULL, 1, NULL, &client, NULL));
  CHECK(fastrpc_client_new("127.0.0.1:1", 11, NULL, &client, NULL) == FASTRPC_OK);
  IS_REFUSED(fastrpc_client_call, (client, NULL, 1, "M", 1, NULL, 0, NULL, &response, NULL));
  IS_REFUSED(fastrpc_client_call, (client, "S", 1, NULL, 1, NULL, 0, NULL, &response, NULL));
  IS_REFUSED(fastrpc_client_call, (client, "S", 1, "M", 1, NULL, 1, NULL, &response, NULL));
  IS_REFUSED(fastrpc_client_call, (client, "S", 1, "M", 1, NULL, 0, NULL, NULL, NULL));
  fastrpc_call_options_init(&options, sizeof options);
  options.request_id_size = 1;
  IS_REFUSED(fastrpc_client_call, (client, "S", 1, "M", 1, NULL, 0, &options, &response, NULL));
  options.request_id_size = 0;
  options.attachment_size = 1;
  IS_REFUSED(fastrpc_client_call, (client, "S", 1, "M", 1, NULL, 0, &options, &response, NULL));
  IS_REFUSED(fastrpc_client_call_async,
             (client, "S", 1, "M", 1, NULL, 0, NULL, NULL, &drops, drop, NULL, NULL));
  CHECK(drops == 4 && calls == 0);
  IS_REFUSED(fastrpc_client_on_push, (client, NULL, &drops, drop, NULL));
  IS_REFUSED(fastrpc_client_on_close, (client, NULL, &drops, drop, NULL));
  CHECK(drops == 6);
  CHECK(fastrpc_client_on_push(client, get_push, &drops, drop, NULL) == FASTRPC_OK);
  CHECK(fastrpc_client_on_close(client, get_lost, &drops, drop, NULL) == FASTRPC_OK);
  CHECK(drops == 6);
  fastrpc_client_free(client);
  CHECK(drops == 8 && calls == 0);
}

static void null_that_is_allowed(void) {
  GIVES(FASTRPC_OK, fastrpc_error_status, (NULL));
  GIVES(0, fastrpc_error_code, (NULL));
  GIVES(false, fastrpc_error_is_service, (NULL));
  DOES_NOTHING(fastrpc_error_text, (NULL));
  CHECK(strlen(fastrpc_error_text(NULL)) > 0);
  DOES_NOTHING(fastrpc_error_free, (NULL));
  GIVES(FASTRPC_OK, fastrpc_runtime_configure, (NULL, NULL));
  GIVES(FASTRPC_OK, fastrpc_set_log, (FASTRPC_LOG_ERROR, NULL, NULL, NULL, NULL));
  GIVES(FASTRPC_OK, fastrpc_log, (FASTRPC_LOG_DEBUG, NULL, 0));
  IS_REFUSED(fastrpc_log, (FASTRPC_LOG_DEBUG, NULL, 1));
  GIVES(0, fastrpc_current_name, (NULL, 0));
  GIVES(0, fastrpc_current_name, (NULL, 8));
  DOES_NOTHING(fastrpc_hook_report, (NULL, 0));
  CHECK(fastrpc_hook_report(NULL, 0) > 0);
  GIVES(FASTRPC_ECLOSED, fastrpc_wait_fd, (-1, FASTRPC_READABLE, 0, NULL, NULL));
  GIVES(FASTRPC_ETIMEDOUT, fastrpc_poll_fds, (NULL, 0, 0, NULL, NULL));
}

static void no_pointers(void) {
  DOES_NOTHING(fastrpc_version, ());
  DOES_NOTHING(fastrpc_version_number, ());
  DOES_NOTHING(fastrpc_status_text, (0));
  GIVES(1, fastrpc_worker_count, ());
  GIVES(-1, fastrpc_worker_index, ());
  GIVES(FASTRPC_OK, fastrpc_yield, ());
  GIVES(FASTRPC_OK, fastrpc_sleep, (0));
  GIVES(false, fastrpc_is_coroutine, ());
  GIVES(0, fastrpc_current_id, ());
  GIVES(FASTRPC_OK, fastrpc_notify_close, (-1));
  GIVES(FASTRPC_ESTATE, fastrpc_hook_enable, (NULL));
  GIVES(FASTRPC_ESTATE, fastrpc_hook_disable, (NULL));
  GIVES(false, fastrpc_hook_is_enabled, ());
  GIVES(0, fastrpc_hook_waits_with_locks, ());
  GIVES(0, fastrpc_hook_deadlocks_averted, ());
}

static void every_export_was_tested(const char* list) {
  char name[128];
  size_t listed = 0;
  FILE* file = fopen(list, "r");
  CHECK(file != NULL);
  while (fscanf(file, "%127s", name) == 1) {
    if (!is_told(name)) fprintf(stderr, "no test gives NULL to %s\n", name);
    CHECK(is_told(name));
    ++listed;
  }
  fclose(file);
  CHECK(listed == count);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  null_that_is_allowed();
  objects_that_are_null();
  no_place_for_the_result();
  processes_that_are_null();
  one_argument_alone();
  no_pointers();
  http_that_is_null();
  every_export_was_tested(argv[1]);
  return 0;
}
