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
// Threads. All functions may be called in plain threads and in coroutines. "Any thread" means: also
// by several at the same time, on the same object. A function that "may suspend" waits: it suspends
// the calling coroutine, or blocks the calling thread. One that "never suspends" returns at once.
//
// fork(). In a child made after the runtime has started, fallible functions return FASTRPC_EFORKED
// at once.
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

// The major version of this header; it changes when programs must be changed.
#define FASTRPC_VERSION_MAJOR 0

// The minor version of this header; it changes when something is added.
#define FASTRPC_VERSION_MINOR 1

// The patch version of this header; it changes with every other release.
#define FASTRPC_VERSION_PATCH 0

// The version of the library in use, such as "1.2.3".
//
// The text lives as long as the process. Any thread; never suspends.
const char *fastrpc_version(void);

// The version of the library in use as a number: major * 10000 + minor * 100 + patch.
//
// Any thread; never suspends.
int fastrpc_version_number(void);

// ------------------------------------------------------------------------------------------------
// 2. Status numbers: what every fallible function returns
// ------------------------------------------------------------------------------------------------

// What a call reports: FASTRPC_OK or one of the FASTRPC_E numbers. A number is never reused.
typedef int32_t fastrpc_status;

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

// The meaning of a status in a few English words.
//
// `status`: any number. The text lives as long as the process. Any thread; never suspends.
const char *fastrpc_status_text(fastrpc_status status);

// ------------------------------------------------------------------------------------------------
// 3. Errors: what a status alone does not tell
// ------------------------------------------------------------------------------------------------

// Why a call failed: a status, a number and a text.
//
// Made by a failing call that was given a `fastrpc_error **`; the caller frees it with
// fastrpc_error_free(). Not to be used by two threads at the same time.
typedef struct fastrpc_error fastrpc_error;

// The status that the failing call returned.
//
// `error`: NULL gives FASTRPC_OK. Any thread; never suspends.
fastrpc_status fastrpc_error_status(const struct fastrpc_error *error);

// The detailed number: of an RPC error a FASTRPC_CODE_ number or the service's own, as on the wire;
// of a failed system call its errno, otherwise the status.
//
// `error`: NULL gives 0. Any thread; never suspends.
int32_t fastrpc_error_code(const struct fastrpc_error *error);

// Whether the server's service chose this error, by fastrpc_call_fail() with a number of its own.
// False if the library made it: any FASTRPC_CODE_ number, and whatever did not come from a server.
//
// `error`: NULL gives false. Any thread; never suspends.
bool fastrpc_error_is_service(const struct fastrpc_error *error);

// The text, for people. It is not a contract; test the status or the code.
//
// `error`: NULL gives "no error". The text lives as long as the error. Any thread; never
// suspends.
const char *fastrpc_error_text(const struct fastrpc_error *error);

// Frees an error.
//
// `error`: NULL is allowed and does nothing. Any thread; never suspends.
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

// Frees a callback's user data. May be NULL. Runs exactly once, after the last call of the
// function has ended, or before the call that was given the callback fails. Any thread.
typedef void (*fastrpc_drop)(void *user);

// ------------------------------------------------------------------------------------------------
// 6. Logging
// ------------------------------------------------------------------------------------------------

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

// Receives one log record. `text` and `target` (the part of the library) are not terminated by a
// NUL and live until the callback returns. Runs on the thread and, if in one, in the coroutine
// that logs, in several at the same time; must not suspend.
typedef void (*fastrpc_log_function)(void *user,
                                     int32_t level,
                                     const char *target,
                                     size_t target_size,
                                     const char *text,
                                     size_t text_size);

// Sends the library's log records to a callback; at first warnings and errors go to stderr.
//
// `level`: the highest FASTRPC_LOG_ level that is wanted. `function`: NULL for stderr. `user`,
// `drop`: its data. Fails with FASTRPC_EINVAL if `level` is none, FASTRPC_ESTATE if the program
// set a logger of its own through Rust. Any thread; never suspends.
fastrpc_status fastrpc_set_log(int32_t level,
                               fastrpc_log_function function,
                               void *user,
                               fastrpc_drop drop,
                               struct fastrpc_error **error);

// Writes a record to where the library's own records go.
//
// `level`: a FASTRPC_LOG_ level. `text`, `size`: the bytes of a text; what is not UTF-8 is
// replaced. Fails with FASTRPC_EINVAL (there is no such level). Any thread; never suspends.
fastrpc_status fastrpc_log(int32_t level, const char *text, size_t size);

// ------------------------------------------------------------------------------------------------
// 7. The runtime and its worker threads
// ------------------------------------------------------------------------------------------------

// How the runtime is set up. See fastrpc_runtime_configure().
typedef struct fastrpc_runtime_options {
  // sizeof(fastrpc_runtime_options).
  size_t size;
  // Worker threads. Coroutines of one worker never run in parallel. Default 1; if the program
  // never configures the runtime, what the environment variable FASTRPC_WORKERS says.
  size_t workers;
  // Bytes of stack of a coroutine that does not say: virtual memory, used as it is touched.
  // Default 256 KiB.
  size_t stack_size;
  // Not 0: coroutines begin with their hooks on, see fastrpc_hook_enable(). Default 0; the
  // environment variable FASTRPC_HOOK=1 is the same.
  int32_t hook;
  // Not 0: it is found out, and logged, that a coroutine waits while it holds a lock of pthreads,
  // and a lock that could never return suspends. Default 1; the environment variable
  // FASTRPC_LOCK_CHECK=0 is the same as 0.
  int32_t lock_check;
  // Not 0: locks and condition variables of pthreads suspend coroutines that have their hooks
  // on. Default 0; the environment variable FASTRPC_HOOK_LOCKS=1 is the same as 1.
  int32_t hook_locks;
  // Must be 0.
  int32_t reserved;
} fastrpc_runtime_options;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_runtime_options_init(struct fastrpc_runtime_options *options, size_t size);

// Sets the runtime up, before its first use starts it.
//
// `options`: NULL for the defaults. Fails with FASTRPC_ESTATE once the runtime has started,
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_runtime_configure(const struct fastrpc_runtime_options *options,
                                         struct fastrpc_error **error);

// The number of worker threads, started or not.
//
// Any thread; never suspends.
size_t fastrpc_worker_count(void);

// The number of the calling worker thread, from 0, or -1 in any other thread.
//
// Any thread; never suspends.
int64_t fastrpc_worker_index(void);

// ------------------------------------------------------------------------------------------------
// 8. Coroutines
// ------------------------------------------------------------------------------------------------

// A coroutine that can be joined. Any thread.
typedef struct fastrpc_coroutine fastrpc_coroutine;

// How a coroutine is made. See fastrpc_spawn().
typedef struct fastrpc_spawn_options {
  // sizeof(fastrpc_spawn_options).
  size_t size;
  // A name for messages; copied. Default none.
  const char *name;
  // Bytes of the name. Default 0.
  size_t name_size;
  // Bytes of stack. Default 0: as the runtime's options say.
  size_t stack_size;
  // The worker it lives on, from 0. Default -1: the spawning coroutine's own, or, spawned by a
  // plain thread, one after the other.
  int64_t worker;
} fastrpc_spawn_options;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_spawn_options_init(struct fastrpc_spawn_options *options, size_t size);

// Runs a function in a new coroutine.
//
// `options`: NULL for the defaults. `function`, `user`, `drop`: runs once. `out`: gets the
// coroutine, to be freed by fastrpc_coroutine_free(); NULL if nobody will join it. Fails with
// FASTRPC_ENOMEM, FASTRPC_EINVAL. An exception that leaves the function is logged and makes
// fastrpc_coroutine_join() fail. Any thread; never suspends.
fastrpc_status fastrpc_spawn(const struct fastrpc_spawn_options *options,
                             fastrpc_function function,
                             void *user,
                             fastrpc_drop drop,
                             struct fastrpc_coroutine **out,
                             struct fastrpc_error **error);

// Waits until a coroutine has ended. Its local data is gone then.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it runs),
// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED (the waiting one was cancelled), FASTRPC_EEXCEPTION (an
// exception left its function), FASTRPC_ENOMEM (it could not be started on its worker). Several
// may wait, also again after the end. The handle is still to be freed. Any thread; may suspend.
fastrpc_status fastrpc_coroutine_join(const struct fastrpc_coroutine *coroutine,
                                      int64_t timeout,
                                      struct fastrpc_error **error);

