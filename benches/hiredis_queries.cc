// Redis by hiredis' synchronous API: SET and GET in turn, of 16 bytes.
#include <hiredis/hiredis.h>

#include <cstring>

#include "common/queries.hpp"

namespace {

constexpr char kValue[] = "0123456789abcdef";

class Redis {
 public:
  explicit Redis(const bench::QueryOptions& options)
      : context_(redisConnect(options.host.c_str(), options.port)) {
    if (context_ == nullptr || context_->err != 0) {
      std::fprintf(stderr, "redis: %s\n", context_ != nullptr ? context_->errstr : "no memory");
      std::exit(1);
    }
  }
  ~Redis() { redisFree(context_); }
  Redis(const Redis&) = delete;
  Redis& operator=(const Redis&) = delete;

  bool Query() {
    sets_ = !sets_;
    const char* command = sets_ ? "SET key %b" : "GET key";
    auto* reply =
        static_cast<redisReply*>(redisCommand(context_, command, kValue, std::size_t{16}));
    if (reply == nullptr) return false;
    const char* wanted = sets_ ? "OK" : kValue;
    bool right = reply->str != nullptr && std::strcmp(reply->str, wanted) == 0;
    freeReplyObject(reply);
    return right;
  }

 private:
  redisContext* context_;
  bool sets_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseQueries(argc, argv, "SET and GET in turn, by hiredis.");
  bench::Queries<Redis>(options).Run();
}
