/* RPC calls through the C ABI: what handlers and clients see of each other, and cancellation. */
#include <fastrpc/fastrpc.h>

#include <string.h>

#include "check.h"

static int calls, drops;
/* Where a drop on another thread is told, if somebody waits for it. */
static fastrpc_semaphore* dropped;

static void count_drop(void* user) {
  CHECK(user == &drops);
  ++drops;
  if (dropped != NULL) RETURNS(FASTRPC_OK, fastrpc_semaphore_release(dropped, 1));
}

static void echo(void* user, fastrpc_call* call) {
  size_t size = 0;
  const uint8_t* request = fastrpc_call_request(call, &size);
  (void)user;
  RETURNS(FASTRPC_OK, fastrpc_call_reply(call, request, size));
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
    RETURNS(FASTRPC_OK, fastrpc_call_fail(call, 4711, "no", 2));
  } else if (order == 'd') {
    fastrpc_call_free(call);
  } else if (order == 'b') {
    RETURNS(FASTRPC_OK, fastrpc_call_reply_with(call, NULL, 0, NULL, NULL));
  } else {
    fastrpc_reply_options_init(&options, sizeof options);
    options.fill = write_x;
    options.attachment = (const uint8_t*)"beside";
    options.attachment_size = 6;
    RETURNS(FASTRPC_OK, fastrpc_call_reply_with(call, NULL, 3, &options, NULL));
  }
}

static fastrpc_queue* outcomes;

