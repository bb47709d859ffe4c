// Says hello over HTTP: by a route in today's spelling, or by an HttpHandler in the original's.
#include <fastrpc/http_maker.hpp>
#include <fastrpc/rpc_server.hpp>

#include "common/serve.hpp"

namespace {

class Hello final : public fastrpc::HttpHandler {
  void OnRec(fastrpc::HttpRequest* request, google::protobuf::Closure* done) override {
    fastrpc::CHttpResponseMaker::make_string("hello", request->response, "text/plain", "");
    done->Run();
  }
};

}  // namespace

int main(int argc, char** argv) {
  bench::Arguments arguments(argc, argv, "fastrpc's HTTP server in C++, one worker thread.",
                             {{"core", "-1", "run on this core alone; -1: anywhere"},
                              {"style", "route", "how it answers: route or handler"}});
  bench::PinToCore(arguments.Integer("core"));
  Hello hello;
  return bench::Serve(0, [&](auto& server) {
    if (arguments.Text("style") == "handler") {
      server.RegiHttpHandler(&hello);
    } else {
      server.route("GET", "/", [](fastrpc::http::Request&, fastrpc::http::Response& response) {
        response.text("hello");
      });
    }
  });
}
