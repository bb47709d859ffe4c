// The same as consumer.c, in C++; WITH_PROTOBUF also uses the protobuf that the package found.
#include <fastrpc/fastrpc.h>

#include <iostream>
#include <string>

#ifdef WITH_PROTOBUF
#include <google/protobuf/descriptor.pb.h>
#endif

static_assert(__cplusplus >= 201703L, "the package asks for C++17");

int main() {
  const std::string header = std::to_string(FASTRPC_VERSION_MAJOR) + "." +
                             std::to_string(FASTRPC_VERSION_MINOR) + "." +
                             std::to_string(FASTRPC_VERSION_PATCH);
  if (header != fastrpc_version()) {
    std::cerr << "header " << header << ", library " << fastrpc_version() << "\n";
    return 1;
  }
#ifdef WITH_PROTOBUF
  google::protobuf::FileDescriptorProto file;
  file.set_name("a name");
  google::protobuf::FileDescriptorProto copy;
  if (!copy.ParseFromString(file.SerializeAsString()) || copy.name() != "a name") return 1;
#endif
  std::cout << fastrpc_version() << "\n";
  return 0;
}
