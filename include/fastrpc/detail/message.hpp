// Machinery of RPC: messages on their way into buffers of the library.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace fastrpc::detail {

// A fastrpc_fill_function: writes the message `user`, whose size was asked for just before.
inline void fill_message(void* user, std::uint8_t* buffer, std::size_t) {
  static_cast<const google::protobuf::Message*>(user)->SerializeWithCachedSizesToArray(buffer);
}

// What protobuf can carry.
constexpr std::size_t kMaxMessage = std::numeric_limits<std::int32_t>::max();

inline bool parse(google::protobuf::Message& message, const void* bytes, std::size_t size) {
  return size <= kMaxMessage && message.ParseFromArray(bytes, static_cast<int>(size));
}

// A descriptor's name: a std::string, or, since protobuf 30, a string view of abseil's.
template <typename Text>
std::string_view name_of(const Text& text) {
  return {text.data(), text.size()};
}

}  // namespace fastrpc::detail
