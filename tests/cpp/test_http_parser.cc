// Reading and writing messages of HTTP/1.1 with the original's classes.
#include <fastrpc/http_parser.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "check.hpp"

using namespace fastrpc;

namespace {

int size_of(const std::string& text) {
  return static_cast<int>(text.size());
}

int length_of(const std::string& text) {
  return CHttpLengthAnaly::get_length(text.data(), size_of(text));
}

void a_get_request_is_taken_apart() {
  std::string text =
      "GET /static/index.html?kk=23424&n=-5&kk=2&_x=1&e=a%20b HTTP/1.1\r\n"
      "Host: here\r\nCookie: a=1; b=2\r\nX-Twice: one\r\nx-twice: two\r\n\r\nignored=1";
  CHttpParser parser(text.data(), size_of(text));
  CHECK(parser.get_http_method() == HTTP_UTIL_METHOD_GET && parser.get_method_name() == "GET");
  CHECK(parser.get_uri() == "/static/index.html" && parser.get_object() == "index.html");
  CHECK(parser.get_param("kk") == "23424" && parser.get_param_int("kk") == 23424);
  CHECK(parser.get_param_int("n") == -5 && parser.get_param_int("none") == 0);
  CHECK(parser.get_param("_x").empty() && parser.get_param("e") == "a%20b");
  CHECK_EQ(parser.get_param_string(), "kk=23424&n=-5&kk=2&_x=1&e=a%20b");
  CHECK(parser.get_cookie() == "a=1; b=2" && parser.get_head_field("X-Twice") == "one");
  CHECK(parser.get_head_field("HOST") == "here" && parser.get_head_field("None").empty());
  parser.parse_form_body();
  CHECK(parser.get_param("ignored").empty() && parser.getContentLen() == 0);
}

void a_form_adds_to_the_parameters_of_the_target() {
  std::string text =
      "POST /do?a=1 HTTP/1.1\r\nContent-Length: 11\r\n\r\na=2&b=3&c=4not of the body=1";
  CHttpParser parser(text.data(), size_of(text));
  CHECK(parser.getContentLen() == 11 && parser.get_param("b").empty());
  parser.parse_form_body();
  CHECK(parser.get_param("a") == "1" && parser.get_param("b") == "3");
  CHECK(parser.get_param("c") == "4" && parser.get_param_string() == "a=1");
  // What came in chunks is handed in by whoever read them.
  std::string chunked =
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=7\r\n0\r\n\r\n";
  CHttpParser other(chunked.data(), size_of(chunked), HTTP_UTIL_PARAM_CONTENT);
  other.set_body("a=7");
  other.parse_form_body();
  CHECK(other.get_param_int("a") == 7 && other.get_param_string() == "a=7");
}

void each_kind_of_parameter_can_be_left_out() {
  std::string text = "POST /?a=1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nb=2";
  CHttpParser head(text.data(), size_of(text), HTTP_UTIL_PARAM_HEADPARAM);
  head.parse_form_body();
  CHECK(head.get_param("a") == "1" && head.get_param("b").empty());
  CHttpParser content(text.data(), size_of(text), HTTP_UTIL_PARAM_CONTENT);
  content.parse_form_body();
  CHECK(content.get_param("a").empty() && content.get_param("b") == "2");
}

void targets_of_every_form_have_an_object() {
  const std::vector<std::pair<std::string, std::string>> objects = {
      {"/", ""},       {"/a/b/c?d=/e", "c"}, {"http://127/aa/bb/cc?fff=999", "cc"},
      {"/a/", ""},     {"http://127", ""},   {"http://127?x=1", ""},
      {"/a#b/c", "a"}, {"*", "*"},           {"/only", "only"},
  };
  for (const auto& [target, object] : objects) {
    std::string text = "GET " + target + " HTTP/1.1\r\n\r\n";
    CHttpParser parser;
    CHECK_EQ(parser.parse_head(text.data(), size_of(text)), size_of(text));
    CHECK_EQ(parser.get_object(), object);
  }
}

void responses_and_other_methods_are_read() {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  CHttpParser parser(text.data(), size_of(text));
  CHECK(parser.get_http_method() == HTTP_UTIL_METHOD_RESP && parser.getContentLen() == 2);
  CHECK(parser.get_method_name().empty());
  text = "PUT /x HTTP/1.1\nA:b\n\n";
  CHECK_EQ(parser.parse_head(text.data(), size_of(text)), size_of(text));
  CHECK(parser.get_http_method() == HTTP_UTIL_METHOD_NONE && parser.get_method_name() == "PUT");
  CHECK(parser.get_head_field("A") == "b" && parser.getContentLen() == 0);
}

void bad_heads_are_refused_and_leave_nothing() {
  const std::vector<std::string> bad = {
      "GET\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / \r\n\r\n",
      "GET /a b HTTP/1.1\r\n\r\n",
      "G\001T / HTTP/1.1\r\n\r\n",
      " GET / HTTP/1.1\r\n\r\n",
      "\r\nGET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon\r\n\r\n",
      "GET / HTTP/1.1\r\nBlank : before\r\n\r\n",
      "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
      "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
      "GET / HTTP/1.1\r\n: none\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\ntransfer-encoding: gzip\r\n\r\n1",
      "PRPC\001\002\003\004",
      std::string("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27),
  };
  for (const auto& text : bad) {
    CHttpParser parser;
    CHECK_EQ(parser.parse_head(text.data(), size_of(text)), -1);
    CHECK(parser.get_uri().empty() && parser.get_head_field("A").empty());
    CHECK_EQ(length_of(text), -1);
  }
  CHttpParser parser;
  CHECK(parser.parse_head(nullptr, 5) == -1 && parser.parse_head("GET", -1) == -1);
  CHECK(parser.get_param(static_cast<const char*>(nullptr)).empty());
}

void every_beginning_of_a_message_is_incomplete() {
  for (const std::string& whole :
       {std::string("POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
                    "4;ext=1\r\nabcd\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")}) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK_EQ(CHttpLengthAnaly::get_length(whole.data(), static_cast<int>(size)), 0);
    CHECK_EQ(length_of(whole), size_of(whole));
    CHECK_EQ(length_of(whole + "GET / HTTP/1.1\r\n"), size_of(whole));
  }
}

void lengths_tell_where_the_body_is() {
  std::string text = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcrest";
  int position = -1, length = -1;
  CHECK(CHttpLengthAnaly::get_length_ex(text.data(), size_of(text), position, length) ==
        size_of(text) - 4);
  CHECK(text.substr(static_cast<std::size_t>(position), 3) == "abc" && length == 3);
  CHECK_EQ(length_of("HTTP/1.1 204 No Content\r\n\r\nnext"), 27);
  CHECK_EQ(length_of("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), 48);
  // How requests are smuggled, and chunks that are none.
  CHECK(length_of("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        -1);
  std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK_EQ(length_of(chunked + "x\r\n"), -1);
  CHECK_EQ(length_of(chunked + "1\r\na"), 0);
  CHECK_EQ(length_of(chunked + "1\r\nab\r\n"), -1);
  CHECK_EQ(length_of(chunked + "ffffffffffffffff\r\n"), -1);
  CHECK_EQ(length_of(std::string((1 << 20) + 1, 'a')), -1);
}

void urls_are_decoded_as_the_original_did() {
  CHECK_EQ(CHttpParser::UrlDecode("a+b%20c%e4%BD%A0"), "a b c\xe4\xbd\xa0");
  CHECK_EQ(CHttpParser::UrlDecode("%41%2F%26"), "%41%2F%26");
  CHECK(CHttpParser::UrlDecode("%") == "%" && CHttpParser::UrlDecode("%2") == "%2");
  CHECK(CHttpParser::UrlDecode("%zz%3") == "%zz%3" && CHttpParser::UrlDecode("%25") == "%");
}

void parameters_come_from_any_text() {
  CHttpParamParser parser("&&a=&=b&c&d=1=2&big=99999999999&", 32);
  CHECK(parser.get_param("a").empty() && parser.get_param("c").empty());
  CHECK(parser.get_param("d") == "1=2" && parser.get_param_int("big") == 2147483647);
  CHECK(parser.parse("e=5", 3) && parser.get_param_int("e") == 5);
  CHECK(!parser.parse(nullptr, 3) && !parser.parse("x", -1));
}

void responses_are_written_as_the_original_did() {
  std::string response, type = "text/html", more = "Connection: keep-alive\r\n";
  CHttpResponseMaker::make_string("hello", response, type, more);
  CHECK(response ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html;charset=utf-8\r\n"
        "Connection: keep-alive\r\n\r\nhello");
  CHECK_EQ(length_of(response), size_of(response));
  CHttpResponseMaker::make_string(std::string("\0x", 2), response, type, "A: b");
  CHECK_EQ(length_of(response), size_of(response));

  char buffer[128];
  int made = CHttpResponseMaker::make("hi", 2, buffer, sizeof buffer, "text/plain");
  CHECK(made > 0 && buffer[made] == '\0' && length_of(std::string(buffer)) == made);
  CHECK_EQ(CHttpResponseMaker::make("hi", 2, buffer, made, "text/plain"), -1);
  CHECK_EQ(CHttpResponseMaker::make("hi", -1, buffer, sizeof buffer, "text/plain"), -1);

  CHttpResponseMaker::make_404_error(response);
  CHECK(response.rfind("HTTP/1.1 404 ", 0) == 0 && length_of(response) == size_of(response));
  CHttpResponseMaker::make_302_error("/there\r\nSet-Cookie: evil=1", "<b>", response);
  CHttpParser parser(response.data(), size_of(response));
  CHECK_EQ(parser.get_head_field("Location"), "/thereSet-Cookie: evil=1");
  CHECK(parser.get_head_field("Set-Cookie").empty());
  CHECK(response.find("<b>") == std::string::npos && length_of(response) == size_of(response));
}

void requests_are_written_and_read_back() {
  CHttpGetMaker get;
  get.add_param("a", "x y\r\n");
  get.add_param("b", 2);
  get.set_paramlines("c=3");
  std::string request;
  get.make_string("127.0.0.1", 8998, "/path", request);
  CHECK(request == "GET /path?c=3&a=x%20y%0D%0A&b=2 HTTP/1.1\r\nHost: 127.0.0.1:8998\r\n\r\n");
  get.make_string("h", 1, "/path?z=1", request);
  CHttpParser parser(request.data(), size_of(request));
  CHECK(parser.get_param("z") == "1" && parser.get_param_int("b") == 2);

  CHttpPostMaker post;
  post.add_param("a", "1");
  char buffer[256];
  int made = post.make("h", 80, "", buffer, sizeof buffer);
  CHECK_EQ(made, CHttpLengthAnaly::get_length(buffer, made));
  CHECK(parser.parse_head(buffer, made) > 0);
  parser.parse_form_body();
  CHECK(parser.get_http_method() == HTTP_UTIL_METHOD_POST && parser.get_param("a") == "1");
  CHECK(parser.get_uri() == "/" && post.make("h", 80, "", buffer, 10) == -1);
}

}  // namespace

int main() {
  RUN(a_get_request_is_taken_apart);
  RUN(a_form_adds_to_the_parameters_of_the_target);
  RUN(each_kind_of_parameter_can_be_left_out);
  RUN(targets_of_every_form_have_an_object);
  RUN(responses_and_other_methods_are_read);
  RUN(bad_heads_are_refused_and_leave_nothing);
  RUN(every_beginning_of_a_message_is_incomplete);
  RUN(lengths_tell_where_the_body_is);
  RUN(urls_are_decoded_as_the_original_did);
  RUN(parameters_come_from_any_text);
  RUN(responses_are_written_as_the_original_did);
  RUN(requests_are_written_and_read_back);
}
