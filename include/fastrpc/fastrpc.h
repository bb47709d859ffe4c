// fastrpc: coroutines that never change thread, and RPC. The C ABI.
//
// Generated from the Rust sources (src/ffi); do not edit.
//
// Conventions
// ===========
//
// These hold for all functions, unless a function says otherwise.
//
// Objects. All are opaque. What a _new function or an output parameter gave is yours until you pass
// it to the _free function of its type, or to a function that says it takes it over. Freeing NULL
// does nothing. NULL for an object that is needed is FASTRPC_EINVAL.
//
// Bytes and text are a pointer and a size. They are copied if they are needed after the call. The
// pointer is ignored if the size is 0. Text is UTF-8 and needs no NUL. Text that is returned with a
// size is not ended by a NUL either; text that is copied into a buffer of yours is.
//
// Times are nanoseconds. A timeout below 0 never passes; 0 means do not wait. Switches in structs
// are int32_t: 0 is off, all else is on.
//
// Errors. A fallible function returns FASTRPC_OK or why not. One with an `error` parameter also
// stores an object with the details there (NULL after success); free it with fastrpc_error_free().
// Pass NULL if you do not want it. Output parameters are not touched when a function fails.
//
// Callbacks are three parameters: a function, the `user` pointer it gets, and `drop`, which frees
// what `user` points to and may be NULL. `drop` runs exactly once: after the last call of the
// function has ended, or, if the function is never called, also when the call that was given it
// fails. The function is never called after `drop`. A C++ exception may leave a callback: it never
// crosses the library, the function's text says what becomes of it. A callback must not be left by
// longjmp() or pthread_exit().
//
// Structs of options start with their size. Call the _init function of the struct first, then set
// fields: programs and libraries of different versions then work together. Structs that the library
// fills in start with their size too, which you set.
//
// Threads. "Any thread" means that plain threads and coroutines may call the function. Objects are
// thread-safe, so that several may use one at the same time, unless their text says that they are
// not. A function that "may suspend" waits: it suspends the calling coroutine, or blocks the
// calling thread. One that "never suspends" returns at once.
//
// fork(). In a child made after the runtime has started, fallible functions return FASTRPC_EFORKED
// at once.
//
// Example
// =======
//
//   #include <fastrpc/fastrpc.h>
//   #include <stdio.h>
//
//   static void echo(void* user, fastrpc_call* call) {
//     size_t size = 0;
//     const uint8_t* request = fastrpc_call_request(call, &size);
//     (void)user;
//     fastrpc_call_reply(call, request, size); /* consumes the call */
//   }
//
//   int main(void) {
//     fastrpc_server* server = NULL;
//     fastrpc_client* client = NULL;
//     fastrpc_response* response = NULL;
//     fastrpc_error* error = NULL;
//     char address[64];
//     size_t size = 0;
//     fastrpc_status status = fastrpc_server_new(NULL, &server, &error);
//     if (status == FASTRPC_OK)
//       status = fastrpc_server_add_method(server, "Echo", 4, "Say", 3, echo, NULL, NULL, &error);
//     if (status == FASTRPC_OK) status = fastrpc_server_listen(server, "127.0.0.1:0", 11, &error);
//     if (status == FASTRPC_OK) {
//       size = fastrpc_server_address(server, address, sizeof address);
//       status = fastrpc_client_new(address, size, NULL, &client, &error);
//     }
//     if (status == FASTRPC_OK)
//       status = fastrpc_client_call(client, "Echo", 4, "Say", 3, (const uint8_t*)"hello", 5, NULL,
//                                    &response, &error);
//     if (status == FASTRPC_OK) {
//       const uint8_t* body = fastrpc_response_body(response, &size);
//       printf("%.*s\n", (int)size, (const char*)body);
//     } else {
//       fprintf(stderr, "%s\n", fastrpc_error_text(error));
//     }
//     fastrpc_error_free(error);
//     fastrpc_response_free(response);
//     fastrpc_client_free(client);
//     fastrpc_server_free(server);
//     return status == FASTRPC_OK ? 0 : 1;
//   }
//
// Chapters
// ========
//
//   1. Version: of this header, and of the library in use
//   2. Status numbers: what every fallible function returns
//   3. Errors: what a status alone does not tell
//   4. Codes of RPC errors, as they go over the wire
//   5. Callbacks: the types of functions, and of what frees their data
//   6. Logging
//   7. The runtime and its worker threads
//   8. Coroutines
//   9. Coroutine-local storage
//  10. Timers
//  11. Waiting for file descriptors
//  12. Hooks: blocking calls of libc that suspend their coroutine
//  13. Mutexes and condition variables
//  14. Semaphores and wait groups
//  15. Bounded queues of pointers
//  16. Thread pools, for what blocks or computes for long
//  17. Preforking: several processes that serve one address
//  18. Servers
//  19. Messages: their compression, and functions that write them
//  20. RPC calls on the server: what they ask
//  21. RPC calls on the server: how they are answered
//  22. Connections of a server: pushes, and their end
//  23. HTTP: routes, and responses
//  24. HTTP: what a request says
//  25. HTTP: the body of a request
//  26. RPC clients
//  27. Cancellation of calls
//  28. Calls of a client
//  29. Responses to a client's calls
//  30. Events of a client: pushes, and lost connections

#ifndef FASTRPC_FASTRPC_H_
#define FASTRPC_FASTRPC_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// ------------------------------------------------------------------------------------------------
// 1. Version: of this header, and of the library in use
// ------------------------------------------------------------------------------------------------

// The major version of this header. It changes when programs must be changed.
#define FASTRPC_VERSION_MAJOR 0

// The minor version of this header. It changes when something is added.
#define FASTRPC_VERSION_MINOR 1

// The patch version of this header. It changes with every other release.
#define FASTRPC_VERSION_PATCH 0

// Returns the version of the library in use, such as "1.2.3".
//
// The text lives as long as the process. Any thread; never suspends.
const char *fastrpc_version(void);

// Returns the version of the library in use as a number: major * 10000 + minor * 100 + patch.
//
// Any thread; never suspends.
int fastrpc_version_number(void);

// ------------------------------------------------------------------------------------------------
// 2. Status numbers: what every fallible function returns
// ------------------------------------------------------------------------------------------------

// What a fallible function returns: FASTRPC_OK or one of the FASTRPC_E numbers. A number is never
// reused.
typedef int32_t fastrpc_status;

// Success.
#define FASTRPC_OK 0

// An argument is invalid: NULL where an object is needed, text that is not UTF-8, a malformed
// address.
#define FASTRPC_EINVAL 1

// Memory for a stack, a thread or a table could not be allocated.
#define FASTRPC_ENOMEM 2

// The time given has passed.
#define FASTRPC_ETIMEDOUT 3

// The waiting coroutine, or the call, was canceled.
#define FASTRPC_ECANCELED 4

// The queue, client, server or file descriptor is closed.
#define FASTRPC_ECLOSED 5

// It would have to wait, and the time given was 0.
#define FASTRPC_EAGAIN 6

// The process was forked after the runtime had started: nothing of it works in the child.
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

// The server answered with an error; fastrpc_error_code() is its code.
#define FASTRPC_EREMOTE 13

// A limit set in the options (size, calls in flight, unsent bytes) was reached.
#define FASTRPC_ELIMIT 14

// A bug in the library.
#define FASTRPC_EINTERNAL 15

// Returns what a status means, in a few English words.
//
// `status`: any number. The text lives as long as the process. Any thread; never suspends.
const char *fastrpc_status_text(fastrpc_status status);

// ------------------------------------------------------------------------------------------------
// 3. Errors: what a status alone does not tell
// ------------------------------------------------------------------------------------------------

// Why a function failed: a status, a code and a text.
//
// Stored by a failing function that was given a `fastrpc_error **`; free it with
// fastrpc_error_free(). Not thread-safe.
typedef struct fastrpc_error fastrpc_error;

// Returns the status that the failing function returned.
//
// `error`: NULL gives FASTRPC_OK. Any thread; never suspends.
fastrpc_status fastrpc_error_status(const struct fastrpc_error *error);

// Returns the detailed code: of an RPC error a FASTRPC_CODE_ number or the service's own, as on
// the wire; of a failed system call its errno; otherwise the status.
//
// `error`: NULL gives 0. Any thread; never suspends.
int32_t fastrpc_error_code(const struct fastrpc_error *error);

// Returns whether the server's service chose this error, by fastrpc_call_fail() with a code of its
// own.
//
// False if the library made it: for any FASTRPC_CODE_ number, and for whatever did not come from a
// server. `error`: NULL gives false. Any thread; never suspends.
bool fastrpc_error_is_service(const struct fastrpc_error *error);

// Returns the text, for people. It is not a contract: test the status or the code.
//
// `error`: NULL gives "no error". The text ends with a NUL and lives as long as the error. Any
// thread; never suspends.
const char *fastrpc_error_text(const struct fastrpc_error *error);

// Frees an error.
//
// `error`: NULL does nothing. Any thread; never suspends.
void fastrpc_error_free(struct fastrpc_error *error);

// ------------------------------------------------------------------------------------------------
// 4. Codes of RPC errors, as they go over the wire
// ------------------------------------------------------------------------------------------------

// The server has no such service.
#define FASTRPC_CODE_ENOSERVICE 1001

// The service has no such method.
#define FASTRPC_CODE_ENOMETHOD 1002

// The request cannot be understood.
#define FASTRPC_CODE_EREQUEST 1003

// The call's time ran out.
#define FASTRPC_CODE_ERPCTIMEDOUT 1008

// There is no connection, or it broke.
#define FASTRPC_CODE_EFAILEDSOCKET 1009

// Too many calls are in flight, or too many bytes unsent.
#define FASTRPC_CODE_EOVERCROWDED 1011

// The handler ended without an answer, or an exception left it.
#define FASTRPC_CODE_EINTERNAL 2001

// The answer cannot be understood.
#define FASTRPC_CODE_ERESPONSE 2002

// The server is stopping.
#define FASTRPC_CODE_ELOGOFF 2003

// The server has reached a limit.
#define FASTRPC_CODE_ELIMIT 2004

// The connection was closed on purpose.
#define FASTRPC_CODE_ECLOSE 2005

// The call was canceled: the operating system's ECANCELED.
#define FASTRPC_CODE_ECANCELED 125

// ------------------------------------------------------------------------------------------------
// 5. Callbacks: the types of functions, and of what frees their data
// ------------------------------------------------------------------------------------------------

// A callback: `user` is the pointer given with it.
typedef void (*fastrpc_function)(void *user);

