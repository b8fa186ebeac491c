/* What wasm.h lacks: settings, errors with text, limits, stops, names for imports, snapshots, WASI, and the proxy that
 * rotates instances. Rules of ownership and threads are those of wasm.h; docs/c-api.md explains, include/rotor/ has the
 * same in C++ with every detail.
 *
 * Functions that can fail return an error, NULL for none, or take a place for one; that place may be NULL. Texts are
 * UTF-8 with a NUL behind them, and are copied. What is NULL where something is needed is an error, too.
 */
#ifndef ROTOR_H
#define ROTOR_H

#include "wasm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define own

/* The version of the library: "0.1.0". */
WASM_API_EXTERN const char* rotor_version(void);

/* Kinds of values and of value types beside the standard's. Nothing but null is of the other references. */
enum rotor_valkind_enum {
  ROTOR_V128 = 4,
  ROTOR_OTHERREF = 255,
};

/* A vector, as it lies in a guest's memory: the first lane first, each with its low byte first. */
typedef struct rotor_v128_t {
  uint8_t bytes[16];
} rotor_v128_t;
/* Makes a value of kind ROTOR_V128. A wasm_val_t has no room for a vector: it owns one beside it, so that it is deleted
 * and copied by wasm_val_delete and wasm_val_copy, as a reference is. With NULL in that place it is zero. */
WASM_API_EXTERN void rotor_val_new_v128(own wasm_val_t* out, const rotor_v128_t*);
/* False if the value is no vector. */
WASM_API_EXTERN bool rotor_val_v128(const wasm_val_t*, rotor_v128_t* out);

/* ---- Errors ---- */

typedef struct rotor_error_t rotor_error_t;

typedef uint8_t rotor_error_kind_t;
enum rotor_error_kind_enum {
  ROTOR_ERROR_MALFORMED,        /* bytes that are no module */
  ROTOR_ERROR_INVALID,          /* a module that does not validate */
  ROTOR_ERROR_UNSUPPORTED,      /* what this version lacks; the message names it */
  ROTOR_ERROR_LINK,             /* a missing or ill-typed import */
  ROTOR_ERROR_TRAP,             /* the guest trapped */
  ROTOR_ERROR_HOST,             /* a host function failed */
  ROTOR_ERROR_LIMIT,            /* a named limit was reached */
  ROTOR_ERROR_TYPE_MISMATCH,    /* arguments that do not fit */
  ROTOR_ERROR_NOT_FOUND,        /* no such export, file or name */
  ROTOR_ERROR_INVALID_ARGUMENT, /* misuse */
  ROTOR_ERROR_STALE_HANDLE,     /* what it names is gone */
  ROTOR_ERROR_RETIRED,          /* a lease's instance was exchanged under it */
  ROTOR_ERROR_CORRUPT,          /* a damaged or foreign code file, trace or policy */
  ROTOR_ERROR_IO,               /* the operating system refused */
  ROTOR_ERROR_INTERNAL,         /* a bug in Rotor */
  ROTOR_ERROR_EXCEPTION,        /* the guest threw, and nothing caught it */
};

WASM_API_EXTERN void rotor_error_delete(own rotor_error_t*);
WASM_API_EXTERN rotor_error_kind_t rotor_error_kind(const rotor_error_t*);
/* One line. As long as the error. */
WASM_API_EXTERN const char* rotor_error_message(const rotor_error_t*);
/* The message, then a line for each frame of the guest's. As long as the error. */
WASM_API_EXTERN const char* rotor_error_text(rotor_error_t*);
/* Whether the error is about a place in the module or file, and which byte. */
WASM_API_EXTERN bool rotor_error_offset(const rotor_error_t*, uint64_t* out);

/* A frame of the guest's. The texts are as long as the error, and as the module has them. */
typedef struct rotor_frame_t {
  uint32_t func_index;
  const char* func_name;   /* "": unknown */
  const char* module_name; /* "": unknown */
  uint64_t module_offset;  /* 0: unknown */
} rotor_frame_t;
WASM_API_EXTERN size_t rotor_error_frame_count(const rotor_error_t*);
/* The innermost is frame 0. False if there is no such frame. */
WASM_API_EXTERN bool rotor_error_frame(const rotor_error_t*, size_t index, rotor_frame_t* out);