// Cancels a coroutine: the wait it is in, and each one it begins, fails with FASTRPC_ECANCELED.
// Nothing is unwound; it ends when its function returns.
//
// Any thread; never suspends.
fastrpc_status fastrpc_coroutine_cancel(const struct fastrpc_coroutine *coroutine);

// Whether a coroutine has ended.
//
// `coroutine`: NULL gives true. Any thread; never suspends.
bool fastrpc_coroutine_is_finished(const struct fastrpc_coroutine *coroutine);

// The number of a coroutine, never 0 and never used again in this process.
//
// `coroutine`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_coroutine_id(const struct fastrpc_coroutine *coroutine);

// Frees the handle of a coroutine, which runs on by itself if it has not ended.
//
// `coroutine`: NULL does nothing. Any thread; never suspends.
void fastrpc_coroutine_free(struct fastrpc_coroutine *coroutine);

// Lets the other coroutines of this worker run, or, in a plain thread, the other threads.
//
// Any thread; may suspend.
fastrpc_status fastrpc_yield(void);

// Suspends the calling coroutine, or blocks the calling thread.
//
// `duration`: nanoseconds; below 0 for ever. Fails with FASTRPC_ECANCELED. Any thread; may
// suspend.
fastrpc_status fastrpc_sleep(int64_t duration);

// Whether the caller is a coroutine.
//
// Any thread; never suspends.
bool fastrpc_is_coroutine(void);

// The number of the calling coroutine, or 0 in a plain thread.
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

// A key to one pointer per coroutine, and per thread outside of coroutines. Any thread. Made to
// live as long as the process: a freed key's place is not used again.
typedef struct fastrpc_key fastrpc_key;

// Makes a key, whose value is NULL everywhere.
//
// `drop`: gets a value that is not NULL when its coroutine or thread ends; NULL if there is
// nothing to free. `out`: gets the key; free it with fastrpc_key_free(). Any thread; never
// suspends.
fastrpc_status fastrpc_key_new(fastrpc_drop drop, struct fastrpc_key **out);

// The value of the calling coroutine or thread.
//
// `key`: NULL gives NULL. Any thread; never suspends.
void *fastrpc_key_get(const struct fastrpc_key *key);

// Sets the value of the calling coroutine or thread. The value before is not freed.
//
// `value`: any pointer. Any thread; never suspends.
fastrpc_status fastrpc_key_set(const struct fastrpc_key *key, void *value);

// Frees a key. Values that are set are still freed when their coroutines end.
//
// `key`: NULL does nothing. Any thread; never suspends.
void fastrpc_key_free(struct fastrpc_key *key);

// ------------------------------------------------------------------------------------------------
// 10. Timers
// ------------------------------------------------------------------------------------------------

// A function that runs once its time has come. Any thread.
typedef struct fastrpc_timer fastrpc_timer;

// Runs a function in a new coroutine once a time has passed, never earlier.
//
// `delay`: nanoseconds from now, at least 0. `function`, `user`, `drop`: runs at most once. `out`:
// gets the timer, to be freed by fastrpc_timer_free(); NULL if nobody will cancel it. Fails with
// FASTRPC_EINVAL, FASTRPC_ENOMEM. An exception that leaves the function is logged. Any thread;
// never suspends.
fastrpc_status fastrpc_timer_after(int64_t delay,
                                   fastrpc_function function,
                                   void *user,
                                   fastrpc_drop drop,
                                   struct fastrpc_timer **out,
                                   struct fastrpc_error **error);

// Stops a timer: true if its function will not run because of this call; its `drop` has run then.
// Does not wait for a function that runs already.
//
// `timer`: NULL gives false; still to be freed. Any thread; never suspends.
bool fastrpc_timer_cancel(const struct fastrpc_timer *timer);

// Frees the handle of a timer, which stays armed if it was not cancelled.
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

// One of several file descriptors to wait for: laid out as poll(2)'s struct pollfd, and with its
// bits, so that an array of those may be passed.
typedef struct fastrpc_pollfd {
  // The file descriptor; one below 0 is skipped.
  int fd;
  // POLLIN, POLLOUT and so on, of poll(2).
  short events;
  // What holds, set by the call.
  short revents;
} fastrpc_pollfd;

// Waits until a file descriptor is ready. Any number may wait on one.
//
// `fd`: stays the caller's; blocking or not. `events`: FASTRPC_READABLE, FASTRPC_WRITABLE or both
// (either ends the wait). `timeout`: nanoseconds. `ready`: gets the POLL bits of poll(2) that hold;
// may be NULL. Fails with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ECLOSED (not open, or
// fastrpc_notify_close() was called), FASTRPC_EIO. Any thread; may suspend.
fastrpc_status fastrpc_wait_fd(int fd,
                               int32_t events,
                               int64_t timeout,
                               int32_t *ready,
                               struct fastrpc_error **error);

// Waits until one of several file descriptors is ready: poll(2) for coroutines.
//
// `fds`, `count`: an array; `revents` are set. `timeout`: nanoseconds. `ready`: gets how many are
// ready; may be NULL. Fails with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_EIO. Any thread;
// may suspend.
fastrpc_status fastrpc_poll_fds(struct fastrpc_pollfd *fds,
                                size_t count,
                                int64_t timeout,
                                size_t *ready,
                                struct fastrpc_error **error);

// Says that a file descriptor is about to be closed: who waits on it wakes with FASTRPC_ECLOSED.
//
// Call it before close(2). Any thread; never suspends.
fastrpc_status fastrpc_notify_close(int fd);

// ------------------------------------------------------------------------------------------------
// 12. Hooks: blocking calls of libc that suspend their coroutine
// ------------------------------------------------------------------------------------------------

// Turns the hooks of the calling coroutine on: from now on blocking calls of libc, its own and
// those of libraries that it uses, suspend the coroutine instead of blocking its worker.
//
// Until the coroutine ends or turns them off; coroutines that it starts begin with the default of
// the process. Fails with FASTRPC_ESTATE in a plain thread, and in a library that was built without
// hooks. Never suspends.
fastrpc_status fastrpc_hook_enable(void);

// Turns the hooks of the calling coroutine off.
//
// Fails with FASTRPC_ESTATE as fastrpc_hook_enable() does. Never suspends.
fastrpc_status fastrpc_hook_disable(void);

// Whether blocking calls of libc suspend the caller: false in a plain thread.
//
// Any thread; never suspends.
bool fastrpc_hook_is_enabled(void);

// Which of libc's functions are hooked in this process, and which loaded objects call libc's own
// past the hooks, as a text for people.
//
// `buffer`, `size`: gets the text, cut off to `size` with its terminating NUL. Gives the length of
// the whole text. Any thread; never suspends.
size_t fastrpc_hook_report(char *buffer, size_t size);

// How many waits have begun so far while their coroutine held a lock of pthreads.
//
// Each keeps others from the mutex for as long as it lasts; each pair of places, of a lock and of a
// wait, is logged once as a warning. 0 unless fastrpc_runtime_options.lock_check is on. Any thread;
// never suspends.
uint64_t fastrpc_hook_waits_with_locks(void);

// How often so far a coroutine wanted a lock of pthreads that another coroutine of the same worker
// held in a wait, and was suspended where it would have blocked for ever.
//
// Each pair of places is logged once as an error. 0 unless fastrpc_runtime_options.lock_check is on.
// Any thread; never suspends.
uint64_t fastrpc_hook_deadlocks_averted(void);

// ------------------------------------------------------------------------------------------------
// 13. Mutexes and condition variables
// ------------------------------------------------------------------------------------------------

// Mutual exclusion between coroutines of any worker and plain threads. May be held across calls
// that suspend. Not recursive. Any thread.
typedef struct fastrpc_mutex fastrpc_mutex;

// A condition variable for fastrpc_mutex. Any thread.
typedef struct fastrpc_condvar fastrpc_condvar;

// Makes an unlocked mutex.
//
// `out`: gets it; free it with fastrpc_mutex_free(). Any thread; never suspends.
fastrpc_status fastrpc_mutex_new(struct fastrpc_mutex **out);

// Locks.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it is locked),
// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED: the lock was not taken. Any thread; may suspend.
fastrpc_status fastrpc_mutex_lock(const struct fastrpc_mutex *mutex, int64_t timeout);