// Frees a callback's user data. May be NULL. Runs exactly once, on any thread: after the last call
// of the function has ended, or before the function that was given the callback fails.
typedef void (*fastrpc_drop)(void *user);

// ------------------------------------------------------------------------------------------------
// 6. Logging
// ------------------------------------------------------------------------------------------------

// No records.
#define FASTRPC_LOG_OFF 0

// Something was lost or refused, and somebody should look.
#define FASTRPC_LOG_ERROR 1

// Something is odd, and the library went on.
#define FASTRPC_LOG_WARN 2

// Something noteworthy and normal.
#define FASTRPC_LOG_INFO 3

// For debugging a program that uses the library.
#define FASTRPC_LOG_DEBUG 4

// For debugging the library.
#define FASTRPC_LOG_TRACE 5

// Receives one log record. `target` is the part of the library; it and `text` are not terminated
// by a NUL and live until the callback returns. Runs on the thread and, if in one, in the
// coroutine that logs, in several at the same time. Must not suspend.
typedef void (*fastrpc_log_function)(void *user,
                                     int32_t level,
                                     const char *target,
                                     size_t target_size,
                                     const char *text,
                                     size_t text_size);

// Sends the library's log records to a callback. Without it, warnings and errors go to stderr.
//
// `level`: the highest FASTRPC_LOG_ level that is wanted. `function`: NULL for stderr. `user`,
// `drop`: its data. Fails with FASTRPC_EINVAL (no such level), FASTRPC_ESTATE (the program set a
// logger of its own through Rust). Any thread; never suspends.
fastrpc_status fastrpc_set_log(int32_t level,
                               fastrpc_log_function function,
                               void *user,
                               fastrpc_drop drop,
                               struct fastrpc_error **error);

// Writes a record to where the library's own records go.
//
// `level`: a FASTRPC_LOG_ level. `text`, `size`: bytes of text; those that are not UTF-8 are
// replaced. Fails with FASTRPC_EINVAL (no such level). Any thread; never suspends.
fastrpc_status fastrpc_log(int32_t level, const char *text, size_t size);

// ------------------------------------------------------------------------------------------------
// 7. The runtime and its worker threads
// ------------------------------------------------------------------------------------------------

// How the runtime is set up. See fastrpc_runtime_configure().
typedef struct fastrpc_runtime_options {
  // sizeof(fastrpc_runtime_options).
  size_t size;
  // Worker threads. Coroutines of one worker never run in parallel. Default 1; if the program
  // never configures the runtime, the environment variable FASTRPC_WORKERS decides.
  size_t workers;
  // Bytes of stack of a coroutine that sets no size of its own: virtual memory, committed as it
  // is touched. Default 256 KiB.
  size_t stack_size;
  // Whether coroutines begin with their hooks enabled, see fastrpc_hook_enable(). Default 0; the
  // environment variable FASTRPC_HOOK=1 means 1.
  int32_t hook;
  // Whether to detect and log when a coroutine waits while it holds a pthread mutex or
  // reader-writer lock, and to suspend it where such a lock would deadlock. Default 1; the
  // environment variable FASTRPC_LOCK_CHECK=0 means 0.
  int32_t lock_check;
  // Whether pthread locks and condition variables suspend coroutines that have their hooks
  // enabled. Default 0; the environment variable FASTRPC_HOOK_LOCKS=1 means 1.
  int32_t hook_locks;
  // Must be 0.
  int32_t reserved;
} fastrpc_runtime_options;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_runtime_options_init(struct fastrpc_runtime_options *options, size_t size);

// Configures the runtime, before its first use starts it.
//
// `options`: NULL for the defaults. Fails with FASTRPC_ESTATE (the runtime has started),
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_runtime_configure(const struct fastrpc_runtime_options *options,
                                         struct fastrpc_error **error);

// Returns the number of worker threads, started or not.
//
// Any thread; never suspends.
size_t fastrpc_worker_count(void);

// Returns the number of the calling worker thread, from 0, or -1 in any other thread.
//
// Any thread; never suspends.
int64_t fastrpc_worker_index(void);

// ------------------------------------------------------------------------------------------------
// 8. Coroutines
// ------------------------------------------------------------------------------------------------

// A coroutine that can be joined and canceled. Free it with fastrpc_coroutine_free(). Thread-safe.
typedef struct fastrpc_coroutine fastrpc_coroutine;

// How a coroutine is made. See fastrpc_spawn().
typedef struct fastrpc_spawn_options {
  // sizeof(fastrpc_spawn_options).
  size_t size;
  // A name for log records and messages; copied. Default none.
  const char *name;
  // Bytes of the name. Default 0.
  size_t name_size;
  // Bytes of stack. Default 0: as the runtime's options say.
  size_t stack_size;
  // The worker it lives on, from 0. Default -1: that of the spawning coroutine; those of plain
  // threads go to the workers in turn.
  int64_t worker;
} fastrpc_spawn_options;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_spawn_options_init(struct fastrpc_spawn_options *options, size_t size);

// Runs a function in a new coroutine.
//
// `options`: NULL for the defaults. `function`, `user`, `drop`: runs once. `out`: receives the
// coroutine; free it with fastrpc_coroutine_free(); NULL if nobody will join it. Fails with
// FASTRPC_ENOMEM, FASTRPC_EINVAL. An exception that leaves the function is logged and makes
// fastrpc_coroutine_join() fail. Any thread; never suspends.
fastrpc_status fastrpc_spawn(const struct fastrpc_spawn_options *options,
                             fastrpc_function function,
                             void *user,
                             fastrpc_drop drop,
                             struct fastrpc_coroutine **out,
                             struct fastrpc_error **error);

// Waits until a coroutine has ended. Its coroutine-local data is freed by then.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it runs),
// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED (the waiting coroutine was canceled), FASTRPC_EEXCEPTION
// (an exception left its function), FASTRPC_ENOMEM (it could not be started on its worker).
// Several may wait, also again after the end. The handle must still be freed. Any thread; may
// suspend.
fastrpc_status fastrpc_coroutine_join(const struct fastrpc_coroutine *coroutine,
                                      int64_t timeout,
                                      struct fastrpc_error **error);

// Cancels a coroutine: the wait it is in, and each one it begins, fails with FASTRPC_ECANCELED.
//
// Nothing is unwound: it ends when its function returns. Any thread; never suspends.
fastrpc_status fastrpc_coroutine_cancel(const struct fastrpc_coroutine *coroutine);

// Returns whether a coroutine has ended.
//
// `coroutine`: NULL gives true. Any thread; never suspends.
bool fastrpc_coroutine_is_finished(const struct fastrpc_coroutine *coroutine);

// Returns the number of a coroutine: never 0, and never used again in this process.
//
// `coroutine`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_coroutine_id(const struct fastrpc_coroutine *coroutine);

// Frees the handle of a coroutine. A coroutine that has not ended runs on.
//
// `coroutine`: NULL does nothing. Any thread; never suspends.
void fastrpc_coroutine_free(struct fastrpc_coroutine *coroutine);

// Lets the other coroutines of this worker run or, in a plain thread, other threads.
//
// Any thread; may suspend.
fastrpc_status fastrpc_yield(void);

// Suspends the calling coroutine, or blocks the calling thread, for a time.
//
// `duration`: nanoseconds; below 0 for ever. Fails with FASTRPC_ECANCELED. Any thread; may
// suspend.
fastrpc_status fastrpc_sleep(int64_t duration);

// Returns whether the caller is a coroutine.
//
// Any thread; never suspends.
bool fastrpc_is_coroutine(void);

// Returns the number of the calling coroutine, or 0 in a plain thread.
//
// Any thread; never suspends.
uint64_t fastrpc_current_id(void);

// Copies the name of the calling coroutine, and a NUL, into a buffer as far as it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the name, not
// counting the NUL; 0 if it has none, and in a plain thread. Any thread; never suspends.
size_t fastrpc_current_name(char *buffer, size_t size);

// ------------------------------------------------------------------------------------------------
// 9. Coroutine-local storage
// ------------------------------------------------------------------------------------------------

// A key to one pointer for each coroutine, and for each thread outside of coroutines. Meant to
// live as long as the process: the slot of a freed key is not reused. Free it with
// fastrpc_key_free(). Thread-safe.
typedef struct fastrpc_key fastrpc_key;

// Creates a key, whose value is NULL everywhere.
//
// `drop`: gets a value that is not NULL when its coroutine or thread ends; NULL if there is
// nothing to free. `out`: receives the key; free it with fastrpc_key_free(). Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_key_new(fastrpc_drop drop, struct fastrpc_key **out);

// Returns the value of the calling coroutine or thread.
//
// `key`: NULL gives NULL. Any thread; never suspends.
void *fastrpc_key_get(const struct fastrpc_key *key);

// Sets the value of the calling coroutine or thread. The previous value is not freed.
//
// `value`: any pointer. Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_key_set(const struct fastrpc_key *key, void *value);

// Frees a key. Values that are set are still freed when their coroutines end.
//
// `key`: NULL does nothing. Any thread; never suspends.
void fastrpc_key_free(struct fastrpc_key *key);

// ------------------------------------------------------------------------------------------------
// 10. Timers
// ------------------------------------------------------------------------------------------------

// A function that will run once. Free it with fastrpc_timer_free(). Thread-safe.
typedef struct fastrpc_timer fastrpc_timer;

// Runs a function in a new coroutine once a time has passed, never earlier.
//
// `delay`: nanoseconds from now, at least 0. `function`, `user`, `drop`: runs at most once. `out`:
// receives the timer; free it with fastrpc_timer_free(); NULL if nobody will cancel it. Fails with
// FASTRPC_EINVAL, FASTRPC_ENOMEM. An exception that leaves the function is logged. Any thread;
// never suspends.
fastrpc_status fastrpc_timer_after(int64_t delay,
                                   fastrpc_function function,
                                   void *user,
                                   fastrpc_drop drop,
                                   struct fastrpc_timer **out,
                                   struct fastrpc_error **error);

// Cancels a timer. Returns true if its function will not run because of this call; its `drop` has
// run then.
//
// Does not wait for a function that already runs. `timer`: NULL gives false; must still be freed.
// Any thread; never suspends.
bool fastrpc_timer_cancel(const struct fastrpc_timer *timer);

// Frees the handle of a timer, which stays armed if it was not canceled.
//
// `timer`: NULL does nothing. Any thread; never suspends.
void fastrpc_timer_free(struct fastrpc_timer *timer);

// ------------------------------------------------------------------------------------------------
// 11. Waiting for file descriptors
// ------------------------------------------------------------------------------------------------

// Wait until there is something to read, to accept, or the end.
#define FASTRPC_READABLE 1

// Wait until there is room to write, or a connect has ended.
#define FASTRPC_WRITABLE 2

