// The synchronous API of libpq: test_postgres SERVER INITDB OPENSSL.
#include <postgresql/libpq-fe.h>
#include <sys/select.h>

#include <cstring>
#include <memory>
#include <string>

#include "scenario.hpp"

using namespace clients;

namespace {

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
struct FreeCancel {
  void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
};
using Connection = std::unique_ptr<PGconn, Finish>;
using Result = std::unique_ptr<PGresult, Clear>;

int port = 0;
std::string folder_path;

std::string words(const Connection& connection) {
  return PQerrorMessage(connection.get());
}
std::string words(const Result& result) {
  const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  return std::string(PQresStatus(PQresultStatus(result.get()))) + ", state " +
         (state != nullptr ? state : "none") + ": " + PQresultErrorMessage(result.get());
}

// In turn by TCP, by a Unix socket, and with TLS.
constexpr int kWays = 3;
std::string address(int i) {
  std::string text = "user=tester dbname=postgres gssencmode=disable port=" + std::to_string(port);
  if (i % kWays == 1) return text + " host=" + folder_path;
  if (i % kWays == 2)
    return text + " host=127.0.0.1 sslmode=verify-full sslrootcert=" + folder_path + "/cert.pem";
  return text + " host=127.0.0.1 sslmode=disable";
}

Connection dial(int i = 0) {
  Connection connection(PQconnectdb(address(i).c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    std::cerr << words(connection) << '\n';
    std::exit(1);
  }
  CHECK((PQsslInUse(connection.get()) != 0) == (i % kWays == 2));
  return connection;
}

Result checked(Result result) {
  auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_SINGLE_TUPLE &&
      status != PGRES_COPY_IN && status != PGRES_COPY_OUT && status != PGRES_PIPELINE_SYNC) {
    std::cerr << words(result) << '\n';
    std::exit(1);
  }
  return result;
}

Result query(const Connection& connection, const std::string& text) {
  return checked(Result(PQexec(connection.get(), text.c_str())));
}

std::string value(const Result& result, int column = 0) {
  CHECK(PQntuples(result.get()) == 1);
  return {PQgetvalue(result.get(), 0, column),
          static_cast<std::size_t>(PQgetlength(result.get(), 0, column))};
}

void many_wait_at_a_time_on_one_thread() {
  many_at_a_time(
      [](int i) { return dial(i % 2); },
      [](const Connection& connection, int) { query(connection, "SELECT pg_sleep(0.1)"); });
}

// As parameters, and back as results, in binary.
Result echo(const Connection& connection, const std::string& data, const char* prepared) {
  const char* values[] = {data.data()};
  int lengths[] = {static_cast<int>(data.size())};
  int formats[] = {1};
  if (prepared != nullptr)
    return checked(
        Result(PQexecPrepared(connection.get(), prepared, 1, values, lengths, formats, 1)));
  return checked(Result(
      PQexecParams(connection.get(), "SELECT $1::bytea", 1, nullptr, values, lengths, formats, 1)));
}

void payloads_of_all_sizes_come_back() {
  in_both(kSizeCount, [](int i) {
    std::string data = random_bytes(kSizes[i % kSizeCount]);
    Connection connection = dial(i);
    CHECK(value(echo(connection, data, nullptr)) == data);
  });
}

void statements_are_prepared_once() {
  in_both(kSizeCount, [](int i) {
    std::string data = random_bytes(kSizes[(i + 1) % kSizeCount]);
    Connection connection = dial(i);
    checked(Result(PQprepare(connection.get(), "echo", "SELECT $1::bytea", 1, nullptr)));
    for (int j = 0; j < 3; ++j) CHECK(value(echo(connection, data, "echo")) == data);
  });
}

// They lock the same row across waits: a thread and the coroutines of one worker must wait for
// each other.
void transactions_wait_for_each_other() {
  query(dial(), "CREATE TABLE counter (n INT)");
  query(dial(), "INSERT INTO counter VALUES (0)");
  in_both(6, [](int i) {
    Connection connection = dial(i);
    query(connection, "BEGIN");
    std::string n = value(query(connection, "SELECT n FROM counter FOR UPDATE"));
    query(connection, "SELECT pg_sleep(0.005)");
    query(connection, "UPDATE counter SET n = " + n + " + 1");
    query(connection, "COMMIT");
    query(connection, "BEGIN");
    query(connection, "UPDATE counter SET n = n + 100");
    query(connection, "ROLLBACK");
  });
  CHECK(value(query(dial(), "SELECT n FROM counter")) == "12");
}

void queries_are_pipelined() {
  in_both(3, [](int i) {
    constexpr int kQueries = 500;
    Connection connection = dial(i);
    CHECK(PQenterPipelineMode(connection.get()) == 1);
    for (int j = 0; j < kQueries; ++j) {
      std::string number = std::to_string(j);
      const char* values[] = {number.c_str()};
      CHECK(PQsendQueryParams(connection.get(), "SELECT $1::int + 1", 1, nullptr, values, nullptr,
                              nullptr, 0) == 1);
    }
    CHECK(PQpipelineSync(connection.get()) == 1);
    for (int j = 0; j < kQueries; ++j) {
      CHECK(value(checked(Result(PQgetResult(connection.get())))) == std::to_string(j + 1));
      CHECK(PQgetResult(connection.get()) == nullptr);
    }
    Result end(PQgetResult(connection.get()));
    CHECK(PQresultStatus(end.get()) == PGRES_PIPELINE_SYNC);
    CHECK(PQexitPipelineMode(connection.get()) == 1);
  });
}

void rows_come_while_they_are_read() {
  in_both(3, [](int i) {
    constexpr int kRows = 50000;
    Connection connection = dial(i);
    std::string text = "SELECT n, repeat('x', 200) FROM generate_series(1, 50000) AS n";
    CHECK(PQsendQuery(connection.get(), text.c_str()) == 1);
    CHECK(PQsetSingleRowMode(connection.get()) == 1);
    int count = 0;
    while (Result row{PQgetResult(connection.get())}) {
      if (PQresultStatus(row.get()) == PGRES_TUPLES_OK) continue;
      CHECK(value(row) == std::to_string(++count));
    }
    CHECK(count == kRows);
  });
}

void rows_are_copied_in_and_out() {
  in_both(3, [](int i) {
    Connection connection = dial(i);
    query(connection, "CREATE TEMP TABLE copied (n INT, text TEXT)");
    query(connection, "COPY copied FROM STDIN");
    std::string all;
    for (int j = 0; j < 20000; ++j) {
      std::string line = std::to_string(j) + "\t" + std::string(100, 'y') + "\n";
      CHECK(PQputCopyData(connection.get(), line.data(), static_cast<int>(line.size())) == 1);
      all += line;
    }
    CHECK(PQputCopyEnd(connection.get(), nullptr) == 1);
    while (Result result{PQgetResult(connection.get())}) checked(std::move(result));
    query(connection, "COPY (SELECT * FROM copied ORDER BY n) TO STDOUT");
    std::string got;
    char* line = nullptr;
    for (int size; (size = PQgetCopyData(connection.get(), &line, 0)) > 0; PQfreemem(line))
      got.append(line, static_cast<std::size_t>(size));
    while (Result result{PQgetResult(connection.get())}) checked(std::move(result));
    CHECK(got == all);
  });
}

// The program waits by itself for notifications, as libpq's manual shows.
void notifications_reach_those_who_listen() {
  in_both(3, [](int i) {
    std::string channel = "channel" + std::to_string(i);
    Connection listener = dial(i), speaker = dial(i + 1);
    query(listener, "LISTEN " + channel);
    for (int j = 0; j < 20; ++j) {
      std::string text = std::to_string(j);
      query(speaker, "SELECT pg_notify('" + channel + "', '" + text + "')");
      std::unique_ptr<PGnotify, decltype(&PQfreemem)> got(PQnotifies(listener.get()), &PQfreemem);
      while (!got) {
        int fd = PQsocket(listener.get());
        fd_set fds;
        FD_ZERO(&fds);
        FD_SET(fd, &fds);
        timeval limit{60, 0};
        CHECK(select(fd + 1, &fds, nullptr, nullptr, &limit) == 1);
        CHECK(PQconsumeInput(listener.get()) == 1);
        got.reset(PQnotifies(listener.get()));
      }
      CHECK(got->relname == channel && got->extra == text);
    }
  });
}

void a_query_is_canceled() {
  std::string said = says_the_same([] {
    Connection connection = dial();
    CHECK(PQsendQuery(connection.get(), "SELECT pg_sleep(100)") == 1);
    std::unique_ptr<PGcancel, FreeCancel> cancel(PQgetCancel(connection.get()));
    char error[256];
    // The cancellation may arrive before the query.
    while (PQisBusy(connection.get()) != 0) {
      CHECK(PQcancel(cancel.get(), error, sizeof error) == 1);
      usleep(20000);
      CHECK(PQconsumeInput(connection.get()) == 1);
    }
    return words(Result(PQgetResult(connection.get())));
  });
  CHECK(said.find("state 57014") != std::string::npos);
}

void errors_of_the_server_are_the_same() {
  says_the_same([] {
    Connection connection = dial();
    return words(Result(PQexec(connection.get(), "SELECT nonsense FROM nowhere.at_all")));
  });
}

void a_server_that_says_nothing_is_given_up() {
  Port silent(Port::kSilent);
  std::string said = says_the_same([number = silent.number()] {
    std::string where = "host=127.0.0.1 connect_timeout=2 port=" + std::to_string(number);
    Connection connection(PQconnectdb(where.c_str()));
    CHECK(PQstatus(connection.get()) == CONNECTION_BAD);
    return words(connection);
  });
  CHECK(said.find("timeout expired") != std::string::npos);
}

void a_refused_connection_is_reported() {
  Port refused(Port::kRefused);
  std::string said = says_the_same([number = refused.number()] {
    std::string where = "host=127.0.0.1,localhost port=" + std::to_string(number);
    Connection connection(PQconnectdb(where.c_str()));
    CHECK(PQstatus(connection.get()) == CONNECTION_BAD);
    return words(connection);
  });
  CHECK(said.find("Connection refused") != std::string::npos);
  says_the_same([] {
    Connection connection(PQconnectdb("host=/nowhere/at/all"));
    CHECK(PQstatus(connection.get()) == CONNECTION_BAD);
    return words(connection);
  });
}

std::string wait_long(int way) {
  Connection connection = dial(way);
  std::string said = words(Result(PQexec(connection.get(), "SELECT pg_sleep(100)")));
  return said + (PQstatus(connection.get()) == CONNECTION_BAD ? "bad" : "good");
}

// Whether the server sees `count` clients wait.
bool are_waiting(int count) {
  std::string text = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  return value(query(dial(), text)) == std::to_string(count);
}

void a_canceled_wait_is_reported() {
  std::string said = says_when_canceled([] { return wait_long(0); }, [] { return are_waiting(1); });
  CHECK(said.find("Operation canceled") != std::string::npos);
  // The server does not notice by itself.
  query(dial(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  until([] { return are_waiting(0); });
}

void a_killed_server_ends_what_waits(Process& server, int way) {
  std::string said = says_the_same([way] { return wait_long(way); },
                                   [&server] {
                                     until([] { return are_waiting(6); });
                                     server.stop();
                                   });
  CHECK(said.find("closed") != std::string::npos);
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 4);
  start_workers();
  Folder folder;
  Process server;
  // It refuses to run as root.
  const char* user = "nobody";
  folder_path = folder.path();
  // Without the user's own settings of libpq.
  setenv("HOME", folder_path.c_str(), 1);
  std::string data = folder.path("data");
  run(folder,
      {argv[2], "--no-sync", "--auth=trust", "--username=tester", "--no-locale", "--encoding=UTF8",
       "--no-instructions", "--pgdata=" + data},
      user);
  make_certificate(folder, argv[3], user);
  auto start = [&](int number) {
    return Process(folder,
                   {argv[1],
                    "-D",
                    data,
                    "-p",
                    std::to_string(number),
                    "-h",
                    "127.0.0.1",
                    "-k",
                    folder_path,
                    "-F",
                    "-c",
                    "max_connections=450",
                    "-c",
                    "ssl=on",
                    "-c",
                    "ssl_cert_file=" + folder.path("cert.pem"),
                    "-c",
                    "ssl_key_file=" + folder.path("key.pem"),
                    "-c",
                    "dynamic_shared_memory_type=mmap"},
                   user);
  };
  auto restart = [&] {
    port = start_on_free_port(folder, server, start, [](int number) {
      port = number;
      return PQping(address(0).c_str()) == PQPING_OK;
    });
  };
  restart();
  dial(2);
  RUN_SCENARIO(many_wait_at_a_time_on_one_thread);
  RUN_SCENARIO(payloads_of_all_sizes_come_back);
  RUN_SCENARIO(statements_are_prepared_once);
  RUN_SCENARIO(transactions_wait_for_each_other);
  RUN_SCENARIO(queries_are_pipelined);
  RUN_SCENARIO(rows_come_while_they_are_read);
  RUN_SCENARIO(rows_are_copied_in_and_out);
  RUN_SCENARIO(notifications_reach_those_who_listen);
  RUN_SCENARIO(a_query_is_canceled);
  RUN_SCENARIO(errors_of_the_server_are_the_same);
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