// Unlocks. Whoever holds the lock may have another coroutine or thread unlock it.
//
// Fails with FASTRPC_ESTATE if it is not locked. Any thread; never suspends.
fastrpc_status fastrpc_mutex_unlock(const struct fastrpc_mutex *mutex);

// Frees a mutex that nobody holds or waits for.
//
// `mutex`: NULL does nothing. Any thread; never suspends.
void fastrpc_mutex_free(struct fastrpc_mutex *mutex);

// Makes a condition variable.
//
// `out`: gets it; free it with fastrpc_condvar_free(). Any thread; never suspends.
fastrpc_status fastrpc_condvar_new(struct fastrpc_condvar **out);

// Unlocks `mutex`, which the caller holds, waits for a notification and locks again.
//
// The mutex is locked again in every case, also after a failure. `timeout`: nanoseconds. Fails
// with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ESTATE (not locked). Any thread; may
// suspend.
fastrpc_status fastrpc_condvar_wait(const struct fastrpc_condvar *condvar,
                                    const struct fastrpc_mutex *mutex,
                                    int64_t timeout);

// Wakes the one that has waited longest, if any waits.
//
// Any thread; never suspends.
fastrpc_status fastrpc_condvar_notify_one(const struct fastrpc_condvar *condvar);

// Wakes all that wait.
//
// Any thread; never suspends.
fastrpc_status fastrpc_condvar_notify_all(const struct fastrpc_condvar *condvar);

// Frees a condition variable that nobody waits for.
//
// `condvar`: NULL does nothing. Any thread; never suspends.
void fastrpc_condvar_free(struct fastrpc_condvar *condvar);

// ------------------------------------------------------------------------------------------------
// 14. Semaphores and wait groups
// ------------------------------------------------------------------------------------------------

// A number of permits, taken and given back by coroutines of any worker and plain threads.
typedef struct fastrpc_semaphore fastrpc_semaphore;

// A count of things that are going on, and a wait until it is 0.
typedef struct fastrpc_wait_group fastrpc_wait_group;

// Makes a semaphore.
//
// `permits`: how many are free at first. `out`: gets it; free it with fastrpc_semaphore_free().
// Any thread; never suspends.
fastrpc_status fastrpc_semaphore_new(size_t permits, struct fastrpc_semaphore **out);

// Takes `count` permits, all or none, first come first served.
//
// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and there are too few),
// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED. Any thread; may suspend.
fastrpc_status fastrpc_semaphore_acquire(const struct fastrpc_semaphore *semaphore,
                                         size_t count,
                                         int64_t timeout);

// Gives `count` permits back, or adds new ones.
//
// Fails with FASTRPC_ELIMIT if there would be too many to count. Any thread; never suspends.
fastrpc_status fastrpc_semaphore_release(const struct fastrpc_semaphore *semaphore, size_t count);

// The number of free permits at this moment.
//
// `semaphore`: NULL gives 0. Any thread; never suspends.
size_t fastrpc_semaphore_available(const struct fastrpc_semaphore *semaphore);

// Frees a semaphore that nobody waits for.
//
// `semaphore`: NULL does nothing. Any thread; never suspends.
void fastrpc_semaphore_free(struct fastrpc_semaphore *semaphore);

// Makes a wait group whose count is 0.
//
// `out`: gets it; free it with fastrpc_wait_group_free(). Any thread; never suspends.
fastrpc_status fastrpc_wait_group_new(struct fastrpc_wait_group **out);

// Adds `count` things.
//
// Fails with FASTRPC_ELIMIT if there would be too many to count. Any thread; never suspends.
fastrpc_status fastrpc_wait_group_add(const struct fastrpc_wait_group *group, size_t count);

// One thing is done.
//
// Fails with FASTRPC_ESTATE if the count is 0. Any thread; never suspends.
fastrpc_status fastrpc_wait_group_done(const struct fastrpc_wait_group *group);

// Waits until the count is 0.
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

// A first-in first-out queue of pointers between coroutines of any worker and plain threads. It
// has room for a fixed number; who pushes into a full one waits. Any thread.
typedef struct fastrpc_queue fastrpc_queue;

// Makes a queue.
//
// `capacity`: how many items it holds, at least 1. `drop`: frees items left over when the queue
// is freed; may be NULL. `out`: gets the queue; free it with fastrpc_queue_free(). Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_queue_new(size_t capacity, fastrpc_drop drop, struct fastrpc_queue **out);

// Puts an item in at the back.
//
// `item`: any pointer; it is the caller's again if the call fails. `timeout`: nanoseconds. Fails
// with FASTRPC_EAGAIN (`timeout` is 0 and it is full), FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED,
// FASTRPC_ECLOSED. Any thread; may suspend.
fastrpc_status fastrpc_queue_push(const struct fastrpc_queue *queue, void *item, int64_t timeout);

// Takes the item at the front out.
//
// `item`: gets it. `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it is
// empty), FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ECLOSED (closed, and empty). Any thread;
// may suspend.
fastrpc_status fastrpc_queue_pop(const struct fastrpc_queue *queue, void **item, int64_t timeout);

// Lets nothing more in: pushes fail, pops go on until it is empty and fail then.
//
// Any thread; never suspends.
fastrpc_status fastrpc_queue_close(const struct fastrpc_queue *queue);

// The number of items inside at this moment.
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
// meanwhile. Any thread.
typedef struct fastrpc_pool fastrpc_pool;

// How a pool is made. See fastrpc_pool_new().
typedef struct fastrpc_pool_options {
  // sizeof(fastrpc_pool_options).
  size_t size;
  // Jobs that run at a time; that many threads stay when there is nothing to do. Default: the
  // number of processors.
  size_t threads;
  // Threads there may be beyond that while jobs wait. Default 128.
  size_t extra_threads;
  // Jobs that may wait for their turn. Default 10000.
  size_t queue_size;
  // Bytes of stack of a thread: virtual memory, used as it is touched. Default 8 MiB.
  size_t stack_size;
  // Nanoseconds without work after which a thread beyond `threads` ends; below 0 never.
  // Default 10 s.
  int64_t idle_timeout;
  // What the names of the threads begin with; copied. Default "pool".
  const char *name;
  // Bytes of the name. Default 0: the default name.
  size_t name_size;
} fastrpc_pool_options;

// What a pool does, and has done. See fastrpc_pool_stats_get().
typedef struct fastrpc_pool_stats {
  // sizeof(fastrpc_pool_stats), set by the caller.
  size_t size;
  // Threads there are.
  uint64_t threads;
  // Those that run a job that does not wait.
  uint64_t running;
  // Those whose job waits.
  uint64_t blocked;
  // Those that have nothing to do.
  uint64_t idle;
  // The most threads there ever were at a time.
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

// Makes a pool. Its threads start when they are needed.
//
// `options`: NULL for the defaults. `out`: gets the pool; free it with fastrpc_pool_free(). Fails
// with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_pool_new(const struct fastrpc_pool_options *options,
                                struct fastrpc_pool **out,
                                struct fastrpc_error **error);

// Runs a function on a thread of the pool and waits until it has ended. In a job of the same pool
// it is called right there.
//
// `function`, `user`, `drop`: runs at most once. `timeout`: nanoseconds. Below 0, the function has
// ended or will never begin when this returns, also in a cancelled coroutine: it may use what is
// the caller's. Otherwise it has not, if this fails with FASTRPC_ETIMEDOUT or FASTRPC_ECANCELED
// and it had begun: it then goes on, and `drop` runs at its end. Fails with these two,
// FASTRPC_EEXCEPTION (an exception left it, which is logged too), FASTRPC_ECLOSED (shut down),
// FASTRPC_ENOMEM (no thread could be started). Waits for room, if too many jobs wait. Any thread;
// may suspend.
fastrpc_status fastrpc_pool_run(const struct fastrpc_pool *pool,
                                fastrpc_function function,
                                void *user,
                                fastrpc_drop drop,
                                int64_t timeout,
                                struct fastrpc_error **error);

