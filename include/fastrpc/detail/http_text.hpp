// Machinery of http_parser.hpp: where a message of HTTP/1 ends, and what its head says.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

namespace fastrpc::detail {

// Where a message ends. A malformed one ends nowhere.
struct HttpFrame {
  enum State { kMalformed = -1, kIncomplete = 0, kWhole = 1 };

  State state = kIncomplete;
  // Bytes of the head with its empty line; 0 until it is there.
  std::size_t head_size = 0;
  // Bytes after the head, as they are on the wire.
  std::size_t body_size = 0;
  bool chunked = false;
  // A response that ends when its sender closes; `body_size` is 0 then.
  bool until_close = false;
};

// A head that is larger than that is malformed.
constexpr std::size_t kMaxHttpHead = 1 << 20;

inline bool is_http_token(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
  });
}

inline char http_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Compares names without regard to case, as HTTP does.
inline bool same_http_name(std::string_view a, std::string_view b) {
  auto same = [](char x, char y) { return http_lower(x) == http_lower(y); };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same);
}

inline std::string_view http_trim(std::string_view text) {
  auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Takes the line at the front of `text` off, without its end. False if no line ends in it.
inline bool take_http_line(std::string_view& text, std::string_view& line) {
  auto end = text.find('\n');
  if (end == std::string_view::npos) return false;
  line = text.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  text.remove_prefix(end + 1);
  return true;
}

// A number of the given base that fills all of `text`.
inline bool http_number(std::string_view text, unsigned base, std::size_t& number) {
  number = 0;
  for (char c : text) {
    unsigned digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (http_lower(c) >= 'a' && http_lower(c) <= 'f')
      digit = static_cast<unsigned>(http_lower(c) - 'a') + 10;
    if (digit >= base || number > (std::numeric_limits<int>::max() - digit) / base) return false;
    number = number * base + digit;
  }
  return !text.empty();
}

// The first line in its three parts. A response has its version where a request has its method.
struct HttpFirstLine {
  std::string_view method, target, version;
  bool is_response = false;

  bool parse(std::string_view line) {
    auto first = line.find(' ');
    if (first == std::string_view::npos) return false;
    method = line.substr(0, first);
    target = line.substr(first + 1);
    is_response = method.substr(0, 5) == "HTTP/";
    if (is_response) return true;
    auto last = target.rfind(' ');
    if (last == std::string_view::npos) return false;
    version = target.substr(last + 1);
    target = target.substr(0, last);
    return is_http_token(method) && !target.empty() && version.substr(0, 5) == "HTTP/" &&
           target.find(' ') == std::string_view::npos;
  }
};

// Gives each field of a head, without its first line, to `use(name, value)`. False if one is
// malformed.
template <typename Use>
bool each_http_field(std::string_view head, Use use) {
  std::string_view line;
  while (take_http_line(head, line) && !line.empty()) {
    auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_http_token(line.substr(0, colon))) return false;
    if (line.find('\r') != std::string_view::npos) return false;
    if (line.find('\0') != std::string_view::npos) return false;
    use(line.substr(0, colon), http_trim(line.substr(colon + 1)));
  }
  return true;
}

// The size of a head with its empty line, 0 if that is not there yet.
inline std::size_t http_head_size(std::string_view data) {
  std::string_view rest = data, line;
  while (take_http_line(rest, line))
    if (line.empty()) return data.size() - rest.size();
  return 0;
}

// Finds the end of a body in chunks. Appends what they carry to `body`, unless that is NULL.
inline HttpFrame::State http_chunks(std::string_view data, std::size_t& size, std::string* body) {
  std::string_view rest = data, line;
  while (take_http_line(rest, line)) {
    std::size_t chunk = 0;
    if (!http_number(http_trim(line.substr(0, line.find(';'))), 16, chunk))
      return HttpFrame::kMalformed;
    if (chunk == 0) {
      // The trailer: fields up to an empty line.
      while (take_http_line(rest, line)) {
        if (!line.empty()) continue;
        size = data.size() - rest.size();
        return HttpFrame::kWhole;
      }
      return HttpFrame::kIncomplete;
    }
    if (rest.size() < chunk) return HttpFrame::kIncomplete;
    if (body != nullptr) body->append(rest.substr(0, chunk));
    rest.remove_prefix(chunk);
    if (rest.empty() || rest == "\r") return HttpFrame::kIncomplete;
    if (!take_http_line(rest, line) || !line.empty()) return HttpFrame::kMalformed;
  }
  return HttpFrame::kIncomplete;
}

// Whether `data` can be the beginning of a message.
inline bool may_be_http(std::string_view data) {
  auto end = data.find_first_of(" \r\n");
  std::string_view word = data.substr(0, std::min(end, std::size_t{32}));
  if (word.empty()) return data.empty();
  if (word.substr(0, 5) == "HTTP/") return true;
  return (end == std::string_view::npos || data[end] == ' ') && is_http_token(word) &&
         word.size() < 32;
}

// Looks for the end of the message that begins with `data`.
inline HttpFrame find_http_frame(std::string_view data) {
  HttpFrame frame;
  frame.head_size = http_head_size(data);
  if (frame.head_size == 0) {
    bool hopeful = may_be_http(data) && data.size() <= kMaxHttpHead;
    frame.state = hopeful ? HttpFrame::kIncomplete : HttpFrame::kMalformed;
    return frame;
  }
  frame.state = HttpFrame::kMalformed;
  std::string_view rest = data.substr(0, frame.head_size), line;
  HttpFirstLine first;
  if (!take_http_line(rest, line) || !first.parse(line)) return frame;
  bool has_length = false, lengths_agree = true, encoded = false;
  std::size_t length = 0;
  bool well_formed = each_http_field(rest, [&](std::string_view name, std::string_view value) {
    std::size_t said = 0;
    if (same_http_name(name, "content-length")) {
      bool number = http_number(value, 10, said);
      lengths_agree = lengths_agree && number && (!has_length || said == length);
      has_length = true;
      length = said;
    } else if (same_http_name(name, "transfer-encoding")) {
      encoded = true;
      frame.chunked =
          value.size() >= 7 && same_http_name(value.substr(value.size() - 7), "chunked");
    }
  });
  // Both at once is how requests are smuggled.
  if (!well_formed || !lengths_agree || (encoded && has_length)) return frame;
  std::string_view body = data.substr(frame.head_size);
  if (frame.chunked) {
    frame.state = http_chunks(body, frame.body_size, nullptr);
    return frame;
  }
  std::string_view code = first.target.substr(0, 3);
  bool bodyless = code.substr(0, 1) == "1" || code == "204" || code == "304";
  frame.until_close = first.is_response && !has_length && !bodyless;
  frame.body_size = first.is_response && bodyless ? 0 : length;
  frame.state = body.size() < frame.body_size ? HttpFrame::kIncomplete : HttpFrame::kWhole;
  return frame;
}

}  // namespace fastrpc::detail
