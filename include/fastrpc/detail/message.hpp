// Machinery of RPC: protobuf messages on their way into and out of buffers of the library.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <fastrpc/call.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace fastrpc::detail {

// Writes the message `user`, whose size was asked for just before: a fastrpc_fill_function.
inline void fill_message(void* user, std::uint8_t* buffer, std::size_t) {
  static_cast<const google::protobuf::Message*>(user)->SerializeWithCachedSizesToArray(buffer);
}

// The bytes that protobuf can carry.
constexpr std::size_t kMaxMessage = std::numeric_limits<std::int32_t>::max();

inline bool parse(google::protobuf::Message& message, std::string_view bytes) {
  return bytes.size() <= kMaxMessage &&
         message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// A descriptor's name: a std::string, or, since protobuf 30, a string view of abseil's.
template <typename Text>
std::string_view name_of(const Text& text) {
  return {text.data(), text.size()};
}

// Says that what came is not a message of the type that it should be.
inline std::string not_a(const google::protobuf::Message& message, const char* what) {
  return std::string("the ") + what + " is not a valid " + std::string(message.GetTypeName());
}

// Answers calls with messages.
class MessageReply {
 public:
  // Answers with a message, or with an error if it cannot be sent. Returns its size in the first
  // case.
  static std::optional<std::size_t> send(Call& call, const google::protobuf::Message& response) {
    if (!response.IsInitialized())
      return fail(call, "the response lacks " + response.InitializationErrorString());
    // Its size first: SerializeWithCachedSizes relies on it.
    std::size_t size = response.ByteSizeLong();
    if (size > kMaxMessage) return fail(call, "the response is too large");
    auto* user = const_cast<google::protobuf::Message*>(&response);
    call.send(nullptr, size, fill_message, user, nullptr);
    return size;
  }

 private:
  static std::nullopt_t fail(Call& call, const std::string& text) {
    (void)call.fail(FASTRPC_CODE_EINTERNAL, text, std::nothrow);
    return std::nullopt;
  }
};

}  // namespace fastrpc::detail