// One of several file descriptors to wait for. It has the layout and the bits of struct pollfd of
// poll(2), so that an array of those may be passed.
typedef struct fastrpc_pollfd {
  // The file descriptor; one below 0 is skipped.
  int fd;
  // POLLIN, POLLOUT and so on, of poll(2).
  short events;
  // The bits that hold, set by the function.
  short revents;
} fastrpc_pollfd;

// Waits until a file descriptor is ready. Any number of waiters may wait for one.
//
// `fd`: stays the caller's; blocking or not. `events`: FASTRPC_READABLE, FASTRPC_WRITABLE or both
// (either ends the wait). `timeout`: nanoseconds. `ready`: receives the POLL bits of poll(2) that
// hold; may be NULL. Fails with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ECLOSED (not open,
// or fastrpc_notify_close() was called), FASTRPC_EIO. Any thread; may suspend.
fastrpc_status fastrpc_wait_fd(int fd,
                               int32_t events,
                               int64_t timeout,
                               int32_t *ready,
                               struct fastrpc_error **error);

// Waits until one of several file descriptors is ready: poll(2) for coroutines.
//
// `fds`, `count`: an array; `revents` are set. `timeout`: nanoseconds. `ready`: receives how many
// are ready; may be NULL. Fails with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_EIO. Any
// thread; may suspend.
fastrpc_status fastrpc_poll_fds(struct fastrpc_pollfd *fds,
                                size_t count,
                                int64_t timeout,
                                size_t *ready,
                                struct fastrpc_error **error);

// Wakes all that wait for a file descriptor with FASTRPC_ECLOSED.
//
// Call it before close(2). Any thread; never suspends.
fastrpc_status fastrpc_notify_close(int fd);

// ------------------------------------------------------------------------------------------------
// 12. Hooks: blocking calls of libc that suspend their coroutine
// ------------------------------------------------------------------------------------------------

// Enables the hooks of the calling coroutine: from now on blocking calls of libc, its own and
// those of libraries that it uses, suspend the coroutine instead of blocking its worker.
//
// Holds until the coroutine ends or disables them. Coroutines that it spawns begin with the
// default of the process. Fails with FASTRPC_ESTATE (in a plain thread; the library was built
// without hooks); the error's text says what to do. In a coroutine; never suspends.
fastrpc_status fastrpc_hook_enable(struct fastrpc_error **error);

// Disables the hooks of the calling coroutine.
//
// Fails with FASTRPC_ESTATE as fastrpc_hook_enable() does. In a coroutine; never suspends.
fastrpc_status fastrpc_hook_disable(struct fastrpc_error **error);

// Returns whether blocking calls of libc suspend the caller: false in a plain thread.
//
// Any thread; never suspends.
bool fastrpc_hook_is_enabled(void);

// Writes which functions of libc are hooked in this process, and which loaded objects bypass the
// hooks, as a text for people.
//
// `buffer`, `size`: receives the text and a NUL, as far as they fit. Returns the bytes of the
// whole text, not counting the NUL. Any thread; never suspends.
size_t fastrpc_hook_report(char *buffer, size_t size);

// Returns how many waits have begun so far while their coroutine held a pthread mutex or
// reader-writer lock.
//
// Each blocks others from the lock for as long as it lasts. Each pair of places, of a lock and of
// a wait, is logged once as a warning. 0 unless fastrpc_runtime_options.lock_check is on. Any
// thread; never suspends.
uint64_t fastrpc_hook_waits_with_locks(void);

// Returns how many times so far a coroutine locked what another coroutine of the same worker held
// in a wait, and was suspended where it would have blocked for ever.
//
// Each pair of places is logged once as an error. 0 unless fastrpc_runtime_options.lock_check is
// on. Any thread; never suspends.
uint64_t fastrpc_hook_deadlocks_averted(void);

// ------------------------------------------------------------------------------------------------
// 13. Mutexes and condition variables
// ------------------------------------------------------------------------------------------------

// Mutual exclusion between coroutines of any worker and plain threads. May be held across
// functions that suspend. Not recursive. Free it with fastrpc_mutex_free(). Thread-safe.
typedef struct fastrpc_mutex fastrpc_mutex;

// A condition variable for fastrpc_mutex. Free it with fastrpc_condvar_free(). Thread-safe.
typedef struct fastrpc_condvar fastrpc_condvar;

// Creates an unlocked mutex.
//
// `out`: receives it; free it with fastrpc_mutex_free(). Fails with FASTRPC_EINVAL. Any thread;
// never suspends.
fastrpc_status fastrpc_mutex_new(struct fastrpc_mutex **out);

// Locks a mutex.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it is locked),
// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED; the mutex is not locked by the caller then. Any thread;
// may suspend.
fastrpc_status fastrpc_mutex_lock(const struct fastrpc_mutex *mutex, int64_t timeout);

// Unlocks a mutex, which another coroutine or thread may have locked.
//
// Fails with FASTRPC_ESTATE (it is not locked). Any thread; never suspends.
fastrpc_status fastrpc_mutex_unlock(const struct fastrpc_mutex *mutex);

// Frees a mutex that nobody holds or waits for.
//
// `mutex`: NULL does nothing. Any thread; never suspends.
void fastrpc_mutex_free(struct fastrpc_mutex *mutex);

// Creates a condition variable.
//
// `out`: receives it; free it with fastrpc_condvar_free(). Fails with FASTRPC_EINVAL. Any thread;
// never suspends.
fastrpc_status fastrpc_condvar_new(struct fastrpc_condvar **out);

// Unlocks `mutex`, which the caller holds, waits for a notification and locks again.
//
// The mutex is locked again in every case, also after a failure. `timeout`: nanoseconds. Fails
// with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ESTATE (not locked). Any thread; may suspend.
fastrpc_status fastrpc_condvar_wait(const struct fastrpc_condvar *condvar,
                                    const struct fastrpc_mutex *mutex,
                                    int64_t timeout);

// Wakes the one that has waited longest, if any waits.
//
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_condvar_notify_one(const struct fastrpc_condvar *condvar);

// Wakes all that wait.
//
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_condvar_notify_all(const struct fastrpc_condvar *condvar);

// Frees a condition variable that nobody waits for.
//
// `condvar`: NULL does nothing. Any thread; never suspends.
void fastrpc_condvar_free(struct fastrpc_condvar *condvar);

// ------------------------------------------------------------------------------------------------
// 14. Semaphores and wait groups
// ------------------------------------------------------------------------------------------------

// A number of permits, acquired and released by coroutines of any worker and plain threads. Free
// it with fastrpc_semaphore_free(). Thread-safe.
typedef struct fastrpc_semaphore fastrpc_semaphore;

// Counts outstanding tasks, and lets others wait until there are none. Free it with
// fastrpc_wait_group_free(). Thread-safe.
typedef struct fastrpc_wait_group fastrpc_wait_group;

// Creates a semaphore.
//
// `permits`: how many are free at first. `out`: receives it; free it with
// fastrpc_semaphore_free(). Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_semaphore_new(size_t permits, struct fastrpc_semaphore **out);

// Acquires `count` permits, all or none, first come first served.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and there are too few),
// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED. Any thread; may suspend.
fastrpc_status fastrpc_semaphore_acquire(const struct fastrpc_semaphore *semaphore,
                                         size_t count,
                                         int64_t timeout);

// Releases `count` permits, or adds new ones.
//
// Fails with FASTRPC_ELIMIT (there would be too many to count). Any thread; never suspends.
fastrpc_status fastrpc_semaphore_release(const struct fastrpc_semaphore *semaphore, size_t count);

// Returns the number of free permits at this moment.
//
// `semaphore`: NULL gives 0. Any thread; never suspends.
size_t fastrpc_semaphore_available(const struct fastrpc_semaphore *semaphore);

// Frees a semaphore that nobody waits for.
//
// `semaphore`: NULL does nothing. Any thread; never suspends.
void fastrpc_semaphore_free(struct fastrpc_semaphore *semaphore);

// Creates a wait group without tasks.
//
// `out`: receives it; free it with fastrpc_wait_group_free(). Fails with FASTRPC_EINVAL. Any
// thread; never suspends.
fastrpc_status fastrpc_wait_group_new(struct fastrpc_wait_group **out);

// Adds `count` outstanding tasks.
//
// Fails with FASTRPC_ELIMIT (there would be too many to count). Any thread; never suspends.
fastrpc_status fastrpc_wait_group_add(const struct fastrpc_wait_group *group, size_t count);

// Marks one task as done.
//
// Fails with FASTRPC_ESTATE (none is outstanding). Any thread; never suspends.
fastrpc_status fastrpc_wait_group_done(const struct fastrpc_wait_group *group);

// Waits until no task is outstanding.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0), FASTRPC_ETIMEDOUT,
// FASTRPC_ECANCELED. Any thread; may suspend.
fastrpc_status fastrpc_wait_group_wait(const struct fastrpc_wait_group *group, int64_t timeout);

// Frees a wait group that nobody waits for.
//
// `group`: NULL does nothing. Any thread; never suspends.
void fastrpc_wait_group_free(struct fastrpc_wait_group *group);

// ------------------------------------------------------------------------------------------------
// 15. Bounded queues of pointers
// ------------------------------------------------------------------------------------------------

// A bounded first-in first-out queue of pointers between coroutines of any worker and plain
// threads. Free it with fastrpc_queue_free(). Thread-safe.
typedef struct fastrpc_queue fastrpc_queue;

// Creates a queue.
//
// `capacity`: how many items it holds, at least 1. `drop`: frees items left over when the queue is
// freed; may be NULL. `out`: receives the queue; free it with fastrpc_queue_free(). Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_queue_new(size_t capacity, fastrpc_drop drop, struct fastrpc_queue **out);

// Appends an item. Waits while the queue is full.
//
// `item`: any pointer; it stays the caller's if this fails. `timeout`: nanoseconds. Fails with
// FASTRPC_EAGAIN (`timeout` is 0 and it is full), FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED,
// FASTRPC_ECLOSED. Any thread; may suspend.
fastrpc_status fastrpc_queue_push(const struct fastrpc_queue *queue, void *item, int64_t timeout);

// Removes the first item. Waits while the queue is empty.
//
// `item`: receives it. `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it is
// empty), FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ECLOSED (closed and empty). Any thread;
// may suspend.
fastrpc_status fastrpc_queue_pop(const struct fastrpc_queue *queue, void **item, int64_t timeout);

// Closes a queue: pushes fail from now on, pops fail once it is empty.
//
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_queue_close(const struct fastrpc_queue *queue);

