// Says which C++ the headers need, before an older one stumbles over them. Included by all, first.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "fastrpc needs C++17: add -std=c++17 (CMake: target_compile_features(... cxx_std_17))"
#endif
