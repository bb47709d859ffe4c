// Machinery of messages: bytes as the C ABI takes and returns them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fastrpc::detail {

inline const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

inline std::string_view view(const void* bytes, std::size_t size) {
  return {static_cast<const char*>(bytes), size};
}

// Whether T is a protobuf message, without a header of protobuf.
template <typename T, typename = void>
struct IsMessage : std::false_type {};
template <typename T>
struct IsMessage<T, std::void_t<decltype(std::declval<const T&>().GetTypeName()),
                                decltype(std::declval<const T&>().SerializeToString(
                                    std::declval<std::string*>()))>> : std::true_type {};
template <typename T>
using EnableIfMessage = std::enable_if_t<IsMessage<T>::value, int>;

}  // namespace fastrpc::detail