// Returns the number of items at this moment.
//
// `queue`: NULL gives 0. Any thread; never suspends.
size_t fastrpc_queue_size(const struct fastrpc_queue *queue);

// Frees a queue that nobody waits for, and the items left in it.
//
// `queue`: NULL does nothing. Any thread; never suspends.
void fastrpc_queue_free(struct fastrpc_queue *queue);

// ------------------------------------------------------------------------------------------------
// 16. Thread pools, for what blocks or computes for long
// ------------------------------------------------------------------------------------------------

// Threads with ordinary stacks that run functions ("jobs"), for what must not block a worker. A
// job that waits in a function of this library, or in fastrpc_blocking(), lets another run
// meanwhile. Free it with fastrpc_pool_free(). Thread-safe.
typedef struct fastrpc_pool fastrpc_pool;

// How a pool is made. See fastrpc_pool_new().
typedef struct fastrpc_pool_options {
  // sizeof(fastrpc_pool_options).
  size_t size;
  // Jobs that run at the same time; that many threads stay when there is nothing to do. Default:
  // the number of processors.
  size_t threads;
  // Further threads that may run jobs while others wait. Default 128.
  size_t extra_threads;
  // Jobs that may be queued. Default 10000.
  size_t queue_size;
  // Bytes of stack of a thread: virtual memory, committed as it is touched. Default 8 MiB.
  size_t stack_size;
  // Nanoseconds without work before a thread beyond `threads` ends; below 0 never.
  // Default 10 s.
  int64_t idle_timeout;
  // What the names of the threads begin with; copied. Default "pool".
  const char *name;
  // Bytes of the name. Default 0: the default name.
  size_t name_size;
} fastrpc_pool_options;

// Counters of a pool. See fastrpc_pool_stats_get().
typedef struct fastrpc_pool_stats {
  // sizeof(fastrpc_pool_stats), set by the caller.
  size_t size;
  // Threads alive.
  uint64_t threads;
  // Threads whose job runs.
  uint64_t running;
  // Threads whose job waits.
  uint64_t blocked;
  // Threads without a job.
  uint64_t idle;
  // The most threads ever alive at the same time.
  uint64_t peak_threads;
  // Jobs that have not begun.
  uint64_t waiting;
  // Jobs that have ended.
  uint64_t finished;
} fastrpc_pool_stats;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_pool_options_init(struct fastrpc_pool_options *options, size_t size);

// Creates a pool. Its threads start when they are needed.
//
// `options`: NULL for the defaults. `out`: receives the pool; free it with fastrpc_pool_free().
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_pool_new(const struct fastrpc_pool_options *options,
                                struct fastrpc_pool **out,
                                struct fastrpc_error **error);

// Runs a function on a thread of the pool and waits until it has ended. In a job of the same pool
// it is called right there.
//
// `function`, `user`, `drop`: runs at most once. `timeout`: nanoseconds. Below 0, the function has
// ended or will never begin when this returns, also in a canceled coroutine: it may use what is
// the caller's. Otherwise a function that has begun goes on after FASTRPC_ETIMEDOUT or
// FASTRPC_ECANCELED, and `drop` runs at its end. Fails with these two, FASTRPC_EEXCEPTION (an
// exception left it, which is logged too), FASTRPC_ECLOSED (shut down), FASTRPC_ENOMEM (no thread
// could be started). Waits for room while too many jobs are queued. Any thread; may suspend.
fastrpc_status fastrpc_pool_run(const struct fastrpc_pool *pool,
                                fastrpc_function function,
                                void *user,
                                fastrpc_drop drop,
                                int64_t timeout,
                                struct fastrpc_error **error);

// Queues a function to run on a thread of the pool. Nobody waits for it.
//
// `function`, `user`, `drop`: runs once. Fails with FASTRPC_ELIMIT (too many jobs are queued),
// FASTRPC_ECLOSED (shut down), FASTRPC_ENOMEM (no thread could be started). An exception that
// leaves the function is logged. Any thread; never suspends.
fastrpc_status fastrpc_pool_post(const struct fastrpc_pool *pool,
                                 fastrpc_function function,
                                 void *user,
                                 fastrpc_drop drop,
                                 struct fastrpc_error **error);

// Refuses further jobs, and waits until all that were accepted have ended and the threads are
// gone. When the time has passed, jobs that have not begun are dropped.
//
// `timeout`: nanoseconds. Fails with FASTRPC_ETIMEDOUT (a job runs on), FASTRPC_ECANCELED,
// FASTRPC_EBUSY (called in a job of this pool, which would wait for itself: nothing is done). May
// be called again. Any thread; may suspend.
fastrpc_status fastrpc_pool_shutdown(const struct fastrpc_pool *pool,
                                     int64_t timeout,
                                     struct fastrpc_error **error);

// Reads the counters of a pool.
//
// `stats`: its `size` is set by the caller; the rest is filled in as far as it reaches. Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_pool_stats_get(const struct fastrpc_pool *pool,
                                      struct fastrpc_pool_stats *stats);

// Shuts a pool down, without a timeout, and frees it.
//
// Does not wait when called in a job of this pool, nor after a fastrpc_pool_shutdown() that timed
// out: the threads then end by themselves. `pool`: NULL does nothing. Any thread; may suspend,
// also in a canceled coroutine.
void fastrpc_pool_free(struct fastrpc_pool *pool);

// Calls a function that is about to block in a way that this library does not see, on the calling
// thread. In a job of a pool another job may run meanwhile; a coroutine blocks its worker.
//
// `function`, `user`: called once, before this returns. Fails with FASTRPC_EEXCEPTION (an
// exception left it). Any thread; suspends if the function does.
fastrpc_status fastrpc_blocking(fastrpc_function function,
                                void *user,
                                struct fastrpc_error **error);

// ------------------------------------------------------------------------------------------------
// 17. Preforking: several processes that serve one address
// ------------------------------------------------------------------------------------------------

// An address, bound, and the processes that are to serve it. Free it with fastrpc_prefork_free().
// Thread-safe.
typedef struct fastrpc_prefork fastrpc_prefork;

// How the processes are made. See fastrpc_prefork_new().
typedef struct fastrpc_prefork_options {
  // sizeof(fastrpc_prefork_options).
  size_t size;
  // How many processes serve, besides the parent. Default: the number of processors.
  size_t processes;
  // Nanoseconds the processes have to end after a SIGTERM, before SIGKILL; below 0 without end.
  // Default 15 s, more than what servers give their calls.
  int64_t grace;
  // Connections that may queue for each process. Default 4096.
  int32_t backlog;
  // Whether a process that ends is restarted. Default 1.
  int32_t restart;
} fastrpc_prefork_options;

// The main function of a process of a fastrpc_prefork. `index`: its number, from 0. `listen_fd`: a
// listening socket, which is the function's own. Returns the exit status of the process.
typedef int (*fastrpc_process_function)(void *user, size_t index, int listen_fd);

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_prefork_options_init(struct fastrpc_prefork_options *options, size_t size);

// Binds an address for several processes. Connections queue from here on.
//
// `address`: "host:port" with a literal address, where port 0 takes a free one, ":port", or
// "unix:/path". `options`: NULL for the defaults. `out`: receives the object; free it with
// fastrpc_prefork_free(). Fails with FASTRPC_EINVAL, FASTRPC_EIO (also if other processes share
// the address by SO_REUSEPORT). Any thread; never suspends.
fastrpc_status fastrpc_prefork_new(const char *address,
                                   size_t address_size,
                                   const struct fastrpc_prefork_options *options,
                                   struct fastrpc_prefork **out,
                                   struct fastrpc_error **error);

// Returns the TCP port it is bound to, or 0 if there is none.
//
// `prefork`: NULL gives 0. Any thread; never suspends.
uint16_t fastrpc_prefork_port(const struct fastrpc_prefork *prefork);

// Copies the address it is bound to, and a NUL, into a buffer as far as it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_prefork_address(const struct fastrpc_prefork *prefork, char *buffer, size_t size);

// Forks the processes and supervises them, once. Blocks until they have ended: after SIGTERM or
// SIGINT to this process, the parent, or with `restart` 0 after the last has ended by itself.
//
// A process that ends, with whatever status, is restarted after 100 ms; twice as long each further
// time, up to 5 s, and again 100 ms once it has lived for 10 s. A signal to the parent becomes a
// SIGTERM to the processes, and a SIGKILL to those left after `grace`; a process in which no
// fastrpc_server_run_until_signal() waits dies of the first. When the parent dies they get
// SIGKILL.
//
// `function`, `user`, `drop`: runs in each process and returns its exit status; 1 if an exception
// leaves it, which is logged. `drop` runs in the parent alone. `signal`: receives the signal's
// number, or 0; may be NULL. Fails with FASTRPC_ESTATE (the runtime has started, which works in no
// child; a server waits for signals; it ran before), FASTRPC_EIO. Call it in a program that has no
// other threads yet; blocks.
fastrpc_status fastrpc_prefork_run(const struct fastrpc_prefork *prefork,
                                   fastrpc_process_function function,
                                   void *user,
                                   fastrpc_drop drop,
                                   int32_t *signal,
                                   struct fastrpc_error **error);

// Frees it, and closes the sockets if it never ran.
//
// `prefork`: NULL does nothing; must not be used by another call meanwhile. Any thread; never
// suspends.
void fastrpc_prefork_free(struct fastrpc_prefork *prefork);

// Returns the number of this process among those of a fastrpc_prefork, from 0, or -1 in any other
// process.
//
// Any thread; never suspends.
int64_t fastrpc_process_index(void);

// ------------------------------------------------------------------------------------------------
// 18. Servers
// ------------------------------------------------------------------------------------------------

struct fastrpc_call; // chapter 20

// A server: RPC methods by name, HTTP routes, and the addresses it listens on. Free it with
// fastrpc_server_free(). Thread-safe.
typedef struct fastrpc_server fastrpc_server;