static void keep_outcome(void* user, fastrpc_response* response, fastrpc_error* error) {
  CHECK(user == &drops);
  CHECK((response == NULL) != (error == NULL));
  fastrpc_error_free(error);
  ++calls;
  RETURNS(FASTRPC_OK, fastrpc_queue_push(outcomes, response, -1));
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

  RETURNS(FASTRPC_OK, fastrpc_semaphore_new(0, &dropped));
  RETURNS(FASTRPC_OK, fastrpc_server_new(NULL, &server, NULL));
  RETURNS(FASTRPC_OK,
          fastrpc_server_add_method(server, "t.Echo", 6, "Say", 3, echo, &drops, count_drop, NULL));
  RETURNS(FASTRPC_OK, fastrpc_server_listen(server, address, strlen(address), NULL));
  CHECK(fastrpc_server_address(server, at, sizeof at) == strlen(at));
  RETURNS(FASTRPC_OK, fastrpc_client_new(at, strlen(at), NULL, &client, NULL));
  RETURNS(FASTRPC_OK, fastrpc_client_call(client, "t.Echo", 6, "Say", 3, (const uint8_t*)"hi", 2,
                                          NULL, &response, NULL));
  CHECK(memcmp(fastrpc_response_body(response, &size), "hi", 2) == 0 && size == 2);
  fastrpc_response_free(response);
  RETURNS(FASTRPC_EREMOTE,
          fastrpc_client_call(client, "t.Echo", 6, "No", 2, NULL, 0, NULL, &response, &error));
  CHECK(fastrpc_error_code(error) == FASTRPC_CODE_ENOMETHOD && !fastrpc_error_is_service(error));
  fastrpc_error_free(error);
  CHECK(fastrpc_client_address(client, NULL, 0) == strlen(at));
  stats.size = 0;
  RETURNS(FASTRPC_EINVAL, fastrpc_client_stats_get(client, &stats));
  stats.size = sizeof stats;
  RETURNS(FASTRPC_OK, fastrpc_client_stats_get(client, &stats));
  CHECK(stats.in_flight == 0 && stats.connects == 1 && stats.failed_connects == 0);
  fastrpc_client_free(client);
  report.size = 0;
  RETURNS(FASTRPC_EINVAL, fastrpc_server_stop(server, 1000000000, &report));
  report.size = sizeof report;
  RETURNS(FASTRPC_OK, fastrpc_server_stop(server, 1000000000, &report));
  CHECK(report.finished == 0 && report.canceled == 0 && report.refused == 0);
  fastrpc_server_free(server);
  RETURNS(FASTRPC_OK, fastrpc_semaphore_acquire(dropped, 1, 10000000000));
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
  RETURNS(FASTRPC_OK, fastrpc_server_new(NULL, &server, NULL));
  RETURNS(FASTRPC_OK,
          fastrpc_server_add_method(server, "t.Obey", 6, "Do", 2, obey, &drops, count_drop, NULL));
  RETURNS(FASTRPC_ESTATE,
          fastrpc_server_add_method(server, "t.Obey", 6, "Do", 2, obey, &drops, count_drop, NULL));
  RETURNS(FASTRPC_EINVAL,
          fastrpc_server_add_method(server, "t.Obey", 6, "", 0, obey, &drops, count_drop, NULL));
  CHECK(drops == 2);
  RETURNS(FASTRPC_OK, fastrpc_server_listen(server, address, strlen(address), NULL));
  CHECK(fastrpc_server_port(server) != 0);
  fastrpc_server_address(server, at, sizeof at);
  RETURNS(FASTRPC_OK, fastrpc_client_new(at, strlen(at), NULL, &client, NULL));

  /* The request, too, may be written in place. */
  fastrpc_call_options_init(&options, sizeof options);
  options.fill = write_x;
  RETURNS(FASTRPC_OK,
          fastrpc_client_call(client, "t.Obey", 6, "Do", 2, NULL, 1, &options, &response, NULL));
  CHECK(memcmp(fastrpc_response_body(response, &size), "xxx", 3) == 0 && size == 3);
  CHECK(memcmp(fastrpc_response_attachment(response, &size), "beside", 6) == 0 && size == 6);
  CHECK(fastrpc_response_peer(response, NULL, 0) == strlen(at));
  fastrpc_response_free(response);
  RETURNS(FASTRPC_OK, fastrpc_client_call(client, "t.Obey", 6, "Do", 2, (const uint8_t*)"b", 1,
                                          NULL, &response, NULL));
  CHECK(fastrpc_response_body(response, &size) == NULL && size == 0);
  fastrpc_response_free(response);

  for (i = 0; i < 2; ++i) {
    RETURNS(FASTRPC_EREMOTE,
            fastrpc_client_call(client, "t.Obey", 6, "Do", 2, (const uint8_t*)failures[i].order, 1,
                                NULL, &response, &error));
    CHECK(fastrpc_error_code(error) == failures[i].code);
    CHECK(fastrpc_error_status(error) == FASTRPC_EREMOTE);
    CHECK(fastrpc_error_is_service(error) == (failures[i].code == 4711));
    fastrpc_error_free(error);
  }

  drops = 0;
  RETURNS(FASTRPC_OK, fastrpc_semaphore_new(0, &dropped));
  RETURNS(FASTRPC_OK, fastrpc_queue_new(4, NULL, &outcomes));
  RETURNS(FASTRPC_OK, fastrpc_client_call_async(client, "t.Obey", 6, "Do", 2, NULL, 0, NULL,
                                                keep_outcome, &drops, count_drop, NULL, NULL));
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome != NULL);
  fastrpc_response_free((fastrpc_response*)outcome);
  RETURNS(FASTRPC_OK, fastrpc_client_call_async(client, "t.Obey", 6, "No", 2, NULL, 0, NULL,
                                                keep_outcome, &drops, count_drop, NULL, NULL));
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome == NULL);
  RETURNS(FASTRPC_EINVAL, fastrpc_client_call_async(client, "t.Obey", 6, "Do", 2, NULL, 0, NULL,
                                                    NULL, &drops, count_drop, NULL, NULL));
  /* `drop` follows the callback, which has only just woken us. */
  RETURNS(FASTRPC_OK, fastrpc_semaphore_acquire(dropped, 3, 10000000000));
  CHECK(calls == 2 && drops == 3);
  fastrpc_queue_free(outcomes);

  fastrpc_client_free(client);
  fastrpc_server_free(server);
  RETURNS(FASTRPC_OK, fastrpc_semaphore_acquire(dropped, 1, 10000000000));
  CHECK(drops == 4);
  fastrpc_semaphore_free(dropped);
  dropped = NULL;
}

