//! The metadata of a frame, complete and owned. [`MetaView`](super::MetaView) is the fast way to
//! read it; both accept the same bytes.
//!
//! Text written by people or derived from other systems' ids (`error_text`, `request_id`,
//! `user_fields`) is `bytes` here, which is the same on the wire: protobuf 2 in C++ does not check
//! `string` for UTF-8, servers do send error texts in other encodings, and that must not break the
//! connection. Service and method names are looked up, not shown, and must be UTF-8.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcMeta {
    #[prost(message, optional, tag = "1")]
    pub(crate) request: Option<RpcRequestMeta>,
    #[prost(message, optional, tag = "2")]
    pub(crate) response: Option<RpcResponseMeta>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) compress_type: Option<i32>,
    #[prost(int64, optional, tag = "4")]
    pub(crate) correlation_id: Option<i64>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) attachment_size: Option<i32>,
    #[prost(message, optional, tag = "6")]
    pub(crate) chunk_info: Option<ChunkInfo>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub(crate) authentication_data: Option<Vec<u8>>,
    #[prost(message, optional, tag = "8")]
    pub(crate) stream_settings: Option<StreamSettings>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) user_fields: Vec<UserField>,
    // The fields below are newer than the published description; brpc 1.17 sends them.
    #[prost(int32, optional, tag = "10")]
    pub(crate) content_type: Option<i32>,
    #[prost(int32, optional, tag = "11")]
    pub(crate) checksum_type: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "12")]
    pub(crate) checksum_value: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "13")]
    pub(crate) checksum_with_attachment: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcRequestMeta {
    #[prost(string, required, tag = "1")]
    pub(crate) service_name: String,
    #[prost(string, required, tag = "2")]
    pub(crate) method_name: String,
    #[prost(int64, optional, tag = "3")]
    pub(crate) log_id: Option<i64>,
    #[prost(int64, optional, tag = "4")]
    pub(crate) trace_id: Option<i64>,
    #[prost(int64, optional, tag = "5")]
    pub(crate) span_id: Option<i64>,
    #[prost(int64, optional, tag = "6")]
    pub(crate) parent_span_id: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub(crate) request_id: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "8")]
    pub(crate) timeout_ms: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcResponseMeta {
    #[prost(int32, optional, tag = "1")]
    pub(crate) error_code: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) error_text: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChunkInfo {
    #[prost(int64, required, tag = "1")]
    pub(crate) stream_id: i64,
    #[prost(int64, required, tag = "2")]
    pub(crate) chunk_id: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamSettings {
    #[prost(int64, required, tag = "1")]
    pub(crate) stream_id: i64,
    #[prost(bool, optional, tag = "2")]
    pub(crate) need_feedback: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) writable: Option<bool>,
    #[prost(int64, repeated, packed = "false", tag = "4")]
    pub(crate) extra_stream_ids: Vec<i64>,
}

/// One entry of `map<string, string>`, which on the wire is a repeated message. Kept as such, so
/// that order and bytes survive.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct UserField {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}