/* Why the last function of the store that returned NULL or false did so; NULL if none has. Until the next such one. */
WASM_API_EXTERN rotor_error_t* rotor_store_error(wasm_store_t*);
/* The trap as an error. */
WASM_API_EXTERN own rotor_error_t* rotor_trap_error(const wasm_trap_t*);

/* ---- Exceptions ----
 *
 * What a guest throws and nothing catches ends the call with a trap of ROTOR_ERROR_EXCEPTION, which has the exception.
 * A host function that returns such a trap, its own or one that it got, throws the exception in the guest. */

/* Makes a trap that throws, with values of the tag's types, which are copied. NULL if they do not fit;
 * rotor_store_error says why. */
WASM_API_EXTERN own wasm_trap_t* rotor_trap_new_exception(wasm_store_t*, const wasm_tag_t*, const wasm_val_vec_t*);
/* The tag, which wasm_tag_same compares with others; NULL for a trap that is no exception's. */
WASM_API_EXTERN own wasm_tag_t* rotor_trap_exception_tag(const wasm_trap_t*);
/* What the exception carries, by the types of its tag. False, and empty, for a trap that is no exception's. */
WASM_API_EXTERN bool rotor_trap_exception_values(const wasm_trap_t*, own wasm_val_vec_t* out);

/* ---- Settings of an engine ---- */

typedef uint8_t rotor_mode_t;
enum rotor_mode_enum {
  ROTOR_MODE_AOT,   /* everything, as fast as can be, before the module is there */
  ROTOR_MODE_EAGER, /* everything, quickly; again what is hot */
  ROTOR_MODE_LAZY,  /* what is called, when it is called; again what is hot. The default */
};

typedef uint8_t rotor_switch_t;
enum rotor_switch_enum {
  ROTOR_SWITCH_INTERRUPTIBLE, /* calls can be ended from outside; needed for deadlines and interrupts */
  ROTOR_SWITCH_DETERMINISTIC, /* the deterministic profile for numbers */
  ROTOR_SWITCH_SLAB_MEMORIES, /* small memories share address space */
  ROTOR_SWITCH_WIDE_PRODUCTS, /* products of 128 bits are put together; on by default */
  ROTOR_SWITCH_PERF_MAP,      /* names for Linux's perf */
  ROTOR_SWITCH_FUEL,          /* guests pay for what they execute (docs/fuel.md) */
};

/* Switches a proposal by its name ("threads", "tail-call"). False if no switch has this name. */
WASM_API_EXTERN bool rotor_config_set_feature(wasm_config_t*, const char* name, bool on);
WASM_API_EXTERN void rotor_config_set_mode(wasm_config_t*, rotor_mode_t);
/* 0 or 1; the default is 1. */
WASM_API_EXTERN void rotor_config_set_opt_level(wasm_config_t*, uint8_t level);
WASM_API_EXTERN void rotor_config_set_switch(wasm_config_t*, rotor_switch_t, bool on);
/* Keeps compiled code on disk. A folder of NULL is the user's; a limit of 0 is the default of 1 GiB. Whoever can write
 * to the folder can run code in this process. */
WASM_API_EXTERN void rotor_config_set_cache(wasm_config_t*, const char* folder, uint64_t limit_bytes);
/* "native", "baseline", "x86-64-v3" or "x86-64-v4". */
WASM_API_EXTERN void rotor_config_set_cpu(wasm_config_t*, const char* cpu);
/* What compiling may take: threads (0: one a core), bytes of memory, milliseconds a module (0: any number). */
WASM_API_EXTERN void rotor_config_set_compile_limits(wasm_config_t*, uint32_t workers, uint64_t memory_bytes,
                                                     uint64_t deadline_ms);
WASM_API_EXTERN own wasm_engine_t* rotor_engine_new(own wasm_config_t*, own rotor_error_t** error);

/* ---- Limits of instances ---- */

typedef struct rotor_limits_t rotor_limits_t;

typedef uint8_t rotor_limit_t;
enum rotor_limit_enum {
  ROTOR_LIMIT_MEMORY_BYTES, /* of all its memories together */
  ROTOR_LIMIT_MEMORIES,
  ROTOR_LIMIT_TABLES,
  ROTOR_LIMIT_TABLE_ELEMENTS, /* of all its tables together */
  ROTOR_LIMIT_STACK_BYTES,
  ROTOR_LIMIT_HOST_STACK_RESERVE_BYTES, /* that host functions find free */
};

