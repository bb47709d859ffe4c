// The original's base of what is not copied.
#pragma once

#include "xcore_define.h"

namespace xcore {

class XNoncopyable {
 public:
  XNoncopyable(const XNoncopyable&) = delete;
  XNoncopyable& operator=(const XNoncopyable&) = delete;

 protected:
  XNoncopyable() = default;
  ~XNoncopyable() = default;
};

}  // namespace xcore

using xcore::XNoncopyable;
