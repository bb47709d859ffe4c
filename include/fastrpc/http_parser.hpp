// Reads messages of HTTP/1.1: the original's CHttpParser, CHttpParamParser, CHttpLengthAnaly.
#pragma once

#include <fastrpc/detail/http_text.hpp>
#include <fastrpc/http_maker.hpp>

#include <map>

namespace fastrpc {

enum HttpMethodType {
  HTTP_UTIL_METHOD_NONE,
  HTTP_UTIL_METHOD_GET,
  HTTP_UTIL_METHOD_POST,
  // A response.
  HTTP_UTIL_METHOD_RESP
};

// Which parameters a CHttpParser reads.
enum HttpParamType {
  HTTP_UTIL_PARAM_ALL,
  // Those after the question mark.
  HTTP_UTIL_PARAM_HEADPARAM,
  // Those of the body.
  HTTP_UTIL_PARAM_CONTENT
};

// Tells where a message ends: -1 for one that is malformed, 0 for one that is not whole yet, else
// its bytes. The body of a response that has no length ends with its head here.
class CHttpLengthAnaly {
 public:
  virtual ~CHttpLengthAnaly() = default;

  static int get_length(const char* data, int size) {
    int position = 0, length = 0;
    return get_length_ex(data, size, position, length);
  }
  // Also where the body begins and how many bytes it has on the wire, as far as known.
  static int get_length_ex(const char* data, int size, int& content_position, int& content_size) {
    content_position = content_size = 0;
    if (size < 0 || (data == nullptr && size > 0)) return -1;
    auto frame = detail::find_http_frame({data, static_cast<std::size_t>(size)});
    if (frame.state == detail::HttpFrame::kMalformed) return -1;
    content_position = static_cast<int>(frame.head_size);
    content_size = static_cast<int>(frame.body_size);
    if (frame.state == detail::HttpFrame::kIncomplete) return 0;
    if (frame.body_size > std::numeric_limits<int>::max() - frame.head_size) return -1;
    return content_position + content_size;
  }
};

// Reads parameters: "a=1&b=2". A name begins with a letter; of two with one name the first counts.
// Nothing is percent-decoded. One thread at a time.
class CHttpParamParser {
 public:
  CHttpParamParser(const char* text = nullptr, int size = 0) {
    if (text != nullptr) parse(text, size);
  }
  virtual ~CHttpParamParser() = default;