/* Of the memories that an instance defines, together. */
typedef struct rotor_growth_t {
  uint64_t old_bytes, new_bytes, limit_bytes;
} rotor_growth_t;

WASM_API_EXTERN own rotor_limits_t* rotor_limits_new(void);
WASM_API_EXTERN void rotor_limits_delete(own rotor_limits_t*);
/* False if there is no such limit, or it does not take the value. */
WASM_API_EXTERN bool rotor_limits_set(rotor_limits_t*, rotor_limit_t, uint64_t value);
/* Asks `allow` for each growth that takes memories past `watermark`, a fraction of the limit; false refuses it. The
 * finalizer, unless it is NULL, runs once, when nothing needs `env` any more. */
WASM_API_EXTERN void rotor_limits_on_growth(rotor_limits_t*, double watermark,
                                            bool (*allow)(void* env, const rotor_growth_t*), void* env,
                                            void (*finalizer)(void*));
/* Sets the limits of instances, tables and memories that are made in the store from now on, which copies them. */
WASM_API_EXTERN void rotor_store_set_limits(wasm_store_t*, const rotor_limits_t*);

/* ---- Modules ---- */

/* A module of no store: for wasm_module_obtain, linkers and proxies. */
WASM_API_EXTERN own wasm_shared_module_t* rotor_module_new(wasm_engine_t*, const wasm_byte_vec_t* binary,
                                                           own rotor_error_t** error);
/* Encodes the text format, and prints it. */
WASM_API_EXTERN own rotor_error_t* rotor_wat2wasm(const char* text, size_t size, own wasm_byte_vec_t* out);
WASM_API_EXTERN own rotor_error_t* rotor_wasm2wat(const wasm_byte_vec_t* binary, own wasm_byte_vec_t* out);

/* ---- Instances: snapshots, and stops from other threads ---- */

/* The state of an instance between calls. May be used by any thread. */
typedef struct rotor_snapshot_t rotor_snapshot_t;
WASM_API_EXTERN own rotor_snapshot_t* rotor_instance_snapshot(const wasm_instance_t*, own rotor_error_t** error);
WASM_API_EXTERN void rotor_snapshot_delete(own rotor_snapshot_t*);
WASM_API_EXTERN uint64_t rotor_snapshot_memory_bytes(const rotor_snapshot_t*);
/* Makes an instance in the state of a snapshot of the same module. External references in it are null unless they are
 * of this store. */
WASM_API_EXTERN own wasm_instance_t* rotor_instance_new_from_snapshot(wasm_store_t*, const rotor_snapshot_t*,
                                                                      const wasm_extern_vec_t* imports,
                                                                      own rotor_error_t** error);

/* A means to end the calls of an instance, for any thread, that may outlive it. Needs ROTOR_SWITCH_INTERRUPTIBLE. */
typedef struct rotor_interrupt_t rotor_interrupt_t;
WASM_API_EXTERN own rotor_interrupt_t* rotor_instance_interrupt(const wasm_instance_t*);
WASM_API_EXTERN void rotor_interrupt_delete(own rotor_interrupt_t*);
/* Ends the call that runs, or the next one. */
WASM_API_EXTERN own rotor_error_t* rotor_interrupt_now(const rotor_interrupt_t*);
/* Takes back an interrupt that has ended no call. */
WASM_API_EXTERN void rotor_interrupt_cancel(const rotor_interrupt_t*);
/* Ends calls that run in so many milliseconds, and later ones, until it is set anew or cleared. */
WASM_API_EXTERN own rotor_error_t* rotor_interrupt_set_deadline(const rotor_interrupt_t*, uint64_t ms);
WASM_API_EXTERN void rotor_interrupt_clear_deadline(const rotor_interrupt_t*);

/* The fuel of an instance and all that it is linked to, of an engine with ROTOR_SWITCH_FUEL: what is left, to be set
 * and added to between calls, and by host functions. 2^63 - 1 is the most, and as good as any number. A call that needs
 * more traps. */
WASM_API_EXTERN own rotor_error_t* rotor_instance_fuel(const wasm_instance_t*, uint64_t* out);
WASM_API_EXTERN own rotor_error_t* rotor_instance_set_fuel(wasm_instance_t*, uint64_t units);
WASM_API_EXTERN own rotor_error_t* rotor_instance_add_fuel(wasm_instance_t*, uint64_t units);
/* What instances that are made in the store from now on begin with, for their start functions too; else it is 0. Those
 * that are linked to others add it to theirs. */
