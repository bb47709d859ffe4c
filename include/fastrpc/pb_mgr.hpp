// Creates messages by type name, as carried by pushes.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>

namespace fastrpc {

// Returns a new message of a type that is linked into the program, such as "example.News"; NULL if
// there is none. Any thread.
inline std::unique_ptr<google::protobuf::Message> create_message(const std::string& type) {
  const auto* found =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  if (found == nullptr) return nullptr;
  const auto* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(found);
  return std::unique_ptr<google::protobuf::Message>(prototype == nullptr ? nullptr
                                                                         : prototype->New());
}

// The original's spelling.
class PbMgr {
 public:
  // Returns NULL if there is no such type. The caller deletes the message.
  static google::protobuf::Message* CreateMessage(const std::string& type) {
    return create_message(type).release();
  }
};

}  // namespace fastrpc
