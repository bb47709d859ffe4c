// The synchronous API of libmariadb: test_mariadb SERVER OPENSSL.
#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>
#include <poll.h>

#include <cstring>
#include <memory>
#include <string>

#include "scenario.hpp"

using namespace clients;

namespace {

struct CloseConnection {
  void operator()(MYSQL* connection) const { mysql_close(connection); }
};
struct FreeResult {
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
struct CloseStatement {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
using Connection = std::unique_ptr<MYSQL, CloseConnection>;
using Result = std::unique_ptr<MYSQL_RES, FreeResult>;
using Statement = std::unique_ptr<MYSQL_STMT, CloseStatement>;

int port = 0;
std::string socket_path;
std::string certificate;

std::string words(MYSQL* connection) {
  if (mysql_errno(connection) == 0) return "no error";
  return "error " + std::to_string(mysql_errno(connection)) + " (" + mysql_sqlstate(connection) +
         "): " + mysql_error(connection);
}

Connection open() {
  Connection connection(mysql_init(nullptr));
  CHECK(connection);
  return connection;
}

bool connect(const Connection& connection, int number, const char* path = nullptr) {
  return mysql_real_connect(connection.get(), path != nullptr ? "localhost" : "127.0.0.1", "root",
                            "secret", nullptr, static_cast<unsigned>(number), path,
                            CLIENT_MULTI_STATEMENTS) != nullptr;
}

// In turn by TCP, by a Unix socket, with TLS, and compressed.
constexpr int kWays = 4;
Connection dial(int i = 0) {
  int way = i % kWays;
  Connection connection = open();
  if (way == 2) {
    my_bool yes = 1;
    mysql_options(connection.get(), MYSQL_OPT_SSL_CA, certificate.c_str());
    mysql_options(connection.get(), MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
  }
  if (way == 3) mysql_options(connection.get(), MYSQL_OPT_COMPRESS, nullptr);
  if (!connect(connection, port, way == 1 ? socket_path.c_str() : nullptr)) {
    std::cerr << words(connection.get()) << '\n';
    std::exit(1);
  }
  CHECK((mysql_get_ssl_cipher(connection.get()) != nullptr) == (way == 2));
  return connection;
}

Result query(const Connection& connection, const std::string& text) {
  if (mysql_real_query(connection.get(), text.data(), text.size()) != 0) {
    std::cerr << words(connection.get()) << '\n';
    std::exit(1);
  }
  return Result(mysql_store_result(connection.get()));
}

// The first field of the first row.
std::string value(const Result& result) {
  MYSQL_ROW row = mysql_fetch_row(result.get());
  CHECK(row != nullptr);
  return {row[0], mysql_fetch_lengths(result.get())[0]};
}

void many_wait_at_a_time_on_one_thread() {
  many_at_a_time([](int i) { return dial(i % 2); },
                 [](const Connection& connection, int) {
                   CHECK(value(query(connection, "SELECT SLEEP(0.1)")) == "0");
                 });
}

// Waits as libmariadb asks its caller to, in the non-blocking API.
int wait_for(const Connection& connection, int wanted) {
  pollfd entry{};
  entry.fd = mysql_get_socket(connection.get());
  if (wanted & MYSQL_WAIT_READ) entry.events |= POLLIN;
  if (wanted & MYSQL_WAIT_WRITE) entry.events |= POLLOUT;
  if (wanted & MYSQL_WAIT_EXCEPT) entry.events |= POLLPRI;
  bool timed = wanted & MYSQL_WAIT_TIMEOUT;
  int limit = timed ? static_cast<int>(mysql_get_timeout_value_ms(connection.get())) : -1;
  int ready = poll(&entry, 1, limit);
  CHECK(ready >= 0);
  if (ready == 0) return MYSQL_WAIT_TIMEOUT;
  return (entry.revents & POLLIN ? MYSQL_WAIT_READ : 0) |
         (entry.revents & POLLOUT ? MYSQL_WAIT_WRITE : 0) |
         (entry.revents & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);
}

// libmariadb runs its non-blocking calls on stacks of its own, within a coroutine of ours.
void calls_that_do_not_block_are_coroutines_within_ours() {
  many_at_a_time(
      [](int) {
        Connection connection = open();
        MYSQL* done = nullptr;
        mysql_options(connection.get(), MYSQL_OPT_NONBLOCK, nullptr);
        int wanted =
            mysql_real_connect_start(&done, connection.get(), "127.0.0.1", "root", "secret",
                                     nullptr, static_cast<unsigned>(port), nullptr, 0);
        while (wanted != 0)
          wanted = mysql_real_connect_cont(&done, connection.get(), wait_for(connection, wanted));
        CHECK(done != nullptr);
        return connection;
      },
      [](const Connection& connection, int) {
        int error = 0;
        std::string text = "SELECT SLEEP(0.1)";
        int wanted = mysql_real_query_start(&error, connection.get(), text.data(), text.size());
        while (wanted != 0)
          wanted = mysql_real_query_cont(&error, connection.get(), wait_for(connection, wanted));
        CHECK(error == 0);
        CHECK(value(Result(mysql_store_result(connection.get()))) == "0");
      });
}

void payloads_of_all_sizes_come_back() {
  query(dial(), "CREATE TABLE test.payload (id INT PRIMARY KEY, data LONGBLOB) ENGINE=MyISAM");
  in_both(kSizeCount, [](int i) {
    std::string data = random_bytes(kSizes[i % kSizeCount]);
    Connection connection = dial(i);
    std::string id = std::to_string(i), quoted(2 * data.size() + 1, '\0');
    quoted.resize(
        mysql_real_escape_string(connection.get(), quoted.data(), data.data(), data.size()));
    query(connection, "INSERT INTO test.payload VALUES (" + id + ", '" + quoted + "')");
    std::string where = " FROM test.payload WHERE id = " + id;
    CHECK(value(query(connection, "SELECT data" + where)) == data);
    query(connection, "DELETE" + where);
  });
}

void statements_are_prepared_once() {
  in_both(kSizeCount, [](int i) {
    std::string data = random_bytes(kSizes[i % kSizeCount]);
    Connection connection = dial(i);
    Statement statement(mysql_stmt_init(connection.get()));
    std::string text = "SELECT ?, LENGTH(?)";
    CHECK(mysql_stmt_prepare(statement.get(), text.data(), text.size()) == 0);
    for (int j = 0; j < 3; ++j) {
      MYSQL_BIND given[2] = {};
      for (MYSQL_BIND& bind : given) {
        bind.buffer_type = MYSQL_TYPE_LONG_BLOB;
        bind.buffer = data.data();
        bind.buffer_length = data.size();
      }
      CHECK(mysql_stmt_bind_param(statement.get(), given) == 0);
      CHECK(mysql_stmt_execute(statement.get()) == 0);
      std::string got(data.size() + 1, '\0');
      unsigned long size = 0;
      long long length = -1;
      MYSQL_BIND wanted[2] = {};
      wanted[0].buffer_type = MYSQL_TYPE_LONG_BLOB;
      wanted[0].buffer = got.data();
      wanted[0].buffer_length = got.size();
      wanted[0].length = &size;
      wanted[1].buffer_type = MYSQL_TYPE_LONGLONG;
      wanted[1].buffer = &length;
      CHECK(mysql_stmt_bind_result(statement.get(), wanted) == 0);
      CHECK(mysql_stmt_fetch(statement.get()) == 0);
      got.resize(size);
      CHECK(got == data && length == static_cast<long long>(data.size()));
      CHECK(mysql_stmt_fetch(statement.get()) == MYSQL_NO_DATA);
    }
  });
}

// They lock the same row across waits: a thread and the coroutines of one worker must wait for
// each other.
void transactions_wait_for_each_other() {
  query(dial(), "CREATE TABLE test.counter (id INT PRIMARY KEY, n INT) ENGINE=InnoDB");
  query(dial(), "INSERT INTO test.counter VALUES (1, 0)");
  in_both(8, [](int i) {
    Connection connection = dial(i);
    query(connection, "BEGIN");
    std::string n = value(query(connection, "SELECT n FROM test.counter WHERE id = 1 FOR UPDATE"));
    query(connection, "SELECT SLEEP(0.005)");
    query(connection, "UPDATE test.counter SET n = " + n + " + 1 WHERE id = 1");
    query(connection, "COMMIT");
    query(connection, "BEGIN");
    query(connection, "UPDATE test.counter SET n = n + 100 WHERE id = 1");
    query(connection, "ROLLBACK");
  });
  CHECK(value(query(dial(), "SELECT n FROM test.counter")) == "16");
}

void statements_are_sent_many_at_a_time() {
  in_both(4, [](int i) {
    Connection connection = dial(i);
    std::string text;
    for (int j = 0; j < 300; ++j) text += "SELECT " + std::to_string(j) + ";";
    CHECK(mysql_real_query(connection.get(), text.data(), text.size()) == 0);
    for (int j = 0; j < 300; ++j) {
      CHECK(value(Result(mysql_store_result(connection.get()))) == std::to_string(j));
      CHECK(mysql_next_result(connection.get()) == (j + 1 < 300 ? 0 : -1));
    }
  });
}

void rows_come_while_they_are_read() {
  in_both(4, [](int i) {
    Connection connection = dial(i);
    std::string text = "SELECT seq, REPEAT('x', 200) FROM test.seq_1_to_50000";
    CHECK(mysql_real_query(connection.get(), text.data(), text.size()) == 0);
    Result rows(mysql_use_result(connection.get()));
    int count = 0;
    while (MYSQL_ROW row = mysql_fetch_row(rows.get())) CHECK(row[0] == std::to_string(++count));
    CHECK(count == 50000 && mysql_errno(connection.get()) == 0);
  });
}

void errors_of_the_server_are_the_same() {
  says_the_same([] {
    Connection connection = dial();
    CHECK(mysql_query(connection.get(), "SELECT nonsense FROM nowhere.at_all") != 0);
    return words(connection.get());
  });
}

// Whether the server sees `count` clients wait.
bool are_waiting(int count) {
  std::string text =
      "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
  return value(query(dial(), text)) == std::to_string(count);
}

// The server does not notice for seconds that a client is gone.
void end_all_waits() {
  until([] {
    query(dial(), "KILL QUERY USER root");
    return are_waiting(0);
  });
}

void a_read_timeout_is_the_clients() {
  for (int way : {0, 2}) {
    std::string said = says_the_same([way] {
      Connection connection = open();
      unsigned seconds = 1;
      mysql_options(connection.get(), MYSQL_OPT_READ_TIMEOUT, &seconds);
      if (way == 2) mysql_options(connection.get(), MYSQL_OPT_SSL_CA, certificate.c_str());
      CHECK(connect(connection, port));
      auto start = Clock::now();
      CHECK(mysql_query(connection.get(), "SELECT SLEEP(100)") != 0);
      CHECK(Clock::now() - start < 50s);
      return words(connection.get());
    });
    int wanted = way == 2 ? CR_SSL_CONNECTION_ERROR : CR_SERVER_LOST;
    CHECK(said.find("error " + std::to_string(wanted)) == 0);
  }
  end_all_waits();
}

void a_server_that_says_nothing_is_given_up() {
  Port silent(Port::kSilent);
  says_the_same([number = silent.number()] {
    Connection connection = open();
    unsigned seconds = 1;
    mysql_options(connection.get(), MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    CHECK(!connect(connection, number));
    return words(connection.get());
  });
}

void a_refused_connection_is_reported() {
  Port refused(Port::kRefused);
  std::string said = says_the_same([number = refused.number()] {
    Connection connection = open();
    CHECK(!connect(connection, number));
    return words(connection.get());
  });
  CHECK(said.find("error " + std::to_string(CR_CONNECTION_ERROR)) == 0);
  says_the_same([] {
    Connection connection = open();
    CHECK(!connect(connection, 0, "/nowhere/at/all"));
    return words(connection.get());
  });
}

std::string wait_long(int way) {
  Connection connection = dial(way);
  CHECK(mysql_query(connection.get(), "SELECT SLEEP(100)") != 0);
  std::string said = words(connection.get());
  // OpenSSL's error queue is per thread: this error may be another connection's.
  if (mysql_errno(connection.get()) == CR_SSL_CONNECTION_ERROR)
    said.resize(said.find("TLS/SSL error") + std::strlen("TLS/SSL error"));
  CHECK(mysql_query(connection.get(), "SELECT 1") != 0);
  return said + ", then " + words(connection.get());
}

void a_canceled_wait_is_reported() {
  std::string said = says_when_canceled([] { return wait_long(0); }, [] { return are_waiting(1); });
  CHECK(said.find("error " + std::to_string(CR_SERVER_LOST)) == 0);
  end_all_waits();
}

void a_killed_server_ends_what_waits(Process& server, int way) {
  std::string said = says_the_same([way] { return wait_long(way); },
                                   [&server] {
                                     until([] { return are_waiting(6); });
                                     server.stop();
                                   });
  CHECK(said.find(", then error " + std::to_string(CR_SERVER_GONE_ERROR)) != std::string::npos);
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 3);
  start_workers();
  mysql_library_init(0, nullptr, nullptr);
  Folder folder;
  Process server;
  make_certificate(folder, argv[2]);
  certificate = folder.path("cert.pem");
  socket_path = folder.path("socket");
  auto start = [&](int number) {
    // A new one each time, without user tables, whose creation takes seconds.
    std::filesystem::remove_all(folder.path("data"));
    std::filesystem::create_directory(folder.path("data"));
    return Process(folder, {argv[1],
                            "--no-defaults",
                            "--user=root",
                            "--skip-grant-tables",
                            "--skip-log-bin",
                            "--datadir=" + folder.path("data"),
                            "--socket=" + socket_path,
                            "--port=" + std::to_string(number),
                            "--bind-address=127.0.0.1",
                            "--ssl-cert=" + certificate,
                            "--ssl-key=" + folder.path("key.pem"),
                            "--max-connections=500",
                            "--back-log=500",
                            "--connect-timeout=120",
                            "--net-read-timeout=120",
                            "--net-write-timeout=120",
                            "--max-allowed-packet=64M",
                            "--innodb-buffer-pool-size=64M",
                            "--innodb-log-file-size=256M",
                            "--innodb-flush-method=nosync",
                            "--innodb-flush-log-at-trx-commit=0"});
  };
  auto restart = [&] {
    port = start_on_free_port(folder, server, start, [](int number) {
      Connection connection = open();
      return connect(connection, number);
    });
  };
  restart();
  query(dial(), "CREATE DATABASE test");
  dial(2);
  RUN_SCENARIO(many_wait_at_a_time_on_one_thread);
  RUN_SCENARIO(calls_that_do_not_block_are_coroutines_within_ours);
  RUN_SCENARIO(payloads_of_all_sizes_come_back);
  RUN_SCENARIO(statements_are_prepared_once);
  RUN_SCENARIO(transactions_wait_for_each_other);
  RUN_SCENARIO(statements_are_sent_many_at_a_time);
  RUN_SCENARIO(rows_come_while_they_are_read);
  RUN_SCENARIO(errors_of_the_server_are_the_same);
  RUN_SCENARIO(a_read_timeout_is_the_clients);
  RUN_SCENARIO(a_server_that_says_nothing_is_given_up);
  RUN_SCENARIO(a_refused_connection_is_reported);
  RUN_SCENARIO(a_canceled_wait_is_reported);
  auto a_killed_server = [&] {
    for (int way = 0; way < kWays; ++way) {
      if (way > 0) restart();
      a_killed_server_ends_what_waits(server, way);
    }
  };
  RUN_SCENARIO(a_killed_server);
}