WASM_API_EXTERN void rotor_store_set_fuel(wasm_store_t*, uint64_t units);

/* ---- Threads ---- */

/* Makes the thread ready for guests, as its first call does: for threads that block signals after that. */
WASM_API_EXTERN own rotor_error_t* rotor_prepare_thread(void);
/* Declares a stack that is not a thread's own (a fiber's), so that guests may be called on it. */
typedef struct rotor_stack_t rotor_stack_t;
WASM_API_EXTERN own rotor_stack_t* rotor_stack_declare(void* low, size_t size_bytes, own rotor_error_t** error);
WASM_API_EXTERN void rotor_stack_delete(own rotor_stack_t*);

/* ---- Names for imports ---- */

/* Definitions by name, for instances in stores and guests of proxies. May be used by one thread at a time. */
typedef struct rotor_linker_t rotor_linker_t;
/* Who calls a host function. Valid during the call. */
typedef struct rotor_caller_t rotor_caller_t;

/* As wasm_func_callback_with_env_t. Of a proxy's guest it may be called by any thread, and references are null. */
typedef own wasm_trap_t* (*rotor_func_callback_t)(void* env, rotor_caller_t* caller, const wasm_val_vec_t* args,
                                                  own wasm_val_vec_t* results);

WASM_API_EXTERN own rotor_linker_t* rotor_linker_new(wasm_engine_t*);
WASM_API_EXTERN void rotor_linker_delete(own rotor_linker_t*);
/* Defines a host function. The finalizer, unless it is NULL, runs once, when nothing needs `env` any more. */
WASM_API_EXTERN own rotor_error_t* rotor_linker_define_func(rotor_linker_t*, const char* module, const char* name,
                                                            const wasm_functype_t*, rotor_func_callback_t, void* env,
                                                            void (*finalizer)(void*));
/* Defines what is in a store, for instances in that store. */
WASM_API_EXTERN own rotor_error_t* rotor_linker_define(rotor_linker_t*, const char* module, const char* name,
                                                       const wasm_extern_t*);
/* Defines all exports of an instance under one module's name. */
WASM_API_EXTERN own rotor_error_t* rotor_linker_define_instance(rotor_linker_t*, const char* module,
                                                                const wasm_instance_t*);
/* Makes an instance; in the state of a snapshot, unless that is NULL. */
WASM_API_EXTERN own wasm_instance_t* rotor_linker_instantiate(const rotor_linker_t*, wasm_store_t*,
                                                              const wasm_module_t*, const rotor_snapshot_t*,
                                                              own rotor_error_t** error);
/* An export by its name; NULL if there is none. */
WASM_API_EXTERN own wasm_extern_t* rotor_instance_export(const wasm_instance_t*, const char* name);

/* Copy out of or into the caller's memory 0. False if that is out of bounds. */
WASM_API_EXTERN bool rotor_caller_read(rotor_caller_t*, uint64_t address, void* to, size_t size);
WASM_API_EXTERN bool rotor_caller_write(rotor_caller_t*, uint64_t address, const void* from, size_t size);
/* Bytes of memory 0 where they lie, until the callback returns or calls the guest; NULL if that is out of bounds. */
WASM_API_EXTERN const byte_t* rotor_caller_view(rotor_caller_t*, uint64_t address, size_t size);
/* Calls an export of the caller's. Writes as many results as there are places for. */
WASM_API_EXTERN own rotor_error_t* rotor_caller_call(rotor_caller_t*, const char* name, const wasm_val_vec_t* args,
                                                     own wasm_val_vec_t* results);
/* Whether the call has to stop, since it was interrupted or its deadline is over. */
WASM_API_EXTERN bool rotor_caller_must_stop(rotor_caller_t*);
/* The fuel of the guest that calls: a host function may take from it what its own work is worth. */
WASM_API_EXTERN own rotor_error_t* rotor_caller_fuel(rotor_caller_t*, uint64_t* out);
WASM_API_EXTERN own rotor_error_t* rotor_caller_set_fuel(rotor_caller_t*, uint64_t units);
/* Says that the function changes state outside of the guest that a rewind would tear from it. */
WASM_API_EXTERN void rotor_caller_state_changed(rotor_caller_t*);

