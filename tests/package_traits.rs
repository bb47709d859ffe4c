//! What every public type implements: compiling this file is the test.

use std::fmt::Debug;

use fastrpc::http::{self, Body, BodyWriter, RouteError, Router};
use fastrpc::net::{Addr, ListenOptions, Listener, Stream};
use fastrpc::pool::{self, JobError, JobHandle, ThreadPool};
use fastrpc::process::{self, Prefork};
use fastrpc::rpc::{
    self, Call, CallHandle, CallOptions, Cancellation, Client, ClientOptions, ClientStats, Code,
    Compress, Connection, ReplyOptions, Responder, Response,
};
use fastrpc::rt::{self, Builder, Current, Deadline, Interest, JoinError, JoinHandle, Key, Timer};
use fastrpc::server::{ServerStats, StopReport};
use fastrpc::sync::{
    self, Condvar, Mutex, MutexGuard, PushError, Queue, RawMutex, Semaphore, WaitGroup,
};
use fastrpc::{Server, ServerOptions};

/// Shared between threads, by reference or in an `Arc`.
fn shared<T: Send + Sync + Unpin + Debug>() {}

/// Passed on to another thread.
fn sent<T: Send + Unpin + Debug>() {}

/// Kept in several places.
fn cloned<T: Clone>() {}

fn error<T: std::error::Error + Send + Sync + Unpin + 'static>() {}

#[test]
fn servers_and_clients_are_shared() {
    shared::<(Server, Router, rpc::Registry)>();
    shared::<(Client, CallHandle, Cancellation)>();
    shared::<(Connection, Code, Compress, rpc::Protocol)>();
    shared::<(ServerOptions, ServerStats, StopReport)>();
    shared::<(rpc::Options, ClientOptions, CallOptions<'_>, ReplyOptions<'_>, ClientStats)>();
    shared::<(http::Options, Addr, ListenOptions, Listener, Stream)>();
    shared::<(Prefork, process::Options)>();
    cloned::<(Client, Connection, Code, Compress, rpc::Protocol)>();
    cloned::<(ServerOptions, ServerStats, StopReport)>();
    cloned::<(rpc::Options, ClientOptions, CallOptions<'_>, ReplyOptions<'_>, ClientStats)>();
    cloned::<(http::Options, Addr, ListenOptions, process::Options)>();
}

#[test]
fn calls_and_requests_are_sent() {
    sent::<(Call, Responder<String>, Response<String>)>();
    sent::<(http::Request, http::Response, http::Responder, Body, BodyWriter)>();
}

#[test]
fn coroutines_locks_and_pools_are_shared() {
    shared::<(JoinHandle<String>, Timer, Key<String>, Builder)>();
    shared::<(rt::Options, Deadline, Interest, Current)>();
    shared::<(Mutex<String>, RawMutex, Condvar, Semaphore, WaitGroup, Queue<String>)>();
    shared::<(MutexGuard<'_, String>, PushError<String>)>();
    shared::<(ThreadPool, JobHandle<String>, pool::Options, pool::Stats)>();
    cloned::<(Timer, Builder, rt::Options, Deadline, Interest, Current)>();
    cloned::<(pool::Options, pool::Stats)>();
}

#[test]
fn errors_are_errors() {
    error::<rpc::Error>();
    error::<sync::Error>();
    error::<RouteError>();
    cloned::<rpc::Error>();
    // These may own what a panic was called with, which is not shared.
    sent::<(JobError, JoinError)>();
}
