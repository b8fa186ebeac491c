/* librotor.so.0 as a program finds it that does not link it: library_test CASE LIBRARY [LIST] */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rotor.h"

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

/* What this program calls, of one copy of the library. */
#define FUNCTIONS(X)                                                                                                   \
  X(wasm_engine_new)                                                                                                   \
  X(wasm_engine_delete)                                                                                                \
  X(wasm_store_new) X(wasm_store_delete) X(wasm_module_new) X(wasm_module_delete) X(wasm_func_new) X(wasm_func_delete) \
      X(wasm_func_as_extern) X(wasm_instance_new) X(wasm_instance_delete) X(wasm_instance_exports)                     \
          X(wasm_extern_as_func) X(wasm_extern_vec_delete) X(wasm_func_call) X(wasm_functype_new)                      \
              X(wasm_functype_delete) X(wasm_valtype_new) X(wasm_valtype_vec_new) X(wasm_trap_message)                 \
                  X(wasm_trap_delete) X(wasm_byte_vec_delete) X(rotor_wat2wasm) X(rotor_error_text)                    \
                      X(rotor_store_error)
typedef struct api_t {
#define MEMBER(name) __typeof__(&name) name;
  FUNCTIONS(MEMBER)
} api_t;

static api_t bind(void* library) {
  api_t api;
  CHECK(library);
#define BIND(name)                              \
  *(void**)(&api.name) = dlsym(library, #name); \
  CHECK(api.name);
  FUNCTIONS(BIND)
  return api;
}

static void* open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  return library;
}

static const char kText[] =
    "(module (import \"\" \"host\" (func $host (param i32) (result i32)))"
    "  (func $fib (export \"fib\") (param i32) (result i32)"
    "    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))"
    "      (then (call $host (local.get 0)))"
    "      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))"
    "                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))"
    "  (func (export \"fault\") (result i32) (i32.load (i32.const -8)))"
    "  (func $deep (export \"deep\") (call $deep) (call $deep))"
    "  (memory 1))";

/* Takes 4 KiB of stack. */
static wasm_trap_t* host(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  volatile char room[4096];
  memset((char*)room, args->data[0].of.i32, sizeof room);
  results->data[0] = (wasm_val_t)WASM_I32_VAL(room[4095]);
  return NULL;
}

typedef struct guest_t {
  const api_t* api;
  wasm_engine_t* engine;
  wasm_store_t* store;
  wasm_extern_vec_t exports;
} guest_t;

static guest_t start(const api_t* api) {
  guest_t guest = {api, api->wasm_engine_new(), NULL, WASM_EMPTY_VEC};
  CHECK(guest.engine);
  guest.store = api->wasm_store_new(guest.engine);
  wasm_byte_vec_t binary;
  CHECK(!api->rotor_wat2wasm(kText, strlen(kText), &binary));
  wasm_module_t* module = api->wasm_module_new(guest.store, &binary);
  CHECK(module);
  api->wasm_byte_vec_delete(&binary);
  wasm_valtype_t* i32 = api->wasm_valtype_new(WASM_I32);
  wasm_valtype_vec_t params, results;
  api->wasm_valtype_vec_new(&params, 1, &i32);
  api->wasm_valtype_vec_new(&results, 1, &i32);
  wasm_functype_t* type = api->wasm_functype_new(&params, &results);
  wasm_func_t* func = api->wasm_func_new(guest.store, type, host);
  CHECK(func);
  api->wasm_functype_delete(type);
  wasm_extern_t* imports[] = {api->wasm_func_as_extern(func)};
  wasm_extern_vec_t import_vec = WASM_ARRAY_VEC(imports);
  wasm_instance_t* instance = api->wasm_instance_new(guest.store, module, &import_vec, NULL);
  CHECK(instance);
  api->wasm_instance_exports(instance, &guest.exports);
  api->wasm_instance_delete(instance);
  api->wasm_module_delete(module);
  api->wasm_func_delete(func);
  return guest;
}

static int fib(const guest_t* guest, int n) {
  wasm_val_t arg = WASM_I32_VAL(n), result = WASM_INIT_VAL;
  wasm_val_vec_t args = {1, &arg}, results = {1, &result};
  wasm_trap_t* trap =
      guest->api->wasm_func_call(guest->api->wasm_extern_as_func(guest->exports.data[0]), &args, &results);
  if (trap) {
    wasm_message_t message;
    guest->api->wasm_trap_message(trap, &message);
    fprintf(stderr, "fib: %s\n", message.data);
    exit(1);
  }
  return result.of.i32;
}

/* The trap's message is the one that is expected. */
static void check_trap(const guest_t* guest, size_t export_index, const char* expected) {
  wasm_val_vec_t none = WASM_EMPTY_VEC;
  const api_t* api = guest->api;
  wasm_trap_t* trap = api->wasm_func_call(api->wasm_extern_as_func(guest->exports.data[export_index]), &none, &none);
  CHECK(trap);
  wasm_message_t message;
  api->wasm_trap_message(trap, &message);
  if (strcmp(message.data, expected) != 0) fprintf(stderr, "%s, not %s\n", message.data, expected);
  CHECK(strcmp(message.data, expected) == 0);
  api->wasm_byte_vec_delete(&message);
  api->wasm_trap_delete(trap);
}

static void check_all(const guest_t* guest) {
  CHECK(fib(guest, 20) == 6765);
  check_trap(guest, 1, "out of bounds memory access");
  check_trap(guest, 2, "call stack exhausted");
  CHECK(fib(guest, 10) == 55);
}

static void stop(guest_t* guest) {
  guest->api->wasm_extern_vec_delete(&guest->exports);
  guest->api->wasm_store_delete(guest->store);
  guest->api->wasm_engine_delete(guest->engine);
}

