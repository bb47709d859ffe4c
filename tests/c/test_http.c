/* HTTP through the C ABI: routes, the fallback, what a handler reads, answers given later. */
#include <fastrpc/fastrpc.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static bool equals(const char* text, size_t size, const char* wanted) {
  return text != NULL && size == strlen(wanted) && memcmp(text, wanted, size) == 0;
}

/* Lists what came, from the first to behind the last, and looks some of it up. */
static void list(void* user, fastrpc_http_exchange* exchange) {
  const char *name = NULL, *value = NULL;
  size_t name_size = 0, value_size = 0, i, hosts = 0;
  fastrpc_error* error = NULL;
  (void)user;
  for (i = 0; fastrpc_http_header_at(exchange, i, &name, &name_size, &value, &value_size); ++i) {
    if (equals(name, name_size, "host")) hosts += equals(value, value_size, "h");
  }
  CHECK(i == 3 && hosts == 1);
  CHECK(!fastrpc_http_header_at(exchange, 3, &name, &name_size, &value, &value_size));
  CHECK(!fastrpc_http_header_at(exchange, 0, &name, NULL, &value, &value_size));
  value = fastrpc_http_header(exchange, "HOST", 4, 0, &value_size);
  CHECK(equals(value, value_size, "h"));
  CHECK(fastrpc_http_header(exchange, "host", 4, 1, &value_size) == NULL && value_size == 0);

  CHECK(fastrpc_http_query_at(exchange, 0, &name, &name_size, &value, &value_size));
  CHECK(equals(name, name_size, "a") && equals(value, value_size, "1 2"));
  CHECK(fastrpc_http_query_at(exchange, 1, &name, &name_size, &value, &value_size));
  CHECK(equals(name, name_size, "b") && value != NULL && value_size == 0);
  CHECK(fastrpc_http_query_at(exchange, 2, &name, &name_size, &value, &value_size));
  CHECK(equals(name, name_size, "a") && equals(value, value_size, "3"));
  CHECK(!fastrpc_http_query_at(exchange, 3, &name, &name_size, &value, &value_size));
  value = fastrpc_http_query(exchange, "a", 1, &value_size);
  CHECK(equals(value, value_size, "1 2"));
  CHECK(fastrpc_http_query(exchange, "c", 1, &value_size) == NULL);

  value = fastrpc_http_form(exchange, "y", 1, &value_size, &error);
  CHECK(equals(value, value_size, "&") && error == NULL);
  CHECK(fastrpc_http_form_at(exchange, 0, &name, &name_size, &value, &value_size, &error));
  CHECK(equals(name, name_size, "x") && equals(value, value_size, "1"));
  CHECK(!fastrpc_http_form_at(exchange, 2, &name, &name_size, &value, &value_size, &error));
  CHECK(error == NULL && fastrpc_http_connection_id(exchange) != 0);
  RETURNS(FASTRPC_OK, fastrpc_http_set_body(exchange, (const uint8_t*)"listed", 6));
}

/* What no route fits, here with a body that is no form. */
static void refuse(void* user, fastrpc_http_exchange* exchange) {
  const char *name = NULL, *value = NULL;
  size_t name_size = 0, value_size = 0;
  fastrpc_error* error = NULL;
  (void)user;
  CHECK(!fastrpc_http_query_at(exchange, 0, &name, &name_size, &value, &value_size));
  CHECK(!fastrpc_http_form_at(exchange, 0, &name, &name_size, &value, &value_size, &error));
  CHECK(fastrpc_error_status(error) == FASTRPC_EINVAL);
  fastrpc_error_free(error);
  RETURNS(FASTRPC_EINVAL, fastrpc_http_set_status(exchange, 199));
  RETURNS(FASTRPC_OK, fastrpc_http_set_status(exchange, 418));
}

static void answer(void* user) {
  fastrpc_http_exchange* exchange = (fastrpc_http_exchange*)user;
  RETURNS(FASTRPC_OK, fastrpc_http_set_body(exchange, (const uint8_t*)"later", 5));
  RETURNS(FASTRPC_OK, fastrpc_http_send(exchange));
}

static void defer(void* user, fastrpc_http_exchange* exchange) {
  (void)user;
  RETURNS(FASTRPC_OK, fastrpc_http_defer(exchange));
  RETURNS(FASTRPC_ESTATE, fastrpc_http_defer(exchange));
  RETURNS(FASTRPC_OK, fastrpc_spawn(NULL, answer, exchange, NULL, NULL, NULL));
}

/* Sends a request on a connection of its own, and compares the beginning and the end of the
 * answer. */
static void ask(int port, const char* request, const char* status, const char* body) {
  char got[4096];
  size_t size = 0;
  ssize_t more = 0;
  struct sockaddr_in address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(fd >= 0 && connect(fd, (struct sockaddr*)&address, sizeof address) == 0);
  CHECK(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
  while ((more = read(fd, got + size, sizeof got - size)) > 0) size += (size_t)more;
  close(fd);
  CHECK(size > strlen(status) + strlen(body) && memcmp(got, status, strlen(status)) == 0);
  CHECK(memcmp(got + size - strlen(body), body, strlen(body)) == 0);
}

int main(void) {
  fastrpc_server* server = NULL;
  fastrpc_stop_report report;
  int port;
  RETURNS(FASTRPC_OK, fastrpc_server_new(NULL, &server, NULL));
  RETURNS(FASTRPC_OK, fastrpc_server_route(server, "POST", 4, "/list", 5, list, NULL, NULL, NULL));
  RETURNS(FASTRPC_OK, fastrpc_server_route(server, "GET", 3, "/later", 6, defer, NULL, NULL, NULL));
  RETURNS(FASTRPC_ESTATE,
          fastrpc_server_route(server, "GET", 3, "/later", 6, defer, NULL, NULL, NULL));
  RETURNS(FASTRPC_EINVAL, fastrpc_server_route(server, "", 0, "/", 1, defer, NULL, NULL, NULL));
  RETURNS(FASTRPC_OK, fastrpc_server_fallback(server, refuse, NULL, NULL, NULL));
  RETURNS(FASTRPC_ESTATE, fastrpc_server_fallback(server, refuse, NULL, NULL, NULL));
  RETURNS(FASTRPC_OK, fastrpc_server_listen(server, "127.0.0.1:0", 11, NULL));
  port = fastrpc_server_port(server);

  ask(port,
      "POST /list?a=1+2&b&a=3 HTTP/1.0\r\nHost: h\r\nContent-Length: 9\r\n"
      "Content-Type: application/x-www-form-urlencoded\r\n\r\nx=1&y=%26",
      "HTTP/1.1 200 ", "\r\n\r\nlisted");
  ask(port, "GET /later HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\nlater");
  ask(port, "GET /other HTTP/1.0\r\n\r\n", "HTTP/1.1 418 ", "\r\n\r\n");

  report.size = sizeof report;
  RETURNS(FASTRPC_OK, fastrpc_server_stop(server, 10000000000, &report));
  CHECK(report.canceled == 0 && report.refused == 0);
  fastrpc_server_free(server);
  return 0;
}
