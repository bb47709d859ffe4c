// The original's HTTP classes: see fastrpc/http_parser.hpp.
#pragma once

#include <fastrpc/http_parser.hpp>

#include "xcore_define.h"

using fastrpc::CHttpGetMaker;
using fastrpc::CHttpLengthAnaly;
using fastrpc::CHttpMaker;
using fastrpc::CHttpParamParser;
using fastrpc::CHttpParamStringMaker;
using fastrpc::CHttpParser;
using fastrpc::CHttpPostMaker;
using fastrpc::CHttpResponseMaker;
using fastrpc::HTTP_UTIL_METHOD_GET;
using fastrpc::HTTP_UTIL_METHOD_NONE;
using fastrpc::HTTP_UTIL_METHOD_POST;
using fastrpc::HTTP_UTIL_METHOD_RESP;
using fastrpc::HTTP_UTIL_PARAM_ALL;
using fastrpc::HTTP_UTIL_PARAM_CONTENT;
using fastrpc::HTTP_UTIL_PARAM_HEADPARAM;
using fastrpc::HttpMethodType;
using fastrpc::HttpParamType;
