/* The example at the top of fastrpc.h: a server and a client in one program. */
#include <fastrpc/fastrpc.h>
#include <stdio.h>

static void echo(void* user, fastrpc_call* call) {
  size_t size = 0;
  const uint8_t* request = fastrpc_call_request(call, &size);
  (void)user;
  fastrpc_call_reply(call, request, size); /* consumes the call */
}

int main(void) {
  fastrpc_server* server = NULL;
  fastrpc_client* client = NULL;
  fastrpc_response* response = NULL;
  fastrpc_error* error = NULL;
  char address[64];
  size_t size = 0;
  fastrpc_status status = fastrpc_server_new(NULL, &server, &error);
  if (status == FASTRPC_OK)
    status = fastrpc_server_add_method(server, "Echo", 4, "Say", 3, echo, NULL, NULL, &error);
  if (status == FASTRPC_OK) status = fastrpc_server_listen(server, "127.0.0.1:0", 11, &error);
  if (status == FASTRPC_OK) {
    size = fastrpc_server_address(server, address, sizeof address);
    status = fastrpc_client_new(address, size, NULL, &client, &error);
  }
  if (status == FASTRPC_OK)
    status = fastrpc_client_call(client, "Echo", 4, "Say", 3, (const uint8_t*)"hello", 5, NULL,
                                 &response, &error);
  if (status == FASTRPC_OK) {
    const uint8_t* body = fastrpc_response_body(response, &size);
    printf("%.*s\n", (int)size, (const char*)body);
  } else {
    fprintf(stderr, "%s\n", fastrpc_error_text(error));
  }
  fastrpc_error_free(error);
  fastrpc_response_free(response);
  fastrpc_client_free(client);
  fastrpc_server_free(server);
  return status == FASTRPC_OK ? 0 : 1;
}