  // Adds the parameters of a text to those that are there.
  bool parse(const char* text, int size) {
    if (text == nullptr || size < 0) return false;
    std::string_view rest(text, static_cast<std::size_t>(size));
    while (!rest.empty()) {
      auto end = std::min(rest.find('&'), rest.size());
      add(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return true;
  }

  // Empty if there is none of that name.
  [[nodiscard]] std::string get_param(const char* key) const {
    if (key == nullptr) return {};
    auto found = values_.find(std::string_view(key));
    return found != values_.end() ? found->second : std::string();
  }
  // 0 if there is none, or if it is no number.
  [[nodiscard]] int get_param_int(const char* key) const {
    long long value = std::strtoll(get_param(key).c_str(), nullptr, 10);
    constexpr long long kLow = std::numeric_limits<int>::min();
    constexpr long long kHigh = std::numeric_limits<int>::max();
    return static_cast<int>(std::clamp(value, kLow, kHigh));
  }

 private:
  void add(std::string_view pair) {
    auto equal = pair.find('=');
    if (equal == std::string_view::npos || equal == 0) return;
    char first = detail::http_lower(pair.front());
    if (first < 'a' || first > 'z') return;
    values_.emplace(pair.substr(0, equal), pair.substr(equal + 1));
  }

  std::map<std::string, std::string, std::less<>> values_;
};

// Reads the head of a message and the parameters of its target and body. The head is copied; the
// data must live until parse_form_body(). One thread at a time.
class CHttpParser {
 public:
  CHttpParser(const char* data = nullptr, int size = 0, int type = HTTP_UTIL_PARAM_ALL) {
    if (data != nullptr) read(data, size, type);
  }
  virtual ~CHttpParser() = default;

  // '+' becomes a blank and %XX its character, unless that is a letter, a digit or one of
  // !#$&'()*+,-./:;=?@_~ which stay as they are.
  static std::string UrlDecode(const std::string& text) {
    static constexpr std::string_view kKept = "!#$&'()*+,-./:;=?@_~";
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::size_t code = 0;
      bool escape = text[i] == '%' && text.size() - i > 2 &&
                    detail::http_number(std::string_view(text).substr(i + 1, 2), 16, code);
      char c = static_cast<char>(code);
      char lower = detail::http_lower(c);
      bool kept = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
                  kKept.find(c) != std::string_view::npos;
      if (escape && !kept) {
        decoded += c;
        i += 2;
      } else {
        decoded += text[i] == '+' ? ' ' : text[i];
      }
    }
    return decoded;
  }

  // Reads the head at the front of `data`, and the parameters of its target. Gives the bytes of the
  // head, 0 if it is not whole, -1 if it is malformed; nothing can be got then.
  int parse_head(const char* data, int size, int type = HTTP_UTIL_PARAM_ALL) {
    *this = CHttpParser();
    return read(data, size, type);
  }

  // Takes these bytes as the body: for one that came in chunks. They must live until
  // parse_form_body().
  void set_body(std::string_view body) {
    body_ = body;
    if (has_length_) body_ = body_.substr(0, static_cast<std::size_t>(content_length_));
  }

  // Reads the parameters of the body, if it is not a GET request.
  void parse_form_body() {
    if (type_ == HTTP_UTIL_PARAM_HEADPARAM || method_type_ == HTTP_UTIL_METHOD_GET) return;
    if (query_.empty()) query_ = body_;
    params_.parse(body_.data(), static_cast<int>(body_.size()));
    body_ = {};
  }

  // What the head says; 0 if it says nothing.
  [[nodiscard]] int getContentLen() const { return content_length_; }

  // The value of a field, the first if there are several; names in any case. Empty if there is
  // none.
  [[nodiscard]] std::string get_head_field(const std::string& name) const {
    std::string_view found;
    bool is_first = true;
    detail::each_http_field(fields_, [&](std::string_view other, std::string_view value) {
      if (!is_first || !detail::same_http_name(name, other)) return;
      found = value;
      is_first = false;
    });
    return std::string(found);
  }
  [[nodiscard]] std::string get_cookie() const { return get_head_field("Cookie"); }

  // A parameter, not percent-decoded. Empty if there is none.
  [[nodiscard]] std::string get_param(const char* key) const { return params_.get_param(key); }
  [[nodiscard]] std::string get_param(const std::string& key) const {
    return params_.get_param(key.c_str());
  }
  // 0 if there is none, or if it is no number.
  [[nodiscard]] int get_param_int(const char* key) const { return params_.get_param_int(key); }
  // The parameters as they came, such as "a=1&b=2"; those of the body if the target has none.
  [[nodiscard]] std::string get_param_string() const { return query_; }

  // The target without parameters, such as "/static/index.html".
  [[nodiscard]] std::string get_uri() const { return uri_; }
  // What follows the last slash of it, such as "index.html".
  [[nodiscard]] std::string get_object() const {
    std::string_view path = uri_;
    auto scheme = path.find("://");
    if (scheme != std::string_view::npos) {
      path.remove_prefix(scheme + 3);
      path.remove_prefix(std::min(path.find('/'), path.size()));
    }
    auto slash = path.rfind('/');
    return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
  }

  // An HttpMethodType; HTTP_UTIL_METHOD_NONE for methods other than GET and POST.
  [[nodiscard]] int get_http_method() const { return method_type_; }
  // The method as it came, such as "PUT"; empty for a response.
  [[nodiscard]] std::string get_method_name() const { return method_; }

 private:
  // parse_head() for an object that is as new.
  int read(const char* data, int size, int type) {
    if (data == nullptr || size < 0) return -1;
    std::string_view text(data, static_cast<std::size_t>(size));
    std::size_t head_size = detail::http_head_size(text);
    if (head_size == 0) return detail::may_be_http(text) ? 0 : -1;
    if (head_size > detail::kMaxHttpHead || !read_head(text.substr(0, head_size), type)) {
      *this = CHttpParser();
      return -1;
    }
    set_body(text.substr(head_size));
    type_ = type;
    return static_cast<int>(head_size);
  }

  bool read_head(std::string_view head, int type) {
    std::string_view line;
    detail::HttpFirstLine first;
    if (!detail::take_http_line(head, line) || !first.parse(line)) return false;
    if (first.is_response) {
      method_type_ = HTTP_UTIL_METHOD_RESP;
    } else {
      read_target(first, type);
    }
    fields_ = head;
    bool lengths_agree = true, encoded = false;
    bool well_formed =
        detail::each_http_field(head, [&](std::string_view name, std::string_view value) {
          encoded = encoded || detail::same_http_name(name, "transfer-encoding");
          if (!detail::same_http_name(name, "content-length")) return;
          std::size_t length = 0;
          bool number = detail::http_number(value, 10, length);
          bool same = !has_length_ || static_cast<int>(length) == content_length_;
          lengths_agree = lengths_agree && number && same;
          has_length_ = true;
          content_length_ = static_cast<int>(length);
        });
    // Both at once is how requests are smuggled.
    return well_formed && lengths_agree && !(has_length_ && encoded);
  }

  void read_target(const detail::HttpFirstLine& first, int type) {
    method_ = first.method;
    if (method_ == "GET") method_type_ = HTTP_UTIL_METHOD_GET;
    if (method_ == "POST") method_type_ = HTTP_UTIL_METHOD_POST;
    std::string_view target = first.target.substr(0, first.target.find('#'));
    auto question = target.find('?');
    uri_ = target.substr(0, question);
    if (question == std::string_view::npos) return;
    query_ = target.substr(question + 1);
    if (type != HTTP_UTIL_PARAM_CONTENT)
      params_.parse(query_.data(), static_cast<int>(query_.size()));
  }

  int type_ = HTTP_UTIL_PARAM_ALL;
  int method_type_ = HTTP_UTIL_METHOD_NONE;
  int content_length_ = 0;
  bool has_length_ = false;
  std::string method_;
  std::string uri_;
  std::string query_;
  // As they came: most are never asked for.
  std::string fields_;
  CHttpParamParser params_;
  std::string_view body_;
};

}  // namespace fastrpc
