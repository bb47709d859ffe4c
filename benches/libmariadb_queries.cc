// MariaDB by libmariadb's synchronous API: a SELECT of a number that it counts up.
#include <mysql.h>

#include "common/queries.hpp"

namespace {

class MariaDb {
 public:
  explicit MariaDb(const bench::QueryOptions& options) {
    if (mysql_init(&mysql_) == nullptr ||
        mysql_real_connect(&mysql_, options.host.c_str(), "root", "", nullptr, options.port,
                           nullptr, 0) == nullptr) {
      std::fprintf(stderr, "mariadb: %s\n", mysql_error(&mysql_));
      std::exit(1);
    }
  }
  ~MariaDb() { mysql_close(&mysql_); }
  MariaDb(const MariaDb&) = delete;
  MariaDb& operator=(const MariaDb&) = delete;

  bool Query() {
    char query[64];
    int size = std::snprintf(query, sizeof query, "SELECT %u + 1", ++number_);
    if (mysql_real_query(&mysql_, query, static_cast<unsigned long>(size)) != 0) return false;
    MYSQL_RES* result = mysql_store_result(&mysql_);
    if (result == nullptr) return false;
    MYSQL_ROW row = mysql_fetch_row(result);
    bool right =
        row != nullptr && row[0] != nullptr && std::strtoul(row[0], nullptr, 10) == number_ + 1ul;
    mysql_free_result(result);
    return right;
  }

 private:
  MYSQL mysql_;
  unsigned number_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseQueries(argc, argv, "SELECT of a number, by libmariadb.");
  // Before there are threads: it is not safe among them.
  mysql_library_init(0, nullptr, nullptr);
  bench::Queries<MariaDb>(options).Run();
}
