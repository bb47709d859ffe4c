// The floor's frame: a head of two 32-bit numbers in host order, then the payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bench {

struct FrameHead {
  std::uint32_t size;  // of the payload
  std::uint32_t slot;  // which call; the answer carries it back
};

inline FrameHead ReadHead(const char* bytes) {
  FrameHead head;
  std::memcpy(&head, bytes, sizeof head);
  return head;
}

}  // namespace bench