// The bounds of a server. See fastrpc_server_new(). The first four are for all connections, the
// fields that begin with http_ for those that speak HTTP, the others for those that speak RPC.
typedef struct fastrpc_server_options {
  // sizeof(fastrpc_server_options).
  size_t size;
  // Connections open at once, of all protocols; a further one is closed at once. Default 100000.
  size_t max_connections;
  // Nanoseconds a peer's machine may go without acknowledging anything, before the connection
  // counts as broken; below 0 without end. Default 30 s.
  int64_t peer_timeout;
  // Nanoseconds a connection may take from its first byte on until its protocol is known, before
  // it is closed; below 0 without end. Default 30 s.
  int64_t detect_timeout;
  // Nanoseconds a new connection may send nothing, before it is closed; below 0 without end.
  // Default -1.
  int64_t first_byte_timeout;
  // Bytes of the largest request; a peer that announces more is closed. Default 64 MiB.
  size_t max_frame;
  // Unanswered calls of a connection; at that number it is not read until half are answered.
  // Default 10000.
  size_t max_in_flight;
  // Bytes of the requests of unanswered calls of a connection; beyond, it is not read either.
  // Default 64 MiB.
  size_t max_in_flight_bytes;
  // Bytes of answers that a connection's peer has not read yet; beyond, the connection is not
  // read until half are gone. Default 64 MiB.
  size_t max_unsent;
  // Nanoseconds a peer may go without reading a byte while answers wait for it, before it is
  // closed; below 0 without end. Default 30 s.
  int64_t write_stall;
  // Nanoseconds in which the head of a frame that has begun must be whole, and for which its
  // body may pause, before the peer is closed; below 0 without end. Default 30 s.
  int64_t frame_timeout;
  // Nanoseconds a peer without calls in flight may send nothing, before it is closed; below 0
  // without end. Default -1.
  int64_t idle_timeout;
  // Bytes of a request's head; beyond, the answer is 431. Default 32 KiB.
  size_t http_max_head;
  // Header fields of a request; beyond, the answer is 431. Default 100.
  size_t http_max_fields;
  // Bytes of a request's target; beyond, the answer is 414. Default 8 KiB.
  size_t http_max_target;
  // Bytes of a request's body; beyond, the answer is 413. Default 64 MiB.
  uint64_t http_max_body;
  // Nanoseconds in which a head that has begun must be whole, else the answer is 408; below 0
  // without end. Default 30 s.
  int64_t http_head_timeout;
  // Nanoseconds a body may pause while it is read, else the answer is 408; below 0 without end.
  // Default 30 s.
  int64_t http_body_timeout;
  // Nanoseconds a connection may be idle between requests, before it is closed; below 0 without
  // end. Default 75 s.
  int64_t http_idle_timeout;
  // Nanoseconds a client may go without reading a byte of a response, before it is closed; below
  // 0 without end. Default 30 s.
  int64_t http_write_stall;
} fastrpc_server_options;

// Counters of a server. See fastrpc_server_stats_get().
typedef struct fastrpc_server_stats {
  // sizeof(fastrpc_server_stats), set by the caller.
  size_t size;
  // Connections open.
  uint64_t connections;
  // Connections accepted since the start.
  uint64_t accepted;
  // Connections closed at once because there were too many.
  uint64_t rejected;
  // Calls that wait for their answer.
  uint64_t in_flight;
  // Calls received.
  uint64_t calls;
  // Calls answered with an error.
  uint64_t errors;
  // Connections closed because of what the peer sent, or did not read.
  uint64_t bad_peers;
  // Bytes read.
  uint64_t bytes_in;
  // Bytes written.
  uint64_t bytes_out;
} fastrpc_server_stats;

// An RPC method. It owns `call`; see fastrpc_call. It runs in a new coroutine for each call, on
// several workers at the same time.
typedef void (*fastrpc_call_handler)(void *user, struct fastrpc_call *call);

// What became of the calls of a server that was stopped. See fastrpc_server_stop().
typedef struct fastrpc_stop_report {
  // sizeof(fastrpc_stop_report), set by the caller.
  size_t size;
  // Calls that were in flight and ended by themselves.
  uint64_t finished;
  // Calls that were in flight when the grace was over, answered with FASTRPC_CODE_ELOGOFF.
  uint64_t canceled;
  // Calls that came after the stop had begun, answered with FASTRPC_CODE_ELOGOFF.
  uint64_t refused;
} fastrpc_stop_report;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_server_options_init(struct fastrpc_server_options *options, size_t size);

// Creates a server without methods, routes or addresses.
//
// `options`: NULL for the defaults. `out`: receives the server; free it with
// fastrpc_server_free(). Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_server_new(const struct fastrpc_server_options *options,
                                  struct fastrpc_server **out,
                                  struct fastrpc_error **error);

// Adds an RPC method. May be called while the server runs.
//
// `service`, `method`: names, such as "example.Echo" and "Say". `function`, `user`, `drop`:
// handles the calls, until the server is freed. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (the
// server has this method). Any thread; never suspends.
fastrpc_status fastrpc_server_add_method(const struct fastrpc_server *server,
                                         const char *service,
                                         size_t service_size,
                                         const char *method,
                                         size_t method_size,
                                         fastrpc_call_handler function,
                                         void *user,
                                         fastrpc_drop drop,
                                         struct fastrpc_error **error);

// Starts to listen on an address. May be called several times.
//
// `address`: "host:port", where port 0 takes a free one, ":port", or "unix:/path". Fails with
// FASTRPC_EINVAL, FASTRPC_EIO, FASTRPC_ESTATE (stopped). Any thread; may suspend to look the host
// up.
fastrpc_status fastrpc_server_listen(const struct fastrpc_server *server,
                                     const char *address,
                                     size_t address_size,
                                     struct fastrpc_error **error);

// Starts to serve on a listening socket, TCP or Unix.
//
// `fd`: becomes the library's, which closes it, unless this fails with FASTRPC_EINVAL because it
// is not open or not a listening socket. Fails with that, FASTRPC_EIO, FASTRPC_ESTATE (stopped).
// Any thread; never suspends.
fastrpc_status fastrpc_server_listen_fd(const struct fastrpc_server *server,
                                        int fd,
                                        struct fastrpc_error **error);

// Returns the TCP port of the first address it listens on, or 0 if there is none.
//
// `server`: NULL gives 0. Any thread; never suspends.
uint16_t fastrpc_server_port(const struct fastrpc_server *server);

// Copies the first address it listens on, and a NUL, into a buffer as far as it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL; 0 if it does not listen. Any thread; never suspends.
size_t fastrpc_server_address(const struct fastrpc_server *server, char *buffer, size_t size);

// Stops a server for good: accepts nothing more, refuses new calls with FASTRPC_CODE_ELOGOFF, lets
// the calls in flight end, and closes the connections.
//
// `grace`: nanoseconds for the calls in flight; those left then are answered with
// FASTRPC_CODE_ELOGOFF. `report`: its `size` is set by the caller; receives what became of the
// calls, as far as it reaches; may be NULL. Fails with FASTRPC_EINVAL. Any thread; may suspend.
fastrpc_status fastrpc_server_stop(const struct fastrpc_server *server,
                                   int64_t grace,
                                   struct fastrpc_stop_report *report);

// Waits until the server has been stopped.
//
// Fails with FASTRPC_EINVAL. Any thread; may suspend.
fastrpc_status fastrpc_server_wait(const struct fastrpc_server *server);

// Serves until the process receives SIGINT or SIGTERM, or the server is stopped, and stops it.
//
// `grace`: nanoseconds for the calls in flight. `signal`: receives the signal's number, or 0; may
// be NULL. Fails with FASTRPC_EIO, FASTRPC_ESTATE (another server of the process waits for
// signals). Any thread; may suspend.
fastrpc_status fastrpc_server_run_until_signal(const struct fastrpc_server *server,
                                               int64_t grace,
                                               int32_t *signal,
                                               struct fastrpc_error **error);

// Reads the counters of a server.
//
// `stats`: its `size` is set by the caller; the rest is filled in as far as it reaches. Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_server_stats_get(const struct fastrpc_server *server,
                                        struct fastrpc_server_stats *stats);

// Frees a server. If it was not stopped it stops at once: calls in flight are answered with
// FASTRPC_CODE_ELOGOFF.
//
// The `drop` of a callback may run a moment later, when the last connection has ended. `server`:
// NULL does nothing; must not be used by another call meanwhile. Any thread; never suspends.
void fastrpc_server_free(struct fastrpc_server *server);

// ------------------------------------------------------------------------------------------------
// 19. Messages: their compression, and functions that write them
// ------------------------------------------------------------------------------------------------

// Messages are sent as they are.
#define FASTRPC_COMPRESS_NONE 0

// Messages are compressed by snappy, in its block format.
#define FASTRPC_COMPRESS_SNAPPY 1

// Messages are compressed as a gzip stream.
#define FASTRPC_COMPRESS_GZIP 2

// Messages are compressed as a zlib stream.
#define FASTRPC_COMPRESS_ZLIB 3

// Writes a message: all `size` bytes of `buffer`, which are 0 and from which the library copies or
// compresses the message into the frame. Must not suspend.
typedef void (*fastrpc_fill_function)(void *user, uint8_t *buffer, size_t size);

// ------------------------------------------------------------------------------------------------
// 20. RPC calls on the server: what they ask
// ------------------------------------------------------------------------------------------------

// An RPC call on the server.
//
// The handler owns it and passes it to fastrpc_call_reply(), fastrpc_call_reply_with() or
// fastrpc_call_fail(), which consume it, or to fastrpc_call_free(), which answers with
// FASTRPC_CODE_EINTERNAL. That may happen after the handler has returned, and on any thread, but
// it is not thread-safe. When the connection or the server is gone by then, the answer is
// discarded; the call is consumed all the same. If an exception leaves the handler before, the
// call is consumed too: it is answered with FASTRPC_CODE_EINTERNAL and the exception's text.
typedef struct fastrpc_call fastrpc_call;

// Returns the request message, decompressed.
//
// `size`: receives its bytes; may be NULL. The message lives as long as the call. `call`: NULL
// gives NULL. Any thread; never suspends.
const uint8_t *fastrpc_call_request(const struct fastrpc_call *call, size_t *size);

// Returns the bytes sent beside the request.
//
// As fastrpc_call_request().
const uint8_t *fastrpc_call_attachment(const struct fastrpc_call *call, size_t *size);

// Returns the full name of the service, without a NUL.
//
// As fastrpc_call_request().
const char *fastrpc_call_service(const struct fastrpc_call *call, size_t *size);

// Returns the name of the method, without a NUL.
//
// As fastrpc_call_request().
const char *fastrpc_call_method(const struct fastrpc_call *call, size_t *size);

// Returns the client's name for the request, without a NUL; of size 0 if it has none.
//
// As fastrpc_call_request().
const char *fastrpc_call_request_id(const struct fastrpc_call *call, size_t *size);

// Copies the address of the client, such as "10.0.0.7:4711", and a NUL, into a buffer as far as it
// fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_call_peer(const struct fastrpc_call *call, char *buffer, size_t size);

// Returns the client's number for its logs, or 0.
//
// `call`: NULL gives 0. Any thread; never suspends.
int64_t fastrpc_call_log_id(const struct fastrpc_call *call);

// Returns how the request was compressed on the wire: a FASTRPC_COMPRESS_ number.
//
// `call`: NULL gives FASTRPC_COMPRESS_NONE. Any thread; never suspends.
int32_t fastrpc_call_compress(const struct fastrpc_call *call);

