// Machinery of typed calls and methods: what a pointer to a generated method tells.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/service.h>

#include <type_traits>

namespace fastrpc::detail {

// Whether M is a pointer to a method of a generated service or stub, such as
// &demo::EchoService::Stub::Echo; and its types.
template <typename M>
struct StubMethod : std::false_type {};
template <typename S, typename Q, typename R>
struct StubMethod<void (S::*)(google::protobuf::RpcController*, const Q*, R*,
                              google::protobuf::Closure*)> : std::true_type {
  using Stub = typename S::Stub;
  using Request = Q;
  using Response = R;
};

// Finds the descriptor of a generated method: has its stub call it on a channel that only looks.
template <typename M>
const google::protobuf::MethodDescriptor* descriptor_of(M method) {
  struct Channel final : google::protobuf::RpcChannel {
    void CallMethod(const google::protobuf::MethodDescriptor* called,
                    google::protobuf::RpcController*, const google::protobuf::Message*,
                    google::protobuf::Message*, google::protobuf::Closure*) override {
      descriptor = called;
    }
    const google::protobuf::MethodDescriptor* descriptor = nullptr;
  };
  Channel channel;
  typename StubMethod<M>::Stub stub(&channel);
  (stub.*method)(nullptr, nullptr, nullptr, nullptr);
  return channel.descriptor;
}

}  // namespace fastrpc::detail
