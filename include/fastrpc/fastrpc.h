// fastrpc: coroutines that never change thread, and RPC. The C ABI.
//
// Generated from the Rust sources; do not edit.
//
// Rules for all functions, unless a function says otherwise:
// - Objects are opaque. What a _new function or an output parameter gave is yours until you pass it
//   to the _free function of its type, or to a function that says it takes it over. Freeing NULL
//   does nothing. NULL for an object that is needed is FASTRPC_EINVAL.
// - Bytes and text are a pointer and a size, copied if they are needed after the call; the pointer
//   is ignored if the size is 0. Text is UTF-8 and needs no NUL.
// - Times are nanoseconds. A timeout below 0 never passes; 0 means do not wait.
// - A fallible function returns FASTRPC_OK or why not. One with an `error` parameter also stores an
//   object with the details there (NULL after success); free it with fastrpc_error_free(). Pass
//   NULL if you do not want it. Output parameters are not touched when a function fails.
// - A callback is three parameters: a function, the `user` pointer it gets, and `drop`, which frees
//   what `user` points to and may be NULL. `drop` runs exactly once: after the last call of the
//   function has ended, or, if the function is never called, also when the call that was given it
//   fails. The function is never called after `drop`.
// - A C++ exception may leave a callback: it never crosses the library, the function's text says
//   what becomes of it. A callback must not be left by longjmp or pthread_exit.
// - Structs of options start with their size. Call the _init function of the struct first, then set
//   fields: programs and libraries of different versions then work together.
// - All functions may be called in plain threads and in coroutines. What waits suspends the calling
//   coroutine, or blocks the calling thread.
// - In a child made by fork() after the runtime has started, fallible functions return
//   FASTRPC_EFORKED at once.

#ifndef FASTRPC_FASTRPC_H_
#define FASTRPC_FASTRPC_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// No records at all.
#define FASTRPC_LOG_OFF 0

// Something was lost or refused, and somebody should look.
#define FASTRPC_LOG_ERROR 1

// Something is odd, and the library went on.
#define FASTRPC_LOG_WARN 2

// Something noteworthy and normal.
#define FASTRPC_LOG_INFO 3

// For people who debug a program that uses the library.
#define FASTRPC_LOG_DEBUG 4

// For people who debug the library.
#define FASTRPC_LOG_TRACE 5

// The major version of this header; it changes when programs must be changed.
#define FASTRPC_VERSION_MAJOR 0

// The minor version of this header; it changes when something is added.
#define FASTRPC_VERSION_MINOR 1

// The patch version of this header; it changes with every other release.
#define FASTRPC_VERSION_PATCH 0

// Why a call failed: a status, a number and a text.
//
// Made by a failing call that was given a `fastrpc_error **`; the caller frees it with
// fastrpc_error_free(). Not to be used by two threads at the same time.
typedef struct fastrpc_error fastrpc_error;

// What a call reports: FASTRPC_OK or one of the FASTRPC_E numbers. A number is never reused.
typedef int32_t fastrpc_status;

// Receives one log record. `text` and `target` (the part of the library) are not terminated by a
// NUL and live until the callback returns. Runs on the thread and, if in one, in the coroutine
// that logs, in several at the same time; must not suspend.
typedef void (*fastrpc_log_function)(void *user,
                                     int32_t level,
                                     const char *target,
                                     size_t target_size,
                                     const char *text,
                                     size_t text_size);

// Frees a callback's user data. May be NULL. Runs exactly once, after the last call of the
// function has ended, or before the call that was given the callback fails. Any thread.
typedef void (*fastrpc_drop)(void *user);

// Done.
#define FASTRPC_OK 0

// An argument is wrong: NULL where an object is needed, text that is not UTF-8, a bad address.
#define FASTRPC_EINVAL 1

// Memory for a stack, a thread or a table could not be had.
#define FASTRPC_ENOMEM 2

// The time given has passed.
#define FASTRPC_ETIMEDOUT 3

// The waiting coroutine, or the call, was cancelled.
#define FASTRPC_ECANCELED 4

// The queue, client, server or file descriptor is closed.
#define FASTRPC_ECLOSED 5

// It cannot be done now without waiting, and the time given was 0.
#define FASTRPC_EAGAIN 6

// The runtime was started before fork(): nothing of it works in the child.
#define FASTRPC_EFORKED 7

// Another call is using the object in a way that excludes this one.
#define FASTRPC_EBUSY 8

// Too late, too early, or done before: the runtime has started, the name is taken.
#define FASTRPC_ESTATE 9

// A system call failed; fastrpc_error_code() is its errno.
#define FASTRPC_EIO 10

// A C++ exception left a callback; fastrpc_error_text() is its what().
#define FASTRPC_EEXCEPTION 11

// The server could not be reached.
#define FASTRPC_ECONNECT 12

// The server answered with an error; fastrpc_error_code() is its number.
#define FASTRPC_EREMOTE 13

// A limit set in the options (size, calls in flight, unsent bytes) was reached.
#define FASTRPC_ELIMIT 14

// A bug in the library.
#define FASTRPC_EINTERNAL 15

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The status that the failing call returned.
//
// `error`: NULL gives FASTRPC_OK. Any thread; never suspends.
fastrpc_status fastrpc_error_status(const fastrpc_error *error);

// The detailed number: of an RPC error as on the wire (such as 1008), of a failed system call
// its errno, otherwise the status.
//
// `error`: NULL gives 0. Any thread; never suspends.
int32_t fastrpc_error_code(const fastrpc_error *error);

// The text, for people. It is not a contract; test the status or the code.
//
// `error`: NULL gives "no error". The text lives as long as the error. Any thread; never
// suspends.
const char *fastrpc_error_text(const fastrpc_error *error);

// Frees an error.
//
// `error`: NULL is allowed and does nothing. Any thread; never suspends.
void fastrpc_error_free(fastrpc_error *error);

// Sends the library's log records to a callback; at first warnings and errors go to stderr.
//
// `level`: the highest FASTRPC_LOG_ level that is wanted. `function`: NULL for stderr. `user`,
// `drop`: its data. Fails with FASTRPC_EINVAL if `level` is none, FASTRPC_ESTATE if the program
// set a logger of its own through Rust. Any thread; never suspends.
fastrpc_status fastrpc_set_log(int32_t level,
                               fastrpc_log_function function,
                               void *user,
                               fastrpc_drop drop,
                               fastrpc_error **error);

// Writes a record to where the library's own records go.
//
// `level`: a FASTRPC_LOG_ level. `text`, `size`: the bytes of an UTF-8 text. Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_log(int32_t level, const char *text, size_t size);

// The meaning of a status in a few English words.
//
// `status`: any number. The text lives as long as the process. Any thread; never suspends.
const char *fastrpc_status_text(fastrpc_status status);

// The version of the library in use, such as "1.2.3".
//
// The text lives as long as the process. Any thread; never suspends.
const char *fastrpc_version(void);

// The version of the library in use as a number: major * 10000 + minor * 100 + patch.
//
// Any thread; never suspends.
int fastrpc_version_number(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FASTRPC_FASTRPC_H_ */