// Returns for how many nanoseconds the client will still wait, or -1 if it did not say.
//
// `call`: NULL gives -1. Any thread; never suspends.
int64_t fastrpc_call_time_left(const struct fastrpc_call *call);

// Returns whether nobody waits for the answer any more.
//
// `call`: NULL gives true. Any thread; never suspends.
bool fastrpc_call_is_canceled(const struct fastrpc_call *call);

// ------------------------------------------------------------------------------------------------
// 21. RPC calls on the server: how they are answered
// ------------------------------------------------------------------------------------------------

// What a response says beside its message. See fastrpc_call_reply_with().
typedef struct fastrpc_reply_options {
  // sizeof(fastrpc_reply_options).
  size_t size;
  // Writes the message: `body` is ignored then, and `body_size` tells its size. Default NULL. It
  // runs before fastrpc_call_reply_with() returns, or not at all.
  fastrpc_fill_function fill;
  // Passed to `fill`.
  void *fill_user;
  // Bytes sent beside the message, not compressed. Default none.
  const uint8_t *attachment;
  // Bytes of the attachment. Default 0.
  size_t attachment_size;
  // A FASTRPC_COMPRESS_ number. Default FASTRPC_COMPRESS_NONE.
  int32_t compress;
  // Must be 0.
  int32_t reserved;
} fastrpc_reply_options;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_reply_options_init(struct fastrpc_reply_options *options, size_t size);

// Answers a call with a response message.
//
// `call`: consumed. `body`, `size`: the message. Fails with FASTRPC_EINVAL. Any thread; never
// suspends.
fastrpc_status fastrpc_call_reply(struct fastrpc_call *call, const uint8_t *body, size_t size);

// Answers a call with a response message, and with an attachment, compressed, or written by a
// function.
//
// `call`: consumed. `body`, `body_size`: the message. `options`: NULL for the defaults. Fails with
// FASTRPC_EINVAL, FASTRPC_EEXCEPTION (an exception left `fill`), FASTRPC_ENOMEM; the call is then
// answered with FASTRPC_CODE_EINTERNAL. Any thread; never suspends.
fastrpc_status fastrpc_call_reply_with(struct fastrpc_call *call,
                                       const uint8_t *body,
                                       size_t body_size,
                                       const struct fastrpc_reply_options *options,
                                       struct fastrpc_error **error);

// Answers a call with an error.
//
// `call`: consumed. `code`: a number of the service's own, or a FASTRPC_CODE_ number; 0 becomes
// FASTRPC_CODE_EINTERNAL. `text`, `size`: for people. Fails with FASTRPC_EINVAL. Any thread; never
// suspends.
fastrpc_status fastrpc_call_fail(struct fastrpc_call *call,
                                 int32_t code,
                                 const char *text,
                                 size_t size);

// Abandons a call: it is answered with FASTRPC_CODE_EINTERNAL, at once or, inside the handler,
// when that returns.
//
// `call`: NULL does nothing. Any thread; never suspends.
void fastrpc_call_free(struct fastrpc_call *call);

// ------------------------------------------------------------------------------------------------
// 22. Connections of a server: pushes, and their end
// ------------------------------------------------------------------------------------------------

// A connection of a server, to push messages to or to close. It may be kept after the connection
// has ended. Free it with fastrpc_connection_free(). Thread-safe.
typedef struct fastrpc_connection fastrpc_connection;

// Learns that the connection of this number has ended.
typedef void (*fastrpc_closed_function)(void *user, uint64_t connection);

// Returns the connection a call came on: a handle of its own; free it with
// fastrpc_connection_free().
//
// `call`: NULL gives NULL. Any thread; never suspends.
struct fastrpc_connection *fastrpc_call_connection(const struct fastrpc_call *call);

// Returns the number of the connection a call came on. Each server counts its connections from 1
// and never uses a number again.
//
// `call`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_call_connection_id(const struct fastrpc_call *call);

// Returns the number of a connection. See fastrpc_call_connection_id().
//
// `connection`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_connection_id(const struct fastrpc_connection *connection);

// Returns whether messages can still be sent, as far as is known.
//
// `connection`: NULL gives false. Any thread; never suspends.
bool fastrpc_connection_is_open(const struct fastrpc_connection *connection);

// Sends a message that answers no call. Success means that it is queued to be sent.
//
// `name`: the message's type, such as "example.News". `body`: the message. Fails with
// FASTRPC_ECLOSED (the connection is gone), FASTRPC_ELIMIT (too much waits for the peer to read
// it), FASTRPC_EINVAL (also: the peer takes no pushes). Any thread; never suspends.
fastrpc_status fastrpc_connection_push(const struct fastrpc_connection *connection,
                                       const char *name,
                                       size_t name_size,
                                       const uint8_t *body,
                                       size_t body_size,
                                       struct fastrpc_error **error);

// Sends bytes as they are: whole frames of the peer's protocol, which must not be HTTP.
//
// As fastrpc_connection_push().
fastrpc_status fastrpc_connection_push_raw(const struct fastrpc_connection *connection,
                                           const uint8_t *bytes,
                                           size_t size,
                                           struct fastrpc_error **error);

// Closes a connection, once what was answered and pushed on it before has been sent.
//
// Calls that are still in flight are canceled, and late answers to them are discarded; but an HTTP
// request is answered first. The function of fastrpc_server_on_close() is called when the client
// has closed its side too, or a second later. Fails with FASTRPC_ECLOSED (the connection is gone).
// Any thread; never suspends.
fastrpc_status fastrpc_connection_close(const struct fastrpc_connection *connection,
                                        struct fastrpc_error **error);

// Frees the handle of a connection, which stays open.
//
// `connection`: NULL does nothing. Any thread; never suspends.
void fastrpc_connection_free(struct fastrpc_connection *connection);

// Sends a message to the connection of a number. See fastrpc_connection_push().
//
// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never
// suspends.
fastrpc_status fastrpc_server_push(const struct fastrpc_server *server,
                                   uint64_t connection,
                                   const char *name,
                                   size_t name_size,
                                   const uint8_t *body,
                                   size_t body_size,
                                   struct fastrpc_error **error);

// Sends bytes as they are to the connection of a number. See fastrpc_connection_push_raw().
//
// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never
// suspends.
fastrpc_status fastrpc_server_push_raw(const struct fastrpc_server *server,
                                       uint64_t connection,
                                       const uint8_t *bytes,
                                       size_t size,
                                       struct fastrpc_error **error);

// Closes the connection of a number. See fastrpc_connection_close().
//
// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never
// suspends.
fastrpc_status fastrpc_server_close_connection(const struct fastrpc_server *server,
                                               uint64_t connection,
                                               struct fastrpc_error **error);

// Sets the function that is called once for each connection that has ended. Replaces the one
// before.
//
// It runs in a coroutine as soon as the peer has closed its side, whatever calls are still in
// flight, or when the connection broke or was closed. `function`, `user`, `drop`: called until the
// server is freed, on several workers at the same time; an exception that leaves it is logged.
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_server_on_close(const struct fastrpc_server *server,
                                       fastrpc_closed_function function,
                                       void *user,
                                       fastrpc_drop drop,
                                       struct fastrpc_error **error);

// ------------------------------------------------------------------------------------------------
// 23. HTTP: routes, and responses
// ------------------------------------------------------------------------------------------------

// An HTTP request and its response, as a handler gets them.
//
// It is the handler's until that returns; then the response is sent: what was set of it, by
// default 200 without a body. fastrpc_http_defer() makes it the caller's, to be answered later and
// on any thread by fastrpc_http_send(). One thread uses it at a time (else FASTRPC_EBUSY). If an
// exception leaves the handler of an exchange that was not deferred, the response is 500, or the
// connection ends if a part of the response is out.
typedef struct fastrpc_http_exchange fastrpc_http_exchange;

// Handles HTTP requests. It runs in a new coroutine for each, on several workers at the same time.
typedef void (*fastrpc_http_handler)(void *user, struct fastrpc_http_exchange *exchange);

// Adds a handler for HTTP requests of one method and path. May be called while the server runs.
//
// `method`: such as "GET", which serves HEAD as well. `path`: begins with "/"; ":name" stands for
// one segment, "*name" at the end for the rest. `function`, `user`, `drop`: handles the requests,
// until the server is freed. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (there is such a route, or
// one that cannot be told apart). Any thread; never suspends.
fastrpc_status fastrpc_server_route(const struct fastrpc_server *server,
                                    const char *method,
                                    size_t method_size,
                                    const char *path,
                                    size_t path_size,
                                    fastrpc_http_handler function,
                                    void *user,
                                    fastrpc_drop drop,
                                    struct fastrpc_error **error);

// Sets the handler for HTTP requests that no route fits, instead of 404. May be called while the
// server runs, once.
//
// `function`, `user`, `drop`: handles the requests, until the server is freed. Fails with
// FASTRPC_EINVAL, FASTRPC_ESTATE (there is one). Any thread; never suspends.
fastrpc_status fastrpc_server_fallback(const struct fastrpc_server *server,
                                       fastrpc_http_handler function,
                                       void *user,
                                       fastrpc_drop drop,
                                       struct fastrpc_error **error);

// Sets the status of the response, between 200 and 999; 200 by default.
//
// Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the response is out). Any thread; never
// suspends.
fastrpc_status fastrpc_http_set_status(const struct fastrpc_http_exchange *exchange,
                                       int32_t status);

// Adds a header field to the response. Content-Length, Transfer-Encoding and Date are set by the
// library and ignored here.
//
// `name`, `value`: text. Fails with FASTRPC_EINVAL (a character that a field must not have, such
// as a line break), FASTRPC_ESTATE (a part of the response is out). Any thread; never suspends.
fastrpc_status fastrpc_http_add_header(const struct fastrpc_http_exchange *exchange,
                                       const char *name,
                                       size_t name_size,
                                       const char *value,
                                       size_t value_size,
                                       struct fastrpc_error **error);

// Sets the body of the response.
//
// `body`, `size`: copied. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the response is
// out). Any thread; never suspends.
fastrpc_status fastrpc_http_set_body(const struct fastrpc_http_exchange *exchange,
                                     const uint8_t *body,
                                     size_t size);

// Sets the whole response: status line, header fields and body, sent as they are. One that is
// malformed, or does not end where it says, is logged and becomes a 500.
//
// `response`, `size`: copied. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the response is
// out). Any thread; never suspends.
fastrpc_status fastrpc_http_set_raw(const struct fastrpc_http_exchange *exchange,
                                    const uint8_t *response,
                                    size_t size);