static fastrpc_queue* kept_calls;

static void keep_call(void* user, fastrpc_call* call) {
  (void)user;
  RETURNS(FASTRPC_OK, fastrpc_queue_push(kept_calls, call, -1));
}

static fastrpc_cancellation cancellation = {0};

static fastrpc_status call_with_cancellation(fastrpc_client* client) {
  fastrpc_call_options options;
  fastrpc_response* response = NULL;
  fastrpc_call_options_init(&options, sizeof options);
  options.cancellation = &cancellation;
  return fastrpc_client_call(client, "t.Keep", 6, "Do", 2, NULL, 0, &options, &response, NULL);
}

static void call_and_be_canceled(void* client) {
  CHECK(call_with_cancellation((fastrpc_client*)client) == FASTRPC_ECANCELED);
}

static void cancel_what_was_kept(void) {
  void* call = NULL;
  RETURNS(FASTRPC_OK, fastrpc_queue_pop(kept_calls, &call, -1));
  CHECK(!fastrpc_cancellation_is_canceled(&cancellation));
  RETURNS(FASTRPC_OK, fastrpc_cancellation_cancel(&cancellation));
  CHECK(fastrpc_cancellation_is_canceled(&cancellation));
  fastrpc_call_free((fastrpc_call*)call);
}

static void calls_are_canceled(void) {
  const char* const address = "127.0.0.1:0";
  char at[64];
  void* outcome = &outcome;
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_coroutine* coroutine = NULL;
  fastrpc_call_options options;

  RETURNS(FASTRPC_OK, fastrpc_queue_new(4, NULL, &kept_calls));
  RETURNS(FASTRPC_OK, fastrpc_queue_new(4, NULL, &outcomes));
  RETURNS(FASTRPC_OK, fastrpc_server_new(NULL, &server, NULL));
  RETURNS(FASTRPC_OK,
          fastrpc_server_add_method(server, "t.Keep", 6, "Do", 2, keep_call, NULL, NULL, NULL));
  RETURNS(FASTRPC_OK, fastrpc_server_listen(server, address, strlen(address), NULL));
  fastrpc_server_address(server, at, sizeof at);
  RETURNS(FASTRPC_OK, fastrpc_client_new(at, strlen(at), NULL, &client, NULL));

  RETURNS(FASTRPC_OK, fastrpc_spawn(NULL, call_and_be_canceled, client, NULL, &coroutine, NULL));
  cancel_what_was_kept();
  RETURNS(FASTRPC_OK, fastrpc_coroutine_join(coroutine, -1, NULL));
  fastrpc_coroutine_free(coroutine);
  /* Still canceled, and then as new. */
  CHECK(call_with_cancellation(client) == FASTRPC_ECANCELED);
  fastrpc_cancellation_reset(&cancellation);
  CHECK(cancellation.state == NULL);

  fastrpc_call_options_init(&options, sizeof options);
  options.cancellation = &cancellation;
  RETURNS(FASTRPC_OK, fastrpc_client_call_async(client, "t.Keep", 6, "Do", 2, NULL, 0, &options,
                                                keep_outcome, &drops, NULL, NULL, NULL));
  cancel_what_was_kept();
  CHECK(fastrpc_queue_pop(outcomes, &outcome, -1) == FASTRPC_OK && outcome == NULL);
  fastrpc_cancellation_reset(&cancellation);
  RETURNS(FASTRPC_OK, fastrpc_client_call_async(client, "t.None", 6, "Do", 2, NULL, 0, &options,
                                                keep_outcome, &drops, NULL, NULL, NULL));
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

int main(void) {
  a_call_is_answered();
  a_handler_answers_in_every_way();
  calls_are_canceled();
  return 0;
}
