// A load client for any baidu_std server, ours or another: no library, request frames made before
// the run and only stamped with their correlation id. It costs so little that what it measures is
// the server alone.
#include <string>

#include "common/baidu.hpp"
#include "common/closed_loop.hpp"

namespace {

using bench::AppendField;
using bench::AppendVarint;
using bench::kHead;
using bench::ReadBig32;

// Reads the fields of one protobuf message; stops at the first byte that makes no sense.
class Fields {
 public:
  Fields(const char* bytes, std::size_t size) : at_(bytes), end_(bytes + size) {}

  // Moves to the next field, after which number(), value() and bytes() tell of it.
  bool Next() {
    std::uint64_t key;
    if (at_ == end_ || !Varint(&key)) return false;
    number_ = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0:
        return Varint(&value_);
      case 1:
        return Skip(8);
      case 2:
        return Varint(&value_) && Skip(value_);
      case 5:
        return Skip(4);
      default:
        return false;
    }
  }

  std::uint32_t number() const { return number_; }
  std::uint64_t value() const { return value_; }
  Fields Message() const { return Fields(at_ - value_, value_); }

 private:
  bool Varint(std::uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64 && at_ < end_; shift += 7) {
      auto byte = static_cast<unsigned char>(*at_++);
      *value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool Skip(std::uint64_t size) {
    if (static_cast<std::uint64_t>(end_ - at_) < size) return false;
    at_ += size;
    return true;
  }

  const char* at_;
  const char* end_;
  std::uint32_t number_ = 0;
  std::uint64_t value_ = 0;
};

class BaiduCodec {
 public:
  explicit BaiduCodec(const bench::ClientOptions& options) {
    std::string request;
    AppendField(request, 1, options.service);
    AppendField(request, 2, options.method);
    std::string meta;
    AppendField(meta, 1, request);
    meta.push_back(4 << 3);
    id_at_ = kHead + meta.size();
    AppendVarint(meta, kFirstId);
    std::string body;
    AppendField(body, 1, std::string(options.bytes, 'x'));
    body_size_ = body.size();

    frame_ = bench::Frame(meta, body);
  }

  void AppendRequest(bench::Buffer& out, std::uint32_t slot) {
    char* frame = out.Extend(frame_.size());
    std::memcpy(frame, frame_.data(), frame_.size());
    std::uint64_t id = kFirstId + slot;
    for (char* byte = frame + id_at_; id != 0; id >>= 7) {
      *byte++ = static_cast<char>((id & 0x7f) | (id >= 0x80 ? 0x80 : 0));
    }
  }

  bench::Answer ParseAnswer(const char* bytes, std::size_t size) {
    if (size < kHead) return {};
    std::size_t whole = kHead + ReadBig32(bytes + 4);
    std::size_t meta = ReadBig32(bytes + 8);
    if (std::memcmp(bytes, "PRPC", 4) != 0 || kHead + meta > whole) return kNonsense;
    if (size < whole) return {};

    std::uint64_t id = 0;
    std::uint64_t code = 0;
    for (Fields fields(bytes + kHead, meta); fields.Next();) {
      if (fields.number() == 4) id = fields.value();
      if (fields.number() == 2) {
        for (Fields response = fields.Message(); response.Next();) {
          if (response.number() == 1) code = response.value();
        }
      }
    }
    if (id < kFirstId || id - kFirstId > UINT32_MAX) return kNonsense;
    bool right = code == 0 && whole - kHead - meta == body_size_;
    return {whole, static_cast<std::uint32_t>(id - kFirstId), right};
  }

 private:
  // Every id is as long as this one on the wire, so that it can be stamped into a ready frame.
  static constexpr std::uint64_t kFirstId = std::uint64_t{1} << 40;
  // No connection has so many calls in flight: the loop gives up on it.
  static constexpr bench::Answer kNonsense{kHead, UINT32_MAX, false};

  std::string frame_;
  std::size_t id_at_;
  std::size_t body_size_;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseClient(
      argc, argv, "A raw baidu_std load client: prebuilt frames, one write per batch.");
  return bench::ClosedLoop(options, BaiduCodec(options)).Run();
}