// Runs a function on a thread of the pool, later.
//
// `function`, `user`, `drop`: runs once. Fails with FASTRPC_ELIMIT (too many jobs wait),
// FASTRPC_ECLOSED (shut down), FASTRPC_ENOMEM (no thread could be started). An exception that
// leaves the function is logged. Any thread; never suspends.
fastrpc_status fastrpc_pool_post(const struct fastrpc_pool *pool,
                                 fastrpc_function function,
                                 void *user,
                                 fastrpc_drop drop,
                                 struct fastrpc_error **error);

// Lets no more jobs in, and waits until all that were accepted have ended and the threads are
// gone. When the time has passed, jobs that have not begun are dropped.
//
// `timeout`: nanoseconds. Fails with FASTRPC_ETIMEDOUT (a job runs on), FASTRPC_ECANCELED,
// FASTRPC_EBUSY (called in a job of this pool, which would wait for itself: nothing is done). May
// be called again. Any thread; may suspend.
fastrpc_status fastrpc_pool_shutdown(const struct fastrpc_pool *pool,
                                     int64_t timeout,
                                     struct fastrpc_error **error);

// Fills in what the pool does at this moment, and has done.
//
// `stats`: its size field is set. Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_pool_stats_get(const struct fastrpc_pool *pool,
                                      struct fastrpc_pool_stats *stats);

// Shuts a pool down, without a time-out, and frees it. Does not wait when called in a job of this
// pool, nor after a fastrpc_pool_shutdown() that timed out: the threads then end by themselves.
//
// `pool`: NULL does nothing. Any thread; may suspend, also in a cancelled coroutine.
void fastrpc_pool_free(struct fastrpc_pool *pool);

// Calls a function that is about to block by means that this library does not see, right here. In
// a job of a pool another job may run meanwhile; a coroutine blocks its worker.
//
// `function`, `user`: is called once, before this returns. Fails with FASTRPC_EEXCEPTION (an
// exception left it). Any thread; suspends if the function does.
fastrpc_status fastrpc_blocking(fastrpc_function function,
                                void *user,
                                struct fastrpc_error **error);

// ------------------------------------------------------------------------------------------------
// 17. Preforking: several processes that serve one address
// ------------------------------------------------------------------------------------------------

// An address, bound, and the processes that are to serve it. Any thread.
typedef struct fastrpc_prefork fastrpc_prefork;

// How the processes are made. See fastrpc_prefork_new().
typedef struct fastrpc_prefork_options {
  // sizeof(fastrpc_prefork_options).
  size_t size;
  // How many processes serve, the parent not counted. Default: the number of processors.
  size_t processes;
  // Nanoseconds that the processes have to end after a SIGTERM, before SIGKILL; below 0 without
  // end. Default 15 s, more than what servers give their calls.
  int64_t grace;
  // Connections that may wait in the queue of each process. Default 4096.
  int32_t backlog;
  // Not 0: a process that ends is made again. Default 1.
  int32_t restart;
} fastrpc_prefork_options;

// What a process of a fastrpc_prefork does: its `index` from 0, and a socket that listens, which is
// the function's own. Gives the exit status of the process.
typedef int (*fastrpc_process_function)(void *user, size_t index, int listen_fd);

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_prefork_options_init(struct fastrpc_prefork_options *options, size_t size);

// Binds an address for several processes. Connections wait from here on.
//
// `address`: "host:port" with a literal address, where port 0 takes a free one, ":port", or
// "unix:/path". `options`: NULL for the defaults. `out`: gets the object; free it with
// fastrpc_prefork_free(). Fails with FASTRPC_EINVAL, FASTRPC_EIO (also if other processes share the
// address by SO_REUSEPORT). Any thread; never suspends.
fastrpc_status fastrpc_prefork_new(const char *address,
                                   size_t address_size,
                                   const struct fastrpc_prefork_options *options,
                                   struct fastrpc_prefork **out,
                                   struct fastrpc_error **error);

// The TCP port it is bound to, or 0 if there is none.
//
// `prefork`: NULL gives 0. Any thread; never suspends.
uint16_t fastrpc_prefork_port(const struct fastrpc_prefork *prefork);

// Copies the address it is bound to, and a NUL, into a buffer as far as it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_prefork_address(const struct fastrpc_prefork *prefork, char *buffer, size_t size);

// Forks the processes and looks after them, once. Blocks until they have ended: after SIGTERM or
// SIGINT to this process, the parent, or with `restart` 0 after the last has ended by itself.
//
// A process that ends, with whatever status, is made again after 100 ms; twice as long each further
// time, up to 5 s, and again 100 ms once it has lived for 10 s. A signal to the parent becomes a
// SIGTERM to the processes, and a SIGKILL to those left after `grace`; a process in which no
// fastrpc_server_run_until_signal() waits dies of the first. When the parent dies they get SIGKILL.
//
// `function`, `user`, `drop`: runs in each process, whose exit status it gives; 1 if an exception
// leaves it, which is logged. `drop` runs in the parent alone. `signal`: gets the signal's number,
// or 0; may be NULL. Fails with FASTRPC_ESTATE (the runtime has started, which works in no child; a
// server waits for signals; it ran before), FASTRPC_EIO. Call it in a program that has no other
// threads yet; blocks.
fastrpc_status fastrpc_prefork_run(const struct fastrpc_prefork *prefork,
                                   fastrpc_process_function function,
                                   void *user,
                                   fastrpc_drop drop,
                                   int32_t *signal,
                                   struct fastrpc_error **error);

// Frees it, and closes the sockets if it never ran.
//
// `prefork`: NULL does nothing; not to be called while another call uses it. Any thread; never
// suspends.
void fastrpc_prefork_free(struct fastrpc_prefork *prefork);

// The number of this process among those of a fastrpc_prefork, from 0; -1 in any other process.
//
// Any thread; never suspends.
int64_t fastrpc_process_index(void);

// ------------------------------------------------------------------------------------------------
// 18. Servers
// ------------------------------------------------------------------------------------------------

struct fastrpc_call; // chapter 20

// An RPC server: methods by name, and the addresses it listens on. Any thread.
typedef struct fastrpc_server fastrpc_server;

// The bounds of a server. See fastrpc_server_new(). The fields that begin with http_ are for
// connections that speak HTTP, the others for those that speak RPC, but for max_connections.
typedef struct fastrpc_server_options {
  // sizeof(fastrpc_server_options).
  size_t size;
  // Connections open at once; one more is closed at once. Default 100000.
  size_t max_connections;
  // Bytes of the largest request; a peer that announces more is closed. Default 64 MiB.
  size_t max_frame;
  // Unanswered calls of a connection, beyond which it is not read for a while. Default 10000.
  size_t max_in_flight;
  // Bytes of the requests of unanswered calls of a connection, beyond which it is not read for a
  // while. Default 64 MiB.
  size_t max_in_flight_bytes;
  // Bytes of answers that a connection may leave untaken, beyond which it is not read for a
  // while. Default 64 MiB.
  size_t max_unsent;
  // Nanoseconds for which a peer may take not one byte while answers wait for it, then it is
  // closed; below 0 without end. Default 30 s.
  int64_t write_stall;
  // Nanoseconds for which the peer's machine may acknowledge nothing, then the connection is
  // broken; below 0 without end. Default 30 s.
  int64_t peer_timeout;
  // Nanoseconds in which the head of a frame that has begun must be whole, and for which its body
  // may pause, else the peer is closed; below 0 without end. Default 30 s.
  int64_t frame_timeout;
  // Nanoseconds for which a peer without calls in flight may send nothing, then it is closed;
  // below 0 without end. Default -1.
  int64_t idle_timeout;
  // Bytes of the largest head of a request; beyond, the answer is 431. Default 32 KiB.
  size_t http_max_head;
  // Fields of a request's head; beyond, the answer is 431. Default 100.
  size_t http_max_fields;
  // Bytes of a request's target; beyond, the answer is 414. Default 8 KiB.
  size_t http_max_target;
  // Bytes of the largest body of a request; beyond, the answer is 413. Default 64 MiB.
  uint64_t http_max_body;
  // Nanoseconds in which a head that has begun must be whole, else the answer is 408; below 0
  // without end. Default 30 s.
  int64_t http_head_timeout;
  // Nanoseconds for which a body may pause while it is read, else the answer is 408; below 0
  // without end. Default 30 s.
  int64_t http_body_timeout;
  // Nanoseconds for which a connection may be idle, then it is closed; below 0 without end.
  // Default 75 s.
  int64_t http_idle_timeout;
  // Nanoseconds for which a client may take not one byte of an answer, then it is closed; below 0
  // without end. Default 30 s.
  int64_t http_write_stall;
} fastrpc_server_options;

