// The same as consumer.c, in C++, and exceptions have to find their way; WITH_PROTOBUF also uses
// the protobuf that the package found.
#include <fastrpc/coroutine.hpp>

#include <iostream>
#include <stdexcept>
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

  // This one goes through our code and back, as what it is ...
  try {
    fastrpc::spawn([] { throw std::out_of_range("far"); }).join();
    return 1;
  } catch (const std::out_of_range& e) {
    if (e.what() != std::string("far")) return 1;
  }
  // ... and this one is caught inside the library.
  fastrpc_coroutine* coroutine = nullptr;
  auto thrower = [](void*) { throw std::runtime_error("caught by the library"); };
  if (fastrpc_spawn(nullptr, thrower, nullptr, nullptr, &coroutine, nullptr) != FASTRPC_OK)
    return 1;
  const fastrpc_status status = fastrpc_coroutine_join(coroutine, -1, nullptr);
  fastrpc_coroutine_free(coroutine);
  if (status != FASTRPC_EEXCEPTION) {
    std::cerr << "joined with status " << status << "\n";
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