// Sets how many bytes will be written in all, if that is known. Otherwise they are sent in chunks.
//
// Fails with FASTRPC_ESTATE (a part of the response is out). Any thread; never suspends.
fastrpc_status fastrpc_http_set_length(const struct fastrpc_http_exchange *exchange,
                                       uint64_t length);

// Sends a part of the response's body; before the first, the status and the header fields.
//
// `bytes`, `size`: the part; of size 0, nothing but the head. Fails with FASTRPC_EINVAL (more
// bytes than were announced), FASTRPC_ETIMEDOUT (the client does not read), FASTRPC_EIO (it is
// gone), FASTRPC_ESTATE (the request is answered). Any thread; may suspend.
fastrpc_status fastrpc_http_write(const struct fastrpc_http_exchange *exchange,
                                  const uint8_t *bytes,
                                  size_t size,
                                  struct fastrpc_error **error);

// Returns whether nobody would get the response: the connection is known to be gone.
//
// `exchange`: NULL gives true. Any thread; never suspends.
bool fastrpc_http_is_canceled(const struct fastrpc_http_exchange *exchange);

// Makes the exchange the caller's: the response is not sent when the handler returns, but by
// fastrpc_http_send() or fastrpc_http_free(), one of which must be called. In the handler only.
//
// Fails with FASTRPC_ESTATE (it was deferred before). Any thread; never suspends.
fastrpc_status fastrpc_http_defer(const struct fastrpc_http_exchange *exchange);

// Sends the response of an exchange that was deferred, or the end of what was written, and frees
// the exchange.
//
// `exchange`: consumed. Fails with FASTRPC_EINVAL (NULL; fewer bytes than were announced, which
// ends the connection). Any thread; never suspends in a coroutine.
fastrpc_status fastrpc_http_send(struct fastrpc_http_exchange *exchange);

// Abandons an exchange that was deferred: the response is 500, or the connection ends if a part of
// it is out.
//
// `exchange`: NULL does nothing. Any thread; never suspends.
void fastrpc_http_free(struct fastrpc_http_exchange *exchange);

// ------------------------------------------------------------------------------------------------
// 24. HTTP: what a request says
// ------------------------------------------------------------------------------------------------

// Returns the method, such as "GET", without a NUL.
//
// `size`: receives its bytes; may be NULL. The text lives as long as the exchange. `exchange`:
// NULL gives NULL. Any thread; never suspends.
const char *fastrpc_http_method(const struct fastrpc_http_exchange *exchange, size_t *size);

// Returns the path, percent-encoded as it came, without a NUL.
//
// As fastrpc_http_method().
const char *fastrpc_http_path(const struct fastrpc_http_exchange *exchange, size_t *size);

// Returns what follows the question mark of the target, percent-encoded as it came; NULL if there
// is none.
//
// As fastrpc_http_method().
const char *fastrpc_http_query_string(const struct fastrpc_http_exchange *exchange, size_t *size);

// Returns the request line and the header fields as they came, with the empty line at their end.
//
// As fastrpc_http_method().
const char *fastrpc_http_head(const struct fastrpc_http_exchange *exchange, size_t *size);

// Returns 11 for HTTP/1.1, 10 for HTTP/1.0.
//
// `exchange`: NULL gives 0. Any thread; never suspends.
int32_t fastrpc_http_version(const struct fastrpc_http_exchange *exchange);

// Returns the value of a header field, without a NUL; NULL if there is none of this name.
//
// `name`: in whatever case. `index`: which of those with this name, from 0. Otherwise as
// fastrpc_http_method().
const char *fastrpc_http_header(const struct fastrpc_http_exchange *exchange,
                                const char *name,
                                size_t name_size,
                                size_t index,
                                size_t *size);

// Reads a header field by its index, in any order. Returns false beyond the last.
//
// `index`: from 0; the cost does not depend on it. `name`, `name_size`, `value`, `value_size`:
// receive the name, in lower case, and the value, which live as long as the exchange. `exchange`:
// NULL gives false. Any thread; never suspends.
bool fastrpc_http_header_at(const struct fastrpc_http_exchange *exchange,
                            size_t index,
                            const char **name,
                            size_t *name_size,
                            const char **value,
                            size_t *value_size);

// Returns the part of the path in the place of ":name" or "*name" of the route, decoded; NULL if
// there is none.
//
// As fastrpc_http_method().
const char *fastrpc_http_param(const struct fastrpc_http_exchange *exchange,
                               const char *name,
                               size_t name_size,
                               size_t *size);

// Returns the first query parameter of this name, decoded; NULL if there is none.
//
// As fastrpc_http_method().
const char *fastrpc_http_query(const struct fastrpc_http_exchange *exchange,
                               const char *name,
                               size_t name_size,
                               size_t *size);

// Reads a query parameter by its index, decoded, in the order in which they came. Returns false
// beyond the last.
//
// As fastrpc_http_header_at().
bool fastrpc_http_query_at(const struct fastrpc_http_exchange *exchange,
                           size_t index,
                           const char **name,
                           size_t *name_size,
                           const char **value,
                           size_t *value_size);

// Returns the first cookie of this name, as it came; NULL if there is none.
//
// As fastrpc_http_method().
const char *fastrpc_http_cookie(const struct fastrpc_http_exchange *exchange,
                                const char *name,
                                size_t name_size,
                                size_t *size);

// Copies the address of the client, such as "10.0.0.7:4711", and a NUL, into a buffer as far as it
// fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_http_peer(const struct fastrpc_http_exchange *exchange, char *buffer, size_t size);

// Returns the number of the connection. See fastrpc_call_connection_id().
//
// `exchange`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_http_connection_id(const struct fastrpc_http_exchange *exchange);

// ------------------------------------------------------------------------------------------------
// 25. HTTP: the body of a request
// ------------------------------------------------------------------------------------------------

// Returns the bytes of the body, read or not; -1 if the client did not announce them.
//
// `exchange`: NULL gives -1. Any thread; never suspends.
int64_t fastrpc_http_content_length(const struct fastrpc_http_exchange *exchange);

// Returns the whole body, or what is left of it. Reads it when first called.
//
// `body`, `size`: receive the bytes, which live as long as the exchange. Fails with
// FASTRPC_ETIMEDOUT and FASTRPC_EIO when the body does not come, is malformed or too large: the
// client is answered accordingly, whatever the handler sets. Any thread; may suspend.
fastrpc_status fastrpc_http_body(const struct fastrpc_http_exchange *exchange,
                                 const uint8_t **body,
                                 size_t *size,
                                 struct fastrpc_error **error);

// Reads a part of the body: what has arrived, at most `size` bytes. While nobody reads, the client
// is held back.
//
// `count`: receives the bytes read; 0 at the end. Fails as fastrpc_http_body(). Any thread; may
// suspend.
fastrpc_status fastrpc_http_read(const struct fastrpc_http_exchange *exchange,
                                 uint8_t *buffer,
                                 size_t size,
                                 size_t *count,
                                 struct fastrpc_error **error);

// Returns the first parameter of this name in a body of the type
// application/x-www-form-urlencoded, decoded; NULL if there is none, or the body cannot be read.
// Reads the body when first called.
//
// `error`: as for fastrpc_http_body(), and FASTRPC_EINVAL for a body of another type. Otherwise as
// fastrpc_http_method(), but may suspend.
const char *fastrpc_http_form(const struct fastrpc_http_exchange *exchange,
                              const char *name,
                              size_t name_size,
                              size_t *size,
                              struct fastrpc_error **error);

// Reads a parameter of such a body by its index, decoded, in the order in which they came. Returns
// false beyond the last, or if the body cannot be read. Reads the body when first called.
//
// `error`: as for fastrpc_http_form(). Otherwise as fastrpc_http_header_at(), but may suspend.
bool fastrpc_http_form_at(const struct fastrpc_http_exchange *exchange,
                          size_t index,
                          const char **name,
                          size_t *name_size,
                          const char **value,
                          size_t *value_size,
                          struct fastrpc_error **error);

// ------------------------------------------------------------------------------------------------
// 26. RPC clients
// ------------------------------------------------------------------------------------------------

// A client: one connection to a server, and any number of calls in flight on it. It connects when
// first used, and again when the connection broke. Free it with fastrpc_client_free().
// Thread-safe.
typedef struct fastrpc_client fastrpc_client;

// How a client connects, and its bounds. See fastrpc_client_new().
typedef struct fastrpc_client_options {
  // sizeof(fastrpc_client_options).
  size_t size;
  // Nanoseconds a call may take that sets no timeout of its own; below 0 without end.
  // Default 10 s.
  int64_t timeout;
  // Nanoseconds one attempt to connect may take, at least 0. Default 3 s.
  int64_t connect_timeout;
  // Calls in flight; a further one fails with FASTRPC_ELIMIT. Default 100000.
  size_t max_in_flight;
  // Bytes of requests not yet passed to the kernel; a call beyond fails with FASTRPC_ELIMIT.
  // Default 64 MiB.
  size_t max_unsent;
  // Bytes of the largest answer; a larger one breaks the connection. Default 64 MiB.
  size_t max_frame;
  // Nanoseconds between a first failed attempt to connect and the next; it doubles with each
  // further one. Default 50 ms.
  int64_t backoff_min;
  // The longest pause between two attempts, in nanoseconds. Default 2 s.
  int64_t backoff_max;
  // Pushed messages that may wait for their function; a further one is dropped. Default 10000.
  size_t max_pushes;
  // Bytes of pushed messages that may wait for their function; a message beyond is dropped.
  // Default 64 MiB.
  size_t max_push_bytes;
  // A FASTRPC_PROTOCOL_ number. Default FASTRPC_PROTOCOL_BAIDU_STD.
  int32_t protocol;
  // Must be 0.
  int32_t reserved;
  // Nanoseconds the server may go without reading a byte while requests wait for it, before the
  // connection is broken; below 0 without end. Default 30 s.
  int64_t write_stall;
  // Nanoseconds the server's machine may go without acknowledging anything, before the
  // connection counts as broken; below 0 without end. Default 30 s.
  int64_t peer_timeout;
  // The worker the connection lives on, from 0. Default -1: that of the coroutine that creates
  // the client; clients of plain threads go to the workers in turn.
  int64_t worker;
} fastrpc_client_options;

// Counters of a client. See fastrpc_client_stats_get().
typedef struct fastrpc_client_stats {
  // sizeof(fastrpc_client_stats), set by the caller.
  size_t size;
  // Calls that wait for their answer.
  uint64_t in_flight;
  // Answers that no call waited for, late ones mostly, and pushes without a function.
  uint64_t unmatched;
  // Connections made.
  uint64_t connects;
  // Attempts to connect that failed.
  uint64_t failed_connects;
  // Pushed messages dropped because too many waited for their function.
  uint64_t dropped_pushes;
} fastrpc_client_stats;