// What a server has done, and is doing. See fastrpc_server_stats_get().
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
  // Connections closed because of what the peer sent, or did not take.
  uint64_t bad_peers;
  // Bytes read.
  uint64_t bytes_in;
  // Bytes written.
  uint64_t bytes_out;
} fastrpc_server_stats;

// A method of a service. It owns `call`; see fastrpc_call. It runs in a new coroutine for each
// call, of several workers at the same time.
typedef void (*fastrpc_call_handler)(void *user, struct fastrpc_call *call);

// What became of the calls of a server that was stopped. See fastrpc_server_stop().
typedef struct fastrpc_stop_report {
  // sizeof(fastrpc_stop_report), set by the caller.
  size_t size;
  // Calls that were in flight and ended by themselves.
  uint64_t finished;
  // Calls that were in flight when the grace was over, answered with error 2003.
  uint64_t canceled;
  // Calls that came after the stop had begun, answered with error 2003.
  uint64_t refused;
} fastrpc_stop_report;

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_server_options_init(struct fastrpc_server_options *options, size_t size);

// Makes a server without methods or addresses.
//
// `options`: NULL for the defaults. `out`: gets the server; free it with fastrpc_server_free().
// Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_server_new(const struct fastrpc_server_options *options,
                                  struct fastrpc_server **out,
                                  struct fastrpc_error **error);

// Adds a method. May be called while the server runs.
//
// `service`, `method`: names, such as "example.Echo" and "Say". `function`, `user`, `drop`: handles
// the calls, until the server is freed. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (it is there
// already). Any thread; never suspends.
fastrpc_status fastrpc_server_add_method(const struct fastrpc_server *server,
                                         const char *service,
                                         size_t service_size,
                                         const char *method,
                                         size_t method_size,
                                         fastrpc_call_handler function,
                                         void *user,
                                         fastrpc_drop drop,
                                         struct fastrpc_error **error);

// Starts to listen. May be called several times.
//
// `address`: "host:port", where port 0 takes a free one, ":port", or "unix:/path". Fails with
// FASTRPC_EINVAL, FASTRPC_EIO, FASTRPC_ESTATE (stopped). Any thread; may suspend to look the host
// up.
fastrpc_status fastrpc_server_listen(const struct fastrpc_server *server,
                                     const char *address,
                                     size_t address_size,
                                     struct fastrpc_error **error);

// Starts to serve on a socket that listens already, TCP or Unix.
//
// `fd`: becomes the library's, which closes it, unless this fails with FASTRPC_EINVAL because it is
// not open or not a socket that listens. Fails with that, FASTRPC_EIO, FASTRPC_ESTATE (stopped).
// Any thread; never suspends.
fastrpc_status fastrpc_server_listen_fd(const struct fastrpc_server *server,
                                        int fd,
                                        struct fastrpc_error **error);

// The TCP port of the first address it listens on, or 0 if there is none.
//
// `server`: NULL gives 0. Any thread; never suspends.
uint16_t fastrpc_server_port(const struct fastrpc_server *server);

// Copies the first address it listens on, and a NUL, into a buffer as far as it fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL; 0 if it does not listen. Any thread; never suspends.
size_t fastrpc_server_address(const struct fastrpc_server *server, char *buffer, size_t size);

// Stops for good: accepts nothing more, refuses new calls (error 2003), lets the calls in flight
// end, and closes.
//
// `grace`: nanoseconds for the calls in flight; those left then are answered with error 2003.
// `report`: its `size` is set by the caller; gets what became of the calls, as far as it reaches;
// NULL if nobody asks. Fails with FASTRPC_EINVAL. Any thread; may suspend.
fastrpc_status fastrpc_server_stop(const struct fastrpc_server *server,
                                   int64_t grace,
                                   struct fastrpc_stop_report *report);

// Waits until the server has been stopped.
//
// Any thread; may suspend.
fastrpc_status fastrpc_server_wait(const struct fastrpc_server *server);

// Serves until the process gets SIGINT or SIGTERM, or the server is stopped, and stops it.
//
// `grace`: nanoseconds for the calls in flight. `signal`: gets the signal's number, or 0; may be
// NULL. Fails with FASTRPC_EIO, FASTRPC_ESTATE (another server of the process does it already).
// Any thread; may suspend.
fastrpc_status fastrpc_server_run_until_signal(const struct fastrpc_server *server,
                                               int64_t grace,
                                               int32_t *signal,
                                               struct fastrpc_error **error);

// Reads what the server has done, and is doing.
//
// `stats`: its `size` is set by the caller; the rest gets set as far as it reaches. Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_server_stats_get(const struct fastrpc_server *server,
                                        struct fastrpc_server_stats *stats);

// Frees a server. If it was not stopped it stops at once: calls in flight are answered with error
// 2003. The `drop` of a callback may run a moment later, with the last that a connection does.
//
// `server`: NULL does nothing; not to be called while another call uses it. Any thread; never
// suspends.
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

// Writes a message: all `size` bytes of `buffer`. Must not suspend.
typedef void (*fastrpc_fill_function)(void *user, uint8_t *buffer, size_t size);

// ------------------------------------------------------------------------------------------------
// 20. RPC calls on the server: what they ask
// ------------------------------------------------------------------------------------------------

// One call, as its handler gets it.
//
// The handler owns it and hands it to fastrpc_call_reply(), fastrpc_call_reply_with() or
// fastrpc_call_fail(), which consume it, or to fastrpc_call_free(), which answers with an error
// (number 2001). That may happen after the handler has returned, and on any thread; one thread
// uses it at a time. When the connection or the server has gone meanwhile, the answer is thrown
// away; the call is consumed all the same. If an exception leaves the handler before, the call is
// consumed too: it is answered with error 2001 and the exception's text.
typedef struct fastrpc_call fastrpc_call;

// The request message.
//
// `size`: gets its bytes. The bytes live as long as the call. `call`: NULL gives NULL. Any thread;
// never suspends.
const uint8_t *fastrpc_call_request(const struct fastrpc_call *call, size_t *size);

// The bytes sent beside the request.
//
// As fastrpc_call_request().
const uint8_t *fastrpc_call_attachment(const struct fastrpc_call *call, size_t *size);

// The name of the service, not ended by a NUL.
//
// As fastrpc_call_request().
const char *fastrpc_call_service(const struct fastrpc_call *call, size_t *size);

// The name of the method, not ended by a NUL.
//
// As fastrpc_call_request().
const char *fastrpc_call_method(const struct fastrpc_call *call, size_t *size);

// The name the client gave the request, not ended by a NUL; of size 0 if it gave none.
//
// As fastrpc_call_request().
const char *fastrpc_call_request_id(const struct fastrpc_call *call, size_t *size);

// Copies the address of the client, such as "10.0.0.7:4711", and a NUL, into a buffer as far as it
// fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_call_peer(const struct fastrpc_call *call, char *buffer, size_t size);

// The number the client gave the call for its logs, or 0.
//
// `call`: NULL gives 0. Any thread; never suspends.
int64_t fastrpc_call_log_id(const struct fastrpc_call *call);

// How the request was compressed on its way: a FASTRPC_COMPRESS_ number. Its bytes are not.
//
// `call`: NULL gives FASTRPC_COMPRESS_NONE. Any thread; never suspends.
int32_t fastrpc_call_compress(const struct fastrpc_call *call);

// How many nanoseconds the client will still wait, or -1 if it did not say.
//
// `call`: NULL gives -1. Any thread; never suspends.
int64_t fastrpc_call_time_left(const struct fastrpc_call *call);

// Whether nobody waits for the answer any more.
//
// `call`: NULL gives true. Any thread; never suspends.
bool fastrpc_call_is_canceled(const struct fastrpc_call *call);

// ------------------------------------------------------------------------------------------------
// 21. RPC calls on the server: how they are answered
// ------------------------------------------------------------------------------------------------

// What an answer says beside its message. See fastrpc_call_reply_with().
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

// Answers with a response message.
//
// `call`: consumed. `body`, `size`: the message. Any thread; never suspends.
fastrpc_status fastrpc_call_reply(struct fastrpc_call *call, const uint8_t *body, size_t size);

