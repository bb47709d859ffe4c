// The floor's client: frames of a length, a number and a payload, in a closed loop.
#include <string>

#include "common/closed_loop.hpp"
#include "common/frame.hpp"

namespace {

class FrameCodec {
 public:
  explicit FrameCodec(std::size_t bytes) : payload_(bytes, 'x') {}

  void AppendRequest(bench::Buffer& out, std::uint32_t slot) {
    bench::FrameHead head{static_cast<std::uint32_t>(payload_.size()), slot};
    char* frame = out.Extend(sizeof head + payload_.size());
    std::memcpy(frame, &head, sizeof head);
    std::memcpy(frame + sizeof head, payload_.data(), payload_.size());
  }

  bench::Answer ParseAnswer(const char* bytes, std::size_t size) {
    if (size < sizeof(bench::FrameHead)) return {};
    bench::FrameHead head = bench::ReadHead(bytes);
    std::size_t whole = sizeof head + head.size;
    if (size < whole) return {};
    return {whole, head.slot, head.size == payload_.size()};
  }

 private:
  std::string payload_;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseClient(argc, argv, "The floor's client: a closed loop of frames.");
  return bench::ClosedLoop(options, FrameCodec(options.bytes)).Run();
}