// The protocol of brpc.
#define FASTRPC_PROTOCOL_BAIDU_STD 0

// The HTTP-like frames of the original fastrpc. They carry no log ids, no attachments and no
// compression, and an old server does not answer a call that fails: it times out.
#define FASTRPC_PROTOCOL_ORIGINAL 1

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_client_options_init(struct fastrpc_client_options *options, size_t size);

// Creates a client. Does not connect yet.
//
// `address`: "host:port" or "unix:/path". `options`: NULL for the defaults. `out`: receives the
// client; free it with fastrpc_client_free(). Fails with FASTRPC_EINVAL, FASTRPC_ENOMEM,
// FASTRPC_EIO. Any thread; never suspends.
fastrpc_status fastrpc_client_new(const char *address,
                                  size_t address_size,
                                  const struct fastrpc_client_options *options,
                                  struct fastrpc_client **out,
                                  struct fastrpc_error **error);

// Connects now, if it is not connected.
//
// `timeout`: nanoseconds. Fails with FASTRPC_ECONNECT, FASTRPC_ETIMEDOUT, FASTRPC_ECLOSED,
// FASTRPC_ECANCELED. Any thread; may suspend.
fastrpc_status fastrpc_client_connect(const struct fastrpc_client *client,
                                      int64_t timeout,
                                      struct fastrpc_error **error);

// Returns whether there is a connection at this moment.
//
// `client`: NULL gives false. Any thread; never suspends.
bool fastrpc_client_is_connected(const struct fastrpc_client *client);

// Copies the server's address as given to fastrpc_client_new(), and a NUL, into a buffer as far as
// it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_client_address(const struct fastrpc_client *client, char *buffer, size_t size);

// Reads the counters of a client.
//
// `stats`: its `size` is set by the caller; the rest is filled in as far as it reaches. Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_client_stats_get(const struct fastrpc_client *client,
                                        struct fastrpc_client_stats *stats);

// Closes a client for good: calls in flight fail with FASTRPC_ECLOSED.
//
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_client_close(const struct fastrpc_client *client);

// Closes and frees a client.
//
// `client`: NULL does nothing; must not be used by another call meanwhile. Any thread; never
// suspends.
void fastrpc_client_free(struct fastrpc_client *client);

// ------------------------------------------------------------------------------------------------
// 27. Cancellation of calls
// ------------------------------------------------------------------------------------------------

// A means for any thread to end a call: see `cancellation` of fastrpc_call_options.
//
// The caller's memory, all zero at first (`fastrpc_cancellation c = {0}`), never copied or moved.
// One call at a time uses it. It must live until that call has ended, and may then go although a
// fastrpc_cancellation_cancel() that ended the call has not returned. After an asynchronous call,
// fastrpc_cancellation_reset() frees what that has left in it.
typedef struct fastrpc_cancellation {
  // The library's.
  void *state;
} fastrpc_cancellation;

// Ends the call with FASTRPC_ECANCELED, unless it has ended; one that begins later fails with it
// at once, until fastrpc_cancellation_reset(). The server is not told.
//
// Fails with FASTRPC_EINVAL. Any thread, several times; never suspends.
fastrpc_status fastrpc_cancellation_cancel(struct fastrpc_cancellation *cancellation);

// Returns whether fastrpc_cancellation_cancel() was called since the last reset.
//
// `cancellation`: NULL gives false. Any thread; never suspends.
bool fastrpc_cancellation_is_canceled(const struct fastrpc_cancellation *cancellation);

// Resets it to all zero, for another call or before its memory goes.
//
// `cancellation`: NULL does nothing; must not be called during a call. Any thread; never suspends.
void fastrpc_cancellation_reset(struct fastrpc_cancellation *cancellation);

// ------------------------------------------------------------------------------------------------
// 28. Calls of a client
// ------------------------------------------------------------------------------------------------

struct fastrpc_response; // chapter 29

// A handle to cancel an asynchronous call by. Free it with fastrpc_async_call_free(). Thread-safe.
typedef struct fastrpc_async_call fastrpc_async_call;

// What a call says beside its request. See fastrpc_client_call().
typedef struct fastrpc_call_options {
  // sizeof(fastrpc_call_options).
  size_t size;
  // Nanoseconds the call may take. Default 0: as the client's options say.
  int64_t timeout;
  // A number for the server's logs. Default 0.
  int64_t log_id;
  // A name for the request. Default none.
  const char *request_id;
  // Bytes of the name. Default 0.
  size_t request_id_size;
  // Bytes sent beside the request, not compressed. Default none.
  const uint8_t *attachment;
  // Bytes of the attachment. Default 0.
  size_t attachment_size;
  // Writes the request: `request` is ignored then, and `request_size` tells its size. Default
  // NULL. It runs before the call is sent, and not after fastrpc_client_call() or
  // fastrpc_client_call_async() has returned.
  fastrpc_fill_function fill;
  // Passed to `fill`.
  void *fill_user;
  // A FASTRPC_COMPRESS_ number. Default FASTRPC_COMPRESS_NONE.
  int32_t compress;
  // Must be 0.
  int32_t reserved;
  // What any thread may end the call by: the caller's, not used by another call. Default NULL.
  struct fastrpc_cancellation *cancellation;
} fastrpc_call_options;

// Receives the end of a call. It owns `response` and `error`, one of which is NULL.
typedef void (*fastrpc_done_function)(void *user,
                                      struct fastrpc_response *response,
                                      struct fastrpc_error *error);

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_call_options_init(struct fastrpc_call_options *options, size_t size);

// Calls a method and waits for the answer.
//
// `service`, `method`: names. `request`: the message. `options`: NULL for the defaults. `out`:
// receives the response; free it with fastrpc_response_free(). Fails with FASTRPC_EREMOTE (the
// server answered with an error), FASTRPC_ETIMEDOUT, FASTRPC_ECONNECT, FASTRPC_ECLOSED (the
// connection broke), FASTRPC_ELIMIT, FASTRPC_ECANCELED, FASTRPC_EINVAL, FASTRPC_EEXCEPTION (left
// `fill`). Any thread; may suspend.
fastrpc_status fastrpc_client_call(const struct fastrpc_client *client,
                                   const char *service,
                                   size_t service_size,
                                   const char *method,
                                   size_t method_size,
                                   const uint8_t *request,
                                   size_t request_size,
                                   const struct fastrpc_call_options *options,
                                   struct fastrpc_response **out,
                                   struct fastrpc_error **error);

// Calls a method; a callback receives the answer.
//
// As fastrpc_client_call(), and: `function`, `user`, `drop`: called once, in a coroutine, with the
// response or the error; but not if this call itself fails (FASTRPC_EINVAL, FASTRPC_EEXCEPTION).
// An exception that leaves it is logged. It may run before this returns. `out`: receives a handle
// to cancel the call by; free it with fastrpc_async_call_free(); NULL if nobody will cancel it.
// Any thread; never suspends.
fastrpc_status fastrpc_client_call_async(const struct fastrpc_client *client,
                                         const char *service,
                                         size_t service_size,
                                         const char *method,
                                         size_t method_size,
                                         const uint8_t *request,
                                         size_t request_size,
                                         const struct fastrpc_call_options *options,
                                         fastrpc_done_function function,
                                         void *user,
                                         fastrpc_drop drop,
                                         struct fastrpc_async_call **out,
                                         struct fastrpc_error **error);

// Ends a call with FASTRPC_ECANCELED, unless it has ended. The server is not told.
//
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_async_call_cancel(const struct fastrpc_async_call *call);

// Frees the handle of an asynchronous call, which goes on.
//
// `call`: NULL does nothing. Any thread; never suspends.
void fastrpc_async_call_free(struct fastrpc_async_call *call);

// ------------------------------------------------------------------------------------------------
// 29. Responses to a client's calls
// ------------------------------------------------------------------------------------------------

// A successful answer to a client's call. Free it with fastrpc_response_free(). Not thread-safe.
typedef struct fastrpc_response fastrpc_response;

// Returns the response message, decompressed.
//
// `size`: receives its bytes; may be NULL. The message lives as long as the response. `response`:
// NULL gives NULL. Any thread; never suspends.
const uint8_t *fastrpc_response_body(const struct fastrpc_response *response, size_t *size);

// Returns the bytes sent beside the response.
//
// As fastrpc_response_body().
const uint8_t *fastrpc_response_attachment(const struct fastrpc_response *response, size_t *size);

// Copies the address of the server that answered, and a NUL, into a buffer as far as it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_response_peer(const struct fastrpc_response *response, char *buffer, size_t size);

// Frees a response.
//
// `response`: NULL does nothing. Any thread; never suspends.
void fastrpc_response_free(struct fastrpc_response *response);

// ------------------------------------------------------------------------------------------------
// 30. Events of a client: pushes, and lost connections
// ------------------------------------------------------------------------------------------------

// Receives a message that the server pushed: the name of its type, without a NUL, and its bytes,
// both valid until the function returns.
typedef void (*fastrpc_push_function)(void *user,
                                      const char *name,
                                      size_t name_size,
                                      const uint8_t *body,
                                      size_t body_size);

// Learns that the connection was lost. It owns `error`, which says why.
typedef void (*fastrpc_lost_function)(void *user, struct fastrpc_error *error);

// Sets the function that receives each message that the server pushes. Replaces the one before. A
// server that speaks baidu_std learns with the next call that the client takes pushes.
//
// It runs in a coroutine, for one message after the other, in the order in which they came.
// `function`, `user`, `drop`: called until the client is closed; an exception that leaves it is
// logged. Messages beyond the client's bounds are dropped. Fails with FASTRPC_EINVAL. Any thread;
// never suspends.
fastrpc_status fastrpc_client_on_push(const struct fastrpc_client *client,
                                      fastrpc_push_function function,
                                      void *user,
                                      fastrpc_drop drop,
                                      struct fastrpc_error **error);

// Sets the function that is called each time an established connection is lost. Replaces the one
// before.
//
// It runs in a coroutine, after the calls in flight have failed, and in turn with the function of
// fastrpc_client_on_push(). Closing the client is no loss. `function`, `user`, `drop`: called
// until the client is closed; an exception that leaves it is logged. Fails with FASTRPC_EINVAL.
// Any thread; never suspends.
fastrpc_status fastrpc_client_on_close(const struct fastrpc_client *client,
                                       fastrpc_lost_function function,
                                       void *user,
                                       fastrpc_drop drop,
                                       struct fastrpc_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FASTRPC_FASTRPC_H_ */