// Answers with a response message, and with an attachment or a compression.
//
// `call`: consumed. `body`, `body_size`: the message. `options`: NULL for the defaults. Fails with FASTRPC_EINVAL, FASTRPC_EEXCEPTION (an
// exception left `fill`); the call is answered with an error then. Any thread; never suspends.
fastrpc_status fastrpc_call_reply_with(struct fastrpc_call *call,
                                       const uint8_t *body,
                                       size_t body_size,
                                       const struct fastrpc_reply_options *options,
                                       struct fastrpc_error **error);

// Answers with an error.
//
// `call`: consumed. `code`: the service's own number, or one of the protocol's; 0 becomes 2001.
// `text`, `size`: for people. Any thread; never suspends.
fastrpc_status fastrpc_call_fail(struct fastrpc_call *call,
                                 int32_t code,
                                 const char *text,
                                 size_t size);

// Gives a call up: it is answered with error 2001, at once or, inside the handler, when that
// returns.
//
// `call`: NULL does nothing. Any thread; never suspends.
void fastrpc_call_free(struct fastrpc_call *call);

// ------------------------------------------------------------------------------------------------
// 22. Connections of a server: pushes, and their end
// ------------------------------------------------------------------------------------------------

// A connection of a server, to push messages to or to close. It may be kept after the connection
// has ended. Any thread.
typedef struct fastrpc_connection fastrpc_connection;

// Learns that the connection of that number has ended.
typedef void (*fastrpc_closed_function)(void *user, uint64_t connection);

// The connection a call came on.
//
// `call`: NULL gives NULL. Returns a handle of its own, to be freed by fastrpc_connection_free().
// Any thread; never suspends.
struct fastrpc_connection *fastrpc_call_connection(const struct fastrpc_call *call);

// The number of the connection a call came on: counted up from 1 by each server, never used again.
//
// `call`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_call_connection_id(const struct fastrpc_call *call);

// The number of a connection. See fastrpc_call_connection_id().
//
// `connection`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_connection_id(const struct fastrpc_connection *connection);

// Whether messages can still be sent, as far as is known.
//
// `connection`: NULL gives false. Any thread; never suspends.
bool fastrpc_connection_is_open(const struct fastrpc_connection *connection);

// Sends a message that answers no call. Success means that it is on its way.
//
// `name`: the message's type, such as "example.News". `body`: the message. Fails with
// FASTRPC_ECLOSED (the connection is gone), FASTRPC_ELIMIT (the peer leaves too much untaken),
// FASTRPC_EINVAL (also: the peer takes no pushes). Any thread; never suspends.
fastrpc_status fastrpc_connection_push(const struct fastrpc_connection *connection,
                                       const char *name,
                                       size_t name_size,
                                       const uint8_t *body,
                                       size_t body_size,
                                       struct fastrpc_error **error);

// Sends bytes as they are: whole frames of what the peer speaks, which must not be HTTP.
//
// As fastrpc_connection_push().
fastrpc_status fastrpc_connection_push_raw(const struct fastrpc_connection *connection,
                                           const uint8_t *bytes,
                                           size_t size,
                                           struct fastrpc_error **error);

// Closes a connection, once what was answered and pushed on it before has been sent.
//
// Calls that are still in flight are cancelled, and what answers them later is dropped; but a
// request of HTTP is answered first. The function of fastrpc_server_on_close() is called when the
// client has closed its side too, or a second later. Fails with FASTRPC_ECLOSED (the connection is
// gone). Any thread; never suspends.
fastrpc_status fastrpc_connection_close(const struct fastrpc_connection *connection,
                                        struct fastrpc_error **error);

// Frees the handle of a connection, which goes on.
//
// `connection`: NULL does nothing. Any thread; never suspends.
void fastrpc_connection_free(struct fastrpc_connection *connection);

// Sends a message to the connection of a number. See fastrpc_connection_push().
//
// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never suspends.
fastrpc_status fastrpc_server_push(const struct fastrpc_server *server,
                                   uint64_t connection,
                                   const char *name,
                                   size_t name_size,
                                   const uint8_t *body,
                                   size_t body_size,
                                   struct fastrpc_error **error);

// Sends bytes as they are to the connection of a number. See fastrpc_connection_push_raw().
//
// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never suspends.
fastrpc_status fastrpc_server_push_raw(const struct fastrpc_server *server,
                                       uint64_t connection,
                                       const uint8_t *bytes,
                                       size_t size,
                                       struct fastrpc_error **error);

// Closes the connection of a number. See fastrpc_connection_close().
//
// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never suspends.
fastrpc_status fastrpc_server_close_connection(const struct fastrpc_server *server,
                                               uint64_t connection,
                                               struct fastrpc_error **error);

// Has a function called once for each connection that has ended, in a coroutine, as soon as the
// peer closed its side, whatever calls are still in flight, or when the connection broke or was
// closed. Replaces the function before.
//
// `function`, `user`, `drop`: called until the server is freed, by several workers at the same
// time; an exception that leaves it is logged. Fails with FASTRPC_EINVAL. Any thread; never
// suspends.
fastrpc_status fastrpc_server_on_close(const struct fastrpc_server *server,
                                       fastrpc_closed_function function,
                                       void *user,
                                       fastrpc_drop drop,
                                       struct fastrpc_error **error);

// ------------------------------------------------------------------------------------------------
// 23. HTTP: routes, and responses
// ------------------------------------------------------------------------------------------------

// An HTTP request and its answer, as a handler gets them.
//
// It is the handler's until that returns; then the answer is sent: what was set of it, by default
// 200 without a body. fastrpc_http_defer() makes it the caller's, to be answered later and on any
// thread, by fastrpc_http_send(). One thread uses it at a time (else FASTRPC_EBUSY). If an
// exception leaves the handler of an exchange that was not deferred, the answer is 500, or the
// connection ends if a part of the answer is out.
typedef struct fastrpc_http_exchange fastrpc_http_exchange;

// Handles requests. It runs in a new coroutine for each, of several workers at the same time.
typedef void (*fastrpc_http_handler)(void *user, struct fastrpc_http_exchange *exchange);

// Adds a handler for HTTP requests of one method and path. May be called while the server runs.
//
// `method`: such as "GET", which serves HEAD as well. `path`: begins with "/"; ":name" stands for
// one segment, "*name" at the end for all that is left. `function`, `user`, `drop`: handles the
// requests, until the server is freed. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (there is such a
// handler, or one that cannot be told apart). Any thread; never suspends.
fastrpc_status fastrpc_server_route(const struct fastrpc_server *server,
                                    const char *method,
                                    size_t method_size,
                                    const char *path,
                                    size_t path_size,
                                    fastrpc_http_handler function,
                                    void *user,
                                    fastrpc_drop drop,
                                    struct fastrpc_error **error);

// Adds the handler for HTTP requests that no route fits. May be called while the server runs.
//
// `function`, `user`, `drop`: handles the requests, until the server is freed. Fails with
// FASTRPC_EINVAL, FASTRPC_ESTATE (there is one). Any thread; never suspends.
fastrpc_status fastrpc_server_fallback(const struct fastrpc_server *server,
                                       fastrpc_http_handler function,
                                       void *user,
                                       fastrpc_drop drop,
                                       struct fastrpc_error **error);

// Sets the status of the answer, between 200 and 999; 200 by default.
//
// Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the answer is out). Any thread; never
// suspends.
fastrpc_status fastrpc_http_set_status(const struct fastrpc_http_exchange *exchange,
                                       int32_t status);

// Adds a header field to the answer. Content-Length, Transfer-Encoding and Date are the
// library's and ignored.
//
// `name`, `value`: text. Fails with FASTRPC_EINVAL (it cannot be sent: a line break, say),
// FASTRPC_ESTATE (a part of the answer is out). Any thread; never suspends.
fastrpc_status fastrpc_http_add_header(const struct fastrpc_http_exchange *exchange,
                                       const char *name,
                                       size_t name_size,
                                       const char *value,
                                       size_t value_size,
                                       struct fastrpc_error **error);

// Sets the body of the answer.
//
// `body`, `size`: copied. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the answer is out).
// Any thread; never suspends.
fastrpc_status fastrpc_http_set_body(const struct fastrpc_http_exchange *exchange,
                                     const uint8_t *body,
                                     size_t size);

