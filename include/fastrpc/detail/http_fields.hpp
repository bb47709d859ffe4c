// Machinery of http::Request: its header fields and parameters as ranges.
#pragma once

#include <fastrpc/fastrpc.h>

#include <cstddef>
#include <iterator>
#include <string_view>

namespace fastrpc::http {

// A header field or a parameter: its name and its value.
struct Field {
  std::string_view name;
  std::string_view value;
};

}  // namespace fastrpc::http

namespace fastrpc::detail {

// A range of fields, for `for (auto [name, value] : range)`; `At` is the C function that returns
// one by its number.
template <auto At>
class HttpFields {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = http::Field;
    using difference_type = std::ptrdiff_t;
    using pointer = const http::Field*;
    using reference = const http::Field&;

    // The end.
    iterator() = default;
    explicit iterator(const fastrpc_http_exchange* exchange) : exchange_(exchange) { load(); }

    reference operator*() const { return field_; }
    pointer operator->() const { return &field_; }
    iterator& operator++() {
      ++index_;
      load();
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++*this;
      return before;
    }
    // Whether both are at the end, or at the same field of the same range.
    bool operator==(const iterator& other) const {
      return exchange_ == other.exchange_ && (exchange_ == nullptr || index_ == other.index_);
    }
    bool operator!=(const iterator& other) const { return !(*this == other); }

   private:
    void load() {
      const char *name = nullptr, *value = nullptr;
      std::size_t name_size = 0, value_size = 0;
      if (At(exchange_, index_, &name, &name_size, &value, &value_size)) {
        field_ = {{name, name_size}, {value, value_size}};
      } else {
        exchange_ = nullptr;
      }
    }

    const fastrpc_http_exchange* exchange_ = nullptr;
    std::size_t index_ = 0;
    http::Field field_;
  };

  explicit HttpFields(const fastrpc_http_exchange* exchange) : exchange_(exchange) {}

  [[nodiscard]] iterator begin() const { return iterator(exchange_); }
  [[nodiscard]] iterator end() const { return {}; }

 private:
  const fastrpc_http_exchange* exchange_;
};

// A parameter of a form by its number: of a body that was read, so that nothing can fail.
inline bool http_form_at(const fastrpc_http_exchange* exchange, std::size_t index,
                         const char** name, std::size_t* name_size, const char** value,
                         std::size_t* value_size) {
  return fastrpc_http_form_at(exchange, index, name, name_size, value, value_size, nullptr);
}

}  // namespace fastrpc::detail