/* ---- WASI preview 1 ---- */

/* The outside of a program: nothing, until it is said otherwise. Settings end where a linker gets it. */
typedef struct rotor_wasi_t rotor_wasi_t;
WASM_API_EXTERN own rotor_wasi_t* rotor_wasi_new(void);
WASM_API_EXTERN void rotor_wasi_delete(own rotor_wasi_t*);
WASM_API_EXTERN void rotor_wasi_add_arg(rotor_wasi_t*, const char* arg);
WASM_API_EXTERN void rotor_wasi_set_env(rotor_wasi_t*, const char* name, const char* value);
WASM_API_EXTERN void rotor_wasi_add_folder(rotor_wasi_t*, const char* host_path, const char* guest_name,
                                           bool read_only);
/* Gives the guest a folder in memory by that name, whose files take no more than so many bytes. */
WASM_API_EXTERN void rotor_wasi_add_memory_folder(rotor_wasi_t*, const char* guest_name, size_t limit_bytes,
                                                  bool read_only);
/* Put a file into such a folder, making those that lead to it, and get one out of it, before, while and after the guest
   runs. The path begins in the folder: "data/in.txt". */
WASM_API_EXTERN own rotor_error_t* rotor_wasi_put_file(rotor_wasi_t*, const char* guest_name, const char* path,
                                                       const void* bytes, size_t size);
WASM_API_EXTERN own rotor_error_t* rotor_wasi_get_file(const rotor_wasi_t*, const char* guest_name, const char* path,
                                                       own wasm_byte_vec_t* out);
/* Standard input, output and errors are the process's own. */
WASM_API_EXTERN void rotor_wasi_inherit(rotor_wasi_t*);
WASM_API_EXTERN void rotor_wasi_set_input(rotor_wasi_t*, const void* bytes, size_t size);
/* Standard output and errors go to memory, up to so many bytes each, for rotor_wasi_output. */
WASM_API_EXTERN void rotor_wasi_capture(rotor_wasi_t*, size_t limit_bytes);
/* Clocks and random bytes are the same in each run. */
WASM_API_EXTERN void rotor_wasi_deterministic(rotor_wasi_t*, uint64_t seed);
/* Defines wasi_snapshot_preview1. The linker keeps what it needs of the outside. */
WASM_API_EXTERN own rotor_error_t* rotor_linker_define_wasi(rotor_linker_t*, rotor_wasi_t*);
/* Calls `_start`. */
WASM_API_EXTERN own rotor_error_t* rotor_wasi_run(rotor_wasi_t*, const wasm_instance_t*, uint32_t* exit_code);
/* What was captured of descriptor 1 or 2. */
WASM_API_EXTERN void rotor_wasi_output(const rotor_wasi_t*, int descriptor, own wasm_byte_vec_t* out);

/* ---- The proxy (docs/rotation.md) ---- */

/* Thread-safe, but for `new` and `delete`. */
typedef struct rotor_proxy_t rotor_proxy_t;
/* The right to call the active instance, for the thread that acquired it, which deletes it before the proxy goes. */
typedef struct rotor_lease_t rotor_lease_t;
typedef struct rotor_reply_t rotor_reply_t;

typedef uint8_t rotor_argkind_t;
enum rotor_argkind_enum {
  ROTOR_ARG_I32, /* a number, or the token of a handle */
  ROTOR_ARG_I64,
  ROTOR_ARG_F32,
  ROTOR_ARG_F64,
  ROTOR_ARG_BYTES,  /* bytes or a text, as the policy says */
  ROTOR_ARG_VECTOR, /* 32-bit numbers, or tokens */
};
typedef struct rotor_arg_t {
  rotor_argkind_t kind;
  union {
    int32_t i32;
    int64_t i64;
    float32_t f32;
    float64_t f64;
    struct {
      const void* data;
      size_t count; /* of bytes, or numbers */
    } list;
  } of;
} rotor_arg_t;

/* Something that happened. `name` is a word ("rotation", "warmup_done", "checkpoint_taken"; docs/c-api.md); what it
 * does not come with is 0 or "". */
typedef struct rotor_proxy_event_t {
  const char* name;
  uint64_t ns, bytes, calls;
  const char* text;
} rotor_proxy_event_t;
/* Called by any thread; must not call the proxy. */
typedef void (*rotor_proxy_event_callback_t)(void* env, const rotor_proxy_event_t*);

