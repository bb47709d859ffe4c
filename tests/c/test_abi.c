/* The C ABI from C, and, compiled again, from C++: objects, errors, callbacks, a call. */
#include <fastrpc/fastrpc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static int calls, drops;

static void count_call(void* user) {
  (void)user;
  ++calls;
}

static void count_drop(void* user) {
  CHECK(user == &drops);
  ++drops;
}

static void echo(void* user, fastrpc_call* call) {
  size_t size = 0;
  const uint8_t* request = fastrpc_call_request(call, &size);
  (void)user;
  CHECK(fastrpc_call_reply(call, request, size) == FASTRPC_OK);
}

static void free_of_null_does_nothing(void) {
  fastrpc_error_free(NULL);
  fastrpc_coroutine_free(NULL);
  fastrpc_key_free(NULL);
  fastrpc_timer_free(NULL);
  fastrpc_mutex_free(NULL);
  fastrpc_condvar_free(NULL);
  fastrpc_semaphore_free(NULL);
  fastrpc_wait_group_free(NULL);
  fastrpc_queue_free(NULL);
  fastrpc_server_free(NULL);
  fastrpc_call_free(NULL);
  fastrpc_client_free(NULL);
  fastrpc_response_free(NULL);
}

static void null_is_an_error(void) {
  CHECK(fastrpc_mutex_lock(NULL, -1) == FASTRPC_EINVAL);
  CHECK(fastrpc_coroutine_join(NULL, -1, NULL) == FASTRPC_EINVAL);
  CHECK(fastrpc_server_stop(NULL, 0) == FASTRPC_EINVAL);
  CHECK(fastrpc_queue_push(NULL, NULL, 0) == FASTRPC_EINVAL);
  CHECK(strlen(fastrpc_status_text(FASTRPC_EINVAL)) > 0);
  CHECK(strlen(fastrpc_version()) > 0);
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
  const char* const address = "127.0.0.1:0";
  char at[64];
  size_t size = 0;
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_response* response = NULL;
  fastrpc_error* error = NULL;

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
  CHECK(fastrpc_error_code(error) == 1002);
  fastrpc_error_free(error);
  fastrpc_client_free(client);
  CHECK(fastrpc_server_stop(server, 1000000000) == FASTRPC_OK);
  fastrpc_server_free(server);
}

static void a_forked_child_is_told(void) {
  int status = -1;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    int right = fastrpc_sleep(1000000000) == FASTRPC_EFORKED &&
                fastrpc_spawn(NULL, count_call, NULL, NULL, NULL, NULL) == FASTRPC_EFORKED;
    _exit(right ? 0 : 1);
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

int main(void) {
  free_of_null_does_nothing();
  null_is_an_error();
  drop_runs_once_on_every_path();
  a_call_is_answered();
  a_forked_child_is_told();
  return 0;
}
