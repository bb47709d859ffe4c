/* Prints the library's version; fails if it is not the header's, or if a coroutine does not run.
 * Other Rust code may be in the same program: WITH_OTHER calls some. */
#include <fastrpc/fastrpc.h>
#include <stdio.h>
#include <string.h>

#ifdef WITH_OTHER
int other_counts_words(const char* text);
int other_catches_a_panic(void);
#endif

static void store_42(void* user) {
  *(int*)user = 42;
}

static int run_coroutine(void) {
  fastrpc_coroutine* coroutine = NULL;
  int answer = 0;
  if (fastrpc_spawn(NULL, store_42, &answer, NULL, &coroutine, NULL) != FASTRPC_OK) return 0;
  fastrpc_status status = fastrpc_coroutine_join(coroutine, -1, NULL);
  fastrpc_coroutine_free(coroutine);
  return status == FASTRPC_OK ? answer : 0;
}

int main(void) {
  char header[32];
  snprintf(header, sizeof header, "%d.%d.%d", FASTRPC_VERSION_MAJOR, FASTRPC_VERSION_MINOR,
           FASTRPC_VERSION_PATCH);
  if (strcmp(header, fastrpc_version()) != 0) {
    fprintf(stderr, "header %s, library %s\n", header, fastrpc_version());
    return 1;
  }
  if (run_coroutine() != 42) {
    fprintf(stderr, "no answer from the coroutine\n");
    return 1;
  }
#ifdef WITH_OTHER
  int words = other_counts_words("one two two three three three");
  int caught = other_catches_a_panic();
  if (words != 3 || caught != 1) {
    fprintf(stderr, "other: words %d, caught %d\n", words, caught);
    return 1;
  }
#endif
  puts(fastrpc_version());
  return 0;
}