// Sets the whole answer: status line, header fields and body, sent as they are. One that is
// malformed, or does not end where it says, is logged and becomes a 500.
//
// `response`, `size`: copied. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the answer is
// out). Any thread; never suspends.
fastrpc_status fastrpc_http_set_raw(const struct fastrpc_http_exchange *exchange,
                                    const uint8_t *response,
                                    size_t size);

// Says how many bytes will be written in all, if that is known. Otherwise they are sent in chunks.
//
// Fails with FASTRPC_ESTATE (a part of the answer is out). Any thread; never suspends.
fastrpc_status fastrpc_http_set_length(const struct fastrpc_http_exchange *exchange,
                                       uint64_t length);

// Sends a part of the answer's body; before the first, the status and the header fields.
//
// `bytes`, `size`: the part; of size 0, nothing but the head. Fails with FASTRPC_EINVAL (more
// bytes than were announced), FASTRPC_ETIMEDOUT (the client takes nothing), FASTRPC_EIO (it is
// gone), FASTRPC_ESTATE (it was answered). Any thread; may suspend.
fastrpc_status fastrpc_http_write(const struct fastrpc_http_exchange *exchange,
                                  const uint8_t *bytes,
                                  size_t size,
                                  struct fastrpc_error **error);

// Whether the answer would go nowhere: the connection was found to be gone.
//
// `exchange`: NULL gives true. Any thread; never suspends.
bool fastrpc_http_is_canceled(const struct fastrpc_http_exchange *exchange);

// Makes the exchange the caller's: it is not answered when the handler returns, but by
// fastrpc_http_send() or fastrpc_http_free(), one of which must be called. In the handler only.
//
// Fails with FASTRPC_ESTATE (it was deferred before). Any thread; never suspends.
fastrpc_status fastrpc_http_defer(const struct fastrpc_http_exchange *exchange);

// Sends the answer of an exchange that was deferred, or the end of what was written, and frees it.
//
// `exchange`: consumed. Fails with FASTRPC_EINVAL (NULL; fewer bytes than were announced), which
// ends the connection. Any thread; never suspends in a coroutine.
fastrpc_status fastrpc_http_send(struct fastrpc_http_exchange *exchange);

// Gives an exchange up that was deferred: the answer is 500, or the connection ends if a part of the
// answer is out.
//
// `exchange`: NULL does nothing. Any thread; never suspends.
void fastrpc_http_free(struct fastrpc_http_exchange *exchange);

// ------------------------------------------------------------------------------------------------
// 24. HTTP: what a request says
// ------------------------------------------------------------------------------------------------

// The method, such as "GET", not ended by a NUL.
//
// `size`: gets its bytes. The text lives as long as the exchange. `exchange`: NULL gives NULL. Any
// thread; never suspends.
const char *fastrpc_http_method(const struct fastrpc_http_exchange *exchange, size_t *size);

// The path, percent-encoded as it came, not ended by a NUL.
//
// As fastrpc_http_method().
const char *fastrpc_http_path(const struct fastrpc_http_exchange *exchange, size_t *size);

// What follows the question mark of the target, percent-encoded as it came; NULL if there is none.
//
// As fastrpc_http_method().
const char *fastrpc_http_query_string(const struct fastrpc_http_exchange *exchange, size_t *size);

// The request line and the header fields as they came, with the empty line at their end.
//
// As fastrpc_http_method().
const char *fastrpc_http_head(const struct fastrpc_http_exchange *exchange, size_t *size);

// 11 for HTTP/1.1, 10 for HTTP/1.0.
//
// `exchange`: NULL gives 0. Any thread; never suspends.
int32_t fastrpc_http_version(const struct fastrpc_http_exchange *exchange);

// A header field by its name, in whatever case, not ended by a NUL; NULL if there is none.
//
// `index`: which of those with this name, 0 for the first. Otherwise as fastrpc_http_method().
const char *fastrpc_http_header(const struct fastrpc_http_exchange *exchange,
                                const char *name,
                                size_t name_size,
                                size_t index,
                                size_t *size);

// A header field by its number, of those that are there, in any order. Their names are in lower
// case. False beyond the last.
//
// `index`: from 0; whatever it is, the cost is the same. `name`, `value` and their sizes: get the
// texts, which live as long as the exchange. `exchange`: NULL gives false. Any thread; never
// suspends.
bool fastrpc_http_header_at(const struct fastrpc_http_exchange *exchange,
                            size_t index,
                            const char **name,
                            size_t *name_size,
                            const char **value,
                            size_t *value_size);

// What stood in the path in the place of ":name" or "*name", decoded; NULL if there is none.
//
// As fastrpc_http_header().
const char *fastrpc_http_param(const struct fastrpc_http_exchange *exchange,
                               const char *name,
                               size_t name_size,
                               size_t *size);

// The first parameter of this name behind the question mark, decoded; NULL if there is none.
//
// As fastrpc_http_header().
const char *fastrpc_http_query(const struct fastrpc_http_exchange *exchange,
                               const char *name,
                               size_t name_size,
                               size_t *size);

// A parameter behind the question mark by its number, decoded, in the order in which they came.
// False beyond the last.
//
// As fastrpc_http_header_at().
bool fastrpc_http_query_at(const struct fastrpc_http_exchange *exchange,
                           size_t index,
                           const char **name,
                           size_t *name_size,
                           const char **value,
                           size_t *value_size);

// The first cookie of this name, as it came; NULL if there is none.
//
// As fastrpc_http_header().
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

// The number of the connection, which the server gives no other.
//
// `exchange`: NULL gives 0. Any thread; never suspends.
uint64_t fastrpc_http_connection_id(const struct fastrpc_http_exchange *exchange);

// ------------------------------------------------------------------------------------------------
// 25. HTTP: the body of a request
// ------------------------------------------------------------------------------------------------

// The bytes of the body, read or not; -1 if the client did not say beforehand.
//
// `exchange`: NULL gives -1. Any thread; never suspends.
int64_t fastrpc_http_content_length(const struct fastrpc_http_exchange *exchange);

// The whole body, or what is left of it; read the first time this is called.
//
// `body`, `size`: get the bytes, which live as long as the exchange. Fails with FASTRPC_ETIMEDOUT
// and FASTRPC_EIO when the body does not come, is malformed or too large: the client is answered
// accordingly, whatever the handler answers. Any thread; may suspend.
fastrpc_status fastrpc_http_body(const struct fastrpc_http_exchange *exchange,
                                 const uint8_t **body,
                                 size_t *size,
                                 struct fastrpc_error **error);

// Reads some of the body: what is there, at most `size` bytes. While it is not read, the client is
// held up.
//
// `count`: gets the bytes read; 0 at the end. Fails as fastrpc_http_body(). Any thread; may
// suspend.
fastrpc_status fastrpc_http_read(const struct fastrpc_http_exchange *exchange,
                                 uint8_t *buffer,
                                 size_t size,
                                 size_t *count,
                                 struct fastrpc_error **error);

// The first parameter of this name in a body of the type application/x-www-form-urlencoded,
// decoded; NULL if there is none. Reads the body the first time.
//
// `error`: as for fastrpc_http_body(). Otherwise as fastrpc_http_header(), but may suspend.
const char *fastrpc_http_form(const struct fastrpc_http_exchange *exchange,
                              const char *name,
                              size_t name_size,
                              size_t *size,
                              struct fastrpc_error **error);

// A parameter of such a body by its number, decoded, in the order in which they came. False beyond
// the last. Reads the body the first time.
//
// `error`: as for fastrpc_http_body(). Otherwise as fastrpc_http_header_at(), but may suspend.
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

// One connection to a server, and any number of calls in flight on it. It connects when it is
// first used and again when the connection broke. Any thread.
typedef struct fastrpc_client fastrpc_client;