static void check_library(const api_t* api) {
  guest_t guest = start(api);
  check_all(&guest);
  stop(&guest);
}

static void local_symbols(const char* path) {
  void* library = open_library(path);
  api_t api = bind(library);
  check_library(&api);
  CHECK(!dlsym(RTLD_DEFAULT, "wasm_engine_new"));
  CHECK(!dlsym(library, "rotor_host_dispatch"));
  CHECK(dlclose(library) == 0); /* it stays, with its handler */
}

/* Two files with the same contents, so that the loader sees two libraries. */
static void two_copies(const char* path) {
  char other[4096], command[9000], folder[] = "/tmp/rotor-copy-XXXXXX";
  CHECK(mkdtemp(folder));
  snprintf(other, sizeof other, "%s/librotor-other.so", folder);
  const char* end = strrchr(path, '/');
  CHECK(end);
  snprintf(command, sizeof command, "cp '%s' '%s' && ln -s '%.*s/librotor-compiler.so' '%s/'", path, other,
           (int)(end - path), path, folder);
  CHECK(system(command) == 0);
  void *one = open_library(path), *two = open_library(other);
  api_t first = bind(one), second = bind(two);
  CHECK(first.wasm_engine_new != second.wasm_engine_new);
  guest_t a = start(&first), b = start(&second);
  for (int i = 0; i < 3; i++) {
    check_all(&a);
    check_all(&b);
  }
  stop(&a);
  check_all(&b);
  stop(&b);
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  CHECK(system(command) == 0);
}

static void namespace(const char* path) {
  void* one = open_library(path);
  void* two = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
  if (!two) fprintf(stderr, "%s\n", dlerror());
  api_t first = bind(one), second = bind(two);
  guest_t a = start(&first), b = start(&second);
  check_all(&a);
  check_all(&b);
  check_all(&a);
  stop(&b);
  stop(&a);
}

static void* run_small(void* argument) {
  const guest_t* guest = argument;
  CHECK(fib(guest, 20) == 6765);
  check_trap(guest, 1, "out of bounds memory access");
  check_trap(guest, 2, "call stack exhausted");
  return NULL;
}

static void* run_all_small(void* argument) {
  check_library(argument);
  return NULL;
}

/* A thread of 64 KiB calls a guest that a large one made; and does all of it. */
static void small_stack(const char* path) {
  api_t api = bind(open_library(path));
  guest_t guest = start(&api);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, run_small, &guest) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(pthread_create(&thread, &attributes, run_all_small, &api) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  stop(&guest);
}

/* A guest of the parent's goes on in the child, which makes one of its own. */
static void fork_case(const char* path) {
  api_t api = bind(open_library(path));
  guest_t guest = start(&api);
  CHECK(fib(&guest, 10) == 55);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    check_all(&guest);
    check_library(&api);
    _exit(0);
  }
  check_all(&guest);
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  stop(&guest);
}

static sigjmp_buf g_back;
static volatile sig_atomic_t g_faults = 0;
static struct sigaction g_before;
static int g_chain = 0;

static void on_fault(int signal, siginfo_t* info, void* context) {
  if (info->si_addr == (void*)16) {
    g_faults++;
    siglongjmp(g_back, 1);
  }
  if (!g_chain) _exit(3);
  g_before.sa_sigaction(signal, info, context); /* a guest's: the library's */
}

static void install(void) {
  struct sigaction action = {0};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  CHECK(sigaction(SIGSEGV, &action, &g_before) == 0);
}

static void fault_of_the_host(void) {
  const int before = g_faults;
  if (sigsetjmp(g_back, 1) == 0) *(volatile int*)16 = 1;
  CHECK(g_faults == before + 1);
}

static void handler_before(const char* path) {
  install();
  api_t api = bind(open_library(path));
  guest_t guest = start(&api);
  for (int i = 0; i < 3; i++) {
    check_all(&guest);
    fault_of_the_host();
  }
  stop(&guest);
  fault_of_the_host();
}

static void handler_after(const char* path) {
  api_t api = bind(open_library(path));
  guest_t guest = start(&api);
  check_all(&guest);
  g_chain = 1;
  install();
  for (int i = 0; i < 3; i++) {
    check_all(&guest);
    fault_of_the_host();
  }
  stop(&guest);
}

/* Each function with nothing but zeros. What is made so is thrown away. */
static void null_arguments(const char* path, const char* list) {
  void* library = open_library(path);
  CHECK(library);
  FILE* names = fopen(list, "r");
  CHECK(names);
  char line[1000], name[200];
  int called = 0;
  while (fgets(line, sizeof line, names)) {
    if (sscanf(line, "function %199[^:]", name) != 1) continue;
    void* function = dlsym(library, name);
    if (!function) fprintf(stderr, "%s\n", name);
    CHECK(function);
    ((long (*)(long, long, long, long, long, long, long, long))(size_t)function)(0, 0, 0, 0, 0, 0, 0, 0);
    called++;
  }
  fclose(names);
  CHECK(called > 350);
}

int main(int count, char** args) {
  CHECK(count >= 3);
  const char* path = args[2];
  if (!strcmp(args[1], "local_symbols"))
    local_symbols(path);
  else if (!strcmp(args[1], "two_copies"))
    two_copies(path);
  else if (!strcmp(args[1], "namespace"))
    namespace(path);
  else if (!strcmp(args[1], "small_stack"))
    small_stack(path);
  else if (!strcmp(args[1], "fork"))
    fork_case(path);
  else if (!strcmp(args[1], "handler_before"))
    handler_before(path);
  else if (!strcmp(args[1], "handler_after"))
    handler_after(path);
  else if (!strcmp(args[1], "null_arguments") && count == 4)
    null_arguments(path, args[3]);
  else
    return 2;
  return 0;
}
