// Writes HTTP/1.1 messages: the original's CHttpResponseMaker, CHttpGetMaker, CHttpPostMaker.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace fastrpc {

namespace detail {

// Copies text and a NUL into a buffer. Returns the length of the text, or -1 if it does not fit.
inline int copy_text(std::string_view text, char* buffer, int size) {
  if (buffer == nullptr || size <= 0 || text.size() >= static_cast<std::size_t>(size)) return -1;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  return static_cast<int>(text.size());
}

// Removes line breaks, so that a value cannot add fields or a body of its own (header injection).
inline std::string strip_line_breaks(std::string_view text) {
  auto ends = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  std::string line(text);
  line.erase(std::remove_if(line.begin(), line.end(), ends), line.end());
  return line;
}

inline std::string html_escape(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// Percent-encodes what is never allowed in a start line. The rest is up to the caller.
inline std::string escape_unprintable(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string escaped;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f) {
      escaped += c;
    } else {
      escaped += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return escaped;
}

inline std::string http_response(std::string_view status, std::string_view content_type,
                                 std::string_view add_head, std::string_view content) {
  std::string response;
  response.reserve(128 + status.size() + content_type.size() + add_head.size() + content.size());
  response.append("HTTP/1.1 ").append(status);
  response.append("\r\nContent-Length: ").append(std::to_string(content.size()));
  response.append("\r\nContent-Type: ").append(strip_line_breaks(content_type));
  response.append(";charset=utf-8\r\n").append(add_head);
  bool ended = add_head.empty() || add_head.substr(add_head.size() - 1) == "\n";
  response += ended ? "\r\n" : "\r\n\r\n";
  response += content;
  return response;
}

}  // namespace detail

// Writes responses. All functions are static; any thread.
class CHttpResponseMaker {
 public:
  virtual ~CHttpResponseMaker() = default;

  // Writes a response with status 200 and a NUL into a buffer. Returns its length without the NUL,
  // or -1 if it does not fit.
  static int make(const char* content, int content_size, char* buffer, int buffer_size,
                  const char* content_type) {
    if (content_size < 0 || (content == nullptr && content_size > 0)) return -1;
    std::string_view body(content, static_cast<std::size_t>(content_size));
    std::string_view type = content_type != nullptr ? content_type : "text/html";
    return detail::copy_text(detail::http_response("200 OK", type, {}, body), buffer, buffer_size);
  }
  // `add_head`: more fields, each with its CRLF. `response` is overwritten.
  static void make_string(const std::string& content, std::string& response,
                          const std::string& content_type, const std::string& add_head) {
    response = detail::http_response("200 OK", content_type, add_head, content);
  }
  static void make_404_error(std::string& response) {
    response = detail::http_response("404 Not Found", "text/html", {},
                                     "<html><body>404 page not found</body></html>");
  }
  // Redirects the client to `location`; `move_to` is the text that people see.
  static void make_302_error(const std::string& location, const std::string& move_to,
                             std::string& response) {
    std::string line = detail::strip_line_breaks(location);
    std::string text = detail::html_escape(move_to);
    response =
        detail::http_response("302 Found", "text/html", "Location: " + line + "\r\n",
                              "<html><body>302 moved to <a href=\"" + detail::html_escape(line) +
                                  "\">" + text + "</a></body></html>");
  }
};

// Collects parameters: "a=1&b=2". Names and values are written verbatim; percent-encode reserved
// characters beforehand. One thread at a time.
class CHttpParamStringMaker {
 public:
  virtual ~CHttpParamStringMaker() = default;

  void add_param(const std::string& key, const std::string& value) {
    if (!params_.empty()) params_ += '&';
    params_ += detail::escape_unprintable(key) + "=" + detail::escape_unprintable(value);
  }
  void add_param(const std::string& key, int value) { add_param(key, std::to_string(value)); }
  // Sets parameters that are already encoded as one text; they go first.
  void set_paramlines(const std::string& lines) { lines_ = detail::escape_unprintable(lines); }
  [[nodiscard]] std::string get_params() const {
    return lines_ + (lines_.empty() || params_.empty() ? "" : "&") + params_;
  }

 private:
  std::string lines_;
  std::string params_;
};

// Writes requests. The functions with a buffer return the bytes written without the NUL, or -1 if
// the request does not fit. One thread at a time.
class CHttpMaker : public CHttpParamStringMaker {
 public:
  // Writes GET requests, as CHttpGetMaker does.
  int make(const std::string& host, unsigned short port, const std::string& uri, char* buffer,
           int buffer_size) {
    return GET_make(host, port, uri, buffer, buffer_size);
  }
  void make_string(const std::string& host, unsigned short port, const std::string& uri,
                   std::string& request) {
    GET_make_string(host, port, uri, request);
  }

  int GET_make(const std::string& host, unsigned short port, const std::string& uri, char* buffer,
               int buffer_size) {
    std::string request;
    GET_make_string(host, port, uri, request);
    return detail::copy_text(request, buffer, buffer_size);
  }
  void GET_make_string(const std::string& host, unsigned short port, const std::string& uri,
                       std::string& request) {
    std::string params = get_params();
    if (!params.empty()) params.insert(0, uri.find('?') == std::string::npos ? "?" : "&");
    request = head("GET", host, port, uri + params) + "\r\n";
  }

  int POST_make(const std::string& host, unsigned short port, const std::string& uri, char* buffer,
                int buffer_size) {
    std::string request;
    POST_make_string(host, port, uri, request);
    return detail::copy_text(request, buffer, buffer_size);
  }
  // Writes POST requests; the parameters are the body.
  void POST_make_string(const std::string& host, unsigned short port, const std::string& uri,
                        std::string& request) {
    std::string params = get_params();
    request = head("POST", host, port, uri) +
              "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
              std::to_string(params.size()) + "\r\n\r\n" + params;
  }

 private:
  static std::string head(const char* method, const std::string& host, unsigned short port,
                          const std::string& uri) {
    std::string target = detail::escape_unprintable(uri.empty() ? "/" : uri);
    return std::string(method) + " " + target +
           " HTTP/1.1\r\nHost: " + detail::strip_line_breaks(host) + ":" + std::to_string(port) +
           "\r\n";
  }
};

// A CHttpMaker whose make() and make_string() write GET requests.
class CHttpGetMaker : public CHttpMaker {};

// A CHttpMaker whose make() and make_string() write POST requests.
class CHttpPostMaker : public CHttpMaker {
 public:
  int make(const std::string& host, unsigned short port, const std::string& uri, char* buffer,
           int buffer_size) {
    return POST_make(host, port, uri, buffer, buffer_size);
  }
  void make_string(const std::string& host, unsigned short port, const std::string& uri,
                   std::string& request) {
    POST_make_string(host, port, uri, request);
  }
};

}  // namespace fastrpc