// How a client connects, and its bounds. See fastrpc_client_new().
typedef struct fastrpc_client_options {
  // sizeof(fastrpc_client_options).
  size_t size;
  // Nanoseconds a call may take that does not say so itself; below 0 without end. Default 10 s.
  int64_t timeout;
  // Nanoseconds one attempt to connect may take, at least 0. Default 3 s.
  int64_t connect_timeout;
  // Calls in flight; one more fails with FASTRPC_ELIMIT. Default 100000.
  size_t max_in_flight;
  // Bytes of requests not yet handed to the kernel; a call beyond fails with FASTRPC_ELIMIT.
  // Default 64 MiB.
  size_t max_unsent;
  // Bytes of the largest answer; a larger one breaks the connection. Default 64 MiB.
  size_t max_frame;
  // Nanoseconds between a first failed attempt to connect and the next; it doubles with each
  // further one. Default 50 ms.
  int64_t backoff_min;
  // The longest pause between two attempts, in nanoseconds. Default 2 s.
  int64_t backoff_max;
  // Pushed messages that may wait for their function; one more is dropped. Default 10000.
  size_t max_pushes;
  // Bytes of pushed messages that may wait for their function; a message beyond is dropped.
  // Default 64 MiB.
  size_t max_push_bytes;
  // A FASTRPC_PROTOCOL_ number. Default FASTRPC_PROTOCOL_BAIDU_STD.
  int32_t protocol;
  // Must be 0.
  int32_t reserved;
  // Nanoseconds for which the server may take not one byte while requests wait for it, then the
  // connection breaks; below 0 without end. Default 30 s.
  int64_t write_stall;
  // Nanoseconds for which the server's machine may acknowledge nothing, then the connection
  // breaks; below 0 without end. Default 30 s.
  int64_t peer_timeout;
  // The worker the connection lives on, from 0. Default -1: that of the coroutine that makes the
  // client, or, made by a plain thread, one after the other.
  int64_t worker;
} fastrpc_client_options;

// What a client has done, and is doing. See fastrpc_client_stats_get().
typedef struct fastrpc_client_stats {
  // sizeof(fastrpc_client_stats), set by the caller.
  size_t size;
  // Calls that wait for their answer.
  uint64_t in_flight;
  // Answers that no call waited for, late ones mostly, and pushes that no function was for.
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
// compression, and an old server answers no call that fails: it runs out of time.
#define FASTRPC_PROTOCOL_ORIGINAL 1

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_client_options_init(struct fastrpc_client_options *options, size_t size);

// Makes a client. It does not wait for the connection.
//
// `address`: "host:port" or "unix:/path". `options`: NULL for the defaults. `out`: gets the client;
// free it with fastrpc_client_free(). Fails with FASTRPC_EINVAL, FASTRPC_ENOMEM, FASTRPC_EIO. Any
// thread; never suspends.
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

// Whether there is a connection at this moment.
//
// `client`: NULL gives false. Any thread; never suspends.
bool fastrpc_client_is_connected(const struct fastrpc_client *client);

// Copies the server's address as fastrpc_client_new() got it, and a NUL, into a buffer as far as it
// fits.
//
// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
// counting the NUL. Any thread; never suspends.
size_t fastrpc_client_address(const struct fastrpc_client *client, char *buffer, size_t size);

// Reads what the client has done, and is doing.
//
// `stats`: its `size` is set by the caller; the rest gets set as far as it reaches. Fails with
// FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_client_stats_get(const struct fastrpc_client *client,
                                        struct fastrpc_client_stats *stats);

// Closes a client for good: calls in flight fail with FASTRPC_ECLOSED.
//
// Any thread; never suspends.
fastrpc_status fastrpc_client_close(const struct fastrpc_client *client);

// Closes and frees a client.
//
// `client`: NULL does nothing; not to be called while another call uses it. Any thread; never
// suspends.
void fastrpc_client_free(struct fastrpc_client *client);

// ------------------------------------------------------------------------------------------------
// 27. Cancellation of calls
// ------------------------------------------------------------------------------------------------

// What any thread may end a call by: see `cancellation` of fastrpc_call_options.
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
// Any thread, several times; never suspends.
fastrpc_status fastrpc_cancellation_cancel(struct fastrpc_cancellation *cancellation);

// Whether fastrpc_cancellation_cancel() was called, since the last reset.
//
// `cancellation`: NULL gives false. Any thread; never suspends.
bool fastrpc_cancellation_is_canceled(const struct fastrpc_cancellation *cancellation);

// Makes it all zero again, for another call or before its memory goes.
//
// `cancellation`: NULL does nothing; not to be called during a call. Any thread; never suspends.
void fastrpc_cancellation_reset(struct fastrpc_cancellation *cancellation);

// ------------------------------------------------------------------------------------------------
// 28. Calls of a client
// ------------------------------------------------------------------------------------------------

struct fastrpc_response; // chapter 29

// An asynchronous call that may be cancelled. Any thread.
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
  // Writes the request in place: `request` is ignored then, and `request_size` tells its size.
  // Default NULL. It runs before the call is sent, and not after fastrpc_client_call() or
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

// The end of a call: it owns `response` and `error`, one of which is NULL.
typedef void (*fastrpc_done_function)(void *user,
                                      struct fastrpc_response *response,
                                      struct fastrpc_error *error);

// Sets all fields to their defaults.
//
// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
void fastrpc_call_options_init(struct fastrpc_call_options *options, size_t size);

// Calls a method and waits for the answer.
//
// `service`, `method`: names. `request`: the message. `options`: NULL for the defaults. `out`: gets
// the answer, to be freed by fastrpc_response_free(). Fails with FASTRPC_EREMOTE (the server
// answered so), FASTRPC_ETIMEDOUT, FASTRPC_ECONNECT, FASTRPC_ECLOSED (the connection broke),
// FASTRPC_ELIMIT, FASTRPC_ECANCELED, FASTRPC_EINVAL, FASTRPC_EEXCEPTION (left `fill`). Any thread;
// may suspend.
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

// Calls a method; a callback gets the answer.
//
// As fastrpc_client_call(), and: `function`, `user`, `drop`: called once, in a coroutine, with the
// answer or what went wrong; but not if this call itself fails (FASTRPC_EINVAL, FASTRPC_EEXCEPTION).
// An exception that leaves it is logged. It may run before this returns. `out`: gets a handle to
// cancel the call by, to be freed by fastrpc_async_call_free(); NULL if nobody will. Any thread;
// never suspends.
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
// Any thread; never suspends.
fastrpc_status fastrpc_async_call_cancel(const struct fastrpc_async_call *call);

// Frees the handle of an asynchronous call, which goes on.
//
// `call`: NULL does nothing. Any thread; never suspends.
void fastrpc_async_call_free(struct fastrpc_async_call *call);

// ------------------------------------------------------------------------------------------------
// 29. Responses to a client's calls
// ------------------------------------------------------------------------------------------------

// An answer. One thread at a time.
typedef struct fastrpc_response fastrpc_response;

// The response message.
//
// `size`: gets its bytes. The bytes live as long as the response. `response`: NULL gives NULL. Any
// thread; never suspends.
const uint8_t *fastrpc_response_body(const struct fastrpc_response *response, size_t *size);

// The bytes sent beside the response.
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

// Gets a message that the server pushed: the name of its type, not ended by a NUL, and its bytes,
// both for the length of the call.
typedef void (*fastrpc_push_function)(void *user,
                                      const char *name,
                                      size_t name_size,
                                      const uint8_t *body,
                                      size_t body_size);

// Learns that the connection was lost. It owns `error`, which says why.
typedef void (*fastrpc_lost_function)(void *user, struct fastrpc_error *error);

// Has a function called with each message that the server pushes, in the order in which they came,
// one after the other, in a coroutine. Replaces the function before. A server that speaks
// baidu_std learns by the next call that pushes are taken.
//
// `function`, `user`, `drop`: called until the client is closed; an exception that leaves it is
// logged. Messages beyond the client's bounds are dropped. Fails with FASTRPC_EINVAL. Any thread;
// never suspends.
fastrpc_status fastrpc_client_on_push(const struct fastrpc_client *client,
                                      fastrpc_push_function function,
                                      void *user,
                                      fastrpc_drop drop,
                                      struct fastrpc_error **error);

// Has a function called each time that a connection, once made, is lost, in a coroutine: after the
// calls in flight have failed, and in turn with the function of fastrpc_client_on_push(). Closing
// the client is no loss. Replaces the function before.
//
// `function`, `user`, `drop`: called until the client is closed; an exception that leaves it is
// logged. Fails with FASTRPC_EINVAL. Any thread; never suspends.
fastrpc_status fastrpc_client_on_close(const struct fastrpc_client *client,
                                       fastrpc_lost_function function,
                                       void *user,
                                       fastrpc_drop drop,
                                       struct fastrpc_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FASTRPC_FASTRPC_H_ */
