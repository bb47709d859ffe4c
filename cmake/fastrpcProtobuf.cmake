# Defines fastrpc::protobuf: the protobuf of whoever builds against fastrpc.
#
# The library itself passes bytes and links no protobuf. The headers that know about messages are
# compiled by you, with your protobuf; this target says where it is. Protobuf is looked for as its
# own CMake package first (from version 22 on only that knows what else has to be linked), then
# with CMake's module.
if(NOT TARGET protobuf::libprotobuf)
  find_package(protobuf CONFIG QUIET)
endif()
if(NOT TARGET protobuf::libprotobuf)
  find_package(Protobuf 3.12 QUIET MODULE)
endif()
if(TARGET protobuf::libprotobuf AND NOT TARGET fastrpc::protobuf)
  add_library(fastrpc::protobuf INTERFACE IMPORTED)
  set_target_properties(fastrpc::protobuf PROPERTIES
                        INTERFACE_LINK_LIBRARIES protobuf::libprotobuf)
endif()
