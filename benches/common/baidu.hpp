// Frames of baidu_std by hand.
#pragma once

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace bench {

constexpr std::size_t kHead = 12;  // "PRPC", size of all that follows, size of the meta

inline std::uint32_t ReadBig32(const char* bytes) {
  std::uint32_t value;
  std::memcpy(&value, bytes, sizeof value);
  return ntohl(value);
}

inline void AppendBig32(std::string& out, std::size_t value) {
  std::uint32_t big = htonl(static_cast<std::uint32_t>(value));
  out.append(reinterpret_cast<const char*>(&big), sizeof big);
}

inline void AppendVarint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

inline void AppendField(std::string& out, int number, const std::string& bytes) {
  AppendVarint(out, static_cast<std::uint64_t>(number) << 3 | 2);
  AppendVarint(out, bytes.size());
  out += bytes;
}

// A frame of a meta and a body.
inline std::string Frame(const std::string& meta, const std::string& body) {
  std::string frame = "PRPC";
  AppendBig32(frame, meta.size() + body.size());
  AppendBig32(frame, meta.size());
  return frame + meta + body;
}

}  // namespace bench