/* Makes a proxy before instances of a module, by a policy in TOML (docs/policy-reference.md). The linker is copied.
 * Each of these may be NULL: the limits of the guests; the outside that they share, if the linker has it; who is told
 * of what happens. */
WASM_API_EXTERN own rotor_proxy_t* rotor_proxy_new(const rotor_linker_t*, const wasm_shared_module_t*,
                                                   const char* policy, const rotor_limits_t*, rotor_wasi_t*,
                                                   rotor_proxy_event_callback_t, void* env, own rotor_error_t** error);
WASM_API_EXTERN void rotor_proxy_delete(own rotor_proxy_t*);
/* Calls an export as the policy describes it. The reply may be NULL if nobody wants it. */
WASM_API_EXTERN own rotor_error_t* rotor_proxy_call(rotor_proxy_t*, const char* name, const rotor_arg_t* args,
                                                    size_t arg_count, own rotor_reply_t** reply);
/* Has a standby, or a checkpoint, made now. */
WASM_API_EXTERN own rotor_error_t* rotor_proxy_prepare(rotor_proxy_t*);
/* Has the active exchanged at the next occasion. */
WASM_API_EXTERN own rotor_error_t* rotor_proxy_rotate(rotor_proxy_t*);
WASM_API_EXTERN own rotor_error_t* rotor_proxy_checkpoint(rotor_proxy_t*);
/* The counters in Prometheus' text format; `labels` go into each line's braces, and may be NULL. */
WASM_API_EXTERN void rotor_proxy_metrics(const rotor_proxy_t*, const char* labels, own wasm_byte_vec_t* out);
/* One counter by its name in include/rotor/proxy/counters.h ("rotations"). False if there is none of that name. */
WASM_API_EXTERN bool rotor_proxy_counter(const rotor_proxy_t*, const char* name, uint64_t* out);

/* Waits until no other thread has one. */
WASM_API_EXTERN own rotor_lease_t* rotor_proxy_acquire(rotor_proxy_t*, own rotor_error_t** error);
WASM_API_EXTERN void rotor_lease_delete(own rotor_lease_t*);
WASM_API_EXTERN own rotor_error_t* rotor_lease_call(rotor_lease_t*, const char* name, const rotor_arg_t* args,
                                                    size_t arg_count, own rotor_reply_t** reply);
/* Calls a query with nothing translated. Writes as many results as there are places for. */
WASM_API_EXTERN own rotor_error_t* rotor_lease_raw(rotor_lease_t*, const char* name, const wasm_val_vec_t* args,
                                                   own wasm_val_vec_t* results);
/* Has a query's handle outlive the lease. */
WASM_API_EXTERN own rotor_error_t* rotor_lease_keep(rotor_lease_t*, uint32_t token);
/* Checkpoints: gives up a number that an allowed export returned. */
WASM_API_EXTERN own rotor_error_t* rotor_lease_drop(rotor_lease_t*, uint64_t number);
/* Memory 0 of the active instance, until the lease ends. */
WASM_API_EXTERN byte_t* rotor_lease_memory(rotor_lease_t*, size_t* size);
/* Ends calls of the lease that run in so many milliseconds. */
WASM_API_EXTERN own rotor_error_t* rotor_lease_set_deadline(rotor_lease_t*, uint64_t ms);
/* Runs `work` within a lease, and with a policy of replay once more as a whole, on a fresh instance, if the guest traps
 * in it. `work` hands its error over. */
WASM_API_EXTERN own rotor_error_t* rotor_proxy_with_lease(rotor_proxy_t*,
                                                          own rotor_error_t* (*work)(void* env, rotor_lease_t*),
                                                          void* env);

WASM_API_EXTERN void rotor_reply_delete(own rotor_reply_t*);
/* Scalars and tokens, in order; bytes; numbers or tokens. As long as the reply. */
WASM_API_EXTERN const wasm_val_vec_t* rotor_reply_values(const rotor_reply_t*);
WASM_API_EXTERN const byte_t* rotor_reply_bytes(const rotor_reply_t*, size_t* size);
WASM_API_EXTERN const uint32_t* rotor_reply_vector(const rotor_reply_t*, size_t* count);

#undef own

#ifdef __cplusplus
}  // extern "C"
#endif

#endif /* ROTOR_H */
